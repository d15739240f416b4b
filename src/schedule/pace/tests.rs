use super::*;
use crate::clock::system;

#[test]
fn a_gap_never_leaves_its_bounds_and_differs_by_chance() {
    let now = system()().tick;
    let (mut pace, mut other) = (Pace::new(1, now), Pace::new(2, now));
    assert_ne!(pace.next(), other.next());
    for _ in 0..1_000 {
        pace.refused(false, now);
        other.refused(false, now);
        let gap = pace.next() - now;
        assert!(gap >= FIRST_GAP / 2 && gap <= LONGEST_GAP * 3 / 2, "{gap:?}");
    }
    assert_ne!(pace.next(), other.next());
    assert_eq!((pace.gap, other.gap), (LONGEST_GAP, LONGEST_GAP));
}

#[test]
fn who_is_alone_is_soon_back_at_speed() {
    let now = system()().tick;
    let mut pace = Pace::new(1, now);
    (0..20).for_each(|_| pace.refused(false, now));
    let (mut waited, mut answers) = (LONGEST_GAP, 1);
    while pace.answered() {
        waited += pace.gap;
        answers += 1;
    }
    assert!(waited < Duration::from_secs(150) && answers < 40, "{waited:?}, {answers}");
}

#[test]
fn a_refusal_takes_back_more_than_an_answer_gave() {
    let now = system()().tick;
    let mut pace = Pace::new(1, now);
    (0..5).for_each(|_| pace.refused(false, now));
    let before = pace.gap;
    for _ in 0..3 {
        assert!(pace.answered());
    }
    pace.refused(false, now);
    assert!(pace.gap > before, "{before:?} {:?}", pace.gap);
}

#[test]
fn of_a_wave_each_is_one_too_many_and_not_twice_as_many() {
    let now = system()().tick;
    let mut pace = Pace::new(1, now);
    (1..10).for_each(|_| pace.refused(true, now));
    assert_eq!(pace.gap, FIRST_GAP * 10);
    (10..100).for_each(|_| pace.refused(true, now));
    assert_eq!(pace.gap, LONGEST_OF_A_WAVE);
    (0..3).for_each(|_| pace.refused(false, now));
    pace.refused(true, now);
    assert_eq!(pace.gap, LONGEST_OF_A_WAVE * 8);
}

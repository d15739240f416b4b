use proptest::prelude::*;

use super::*;
use crate::failure::Code;

fn at(seconds: u64) -> UnixTime {
    UnixTime::from_seconds(seconds).unwrap()
}

fn stamp(updated: u64, expires: Option<u64>) -> Stamp {
    Stamp { created: Some(at(7)), updated: at(updated), expires: expires.map(at) }
}

fn name(name: &str) -> ObjectName {
    ObjectName::parse(name).unwrap()
}

fn tick() -> Instant {
    crate::clock::system()().tick
}

fn survey(pages: u32, is_whole: bool) -> Survey {
    Survey { pages, end: if is_whole { End::Whole } else { End::TooLong }, ..Survey::default() }
}

fn failure(blame: Blame, kind: Kind) -> Failure {
    Failure::new(blame, kind, Code::new("x"))
}

const DAY: Duration = Duration::from_hours(24);
const HOUR: Duration = Duration::from_hours(1);

#[test]
fn a_time_is_trusted_two_seconds_later() {
    for (updated, now, is_settled) in [
        (100, 99, false),
        (100, 100, false),
        (100, 101, false),
        (100, 102, true),
        (0, 2, true),
        (253_402_300_799, 0, false),
    ] {
        assert_eq!(stamp(updated, None).is_settled(at(now)), is_settled, "{updated} at {now}");
    }
}

#[test]
fn only_the_same_words_prove_anything() {
    let now = tick();
    let known = Known::new(stamp(100, Some(900)), None, now, 0.0);
    let proves = |shown: &[Option<Stamp>]| {
        let mut survey = Survey::of(BTreeSet::from([name("a"), name("b")]));
        for stamp in shown {
            survey.show(name("a"), *stamp);
        }
        survey.show(name("b"), Some(stamp(100, Some(900))));
        known.is_proven(&name("a"), &survey)
    };
    let same = Some(stamp(100, Some(900)));
    for (shown, proven) in [
        (&[same][..], true),
        (&[same, same], true),
        (&[], false),
        (&[None], false),
        (&[Some(stamp(101, Some(900)))], false),
        (&[Some(stamp(99, Some(900)))], false),
        (&[Some(stamp(100, None))], false),
        (&[Some(stamp(100, Some(901)))], false),
        // Deleted and made anew within the second of its last change.
        (&[Some(Stamp { created: Some(at(100)), ..stamp(100, Some(900)) })], false),
        (&[Some(Stamp { created: None, ..stamp(100, Some(900)) })], false),
        (&[same, Some(stamp(101, Some(900)))], false),
        (&[Some(stamp(101, Some(900))), same], false),
        (&[same, None], false),
        (&[Some(stamp(101, Some(900))), same, same], false),
    ] {
        assert_eq!(proves(shown), proven, "{shown:?}");
    }
    // Names have no case.
    let mut survey = Survey::of(BTreeSet::from([name("a")]));
    survey.show(name("A"), same);
    assert!(known.is_proven(&name("a"), &survey));
}

#[test]
fn a_list_is_worth_one_page_less_than_there_are_objects() {
    let (lore, now) = (Lore::default(), tick());
    let table = [(0, None), (1, None), (2, Some(1)), (3, Some(2)), (100, Some(99)), (usize::MAX, Some(u32::MAX - 1))];
    for (provable, pages) in table {
        assert_eq!(lore.most_pages(provable, now), pages, "{provable}");
    }
}

#[test]
fn the_length_of_a_list_is_learnt() {
    let now = tick();
    let mut whole = Lore::default();
    whole.read(&survey(4, true), 100, now);
    let mut cut = Lore::default();
    cut.read(&survey(4, false), 0, now);
    for (provable, by_whole, by_cut) in
        [(2, false, false), (4, false, false), (5, true, false), (9, true, false), (10, true, true), (100, true, true)]
    {
        let worth = |lore: &Lore| lore.most_pages(provable, now + DAY.saturating_sub(Duration::from_secs(1))).is_some();
        assert_eq!((worth(&whole), worth(&cut)), (by_whole, by_cut), "{provable}");
        let worth = |lore: &Lore| lore.most_pages(provable, now + DAY).is_some();
        assert_eq!((worth(&whole), worth(&cut)), (true, true), "{provable}, a day later");
    }
}

#[test]
fn what_a_failure_teaches() {
    let now = tick();
    // Of how many of them in a row the list is left alone, and for how long.
    for (blame, kind, most, believed) in [
        (Blame::Object, Kind::Denied, Some(1), DAY),
        (Blame::Object, Kind::Outage, Some(3), DAY),
        (Blame::Object, Kind::Missing, Some(3), DAY),
        (Blame::Object, Kind::Throttled, None, DAY),
        (Blame::Host, Kind::Outage, Some(3), HOUR),
        (Blame::Host, Kind::Throttled, None, HOUR),
        (Blame::Host, Kind::Denied, Some(3), HOUR),
        (Blame::Identity, Kind::Outage, None, DAY),
        (Blame::Identity, Kind::Denied, None, DAY),
    ] {
        let mut lore = Lore::default();
        let left_alone = (1..10).find(|_| {
            let is_told = lore.failed(&failure(blame, kind), now);
            assert_eq!(is_told, lore.most_pages(10, now).is_none());
            is_told
        });
        assert_eq!(left_alone, most, "{blame:?} {kind:?}");
        let before = now + believed.saturating_sub(Duration::from_secs(1));
        assert_eq!(lore.most_pages(10, before).is_some(), most.is_none());
        assert!(lore.most_pages(10, now + believed).is_some());
        // The next one is enough to leave it alone anew.
        assert_eq!(lore.failed(&failure(blame, kind), now + believed), most.is_some());
        lore.forget();
        assert!(lore.most_pages(10, now).is_some());
    }
}

#[test]
fn what_pays_once_in_a_while_goes_on() {
    let now = tick();
    let mut lore = Lore::default();
    for (proven, left_alone) in [(0, false), (4, false), (5, false), (4, false), (4, false), (4, true)] {
        lore.read(&survey(4, true), proven, now);
        assert_eq!(lore.most_pages(10, now).is_none(), left_alone, "{proven}");
    }
}

#[test]
fn outages_and_a_list_that_saves_nothing_are_counted_apart() {
    let now = tick();
    let mut lore = Lore::default();
    for _ in 0..10 {
        assert!(!lore.failed(&failure(Blame::Host, Kind::Outage), now));
        assert!(!lore.read(&survey(1, true), 5, now), "it was reached, and saved something");
    }
    let mut lore = Lore::default();
    let in_turn = [false, false, false, false, true];
    for (number, left_alone) in in_turn.into_iter().enumerate() {
        let told = if number % 2 == 0 {
            lore.read(&survey(4, true), 0, now)
        } else {
            lore.failed(&failure(Blame::Host, Kind::Outage), now)
        };
        assert_eq!(told, left_alone, "{number}");
    }
}

#[test]
fn what_is_enough_is_how_long_a_list_is() {
    let now = tick();
    let mut lore = Lore::default();
    assert!(!lore.read(&Survey { pages: 2, end: End::Enough, ..Survey::default() }, 3, now));
    assert_eq!([2, 3].map(|provable| lore.most_pages(provable, now)), [None, Some(2)]);
}

#[test]
fn a_survey_keeps_what_is_wanted_until_all_of_it_was_shown() {
    let mut survey = Survey::of(BTreeSet::from([name("a"), name("b")]));
    for number in 0..100 {
        survey.show(name(&format!("s{number}")), Some(stamp(100, None)));
    }
    assert_eq!(survey, Survey::of(BTreeSet::from([name("a"), name("b")])));
    survey.show(name("a"), Some(stamp(100, None)));
    survey.show(name("a"), Some(stamp(100, None)));
    assert!(!survey.is_enough());
    survey.show(name("b"), None);
    assert!(survey.is_enough(), "that says what there is to say");
}

/// As when replicas lag: whichever of list and value is the newer, nothing is taken for unchanged that may not be.
#[test]
fn neither_an_older_list_nor_an_older_value_proves_anything() {
    let (now, before, after) = (tick(), stamp(100, None), stamp(200, None));
    let proves = |read: Stamp, listed: Stamp| {
        let mut survey = Survey::of(BTreeSet::from([name("a")]));
        survey.show(name("a"), Some(listed));
        Known::new(read, None, now, 0.0).is_proven(&name("a"), &survey)
    };
    assert!(!proves(after, before), "the list is older than the value");
    assert!(!proves(before, after), "the value is older than the list");
    assert!(proves(before, before) && proves(after, after));
    // Disabled and enabled again, or an end that was moved to and fro: the time of the change is another one.
    assert!(!proves(before, stamp(101, None)));
}

#[test]
fn an_age_is_at_least_what_whole_seconds_allow() {
    let seconds = |seconds: u64| Some(Duration::from_secs(seconds));
    for (updated, read, answered, age) in [
        (100, 100, 100, seconds(0)),
        (100, 101, 101, seconds(0)),
        (100, 103, 103, seconds(2)),
        (100, 3_700, 3_700, seconds(3_599)),
        // Rounded up.
        (101, 100, 100, seconds(0)),
        // The answer took long.
        (100, 95, 105, seconds(0)),
        // No clock of the service's says so.
        (110, 100, 100, None),
        (253_402_300_799, 0, 0, None),
    ] {
        assert_eq!(stamp(updated, None).age(at(read), at(answered)), age, "{updated} at {read}");
    }
}

#[derive(Debug, Clone)]
enum Cycle {
    Read { pages: u32 },
    Denied,
    Fails,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Against any vault, of whatever length on whatever day, a list is never bound to cost as much as it can save; and what
    /// learning costs is a few lists a day.
    #[test]
    fn learning_costs_little(
        wanted in 0usize..300, lengths in prop::collection::vec(1u32..400, 1..8), minutes in 1u64..60,
    ) {
        let (mut lore, begin) = (Lore::default(), tick());
        let mut wasted = 0;
        for cycle in 0..24 * 60 / minutes {
            let now = begin + Duration::from_mins(minutes * cycle);
            let length = lengths[usize::try_from(cycle).unwrap() * lengths.len() / 1441];
            let Some(most) = lore.most_pages(wanted, now) else { continue };
            prop_assert!(u64::from(most) < wanted as u64);
            let pages = most.min(length);
            lore.read(&survey(pages, length <= most), if length <= most { wanted } else { 0 }, now);
            wasted += u64::from(length > most);
        }
        prop_assert!(wasted <= 1 + lengths.len() as u64, "{wasted}");
    }

    /// Whatever happens, a list that can pay is tried again within a day and a moment.
    #[test]
    fn no_list_is_given_up_for_ever(
        cycles in prop::collection::vec(prop_oneof![
            (0u32..=u32::MAX).prop_map(|pages| Cycle::Read { pages }), Just(Cycle::Denied), Just(Cycle::Fails),
        ], 0..40),
        whole in any::<bool>(), wanted in 2usize..1_000,
    ) {
        let (mut lore, now) = (Lore::default(), tick());
        for cycle in cycles {
            match cycle {
                Cycle::Read { pages } => lore.read(&survey(pages, whole), 7, now),
                Cycle::Denied => lore.failed(&failure(Blame::Object, Kind::Denied), now),
                Cycle::Fails => lore.failed(&failure(Blame::Host, Kind::Outage), now),
            };
        }
        prop_assert!(lore.most_pages(wanted, now + DAY).is_some());
    }

    /// A value is read again within half a day, never sooner than in eight hours, whatever chance says.
    #[test]
    fn nothing_is_known_for_ever(chance in any::<f64>(), updated in 0u64..=253_402_300_799) {
        let now = tick();
        let known = Known::new(stamp(updated, None), None, now, if chance.is_nan() { 0.5 } else { chance });
        prop_assert!(known.lasts(now + Duration::from_secs(8 * 3600 - 1)));
        prop_assert!(!known.lasts(now + Duration::from_hours(12) + Duration::from_secs(1)));
    }
}

#[test]
fn a_value_is_read_again_about_when_it_is_said() {
    let now = tick();
    let stamp = Stamp { created: None, updated: UnixTime::new(Duration::ZERO), expires: None };
    let after = |chance| Known::new(stamp, None, now, chance).until.duration_since(now);
    assert_eq!((after(0.0) + after(1.0)) / 2, READ_AGAIN_ABOUT);
}

use super::*;
use proptest::prelude::*;

fn next(now: UnixTime, interval: Duration, expires: Option<UnixTime>, seed: u64) -> UnixTime {
    now.after(wait(now, interval, expires, seed))
}

fn at(seconds: u64) -> UnixTime {
    UnixTime::from_seconds(seconds).unwrap()
}

#[test]
fn a_restart_keeps_its_slot() {
    let interval = Duration::from_mins(15);
    let first = next(at(1_700_000_000), interval, None, 42);
    let second = next(first, interval, None, 42);
    assert_eq!(second.since(first), interval);
    // Started again in between: the same slot.
    assert_eq!(next(first.after(Duration::from_mins(4)), interval, None, 42), second);
}

#[test]
fn a_timer_that_fired_early_does_not_ask_twice() {
    let interval = Duration::from_mins(15);
    let slot = next(at(1_700_000_000), interval, None, 42);
    let early = UnixTime::new(slot.since_epoch().saturating_sub(Duration::from_secs(2)));
    assert_eq!(next(early, interval, None, 42).since(slot), interval);
}

#[test]
fn a_fleet_spreads_over_the_interval() {
    let interval = Duration::from_mins(15);
    let mut per_minute = [0; 16];
    for pod in 0..9_000 {
        let wait = next(at(1_700_000_000), interval, None, pod).since(at(1_700_000_000));
        per_minute[usize::try_from(wait.as_secs() / 60).unwrap()] += 1;
    }
    assert!(per_minute[..15].iter().all(|pods| (450..750).contains(pods)), "{per_minute:?}");
}

#[test]
fn expiry_pulls_forward_with_a_floor() {
    let (now, interval) = (at(1_700_000_000), Duration::from_hours(24));
    let slot = next(now, interval, None, 1);
    for (expires_in, expected) in [(3600, 3300), (400, 100), (310, 30), (10, 30)] {
        let due = next(now, interval, Some(now.after(Duration::from_secs(expires_in))), 1);
        assert_eq!(due.since(now), Duration::from_secs(expected), "{expires_in}");
    }
    for irrelevant in [at(0), at(1_699_999_999), at(253_402_300_799)] {
        assert_eq!(next(now, interval, Some(irrelevant), 1), slot);
    }
}

proptest! {
    #[test]
    fn the_next_slot_is_ahead_and_within_an_interval(
        now in 0u64..=253_402_300_799, millis in 1_000u64..604_800_000, seed in any::<u64>(),
    ) {
        let interval = Duration::from_millis(millis);
        let wait = next(at(now), interval, None, seed).since(at(now));
        prop_assert!(wait > Duration::ZERO);
        prop_assert!(wait <= interval + Duration::from_secs(5));
    }
}

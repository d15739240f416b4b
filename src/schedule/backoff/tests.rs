use super::*;
use crate::failure::Code;
use proptest::prelude::*;

fn failure(blame: Blame, kind: Kind, after: Option<Duration>) -> Failure {
    Failure { after, ..Failure::new(blame, kind, Code::new("x")) }
}

#[test]
fn delays_double_up_to_their_longest() {
    let outage = failure(Blame::Host, Kind::Outage, None);
    for (failures, pure) in [(1, 1), (2, 2), (3, 4), (7, 60), (u32::MAX, 60)] {
        let delay = delay(&outage, failures, 7, 0).as_secs_f64();
        let pure = f64::from(pure);
        assert!((0.8 * pure..=1.2 * pure).contains(&delay), "{failures}: {delay}");
    }
}

const KINDS: [Kind; 7] =
    [Kind::Outage, Kind::Throttled, Kind::Denied, Kind::Missing, Kind::Disabled, Kind::Content, Kind::Misconfigured];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Each wait is longer than the one before until the longest is reached, and then no shorter than that but for its
    /// spread, for ever.
    #[test]
    fn delays_grow_and_stay_bounded(
        kind in 0..KINDS.len(), blame in 0..3usize, failures in 1u32..40, seed in any::<u64>(), who in any::<usize>(),
    ) {
        let failure = failure([Blame::Object, Blame::Host, Blame::Identity][blame], KINDS[kind], None);
        let (first, longest) = bounds(&failure);
        let [now, then] = [failures, failures + 1].map(|failures| delay(&failure, failures, seed, who));
        prop_assert!(now >= first.mul_f64(0.79) && now <= longest.mul_f64(1.21), "{now:?}");
        if now < longest.mul_f64(0.79) {
            prop_assert!(then > now, "{now:?}, then {then:?}");
        } else {
            prop_assert!(then >= longest.mul_f64(0.79), "{now:?}, then {then:?}");
        }
        prop_assert!(delay(&failure, u32::MAX, seed, who) >= longest.mul_f64(0.79));
    }
}

#[test]
fn a_round_second_is_spread_too() {
    let outage = failure(Blame::Host, Kind::Outage, None);
    let delays: std::collections::BTreeSet<_> = (0..20).map(|seed| delay(&outage, 1, seed, 0)).collect();
    assert!(delays.len() > 15);
}

proptest! {
    #[test]
    fn retry_after_is_never_undercut_and_always_capped(after in any::<u64>(), failures in any::<u32>(), seed in any::<u64>()) {
        let after = Duration::from_millis(after);
        let delay = delay(&failure(Blame::Host, Kind::Throttled, Some(after)), failures, seed, 3);
        prop_assert!(delay >= after.min(LONGEST_RETRY_AFTER));
        prop_assert!(delay <= LONGEST_RETRY_AFTER.mul_f64(1.2));
    }

    #[test]
    fn a_delay_is_never_nothing(kind in 0..7usize, failures in any::<u32>(), seed in any::<u64>()) {
        let kinds = [Kind::Outage, Kind::Throttled, Kind::Denied, Kind::Missing, Kind::Disabled, Kind::Content, Kind::Misconfigured];
        let delay = delay(&failure(Blame::Object, kinds[kind], None), failures, seed, 3);
        prop_assert!((Duration::from_millis(800)..=Duration::from_mins(6)).contains(&delay));
    }
}

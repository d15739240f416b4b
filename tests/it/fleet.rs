//! A small fleet against a vault whose limit is as small: what `just fleet` measures with 10,000 pods stays true.

use std::time::{Duration, Instant};

#[path = "../../benches/fleet/simulation.rs"]
mod simulation;
#[path = "../../benches/fleet/vault.rs"]
mod vault;

use simulation::{Count, Fleet, INTERVAL, Size};
use vault::{Counting, Vault};

const PODS: usize = 200;
const SECRETS: usize = 20;
/// As 4,000 is to 10,000 pods: everything once takes 500 s.
const LIMIT: usize = 80;
const ALLOWED: Duration = Duration::from_secs(500);
const OUTAGE: Duration = Duration::from_mins(10);

fn size(list: bool) -> Size {
    Size { pods: PODS, secrets: SECRETS, in_vault: 20, list }
}

fn sum(curve: &[Count], of: fn(&Count) -> usize) -> usize {
    curve.iter().map(of).sum()
}

/// Runs what is due after two rounds; what came before is none of it.
fn last<T>(fleet: &Fleet, of: impl Fn(&[Count]) -> T) -> T {
    of(&fleet.curve[180..])
}

#[test]
fn a_cold_start_of_all_at_once_takes_little_longer_than_the_limit_allows() {
    for counting in [Counting::Windows, Counting::Sliding] {
        for tells_when in [false, true] {
            let mut fleet = Fleet::start(size(true), Vault::new(LIMIT, counting, tells_when), Instant::now());
            let took = fleet.pass_until_whole(ALLOWED * 13 / 10);
            let (answered, refused) = (sum(&fleet.curve, |it| it.answered), sum(&fleet.curve, |it| it.refused));
            assert!(took.is_some(), "{counting:?} {tells_when}: {answered} answered, {refused} refused");
            // All but the first 80 come in vain, all at once. From then on they make room for one another.
            let later = sum(&fleet.curve[1..], |it| it.refused);
            assert!(later < answered, "{counting:?} {tells_when}: {later} refused, {answered} answered");
        }
    }
}

#[test]
fn a_vault_that_counts_refusals_is_not_kept_shut_by_those_who_wait_for_it() {
    let mut fleet = Fleet::start(size(true), Vault::new(LIMIT, Counting::SlidingWithRefused, false), Instant::now());
    let took = fleet.pass_until_whole(ALLOWED * 3);
    assert!(took.is_some(), "{:?}", fleet.curve);
}

#[test]
fn after_an_outage_everybody_is_whole_as_soon_as_the_limit_allows() {
    for counting in [Counting::Windows, Counting::Sliding] {
        let mut fleet = Fleet::start_whole(size(true), Vault::new(LIMIT, counting, false), Instant::now());
        let back = INTERVAL * 2 + OUTAGE;
        fleet.vault.fail_until(back);
        fleet.pass(back);
        let due = fleet.lacks_what_is_due();
        assert!(due > PODS * SECRETS / 2, "{due}");
        let failed = last(&fleet, |curve| sum(curve, |it| it.failed));
        assert!(failed < due, "one probe for each, not one for each of its secrets: {failed}");
        assert!(fleet.pass_until_whole(back + ALLOWED * 13 / 10).is_some(), "{counting:?} {:?}", fleet.curve);
    }
}

#[test]
fn a_steady_state_is_spread_over_the_interval_and_far_below_the_limit() {
    for (list, each) in [(true, 1), (false, SECRETS)] {
        let mut fleet = Fleet::start_whole(size(list), Vault::without_limit(), Instant::now());
        fleet.pass(INTERVAL * 4);
        // Two rounds. So few pods are not spread evenly over so short a time as a window, but over six of them.
        let sent = last(&fleet, |curve| sum(curve, Count::sent));
        assert!((PODS * each * 2 - each..=PODS * each * 2 + each).contains(&sent), "{sent}");
        let highest = last(&fleet, |curve| curve.chunks(6).map(|minute| sum(minute, Count::sent)).max().unwrap());
        assert!(highest < LIMIT * 6, "{highest}");
    }
}

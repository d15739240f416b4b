mod lists;
mod plans;
mod properties;

use proptest::prelude::*;

use super::*;
use crate::failure::{Blame, Code, Failure, Kind};
use crate::moment::UnixTime;
use crate::reference::{Collection, IdentityName, ObjectName, VaultHost, VersionId};

const INTERVAL: Duration = Duration::from_mins(15);

fn start() -> Moment {
    Moment { tick: crate::clock::system()().tick, wall: UnixTime::from_seconds(1_700_000_000).unwrap() }
}

fn after(start: Moment, elapsed: Duration) -> Moment {
    Moment { tick: start.tick + elapsed, wall: start.wall.after(elapsed) }
}

fn object(vault: &str, name: usize) -> Object {
    Object::Vault {
        collection: Collection::Secret,
        identity: IdentityName("default".to_owned()),
        vault: VaultHost(format!("{vault}.vault.azure.net")),
        name: ObjectName::parse(&format!("s{name:04}")).unwrap(),
        version: None,
    }
}

fn schedule(objects: impl IntoIterator<Item = Object>, now: Moment) -> Schedule {
    let objects = objects.into_iter().map(|object| (object, INTERVAL)).collect();
    Schedule::new(&plan(objects), 1, now)
}

/// A plan of nothing but objects, each with its interval.
fn plan(objects: BTreeMap<Object, Duration>) -> Plan {
    Plan { objects, ..Plan::default() }
}

fn fails(blame: Blame, kind: Kind) -> Failure {
    Failure::new(blame, kind, Code::new("x"))
}

#[test]
fn everything_is_due_at_once_but_only_so_much_is_in_flight() {
    let now = start();
    let mut schedule = schedule((0..250).map(|name| object("a", name)), now);
    let tickets = schedule.take_due(now.tick);
    assert_eq!(tickets.len(), MOST_IN_FLIGHT);
    assert_eq!(schedule.next_wake(now.tick), None, "the end of one in flight is the next event");
    assert!(schedule.take_due(now.tick).is_empty());
    schedule.succeeded(&tickets[0], None, now);
    assert_eq!(schedule.take_due(now.tick).len(), 1, "no batch barrier");
}

#[test]
fn fifty_objects_in_a_ten_minute_outage_make_a_wave_and_a_few_probes() {
    for (blame, most) in [(Blame::Host, 18), (Blame::Identity, 18)] {
        let begin = start();
        let mut schedule = schedule((0..50).map(|name| object("a", name)), begin);
        let (mut now, mut asked) = (begin, 0);
        while now.tick < begin.tick + Duration::from_mins(10) {
            for ticket in schedule.take_due(now.tick) {
                asked += 1;
                schedule.failed(&ticket, &fails(blame, Kind::Outage), now);
            }
            let wake = schedule.next_wake(now.tick).unwrap();
            now = after(begin, wake - begin.tick);
        }
        assert!((50 + 8..=50 + most).contains(&asked), "{blame:?}: {asked}");
        // It is over: the probe opens the gate, and the others follow as soon as their own wait allows.
        let mut answered = 0;
        let over = now.tick;
        while answered < 50 {
            for ticket in schedule.take_due(now.tick) {
                answered += 1;
                schedule.succeeded(&ticket, None, now);
            }
            let wake = schedule.next_wake(now.tick).unwrap();
            now = after(begin, wake - begin.tick);
        }
        assert!(now.tick - over < Duration::from_secs(90), "{:?}", now.tick - over);
    }
}

#[test]
fn a_shut_gate_is_told_of_once_and_its_opening_once() {
    let now = start();
    let mut schedule = schedule((0..5).map(|name| object("a", name)), now);
    let tickets = schedule.take_due(now.tick);
    let down = fails(Blame::Host, Kind::Outage);
    let told: Vec<_> = tickets.iter().flat_map(|ticket| schedule.failed(ticket, &down, now)).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let later = after(now, Duration::from_secs(2));
    let probes = schedule.take_due(later.tick);
    assert_eq!(probes.len(), 1);
    assert_eq!(schedule.next_wake(later.tick), None, "everybody waits for the probe");
    assert_eq!(schedule.failed(&probes[0], &down, later), []);
    let later = after(now, Duration::from_secs(10));
    let probes = schedule.take_due(later.tick);
    let told = schedule.succeeded(&probes[0], None, later);
    assert!(matches!(&told[..], [GateChange::Opened { after, .. }] if *after == Duration::from_secs(10)), "{told:?}");
    assert_eq!(schedule.take_due(later.tick).len(), 4);
}

#[test]
fn an_outage_in_other_words_is_no_news_but_another_trouble_is() {
    let now = start();
    let mut schedule = schedule((0..5).map(|name| object("a", name)), now);
    let tickets = schedule.take_due(now.tick);
    let failure = |kind, code| Failure::new(Blame::Host, kind, Code::new(code));
    assert_eq!(schedule.failed(&tickets[0], &failure(Kind::Outage, "cut-off"), now), [], "it may be its own trouble");
    assert_eq!(schedule.failed(&tickets[1], &failure(Kind::Outage, "cut-off"), now).len(), 1);
    // Others who were on their way have nothing to add, whatever they met.
    assert_eq!(schedule.failed(&tickets[2], &failure(Kind::Throttled, "Throttled"), now), []);
    assert_eq!(schedule.failed(&tickets[3], &failure(Kind::Outage, "timeout"), now), []);
    let probes = [
        (failure(Kind::Outage, "refused"), 0),
        (failure(Kind::Denied, "ForbiddenByFirewall"), 1),
        (failure(Kind::Denied, "ForbiddenByFirewall"), 0),
        (failure(Kind::Denied, "ForbiddenByConnection"), 1),
        (failure(Kind::Outage, "timeout"), 1),
    ];
    let mut later = now;
    for (failure, told) in probes {
        later = after(later, Duration::from_mins(10));
        let [probe] = &schedule.take_due(later.tick)[..] else { panic!("one probe") };
        assert_eq!(schedule.failed(probe, &failure, later).len(), told, "{failure}");
    }
}

#[test]
fn one_vaults_outage_holds_no_other_back() {
    let now = start();
    let mut schedule = schedule([object("a", 0), object("a", 1), object("b", 0)], now);
    let tickets = schedule.take_due(now.tick);
    let down = fails(Blame::Host, Kind::Outage);
    schedule.failed(&tickets[0], &down, now);
    schedule.failed(&tickets[1], &down, now);
    schedule.succeeded(&tickets[2], None, now);
    let mut later = after(now, INTERVAL);
    later.tick += Duration::from_secs(6);
    let due = schedule.take_due(later.tick);
    assert!(due.iter().any(|ticket| *ticket.object() == object("b", 0)));
    assert_eq!(due.iter().filter(|ticket| ticket.object().gates().contains(&object("a", 0).gates()[1])).count(), 1);
}

#[test]
fn one_objects_trouble_is_its_own() {
    let now = start();
    let mut schedule = schedule([object("a", 0), object("a", 1)], now);
    let tickets = schedule.take_due(now.tick);
    schedule.failed(&tickets[0], &fails(Blame::Object, Kind::Denied), now);
    schedule.succeeded(&tickets[1], None, now);
    let later = after(now, Duration::from_secs(7));
    let due = schedule.take_due(later.tick);
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].object(), &object("a", 0));
}

#[test]
fn a_sick_object_is_not_the_probe_for_ever() {
    let begin = start();
    let mut schedule = schedule([object("a", 0), object("a", 1), object("a", 2)], begin);
    let down = fails(Blame::Host, Kind::Outage);
    let tickets = schedule.take_due(begin.tick);
    for ticket in &tickets {
        schedule.failed(ticket, &down, begin);
    }
    let mut probed = std::collections::BTreeSet::new();
    let mut now = begin;
    for _ in 0..3 {
        now = after(begin, schedule.next_wake(now.tick).unwrap() - begin.tick);
        for ticket in schedule.take_due(now.tick) {
            probed.insert(ticket.object().clone());
            schedule.failed(&ticket, &down, now);
        }
    }
    assert_eq!(probed.len(), 3);
}

#[test]
fn a_wave_that_is_throttled_sets_no_pace_of_ages() {
    let begin = start();
    let mut schedule = schedule((0..12).map(|name| object("a", name)), begin);
    let mut now = begin;
    for (number, ticket) in schedule.take_due(begin.tick).iter().enumerate() {
        if number < 3 {
            schedule.succeeded(ticket, None, begin);
        } else {
            schedule.failed(ticket, &fails(Blame::Host, Kind::Throttled), begin);
        }
    }
    let mut left = 9;
    while left > 0 {
        now = after(begin, schedule.next_wake(now.tick).unwrap() - begin.tick);
        for ticket in schedule.take_due(now.tick) {
            schedule.succeeded(&ticket, None, now);
            left -= 1;
        }
    }
    assert!(now.tick - begin.tick < Duration::from_secs(6), "{:?}", now.tick - begin.tick);
}

#[test]
fn throttling_sets_a_pace() {
    let begin = start();
    let mut schedule = schedule((0..40).map(|name| object("a", name)), begin);
    let throttled = Failure { after: Some(Duration::from_secs(3)), ..fails(Blame::Host, Kind::Throttled) };
    for ticket in schedule.take_due(begin.tick) {
        schedule.failed(&ticket, &throttled, begin);
    }
    assert!(schedule.take_due((begin.tick) + Duration::from_millis(2_900)).is_empty(), "Retry-After is obeyed");
    let mut now = begin;
    let mut ticks = Vec::new();
    while ticks.len() < 40 {
        now = after(begin, schedule.next_wake(now.tick).unwrap() - begin.tick);
        for ticket in schedule.take_due(now.tick) {
            ticks.push(now.tick);
            schedule.succeeded(&ticket, None, now);
        }
    }
    let first_ten = ticks[10] - ticks[0];
    assert!(first_ten > Duration::from_secs(1), "not all at once again: {first_ten:?}");
    assert!(ticks[39] - ticks[30] < ticks[9] - ticks[0], "the pace quickens with success");
}

#[test]
fn an_answer_to_what_was_asked_before_is_no_proof_that_it_is_over() {
    let begin = start();
    let mut schedule = schedule((0..150).map(|name| object("a", name)), begin);
    let tickets = schedule.take_due(begin.tick);
    let throttled = Failure { after: Some(Duration::from_secs(3)), ..fails(Blame::Host, Kind::Throttled) };
    let at = |millis| after(begin, Duration::from_millis(millis));
    assert_eq!(schedule.failed(&tickets[0], &throttled, at(10)).len(), 1);
    for ticket in &tickets[1..6] {
        schedule.failed(ticket, &throttled, at(20));
    }
    for ticket in &tickets[6..] {
        assert_eq!(schedule.succeeded(ticket, None, at(30)), [], "it was asked before the gate shut");
    }
    assert!(schedule.take_due(at(2_900).tick).is_empty(), "Retry-After stands");
    let mut now = at(2_900);
    let mut ticks = Vec::new();
    while ticks.len() < 50 {
        now = after(begin, schedule.next_wake(now.tick).unwrap() - begin.tick);
        for ticket in schedule.take_due(now.tick) {
            ticks.push(now.tick);
            schedule.succeeded(&ticket, None, now);
        }
    }
    assert!(ticks[5] - ticks[0] > Duration::from_millis(500), "and so does the pace");
}

#[test]
fn a_wish_for_freshness_does_not_open_gates() {
    let now = start();
    let mut schedule = schedule([object("a", 0), object("b", 0)], now);
    let tickets = schedule.take_due(now.tick);
    schedule.failed(&tickets[0], &fails(Blame::Host, Kind::Outage), now);
    schedule.succeeded(&tickets[1], None, now);
    schedule.refresh_now(now.tick);
    let due = schedule.take_due(now.tick);
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].object(), &object("b", 0));
}

proptest! {
    /// Whatever happens, the loop never spins and nothing is forgotten.
    #[test]
    fn it_never_spins_and_forgets_nothing(outcomes in prop::collection::vec(0..7u8, 1..300), seed in any::<u64>()) {
        let begin = start();
        let mut schedule = schedule((0..6).map(|name| object(if name % 2 == 0 { "a" } else { "b" }, name)), begin);
        schedule.seed = seed;
        let mut now = begin;
        let mut in_flight: Vec<Ticket> = Vec::new();
        for outcome in outcomes {
            in_flight.extend(schedule.take_due(now.tick));
            if let Some(ticket) = in_flight.pop() {
                match outcome {
                    0 | 1 => schedule.succeeded(&ticket, None, now),
                    2 => schedule.failed(&ticket, &fails(Blame::Host, Kind::Outage), now),
                    3 => schedule.failed(&ticket, &fails(Blame::Identity, Kind::Denied), now),
                    4 => schedule.failed(&ticket, &fails(Blame::Object, Kind::Missing), now),
                    5 => schedule.failed(&ticket, &fails(Blame::Host, Kind::Throttled), now),
                    _ => schedule.failed(&ticket, &fails(Blame::Identity, Kind::Outage), now),
                };
            }
            match schedule.next_wake(now.tick) {
                Some(wake) => {
                    prop_assert!(wake > now.tick);
                    if in_flight.is_empty() {
                        now = after(begin, wake - begin.tick);
                    }
                }
                None => prop_assert!(!in_flight.is_empty() || !schedule.is_quiet()),
            }
        }
        prop_assert_eq!(schedule.due().filter(|(_, due)| due.is_none()).count(), in_flight.len());
    }
}

#[test]
fn a_host_that_hangs_leaves_places_to_the_others() {
    let now = start();
    let objects = (0..300).map(|name| object("a", name)).chain((0..10).map(|name| object("b", name)));
    let mut schedule = schedule(objects, now);
    let tickets = schedule.take_due(now.tick);
    let of = |vault: &str| tickets.iter().filter(|ticket| ticket.object().to_string().contains(vault)).count();
    assert_eq!((of("//a."), of("//b.")), (MOST_IN_FLIGHT_PER_HOST, 10));
    assert_eq!(schedule.next_wake(now.tick), None, "an end in flight is the next event");
    let hangs = tickets.iter().find(|ticket| ticket.object().to_string().contains("//a.")).unwrap();
    schedule.failed(hangs, &fails(Blame::Object, Kind::Missing), now);
    assert_eq!(schedule.take_due(now.tick).len(), 1);
}

#[test]
fn what_was_in_flight_when_somebody_wanted_it_fresh_is_asked_for_again() {
    let now = start();
    let mut schedule = schedule([object("a", 0)], now);
    let tickets = schedule.take_due(now.tick);
    schedule.refresh_now(now.tick);
    schedule.succeeded(&tickets[0], None, now);
    let again = schedule.take_due(now.tick);
    assert_eq!(again.len(), 1, "what came may be older than the wish");
    schedule.succeeded(&again[0], None, now);
    assert!(schedule.take_due(now.tick).is_empty());
}

#[test]
fn a_wish_outlives_the_failure_of_what_was_in_flight() {
    let now = start();
    let mut schedule = schedule([object("a", 0)], now);
    let tickets = schedule.take_due(now.tick);
    schedule.refresh_now(now.tick);
    schedule.failed(&tickets[0], &fails(Blame::Object, Kind::Missing), now);
    let again = schedule.take_due(now.tick);
    assert_eq!(again.len(), 1, "somebody may have mended it meanwhile");
    schedule.failed(&again[0], &fails(Blame::Object, Kind::Missing), now);
    assert!(schedule.take_due(now.tick).is_empty(), "once");
}

#[test]
fn what_stands_by_sleeps_until_it_is_needed() {
    let now = start();
    let standby = object("b", 0);
    let objects = [object("a", 0), standby.clone()].map(|object| (object, INTERVAL)).into();
    let plan = Plan { standbys: BTreeSet::from([standby.clone()]), ..plan(objects) };
    let mut schedule = Schedule::new(&plan, 1, now);
    let tickets = schedule.take_due(now.tick);
    assert_eq!(tickets.len(), 1);
    assert!(schedule.awaken(&standby, now.tick));
    let woken = schedule.take_due(now.tick);
    assert_eq!(woken[0].object(), &standby);
    assert!(schedule.awaken(&standby, now.tick), "it is on its way");
    schedule.stood_by(&woken[0], now);
    assert!(schedule.take_due(now.tick).is_empty());
    schedule.awaken(&standby, now.tick);
    let woken = schedule.take_due(now.tick);
    schedule.failed(&woken[0], &fails(Blame::Object, Kind::Denied), now);
    assert!(!schedule.awaken(&standby, now.tick), "it is known to fail");
    schedule.rest(&standby);
    assert!(schedule.take_due(after(now, Duration::from_hours(9)).tick).is_empty());
}

#[test]
fn what_stands_by_is_not_woken_by_a_wish_for_freshness() {
    let (now, standby) = (start(), object("b", 0));
    let objects = [object("a", 0), standby.clone()].map(|object| (object, INTERVAL)).into();
    let plan = Plan { standbys: BTreeSet::from([standby.clone()]), ..plan(objects) };
    let mut schedule = Schedule::new(&plan, 1, now);
    let tickets = schedule.take_due(now.tick);
    schedule.succeeded(&tickets[0], None, now);
    schedule.awaken(&standby, now.tick);
    let woken = schedule.take_due(now.tick);
    schedule.refresh_now(now.tick);
    schedule.stood_by(&woken[0], now);
    let asked: Vec<Ticket> = schedule.take_due(now.tick);
    assert!(asked.iter().all(|ticket| *ticket.object() != standby));
}

#[test]
fn what_is_made_anew_follows_its_life_and_never_spins() {
    let now = start();
    let mut schedule = schedule([object("a", 0)], now);
    let tickets = schedule.take_due(now.tick);
    schedule.made(&tickets[0], now.tick + Duration::from_mins(45), now);
    assert_eq!(schedule.next_wake(now.tick), Some(now.tick + Duration::from_mins(45)));
    let now = after(now, Duration::from_mins(45));
    let tickets = schedule.take_due(now.tick);
    schedule.made(&tickets[0], now.tick, now);
    assert_eq!(schedule.next_wake(now.tick), Some(now.tick + Duration::from_secs(1)));
}

#[test]
fn a_wish_for_freshness_does_not_send_the_same_one_to_a_shut_gate_again() {
    let now = start();
    let mut schedule = schedule((0..5).map(|name| object("a", name)), now);
    let down = fails(Blame::Host, Kind::Outage);
    for ticket in schedule.take_due(now.tick) {
        schedule.failed(&ticket, &down, now);
    }
    let mut gaps = Vec::new();
    let mut at = now;
    for _ in 0..4 {
        schedule.refresh_now(at.tick);
        let wake = schedule.next_wake(at.tick).unwrap();
        gaps.push(wake - at.tick);
        at = after(now, wake - now.tick);
        let [probe] = &schedule.take_due(at.tick)[..] else { panic!("one probe") };
        schedule.failed(probe, &down, at);
    }
    for (gap, least) in gaps.iter().zip([0.8, 1.6, 3.2, 6.4]) {
        assert!(*gap >= Duration::from_secs_f64(least), "{gaps:?}");
    }
}

#[test]
fn one_object_that_is_turned_away_and_then_answered_is_no_news_at_all() {
    let now = start();
    let mut schedule = schedule((0..2).map(|name| object("a", name)), now);
    let tickets = schedule.take_due(now.tick);
    assert_eq!(schedule.succeeded(&tickets[1], None, now), []);
    assert_eq!(schedule.failed(&tickets[0], &fails(Blame::Host, Kind::Outage), now), []);
    let later = after(now, Duration::from_secs(2));
    let [probe] = &schedule.take_due(later.tick)[..] else { panic!("one probe") };
    assert_eq!(probe.object(), &object("a", 0));
    assert_eq!(schedule.succeeded(probe, None, later), []);
}

#[test]
fn one_object_that_is_turned_away_alone_is_no_news_of_its_host() {
    let now = start();
    let mut schedule = schedule((0..3).map(|name| object("a", name)), now);
    let tickets = schedule.take_due(now.tick);
    let bad = fails(Blame::Host, Kind::Outage);
    assert_eq!(schedule.failed(&tickets[0], &bad, now), []);
    assert_eq!(schedule.succeeded(&tickets[1], None, now), [], "who was on his way proves nothing");
    assert_eq!(schedule.failed(&tickets[2], &fails(Blame::Object, Kind::Missing), now), []);
    // The others pass, and it is turned away again and again.
    let mut now = now;
    let mut told = Vec::new();
    for _ in 0..20 {
        let wake = schedule.next_wake(now.tick).unwrap();
        now = after(now, wake - now.tick);
        for ticket in schedule.take_due(now.tick) {
            let changes = if *ticket.object() == object("a", 0) {
                schedule.failed(&ticket, &bad, now)
            } else {
                schedule.succeeded(&ticket, None, now)
            };
            told.extend(changes);
        }
    }
    assert!(!told.is_empty());
    for change in told {
        let GateChange::Alone { object: alone, .. } = change else { panic!("{change:?}") };
        assert_eq!(alone, object("a", 0));
    }
}

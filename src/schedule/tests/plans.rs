//! Another plan while the old one is under way.

use super::lists::{CHANGED, shows, stamp};
use super::*;

fn of(objects: impl IntoIterator<Item = Object>) -> Plan {
    plan(objects.into_iter().map(|object| (object, INTERVAL)).collect())
}

fn due(schedule: &Schedule, object: &Object) -> Option<Instant> {
    schedule.due().find(|(one, _)| *one == object).expect("it is in the plan").1
}

#[test]
fn what_stays_keeps_its_time_what_is_new_is_due_and_what_is_gone_is_not_asked_for() {
    let now = start();
    let mut schedule = schedule([object("a", 0), object("a", 1)], now);
    for ticket in schedule.take_due(now.tick) {
        schedule.succeeded(&ticket, None, now);
    }
    let slot = due(&schedule, &object("a", 0));
    let later = after(now, Duration::from_secs(20));
    schedule.replan(&of([object("a", 0), object("b", 7)]), later);
    assert_eq!(due(&schedule, &object("a", 0)), slot);
    assert_eq!(due(&schedule, &object("b", 7)), Some(later.tick));
    assert_eq!(schedule.due().count(), 2);
    let [new] = &schedule.take_due(later.tick)[..] else { panic!("the new one alone") };
    assert_eq!(new.object(), &object("b", 7));
}

#[test]
fn failures_and_gates_outlive_the_plan() {
    let now = start();
    let mut schedule = schedule((0..3).map(|name| object("a", name)), now);
    let down = Failure { after: Some(Duration::from_mins(2)), ..fails(Blame::Host, Kind::Outage) };
    for ticket in schedule.take_due(now.tick) {
        schedule.failed(&ticket, &down, now);
    }
    schedule.replan(&of((1..5).map(|name| object("a", name))), now);
    assert!(
        schedule.take_due(after(now, Duration::from_secs(100)).tick).is_empty(),
        "Retry-After stands for new ones too"
    );
    let later = after(now, Duration::from_mins(3));
    assert_eq!(schedule.take_due(later.tick).len(), 1, "one probe");
    assert_eq!(schedule.entries.values().map(|entry| entry.failures).collect::<Vec<_>>(), [1, 1, 0, 0]);
}

#[test]
fn a_shorter_interval_pulls_forward_and_a_longer_one_pushes_nothing_back() {
    let now = start();
    let mut schedule = schedule([object("a", 0)], now);
    let ticket = schedule_one(&mut schedule, now);
    schedule.succeeded(&ticket, None, now);
    let before = due(&schedule, &object("a", 0)).unwrap();
    let with = |interval| plan([(object("a", 0), interval)].into());
    schedule.replan(&with(INTERVAL * 100), now);
    assert_eq!(due(&schedule, &object("a", 0)), Some(before));
    schedule.replan(&with(Duration::from_secs(10)), now);
    assert!(due(&schedule, &object("a", 0)).unwrap() <= now.tick + Duration::from_secs(11));
}

#[track_caller]
fn schedule_one(schedule: &mut Schedule, now: Moment) -> Ticket {
    schedule.take_due(now.tick).pop().expect("one is due")
}

#[test]
fn a_ticket_of_an_older_plan_is_dropped_and_its_object_asked_for_when_it_is_back() {
    let now = start();
    let mut schedule = schedule([object("a", 0), object("a", 1)], now);
    let old = schedule.take_due(now.tick);
    schedule.replan(&of([object("a", 0)]), now);
    assert!(schedule.take_due(now.tick).is_empty(), "never two for one object");
    assert!(!schedule.is_quiet());
    assert_eq!(schedule.succeeded(&old[0], None, now), []);
    let new = schedule_one(&mut schedule, now);
    assert_eq!(new.object(), &object("a", 0));
    // What is gone may bring what it likes.
    assert_eq!(schedule.failed(&old[1], &fails(Blame::Host, Kind::Denied), now), []);
    assert_eq!(schedule.succeeded(&new, None, now), []);
    assert!(schedule.is_quiet());
    assert_eq!((schedule.entries.len(), schedule.doors.iter().any(|door| !door.lets_list_pass(now.tick))), (1, false));
}

#[test]
fn what_is_gone_and_back_is_not_asked_for_twice_at_once() {
    let now = start();
    let mut schedule = schedule([object("a", 0)], now);
    let old = schedule_one(&mut schedule, now);
    schedule.replan(&of([]), now);
    assert_eq!(schedule.due().count(), 0);
    schedule.replan(&of([object("a", 0)]), now);
    assert!(schedule.take_due(now.tick).is_empty());
    schedule.failed(&old, &fails(Blame::Object, Kind::Missing), now);
    let new = schedule_one(&mut schedule, now);
    schedule.failed(&new, &fails(Blame::Object, Kind::Missing), now);
    assert_eq!(schedule.entries.values().next().unwrap().failures, 1, "what was dropped counts for nothing");
}

#[test]
fn a_probe_of_an_older_plan_leaves_its_place_to_the_next() {
    let now = start();
    let mut schedule = schedule((0..3).map(|name| object("a", name)), now);
    let down = fails(Blame::Host, Kind::Outage);
    for ticket in schedule.take_due(now.tick) {
        schedule.failed(&ticket, &down, now);
    }
    let later = after(now, Duration::from_secs(2));
    let probe = schedule_one(&mut schedule, later);
    schedule.replan(&of((0..3).map(|name| object("a", name)).filter(|object| object != probe.object())), later);
    assert_eq!(schedule.next_wake(later.tick), None, "its outcome is awaited");
    schedule.failed(&probe, &down, later);
    assert_eq!(schedule.take_due(later.tick).len(), 1);
}

#[test]
fn a_list_of_an_older_plan_is_dropped_too() {
    let now = start();
    let objects = || (0..3).map(|name| object("a", name));
    let mut schedule = schedule(objects(), now);
    for ticket in schedule.take_due(now.tick) {
        schedule.came(&ticket, (None, Some(stamp(CHANGED))), now);
    }
    let slot = after(now, schedule.next_wake(now.tick).unwrap() - now.tick);
    let old = schedule.take_surveys(slot.tick).pop().unwrap();
    schedule.replan(&of(objects().skip(1)), slot);
    assert!(schedule.take_surveys(slot.tick).is_empty() && schedule.take_due(slot.tick).is_empty());
    let list = || Ok(shows(1, objects().map(|object| (object, CHANGED))));
    assert_eq!(schedule.surveyed(&old, &list(), slot).unchanged, []);
    assert!(schedule.is_quiet());
    let new = schedule.take_surveys(slot.tick).pop().expect("what was known is known");
    assert_eq!(schedule.surveyed(&new, &list(), slot).unchanged.len(), 2);
}

#[test]
fn whoever_is_new_to_an_object_that_stays_gets_it_now() {
    let now = start();
    let mut schedule = schedule([object("a", 0), object("a", 1), object("a", 2)], now);
    for ticket in schedule.take_due(now.tick) {
        schedule.came(&ticket, (None, Some(stamp(CHANGED))), now);
    }
    schedule.want(&object("a", 0), now.tick);
    let ticket = schedule_one(&mut schedule, now);
    assert_eq!(ticket.object(), &object("a", 0));
    // Once more while it is under way: what comes may be cut for the old names only.
    schedule.want(&object("a", 0), now.tick);
    schedule.came(&ticket, (None, Some(stamp(CHANGED))), now);
    let ticket = schedule_one(&mut schedule, now);
    schedule.failed(&ticket, &fails(Blame::Object, Kind::Missing), now);
    schedule.want(&object("a", 0), now.tick);
    let ticket = schedule_one(&mut schedule, now);
    assert_eq!(ticket.object(), &object("a", 0), "whoever wants it may have mended what failed");
    schedule.want(&object("b", 9), now.tick);
}

#[test]
fn standbys_change_their_part() {
    let now = start();
    let objects = [object("a", 0), object("b", 0)];
    let with = |standby: Option<usize>| {
        let standbys = standby.map(|number| objects[number].clone()).into_iter().collect();
        Plan { standbys, ..of(objects.clone()) }
    };
    let mut schedule = Schedule::new(&with(Some(1)), 1, now);
    let ticket = schedule_one(&mut schedule, now);
    schedule.succeeded(&ticket, None, now);
    assert_eq!(due(&schedule, &objects[1]), None);
    schedule.replan(&with(None), now);
    assert_eq!(due(&schedule, &objects[1]), Some(now.tick));
    schedule.replan(&with(Some(0)), now);
    assert_eq!((due(&schedule, &objects[0]), due(&schedule, &objects[1])), (None, Some(now.tick)));
}

#[test]
fn an_outage_is_told_at_once_where_nobody_else_stands() {
    let now = start();
    for (behind, told) in [(1, 1), (2, 0)] {
        let mut schedule = schedule((0..3).map(|name| object("a", name)), now);
        for ticket in schedule.take_due(now.tick) {
            schedule.succeeded(&ticket, None, now);
        }
        // Whose trouble it is depends on who stands there now.
        schedule.replan(&of((5..5 + behind).map(|name| object("a", name))), now);
        let ticket = schedule_one(&mut schedule, now);
        assert_eq!(schedule.failed(&ticket, &fails(Blame::Host, Kind::Outage), now).len(), told);
    }
}

#[test]
fn places_are_shared_as_the_hosts_of_the_present_plan_want() {
    let now = start();
    let mut schedule = schedule((0..200).map(|name| object("a", name)), now);
    let old = schedule.take_due(now.tick);
    assert_eq!(old.len(), MOST_IN_FLIGHT);
    schedule.replan(&of((0..200).map(|name| object("a", name)).chain([object("b", 0)])), now);
    assert!(schedule.take_due(now.tick).is_empty(), "old ones count");
    for ticket in &old {
        schedule.succeeded(ticket, None, now);
    }
    assert_eq!(schedule.take_due(now.tick).len(), MOST_IN_FLIGHT_PER_HOST + 1);
}

#[test]
fn what_stands_by_since_it_is_in_flight_is_not_asked_for_once_more() {
    let now = start();
    let objects = [object("a", 0), object("b", 0)];
    let with = |standby: &[usize]| Plan {
        standbys: standby.iter().map(|number| objects[*number].clone()).collect(),
        ..of(objects.clone())
    };
    for (needed, asked) in [(false, 0), (true, 1)] {
        let mut schedule = Schedule::new(&with(&[]), 1, now);
        let tickets = schedule.take_due(now.tick);
        schedule.replan(&with(&[1]), now);
        schedule.replan(&with(&[1]), now);
        if needed {
            assert!(schedule.awaken(&objects[1], now.tick), "it is being asked for");
        }
        for ticket in &tickets {
            schedule.succeeded(ticket, None, now);
        }
        let again = schedule.take_due(now.tick);
        assert_eq!(again.iter().filter(|ticket| *ticket.object() == objects[1]).count(), asked);
        for ticket in &again {
            schedule.stood_by(ticket, now);
        }
    }
    // Not even from a list.
    let mut schedule = schedule((0..3).map(|name| object("a", name)), now);
    for ticket in schedule.take_due(now.tick) {
        schedule.came(&ticket, (None, Some(stamp(CHANGED))), now);
    }
    let slot = after(now, schedule.next_wake(now.tick).unwrap() - now.tick);
    let list = schedule.take_surveys(slot.tick).pop().unwrap();
    let standbys = BTreeSet::from([object("a", 0)]);
    schedule.replan(&Plan { standbys, ..of((0..3).map(|name| object("a", name))) }, slot);
    schedule.surveyed(&list, &Err(fails(Blame::Object, Kind::Outage)), slot);
    assert_eq!(due(&schedule, &object("a", 0)), None);
    assert_eq!(schedule.take_surveys(slot.tick).len() + schedule.take_due(slot.tick).len(), 1);
}

#[test]
fn a_shorter_interval_is_nothing_to_what_has_a_life_of_its_own() {
    let now = start();
    let mut schedule = schedule([object("a", 0)], now);
    let ticket = schedule_one(&mut schedule, now);
    schedule.made(&ticket, now.tick + INTERVAL * 3, now);
    schedule.replan(&plan([(object("a", 0), Duration::from_secs(10))].into()), now);
    assert_eq!(due(&schedule, &object("a", 0)), Some(now.tick + INTERVAL * 3));
}

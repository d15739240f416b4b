//! Lists in place of objects.

use super::*;
use crate::schedule::survey::SurveyTicket;
use crate::survey::{End, Stamp, Survey};

pub(super) const CHANGED: u64 = 1_600_000_000;

pub(super) fn stamp(seconds: u64) -> Stamp {
    let at = UnixTime::from_seconds(seconds).unwrap();
    Stamp { created: Some(at), updated: at, expires: None }
}

fn name(object: &Object) -> ObjectName {
    Shelf::of(object).unwrap().1.clone()
}

/// A whole list that shows these, changed then.
pub(super) fn shows(pages: u32, objects: impl IntoIterator<Item = (Object, u64)>) -> Survey {
    let objects: Vec<(ObjectName, u64)> = objects.into_iter().map(|(object, at)| (name(&object), at)).collect();
    let mut survey = Survey::of((0..100).map(|number| name(&object("a", number))).collect());
    survey.pages = pages;
    for (name, at) in objects {
        survey.show(name, Some(stamp(at)));
    }
    survey
}

fn all(count: usize) -> impl Iterator<Item = Object> {
    (0..count).map(|name| object("a", name))
}

/// One that was not read to its end.
fn cut(pages: u32, objects: impl IntoIterator<Item = (Object, u64)>) -> Survey {
    let mut survey = shows(pages, objects);
    survey.end = End::TooLong;
    survey
}

/// So many objects of one vault, read once, with what a list shows of them; and the slot at which all are due.
fn read_once(count: usize) -> (Schedule, Moment) {
    let now = start();
    let mut schedule = schedule(all(count), now);
    assert!(schedule.take_surveys(now.tick).is_empty(), "what was never read cannot be proven");
    fetch(&mut schedule, now);
    let slot = after(now, schedule.next_wake(now.tick).unwrap() - now.tick);
    (schedule, slot)
}

/// Asks for all that is due, until nothing is.
fn fetch(schedule: &mut Schedule, now: Moment) -> usize {
    let mut fetched = 0;
    loop {
        let tickets = schedule.take_due(now.tick);
        if tickets.is_empty() {
            return fetched;
        }
        for ticket in tickets {
            fetched += 1;
            schedule.came(&ticket, (None, Some(stamp(CHANGED))), now);
        }
    }
}

/// The one list that is to be read now.
#[track_caller]
fn one(schedule: &mut Schedule, now: Moment) -> SurveyTicket {
    let mut tickets = schedule.take_surveys(now.tick);
    assert_eq!(tickets.len(), 1);
    tickets.pop().unwrap()
}

fn next(schedule: &Schedule, now: Moment) -> Moment {
    after(now, schedule.next_wake(now.tick).unwrap() - now.tick)
}

#[test]
fn one_list_stands_for_all_that_are_due_together() {
    let (mut schedule, slot) = read_once(100);
    let ticket = one(&mut schedule, slot);
    assert_eq!((ticket.shelf(), ticket.most_pages()), (&Shelf::of(&object("a", 0)).unwrap().0, 99));
    assert!(schedule.take_due(slot.tick).is_empty(), "nobody asks for them meanwhile");
    assert!(schedule.take_surveys(slot.tick).is_empty());
    assert_eq!(schedule.next_wake(slot.tick), None);
    assert!(!schedule.is_quiet());
    let list = shows(4, all(100).map(|object| (object, CHANGED)));
    let surveyed = schedule.surveyed(&ticket, &Ok(list), slot);
    assert_eq!((surveyed.unchanged.len(), surveyed.changes), (100, vec![]));
    assert!(schedule.is_quiet() && schedule.take_due(slot.tick).is_empty());
    assert_eq!(schedule.next_wake(slot.tick), Some(slot.tick + INTERVAL), "a slot later");
}

#[test]
fn a_day_costs_little_more_than_the_cheaper_of_the_two() {
    for (wanted, in_vault) in [
        (1, 1),
        (2, 2),
        (2, 26),
        (3, 1_000),
        (20, 480),
        (20, 500),
        (40, 1_000),
        (41, 1_000),
        (100, 100),
        (100, 1_000),
        (250, 10_000),
    ] {
        let pages = u32::try_from(usize::div_ceil(in_vault, 25)).unwrap();
        let (mut schedule, mut now) = read_once(wanted);
        let end = now.tick + Duration::from_hours(24);
        let (mut requests, mut cycles) = (0, 0);
        while now.tick < end {
            cycles += 1;
            for ticket in schedule.take_surveys(now.tick) {
                // Of a list that is cut, nothing that is wanted was on its first pages.
                let is_whole = pages <= ticket.most_pages();
                requests += usize::try_from(pages.min(ticket.most_pages())).unwrap();
                let list = if is_whole {
                    shows(pages, all(wanted).map(|object| (object, CHANGED)))
                } else {
                    cut(ticket.most_pages(), [])
                };
                schedule.surveyed(&ticket, &Ok(list), now);
            }
            requests += fetch(&mut schedule, now);
            now = next(&schedule, now);
        }
        let cheaper = cycles * wanted.min(pages as usize);
        // The values once or twice, and one list in vain.
        let most = cheaper + 3 * wanted;
        assert!(
            cycles <= 98 && (cheaper..=most).contains(&requests),
            "{wanted} of {in_vault}: {requests}, not {cheaper}"
        );
    }
}

#[test]
fn what_a_list_does_not_prove_is_asked_for() {
    let (mut schedule, slot) = read_once(5);
    let ticket = one(&mut schedule, slot);
    let mut list = shows(1, [(object("a", 0), CHANGED), (object("a", 1), CHANGED + 1)]);
    // One that is disabled, or says nothing that makes sense; one that is there twice; one that is not there.
    list.show(name(&object("a", 2)), None);
    list.show(name(&object("a", 3)), Some(stamp(CHANGED)));
    list.show(name(&object("a", 3)), Some(stamp(CHANGED + 1)));
    let surveyed = schedule.surveyed(&ticket, &Ok(list), slot);
    assert_eq!(surveyed.unchanged, [object("a", 0)]);
    assert!(schedule.take_surveys(slot.tick).is_empty(), "by itself");
    let asked: Vec<Object> = schedule.take_due(slot.tick).iter().map(|ticket| ticket.object().clone()).collect();
    assert_eq!(asked, [1, 2, 3, 4].map(|name| object("a", name)));
}

#[test]
fn a_list_is_read_only_where_it_costs_less() {
    let (mut schedule, slot) = read_once(1);
    assert!(schedule.take_surveys(slot.tick).is_empty(), "one page for one object saves nothing");
    let (mut schedule, mut slot) = read_once(3);
    let ticket = one(&mut schedule, slot);
    assert_eq!(ticket.most_pages(), 2);
    // The vault is larger than that.
    let list = cut(2, [(object("a", 0), CHANGED)]);
    assert_eq!(schedule.surveyed(&ticket, &Ok(list), slot).unchanged.len(), 1, "what it showed is proven all the same");
    assert_eq!(fetch(&mut schedule, slot), 2);
    // And that is remembered, for a day.
    let mut lists = 0;
    for _ in 0..4 * 24 {
        slot = next(&schedule, slot);
        for ticket in schedule.take_surveys(slot.tick) {
            lists += 1;
            schedule.surveyed(&ticket, &Ok(cut(2, [])), slot);
        }
        assert_eq!(fetch(&mut schedule, slot), 3);
    }
    assert_eq!(lists, 1);
}

#[test]
fn never_means_never() {
    let now = start();
    let objects = all(10).map(|object| (object, INTERVAL)).collect();
    let mut schedule = Schedule::new(&Plan { list: List::Never, ..plan(objects) }, 1, now);
    fetch(&mut schedule, now);
    let slot = next(&schedule, now);
    assert!(schedule.take_surveys(slot.tick).is_empty());
    assert_eq!(schedule.take_due(slot.tick).len(), 10);
}

#[test]
fn a_denial_is_learnt_once_and_forgotten_when_somebody_wants_everything_fresh() {
    let (mut schedule, mut slot) = read_once(10);
    let denied = Err(fails(Blame::Object, Kind::Denied));
    let ticket = one(&mut schedule, slot);
    let surveyed = schedule.surveyed(&ticket, &denied, slot);
    assert_eq!((surveyed.unchanged.len(), surveyed.changes), (0, vec![]));
    for _ in 0..90 {
        assert_eq!(fetch(&mut schedule, slot), 10, "nobody else is held back");
        slot = next(&schedule, slot);
        assert!(schedule.take_surveys(slot.tick).is_empty());
    }
    schedule.refresh_now(slot.tick);
    assert!(schedule.take_surveys(slot.tick).is_empty(), "a refresh is in full");
    assert_eq!(fetch(&mut schedule, slot), 10);
    slot = next(&schedule, slot);
    one(&mut schedule, slot);
}

#[test]
fn a_list_that_is_never_any_use_is_left_alone() {
    let useless: [Result<Survey, Failure>; 3] =
        [Ok(shows(1, [])), Err(fails(Blame::Object, Kind::Outage)), Ok(shows(9, all(9).map(|one| (one, CHANGED))))];
    for result in useless {
        let (mut schedule, mut slot) = read_once(10);
        let mut lists = 0;
        for _ in 0..30 {
            for ticket in schedule.take_surveys(slot.tick) {
                lists += 1;
                schedule.surveyed(&ticket, &result, slot);
            }
            fetch(&mut schedule, slot);
            slot = next(&schedule, slot);
        }
        assert_eq!(lists, 3, "{result:?}");
    }
}

#[test]
fn a_list_that_meets_an_outage_holds_everybody_back_and_is_no_objects_trouble() {
    let (mut schedule, slot) = read_once(10);
    let down = fails(Blame::Host, Kind::Outage);
    let ticket = one(&mut schedule, slot);
    assert_eq!(schedule.surveyed(&ticket, &Err(down.clone()), slot).changes, [], "it may be the list's own trouble");
    assert!(schedule.take_due(slot.tick).is_empty() && schedule.take_surveys(slot.tick).is_empty());
    let later = next(&schedule, slot);
    assert!(later.tick - slot.tick >= Duration::from_millis(800));
    assert!(schedule.take_surveys(later.tick).is_empty(), "a list is no probe");
    let [probe] = &schedule.take_due(later.tick)[..] else { panic!("one probe") };
    assert!(matches!(&schedule.failed(probe, &down, later)[..], [GateChange::Shut { .. }]), "now it is the host's");
    let later = after(slot, Duration::from_mins(5));
    let [probe] = &schedule.take_due(later.tick)[..] else { panic!("one probe") };
    assert!(matches!(&schedule.succeeded(probe, None, later)[..], [GateChange::Opened { .. }]));
    // The rest may be proven as before.
    assert_eq!(one(&mut schedule, later).most_pages(), 7);
}

#[test]
fn a_list_that_fails_alone_is_told_of_as_nobodys_trouble() {
    let (mut schedule, mut slot) = read_once(10);
    let down = Err(fails(Blame::Host, Kind::Outage));
    let (mut lists, mut told, mut fetched) = (0, Vec::new(), 0);
    let end = slot.tick + INTERVAL.saturating_mul(10);
    while slot.tick < end {
        for ticket in schedule.take_surveys(slot.tick) {
            lists += 1;
            told.extend(schedule.surveyed(&ticket, &down, slot).changes);
        }
        for ticket in schedule.take_due(slot.tick) {
            fetched += 1;
            told.extend(schedule.came(&ticket, (None, Some(stamp(CHANGED))), slot));
        }
        slot = next(&schedule, slot);
    }
    // Three in a row, and one after an hour, and after another.
    assert_eq!((lists, fetched, told), (5, 100, vec![]));
}

#[test]
fn a_throttled_list_sets_a_pace_and_a_long_one_pays_for_its_pages() {
    let (mut schedule, slot) = read_once(100);
    let ticket = one(&mut schedule, slot);
    let throttled = Failure { after: Some(Duration::from_secs(3)), ..fails(Blame::Host, Kind::Throttled) };
    let told = schedule.surveyed(&ticket, &Err(throttled), slot).changes;
    assert!(matches!(&told[..], [GateChange::Shut { .. }]), "{told:?}");
    let mut later = next(&schedule, slot);
    assert!(later.tick - slot.tick >= Duration::from_secs(3), "Retry-After");
    let [probe] = &schedule.take_due(later.tick)[..] else { panic!("one probe") };
    schedule.came(probe, (None, Some(stamp(CHANGED))), later);
    later = next(&schedule, later);
    let ticket = one(&mut schedule, later);
    let list = shows(10, all(50).map(|object| (object, CHANGED)));
    schedule.surveyed(&ticket, &Ok(list), later);
    let gap = next(&schedule, later).tick - later.tick;
    assert!(gap > Duration::from_millis(200), "{gap:?}");
}

#[test]
fn a_value_is_read_again_within_half_a_day_whatever_lists_say_and_not_all_at_once() {
    let (mut schedule, mut slot) = read_once(100);
    let begin = slot;
    let mut reads = Vec::new();
    while slot.tick < begin.tick + Duration::from_hours(13) {
        for ticket in schedule.take_surveys(slot.tick) {
            schedule.surveyed(&ticket, &Ok(shows(4, all(100).map(|object| (object, CHANGED)))), slot);
        }
        reads.push(fetch(&mut schedule, slot));
        slot = next(&schedule, slot);
    }
    assert_eq!(reads.iter().sum::<usize>(), 100);
    assert!(reads.iter().all(|reads| *reads <= 20), "{reads:?}");
    assert_eq!(reads[..4 * 7].iter().sum::<usize>(), 0, "{reads:?}");
}

#[test]
fn a_failed_object_is_asked_for_by_itself_and_its_list_stands_for_the_others() {
    let (mut schedule, slot) = read_once(5);
    let ticket = one(&mut schedule, slot);
    let list = shows(1, (0..4).map(|name| (object("a", name), CHANGED)));
    assert_eq!(schedule.surveyed(&ticket, &Ok(list), slot).unchanged.len(), 4);
    let missing = &schedule.take_due(slot.tick)[0];
    schedule.failed(missing, &fails(Blame::Object, Kind::Missing), slot);
    let later = next(&schedule, slot);
    assert!(schedule.take_surveys(later.tick).is_empty());
    assert_eq!(schedule.take_due(later.tick).len(), 1);
}

#[test]
fn a_wish_for_freshness_outlives_a_list_that_is_under_way() {
    let (mut schedule, slot) = read_once(3);
    let ticket = one(&mut schedule, slot);
    schedule.refresh_now(slot.tick);
    let list = shows(1, all(3).map(|object| (object, CHANGED)));
    assert_eq!(schedule.surveyed(&ticket, &Ok(list), slot).unchanged, []);
    assert_eq!(fetch(&mut schedule, slot), 3);
    assert!(schedule.take_due(slot.tick).is_empty(), "once");
}

#[test]
fn what_was_in_flight_when_somebody_wanted_it_fresh_is_asked_for_again_and_not_listed() {
    let now = start();
    let mut schedule = schedule(all(3), now);
    let tickets = schedule.take_due(now.tick);
    schedule.refresh_now(now.tick);
    for ticket in &tickets {
        schedule.came(ticket, (None, Some(stamp(CHANGED))), now);
    }
    assert!(schedule.take_surveys(now.tick).is_empty(), "what came may be older than the wish");
    assert_eq!(fetch(&mut schedule, now), 3);
}

#[test]
fn the_end_of_a_value_pulls_it_forward_though_a_list_proved_it() {
    let now = start();
    let mut schedule = schedule(all(3), now);
    let expires = now.wall.after(INTERVAL.saturating_mul(3) / 2);
    for ticket in schedule.take_due(now.tick) {
        schedule.came(&ticket, (Some(expires), Some(stamp(CHANGED))), now);
    }
    let slot = next(&schedule, now);
    let ticket = one(&mut schedule, slot);
    let list = shows(1, all(3).map(|object| (object, CHANGED)));
    schedule.surveyed(&ticket, &Ok(list), slot);
    let wait = next(&schedule, slot).wall;
    assert!(wait < expires && wait < slot.wall.after(INTERVAL), "{wait:?}");
}

#[test]
fn each_shelf_has_its_own_list_and_pinned_versions_have_none() {
    let pinned = |name| match object("a", name) {
        Object::Vault { identity, vault, collection, name, .. } => {
            let version = VersionId::parse("0123456789abcdef0123456789abcdef").ok();
            Object::Vault { identity, vault, collection, name, version }
        }
        other => other,
    };
    let of = |kind: Collection| {
        move |number| match object("a", number) {
            Object::Vault { identity, vault, name, version, .. } => {
                Object::Vault { identity, vault, collection: kind, name, version }
            }
            other => other,
        }
    };
    let now = start();
    let objects = (0..3)
        .map(pinned)
        .chain((3..6).map(of(Collection::Certificate)))
        .chain((6..9).map(of(Collection::Key)))
        .chain((9..12).map(of(Collection::Secret)))
        .chain((12..15).map(|name| object("b", name)));
    let mut schedule = schedule(objects, now);
    fetch(&mut schedule, now);
    let slot = next(&schedule, now);
    let tickets = schedule.take_surveys(slot.tick);
    let lists: BTreeSet<(String, Collection, u32)> = tickets
        .iter()
        .map(|ticket| (ticket.shelf().vault.to_string(), ticket.shelf().collection, ticket.most_pages()))
        .collect();
    let (a, b) = ("a.vault.azure.net".to_owned(), "b.vault.azure.net".to_owned());
    let expected = [(a.clone(), Collection::Secret, 5), (a, Collection::Key, 2), (b, Collection::Secret, 2)];
    assert_eq!(lists, BTreeSet::from(expected), "certificates stand among the secrets");
    assert_eq!(schedule.take_due(slot.tick).len(), 3);
}

#[test]
fn a_standby_that_is_needed_is_asked_for_whatever_lists_prove() {
    let (mut schedule, slot) = read_once(3);
    assert!(schedule.awaken(&object("a", 0), slot.tick));
    let ticket = one(&mut schedule, slot);
    assert_eq!(ticket.most_pages(), 1);
    assert_eq!(schedule.take_due(slot.tick).len(), 1);
}

#[test]
fn a_list_that_breaks_on_its_second_page_is_left_alone_for_a_day() {
    let hangs = End::Broken(fails(Blame::Object, Kind::Outage));
    for (end, proven) in [(End::TooLong, 0), (hangs.clone(), 0), (hangs, 25)] {
        let (mut schedule, mut slot) = read_once(100);
        let (mut lists, mut told) = (0, 0);
        for _ in 0..40 {
            for ticket in schedule.take_surveys(slot.tick) {
                lists += 1;
                let mut list = shows(1, all(proven).map(|object| (object, CHANGED)));
                list.end = end.clone();
                let surveyed = schedule.surveyed(&ticket, &Ok(list), slot);
                assert_eq!(surveyed.unchanged.len(), proven);
                told += usize::from(surveyed.is_left_alone);
            }
            fetch(&mut schedule, slot);
            slot = next(&schedule, slot);
        }
        assert_eq!((lists, told), (3, 1), "{end:?}, {proven} proven");
    }
}

#[test]
fn throttling_teaches_nothing_of_the_list() {
    let (mut schedule, mut slot) = read_once(20);
    let throttled = Err(fails(Blame::Host, Kind::Throttled));
    let whole = || Ok(shows(1, all(20).map(|object| (object, CHANGED))));
    let (mut lists, mut gets) = (0, 0);
    let end = slot.tick + INTERVAL * 20;
    while slot.tick < end {
        for ticket in schedule.take_surveys(slot.tick) {
            lists += 1;
            schedule.surveyed(&ticket, &if lists <= 3 { throttled.clone() } else { whole() }, slot);
        }
        gets += fetch(&mut schedule, slot);
        slot = next(&schedule, slot);
    }
    // Once the host answers again what is left of each of the three cycles may be listed as well.
    assert!(lists >= 20 && gets <= 3, "{lists} lists, {gets} objects");
}

#[test]
fn a_list_on_its_way_does_not_undo_the_pace_of_a_gate_that_shut_meanwhile() {
    let now = start();
    let mut schedule = schedule(all(101), now);
    fetch(&mut schedule, now);
    let slot = next(&schedule, now);
    schedule.want(&object("a", 100), slot.tick);
    let ticket = one(&mut schedule, slot);
    let get = schedule.take_due(slot.tick).pop().unwrap();
    let throttled = Failure { after: Some(Duration::from_secs(3)), ..fails(Blame::Host, Kind::Throttled) };
    schedule.failed(&get, &throttled, slot);
    assert_eq!(schedule.surveyed(&ticket, &Ok(shows(20, [])), slot).changes, [], "nor does it open the gate");
    assert!(schedule.take_due(slot.tick).is_empty());
    let later = next(&schedule, slot);
    let probe = schedule.take_due(later.tick).pop().unwrap();
    schedule.came(&probe, (None, None), later);
    let wave = schedule.take_due(later.tick).len();
    assert!(wave <= 1, "{wave} at once");
}

#[test]
fn no_list_is_the_witness_that_convicts_a_host() {
    let key = |number| match object("a", number) {
        Object::Vault { identity, vault, name, version, .. } => {
            Object::Vault { identity, vault, collection: Collection::Key, name, version }
        }
        other => other,
    };
    let down = || fails(Blame::Host, Kind::Outage);
    let begin = || {
        let now = start();
        let mut schedule = schedule(all(4).chain((10..13).map(key)), now);
        fetch(&mut schedule, now);
        let slot = next(&schedule, now);
        (schedule, slot)
    };
    // Two lists of one vault that fail together.
    let (mut schedule, slot) = begin();
    let lists = schedule.take_surveys(slot.tick);
    assert_eq!(lists.len(), 2);
    for list in &lists {
        assert_eq!(schedule.surveyed(list, &Err(down()), slot).changes, []);
    }
    let later = next(&schedule, slot);
    let [probe] = &schedule.take_due(later.tick)[..] else { panic!("one probe, which is no list") };
    assert_eq!(schedule.succeeded(probe, None, later), [], "it was no outage of the host's");
    // One object, and then a list.
    for (answers, told) in [(true, 1), (false, 1)] {
        let (mut schedule, slot) = begin();
        schedule.want(&object("a", 0), slot.tick);
        let lists = schedule.take_surveys(slot.tick);
        let sick = schedule.take_due(slot.tick).pop().unwrap();
        assert_eq!(schedule.failed(&sick, &down(), slot), []);
        for list in &lists {
            assert_eq!(schedule.surveyed(list, &Err(down()), slot).changes, []);
        }
        let later = next(&schedule, slot);
        let probe = schedule.take_due(later.tick).pop().unwrap();
        let changes =
            if answers { schedule.succeeded(&probe, None, later) } else { schedule.failed(&probe, &down(), later) };
        assert_eq!(changes.len(), told);
        assert_eq!(answers, matches!(&changes[0], GateChange::Alone { .. }), "{changes:?}");
    }
}

#[test]
fn whoever_is_wanted_fresh_is_taken_from_a_list_that_is_under_way() {
    let (mut schedule, slot) = read_once(4);
    let ticket = one(&mut schedule, slot);
    assert_eq!(ticket.wanted().len(), 4);
    schedule.want(&object("a", 0), slot.tick);
    let asked = schedule.take_due(slot.tick);
    assert_eq!(
        asked.iter().map(Ticket::object).collect::<Vec<_>>(),
        [&object("a", 0)],
        "it does not wait for the list"
    );
    schedule.refresh_now(slot.tick);
    let others = schedule.take_due(slot.tick);
    assert_eq!(others.len(), 3, "nor do all");
    for other in &others {
        schedule.came(other, (None, Some(stamp(CHANGED))), slot);
    }
    // The list has nobody left: whatever it says is nothing to those in flight, nor to those who are back.
    let before: Vec<_> = schedule.due().map(|(object, due)| (object.clone(), due)).collect();
    let list = || shows(1, all(4).map(|object| (object, CHANGED)));
    assert_eq!(schedule.surveyed(&ticket, &Ok(list()), slot).unchanged, []);
    assert_eq!(schedule.due().map(|(object, due)| (object.clone(), due)).collect::<Vec<_>>(), before);
    // Wanted once more while it was in flight.
    schedule.came(&asked[0], (None, Some(stamp(CHANGED))), slot);
    assert_eq!(fetch(&mut schedule, slot), 1);
    assert!(schedule.is_quiet());
}

#[test]
fn a_look_at_others_of_a_set_pulls_forward_what_waits_for_its_slot() {
    let now = start();
    let token = Object::File("/token".into());
    let objects: BTreeSet<Object> = all(6).chain([token.clone()]).collect();
    let intervals = objects.iter().map(|object| (object.clone(), INTERVAL)).collect();
    let standbys = BTreeSet::from([object("a", 5)]);
    let mut schedule = Schedule::new(&Plan { standbys, ..plan(intervals) }, 1, now);
    for ticket in schedule.take_due(now.tick) {
        match ticket.object() {
            one if *one == token => schedule.made(&ticket, now.tick + INTERVAL, now),
            one if *one == object("a", 4) => schedule.failed(&ticket, &fails(Blame::Object, Kind::Missing), now),
            _ => schedule.came(&ticket, (None, Some(stamp(CHANGED))), now),
        };
    }
    schedule.want(&object("a", 3), now.tick);
    assert_eq!(schedule.take_due(now.tick).len(), 1);
    let look = after(now, Duration::from_millis(1500));
    for _ in 0..2 {
        schedule.look_again(&objects, look.tick);
    }
    assert!(schedule.take_surveys(now.tick).is_empty() && schedule.take_due(now.tick).is_empty(), "not yet");
    assert_eq!(schedule.next_wake(now.tick), Some(look.tick));
    let ticket = one(&mut schedule, look);
    assert_eq!(ticket.wanted().len(), 3, "not who is in flight, failed, stands by, or has a life of its own");
    assert!(schedule.take_due(look.tick).is_empty(), "one list does for all");
    let list = shows(1, all(3).map(|object| (object, CHANGED)));
    assert_eq!(schedule.surveyed(&ticket, &Ok(list), look).unchanged.len(), 3);
}

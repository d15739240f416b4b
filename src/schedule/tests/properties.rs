//! What holds whatever happens, in whatever order: answers, failures, lists, wishes, other plans, absurd times.

use std::collections::BTreeMap;

use super::lists::{CHANGED, stamp};
use super::*;
use crate::schedule::survey::SurveyTicket;
use crate::survey::{End, Stamp, Survey};

const OBJECTS: usize = 8;
const INTERVALS: [Duration; 3] = [Duration::from_secs(30), Duration::from_mins(15), Duration::from_hours(1)];

#[derive(Debug, Clone)]
enum Op {
    Wait(u64),
    /// To the next time that the schedule itself asks for.
    Wake,
    Answer(usize, How),
    List(usize, Shows),
    Refresh,
    Replan {
        objects: u8,
        standbys: u8,
        interval: usize,
        never: bool,
    },
    Awaken(usize),
    Look(u8),
    Rest(usize),
    Want(usize),
}

#[derive(Debug, Clone)]
enum How {
    Came { expires: Option<u64>, stamped: bool },
    Made(u64),
    Fails(Failure),
}

#[derive(Debug, Clone)]
enum Shows {
    /// Those of the mask are unchanged.
    Pages(u32, bool, u8),
    Fails(Failure),
}

/// Times that no service means, and some that it may.
fn absurd() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(u64::MAX),
        Just(u64::MAX - 1),
        Just(1 << 53),
        Just((1 << 63) - 1),
        Just(1 << 63),
        1_699_990_000..1_700_100_000_u64,
        any::<u64>(),
    ]
}

fn failure() -> impl Strategy<Value = Failure> {
    let blame = prop_oneof![3 => Just(Blame::Object), 2 => Just(Blame::Host), 1 => Just(Blame::Identity)];
    let kind = prop_oneof![
        Just(Kind::Outage),
        Just(Kind::Throttled),
        Just(Kind::Denied),
        Just(Kind::Missing),
        Just(Kind::Misconfigured),
    ];
    let after =
        prop::option::weighted(0.3, prop_oneof![(0u64..600).prop_map(Duration::from_secs), Just(Duration::MAX)]);
    (blame, kind, after).prop_map(|(blame, kind, after)| Failure { after, ..fails(blame, kind) })
}

fn op() -> impl Strategy<Value = Op> {
    let how = prop_oneof![
        4 => (prop::option::of(absurd()), any::<bool>()).prop_map(|(expires, stamped)| How::Came { expires, stamped }),
        1 => absurd().prop_map(How::Made),
        3 => failure().prop_map(How::Fails),
    ];
    let shows = prop_oneof![
        3 => (prop_oneof![1u32..5, Just(u32::MAX)], any::<bool>(), any::<u8>())
            .prop_map(|(pages, whole, mask)| Shows::Pages(pages, whole, mask)),
        1 => failure().prop_map(Shows::Fails),
    ];
    let replan = (any::<u8>(), any::<u8>(), 0..INTERVALS.len(), any::<bool>()).prop_map(
        |(objects, standbys, interval, never)| Op::Replan {
            objects,
            standbys: standbys & objects & 0x11,
            interval,
            never,
        },
    );
    prop_oneof![
        3 => (0u64..2_000_000).prop_map(Op::Wait),
        6 => Just(Op::Wake),
        10 => (0usize..OBJECTS, how).prop_map(|(which, how)| Op::Answer(which, how)),
        6 => (0usize..OBJECTS, shows).prop_map(|(which, shows)| Op::List(which, shows)),
        1 => Just(Op::Refresh),
        1 => replan,
        1 => (0usize..OBJECTS).prop_map(Op::Awaken),
        1 => any::<u8>().prop_map(Op::Look),
        1 => (0usize..OBJECTS).prop_map(Op::Rest),
        1 => (0usize..OBJECTS).prop_map(Op::Want),
    ]
}

/// Six secrets of one vault, one of another, and a file, which has no gates.
fn any_object(number: usize) -> Object {
    match number {
        0..6 => object("a", number),
        6 => object("b", number),
        _ => Object::File("/x".into()),
    }
}

fn some(mask: u8) -> impl Iterator<Item = Object> {
    (0..OBJECTS).filter(move |number| mask >> number & 1 == 1).map(any_object)
}

struct Stage {
    schedule: Schedule,
    plan: Plan,
    now: Moment,
    tickets: Vec<Ticket>,
    lists: Vec<(SurveyTicket, Vec<Object>)>,
    /// When each object was last asked for, or proven to be what it was.
    seen: BTreeMap<Object, Instant>,
}

impl Stage {
    fn new(seed: u64) -> Self {
        let (now, plan) = (start(), plan(some(0xff).map(|object| (object, INTERVAL)).collect()));
        let schedule = Schedule::new(&plan, seed, now);
        Self { schedule, plan, now, tickets: Vec::new(), lists: Vec::new(), seen: BTreeMap::new() }
    }

    /// What the loop does in each of its turns.
    fn turn(&mut self) {
        let tick = self.now.tick;
        for ticket in self.schedule.take_surveys(tick) {
            let objects: Vec<Object> =
                ticket.entries.iter().map(|number| self.schedule.entries[number].object.clone()).collect();
            assert!(u64::from(ticket.most_pages()) < objects.len() as u64);
            self.lists.push((ticket, objects));
        }
        self.tickets.extend(self.schedule.take_due(tick));
        self.check();
    }

    fn check(&self) {
        let tick = self.now.tick;
        // Lists let go of what is wanted fresh meanwhile, and of what is gone.
        let on_list = |number: u64| {
            let entries = self.schedule.entries.values();
            entries.filter(move |entry| entry.flight == Flight::Listed(number)).map(|entry| &entry.object)
        };
        let listed = self.lists.iter().flat_map(|(ticket, _)| on_list(ticket.number));
        let in_flight: Vec<&Object> = self.tickets.iter().map(Ticket::object).chain(listed).collect();
        let distinct: BTreeSet<&&Object> = in_flight.iter().collect();
        assert_eq!(distinct.len(), in_flight.len(), "never two at once for one object: {in_flight:?}");
        let out = self.tickets.len() + self.lists.len();
        assert_eq!(self.schedule.in_flight, out);
        assert_eq!(self.schedule.is_quiet(), out == 0);
        for door in &self.schedule.doors {
            let passed = |object: &Object| object.gates().contains(door.gate());
            let behind = self.tickets.iter().filter(|ticket| passed(ticket.object())).count();
            let lists = self.lists.iter().filter(|(ticket, _)| ticket.shelf().gates().contains(door.gate())).count();
            assert_eq!(door.in_flight, behind + lists, "{door:?}");
        }
        let waiting: BTreeSet<(Instant, usize)> =
            self.schedule.entries.iter().filter_map(|(number, entry)| Some((entry.due?, *number))).collect();
        assert_eq!(waiting, self.schedule.waiting);
        assert!(self.schedule.entries.values().all(|entry| entry.due.is_none() || !entry.is_in_flight()));
        let planned: BTreeSet<&Object> = self.plan.objects.keys().collect();
        assert_eq!(self.schedule.due().map(|(object, _)| object).collect::<BTreeSet<_>>(), planned);
        match self.schedule.next_wake(tick) {
            Some(wake) => assert!(wake > tick, "never spins"),
            None => assert!(out > 0 || self.schedule.waiting.is_empty()),
        }
    }

    fn to(&mut self, tick: Instant) {
        let elapsed = tick.saturating_duration_since(self.now.tick);
        self.now = after(self.now, elapsed);
    }

    /// Nobody wakes up for nothing.
    fn wake(&mut self) {
        if let Some(wake) = self.schedule.next_wake(self.now.tick) {
            let before = self.tickets.len() + self.lists.len();
            self.to(wake);
            self.turn();
            assert!(self.tickets.len() + self.lists.len() > before);
        }
    }

    fn answer(&mut self, ticket: &Ticket, how: &How) {
        let now = self.now;
        self.seen.insert(ticket.object().clone(), now.tick);
        match how {
            How::Came { expires, stamped } => {
                // Whatever came through the edge, or past it.
                let expires =
                    expires.map(|at| UnixTime::from_seconds(at).unwrap_or(UnixTime::new(Duration::from_secs(at))));
                self.schedule.came(ticket, (expires, stamped.then(|| stamp(CHANGED))), now)
            }
            How::Made(seconds) => {
                self.schedule.made(ticket, later(now.tick, Duration::from_secs(seconds % (1 << 20))), now)
            }
            How::Fails(failure) => self.schedule.failed(ticket, failure, now),
        };
    }

    fn list(&mut self, (ticket, objects): &(SurveyTicket, Vec<Object>), shows: &Shows) {
        let result = match shows {
            Shows::Fails(failure) => Err(failure.clone()),
            Shows::Pages(pages, whole, mask) => {
                let mut survey = Survey::of(ticket.wanted().clone());
                survey.pages = (*pages).min(ticket.most_pages());
                survey.end = if *whole { End::Whole } else { End::TooLong };
                for object in some(*mask).filter(|object| objects.contains(object)) {
                    survey.show(Shelf::of(&object).unwrap().1.clone(), Some(stamp(CHANGED)));
                }
                Ok(survey)
            }
        };
        let surveyed = self.schedule.surveyed(ticket, &result, self.now);
        for object in surveyed.unchanged {
            assert!(objects.contains(&object));
            self.seen.insert(object, self.now.tick);
        }
    }

    fn act(&mut self, op: Op) {
        match op {
            Op::Wait(millis) => self.to(self.now.tick + Duration::from_millis(millis)),
            Op::Wake => self.wake(),
            Op::Answer(which, how) => {
                if which < self.tickets.len() {
                    let ticket = self.tickets.swap_remove(which);
                    self.answer(&ticket, &how);
                }
            }
            Op::List(which, shows) => {
                if which < self.lists.len() {
                    let list = self.lists.swap_remove(which);
                    self.list(&list, &shows);
                }
            }
            Op::Refresh => self.schedule.refresh_now(self.now.tick),
            Op::Replan { objects, standbys, interval, never } => {
                let objects = some(objects).map(|object| (object, INTERVALS[interval])).collect();
                let list = if never { List::Never } else { List::Auto };
                self.plan = Plan { list, standbys: some(standbys).collect(), ..plan(objects) };
                self.schedule.replan(&self.plan, self.now);
            }
            Op::Awaken(which) => drop(self.schedule.awaken(&any_object(which), self.now.tick)),
            Op::Look(mask) => {
                self.schedule.look_again(&some(mask).collect(), self.now.tick + Duration::from_millis(1500));
            }
            Op::Rest(which) => {
                let standby = any_object(which);
                if self.plan.standbys.contains(&standby) {
                    self.schedule.rest(&standby);
                }
            }
            Op::Want(which) => self.schedule.want(&any_object(which), self.now.tick),
        }
    }

    /// From now on all is well: everything is asked for within the longest of waits.
    fn recover(&mut self) {
        let begin = self.now.tick;
        let end = begin + Duration::from_mins(60 + 30);
        let mut turns = 0;
        loop {
            self.turn();
            for ticket in std::mem::take(&mut self.tickets) {
                self.answer(&ticket, &How::Came { expires: None, stamped: true });
            }
            for list in std::mem::take(&mut self.lists) {
                self.list(&list, &Shows::Pages(1, true, 0xff));
            }
            self.check();
            turns += 1;
            match self.schedule.next_wake(self.now.tick) {
                Some(wake) if wake <= end => self.to(wake),
                _ => break,
            }
        }
        // With an interval of half a minute there are two turns a minute, and not many more.
        assert!(turns < 90 * 2 + 500, "{turns} turns");
        for object in self.plan.objects.keys().filter(|object| !self.plan.standbys.contains(object)) {
            // What is made anew has a life of its own.
            let due = self.schedule.due().find(|(one, _)| *one == object).unwrap().1;
            let is_seen = self.seen.get(object).is_some_and(|seen| *seen >= begin);
            assert!(is_seen || due.is_some_and(|due| due > end), "{object} is forgotten");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// It never spins, never asks twice at once, counts right, and forgets nothing, also when the plan changes.
    #[test]
    fn whatever_happens(ops in prop::collection::vec(op(), 1..80), seed in any::<u64>()) {
        let mut stage = Stage::new(seed);
        for op in ops {
            stage.turn();
            stage.act(op);
            stage.check();
        }
        stage.recover();
    }

    /// One object's own trouble changes nothing for the others: neither when they are asked for nor how.
    #[test]
    fn one_objects_trouble_moves_nobody_else(
        troubles in prop::collection::vec(prop::option::of((0usize..5, prop::option::of(0u64..400))), 1..60),
        seed in any::<u64>(), lists in any::<bool>(),
    ) {
        let kinds = [Kind::Missing, Kind::Denied, Kind::Outage, Kind::Throttled, Kind::Content];
        let sick = object("a", 0);
        let timeline = |is_sick: bool| {
            let begin = start();
            let list = if lists { List::Auto } else { List::Never };
            let all = (0..5).map(|name| object("a", name));
            let mut schedule =
                Schedule::new(&Plan { list, ..plan(all.map(|object| (object, INTERVAL)).collect()) }, seed, begin);
            let (mut now, mut seen, mut troubles) = (begin, Vec::new(), troubles.iter());
            while now.tick < begin.tick + INTERVAL * 6 {
                let mut proven: Vec<Object> = Vec::new();
                for ticket in schedule.take_surveys(now.tick) {
                    let mut survey = Survey::of(ticket.wanted().clone());
                    survey.pages = 1;
                    for object in (0..5).map(|name| object("a", name)) {
                        let changed = if object == sick && is_sick { CHANGED + 1 } else { CHANGED };
                        survey.show(Shelf::of(&object).unwrap().1.clone(), Some(stamp(changed)));
                    }
                    proven.extend(schedule.surveyed(&ticket, &Ok(survey), now).unchanged);
                }
                for ticket in schedule.take_due(now.tick) {
                    let trouble = troubles.next().filter(|_| is_sick && *ticket.object() == sick);
                    if let Some(Some((kind, after))) = trouble {
                        let after = after.map(Duration::from_secs);
                        schedule.failed(&ticket, &Failure { after, ..fails(Blame::Object, kinds[*kind]) }, now);
                    } else {
                        schedule.came(&ticket, (None, Some(stamp(CHANGED))), now);
                    }
                    proven.push(ticket.object().clone());
                }
                proven.sort();
                seen.extend(proven.into_iter().filter(|object| *object != sick).map(|object| (now.tick - begin.tick, object)));
                now = after(begin, schedule.next_wake(now.tick).unwrap() - begin.tick);
            }
            seen
        };
        prop_assert_eq!(timeline(false), timeline(true));
    }

    /// No clock and no number makes it overflow, or ask at once again and again.
    #[test]
    fn no_time_is_too_absurd(
        wall in absurd(), expires in absurd(), interval in absurd(), renew in absurd(), retry in absurd(), seed in any::<u64>(),
    ) {
        let walls = [Duration::from_secs(wall), Duration::from_millis(wall), Duration::MAX, Duration::ZERO];
        for wall in walls {
            let now = Moment { tick: start().tick, wall: UnixTime::new(wall) };
            let interval = Duration::from_secs(interval);
            let mut schedule = Schedule::new(&plan([(object("a", 0), interval), (object("a", 1), interval)].into()), seed, now);
            let [one, other] = &schedule.take_due(now.tick)[..] else { panic!("both") };
            let expires = UnixTime::new(Duration::from_secs(expires));
            schedule.came(one, (Some(expires), Some(Stamp { created: None, updated: expires, expires: Some(expires) })), now);
            prop_assert!(schedule.take_due(now.tick).is_empty());
            schedule.made(other, later(now.tick, Duration::from_secs(renew)), now);
            prop_assert!(schedule.take_due(now.tick).is_empty());
            let wake = schedule.next_wake(now.tick).unwrap();
            prop_assert!(wake > now.tick);
            let later = Moment { tick: wake, wall: now.wall_at(wake) };
            for ticket in schedule.take_due(later.tick) {
                let failure = Failure { after: Some(Duration::from_secs(retry)), ..fails(Blame::Host, Kind::Throttled) };
                schedule.failed(&ticket, &failure, later);
            }
            schedule.replan(&plan([(object("a", 0), Duration::MAX), (object("a", 1), Duration::ZERO)].into()), later);
            prop_assert!(schedule.next_wake(later.tick).is_none_or(|wake| wake > later.tick));
        }
    }
}

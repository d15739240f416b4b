//! When each object is asked for: one retry state machine per object, one gate per identity and per host.
//!
//! A shut gate holds everyone behind it and lets one probe through: ten objects on a dead token endpoint make one
//! request, not ten. Where a list costs less than the objects that are due together, the list is asked instead. Pure: time
//! comes in as a [`Moment`], chance as a seed, "when next?" goes out as a value.

mod backoff;
mod gate;
mod outcome;
mod pace;
mod replan;
mod slot;
mod survey;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::{Duration, Instant};

use crate::config::List;
use crate::moment::{Moment, later};
use crate::plan::Plan;
use crate::reference::{Object, Shelf};
use crate::survey::{Known, Lore};

pub use gate::GateChange;
use gate::{Door, Visitor};
pub use survey::{SurveyTicket, Surveyed};

/// The most requests under way at once: a waiting one costs its token and its buffers in memory.
pub const MOST_IN_FLIGHT: usize = 100;

/// The most of one host, where there are several: one that hangs must leave some to the others.
const MOST_IN_FLIGHT_PER_HOST: usize = MOST_IN_FLIGHT / 4 * 3;

/// The shortest time until anything is looked at again, so that the loop can never spin.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// When everything is due, and what is held back.
#[derive(Debug)]
pub struct Schedule {
    seed: u64,
    /// The number of the plan: tickets of an older one are worth nothing any more.
    plan: u64,
    list: List,
    entries: BTreeMap<usize, Entry>,
    /// No entry's number is given a second time: whoever comes back with an old one can be taken for nobody else.
    next_entry: usize,
    /// Who waits until when, the earliest first: all that [`Entry::due`] says, in order.
    waiting: BTreeSet<(Instant, usize)>,
    /// Those that no plan needs any more stay, open and unused: there are not many hosts, and numbers stay what they are.
    doors: Vec<Door>,
    lore: BTreeMap<Shelf, Lore>,
    /// Lists have numbers of their own, given once.
    next_list: u64,
    in_flight: usize,
}

/// The permission to ask for one object now. Exactly one of [`Schedule::succeeded`], [`Schedule::came`],
/// [`Schedule::made`], [`Schedule::stood_by`] and [`Schedule::failed`] takes it back.
#[derive(Debug)]
pub struct Ticket {
    plan: u64,
    entry: usize,
    object: Object,
    wants_value: bool,
}

impl Ticket {
    /// What to ask for.
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// Whether it is wanted itself: that it is what it was will not do.
    pub fn wants_value(&self) -> bool {
        self.wants_value
    }
}

#[derive(Debug)]
struct Entry {
    object: Object,
    interval: Duration,
    doors: Vec<usize>,
    is_standby: bool,
    /// When it is to be asked for; none while it is in flight, or stands by and is not needed.
    due: Option<Instant>,
    flight: Flight,
    failures: u32,
    /// It is made anew when its life wants it, whatever its interval.
    is_made: bool,
    /// What a list has to show to prove that it need not be asked for; none when only its own answer will do.
    known: Option<Known>,
    /// Whether its value is wanted, until it has come.
    wants_value: bool,
}

/// Whether an object, or the list that is asked instead, is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flight {
    No,
    /// The list of this number is asked instead, until somebody wants what no list can give.
    Listed(u64),
    Yes,
    /// And somebody wanted it fresh meanwhile: what comes may be older than that.
    Again,
    /// And it stands by since: nobody needs what comes.
    StandsBy,
    /// And no plan wants it any more. Nobody may ask for it a second time before that is over.
    Gone,
}

impl Entry {
    fn is_in_flight(&self) -> bool {
        self.flight != Flight::No
    }

    fn is_gone(&self) -> bool {
        self.flight == Flight::Gone
    }

    fn is_on_list(&self) -> bool {
        matches!(self.flight, Flight::Listed(_))
    }

    /// No list will do for it any more, nor word that it is unchanged. In flight by itself it is to be asked for once more; from its list it is taken, and
    /// then it has no due time yet, which is told.
    fn wants_its_own_answer(&mut self) -> bool {
        (self.known, self.wants_value) = (None, true);
        let is_on_list = self.is_on_list();
        if is_on_list {
            self.flight = Flight::No;
        } else if self.flight == Flight::Yes {
            self.flight = Flight::Again;
        }
        is_on_list
    }

    /// It is in flight no longer. Tells whether it was wanted fresh meanwhile.
    fn land(&mut self) -> bool {
        std::mem::replace(&mut self.flight, Flight::No) == Flight::Again
    }
}

impl Schedule {
    /// Everything is due at once, except what stands by. `seed` comes from the pod's identity: it decides the slot in the interval.
    pub fn new(plan: &Plan, seed: u64, now: Moment) -> Self {
        let mut schedule = Self {
            seed,
            plan: 0,
            list: plan.list,
            entries: BTreeMap::new(),
            next_entry: 0,
            waiting: BTreeSet::new(),
            doors: Vec::new(),
            lore: BTreeMap::new(),
            next_list: 0,
            in_flight: 0,
        };
        schedule.replan(plan, now);
        schedule
    }

    /// What may be asked for now; after [`Schedule::take_surveys`], which may spare some of it. Who has waited longest goes
    /// first; a failure makes the wait longer, so that a probe is not always the same sick object.
    pub fn take_due(&mut self, now: Instant) -> Vec<Ticket> {
        let mut tickets = Vec::new();
        let mut after = None;
        while self.in_flight < MOST_IN_FLIGHT {
            let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
            let Some(&(due, number)) =
                self.waiting.range((begin, Bound::Unbounded)).next().filter(|(due, _)| *due <= now)
            else {
                break;
            };
            after = Some((due, number));
            let Some(entry) = self.entries.get(&number) else { continue };
            let passes = |door: &usize| self.doors.get(*door).is_none_or(|door| door.lets_pass(now));
            if !entry.doors.iter().all(passes) {
                continue;
            }
            let (doors, object, wants_value) = (entry.doors.clone(), entry.object.clone(), entry.wants_value);
            self.change(&doors, |door| {
                door.pass(Visitor::Entry(number), now);
                None
            });
            self.take_off(number, Flight::Yes);
            self.in_flight += 1;
            tickets.push(Ticket { plan: self.plan, entry: number, object, wants_value });
        }
        tickets
    }

    /// When [`Schedule::take_due`] may have something again; always later than `now`. What is in flight does not count:
    /// its end is an event of its own. None when only such ends can change anything.
    pub fn next_wake(&self, now: Instant) -> Option<Instant> {
        if self.in_flight >= MOST_IN_FLIGHT {
            return None;
        }
        let opens = |door: &usize| self.doors.get(*door).map_or(Some(now), |door| door.opens(now));
        let mut wake: Option<Instant> = None;
        for (due, number) in &self.waiting {
            // Nobody further on can be earlier than this.
            if wake.is_some_and(|wake| wake <= *due) {
                break;
            }
            let doors = self.entries.get(number).map_or(&[][..], |entry| &entry.doors);
            let ready = doors.iter().map(opens).try_fold(*due, |latest, opens| Some(latest.max(opens?)));
            wake = ready.into_iter().chain(wake).min();
        }
        wake.map(|wake| wake.max(later(now, SHORTEST_WAIT)))
    }

    /// A standby object is needed: it is due now, unless it was awake. Tells whether it is being asked for, as far as is
    /// known without a failure.
    pub fn awaken(&mut self, object: &Object, now: Instant) -> bool {
        let Some(number) = self.number_of(object) else { return false };
        let Some(entry) = self.entries.get_mut(&number) else { return false };
        // Whoever needs it has no value yet: that it is what it was would not help.
        entry.known = None;
        if entry.flight == Flight::StandsBy {
            entry.flight = Flight::Yes;
        }
        if entry.due.is_none() && !entry.is_in_flight() {
            self.set_due(number, Some(now));
            return true;
        }
        entry.failures == 0
    }

    /// A standby object is not needed any more.
    pub fn rest(&mut self, object: &Object) {
        let Some(number) = self.number_of(object) else { return };
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.failures = 0;
            self.set_due(number, None);
        }
    }

    /// Somebody wants everything fresh: what waits for its slot is due now, and what is in flight as soon as it ended. What
    /// a gate holds back stays held back. No list will do for it, and what was learnt of lists may be another's word by now.
    pub fn refresh_now(&mut self, now: Instant) {
        // Whoever a shut gate has turned away last is not hurried to it again before the others: it may be his own trouble.
        let turned_away: BTreeSet<usize> = self.doors.iter().filter_map(Door::turned_away_last).collect();
        let later = self.waiting.iter().filter(|(due, number)| *due > now && !turned_away.contains(number));
        let mut hurried: Vec<usize> = later.map(|(_, number)| *number).collect();
        for (number, entry) in &mut self.entries {
            if entry.wants_its_own_answer() {
                hurried.push(*number);
            }
        }
        for number in hurried {
            self.set_due(number, Some(now));
        }
        self.lore.values_mut().for_each(Lore::forget);
    }

    /// Others of the set to which these may belong have just been changed: they are due then, unless they are sooner. A list
    /// may do for them. Not meant is what is in flight, what waits after a failure, stands by, or has a life of its own.
    pub fn look_again(&mut self, objects: &BTreeSet<Object>, at: Instant) {
        let is_meant = |entry: &Entry| {
            let waits_for_slot = entry.due > Some(at) && entry.failures == 0 && !entry.is_standby && !entry.is_made;
            waits_for_slot && objects.contains(&entry.object)
        };
        let meant: Vec<usize> =
            self.entries.iter().filter(|(_, entry)| is_meant(entry)).map(|(number, _)| *number).collect();
        for number in meant {
            self.set_due(number, Some(at));
        }
    }

    /// Whether nothing is in flight: the cycle is over, if nothing can be taken either.
    pub fn is_quiet(&self) -> bool {
        self.in_flight == 0
    }

    /// When each object will be asked for next, if nothing holds it back; none while it is in flight.
    pub fn due(&self) -> impl Iterator<Item = (&Object, Option<Instant>)> {
        self.entries.values().filter(|entry| !entry.is_gone()).map(|entry| (&entry.object, entry.due))
    }

    fn number_of(&self, object: &Object) -> Option<usize> {
        let found = self.entries.iter().find(|(_, entry)| entry.object == *object && !entry.is_gone());
        found.map(|(number, _)| *number)
    }

    /// It waits no longer: it is in flight.
    fn take_off(&mut self, number: usize, flight: Flight) {
        self.set_due(number, None);
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.flight = flight;
        }
    }

    fn set_due(&mut self, number: usize, due: Option<Instant>) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        if let Some(before) = std::mem::replace(&mut entry.due, due) {
            self.waiting.remove(&(before, number));
        }
        self.waiting.extend(due.map(|due| (due, number)));
    }

    fn change(&mut self, doors: &[usize], mut tell: impl FnMut(&mut Door) -> Option<GateChange>) -> Vec<GateChange> {
        doors.iter().filter_map(|door| self.doors.get_mut(*door).and_then(&mut tell)).collect()
    }
}

#[cfg(test)]
mod tests;

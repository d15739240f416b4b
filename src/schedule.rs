//! When each object is asked for: one retry state machine per object, one gate per identity and per host.
//!
//! A shut gate holds everyone behind it and lets one probe through: ten objects on a dead token endpoint make one
//! request, not ten. Pure: time comes in as a [`Moment`], chance as a seed, "when next?" goes out as a value.

mod backoff;
mod gate;
mod slot;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::{Duration, Instant};

use crate::failure::{Blame, Failure};
use crate::moment::{Moment, UnixTime, later};
use crate::plan::Plan;
use crate::reference::{Gate, Object};

use gate::Door;
pub use gate::GateChange;

/// The most requests under way at once: a waiting one costs its token and its buffers in memory.
pub const MOST_IN_FLIGHT: usize = 100;

/// The shortest time until anything is looked at again, so that the loop can never spin.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// When everything is due, and what is held back.
#[derive(Debug)]
pub struct Schedule {
    seed: u64,
    entries: Vec<Entry>,
    /// Who waits until when, the earliest first: all that [`Entry::due`] says, in order.
    waiting: BTreeSet<(Instant, usize)>,
    doors: Vec<Door>,
    in_flight: usize,
}

/// The permission to ask for one object now. Exactly one of [`Schedule::succeeded`] and [`Schedule::failed`] takes it back.
#[derive(Debug)]
pub struct Ticket {
    entry: usize,
    object: Object,
}

impl Ticket {
    /// What to ask for.
    pub fn object(&self) -> &Object {
        &self.object
    }
}

#[derive(Debug)]
struct Entry {
    object: Object,
    interval: Duration,
    doors: Vec<usize>,
    /// When it is to be asked for; none while it is in flight.
    due: Option<Instant>,
    failures: u32,
}

impl Schedule {
    /// Everything is due at once. `seed` comes from the pod's identity: it decides the slot in the interval.
    pub fn new(plan: &Plan, seed: u64, now: Moment) -> Self {
        let mut doors: Vec<Door> = Vec::new();
        let mut numbers: BTreeMap<Gate, usize> = BTreeMap::new();
        let entries: Vec<Entry> = plan
            .objects
            .iter()
            .map(|(object, interval)| {
                let numbers = object.gates().into_iter().map(|gate| {
                    *numbers.entry(gate).or_insert_with_key(|gate| {
                        doors.push(Door::new(gate.clone()));
                        doors.len() - 1
                    })
                });
                let doors = numbers.collect();
                Entry { object: object.clone(), interval: *interval, doors, due: Some(now.tick), failures: 0 }
            })
            .collect();
        let waiting = (0..entries.len()).map(|number| (now.tick, number)).collect();
        Self { seed, entries, waiting, doors, in_flight: 0 }
    }

    /// What may be asked for now. Who has waited longest goes first; a failure makes the wait longer, so that a probe is
    /// not always the same sick object.
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
            let Some(entry) = self.entries.get(number) else { continue };
            let passes = |door: &usize| self.doors.get(*door).is_none_or(|door| door.lets_pass(now));
            if !entry.doors.iter().all(passes) {
                continue;
            }
            let (doors, object) = (entry.doors.clone(), entry.object.clone());
            self.change(&doors, |door| {
                door.pass(number, now);
                None
            });
            self.set_due(number, None);
            self.in_flight += 1;
            tickets.push(Ticket { entry: number, object });
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
            let doors = self.entries.get(*number).map_or(&[][..], |entry| &entry.doors);
            let ready = doors.iter().map(opens).try_fold(*due, |latest, opens| Some(latest.max(opens?)));
            wake = ready.into_iter().chain(wake).min();
        }
        wake.map(|wake| wake.max(later(now, SHORTEST_WAIT)))
    }

    /// The object came. `expires` is when its present value stops being good, if it says so.
    pub fn succeeded(&mut self, ticket: &Ticket, expires: Option<UnixTime>, now: Moment) -> Vec<GateChange> {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(entry) = self.entries.get_mut(ticket.entry) else { return Vec::new() };
        entry.failures = 0;
        let slot = now.tick_at(slot::next(now.wall, entry.interval, expires, self.seed));
        let (doors, number) = (entry.doors.clone(), ticket.entry);
        self.set_due(number, Some(slot));
        self.change(&doors, |door| door.opened(number, now.tick))
    }

    /// The attempt failed: the object waits, and behind whom the failure blames everything else does too.
    pub fn failed(&mut self, ticket: &Ticket, failure: &Failure, now: Moment) -> Vec<GateChange> {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(entry) = self.entries.get_mut(ticket.entry) else { return Vec::new() };
        entry.failures = entry.failures.saturating_add(1);
        let own = backoff::delay(failure, entry.failures, self.seed, ticket.entry);
        let (doors, number, seed) = (entry.doors.clone(), ticket.entry, self.seed);
        self.set_due(number, Some(later(now.tick, own)));
        self.change(&doors, |door| match (failure.blame, door.gate()) {
            (Blame::Identity, Gate::Identity(_)) | (Blame::Host, Gate::Host(_)) => {
                door.shut(number, failure, seed, now.tick)
            }
            // Nobody got as far as the host: it is as unknown as before.
            (Blame::Identity, Gate::Host(_)) => {
                door.learnt_nothing(number, now.tick);
                None
            }
            (Blame::Object, _) | (Blame::Host, Gate::Identity(_)) => door.opened(number, now.tick),
        })
    }

    /// Somebody wants everything fresh: what waits for its slot is due now. What a gate holds back stays held back.
    pub fn refresh_now(&mut self, now: Instant) {
        let later: Vec<usize> = self.waiting.iter().filter(|(due, _)| *due > now).map(|(_, number)| *number).collect();
        for number in later {
            self.set_due(number, Some(now));
        }
    }

    /// Whether nothing is in flight: the cycle is over.
    pub fn is_quiet(&self) -> bool {
        self.in_flight == 0
    }

    /// When each object will be asked for next, if nothing holds it back; none while it is in flight.
    pub fn due(&self) -> impl Iterator<Item = (&Object, Option<Instant>)> {
        self.entries.iter().map(|entry| (&entry.object, entry.due))
    }

    fn set_due(&mut self, number: usize, due: Option<Instant>) {
        let Some(entry) = self.entries.get_mut(number) else { return };
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

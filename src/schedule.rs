//! When each object is asked for: one retry state machine per object, one gate per identity and per host.
//!
//! A shut gate holds everyone behind it and lets one probe through: ten objects on a dead token endpoint make one
//! request, not ten. Pure: time comes in as a [`Moment`], chance as a seed, "when next?" goes out as a value.

mod backoff;
mod gate;
mod slot;

use std::collections::BTreeMap;
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
        let entries = plan
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
        Self { seed, entries, doors, in_flight: 0 }
    }

    /// What may be asked for now. Whoever has failed least goes first, so that a probe is not always the same sick object.
    pub fn take_due(&mut self, now: Instant) -> Vec<Ticket> {
        let mut due: Vec<(u32, Instant, usize)> = self
            .entries
            .iter()
            .enumerate()
            .filter_map(|(number, entry)| entry.due.filter(|due| *due <= now).map(|due| (entry.failures, due, number)))
            .collect();
        due.sort_unstable();
        let mut tickets = Vec::new();
        for (_, _, number) in due {
            if self.in_flight >= MOST_IN_FLIGHT {
                break;
            }
            let Some(entry) = self.entries.get_mut(number) else { continue };
            let passes = |door: &usize| self.doors.get(*door).is_none_or(|door| door.lets_pass(now));
            if !entry.doors.iter().all(passes) {
                continue;
            }
            for door in &entry.doors {
                if let Some(door) = self.doors.get_mut(*door) {
                    door.pass(number, now);
                }
            }
            entry.due = None;
            self.in_flight += 1;
            tickets.push(Ticket { entry: number, object: entry.object.clone() });
        }
        tickets
    }

    /// When [`Schedule::take_due`] may have something again; always later than `now`. What is in flight does not count:
    /// its end is an event of its own. None when only such ends can change anything.
    pub fn next_wake(&self, now: Instant) -> Option<Instant> {
        if self.in_flight >= MOST_IN_FLIGHT {
            return None;
        }
        let ready = |entry: &Entry| {
            let opens = |door: &usize| self.doors.get(*door).map_or(Some(now), |door| door.opens(now));
            entry.doors.iter().map(opens).try_fold(entry.due?, |latest, opens| Some(latest.max(opens?)))
        };
        self.entries.iter().filter_map(ready).min().map(|wake| wake.max(later(now, SHORTEST_WAIT)))
    }

    /// The object came. `expires` is when its present value stops being good, if it says so.
    pub fn succeeded(&mut self, ticket: &Ticket, expires: Option<UnixTime>, now: Moment) -> Vec<GateChange> {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(entry) = self.entries.get_mut(ticket.entry) else { return Vec::new() };
        entry.failures = 0;
        entry.due = Some(now.tick_at(slot::next(now.wall, entry.interval, expires, self.seed)));
        let (doors, number) = (entry.doors.clone(), ticket.entry);
        self.change(&doors, |door| door.opened(number, now.tick))
    }

    /// The attempt failed: the object waits, and behind whom the failure blames everything else does too.
    pub fn failed(&mut self, ticket: &Ticket, failure: &Failure, now: Moment) -> Vec<GateChange> {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(entry) = self.entries.get_mut(ticket.entry) else { return Vec::new() };
        entry.failures = entry.failures.saturating_add(1);
        let own = backoff::delay(failure, entry.failures, self.seed, ticket.entry);
        entry.due = Some(later(now.tick, own));
        let (doors, number, seed) = (entry.doors.clone(), ticket.entry, self.seed);
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
        for due in self.entries.iter_mut().filter_map(|entry| entry.due.as_mut()) {
            *due = now.min(*due);
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

    fn change(&mut self, doors: &[usize], mut tell: impl FnMut(&mut Door) -> Option<GateChange>) -> Vec<GateChange> {
        doors.iter().filter_map(|door| self.doors.get_mut(*door).and_then(&mut tell)).collect()
    }
}

#[cfg(test)]
mod tests;

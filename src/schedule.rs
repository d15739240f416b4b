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

/// The most of one host, where there are several: one that hangs must leave some to the others.
const MOST_IN_FLIGHT_PER_HOST: usize = MOST_IN_FLIGHT / 4 * 3;

/// The shortest time until anything is looked at again, so that the loop can never spin.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// Whatever life a token is given, it is not made anew sooner.
const SOONEST_RENEWAL: Duration = Duration::from_secs(1);

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
    /// When it is to be asked for; none while it is in flight, or stands by and is not needed.
    due: Option<Instant>,
    in_flight: bool,
    /// Somebody wanted it fresh while it was in flight: what comes may be older than that.
    again: bool,
    failures: u32,
}

impl Schedule {
    /// Everything is due at once, except what stands by. `seed` comes from the pod's identity: it decides the slot in the interval.
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
                let due = (!plan.standbys.contains(object)).then_some(now.tick);
                Entry {
                    object: object.clone(),
                    interval: *interval,
                    doors,
                    due,
                    in_flight: false,
                    again: false,
                    failures: 0,
                }
            })
            .collect();
        for door in entries.iter().flat_map(|entry| &entry.doors) {
            doors.get_mut(*door).map(Door::guard);
        }
        if doors.iter().filter(|door| matches!(door.gate(), Gate::Host(_))).count() > 1 {
            for door in &mut doors {
                door.share(MOST_IN_FLIGHT_PER_HOST);
            }
        }
        let due = |(number, entry): (usize, &Entry)| entry.due.map(|due| (due, number));
        let waiting = entries.iter().enumerate().filter_map(due).collect();
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
            if let Some(entry) = self.entries.get_mut(number) {
                entry.in_flight = true;
            }
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
        let interval = self.entries.get(ticket.entry).map_or(Duration::MAX, |entry| entry.interval);
        let slot = now.tick_at(slot::next(now.wall, interval, expires, self.seed));
        self.answered(ticket, Some(slot), now)
    }

    /// The object came, and is to be made anew then, whatever its interval.
    pub fn made(&mut self, ticket: &Ticket, renew_at: Instant, now: Moment) -> Vec<GateChange> {
        self.answered(ticket, Some(renew_at.max(later(now.tick, SOONEST_RENEWAL))), now)
    }

    /// The standby object came: nobody needs it again until [`Schedule::awaken`].
    pub fn stood_by(&mut self, ticket: &Ticket, now: Moment) -> Vec<GateChange> {
        self.answered(ticket, None, now)
    }

    fn answered(&mut self, ticket: &Ticket, due: Option<Instant>, now: Moment) -> Vec<GateChange> {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(entry) = self.entries.get_mut(ticket.entry) else { return Vec::new() };
        (entry.failures, entry.in_flight) = (0, false);
        let again = std::mem::take(&mut entry.again);
        let (doors, number) = (entry.doors.clone(), ticket.entry);
        // What nobody needs any more is not wanted fresh either.
        self.set_due(number, due.map(|due| if again { now.tick } else { due }));
        self.change(&doors, |door| {
            door.left();
            door.opened(number, now.tick)
        })
    }

    /// A standby object is needed: it is due now, unless it was awake. Tells whether it is being asked for, as far as is
    /// known without a failure.
    pub fn awaken(&mut self, object: &Object, now: Instant) -> bool {
        let Some(number) = self.entries.iter().position(|entry| entry.object == *object) else { return false };
        let Some(entry) = self.entries.get(number) else { return false };
        if entry.due.is_none() && !entry.in_flight {
            self.set_due(number, Some(now));
            return true;
        }
        entry.failures == 0
    }

    /// A standby object is not needed any more.
    pub fn rest(&mut self, object: &Object) {
        let resting = self.entries.iter_mut().enumerate().find(|(_, entry)| entry.object == *object);
        if let Some((number, entry)) = resting {
            entry.failures = 0;
            self.set_due(number, None);
        }
    }

    /// The attempt failed: the object waits, and behind whom the failure blames everything else does too.
    pub fn failed(&mut self, ticket: &Ticket, failure: &Failure, now: Moment) -> Vec<GateChange> {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(entry) = self.entries.get_mut(ticket.entry) else { return Vec::new() };
        entry.in_flight = false;
        entry.failures = entry.failures.saturating_add(1);
        let own = backoff::delay(failure, entry.failures, self.seed, ticket.entry);
        // What failed may be older than the wish, and than what somebody has mended meanwhile.
        let again = std::mem::take(&mut entry.again) && failure.blame == Blame::Object;
        let (doors, number, seed) = (entry.doors.clone(), ticket.entry, self.seed);
        self.set_due(number, Some(if again { now.tick } else { later(now.tick, own) }));
        self.change(&doors, |door| {
            door.left();
            match (failure.blame, door.gate()) {
                (Blame::Identity, Gate::Identity(_)) | (Blame::Host, Gate::Host(_)) => {
                    door.shut((number, ticket.object()), failure, seed, now.tick)
                }
                // Nobody got as far as the host: it is as unknown as before.
                (Blame::Identity, Gate::Host(_)) => {
                    door.learnt_nothing(number, now.tick);
                    None
                }
                (Blame::Object, _) | (Blame::Host, Gate::Identity(_)) => door.opened(number, now.tick),
            }
        })
    }

    /// Somebody wants everything fresh: what waits for its slot is due now, and what is in flight as soon as it ended. What
    /// a gate holds back stays held back.
    pub fn refresh_now(&mut self, now: Instant) {
        // Whoever a shut gate has turned away last is not hurried to it again before the others: it may be his own trouble.
        let turned_away: BTreeSet<usize> = self.doors.iter().filter_map(Door::turned_away_last).collect();
        let later = self.waiting.iter().filter(|(due, number)| *due > now && !turned_away.contains(number));
        let later: Vec<usize> = later.map(|(_, number)| *number).collect();
        for number in later {
            self.set_due(number, Some(now));
        }
        for entry in self.entries.iter_mut().filter(|entry| entry.in_flight) {
            entry.again = true;
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

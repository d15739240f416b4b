//! What becomes of an object once its answer is there: its next slot, a wait, or an end to it.

use std::time::{Duration, Instant};

use super::{Flight, GateChange, Schedule, Ticket, backoff, gate::Visitor, slot};
use crate::failure::{Blame, Failure};
use crate::moment::{Moment, UnixTime, later};
use crate::reference::{Gate, Object};
use crate::survey::{Known, Stamp};

/// Whatever life a token is given, it is not made anew sooner.
const SOONEST_RENEWAL: Duration = Duration::from_secs(1);

impl Schedule {
    /// The object came. `expires` is when its present value stops being good, if it says so.
    pub fn succeeded(&mut self, ticket: &Ticket, expires: Option<UnixTime>, now: Moment) -> Vec<GateChange> {
        let slot = self.next_slot(ticket.entry, expires, now);
        self.answered(ticket, Some(slot), now)
    }

    /// The object came, and a list that shows it with this stamp will prove that it is what it is now.
    pub fn came(
        &mut self,
        ticket: &Ticket,
        (expires, stamp): (Option<UnixTime>, Option<Stamp>),
        now: Moment,
    ) -> Vec<GateChange> {
        let changes = self.succeeded(ticket, expires, now);
        let chance = backoff::fraction(backoff::mix(self.seed ^ backoff::mix(ticket.entry as u64)));
        // Unless it is to be asked for again at once, whatever it is.
        if let Some(entry) = self.entries.get_mut(&ticket.entry).filter(|entry| entry.due > Some(now.tick)) {
            entry.known = stamp.map(|stamp| Known::new(stamp, expires, now.tick, chance));
        }
        changes
    }

    /// The object came, and is to be made anew then, whatever its interval.
    pub fn made(&mut self, ticket: &Ticket, renew_at: Instant, now: Moment) -> Vec<GateChange> {
        let changes = self.answered(ticket, Some(renew_at.max(later(now.tick, SOONEST_RENEWAL))), now);
        if let Some(entry) = self.entries.get_mut(&ticket.entry) {
            entry.is_made = true;
        }
        changes
    }

    /// The standby object came: nobody needs it again until [`Schedule::awaken`].
    pub fn stood_by(&mut self, ticket: &Ticket, now: Moment) -> Vec<GateChange> {
        self.answered(ticket, None, now)
    }

    fn answered(&mut self, ticket: &Ticket, due: Option<Instant>, now: Moment) -> Vec<GateChange> {
        if !self.lands(ticket, now) {
            return Vec::new();
        }
        let Some(entry) = self.entries.get_mut(&ticket.entry) else { return Vec::new() };
        (entry.failures, entry.is_made, entry.known) = (0, false, None);
        let again = entry.land();
        // What came may be older than the wish.
        entry.wants_value &= again || !ticket.wants_value;
        let doors = entry.doors.clone();
        // What nobody needs any more is not wanted fresh either.
        self.set_due(ticket.entry, due.map(|due| if again { now.tick } else { due }));
        self.change(&doors, |door| {
            door.left();
            door.opened(Visitor::Entry(ticket.entry), now.tick)
        })
    }

    /// The attempt failed: the object waits, and behind whom the failure blames everything else does too.
    pub fn failed(&mut self, ticket: &Ticket, failure: &Failure, now: Moment) -> Vec<GateChange> {
        if !self.lands(ticket, now) {
            return Vec::new();
        }
        let Some(entry) = self.entries.get_mut(&ticket.entry) else { return Vec::new() };
        entry.known = None;
        entry.failures = entry.failures.saturating_add(1);
        let own = backoff::delay(failure, entry.failures, self.seed, ticket.entry);
        // What failed may be older than the wish, and than what somebody has mended meanwhile.
        let again = entry.land() && failure.blame == Blame::Object;
        let doors = entry.doors.clone();
        self.set_due(ticket.entry, Some(if again { now.tick } else { later(now.tick, own) }));
        self.turned_away((Visitor::Entry(ticket.entry), Some(ticket.object())), &doors, failure, now.tick)
    }

    /// What a failure means for the gates that were on the way.
    pub(super) fn turned_away(
        &mut self,
        (visitor, object): (Visitor, Option<&Object>),
        doors: &[usize],
        failure: &Failure,
        now: Instant,
    ) -> Vec<GateChange> {
        let seed = self.seed;
        self.change(doors, |door| {
            door.left();
            match (failure.blame, door.gate()) {
                (Blame::Identity, Gate::Identity(_)) | (Blame::Host, Gate::Host(_)) => {
                    door.shut((visitor, object), failure, seed, now)
                }
                // Nobody got as far as the host: it is as unknown as before.
                (Blame::Identity, Gate::Host(_)) => {
                    door.learnt_nothing(visitor, now);
                    None
                }
                (Blame::Object, _) | (Blame::Host, Gate::Identity(_)) => door.opened(visitor, now),
            }
        })
    }

    pub(super) fn next_slot(&self, entry: usize, expires: Option<UnixTime>, now: Moment) -> Instant {
        let interval = self.entries.get(&entry).map_or(Duration::ZERO, |entry| entry.interval);
        later(now.tick, slot::wait(now.wall, interval, expires, self.seed))
    }

    /// Whoever had the ticket is back. Tells whether what he brings counts: what an older plan asked for is asked for again,
    /// if it is still wanted.
    fn lands(&mut self, ticket: &Ticket, now: Moment) -> bool {
        self.in_flight = self.in_flight.saturating_sub(1);
        if ticket.plan == self.plan {
            return true;
        }
        let doors = self.entries.get(&ticket.entry).map(|entry| entry.doors.clone()).unwrap_or_default();
        self.change(&doors, |door| {
            door.left();
            door.learnt_nothing(Visitor::Entry(ticket.entry), now.tick);
            None
        });
        self.lands_in_vain(ticket.entry, now.tick);
        false
    }

    /// It was under way for an older plan.
    fn lands_in_vain(&mut self, number: usize, now: Instant) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        if entry.is_gone() {
            self.entries.remove(&number);
        } else {
            let is_needed = entry.flight != Flight::StandsBy;
            entry.land();
            self.set_due(number, is_needed.then_some(now));
        }
    }
}

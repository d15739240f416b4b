//! Another plan: what stays goes on as if nothing had happened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::gate::Door;
use super::{Entry, Flight, MOST_IN_FLIGHT_PER_HOST, Schedule};
use crate::moment::Moment;
use crate::plan::Plan;
use crate::reference::{Gate, Object, Shelf};

impl Schedule {
    /// Goes on with another plan. Guarantees:
    ///
    /// * An object that stays keeps its due time, its failures and what lists may prove of it. An interval that became
    ///   shorter pulls it forward to its new slot; a longer one counts from the next answer on.
    /// * A gate that stays keeps its state: no outage is forgotten, no pace, no `Retry-After`. So does what was learnt of lists.
    /// * A new object is due now, and so is one that stood by and does not any more; what stands by sleeps.
    /// * An object that is gone is not asked for again, and holds nobody back. Nor is one that was in flight and stands by now.
    /// * Tickets that are out count as in flight, for all limits, until they come back by the usual methods. What they bring
    ///   is dropped: no failure is counted, no gate opens or shuts, and the object, if it is wanted still, or again, is due
    ///   when its ticket is back and not before, so that nothing is ever asked for twice at once.
    ///
    /// The schedule knows nothing of names. A name that is new, or cut in another way, on an object that stays has no value
    /// until the object comes the next time: tell [`Schedule::want`].
    pub fn replan(&mut self, plan: &Plan, now: Moment) {
        self.plan = self.plan.wrapping_add(1);
        self.list = plan.list;
        let numbers = self.entries.iter().map(|(number, entry)| (entry.object.clone(), *number));
        let mut before: BTreeMap<Object, usize> = numbers.collect();
        for (object, interval) in &plan.objects {
            let is_standby = plan.standbys.contains(object);
            match before.remove(object) {
                Some(number) => self.keep(number, *interval, is_standby, now),
                None => self.add(object, *interval, is_standby, now.tick),
            }
        }
        for number in before.into_values() {
            self.remove(number);
        }
        self.guard_doors();
        let shelves: BTreeSet<Shelf> = plan.objects.keys().filter_map(Shelf::of).map(|(shelf, _)| shelf).collect();
        self.lore.retain(|shelf, _| shelves.contains(shelf));
    }

    /// Somebody wants an object who has nothing of it yet, or knows that it is not what it was: it is due now, also when it
    /// failed a moment ago, and neither a list nor word that it is unchanged will do. What a gate holds back stays held back.
    pub fn want(&mut self, object: &Object, now: Instant) {
        let Some(number) = self.number_of(object) else { return };
        let Some(entry) = self.entries.get_mut(&number) else { return };
        let due = if entry.wants_its_own_answer() { Some(now) } else { entry.due.map(|due| due.min(now)) };
        if due.is_some() {
            self.set_due(number, due);
        }
    }

    fn keep(&mut self, number: usize, interval: Duration, is_standby: bool, now: Moment) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        let is_shorter = interval < entry.interval;
        let other_role = entry.is_standby != is_standby;
        (entry.interval, entry.is_standby) = (interval, is_standby);
        let is_not_needed = is_standby && (other_role || matches!(entry.flight, Flight::StandsBy | Flight::Gone));
        match entry.flight {
            Flight::No => {}
            Flight::Listed(_) if is_not_needed => entry.flight = Flight::No,
            Flight::Listed(_) => return,
            Flight::Yes | Flight::Again | Flight::StandsBy | Flight::Gone => {
                entry.flight = if is_not_needed { Flight::StandsBy } else { Flight::Yes };
                return;
            }
        }
        let (due, waits_for_slot) = (entry.due, entry.failures == 0 && !entry.is_made);
        if other_role {
            self.set_due(number, (!is_standby).then_some(now.tick));
        } else if let Some(due) = due.filter(|_| is_shorter && waits_for_slot) {
            let slot = self.next_slot(number, None, now);
            self.set_due(number, Some(due.min(slot)));
        }
    }

    fn add(&mut self, object: &Object, interval: Duration, is_standby: bool, now: Instant) {
        let doors = object.gates().into_iter().map(|gate| self.door_of(gate)).collect();
        let number = self.next_entry;
        self.next_entry = self.next_entry.saturating_add(1);
        let entry = Entry {
            object: object.clone(),
            interval,
            doors,
            is_standby,
            due: None,
            flight: Flight::No,
            failures: 0,
            is_made: false,
            known: None,
            wants_value: true,
        };
        self.entries.insert(number, entry);
        self.set_due(number, (!is_standby).then_some(now));
    }

    fn remove(&mut self, number: usize) {
        self.set_due(number, None);
        match self.entries.get_mut(&number) {
            // A list lets go of what is gone: it asks for nothing by name.
            Some(entry) if entry.is_in_flight() && !entry.is_on_list() => {
                (entry.flight, entry.failures, entry.known) = (Flight::Gone, 0, None);
            }
            _ => drop(self.entries.remove(&number)),
        }
    }

    fn door_of(&mut self, gate: Gate) -> usize {
        self.doors.iter().position(|door| *door.gate() == gate).unwrap_or_else(|| {
            self.doors.push(Door::new(gate));
            self.doors.len() - 1
        })
    }

    /// Counts who stands where, and shares the places in flight where there are several hosts.
    fn guard_doors(&mut self) {
        let mut behind: BTreeMap<usize, usize> = BTreeMap::new();
        for door in self.entries.values().filter(|entry| !entry.is_gone()).flat_map(|entry| &entry.doors) {
            *behind.entry(*door).or_default() += 1;
        }
        let is_host = |number: &usize| matches!(self.doors.get(*number).map(Door::gate), Some(Gate::Host(_)));
        let several = behind.keys().filter(|number| is_host(number)).count() > 1;
        for (number, door) in self.doors.iter_mut().enumerate() {
            let most = if several { MOST_IN_FLIGHT_PER_HOST } else { usize::MAX };
            door.guard(behind.get(&number).copied().unwrap_or_default(), most);
        }
    }
}

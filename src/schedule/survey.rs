//! Lists in place of objects: one survey of a shelf instead of a request for each of those on it that are due together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::gate::Visitor;
use super::{Flight, GateChange, MOST_IN_FLIGHT, Schedule};
use crate::config::List;
use crate::failure::{Blame, Failure};
use crate::moment::{Moment, later};
use crate::reference::{Object, ObjectName, Shelf};
use crate::survey::Survey;

/// Slots of one interval are the same instant but for how long it took to read the two clocks.
const TOGETHER: Duration = Duration::from_millis(100);

/// The permission to read one list now, in place of asking for objects that it may prove unchanged: nobody asks for those
/// meanwhile, unless somebody wants them fresh. [`Schedule::surveyed`] takes it back.
#[derive(Debug)]
pub struct SurveyTicket {
    plan: u64,
    pub(super) number: u64,
    shelf: Shelf,
    wanted: BTreeSet<ObjectName>,
    most_pages: u32,
    pub(super) entries: Vec<usize>,
    doors: Vec<usize>,
}

impl SurveyTicket {
    /// Which list to read.
    pub fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// What it is read for.
    pub fn wanted(&self) -> &BTreeSet<ObjectName> {
        &self.wanted
    }

    /// How many requests it may take: with more, the objects themselves cost less.
    pub fn most_pages(&self) -> u32 {
        self.most_pages
    }
}

/// What a survey came to.
#[derive(Debug, Default)]
pub struct Surveyed {
    /// The objects that are what they were. The others are due now.
    pub unchanged: Vec<Object>,
    /// What happened to the gates.
    pub changes: Vec<GateChange>,
    /// Whether the list is left alone from now on, for a while.
    pub is_left_alone: bool,
}

impl Schedule {
    /// The lists that are to be read now, because each costs fewer requests than the objects on it that are due together.
    pub fn take_surveys(&mut self, now: Instant) -> Vec<SurveyTicket> {
        let is_due = self.waiting.first().is_some_and(|(due, _)| *due <= now);
        if self.list == List::Never || !is_due {
            return Vec::new();
        }
        let mut shelves: BTreeMap<Shelf, Vec<(Instant, usize)>> = BTreeMap::new();
        for &(due, number) in self.waiting.range(..=(later(now, TOGETHER), usize::MAX)) {
            let known = self.entries.get(&number).filter(|entry| entry.known.is_some_and(|known| known.lasts(now)));
            if let Some((shelf, _)) = known.and_then(|entry| Shelf::of(&entry.object)) {
                shelves.entry(shelf).or_default().push((due, number));
            }
        }
        let due = shelves.into_iter().filter(|(_, group)| group.iter().any(|(due, _)| *due <= now));
        let mut tickets = Vec::new();
        for (shelf, group) in due {
            tickets.extend(self.survey(shelf, group.into_iter().map(|(_, number)| number).collect(), now));
        }
        tickets
    }

    fn survey(&mut self, shelf: Shelf, entries: Vec<usize>, now: Instant) -> Option<SurveyTicket> {
        // All on one shelf stand behind the same gates.
        let doors = entries.first().and_then(|number| self.entries.get(number))?.doors.clone();
        let passes = |door: &usize| self.doors.get(*door).is_none_or(|door| door.lets_list_pass(now));
        if self.in_flight >= MOST_IN_FLIGHT || !doors.iter().all(passes) {
            return None;
        }
        let most_pages = self.lore.entry(shelf.clone()).or_default().most_pages(entries.len(), now)?;
        let number = self.next_list;
        self.next_list = self.next_list.wrapping_add(1);
        let on_list = entries.iter().filter_map(|number| self.entries.get(number));
        let wanted = on_list.filter_map(|entry| Shelf::of(&entry.object)).map(|(_, name)| name.clone()).collect();
        self.change(&doors, |door| {
            door.pass(Visitor::List, now);
            None
        });
        for entry in &entries {
            self.take_off(*entry, Flight::Listed(number));
        }
        self.in_flight += 1;
        Some(SurveyTicket { plan: self.plan, number, shelf, wanted, most_pages, entries, doors })
    }

    /// The list was read, or could not be. What it proves waits for its next slot; everything else that it was read for is
    /// due now, and asked for by itself.
    pub fn surveyed(&mut self, ticket: &SurveyTicket, result: &Result<Survey, Failure>, now: Moment) -> Surveyed {
        self.in_flight = self.in_flight.saturating_sub(1);
        let held = self.take_from(ticket);
        if ticket.plan != self.plan {
            self.change(&ticket.doors, |door| {
                door.left();
                None
            });
            for number in held {
                self.set_due(number, Some(now.tick));
            }
            return Surveyed::default();
        }
        match result {
            Ok(survey) => self.was_read(ticket, held, survey, now),
            Err(failure) => self.was_not_read(ticket, held, failure, now),
        }
    }

    /// Those that are still on the list; they are in flight no longer. Who was wanted fresh meanwhile is not, nor who is gone.
    fn take_from(&mut self, ticket: &SurveyTicket) -> Vec<usize> {
        let mut held = Vec::new();
        for &number in &ticket.entries {
            let entry = self.entries.get_mut(&number);
            if let Some(entry) = entry.filter(|entry| entry.flight == Flight::Listed(ticket.number)) {
                entry.flight = Flight::No;
                held.push(number);
            }
        }
        held
    }

    fn was_read(&mut self, ticket: &SurveyTicket, held: Vec<usize>, survey: &Survey, now: Moment) -> Surveyed {
        // Who was wanted fresh meanwhile, all of them, is no proof that the list is of no use.
        let is_for_somebody = !held.is_empty();
        let (mut unchanged, mut proven) = (Vec::new(), 0);
        for number in held {
            let Some(entry) = self.entries.get_mut(&number) else { continue };
            let known = entry
                .known
                .filter(|known| Shelf::of(&entry.object).is_some_and(|(_, name)| known.is_proven(name, survey)));
            proven += usize::from(known.is_some());
            let Some(known) = known else {
                entry.known = None;
                self.set_due(number, Some(now.tick));
                continue;
            };
            unchanged.push(entry.object.clone());
            let slot = self.next_slot(number, known.expires, now);
            self.set_due(number, Some(slot));
        }
        let lore = self.lore.get_mut(&ticket.shelf).filter(|_| is_for_somebody);
        let is_left_alone = lore.is_some_and(|lore| lore.read(survey, proven, now.tick));
        let changes = self.change(&ticket.doors, |door| {
            door.left();
            door.answered_more(survey.pages.saturating_sub(1), now.tick);
            door.opened(Visitor::List, now.tick)
        });
        Surveyed { unchanged, changes, is_left_alone }
    }

    /// Who is to blame is held back as if an object had been asked for. What is wrong with the list alone is not: then the
    /// objects are asked for at once.
    fn was_not_read(&mut self, ticket: &SurveyTicket, held: Vec<usize>, failure: &Failure, now: Moment) -> Surveyed {
        for number in held {
            let Some(entry) = self.entries.get_mut(&number) else { continue };
            if failure.blame == Blame::Object {
                entry.known = None;
            }
            self.set_due(number, Some(now.tick));
        }
        let lore = self.lore.get_mut(&ticket.shelf);
        let is_left_alone = lore.is_some_and(|lore| lore.failed(failure, now.tick));
        let changes = self.turned_away((Visitor::List, None), &ticket.doors, failure, now.tick);
        Surveyed { unchanged: Vec::new(), changes, is_left_alone }
    }
}

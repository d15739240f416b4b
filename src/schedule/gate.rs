//! One gate's state: open, or shut with at most one probe under way; and the pace that throttling has set.

use std::time::{Duration, Instant};

use super::backoff;
use super::pace::Pace;
use crate::failure::{Failure, Kind};
use crate::moment::later;
use crate::reference::{Gate, Object};

/// What happened to a gate, for the log: one line per change, not one per object behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateChange {
    /// It shut, or it is shut for a reason of another kind now.
    Shut {
        /// Which.
        gate: Gate,
        /// Why.
        failure: Failure,
    },
    /// One object alone was turned away there, while others passed or none has tried: it is that object's trouble.
    Alone {
        /// Which object.
        object: Object,
        /// Why.
        failure: Failure,
    },
    /// It is open again.
    Opened {
        /// Which.
        gate: Gate,
        /// How long it had been shut.
        after: Duration,
    },
}

/// Who comes to a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visitor {
    /// An object's entry.
    Entry(usize),
    /// A list. It is never a probe: what happens to it may be the list's own trouble, and no object's.
    List,
}

#[derive(Debug)]
pub(super) struct Door {
    gate: Gate,
    shut: Option<Shut>,
    pace: Option<Pace>,
    /// How many objects stand behind it.
    behind: usize,
    pub(super) in_flight: usize,
    most_in_flight: usize,
}

#[derive(Debug)]
struct Shut {
    since: Instant,
    until: Instant,
    failures: u32,
    failure: Failure,
    /// Who was turned away last, and its object.
    by: Visitor,
    object: Option<Object>,
    /// Whether anybody was told: of one object's failure alone nobody knows yet whose trouble it is.
    told: bool,
    /// Who tries whether it may open.
    probe: Option<Visitor>,
}

impl Door {
    pub(super) fn new(gate: Gate) -> Self {
        Self { gate, shut: None, pace: None, behind: 0, in_flight: 0, most_in_flight: usize::MAX }
    }

    /// So many objects stand behind it, and a host takes at most so many of them at once.
    pub(super) fn guard(&mut self, behind: usize, most: usize) {
        self.behind = behind;
        if matches!(self.gate, Gate::Host(_)) {
            self.most_in_flight = most;
        }
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// When somebody may pass; none while the outcome of a probe, or of any of too many, is awaited.
    pub(super) fn opens(&self, now: Instant) -> Option<Instant> {
        if self.in_flight >= self.most_in_flight {
            return None;
        }
        let unshut = match &self.shut {
            None => now,
            Some(Shut { probe: Some(_), .. }) => return None,
            Some(shut) => shut.until,
        };
        Some(self.pace.as_ref().map_or(unshut, |pace| unshut.max(pace.next())))
    }

    pub(super) fn lets_pass(&self, now: Instant) -> bool {
        self.opens(now).is_some_and(|opens| opens <= now)
    }

    /// Whether a list may pass, which is no probe.
    pub(super) fn lets_list_pass(&self, now: Instant) -> bool {
        self.shut.is_none() && self.lets_pass(now)
    }

    /// Which entry it has turned away last, while it is shut.
    pub(super) fn turned_away_last(&self) -> Option<usize> {
        match self.shut.as_ref()?.by {
            Visitor::Entry(number) => Some(number),
            Visitor::List => None,
        }
    }

    /// Somebody who had passed is back.
    pub(super) fn left(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Somebody passes; through a shut gate as its probe, which a list never is.
    pub(super) fn pass(&mut self, visitor: Visitor, now: Instant) {
        self.in_flight = self.in_flight.saturating_add(1);
        if let (Some(shut), Visitor::Entry(_)) = (&mut self.shut, visitor) {
            shut.probe = Some(visitor);
        }
        if let Some(pace) = &mut self.pace {
            pace.paid(now);
        }
    }

    /// Who had passed was answered so many times more: each is paid for at the pace that is set, and quickens it. Through a
    /// gate that has shut meanwhile they say nothing of now, as little as who was on his way alone.
    pub(super) fn answered_more(&mut self, requests: u32, now: Instant) {
        if self.shut.is_some() {
            return;
        }
        for _ in 0..requests {
            let Some(pace) = &mut self.pace else { return };
            pace.paid(pace.next().max(now));
            self.quicken();
        }
    }

    fn quicken(&mut self) {
        if self.pace.as_mut().is_some_and(|pace| !pace.answered()) {
            self.pace = None;
        }
    }

    /// Somebody got through and was answered. Only the probe proves that a shut gate may open: an answer to what was
    /// asked before it shut says nothing of now.
    pub(super) fn opened(&mut self, visitor: Visitor, now: Instant) -> Option<GateChange> {
        if self.shut.as_ref().is_some_and(|shut| shut.probe != Some(visitor)) {
            return None;
        }
        self.quicken();
        let shut = self.shut.take()?;
        if shut.told {
            return Some(GateChange::Opened {
                gate: self.gate.clone(),
                after: now.saturating_duration_since(shut.since),
            });
        }
        // That only a list failed is nobody's trouble who could be told of it.
        let object = shut.object.filter(|_| shut.by != visitor)?;
        Some(GateChange::Alone { object, failure: shut.failure })
    }

    /// Somebody was turned away here.
    pub(super) fn shut(
        &mut self,
        (visitor, object): (Visitor, Option<&Object>),
        failure: &Failure,
        seed: u64,
        now: Instant,
    ) -> Option<GateChange> {
        if failure.kind == Kind::Throttled {
            let was_on_its_way = self.shut.as_ref().is_some_and(|shut| shut.probe != Some(visitor));
            match &mut self.pace {
                None => self.pace = Some(Pace::new(seed, now)),
                Some(pace) => pace.refused(was_on_its_way, now),
            }
        }
        let wait = |failures| later(now, backoff::delay(failure, failures, seed, 0));
        let Some(shut) = &mut self.shut else {
            // Throttling and denials are said of the host; an outage may be one object's.
            let told = self.behind == 1 || failure.kind != Kind::Outage;
            let (until, why) = (wait(1), failure.clone());
            let object = object.cloned();
            self.shut =
                Some(Shut { since: now, until, failures: 1, failure: why, by: visitor, object, told, probe: None });
            return told.then(|| GateChange::Shut { gate: self.gate.clone(), failure: failure.clone() });
        };
        let probes = shut.probe == Some(visitor);
        if probes {
            shut.probe = None;
            // The same one again may be its own trouble, and it waits by itself: others may try soon.
            if shut.by != visitor {
                shut.failures = shut.failures.saturating_add(1);
            }
            shut.until = wait(shut.failures);
        } else if failure.after.is_some() {
            // One of those who were already on their way: only its Retry-After is news.
            shut.until = shut.until.max(wait(1));
        }
        if !shut.told {
            // Lists may fail by themselves, several alike: none convicts a host that only one object has met so.
            if visitor == Visitor::List {
                return None;
            }
            if shut.by == visitor {
                return Some(GateChange::Alone { object: object?.clone(), failure: failure.clone() });
            }
            (shut.told, shut.failure) = (true, failure.clone());
            (shut.by, shut.object) = (visitor, object.cloned());
            return Some(GateChange::Shut { gate: self.gate.clone(), failure: failure.clone() });
        }
        if !probes {
            return None;
        }
        (shut.by, shut.object) = (visitor, object.cloned());
        let before = std::mem::replace(&mut shut.failure, failure.clone());
        // One outage has many words: who was on his way was cut off, who comes after is refused.
        if before.same_trouble(failure) || (before.kind, failure.kind) == (Kind::Outage, Kind::Outage) {
            return None;
        }
        Some(GateChange::Shut { gate: self.gate.clone(), failure: failure.clone() })
    }

    /// The probe did not get as far as this gate: the next one may try, behind the gate that did stop it.
    pub(super) fn learnt_nothing(&mut self, visitor: Visitor, now: Instant) {
        if let Some(shut) = self.shut.as_mut().filter(|shut| shut.probe == Some(visitor)) {
            shut.probe = None;
            shut.until = now;
        }
    }
}

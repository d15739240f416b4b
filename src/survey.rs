//! What a vault's list proves, and whether it costs fewer requests than asking for each object by itself.
//!
//! A list tells when each object was last changed, in whole seconds, 25 to a page, and no value. An object that was changed
//! when its value was read, and not since, need not be asked for. Everything else (changed, new, disabled, not listed, or
//! listed in words that make no sense) is, so that its own answer says what is the matter with it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::failure::{Blame, Failure, Kind};
use crate::moment::{UnixTime, later};
use crate::reference::ObjectName;

/// What a list shows on a page, at the most.
pub const PAGE: usize = 25;
/// So long after a change another one cannot bear the same time: times are whole seconds, rounded up at most by one.
const SETTLED: Duration = Duration::from_secs(2);
/// Whatever lists say, a value is read again after so long at the latest, and two thirds of it at the earliest, so that
/// not all are read again in one cycle.
const READ_AGAIN: Duration = Duration::from_hours(12);
/// What a value is read again after on average.
pub const READ_AGAIN_ABOUT: Duration = Duration::from_hours(10);
/// What was learnt of a list is believed for so long.
const BELIEVED: Duration = Duration::from_hours(24);
/// An outage says little of the list, and passes.
const OUTAGE_BELIEVED: Duration = Duration::from_hours(1);
/// A list that saves nothing, or meets an outage, so often in a row is left alone; after that for each time anew.
const MOST_IN_A_ROW: u32 = 3;

/// What a list shows of an object that is enabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// When it was made: what was deleted and made anew is another one, whenever it was last changed.
    pub created: Option<UnixTime>,
    /// When it was last changed, by the service's clock.
    pub updated: UnixTime,
    /// Its `exp`, if that is a time.
    pub expires: Option<UnixTime>,
}

impl Stamp {
    /// How long before `read`, when the value was read at the earliest by the service's clock, it had been changed, at the
    /// least: both are whole seconds. None when the change is further ahead of the answer than rounding explains.
    pub fn age(&self, read: UnixTime, answered: UnixTime) -> Option<Duration> {
        const SECOND: Duration = Duration::from_secs(1);
        (self.updated <= answered.after(SETTLED)).then(|| read.since(self.updated).saturating_sub(SECOND))
    }

    /// Whether a change after `read`, when the value was read at the earliest by the service's clock, would show.
    pub fn is_settled(&self, read: UnixTime) -> bool {
        read.since(self.updated) >= SETTLED
    }
}

/// Why a list was read no further.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum End {
    /// It has no more pages.
    #[default]
    Whole,
    /// Everything that was looked for had been shown.
    Enough,
    /// It may take no more requests.
    TooLong,
    /// The next page could not be had, which is the list's own trouble.
    Broken(Failure),
}

/// A list, as far as it was read: what it shows of the objects that are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    /// How many pages of it were read, each by a request.
    pub pages: u32,
    /// Why no more were.
    pub end: End,
    wanted: BTreeSet<ObjectName>,
    shown: BTreeMap<ObjectName, Option<Stamp>>,
}

impl Survey {
    /// Nothing is read yet; these are looked for, and nothing is kept of others.
    pub fn of(wanted: BTreeSet<ObjectName>) -> Self {
        Self { wanted, ..Self::default() }
    }

    /// Whether everything that is looked for was shown.
    pub fn is_enough(&self) -> bool {
        self.shown.len() >= self.wanted.len()
    }

    /// The list shows an object; without a stamp where that says nothing of its value. A list that contradicts itself, as
    /// one may that is changed while it is read, says nothing either.
    pub fn show(&mut self, name: ObjectName, stamp: Option<Stamp>) {
        if !self.wanted.contains(&name) {
            return;
        }
        match self.shown.entry(name) {
            Entry::Vacant(vacant) => drop(vacant.insert(stamp)),
            Entry::Occupied(mut before) if *before.get() != stamp => drop(before.insert(None)),
            Entry::Occupied(_) => {}
        }
    }

    /// What it shows of an object, if that is worth anything.
    pub fn stamp(&self, name: &ObjectName) -> Option<Stamp> {
        self.shown.get(name).copied().flatten()
    }
}

/// What has to be shown of an object for its value to be the one that was read.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    stamp: Stamp,
    /// When the value that was read stops being good, which for a certificate is no attribute.
    pub expires: Option<UnixTime>,
    until: Instant,
}

impl Known {
    /// The value was read now. `chance`, from 0 to 1, spreads those that were read together over when they are read again.
    pub fn new(stamp: Stamp, expires: Option<UnixTime>, now: Instant, chance: f64) -> Self {
        Self { stamp, expires, until: later(now, READ_AGAIN.mul_f64((2.0 + chance.clamp(0.0, 1.0)) / 3.0)) }
    }

    /// Whether a list may still prove it.
    pub fn lasts(&self, now: Instant) -> bool {
        now < self.until
    }

    /// Whether the list proves that the value is what it was.
    pub fn is_proven(&self, name: &ObjectName, survey: &Survey) -> bool {
        survey.stamp(name) == Some(self.stamp)
    }
}

/// How many pages a list may have, to cost less than the GETs of so many objects that it may prove.
pub fn affordable(provable: usize) -> u32 {
    u32::try_from(provable).unwrap_or(u32::MAX).saturating_sub(1)
}

/// What was learnt of one list: how long it is, and whether it is any use.
#[derive(Debug, Clone, Default)]
pub struct Lore {
    length: Length,
    /// How often in a row it saved nothing, or broke.
    useless: u32,
    /// How often in a row its host could not be reached for it.
    outages: u32,
    left_alone_until: Option<Instant>,
}

#[derive(Debug, Clone, Copy, Default)]
enum Length {
    #[default]
    Unknown,
    /// Or so many are enough.
    Pages { count: u32, since: Instant },
    /// It was not read further.
    MoreThan { pages: u32, since: Instant },
}

impl Lore {
    /// How many pages the list may have, to cost less than the GETs of so many objects that it may prove; none when it
    /// cannot, as far as is known. What is known may be outdated: a day later it is tried once more, and so it is when far
    /// more objects than before would gain by it.
    pub fn most_pages(&self, provable: usize, now: Instant) -> Option<u32> {
        let affordable = affordable(provable);
        let is_old = |since: Instant| now.saturating_duration_since(since) >= BELIEVED;
        let may_pay = match self.length {
            Length::Unknown => true,
            Length::Pages { count, since } => count <= affordable || is_old(since),
            Length::MoreThan { pages, since } => affordable > pages.saturating_mul(2) || is_old(since),
        };
        let is_left_alone = self.left_alone_until.is_some_and(|until| now < until);
        (affordable > 0 && may_pay && !is_left_alone).then_some(affordable)
    }

    /// The list was read, and proved so many objects unchanged. Tells whether it is left alone from now on.
    pub fn read(&mut self, survey: &Survey, proven: usize, now: Instant) -> bool {
        let (pages, since) = (survey.pages, now);
        self.length = match survey.end {
            End::Whole | End::Enough => Length::Pages { count: pages, since },
            End::TooLong | End::Broken(_) => Length::MoreThan { pages, since },
        };
        self.outages = 0;
        // Whoever stands on a list that breaks has waited for it, whatever it proved.
        let is_broken = matches!(survey.end, End::Broken(_));
        if is_broken || u64::from(pages) >= u64::try_from(proven).unwrap_or(u64::MAX) {
            return self.was_useless(now);
        }
        self.useless = 0;
        false
    }

    /// The list could not be read. That nobody could sign in is not its fault, nor that too many have asked. Tells whether
    /// it is left alone from now on.
    pub fn failed(&mut self, failure: &Failure, now: Instant) -> bool {
        match (failure.blame, failure.kind) {
            (Blame::Identity, _) | (_, Kind::Throttled) => false,
            (Blame::Object, Kind::Denied) => {
                self.left_alone_until = Some(later(now, BELIEVED));
                true
            }
            (Blame::Object, _) => self.was_useless(now),
            (Blame::Host, _) => {
                self.outages = self.outages.saturating_add(1);
                self.leave_alone(self.outages, OUTAGE_BELIEVED, now)
            }
        }
    }

    /// Somebody wants a look at everything as if for the first time: grants may have been given meanwhile.
    pub fn forget(&mut self) {
        *self = Self { length: self.length, ..Self::default() };
    }

    fn was_useless(&mut self, now: Instant) -> bool {
        self.useless = self.useless.saturating_add(1);
        self.leave_alone(self.useless, BELIEVED, now)
    }

    fn leave_alone(&mut self, in_a_row: u32, believed: Duration, now: Instant) -> bool {
        let is_left_alone = in_a_row >= MOST_IN_A_ROW;
        if is_left_alone {
            self.left_alone_until = Some(later(now, believed));
        }
        is_left_alone
    }
}

#[cfg(test)]
mod tests;

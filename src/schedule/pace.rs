//! After throttling: one request per gap.
//!
//! The gap is what a pod learns of how many others there are. So it grows as far as a fleet needs that shares one vault, a
//! refusal makes the wait no shorter than it, and chance keeps those who were refused together from coming again together.

use std::time::{Duration, Instant};

use super::backoff::{fraction, mix};
use crate::moment::later;

const FIRST_GAP: Duration = Duration::from_millis(50);
/// At this pace ten thousand pods ask one vault as often as it answers (4,000 times in 10 s), even when each is refused.
const LONGEST_GAP: Duration = Duration::from_secs(25);
/// A wave by itself makes the gap no longer than this: how many were sent at once says little of how many others there are.
const LONGEST_OF_A_WAVE: Duration = Duration::from_secs(1);
const NO_GAP: Duration = Duration::from_millis(2);
/// What the first answer leaves of the gap. The second and the third in a row leave less, and so does each after that: who
/// is alone again is soon back at speed, while among many a refusal comes before that.
const QUICKER: f64 = 0.9;
const QUICKEST: i32 = 3;

#[derive(Debug)]
pub(super) struct Pace {
    gap: Duration,
    next: Instant,
    /// How many were answered since the last refusal.
    in_a_row: i32,
    seed: u64,
    /// How many gaps there have been, so that each is another by chance.
    gaps: u64,
}

impl Pace {
    /// The first refusal.
    pub(super) fn new(seed: u64, now: Instant) -> Self {
        let mut pace = Self { gap: FIRST_GAP, next: now, in_a_row: 0, seed, gaps: 0 };
        pace.paid(now);
        pace
    }

    /// When the next request may be sent.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// One was sent at this time: the next has to wait.
    pub(super) fn paid(&mut self, at: Instant) {
        self.gaps = self.gaps.wrapping_add(1);
        let chance = fraction(mix(self.seed ^ mix(self.gaps)));
        self.next = later(at, self.gap.mul_f64(0.5 + chance));
    }

    /// One was answered. Tells whether a pace is needed any more.
    pub(super) fn answered(&mut self) -> bool {
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.gap = self.gap.mul_f64(QUICKER.powi(self.in_a_row.min(QUICKEST)));
        self.gap >= NO_GAP
    }

    /// One was refused. Those who were on their way when the gate shut had been sent at the pace of before: of a wave each is
    /// one too many, but only who was sent at the new pace says that it is still twice too fast.
    pub(super) fn refused(&mut self, was_on_its_way: bool, now: Instant) {
        let gap = if was_on_its_way {
            self.gap.max(self.gap.saturating_add(FIRST_GAP).min(LONGEST_OF_A_WAVE))
        } else {
            self.gap.saturating_mul(2)
        };
        (self.gap, self.in_a_row) = (gap.min(LONGEST_GAP), 0);
        self.paid(now);
    }
}

#[cfg(test)]
mod tests;

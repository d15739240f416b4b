//! Time as a value. The pure floors never ask for the time; they are told.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// A point on the wall clock: the time since 1970-01-01T00:00:00Z. Never before it, never overflowing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(Duration);

/// The end of the year 9999: later times are no times that a service means.
const LATEST_SECONDS: u64 = 253_402_300_799;

impl UnixTime {
    /// From the time since the epoch.
    pub fn new(since_epoch: Duration) -> Self {
        Self(since_epoch)
    }

    /// From whole seconds since the epoch, as services send them; none when it is no time of the years 1970 to 9999.
    pub fn from_seconds(seconds: u64) -> Option<Self> {
        (seconds <= LATEST_SECONDS).then(|| Self(Duration::from_secs(seconds)))
    }

    /// The time since the epoch.
    pub fn since_epoch(self) -> Duration {
        self.0
    }

    /// From `earlier` to this; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// This, and a while more.
    pub fn after(self, while_: Duration) -> Self {
        Self(self.0.saturating_add(while_))
    }
}

/// Now, on both clocks: deadlines are kept on the monotonic one, slots lie on the wall's.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The monotonic clock.
    pub tick: Instant,
    /// The wall clock.
    pub wall: UnixTime,
}

/// What tells the time to those who may know it.
pub type Clock = Arc<dyn Fn() -> Moment + Send + Sync>;

impl Moment {
    /// What the wall clock will show at `tick`.
    pub fn wall_at(self, tick: Instant) -> UnixTime {
        self.wall.after(tick.saturating_duration_since(self.tick))
    }
}

/// A while in words, by its two greatest units: `6years 2months`. Nobody cares for the seconds of years.
pub fn roughly(while_: Duration) -> String {
    let exactly = humantime::format_duration(Duration::from_secs(while_.as_secs())).to_string();
    exactly.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// `tick` and a while more; a while that no clock can hold counts as a year.
pub fn later(tick: Instant, while_: Duration) -> Instant {
    const YEAR: Duration = Duration::from_hours(365 * 24);
    tick.checked_add(while_).or_else(|| tick.checked_add(YEAR)).unwrap_or(tick)
}

#[cfg(test)]
mod tests;

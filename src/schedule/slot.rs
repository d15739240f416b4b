//! Slots: the instants on the wall clock at which a pod asks, the same in every interval.
//!
//! By the pod's seed and not by jitter: a fleet spreads, a restart keeps its slot, and objects with one interval fall
//! due together, so that one list call can serve them.

use std::time::Duration;

use super::backoff::mix;
use crate::moment::UnixTime;

/// How soon something that is about to expire may be asked for again.
const SOONEST: Duration = Duration::from_secs(30);
/// How long before its end a value that expires is asked for.
const BEFORE_THE_END: Duration = Duration::from_mins(5);

/// How long until the next time to ask: the slot after `now`, or shortly before the value's end when that comes first.
/// Never nothing, whatever the clock says.
pub(super) fn wait(now: UnixTime, interval: Duration, expires: Option<UnixTime>, seed: u64) -> Duration {
    let slot = until_slot(now, interval, seed);
    let left = expires.filter(|expires| *expires > now).map(|expires| expires.since(now));
    let Some(left) = left.filter(|left| *left <= slot) else { return slot };
    slot.min(left.saturating_sub(BEFORE_THE_END).max(SOONEST))
}

fn until_slot(now: UnixTime, interval: Duration, seed: u64) -> Duration {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let interval_ms = millis(interval).max(1);
    let offset = mix(seed ^ interval_ms) % interval_ms;
    // A slot that is all but here was just served: a timer that fired a moment early must not ask twice.
    let guard = (interval_ms / 10).min(5_000);
    let past = (millis(now.since_epoch()).saturating_add(guard).saturating_add(interval_ms) - offset) % interval_ms;
    Duration::from_millis((interval_ms - past).saturating_add(guard))
}

#[cfg(test)]
mod tests;

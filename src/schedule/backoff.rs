//! How long after which failure: exponential, within bounds, spread by chance that is passed in.

use std::time::Duration;

use crate::failure::{Blame, Failure, Kind};

/// A service may ask for more; nobody is waited for longer than this at a time.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(5);

/// First delay and longest delay.
fn bounds(failure: &Failure) -> (Duration, Duration) {
    let (first, longest) = match failure.kind {
        Kind::Outage => (1, 60),
        Kind::Throttled => (2, 64),
        // Grants and new secrets take minutes to appear; asking faster helps nobody.
        Kind::Denied | Kind::Missing | Kind::Disabled | Kind::Content | Kind::Misconfigured => (5, 300),
    };
    // One probe a minute is all a dead gate costs, and then everything behind it is back within the minute.
    let longest = if failure.blame == Blame::Object { longest } else { longest.min(60) };
    (Duration::from_secs(first), Duration::from_secs(longest))
}

/// The delay after the `failures`-th failure in a row (from 1). `seed` and `who` spread those who fail together:
/// between 0.8 and 1.2 of the pure exponential, but never before a `Retry-After` is over.
pub(super) fn delay(failure: &Failure, failures: u32, seed: u64, who: usize) -> Duration {
    let (first, longest) = bounds(failure);
    let doublings = failures.saturating_sub(1).min(16);
    let pure = first.saturating_mul(1 << doublings).min(longest);
    let chance = fraction(mix(seed ^ mix(who as u64 ^ (u64::from(failures) << 32))));
    let spread = pure.mul_f64(0.8 + 0.4 * chance);
    match failure.after {
        None => spread,
        Some(after) => spread.max(after.min(LONGEST_RETRY_AFTER).mul_f64(1.0 + 0.2 * chance)),
    }
}

/// The finalizer of `SplitMix64`: every bit of the input moves every bit of the output.
pub(super) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The top 32 bits as a fraction of 1.
pub(super) fn fraction(value: u64) -> f64 {
    f64::from(u32::try_from(value >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests;

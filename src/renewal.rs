//! When what does not last is made anew. One rule for whoever keeps a token and for whoever publishes it: two would
//! spin at the boundary.

use std::time::Duration;

/// How much of a life is left when its time for renewal comes, in parts of the whole.
const LEFT: u32 = 4;
/// As long as this is left at least, if the life is long enough: an application that was given the token can still
/// begin something with it.
const LEFT_AT_LEAST: Duration = Duration::from_mins(10);

/// How long after its making something that lives so long is made anew: when a quarter of its life is left, or ten
/// minutes where that is more, but never before half of it is over.
pub fn renew_after(life: Duration) -> Duration {
    let left = (life / LEFT).max(LEFT_AT_LEAST).min(life / 2);
    life.saturating_sub(left)
}

#[cfg(test)]
mod tests;

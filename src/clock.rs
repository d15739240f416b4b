//! The clocks of the machine, read in one place.
#![expect(clippy::disallowed_methods, reason = "this is the clock")]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::moment::{Clock, Moment, UnixTime};

/// The machine's clocks. A wall clock before 1970 counts as 1970.
pub fn system() -> Clock {
    Arc::new(|| {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Moment { tick: Instant::now(), wall: UnixTime::new(since_epoch) }
    })
}

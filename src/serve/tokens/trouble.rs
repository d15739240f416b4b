//! What becomes of a token that cannot be had: which answer makes an SDK ask again, and when, and how long callers get the
//! same answer without anybody being asked. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hyper::StatusCode;
use hyper::header::{HeaderValue, RETRY_AFTER};

use crate::failure::{Failure, Kind};
use crate::moment::later;
use crate::reference::Scope;
use crate::serve::guard::Refusal;

/// So long at least nobody is asked again, however many callers there are: SDKs ask again after about that.
const LEAST: Duration = Duration::from_secs(1);
/// What only somebody's change mends is not asked for every second.
const LEAST_UNMENDED: Duration = Duration::from_secs(5);
/// Whatever the other side says.
const MOST: Duration = Duration::from_mins(5);

/// The scopes there is trouble with.
#[derive(Debug, Default)]
pub(super) struct Troubles(BTreeMap<Scope, Trouble>);

#[derive(Debug)]
struct Trouble {
    failure: Failure,
    until: Instant,
}

impl Troubles {
    /// The failure that is still the answer, and for how long.
    pub(super) fn standing(&self, scope: &Scope, now: Instant) -> Option<(&Failure, Duration)> {
        let trouble = self.0.get(scope).filter(|trouble| now < trouble.until)?;
        Some((&trouble.failure, trouble.until.saturating_duration_since(now)))
    }

    /// Notes a failure, and says how long it stands and whether it is news.
    pub(super) fn failed(&mut self, scope: &Scope, failure: &Failure, now: Instant) -> (Duration, bool) {
        let least = if is_passing(failure.kind) { LEAST } else { LEAST_UNMENDED };
        let stands = failure.after.unwrap_or(least).clamp(least, MOST);
        let trouble = Trouble { failure: failure.clone(), until: later(now, stands) };
        let before = self.0.insert(scope.clone(), trouble);
        (stands, before.is_none_or(|before| !before.failure.same_trouble(failure)))
    }

    /// Notes that it is over, and says whether there was any.
    pub(super) fn mended(&mut self, scope: &Scope) -> bool {
        self.0.remove(scope).is_some()
    }
}

/// The answer, by what SDKs do with it: 429 and 5xx they try again, 400 they do not.
pub(super) fn refusal(failure: &Failure, stands: Duration) -> Refusal {
    let (status, code) = match failure.kind {
        Kind::Throttled => (StatusCode::TOO_MANY_REQUESTS, "too_many_requests"),
        Kind::Outage | Kind::Content => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
        Kind::Denied | Kind::Missing | Kind::Disabled => (StatusCode::BAD_REQUEST, "unauthorized_client"),
        Kind::Misconfigured => (StatusCode::BAD_REQUEST, "invalid_request"),
    };
    let message = format!("keyferry cannot get the token ({}): its log says what to do", failure.code);
    let refusal = Refusal::new(status, code, message);
    if is_passing(failure.kind) {
        // Rounded up: whoever comes a moment too early gets the same answer once more.
        let seconds = stands.as_secs() + u64::from(stands.subsec_nanos() > 0);
        refusal.with(RETRY_AFTER, HeaderValue::from(seconds))
    } else {
        refusal
    }
}

fn is_passing(kind: Kind) -> bool {
    matches!(kind, Kind::Throttled | Kind::Outage | Kind::Content)
}

#[cfg(test)]
mod tests;

//! What Azure Resource Manager's refusal means (facts: its common error codes, and what was seen of Azure Machine
//! Learning's connections).

use azure_core::http::RawResponse;

use crate::azure::answer::{ErrorBody, retry_after};
use crate::failure::{Blame, Failure, Kind};

/// Classifies an answer that is no 200. For a 401 this is what a second one means, with a token made anew.
pub(super) fn failure(response: &RawResponse) -> Failure {
    let status = u16::from(response.status());
    let error = ErrorBody::read(response);
    let code = error.code(status);
    let (blame, kind) = match (status, code.as_str()) {
        (401, "InvalidAuthenticationTokenTenant" | "InvalidAuthenticationTokenAudience") => {
            (Blame::Host, Kind::Misconfigured)
        }
        (401, _) => (Blame::Host, Kind::Denied),
        (403, _) if error.has_code() => (Blame::Object, Kind::Denied),
        (404, "NotFoundError" | "ResourceNotFound" | "ResourceGroupNotFound" | "SubscriptionNotFound") => {
            (Blame::Object, Kind::Missing)
        }
        (429, _) => (Blame::Host, Kind::Throttled),
        (408 | 500..=599, _) => (Blame::Host, Kind::Outage),
        // Whoever answers this is not the resource manager as documented.
        _ => (Blame::Object, Kind::Outage),
    };
    Failure { after: retry_after(response.headers()), ..Failure::new(blame, kind, code) }
}

#[cfg(test)]
mod tests;

//! What a vault's refusal means: status and codes to a [`Failure`] (facts: Key Vault REST error codes, and what real
//! vaults were seen to send).

use azure_core::http::RawResponse;

use super::answer::{ErrorBody, retry_after};
use crate::failure::{Blame, Code, Failure, Kind};

/// Classifies an answer that is no 200. For a 401 this is what a second one means, with a token made anew.
pub(super) fn failure(response: &RawResponse) -> Failure {
    let status = u16::from(response.status());
    let error = ErrorBody::read(response);
    let code = error.code(status);
    let (blame, kind) = match (status, code.as_str()) {
        (401, _) => return unauthorized(error.message.as_deref().unwrap_or_default()),
        (403, "SecretDisabled" | "CertificateDisabled" | "KeyDisabled") => (Blame::Object, Kind::Disabled),
        (403, "ForbiddenByFirewall" | "ForbiddenByConnection") => (Blame::Host, Kind::Denied),
        (403, _) if error.has_code() => (Blame::Object, Kind::Denied),
        (404, "SecretNotFound" | "CertificateNotFound" | "KeyNotFound") => (Blame::Object, Kind::Missing),
        (429, _) => (Blame::Host, Kind::Throttled),
        (408 | 500..=599, _) => (Blame::Host, Kind::Outage),
        // Whoever answers this is not the vault as documented; the other objects may fare better.
        _ => (Blame::Object, Kind::Outage),
    };
    Failure { after: retry_after(response.headers()), ..Failure::new(blame, kind, code) }
}

/// The vault does not accept the token. Which `AKV…` code it is decides whether that mends by itself.
fn unauthorized(message: &str) -> Failure {
    let code = message
        .split(':')
        .next()
        .filter(|code| code.starts_with("AKV"))
        .map_or_else(|| Code::new("Unauthorized"), Code::new);
    match code.as_str() {
        // The service could not find its key: seen now and then for a good token, gone at the next try.
        "AKV10046" => {
            Failure::new(Blame::Object, Kind::Outage, code).because("the vault could not verify a good token")
        }
        "AKV10022" => {
            Failure::new(Blame::Host, Kind::Misconfigured, code).because("the vault wants tokens for another audience")
        }
        "AKV10032" => Failure::new(Blame::Host, Kind::Misconfigured, code).because("the vault trusts another tenant"),
        _ => Failure::new(Blame::Host, Kind::Denied, code).because("the vault refuses the token, also one made anew"),
    }
}

#[cfg(test)]
mod tests;

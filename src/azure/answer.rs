//! What a vault's answer means: status and codes to a [`Failure`] (facts: Key Vault REST error codes, and what real
//! vaults were seen to send). Messages are never kept: they name tenants, objects and addresses.

use std::time::Duration;

use azure_core::http::RawResponse;
use azure_core::http::headers::{HeaderName, Headers};
use serde::Deserialize;

use crate::failure::{Blame, Code, Failure, Kind};

const RETRY_AFTER: HeaderName = HeaderName::from_static("retry-after");
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
const X_MS_RETRY_AFTER_MS: HeaderName = HeaderName::from_static("x-ms-retry-after-ms");

/// `{"error":{"code":…,"message":…,"innererror":{"code":…}}}`, every member optional and nullable.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Envelope {
    error: Option<ErrorBody>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ErrorBody {
    code: Option<String>,
    message: Option<String>,
    innererror: Option<Inner>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Inner {
    code: Option<String>,
}

/// Classifies an answer that is no 200. For a 401 this is what a second one means, with a token made anew.
pub(super) fn failure(response: &RawResponse) -> Failure {
    let status = u16::from(response.status());
    // Front ends answer HTML, managed HSMs nothing: then the status is all there is.
    let envelope: Envelope = serde_json::from_slice(response.body().as_ref()).unwrap_or_default();
    let error = envelope.error.unwrap_or_default();
    let code = match (&error.innererror, &error.code) {
        (Some(Inner { code: Some(inner) }), _) => Code::new(inner),
        (_, Some(code)) => Code::new(code),
        _ => Code::new(&format!("http-{status}")),
    };
    let (blame, kind) = match (status, code.as_str()) {
        (401, _) => return unauthorized(error.message.as_deref().unwrap_or_default()),
        (403, "SecretDisabled") => (Blame::Object, Kind::Disabled),
        (403, "ForbiddenByFirewall" | "ForbiddenByConnection") => (Blame::Host, Kind::Denied),
        (403, _) => (Blame::Object, Kind::Denied),
        (404, "SecretNotFound") => (Blame::Object, Kind::Missing),
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

/// How long the service asks to be left alone, in the headers that Azure's SDKs look at, in their order. A number that
/// makes no sense is none; an HTTP date (RFC 9110 §10.2.3) was never seen from these services and is none either.
pub(super) fn retry_after(headers: &Headers) -> Option<Duration> {
    let number = |name: &HeaderName| headers.get_optional_str(name)?.trim().parse::<u32>().ok();
    let millis = number(&X_MS_RETRY_AFTER_MS).or_else(|| number(&RETRY_AFTER_MS));
    millis
        .map(|millis| Duration::from_millis(millis.into()))
        .or_else(|| number(&RETRY_AFTER).map(|seconds| Duration::from_secs(seconds.into())))
}

/// Whether a 401 says that the token is not good, so that another one may be.
pub(super) fn is_about_the_token(failure: &Failure) -> bool {
    failure.blame == Blame::Host
}

/// The failure that travels inside an SDK error. The SDK's own text is never looked at: it may hold a whole body.
pub(super) fn failure_in(error: &azure_core::Error) -> Failure {
    let mut chain = std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source());
    let found = chain.find_map(|error| error.downcast_ref::<Failure>()).cloned();
    found.unwrap_or_else(|| Failure::new(Blame::Object, Kind::Outage, Code::new("sdk")))
}

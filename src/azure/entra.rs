//! What Entra's token endpoint answers. A policy in the credential's pipeline, because the SDK loses every AADSTS code
//! and cannot add a hostile `expires_in` to the time without a panic.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use azure_core::Error;
use azure_core::error::ErrorKind;
use azure_core::http::headers::{HeaderName, Headers};
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{AsyncRawResponse, Context, Request};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::retry_after;
use crate::failure::{Blame, Code, Failure, Kind};
use crate::moment::{Clock, UnixTime, roughly};

const DATE: HeaderName = HeaderName::from_static("date");
/// Entra forgives this much difference between its clock and an assertion's times.
const FORGIVEN_SKEW: Duration = Duration::from_mins(5);
/// No token lives longer; a longer life is a mistake and is cut.
const LONGEST_LIFE: u64 = 7 * 24 * 3600;

/// Lets good answers through with their numbers made sane, and turns the others into a [`Failure`].
pub(super) struct ReadAnswers {
    clock: Clock,
}

impl ReadAnswers {
    pub(super) fn new(clock: &Clock) -> Self {
        Self { clock: Arc::clone(clock) }
    }
}

impl fmt::Debug for ReadAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadAnswers")
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Value,
}

/// What the SDK reads.
#[derive(Serialize)]
struct Sane {
    token_type: &'static str,
    expires_in: u64,
    access_token: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Refused {
    error: Option<String>,
    error_codes: Vec<u32>,
}

#[async_trait::async_trait]
impl Policy for ReadAnswers {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let [first, rest @ ..] = next else {
            return Err(Error::with_message(ErrorKind::Other, "there is no transport"));
        };
        let response = first.send(context, request, rest).await?.try_into_raw_response().await?;
        let (status, headers, body) = response.deconstruct();
        let answer = match u16::from(status) {
            200 => sane(body.as_ref()),
            status => Err(refused(status, &headers, body.as_ref(), &self.clock)),
        };
        match answer {
            Ok(body) => Ok(AsyncRawResponse::from_bytes(status, headers, body)),
            Err(failure) => Err(Error::new(ErrorKind::Credential, failure)),
        }
    }
}

fn sane(body: &[u8]) -> Result<Vec<u8>, Failure> {
    let unusable = || {
        Failure::new(Blame::Identity, Kind::Outage, Code::new("bad-token-answer"))
            .because("the authority's answer holds no usable access token")
    };
    let granted: Granted = serde_json::from_slice(body).map_err(|_| unusable())?;
    let expires_in = seconds(&granted.expires_in).filter(|_| !granted.access_token.is_empty()).ok_or_else(unusable)?;
    serde_json::to_vec(&Sane { token_type: "Bearer", expires_in, access_token: granted.access_token })
        .map_err(|_| unusable())
}

/// A lifetime in seconds, as a number or as a string of one; none when it is not one, or not above zero.
fn seconds(value: &Value) -> Option<u64> {
    let number = match value {
        Value::String(text) => text.trim().parse::<u64>().ok()?,
        value => value.as_u64()?,
    };
    (number > 0).then(|| number.min(LONGEST_LIFE))
}

/// Nobody gives tokens for what was asked for. That is the trouble of whoever asked: other audiences are not in doubt.
pub(super) fn no_such_audience(code: Code) -> Failure {
    Failure::new(Blame::Object, Kind::Misconfigured, code).because("there is no service of this audience")
}

/// The audience's own application lets in only those to whom it has assigned a role: others are not in doubt either.
fn no_role_there(code: Code) -> Failure {
    Failure::new(Blame::Object, Kind::Denied, code).because("the scope's application has assigned no role")
}

/// Whether it is that trouble, and not one of signing in.
pub(super) fn is_about_the_audience(failure: &Failure) -> bool {
    failure.blame == Blame::Object && matches!(failure.kind, Kind::Misconfigured | Kind::Denied)
}

/// What Entra means, in a text of somebody who has asked it.
pub(super) fn meaning_in(text: &str) -> Option<Failure> {
    let (_, rest) = text.split_once("AADSTS")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).take(9).collect();
    digits.parse().ok().map(meaning)
}

/// What one of Entra's numbers means, whoever passes it on.
fn meaning(number: u32) -> Failure {
    let code = Code::new(&format!("AADSTS{number}"));
    let kind = match number {
        50196 | 90055 => Kind::Throttled,
        90006 | 90012 | 90024 | 90033 | 90090 | 90061 => Kind::Outage,
        700_016 | 90002 | 900_023 => Kind::Misconfigured,
        70011 | 500_011 | 700_022 => return no_such_audience(code),
        501_051 => return no_role_there(code),
        _ => Kind::Denied,
    };
    Failure::new(Blame::Identity, kind, code)
}

fn refused(status: u16, headers: &Headers, body: &[u8], clock: &Clock) -> Failure {
    let refused: Refused = serde_json::from_slice(body).unwrap_or_default();
    let number = refused.error_codes.first().copied();
    let code = refused.error.map_or_else(|| Code::new(&format!("http-{status}")), |error| Code::new(&error));
    let by_status = |kind| Failure::new(Blame::Identity, kind, code.clone());
    // Status and `error` change over the years; only the numbers are stable.
    let failure = match (number.map(meaning), status) {
        (Some(failure), 429) => Failure { kind: Kind::Throttled, ..failure },
        (Some(failure), 408 | 500..=599) if failure.kind == Kind::Denied => Failure { kind: Kind::Outage, ..failure },
        (Some(failure), _) => failure,
        (None, 429) => by_status(Kind::Throttled),
        (None, 400 | 401) => by_status(Kind::Denied),
        (None, _) => by_status(Kind::Outage),
    };
    let failure = Failure { after: retry_after(headers), ..failure };
    match number.and_then(|number| skew(number, headers, clock)) {
        Some(detail) => failure.because(detail),
        None => failure,
    }
}

/// Says so when the assertion is out of its time because this machine's clock is wrong, and not the file.
fn skew(aadsts: u32, headers: &Headers, clock: &Clock) -> Option<String> {
    if aadsts != 700_024 {
        return None;
    }
    let theirs = httpdate::parse_http_date(headers.get_optional_str(&DATE)?).ok()?;
    let theirs = UnixTime::new(theirs.duration_since(SystemTime::UNIX_EPOCH).ok()?);
    let ours = clock().wall;
    let (skew, direction) =
        if ours > theirs { (ours.since(theirs), "ahead of") } else { (theirs.since(ours), "behind") };
    (skew >= FORGIVEN_SKEW).then(|| {
        let skew = roughly(skew);
        format!("this machine's clock is {skew} {direction} the authority's")
    })
}

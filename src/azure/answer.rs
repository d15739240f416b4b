//! What every service's answer holds that is not its own: codes in an envelope, and how long to leave it alone.
//! Messages are never kept: they name tenants, objects and addresses.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use azure_core::http::RawResponse;
use azure_core::http::headers::{HeaderName, Headers};
use serde::Deserialize;

use crate::failure::{Blame, Code, Failure, Kind};
use crate::moment::UnixTime;

const RETRY_AFTER: HeaderName = HeaderName::from_static("retry-after");
const DATE: HeaderName = HeaderName::from_static("date");
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
const X_MS_RETRY_AFTER_MS: HeaderName = HeaderName::from_static("x-ms-retry-after-ms");

/// `{"error":{"code":…,"message":…,"innererror":{"code":…}}}`, every member optional and nullable. The vault writes
/// `innererror`, Azure Machine Learning `innerError`.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Envelope {
    error: Option<ErrorBody>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ErrorBody {
    code: Option<String>,
    /// To look for a code in; never kept.
    pub(super) message: Option<String>,
    #[serde(alias = "innerError")]
    innererror: Option<Inner>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Inner {
    code: Option<String>,
}

impl ErrorBody {
    /// The error in an answer. Front ends answer HTML, managed HSMs nothing: then there is none.
    pub(super) fn read(response: &RawResponse) -> Self {
        let envelope: Envelope = serde_json::from_slice(response.body().as_ref()).unwrap_or_default();
        envelope.error.unwrap_or_default()
    }

    /// Whether whoever answered speaks the service's language. A page of something on the way has no code: a gateway's
    /// 403 is not the service's word that access was taken away.
    pub(super) fn has_code(&self) -> bool {
        self.code.is_some()
    }

    /// The innermost code; the status where there is none.
    pub(super) fn code(&self, status: u16) -> Code {
        match (&self.innererror, &self.code) {
            (Some(Inner { code: Some(inner) }), _) => Code::new(inner),
            (_, Some(code)) => Code::new(code),
            _ => Code::new(&format!("http-{status}")),
        }
    }
}

/// How long the service asks to be left alone, in the headers that Azure's SDKs look at, in their order. A number that
/// makes no sense is none. An HTTP date (RFC 9110 §10.2.3) counts from the date of the answer, the service's own clock.
pub(super) fn retry_after(headers: &Headers) -> Option<Duration> {
    let number = |name: &HeaderName| headers.get_optional_str(name)?.trim().parse::<u32>().ok();
    let millis = number(&X_MS_RETRY_AFTER_MS).or_else(|| number(&RETRY_AFTER_MS));
    millis
        .map(|millis| Duration::from_millis(millis.into()))
        .or_else(|| number(&RETRY_AFTER).map(|seconds| Duration::from_secs(seconds.into())))
        .or_else(|| time(headers, &RETRY_AFTER)?.duration_since(time(headers, &DATE)?).ok())
}

/// When the answer was made, by the service's own clock.
pub(super) fn date(headers: &Headers) -> Option<UnixTime> {
    time(headers, &DATE)?.duration_since(UNIX_EPOCH).ok().map(UnixTime::new)
}

fn time(headers: &Headers, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get_optional_str(name)?).ok()
}

/// The failure that travels inside an SDK error. The SDK's own text is never looked at: it may hold a whole body.
pub(super) fn failure_in(error: &azure_core::Error) -> Failure {
    let mut chain = std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source());
    let found = chain.find_map(|error| error.downcast_ref::<Failure>()).cloned();
    found.unwrap_or_else(|| Failure::new(Blame::Object, Kind::Outage, Code::new("sdk")))
}

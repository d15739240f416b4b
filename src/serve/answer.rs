//! How answers for values are written.

use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::body::{Body, plain};
use super::guard::Refusal;

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer that nobody on the way, and no cache of the caller's, keeps.
pub(super) fn answer(status: StatusCode, kind: HeaderValue, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Something that is no secret, as JSON.
pub(super) fn json<T: Serialize>(status: StatusCode, value: &T) -> Response<Body> {
    // Our own types have no keys but strings.
    let mut text = serde_json::to_vec(value).unwrap_or_default();
    text.push(b'\n');
    answer(status, JSON, plain(text))
}

/// `{"error": {"code": …, "message": …, "uid": …}}`: why nothing is given, and who asked, as far as that is known.
pub(super) fn refused(refusal: Refusal, uid: Option<u32>) -> Response<Body> {
    #[derive(Serialize)]
    struct Error<'a> {
        error: Cause<'a>,
    }
    #[derive(Serialize)]
    struct Cause<'a> {
        code: &'a str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        uid: Option<u32>,
    }
    let error = Error { error: Cause { code: refusal.code, message: &refusal.message, uid } };
    let mut response = json(refusal.status, &error);
    response.headers_mut().extend(refusal.header);
    response
}

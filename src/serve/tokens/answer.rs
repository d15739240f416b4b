//! How tokens, and why there is none, are written in either shape (learn.microsoft.com, and what was seen).

use hyper::{Response, StatusCode};
use serde::Serialize;

use super::route::Shape;
use crate::moment::UnixTime;
use crate::ports::Minted;
use crate::reference::Scope;
use crate::secret::SecretValue;
use crate::serve::answer::{JSON, answer, json};
use crate::serve::body::{self, Body};
use crate::serve::guard::Refusal;

/// Everything is text.
#[derive(Serialize)]
struct Imds<'a> {
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    expires_in: &'a str,
    expires_on: &'a str,
    ext_expires_in: &'a str,
    not_before: &'a str,
    resource: &'a str,
    token_type: &'a str,
}

#[derive(Serialize)]
struct AppService<'a> {
    access_token: &'a str,
    expires_on: &'a str,
    resource: &'a str,
    token_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
}

/// The text that holds the token; none if the token is no text.
pub(super) fn written(
    shape: Shape,
    minted: &Minted,
    (scope, client_id): (&Scope, Option<&str>),
    now: UnixTime,
) -> Option<SecretValue> {
    /// No byte is written in more than `\u0000`.
    const LONGEST_ESCAPE: usize = 6;
    /// More than the names, the times and the marks between them.
    const REST: usize = 512;
    let access_token = std::str::from_utf8(minted.value.expose()).ok()?;
    let seconds = |time: UnixTime| time.since_epoch().as_secs().to_string();
    let (expires_on, not_before) = (seconds(minted.expires), seconds(now));
    let expires_in = minted.expires.since(now).as_secs().to_string();
    let (resource, token_type) = (scope.resource(), "Bearer");
    let longest = access_token.len() + resource.len() + client_id.map_or(0, str::len);
    // As long as it will get, so that growing leaves no copy of the token behind.
    let mut text = Vec::with_capacity(longest * LONGEST_ESCAPE + REST);
    match shape {
        Shape::Imds => {
            let (expires_in, expires_on, not_before) = (&expires_in, &expires_on, &not_before);
            let ext_expires_in = expires_in;
            let answer = Imds {
                access_token,
                client_id,
                expires_in,
                expires_on,
                ext_expires_in,
                not_before,
                resource,
                token_type,
            };
            serde_json::to_writer(&mut text, &answer)
        }
        Shape::AppService => {
            let expires_on = &expires_on;
            serde_json::to_writer(&mut text, &AppService { access_token, expires_on, resource, token_type, client_id })
        }
    }
    .ok()?;
    Some(SecretValue::new(text))
}

/// A token.
pub(super) fn granted(text: SecretValue) -> Response<Body> {
    answer(StatusCode::OK, JSON, body::secret(text))
}

/// Why there is none, as whoever asked in this shape reads it.
pub(super) fn refused(shape: Shape, refusal: Refusal) -> Response<Body> {
    #[derive(Serialize)]
    struct Imds<'a> {
        error: &'a str,
        error_description: &'a str,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct AppService<'a> {
        status_code: u16,
        message: &'a str,
    }
    let Refusal { status, code, message, header } = refusal;
    let mut response = match shape {
        Shape::Imds => json(status, &Imds { error: code, error_description: &message }),
        Shape::AppService => {
            json(status, &AppService { status_code: status.as_u16(), message: &format!("{code}: {message}") })
        }
    };
    response.headers_mut().extend(header);
    response
}

#[cfg(test)]
mod tests;

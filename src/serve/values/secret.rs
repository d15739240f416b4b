//! One value: which bytes, under which tag, and whether the caller has them already. Pure.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, VARY};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::board::Shown;
use super::route::{Wish, no_such_secret};
use super::unready;
use crate::config::serve::Visible;
use crate::secret::{Part, Secret, SecretValue};
use crate::serve::answer::{JSON, answer};
use crate::serve::body;
use crate::serve::guard::Refusal;
use crate::snapshot::Generation;

/// A value that was found.
#[derive(Debug)]
pub(super) struct Found {
    secret: Arc<Secret>,
    part: Part,
    /// The whole with which it came.
    pub(super) since: Generation,
}

/// Looks for it among what the caller may see.
pub(super) fn find(wish: &Wish, shown: Option<&Shown>, visible: &Visible) -> Result<Found, Refusal> {
    if !visible.shows(&wish.name) {
        return Err(no_such_secret());
    }
    let shown = shown.ok_or_else(unready)?;
    let Some(secret) = shown.snapshot.secrets.get(&wish.name) else {
        // What is optional and not there is as good as not configured.
        return Err(if shown.snapshot.unknown.contains(&wish.name) { unready() } else { no_such_secret() });
    };
    let part = match wish.part {
        Some(part) => Some(part),
        None => [Part::Value, Part::Bundle].into_iter().find(|part| secret.part(*part).is_some()),
    };
    let part = part.or_else(|| secret.parts.keys().next().copied().filter(|_| secret.parts.len() == 1));
    match part.filter(|part| secret.part(*part).is_some()) {
        Some(part) => Ok(Found { secret: Arc::clone(secret), part, since: shown.since(&wish.name) }),
        None => Err(no_such_part(secret)),
    }
}

fn no_such_part(secret: &Secret) -> Refusal {
    let parts: Vec<&str> = secret.parts.keys().map(|part| part.name()).collect();
    let message = match parts[..] {
        ["value"] => "this secret has no parts: ask without 'part'".to_owned(),
        _ => format!("choose one of its parts with '?part=': {}", parts.join(", ")),
    };
    Refusal::new(StatusCode::BAD_REQUEST, "PartNotFound", message)
}

/// What tells two values of one name apart: this run, the whole with which each came, and the form. Nothing of the value
/// goes into a tag, and that of another run never compares equal.
#[derive(Debug)]
pub(super) struct Tags<'a> {
    pub(super) run: &'a str,
    /// Whether the value is in JSON.
    pub(super) json: bool,
    /// The request's.
    pub(super) headers: &'a HeaderMap,
}

impl Tags<'_> {
    fn tag(&self, since: Generation) -> String {
        format!("\"{}-{since}{}\"", self.run, if self.json { "-json" } else { "" })
    }

    /// Whether the caller has the value of this whole (RFC 9110 §13.1.2).
    pub(super) fn include(&self, since: Generation) -> bool {
        self.headers.contains_key(IF_NONE_MATCH) && is_among(self.headers, &self.tag(since))
    }
}

fn is_among(headers: &HeaderMap, tag: &str) -> bool {
    let tags = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = tags.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

impl Found {
    /// The answer, with its bytes unless the caller has them.
    pub(super) fn answer(&self, wish: &Wish, tags: &Tags<'_>) -> Response<body::Body> {
        let mut response = if tags.include(self.since) {
            let mut response = Response::new(body::plain(Vec::new()));
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        } else if wish.json {
            self.json(wish)
        } else {
            let kind = HeaderValue::from_static("application/octet-stream");
            answer(StatusCode::OK, kind, body::part(Arc::clone(&self.secret), self.part))
        };
        let headers = response.headers_mut();
        headers.extend(HeaderValue::from_str(&tags.tag(self.since)).ok().map(|tag| (ETAG, tag)));
        headers.insert(VARY, HeaderValue::from_static("Accept"));
        response
    }

    fn json(&self, wish: &Wish) -> Response<body::Body> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Json<'a> {
            name: &'a str,
            version: String,
            generation: u64,
            part: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            value: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            value_base64: Option<&'a str>,
        }
        let bytes = self.secret.part(self.part).map(SecretValue::expose).unwrap_or_default();
        let text = std::str::from_utf8(bytes).ok();
        // Base64 is for what is no text.
        let encoded = text.is_none().then(|| SecretValue::new(STANDARD.encode(bytes).into_bytes()));
        let json = Json {
            name: wish.name.as_str(),
            version: self.secret.version.to_string(),
            generation: self.since.0,
            part: self.part.name(),
            value: text,
            value_base64: encoded.as_ref().and_then(|encoded| std::str::from_utf8(encoded.expose()).ok()),
        };
        // As long as it will get, so that growing leaves no copy behind: no byte is written in more than `\u0000`.
        let mut written = Vec::with_capacity(bytes.len().saturating_mul(6).saturating_add(AROUND));
        // To memory everything can be written that has no keys but strings.
        drop(serde_json::to_writer(&mut written, &json));
        written.push(b'\n');
        answer(StatusCode::OK, JSON, body::secret(SecretValue::new(written)))
    }
}

/// More than what is written around a value: its name, of at most 253 letters, its version and the members' names.
const AROUND: usize = 1 << 10;

#[cfg(test)]
mod tests;

//! What a request for values asks for: a pure look at its method, path, query and headers.

use std::time::Duration;

use hyper::header::{ACCEPT, ALLOW, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode, Uri};

use crate::reference::SecretName;
use crate::render::Syntax;
use crate::secret::Part;
use crate::serve::guard::Refusal;

/// Nobody waits longer for a change: ask again.
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// The variables, written in this way.
    Env(Syntax),
    /// The variables, one by one.
    Variables,
    /// What there is.
    Secrets,
    /// One value.
    Secret(Wish),
    /// What changes, as it does.
    Watch,
    /// That everything be fetched anew.
    Refresh,
    /// What is known of everything.
    Status,
}

/// One value that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    /// Its name.
    pub(super) name: SecretName,
    /// Which part of it; the one there is, or key and chain.
    pub(super) part: Option<Part>,
    /// How long to wait for another value than the one that is known.
    pub(super) wait: Option<Duration>,
    /// With what is known about it, as JSON; else its bytes.
    pub(super) json: bool,
}

/// What metrics call it.
pub(super) fn name(path: &str) -> &'static str {
    match path {
        "/v1/env" => "env",
        "/v1/secrets" => "secrets",
        "/v1/variables" => "variables",
        "/v1/watch" => "watch",
        "/v1/refresh" => "refresh",
        "/v1/status" => "status",
        _ if path.starts_with(SECRET) => "secret",
        _ => "other",
    }
}

const SECRET: &str = "/v1/secrets/";

/// What the request asks for, or why nothing.
pub(super) fn asked(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Asked, Refusal> {
    let path = uri.path();
    let name = path.strip_prefix(SECRET);
    let known: &[&str] = match path {
        "/v1/env" => &["format"],
        "/v1/secrets" | "/v1/variables" | "/v1/watch" | "/v1/refresh" | "/v1/status" => &[],
        _ if name.is_some() => &["part", "wait"],
        _ => return Err(Refusal::new(StatusCode::NOT_FOUND, "NotFound", NO_SUCH_PATH)),
    };
    let allowed = if path == "/v1/refresh" { &[Method::POST][..] } else { &[Method::GET, Method::HEAD] };
    if !allowed.contains(method) {
        let allowed = if path == "/v1/refresh" { "POST" } else { "GET, HEAD" };
        let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", format!("use {allowed} here"));
        return Err(refusal.with(ALLOW, HeaderValue::from_static(allowed)));
    }
    let query = Query::parse(uri.query(), known)?;
    Ok(match path {
        "/v1/env" => Asked::Env(syntax(query.get("format"), headers)?),
        "/v1/secrets" => Asked::Secrets,
        "/v1/variables" => Asked::Variables,
        "/v1/watch" => Asked::Watch,
        "/v1/refresh" => Asked::Refresh,
        "/v1/status" => Asked::Status,
        // A name that is none is no other than one that is not known.
        _ => Asked::Secret(Wish {
            name: name.and_then(|name| SecretName::parse(name).ok()).ok_or_else(no_such_secret)?,
            part: query.get("part").map(part).transpose()?,
            wait: query.get("wait").map(wait).transpose()?,
            json: accepts(headers, "application/json"),
        }),
    })
}

const NO_SUCH_PATH: &str = "there is nothing here: ask for /v1/env, /v1/variables, /v1/secrets, /v1/secrets/{name}, /v1/watch, \
                            /v1/status, or POST to /v1/refresh";

/// The same whether there is no such secret or the caller may not see it.
pub(super) fn no_such_secret() -> Refusal {
    let message = "there is no such secret that you may read: /v1/secrets lists those that you may";
    Refusal::new(StatusCode::NOT_FOUND, "SecretNotFound", message)
}

struct Query<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Query<'a> {
    fn parse(query: Option<&'a str>, known: &[&str]) -> Result<Self, Refusal> {
        let mut parameters = Vec::new();
        for parameter in query.unwrap_or_default().split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if !known.contains(&name) {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(wrong("UnknownParameter", format!("a parameter is not known here; there are: {known}")));
            }
            if parameters.iter().any(|(other, _)| *other == name) {
                return Err(wrong("RepeatedParameter", format!("the parameter '{name}' is given twice")));
            }
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
    }
}

fn wrong(code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, code, message)
}

fn part(name: &str) -> Result<Part, Refusal> {
    let parts = || Part::OF_CERTIFICATE.map(Part::name).join(", ");
    Part::named(name).ok_or_else(|| wrong("WrongParameter", format!("'part' is one of {}", parts())))
}

fn wait(text: &str) -> Result<Duration, Refusal> {
    let wait = humantime::parse_duration(text).ok().filter(|wait| *wait <= LONGEST_WAIT);
    wait.ok_or_else(|| wrong("WrongParameter", "'wait' is how long to wait for a change, such as 60s; at most 5m"))
}

fn syntax(format: Option<&str>, headers: &HeaderMap) -> Result<Syntax, Refusal> {
    match format {
        Some(format) => Syntax::named(format)
            .ok_or_else(|| wrong("WrongParameter", "'format' is one of json, dotenv, sh and envfile")),
        None if accepts(headers, "application/json") => Ok(Syntax::Json),
        None if accepts(headers, "text/plain") => Ok(Syntax::Dotenv),
        None if accepts(headers, "application/x-sh") => Ok(Syntax::Sh),
        None => Ok(Syntax::Json),
    }
}

/// Whether this very media type is asked for: who takes anything gets what is given by itself.
fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let ranges =
        headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let mut names = ranges.map(|range| range.split(';').next().unwrap_or_default().trim());
    names.any(|name| name.eq_ignore_ascii_case(media_type))
}

#[cfg(test)]
mod tests;

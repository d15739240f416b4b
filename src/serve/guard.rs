//! What every request for values or tokens must be: one that a process beside this one has sent of its own accord, and not
//! a browser that a page has led here, a proxy that passes on what came from elsewhere, or a server that was talked into
//! fetching an address (SSRF). Pure.

use std::net::Ipv4Addr;

use hyper::body::Body;
use hyper::header::{FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, VIA};
use hyper::{Request, StatusCode};

/// The header without which nothing is given: no page can add it across origins without asking first (CORS), no form or
/// link can at all, and whoever lets others choose an address seldom lets them choose headers.
pub(super) const MEANT: HeaderName = HeaderName::from_static("keyferry-request");

/// Why a request is none that is answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The answer's status.
    pub(super) status: StatusCode,
    /// The cause in a word that does not change.
    pub(super) code: &'static str,
    /// The cause, and what to do; nothing of a secret.
    pub(super) message: String,
    /// What belongs to it in a header.
    pub(super) header: Option<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), header: None }
    }

    pub(super) fn with(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { header: Some((name, value)), ..self }
    }
}

/// Whether it was sent from beside this process, to it, and with nothing in it.
pub(super) fn check<B: Body>(request: &Request<B>) -> Result<(), Refusal> {
    let forbidden = |code, message: String| Err(Refusal::new(StatusCode::FORBIDDEN, code, message));
    let wrong = |code, message: &str| Err(Refusal::new(StatusCode::BAD_REQUEST, code, message));
    if request.uri().authority().is_some() {
        return wrong("NoProxy", "this is no proxy: ask for a path alone, without http:// and host");
    }
    if !request.body().is_end_stream() {
        return wrong("BodyNotAllowed", "a request here has no body");
    }
    let headers = request.headers();
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if is_local(host) => {}
        (Some(_), None) => {
            // A name that leads here by DNS is anybody's (DNS rebinding).
            let message = "the header Host names another machine: ask for localhost, 127.0.0.1 or [::1]";
            return forbidden("HostNotLocal", message.to_owned());
        }
        _ => return wrong("HostMissing", "there must be one header Host: localhost, 127.0.0.1 or [::1]"),
    }
    if let Some(header) = headers.keys().find(|header| is_foreign(header)) {
        let message =
            format!("the header {header} is set by browsers and proxies: what comes through one is not answered");
        return forbidden("ForwardedOrCrossOrigin", message);
    }
    Ok(())
}

/// Whether whoever sent it meant to.
pub(super) fn check_meant(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut values = headers.get_all(MEANT).iter();
    if values.next().is_some_and(|value| value == "true") && values.next().is_none() {
        return Ok(());
    }
    let message = "the header 'Keyferry-Request: true' is missing: send it with every request";
    Err(Refusal::new(StatusCode::FORBIDDEN, "HeaderMissing", message))
}

/// Written as everybody writes it: `2130706433`, `0x7f.1` and `localhost.` lead here as well, and nobody means them.
fn is_local(host: &HeaderValue) -> bool {
    let Ok(host) = host.to_str() else { return false };
    let is_port = |port: &str| !port.is_empty() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) => name,
        _ => host,
    };
    name.eq_ignore_ascii_case("localhost")
        || name == "[::1]"
        || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

fn is_foreign(header: &HeaderName) -> bool {
    *header == ORIGIN
        || *header == FORWARDED
        || *header == VIA
        || header.as_str() == "x-real-ip"
        || header.as_str().starts_with("x-forwarded-")
        || header.as_str().starts_with("sec-fetch-")
}

#[cfg(test)]
mod tests;

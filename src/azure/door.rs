//! The door to each host: while no connection is known to be open, the first request goes alone and the rest wait for
//! how it ends, sharing its failure. Else a hundred first requests would open a hundred connections, because the pool
//! cannot know yet that HTTP/2 will be agreed.
#![expect(clippy::disallowed_methods, reason = "whether a connection can still be open is a question of time")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use azure_core::Error;
use azure_core::error::ErrorKind;
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::request::Body;
use azure_core::http::{AsyncRawResponse, HttpClient, Method, Request, Url};
use reqwest::header::DATE;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Version};
use rustls::CertificateError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout};

use super::resolve::{Unresolved, is_local};
use super::transport::{CONNECT, IDLE, Settings};
use crate::config::cloud::Cloud;
use crate::failure::{Blame, Code, Failure, Kind};
use crate::metrics::{Metrics, Service};

/// The most connections to a host that speaks only HTTP/1.1.
const MOST_HTTP1_CONNECTIONS: usize = 32;
/// A connection is open by then, or has failed.
const OPENED_BY_THEN: Duration = CONNECT.saturating_add(Duration::from_millis(500));
/// No answer of any service we ask is nearly as long; a longer one is not read to its end.
const LONGEST_BODY: usize = 4 << 20;

/// The HTTP client behind its doors.
#[derive(Debug)]
pub(super) struct Door {
    client: Client,
    proxied: bool,
    services: Services,
    metrics: Metrics,
    hosts: Mutex<HashMap<String, Host>>,
    http1: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// Which service a request goes to, by the origin of its URL: what is neither of these is a vault.
#[derive(Debug)]
struct Services {
    authority: Option<String>,
    resource_manager: Option<String>,
}

#[derive(Debug)]
enum Host {
    /// Somebody knocks, and how it ends will be told. Whether it spoke HTTP/2 before, if it ever spoke.
    Opening { told: watch::Receiver<Option<Result<(), Failure>>>, spoke: Option<bool> },
    /// Connections were in use then.
    Open { http2: bool, used: Instant },
}

/// What a request may do at the door.
enum Pass {
    /// Go first, and tell the others how it ended.
    First(watch::Sender<Option<Result<(), Failure>>>),
    /// Go with everybody.
    Through { http2: bool },
}

impl Door {
    pub(super) fn new(client: Client, settings: &Settings, cloud: &Cloud) -> Self {
        let metrics = settings.metrics.clone();
        let (hosts, http1) = (Mutex::default(), Mutex::default());
        Self { client, proxied: settings.proxy.is_some(), services: Services::of(cloud), metrics, hosts, http1 }
    }

    async fn enter(&self, host: &str) -> Result<Pass, Failure> {
        loop {
            let (mut opening, spoke) = {
                let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
                let spoke = match hosts.get_mut(host) {
                    Some(Host::Open { http2, used }) if used.elapsed() < IDLE => {
                        *used = Instant::now();
                        return Ok(Pass::Through { http2: *http2 });
                    }
                    Some(Host::Open { http2, .. }) => Some(*http2),
                    Some(Host::Opening { spoke, .. }) => *spoke,
                    None => None,
                };
                match hosts.get(host) {
                    // A leader that was dropped can tell nobody: the next one leads.
                    Some(Host::Opening { told, .. }) if told.has_changed().is_ok() => (told.clone(), spoke),
                    _ => {
                        let (tell, told) = watch::channel(None);
                        hosts.insert(host.to_owned(), Host::Opening { told, spoke });
                        return Ok(Pass::First(tell));
                    }
                }
            };
            match timeout(OPENED_BY_THEN, opening.wait_for(Option::is_some)).await {
                // The connection must be open, or its failure would have been told: it is the first request that hangs.
                // Who is not known to share a connection gets a place for one of his own.
                Err(_) => return Ok(Pass::Through { http2: spoke == Some(true) }),
                Ok(outcome) => {
                    if let Some(Err(failure)) = outcome.ok().and_then(|outcome| outcome.clone()) {
                        return Err(failure);
                    }
                }
            }
        }
    }

    async fn send(&self, host: &str, request: &Request) -> Result<AsyncRawResponse, Failure> {
        loop {
            let (head, place) = match self.enter(host).await? {
                Pass::First(tell) => self.go_first(host, request, &tell).await,
                Pass::Through { http2: true } => (self.go(host, request).await, None),
                Pass::Through { http2: false } => {
                    let place = self.http1_places(host).acquire_owned().await.ok();
                    // Whoever had the place may have found the host dead: then somebody knocks again, alone.
                    if !self.hosts.lock().unwrap_or_else(PoisonError::into_inner).contains_key(host) {
                        continue;
                    }
                    (self.go(host, request).await, place)
                }
            };
            let answer = collect(head?).await;
            leave(place).await;
            return answer;
        }
    }

    async fn go_first(
        &self,
        host: &str,
        request: &Request,
        tell: &watch::Sender<Option<Result<(), Failure>>>,
    ) -> (Result<Response, Failure>, Option<OwnedSemaphorePermit>) {
        let head = self.head(request).await;
        let outcome = head.as_ref().map(Response::version).map_err(Clone::clone);
        // It is still using a connection while the others begin: it takes one of their places, if there is one.
        let places = outcome.as_ref().ok().filter(|version| **version != Version::HTTP_2);
        let place = places.and_then(|_| self.http1_places(host).try_acquire_owned().ok());
        {
            let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            match &outcome {
                Ok(version) => {
                    let http2 = *version == Version::HTTP_2;
                    hosts.insert(host.to_owned(), Host::Open { http2, used: Instant::now() })
                }
                Err(_) => hosts.remove(host),
            };
        }
        // The others need not wait for the body, nor share its failure: that is this one's own.
        tell.send_replace(Some(outcome.map(drop)));
        (head, place)
    }

    async fn go(&self, host: &str, request: &Request) -> Result<Response, Failure> {
        let head = self.head(request).await;
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        match (&head, hosts.get_mut(host)) {
            (Ok(_), Some(Host::Open { used, .. })) => *used = Instant::now(),
            // The connection may be gone: the next ones knock again, one by one.
            (Err(_), Some(Host::Open { .. })) => drop(hosts.remove(host)),
            _ => {}
        }
        head
    }

    fn http1_places(&self, host: &str) -> Arc<Semaphore> {
        let mut hosts = self.http1.lock().unwrap_or_else(PoisonError::into_inner);
        let places = hosts.entry(host.to_owned());
        Arc::clone(places.or_insert_with(|| Arc::new(Semaphore::new(MOST_HTTP1_CONNECTIONS))))
    }

    /// One request, and the head of its answer.
    async fn head(&self, request: &Request) -> Result<Response, Failure> {
        let mut outgoing = self.client.request(method(request.method()), request.url().clone());
        for (name, value) in request.headers().iter() {
            outgoing = outgoing.header(name.as_str(), value.as_str());
        }
        if let Body::Bytes(bytes) = request.body() {
            outgoing = outgoing.body(bytes.clone());
        }
        let proxied = self.proxied && !request.url().host_str().is_some_and(is_local);
        let service = self.services.service(request.url());
        send_counted(outgoing, &self.metrics, service).await.map_err(|error| {
            let failure = classify(&error);
            let detail = failure.detail.clone().unwrap_or_default();
            // Who NO_PROXY exempts is the client's to know.
            let through =
                "unless NO_PROXY exempts the host, this was on the way to or through the proxy in HTTPS_PROXY";
            if proxied && error.is_connect() { failure.because(format!("{detail}; {through}")) } else { failure }
        })
    }
}

impl Services {
    fn of(cloud: &Cloud) -> Self {
        let at = |written: &String| Url::parse(written).ok().map(|url| origin(&url));
        Self { authority: at(&cloud.authority), resource_manager: cloud.resource_manager.as_ref().and_then(at) }
    }

    fn service(&self, url: &Url) -> Service {
        let asked = Some(origin(url));
        if asked == self.authority {
            Service::Entra
        } else if asked == self.resource_manager {
            Service::ResourceManager
        } else {
            Service::Vault
        }
    }
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Gives the place to the next one.
async fn leave(place: Option<OwnedSemaphorePermit>) {
    if place.is_some() {
        // The connection goes back to the pool through two tasks of its own, and with one turn it was sometimes late:
        // whoever gets the place next must find it there.
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait::async_trait]
impl HttpClient for Door {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let url = request.url();
        let host = format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(443));
        self.send(&host, request).await.map_err(|failure| Error::new(ErrorKind::Io, failure))
    }
}

/// The whole answer. What is wrong with its body says nothing of the host's other answers.
pub(super) async fn collect(mut response: Response) -> Result<AsyncRawResponse, Failure> {
    let too_long = || {
        Failure::new(Blame::Object, Kind::Outage, Code::new("answer-too-long"))
            .because("the answer is longer than 4 MiB")
    };
    let status = response.status();
    let headers = headers(&response);
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    if announced > LONGEST_BODY {
        return Err(too_long());
    }
    let mut body = Vec::with_capacity(announced);
    while let Some(chunk) = response.chunk().await.map_err(|error| classify(&error).blamed_on(Blame::Object))? {
        if body.len().saturating_add(chunk.len()) > LONGEST_BODY {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(AsyncRawResponse::from_bytes(status.as_u16().into(), headers, body))
}

/// Of a good answer nobody looks at anything but when it was made.
fn headers(response: &Response) -> Headers {
    let is_looked_at = |name: &&reqwest::header::HeaderName| response.status() != StatusCode::OK || **name == DATE;
    let mut headers = Headers::new();
    for name in response.headers().keys().filter(is_looked_at) {
        // A header that is no text is none that we look at. One that is there more than once is a list (RFC 9110 §5.3).
        let lines: Vec<&str> = response.headers().get_all(name).iter().filter_map(|line| line.to_str().ok()).collect();
        if !lines.is_empty() {
            headers.insert(HeaderName::from(name.as_str().to_owned()), HeaderValue::from(lines.join(", ")));
        }
    }
    headers
}

fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
        Method::Head => reqwest::Method::HEAD,
        _ => reqwest::Method::GET,
    }
}

/// Sends a request: whoever sends one does it here, so that all are counted.
pub(super) async fn send_counted(
    request: RequestBuilder,
    metrics: &Metrics,
    service: Service,
) -> Result<Response, reqwest::Error> {
    let answer = request.send().await;
    metrics.requested(service, answer.as_ref().ok().map(|answer| answer.status().as_u16()));
    answer
}

/// What went wrong below HTTP. The error's own text is not kept: it holds the URL.
pub(super) fn classify(error: &reqwest::Error) -> Failure {
    let (mut code, mut detail) = if error.is_timeout() {
        ("timeout", "there was no answer in time")
    } else if error.is_connect() {
        ("connect", "no connection could be made")
    } else {
        ("cut-off", "the connection broke before the answer was complete")
    };
    for cause in causes(error) {
        if cause.is::<Unresolved>() {
            (code, detail) = ("dns", "the host's name cannot be resolved");
        } else if let Some(error) = cause.downcast_ref::<rustls::Error>() {
            (code, detail) = handshake(error);
        } else if let Some(error) = cause.downcast_ref::<std::io::Error>() {
            match error.kind() {
                std::io::ErrorKind::ConnectionRefused => (code, detail) = ("refused", "the connection was refused"),
                std::io::ErrorKind::HostUnreachable | std::io::ErrorKind::NetworkUnreachable => {
                    (code, detail) = ("unreachable", "there is no route to the host");
                }
                _ => {}
            }
        }
    }
    Failure::new(Blame::Host, Kind::Outage, Code::new(code)).because(detail)
}

/// Everything beneath an error.
pub(super) fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(std::error::Error::source(error), |cause| beneath(*cause))
}

/// The next cause down. What an I/O error was made from is not its source, and TLS wraps its errors twice that way.
fn beneath<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a (dyn std::error::Error + 'static)> {
    let made_from = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    made_from.map(|inner| inner as &(dyn std::error::Error + 'static)).or_else(|| cause.source())
}

/// rustls' own words name hosts and issuers.
fn handshake(error: &rustls::Error) -> (&'static str, &'static str) {
    let rustls::Error::InvalidCertificate(why) = error else {
        return ("tls", "the TLS handshake failed");
    };
    let why = match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the host's certificate has expired, by this machine's clock"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the host's certificate is not valid yet, by this machine's clock"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the host's certificate is for another name"
        }
        CertificateError::UnknownIssuer => "the host's certificate is from an authority that is not trusted here",
        _ => "the host's certificate is not valid",
    };
    ("certificate", why)
}

#[cfg(test)]
mod tests;

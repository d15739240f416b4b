//! Probes and metrics: `/livez`, `/readyz`, `/metrics`, and nothing else. No answer names a secret or a vault, unless the
//! configuration wants secrets' names in metrics.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body as _, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::watch;

use super::body::{Body, plain};
use super::listen::{Answers, End, Limits, Listener};
use super::slots::{Most, Share};
use crate::metrics::Metrics;
use crate::moment::Clock;
use crate::ports::Pulse;
use crate::status::{Readiness, View};

/// Whoever probes or scrapes needs no more connections at once, nor for longer: a node, and a Prometheus.
const LIMITS: Limits =
    Limits { connections: Most { in_all: 64, of_each: 32, of_strangers: 32 }, lifetime: Some(Duration::from_mins(1)) };
const PLAIN: &str = "text/plain; charset=utf-8";
/// What Prometheus asks for first, since 2018 (`OpenMetrics` 1.0).
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers probes and scrapes.
pub struct Admin<P> {
    /// Whether the loop turns.
    pub pulse: P,
    /// What is counted.
    pub metrics: Metrics,
    /// Whether metrics name secrets.
    pub secret_names: bool,
    /// What is known.
    pub view: watch::Receiver<View>,
    /// What tells the time.
    pub clock: Clock,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Live,
    Ready,
    Metrics,
}

impl Route {
    /// What metrics call it.
    fn name(self) -> &'static str {
        match self {
            Self::Live => "livez",
            Self::Ready => "readyz",
            Self::Metrics => "metrics",
        }
    }
}

/// What is said of it.
struct Said {
    status: StatusCode,
    kind: &'static str,
    text: String,
}

impl Said {
    fn plain(status: StatusCode, text: impl fmt::Display) -> Self {
        Self { status, kind: PLAIN, text: format!("{text}\n") }
    }
}

impl<P: Pulse> Admin<P> {
    /// Answers at a port, until nobody holds the other end of `stopped`.
    pub async fn serve(self, listener: Listener, stopped: watch::Receiver<()>) {
        listener.serve(Arc::new(self), LIMITS, stopped).await;
    }

    async fn say(&self, route: Route) -> Said {
        match route {
            Route::Live if self.pulse.beats().await => Said::plain(StatusCode::OK, "alive"),
            Route::Live => Said::plain(StatusCode::SERVICE_UNAVAILABLE, "the loop does not turn: restart keyferry"),
            Route::Ready => readiness(&self.view.borrow(), &self.clock),
            Route::Metrics => {
                let text = self.metrics.exposition(&self.view.borrow(), self.secret_names, (self.clock)().wall);
                let failed = |_| Said::plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written");
                text.map_or_else(failed, |text| Said { status: StatusCode::OK, kind: OPEN_METRICS, text })
            }
        }
    }
}

impl<P: Pulse> Answers for Admin<P> {
    /// Whoever reaches the port may look.
    type Caller = ();

    async fn meet(&self, end: End<'_>) -> ((), Share) {
        match end {
            End::Tcp { peer, .. } => ((), Share::Address(peer.ip())),
            End::Unix(_) => ((), Share::Strangers),
        }
    }

    async fn answer(&self, request: Request<Incoming>, (): &()) -> Response<Body> {
        let (name, said) = match route(&request) {
            Ok(route) => (route.name(), self.say(route).await),
            Err(said) => ("other", said),
        };
        self.metrics.answered(name, said.status.as_u16());
        let mut response = Response::new(plain(said.text));
        *response.status_mut() = said.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(said.kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if said.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        if !request.body().is_end_stream() {
            // What follows is no request: nobody looks for one in it.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

fn route<B: hyper::body::Body>(request: &Request<B>) -> Result<Route, Said> {
    if request.uri().authority().is_some() {
        return Err(Said::plain(StatusCode::BAD_REQUEST, "this is no proxy: ask for a path alone"));
    }
    let route = match request.uri().path() {
        "/livez" => Route::Live,
        "/readyz" => Route::Ready,
        "/metrics" => Route::Metrics,
        _ => return Err(Said::plain(StatusCode::NOT_FOUND, "not found: here are /livez, /readyz and /metrics")),
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Said::plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered"));
    }
    if !request.body().is_end_stream() {
        return Err(Said::plain(StatusCode::BAD_REQUEST, "a request here has no body"));
    }
    Ok(route)
}

fn readiness(view: &View, clock: &Clock) -> Said {
    let not = |reason: String| Said::plain(StatusCode::SERVICE_UNAVAILABLE, format_args!("not ready: {reason}"));
    let of =
        |names: usize| if names == 1 { "1 required secret".to_owned() } else { format!("{names} required secrets") };
    match view.readiness(clock().wall) {
        Readiness::Ready => Said::plain(StatusCode::OK, "ready"),
        Readiness::Waiting(names) if names.is_empty() => not("what was fetched has yet to be published".to_owned()),
        Readiness::Waiting(names) => not(format!("no value yet of {}; the log says why", of(names.len()))),
        Readiness::Stale(names) => not(format!("no answer confirms {} any more; the log says why", of(names.len()))),
    }
}

impl<P> fmt::Debug for Admin<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

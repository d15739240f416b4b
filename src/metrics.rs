//! What is counted, and how it is told: one handle for whoever counts, and gauges made of a [`View`] when somebody asks.
//!
//! No label holds a reference, a vault or a value, and none the name of a secret unless that was asked for.

mod look;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::failure::Kind;
use crate::moment::UnixTime;
use crate::reference::Object;
use crate::status::View;
use look::{Called, Look};

/// Seconds: from a local file to an attempt that is given up.
const BUCKETS: [f64; 12] = [0.001, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0];

type Counted<const N: usize> = Family<[(&'static str, Cow<'static, str>); N], Counter>;
type Timed = Family<[(&'static str, &'static str); 1], Histogram, fn() -> Histogram>;

/// Counts what happens. Clones count into the same.
#[derive(Clone)]
pub struct Metrics(Arc<Counts>);

struct Counts {
    salt: [u8; 16],
    fetches: Counted<2>,
    fetch_durations: Timed,
    requests: Counted<2>,
    publishes: Counted<1>,
    hooks: Counted<2>,
    answers: Counted<2>,
}

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub enum Asked<'a> {
    /// One object.
    Object(&'a Object),
    /// A vault's list, in place of many.
    List,
}

/// What asking for it brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brought {
    /// What was asked for.
    Value,
    /// Word that it is what it was.
    Unchanged,
    /// Trouble of this kind.
    Trouble(Kind),
}

/// What a publish did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Something was written, removed or put right.
    Changed,
    /// Everything was there as it should be.
    Unchanged,
    /// It could not be done.
    Failed,
}

/// Who is asked over the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// A Key Vault.
    Vault,
    /// Azure's resource manager, where connections are.
    ResourceManager,
    /// The authority that gives tokens, or a cluster's proxy in its place.
    Entra,
    /// The service beside this machine that gives a managed identity's tokens.
    ManagedIdentity,
}

impl Metrics {
    /// Nothing has been counted yet. The salt makes digests of names that nobody can guess at: random, new in each start.
    pub fn new(salt: [u8; 16]) -> Self {
        Self(Arc::new(Counts {
            salt,
            fetches: Family::default(),
            fetch_durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            requests: Family::default(),
            publishes: Family::default(),
            hooks: Family::default(),
            answers: Family::default(),
        }))
    }

    /// Something was asked for, and that took so long.
    pub fn fetched(&self, asked: Asked<'_>, brought: Brought, took: Duration) {
        let source = asked.source();
        let labels = [("source", Cow::Borrowed(source)), ("outcome", Cow::Borrowed(brought.outcome()))];
        self.0.fetches.get_or_create(&labels).inc();
        self.0.fetch_durations.get_or_create(&[("source", source)]).observe(took.as_secs_f64());
    }

    /// A request went out, and was answered with this status, or not at all.
    pub fn requested(&self, service: Service, status: Option<u16>) {
        let code = status.map_or(Cow::Borrowed("error"), |status| Cow::Owned(status.to_string()));
        self.0.requests.get_or_create(&[("service", Cow::Borrowed(service.name())), ("code", code)]).inc();
    }

    /// A sink was made to show a snapshot.
    pub fn published(&self, shown: Shown) {
        let outcome = match shown {
            Shown::Changed => "ok",
            Shown::Unchanged => "unchanged",
            Shown::Failed => "error",
        };
        self.0.publishes.get_or_create(&[("outcome", Cow::Borrowed(outcome))]).inc();
    }

    /// A hook of this kind was run.
    pub fn told(&self, kind: &'static str, with_success: bool) {
        let outcome = if with_success { "ok" } else { "error" };
        self.0.hooks.get_or_create(&[("kind", Cow::Borrowed(kind)), ("outcome", Cow::Borrowed(outcome))]).inc();
    }

    /// A request to an endpoint of ours was answered. The route is one of ours, never the path as it came.
    pub fn answered(&self, route: &'static str, code: u16) {
        let labels = [("route", Cow::Borrowed(route)), ("code", Cow::Owned(code.to_string()))];
        self.0.answers.get_or_create(&labels).inc();
    }

    /// Everything that was counted, and what is known now, in the text format of `OpenMetrics` 1.0
    /// (`application/openmetrics-text; version=1.0.0; charset=utf-8`). Without `secret_names` each secret is called by a
    /// digest that is the same for as long as this handle lives.
    pub fn exposition(&self, view: &View, secret_names: bool, now: UnixTime) -> Result<String, fmt::Error> {
        let counts = &self.0;
        let mut registry = Registry::with_prefix("keyferry");
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "The version that runs", Info::new(version));
        registry.register("fetch", "What was asked for, by source and outcome", counts.fetches.clone());
        registry.register_with_unit(
            "fetch_duration",
            "How long each took",
            Unit::Seconds,
            counts.fetch_durations.clone(),
        );
        registry.register(
            "upstream_requests",
            "HTTP requests that went out, by service and status",
            counts.requests.clone(),
        );
        registry.register("publish", "Publishes to a directory, by outcome", counts.publishes.clone());
        registry.register("hook", "Runs of hooks, by kind and outcome", counts.hooks.clone());
        registry.register(
            "endpoint_requests",
            "Requests that an endpoint answered, by route and status",
            counts.answers.clone(),
        );
        let called = if secret_names { Called::ByName } else { Called::ByDigest(counts.salt) };
        registry.register_collector(Box::new(Look::new(view.clone(), called, now)));
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

impl Asked<'_> {
    fn source(self) -> &'static str {
        match self {
            Self::Object(Object::Vault { .. }) => "vault",
            Self::Object(Object::Connection { .. }) => "connection",
            Self::Object(Object::Token { .. }) => "token",
            Self::Object(Object::File(_)) => "file",
            Self::List => "list",
        }
    }
}

impl Brought {
    fn outcome(self) -> &'static str {
        match self {
            Self::Value => "ok",
            Self::Unchanged => "unchanged",
            Self::Trouble(kind) => trouble(kind),
        }
    }
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::Vault => "vault",
            Self::ResourceManager => "resource_manager",
            Self::Entra => "entra",
            Self::ManagedIdentity => "managed_identity",
        }
    }
}

fn trouble(kind: Kind) -> &'static str {
    match kind {
        Kind::Outage => "outage",
        Kind::Throttled => "throttled",
        Kind::Denied => "denied",
        Kind::Missing => "missing",
        Kind::Disabled => "disabled",
        Kind::Content => "content",
        Kind::Misconfigured => "misconfigured",
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

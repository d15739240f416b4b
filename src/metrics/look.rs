//! What is known at this moment, as gauges: made when somebody asks, kept by nobody.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use sha2::{Digest as _, Sha256};

use super::trouble;
use crate::failure::Kind;
use crate::moment::UnixTime;
use crate::reference::SecretName;
use crate::status::{NameStatus, Origin, Readiness, View};

/// Of a digest, in bytes: enough to tell the secrets of one configuration apart.
const SHOWN: usize = 6;

/// What secrets are called.
#[derive(Clone, Copy)]
pub(super) enum Called {
    ByName,
    /// By a digest with this salt.
    ByDigest([u8; 16]),
}

/// One look at the agent.
#[derive(Debug)]
pub(super) struct Look {
    view: View,
    called: Called,
    now: UnixTime,
}

/// Which labels, and the value.
type Series<'a, V> = (Vec<(&'static str, &'a str)>, V);

impl Look {
    pub(super) fn new(view: View, called: Called, now: UnixTime) -> Self {
        Self { view, called, now }
    }

    fn of_secrets(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let status = &self.view.status;
        let names: Vec<(String, &NameStatus)> =
            status.names.iter().map(|(name, status)| (self.called.label(name), status)).collect();
        let help = "Time since this run first got the present value.";
        let ages = of_each(&names, |one| Some(self.now.since(one.changed?).as_secs_f64()));
        gauges(encoder, ("secret_age", Some(&Unit::Seconds), help), ages)?;
        let help = "When the present value stops being good.";
        let expires = of_each(&names, |one| one.expires.map(seconds));
        gauges(encoder, ("secret_expires_timestamp", Some(&Unit::Seconds), help), expires)?;
        let help = "When it was last asked for with success.";
        let checked = of_each(&names, |one| one.checked.map(seconds));
        gauges(encoder, ("secret_last_success_timestamp", Some(&Unit::Seconds), help), checked)?;
        let stale = of_each(&names, |one| Some(u64::from(one.is_stale(status.stale, status.began, self.now))));
        gauges(encoder, ("secret_stale", None, "Whether nobody has confirmed the value for long."), stale)?;
        let revoked = of_each(&names, |one| Some(u64::from(one.revoked)));
        gauges(encoder, ("secret_revoked", None, "Whether access to it was taken away for good."), revoked)?;
        let failing = names.iter().filter_map(|(name, status)| {
            let kind = status.failure.as_ref()?.kind;
            // Nobody is to be woken up because something optional is not there.
            let is_well = status.origin == Origin::Absent && matches!(kind, Kind::Missing | Kind::Disabled);
            (!is_well).then(|| (vec![("secret", name.as_str()), ("kind", trouble(kind))], 1_u64))
        });
        gauges(encoder, ("secret_failing", None, "Its last attempt failed, and how."), failing)?;
        let origins =
            names.iter().map(|(name, one)| (vec![("secret", name.as_str()), ("origin", one.origin.name())], 1_u64));
        gauges(encoder, ("secret_origin", None, "Where the present value is from."), origins)
    }

    fn of_the_rest(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let status = &self.view.status;
        let generations =
            status.sinks.iter().filter_map(|(dir, sink)| Some((vec![("dir", dir.as_str())], sink.generation?)));
        gauges(encoder, ("generation", None, "The generation that readers of a directory see."), generations)?;
        let mut failing = BTreeMap::<&str, u64>::new();
        for hook in &status.hooks {
            let count = failing.entry(hook.kind).or_default();
            *count = count.saturating_add(u64::from(hook.failure.is_some()));
        }
        let failing = failing.into_iter().map(|(kind, count)| (vec![("kind", kind)], count));
        gauges(encoder, ("hook_failing", None, "How many hooks failed when they were last run."), failing)?;
        let ready = self.view.readiness(self.now) == Readiness::Ready;
        let help = "Whether applications may be served.";
        let family = encoder.encode_descriptor("ready", help, None, MetricType::Gauge)?;
        ConstGauge::new(u64::from(ready)).encode(family)
    }
}

impl Collector for Look {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.of_secrets(&mut encoder)?;
        self.of_the_rest(&mut encoder)
    }
}

impl Called {
    fn label(self, name: &SecretName) -> String {
        match self {
            Self::ByName => name.to_string(),
            Self::ByDigest(salt) => {
                let digest = Sha256::new().chain_update(salt).chain_update(name.as_str()).finalize();
                hex::encode(digest.get(..SHOWN).unwrap_or_default())
            }
        }
    }
}

impl fmt::Debug for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ByName => "ByName",
            Self::ByDigest(_) => "ByDigest",
        })
    }
}

/// The secrets of which there is such a value.
fn of_each<'a, V>(
    names: &'a [(String, &NameStatus)],
    value: impl Fn(&NameStatus) -> Option<V> + 'a,
) -> impl Iterator<Item = Series<'a, V>> {
    names.iter().filter_map(move |(name, one)| Some((vec![("secret", name.as_str())], value(one)?)))
}

/// One family of gauges.
fn gauges<'a, V: EncodeGaugeValue>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, unit, help): (&str, Option<&Unit>, &str),
    series: impl Iterator<Item = Series<'a, V>>,
) -> fmt::Result {
    let mut series = series.peekable();
    if series.peek().is_none() {
        return Ok(());
    }
    let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    for (labels, value) in series {
        ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn seconds(time: UnixTime) -> f64 {
    time.since_epoch().as_secs_f64()
}

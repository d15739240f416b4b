//! What is known about everything, never a value. The loop writes it; commands, probes and endpoints read it as a [`View`].
//!
//! Readiness is computed when asked: nothing wakes up for it.

mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::config::Stale;
use crate::failure::Failure;
use crate::moment::UnixTime;
use crate::plan::{Plan, Wanted};
use crate::ports::{Hint, HookError, SinkError};
use crate::reference::{Reference, SecretName};
use crate::render;
use crate::secret::Version;
use crate::snapshot::Snapshot;

pub use report::{DirectoryReport, HookReport, Report, SecretReport, rfc3339};

/// Whether applications may be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// Every required secret has been published, and nobody has asked for more.
    Ready,
    /// These have no value yet; where there are none, they have yet to be published.
    Waiting(Vec<SecretName>),
    /// These have not been confirmed for long, and `stale.failReadiness` is set.
    Stale(Vec<SecretName>),
}

/// One consistent look at the agent.
#[derive(Debug, Clone)]
pub struct View {
    /// What is published, or about to be.
    pub snapshot: Option<Arc<Snapshot>>,
    /// What is known.
    pub status: Arc<Status>,
}

/// What is known.
#[derive(Debug, Clone)]
pub struct Status {
    /// Of every name.
    pub names: BTreeMap<SecretName, NameStatus>,
    /// Of every sink, by its name.
    pub sinks: BTreeMap<String, SinkStatus>,
    /// Of every hook, in the order of the configuration: two may have one name.
    pub hooks: Vec<HookStatus>,
    /// Whether every required secret has been published once. A later outage of a vault takes no application out of
    /// service.
    pub ready: bool,
    /// When this run began.
    pub began: UnixTime,
    /// When a value counts as stale.
    pub stale: Stale,
}

/// What is known of one name.
#[derive(Debug, Clone)]
pub struct NameStatus {
    /// What the user wrote, canonically.
    pub reference: Reference,
    /// Whether readiness waits for it.
    pub required: bool,
    /// Where its present value is from.
    pub origin: Origin,
    /// The edition of the present value.
    pub version: Option<Version>,
    /// When it was last asked for with success.
    pub checked: Option<UnixTime>,
    /// When this run first got its present value; none for one of an earlier run.
    pub changed: Option<UnixTime>,
    /// When its present value is to be made anew, if it is a token: before that nobody asks for it.
    pub renew_at: Option<UnixTime>,
    /// Whether its present source has given a value, to this run or to an earlier one.
    pub given: Given,
    /// When the present value stops being good, if its source says so.
    pub expires: Option<UnixTime>,
    /// When it will be asked for next.
    pub next: Option<UnixTime>,
    /// The last attempt's failure; none after a success.
    pub failure: Option<Failure>,
    /// The standby's last failure, while it is asked because there is no value.
    pub standby_failure: Option<Failure>,
    /// Since when its source refuses what it once gave.
    pub refused: Option<Instant>,
    /// Whether that has lasted so long that it is no accident.
    pub revoked: bool,
    /// Whether it was said that its value is stale.
    pub stale: bool,
    /// What whoever asked for it should know.
    pub hint: Option<Hint>,
}

/// Where a name's present value is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// There is no value.
    None,
    /// It is optional, and its source says that it is not there.
    Absent,
    /// An earlier run published it, and it has not been fetched since.
    Adopted,
    /// Fetched.
    Fetched,
    /// Fetched from the standby, because there was no value and the source was unavailable.
    Standby,
}

impl Origin {
    /// What metrics and reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Absent => "absent",
            Self::Adopted => "adopted",
            Self::Fetched => "primary",
            Self::Standby => "standby",
        }
    }
}

/// Whether a source has ever given a value: only then refusing it takes something away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// Not to anybody's knowledge.
    NotYet,
    /// Once at least.
    Before,
}

/// What is known of one sink.
#[derive(Debug, Clone, Default)]
pub struct SinkStatus {
    /// The number of its own generation that readers see.
    pub generation: Option<u64>,
    /// Which of the agent's snapshots that is.
    pub shows: Option<crate::snapshot::Generation>,
    /// The last attempt's failure; none after a success.
    pub failure: Option<SinkError>,
    /// Files of an earlier run that it keeps, because nothing newer is known.
    pub kept: Vec<PathBuf>,
}

/// What is known of one hook.
#[derive(Debug, Clone)]
pub struct HookStatus {
    /// What messages call it.
    pub name: String,
    /// How it tells.
    pub kind: &'static str,
    /// Which of the agent's snapshots it was last told of with success; none before the first change.
    pub told: Option<crate::snapshot::Generation>,
    /// The last attempt's failure; none after a success.
    pub failure: Option<HookError>,
}

impl NameStatus {
    fn new(wanted: &Wanted) -> Self {
        Self {
            reference: wanted.reference.clone(),
            required: wanted.required,
            origin: Origin::None,
            version: None,
            checked: None,
            changed: None,
            renew_at: None,
            given: Given::NotYet,
            expires: None,
            next: None,
            failure: None,
            standby_failure: None,
            refused: None,
            revoked: false,
            stale: false,
            hint: None,
        }
    }

    /// Whether there is a value that nobody has confirmed for long, in a run that began then.
    pub fn is_stale(&self, stale: Stale, began: UnixTime, now: UnixTime) -> bool {
        // A token is good until it is made anew, and nobody asks before that.
        let confirmed = self.renew_at.max(self.checked).unwrap_or(began);
        self.has_value() && now.since(confirmed) >= stale.after
    }

    /// Whether there is a value.
    pub fn has_value(&self) -> bool {
        matches!(self.origin, Origin::Adopted | Origin::Fetched | Origin::Standby)
    }
}

impl Status {
    /// Nothing is known yet.
    pub fn new(
        plan: &Plan,
        sinks: impl Iterator<Item = String>,
        hooks: impl Iterator<Item = (String, &'static str)>,
        (began, stale): (UnixTime, Stale),
    ) -> Self {
        Self {
            names: plan.names.iter().map(|(name, wanted)| (name.clone(), NameStatus::new(wanted))).collect(),
            sinks: sinks.map(|sink| (sink, SinkStatus::default())).collect(),
            hooks: hooks.map(|(name, kind)| HookStatus { name, kind, told: None, failure: None }).collect(),
            ready: false,
            began,
            stale,
        }
    }

    /// There is another plan. What is known of names stays, but of those that come from elsewhere now nothing but the
    /// value that they still have, and when that was confirmed.
    pub fn replan(&mut self, plan: &Plan, moved: &BTreeSet<SecretName>) {
        let mut before = std::mem::take(&mut self.names);
        let name = |(name, wanted): (&SecretName, &Wanted)| {
            let fresh = NameStatus::new(wanted);
            let status = match before.remove(name) {
                Some(known) if moved.contains(name) => {
                    let given = if known.reference == fresh.reference { known.given } else { Given::NotYet };
                    let NameStatus { origin, version, checked, changed, renew_at, expires, stale, .. } = known;
                    NameStatus { origin, version, checked, changed, renew_at, given, expires, stale, ..fresh }
                }
                Some(known) => NameStatus { reference: fresh.reference, required: fresh.required, ..known },
                None => fresh,
            };
            (name.clone(), status)
        };
        self.names = plan.names.iter().map(name).collect();
    }

    /// Whether every sink shows the snapshot.
    fn is_shown(&self, snapshot: &Snapshot) -> bool {
        self.sinks.values().all(|sink| sink.shows == Some(snapshot.generation))
    }

    /// Whether every required secret has a value, be it an earlier run's, and every sink shows the snapshot.
    pub fn is_complete(&self, snapshot: &Snapshot) -> bool {
        self.is_shown(snapshot) && self.lacking().next().is_none()
    }

    /// The required names that have no value, and why.
    pub fn lacking(&self) -> impl Iterator<Item = (&SecretName, &NameStatus)> {
        self.names.iter().filter(|(_, status)| status.required && status.origin == Origin::None)
    }

    /// The names that this very run has neither fetched nor heard to be absent.
    pub fn unfetched(&self) -> impl Iterator<Item = (&SecretName, &NameStatus)> {
        self.names
            .iter()
            .filter(|(_, status)| !matches!(status.origin, Origin::Fetched | Origin::Standby | Origin::Absent))
    }
}

impl View {
    /// Whether applications may be served now.
    pub fn readiness(&self, now: UnixTime) -> Readiness {
        let status = &self.status;
        if !status.ready {
            return Readiness::Waiting(status.lacking().map(|(name, _)| name.clone()).collect());
        }
        let is_stale = |(_, name): &(&SecretName, &NameStatus)| {
            status.stale.fail_readiness && name.required && name.is_stale(status.stale, status.began, now)
        };
        let stale: Vec<_> = status.names.iter().filter(is_stale).map(|(name, _)| name.clone()).collect();
        if stale.is_empty() { Readiness::Ready } else { Readiness::Stale(stale) }
    }

    /// Whether everything was fetched and rendered in this run and every sink shows it.
    pub fn is_fresh(&self) -> bool {
        self.is_published() && self.status.unfetched().next().is_none() && self.failures().next().is_none()
    }

    /// The files that could not be rendered, and why.
    pub fn failures(&self) -> impl Iterator<Item = (&Path, &render::Failure)> {
        self.snapshot.iter().flat_map(|snapshot| snapshot.failures())
    }

    /// Whether every sink shows the present snapshot.
    pub fn is_published(&self) -> bool {
        self.snapshot.as_ref().is_some_and(|snapshot| self.status.is_shown(snapshot))
    }
}

//! What is known about everything, never a value. The loop writes it; commands, probes and endpoints read it as a [`View`].
//!
//! Readiness is computed when asked: nothing wakes up for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::failure::Failure;
use crate::moment::UnixTime;
use crate::plan::Plan;
use crate::ports::{Hint, HookError, SinkError};
use crate::reference::{Reference, SecretName};
use crate::render;
use crate::secret::Version;
use crate::snapshot::Snapshot;

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
    /// Which of the agent's snapshots it was last told of with success; none before the first change.
    pub told: Option<crate::snapshot::Generation>,
    /// The last attempt's failure; none after a success.
    pub failure: Option<HookError>,
}

impl Status {
    /// Nothing is known yet.
    pub fn new(plan: &Plan, sinks: impl Iterator<Item = String>, hooks: impl Iterator<Item = String>) -> Self {
        let name = |(name, wanted): (&SecretName, &crate::plan::Wanted)| {
            let status = NameStatus {
                reference: wanted.reference.clone(),
                required: wanted.required,
                origin: Origin::None,
                version: None,
                checked: None,
                expires: None,
                next: None,
                failure: None,
                standby_failure: None,
                refused: None,
                revoked: false,
                hint: None,
            };
            (name.clone(), status)
        };
        Self {
            names: plan.names.iter().map(name).collect(),
            sinks: sinks.map(|sink| (sink, SinkStatus::default())).collect(),
            hooks: hooks.map(|name| HookStatus { name, told: None, failure: None }).collect(),
        }
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
    /// Whether every required secret has a value, be it an earlier run's, and every sink shows the present snapshot.
    pub fn is_complete(&self) -> bool {
        self.is_published() && self.status.lacking().next().is_none()
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
        self.snapshot
            .as_ref()
            .is_some_and(|snapshot| self.status.sinks.values().all(|sink| sink.shows == Some(snapshot.generation)))
    }
}

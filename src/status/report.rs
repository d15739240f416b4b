//! What an agent tells of itself: names, editions, times and troubles, never a value. An endpoint writes it as JSON, and
//! whoever asks reads it again.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::{HookStatus, NameStatus, Readiness, SinkStatus, View};
use crate::failure::Failure;
use crate::moment::UnixTime;
use crate::reference::SecretName;

/// Everything that one caller may know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whether applications may be served.
    pub ready: bool,
    /// Every secret that the caller may see.
    pub secrets: Vec<SecretReport>,
    /// The directories, and `serve`; only for whoever may see every secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub directories: Vec<DirectoryReport>,
    /// Whom keyferry tells of changes; only for whoever may see every secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<HookReport>,
}

/// One secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretReport {
    /// Its name.
    pub name: String,
    /// What it is made of, as written in the configuration, canonically.
    pub reference: String,
    /// Whether readiness waits for it.
    pub required: bool,
    /// Where its value is from: `primary`, `standby`, `adopted` from an earlier run, `absent` and optional, or `none`.
    pub origin: String,
    /// Its edition, as its source calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How long this run has had this value, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<u64>,
    /// When it was last confirmed (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success: Option<String>,
    /// When it stops being good (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// When it is asked for next (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_refresh: Option<String>,
    /// Whether it has not been confirmed for long.
    pub stale: bool,
    /// Whether access to it was taken away for good.
    pub revoked: bool,
    /// Why the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DirectoryReport {
    /// Its path.
    pub dir: String,
    /// The generation that readers see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Why the last attempt to publish failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Somebody who is told of changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HookReport {
    /// How, and whom.
    pub name: String,
    /// Why the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Report {
    /// What is known now, of the secrets that are visible. `all` says that every one is, and so is the rest.
    pub fn new(view: &View, now: UnixTime, is_visible: impl Fn(&SecretName) -> bool, all: bool) -> Self {
        let status = &view.status;
        let secret = |(name, one): (&SecretName, &NameStatus)| SecretReport {
            name: name.to_string(),
            reference: one.reference.to_string(),
            required: one.required,
            origin: one.origin.name().to_owned(),
            version: one.version.as_ref().map(ToString::to_string),
            age_seconds: one.changed.map(|changed| now.since(changed).as_secs()),
            last_success: one.checked.map(rfc3339),
            expires: one.expires.map(rfc3339),
            next_refresh: one.next.map(rfc3339),
            stale: one.is_stale(status.stale, status.began, now),
            revoked: one.revoked,
            error: one.failure.as_ref().map(Failure::to_string),
        };
        let directory = |(dir, sink): (&String, &SinkStatus)| DirectoryReport {
            dir: dir.clone(),
            generation: sink.generation,
            error: sink.failure.as_ref().map(ToString::to_string),
        };
        let hook = |hook: &HookStatus| HookReport {
            name: hook.name.clone(),
            error: hook.failure.as_ref().map(ToString::to_string),
        };
        Self {
            ready: view.readiness(now) == Readiness::Ready,
            secrets: status.names.iter().filter(|(name, _)| is_visible(name)).map(secret).collect(),
            directories: status.sinks.iter().filter(|_| all).map(directory).collect(),
            hooks: status.hooks.iter().filter(|_| all).map(hook).collect(),
        }
    }
}

/// A time as people and machines read it.
pub fn rfc3339(time: UnixTime) -> String {
    let seconds = Duration::from_secs(time.since_epoch().as_secs());
    let time = SystemTime::UNIX_EPOCH.checked_add(seconds).unwrap_or(SystemTime::UNIX_EPOCH);
    humantime::format_rfc3339_seconds(time).to_string()
}

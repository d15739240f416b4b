//! The configuration as meant: what every other room reads. These types cannot hold an invalid state.
//!
//! `raw` is the configuration as written, `node` remembers where in the file everything stands, `validate` turns one
//! into the other and finds every problem at once, `cloud` knows Azure's clouds and decides what is a vault's host.

pub mod cloud;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::extract::Cut;
use crate::reference::{IdentityName, Object, Reference, SecretName};
use cloud::Cloud;

/// Everything the agent is told, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The cloud whose hosts are asked and whose audiences tokens are for.
    pub cloud: Cloud,
    /// The identities by name: `default`, and one per vault that has its own.
    pub identities: BTreeMap<IdentityName, Identity>,
    /// A file of PEM certificates trusted besides the system's roots.
    pub ca_file: Option<PathBuf>,
    /// How long `init` keeps trying.
    pub startup_timeout: Duration,
    /// What is to be fetched, by name.
    pub secrets: BTreeMap<SecretName, SecretConfig>,
    /// Where it is published.
    pub files: Vec<Directory>,
    /// How often unchanged things are asked for.
    pub refresh: Refresh,
}

/// How to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// Microsoft Entra workload identity: a federated token file is exchanged for access tokens.
    Workload(Workload),
}

/// The parts of a workload identity that the configuration gives; the rest comes from the `AZURE_*` variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// The tenant that is asked for tokens: a GUID or a domain.
    pub tenant: String,
    /// The application (client) id.
    pub client: String,
    /// The file with the federated token, read at every exchange.
    pub token_file: PathBuf,
}

/// One secret to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretConfig {
    /// What the user wrote, in its canonical form.
    pub reference: Reference,
    /// What is asked for: the reference with alias, cloud and identity resolved.
    pub object: Object,
    /// How the value is cut from what comes back.
    pub cut: Cut,
    /// The file name in every directory that includes it; none for `file: false`.
    pub file: Option<PathBuf>,
    /// How often it is asked for; its own or the general interval.
    pub refresh: Duration,
    /// Missing or disabled publishes no file, instead of holding up readiness.
    pub optional: bool,
}

/// One directory that is published to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Its absolute path.
    pub dir: PathBuf,
    /// The secrets it shows.
    pub include: Vec<SecretName>,
    /// The mode of its files: no bit beyond 0550, never for the world.
    pub mode: u32,
    /// The group of its files and generation directories.
    pub group: Option<u32>,
    /// Whether it may lie on something else than tmpfs or ramfs.
    pub allow_disk: bool,
}

/// The general rhythm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refresh {
    /// Between two looks at an unchanged object.
    pub interval: Duration,
    /// How long a change waits for others of its set before it is published.
    pub settle: Duration,
}

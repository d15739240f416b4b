//! The configuration as meant: what every other room reads. These types cannot hold an invalid state.
//!
//! `raw` is the configuration as written, `node` remembers where in the file everything stands, `validate` turns one
//! into the other and finds every problem at once, `cloud` knows Azure's clouds and decides what is a vault's host.

pub mod admin;
pub mod cloud;
mod collisions;
mod de;
pub mod exec;
pub mod hooks;
pub mod identity;
mod live;
pub mod nearby;
mod node;
mod raw;
pub mod serve;
mod validate;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::extract::Cut;
use crate::reference::{IdentityName, Object, Reference, SecretName, VaultHost, VaultName, Workspace};
use crate::render::{Recipe, Variables};
use crate::secret::Part;
use admin::Admin;
use cloud::Cloud;
use exec::Exec;
use hooks::OnChange;
use serve::Serve;

pub use identity::{Identity, Workload};
pub use live::Live;
pub use node::{Place, Problem};
pub use validate::{Problems, Settings, load, load_kept};

/// Everything the agent is told, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The cloud whose hosts are asked and whose audiences tokens are for.
    pub cloud: Cloud,
    /// The identities by name: `default`, and one per vault that has its own.
    pub identities: BTreeMap<IdentityName, Identity>,
    /// Why the identity `default` is the one it is, for the log.
    pub identity_because: String,
    /// Why there is no identity `default`, when there is none: nothing is wrong with that while nobody needs it.
    pub no_identity: Option<String>,
    /// The vaults by alias.
    pub vaults: BTreeMap<String, Vault>,
    /// The workspace of connections that name none.
    pub workspace: Option<Workspace>,
    /// A file of PEM certificates trusted besides the system's roots.
    pub ca_file: Option<PathBuf>,
    /// How long `init` keeps trying.
    pub startup_timeout: Duration,
    /// What is to be fetched, by name.
    pub secrets: BTreeMap<SecretName, SecretConfig>,
    /// The variables that are made of it, for env files.
    pub env: Arc<Variables>,
    /// Where it is published.
    pub files: Vec<Directory>,
    /// How often unchanged things are asked for.
    pub refresh: Refresh,
    /// When a value that is not confirmed counts as stale.
    pub stale: Stale,
    /// What becomes of a value when access to it is taken away for good.
    pub on_revoked: OnRevoked,
    /// What is done when secrets change.
    pub on_change: Vec<OnChange>,
    /// How a process that is started is kept.
    pub exec: Exec,
    /// What is served to processes beside this one.
    pub serve: Serve,
    /// Where probes and metrics are answered, if they are.
    pub admin: Option<Admin>,
    /// Whether edits of the file are followed without a signal, and of those that templates were read from.
    pub reload: bool,
    /// The files that templates were read from.
    pub template_files: BTreeSet<PathBuf>,
}

/// What becomes of a value when access to it is taken away for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnRevoked {
    /// It stays: losing a grant by mistake takes no application down.
    #[default]
    Keep,
    /// It is removed everywhere.
    Remove,
}

/// When a value that its source does not confirm any more counts as stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale {
    /// After so long without an answer that confirms it; longer than any interval.
    pub after: Duration,
    /// Whether readiness ends with it.
    pub fail_readiness: bool,
}

/// A vault that has an alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vault {
    /// Its host.
    pub host: VaultHost,
    /// Who signs in to it.
    pub identity: IdentityName,
    /// The vault that is asked while there is no value and this one is unavailable.
    pub standby: Option<VaultHost>,
}

/// The identity of everything that names no other.
pub const DEFAULT_IDENTITY: &str = "default";

const NO_WORKSPACE: &str = "no workspace is named: write it at the top of the configuration, 'workspace: /subscriptions/…' \
                            (az ml workspace show --name <workspace> --resource-group <group> --query id), or in the \
                            reference, 'azureml://subscriptions/<id>/resourceGroups/<group>/workspaces/<workspace>/\
                            connections/<connection>'";
const NO_RESOURCE_MANAGER: &str = "connections are kept in Azure Resource Manager, and this cloud of one's own names \
                                   none: add 'resourceManager: https://…' to 'cloud:'";

impl Config {
    /// What is asked for by a reference: alias, cloud and identity resolved.
    pub fn object(&self, reference: &Reference) -> Result<Object, String> {
        let object = self.locate(reference)?;
        match &self.no_identity {
            Some(reason) if needs_default(&object) => Err(reason.clone()),
            _ => Ok(object),
        }
    }

    /// The same, whether anybody can sign in there or not.
    fn locate(&self, reference: &Reference) -> Result<Object, String> {
        match reference {
            Reference::File(path) => Ok(Object::File(path.clone())),
            Reference::Token { scope } => Ok(Object::Token { identity: default_identity(), scope: scope.clone() }),
            Reference::Vault { vault, collection, name, version } => {
                let Vault { host, identity, .. } = self.vault(vault)?;
                let (name, version) = (name.clone(), version.clone());
                Ok(Object::Vault { identity, vault: host, collection: *collection, name, version })
            }
            Reference::Connection { workspace, name, .. } => {
                if self.cloud.resource_manager.is_none() {
                    return Err(NO_RESOURCE_MANAGER.to_owned());
                }
                let workspace = workspace.as_ref().or(self.workspace.as_ref()).ok_or(NO_WORKSPACE)?.clone();
                Ok(Object::Connection { identity: default_identity(), workspace, name: name.clone() })
            }
        }
    }

    /// The same object in the vault that stands by for the reference's.
    pub fn standby(&self, reference: &Reference) -> Option<Object> {
        let Reference::Vault { vault, collection, name, version } = reference else { return None };
        let Vault { identity, standby, .. } = self.vault(vault).ok()?;
        // Versions are each vault's own: where one is named, no other vault has it.
        let vault = standby.filter(|_| version.is_none())?;
        Some(Object::Vault { identity, vault, collection: *collection, name: name.clone(), version: None })
    }

    fn vault(&self, name: &VaultName) -> Result<Vault, String> {
        let host = match name {
            VaultName::Alias(alias) => {
                return self.vaults.get(alias).cloned().ok_or_else(|| self.no_such_alias(alias));
            }
            VaultName::Host(host) => self.cloud.vault_host(host)?,
            VaultName::Short(label) => self.cloud.vault_host(&format!("{label}.{}", self.cloud.vault_suffix))?,
        };
        // A vault that has an alias is the same vault by its address.
        let mut known = self.vaults.values().filter(|vault| vault.host == host);
        let first = known.next();
        if known.any(|other| first.is_some_and(|first| first.identity != other.identity)) {
            return Err("this vault has aliases with different identities: refer to it by one of them".to_owned());
        }
        Ok(first.cloned().unwrap_or(Vault { host, identity: default_identity(), standby: None }))
    }

    fn no_such_alias(&self, alias: &str) -> String {
        let known: Vec<String> = self.vaults.keys().map(|alias| alias.escape_default().to_string()).collect();
        let known =
            if known.is_empty() { "there are none".to_owned() } else { format!("there are {}", known.join(", ")) };
        format!("'{alias}' is no alias in 'vaults:': {known}")
    }
}

/// Whether the identity `default` signs in for it.
fn needs_default(object: &Object) -> bool {
    object.identity().is_some_and(|identity| identity.0 == DEFAULT_IDENTITY)
}

fn default_identity() -> IdentityName {
    IdentityName(DEFAULT_IDENTITY.to_owned())
}

/// One secret to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretConfig {
    /// What the user wrote, in its canonical form.
    pub reference: Reference,
    /// What is asked for: the reference with alias, cloud and identity resolved.
    pub object: Object,
    /// The same in the standby vault.
    pub standby: Option<Object>,
    /// How the value is cut from what comes back.
    pub cut: Cut,
    /// The files in every directory that includes it, and which part each holds; none for `file: false`.
    pub files: BTreeMap<Part, PathBuf>,
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
    /// The mode of its files: readable by the owner, never writable by the group, nothing for the world.
    pub mode: u32,
    /// The group of its files and generation directories.
    pub group: Option<u32>,
    /// Whether it may lie on something else than tmpfs or ramfs.
    pub allow_disk: bool,
    /// The files that are made of several secrets, by relative path: no other file has the same.
    pub rendered: BTreeMap<PathBuf, RenderedFile>,
}

/// A file that is made of several secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedFile {
    /// How it is made.
    pub recipe: Arc<Recipe>,
    /// Its mode: never wider than that of any directory which publishes a secret that is in it.
    pub mode: u32,
}

/// The general rhythm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refresh {
    /// Between two looks at an unchanged object.
    pub interval: Duration,
    /// The same for workspace connections: Azure Resource Manager's limits are far lower than the vaults'.
    pub connection_interval: Duration,
    /// How long a change waits for others of its set before it is published.
    pub settle: Duration,
    /// Whether a vault's list may be asked in place of its objects.
    pub list: List,
}

/// Whether a vault's list may be asked, which shows what has changed, in place of its objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum List {
    /// Where that costs fewer requests.
    #[default]
    Auto,
    /// Each object is asked for by itself.
    Never,
}

#[cfg(test)]
mod tests;

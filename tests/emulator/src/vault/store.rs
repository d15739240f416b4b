//! The vaults and what is in them.

use std::collections::BTreeMap;

use super::secret::{SecretSpec, SecretVersion};
use crate::random;

/// All vaults by lower-case name.
#[derive(Debug, Default)]
pub(crate) struct Vaults(BTreeMap<String, Vault>);

/// One vault.
#[derive(Debug)]
pub(crate) struct Vault {
    /// The tenant whose tokens it takes.
    pub(crate) tenant: String,
    /// Versions by lower-case name of the secret, oldest first.
    secrets: BTreeMap<String, Vec<SecretVersion>>,
}

impl Vaults {
    /// Adds a vault unless it exists; its tenant is the given one either way.
    pub(crate) fn add(&mut self, name: &str, tenant: &str) -> &mut Vault {
        let vault = self
            .0
            .entry(name.to_ascii_lowercase())
            .or_insert_with(|| Vault { tenant: String::new(), secrets: BTreeMap::new() });
        tenant.clone_into(&mut vault.tenant);
        vault
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Vault> {
        self.0.get(&name.to_ascii_lowercase())
    }

    pub(crate) fn find_mut(&mut self, name: &str) -> Option<&mut Vault> {
        self.0.get_mut(&name.to_ascii_lowercase())
    }
}

impl Vault {
    /// Adds a version, which is the latest from now on, and gives its id.
    pub(crate) fn put(&mut self, spec: SecretSpec, now: i64) -> String {
        let id = spec.version.clone().unwrap_or_else(random::version);
        let created = spec.created.unwrap_or(now);
        let versions = self.secrets.entry(spec.name.to_ascii_lowercase()).or_default();
        versions.push(SecretVersion { spec, id: id.clone(), created, updated: created });
        id
    }

    /// The latest version, or the one named.
    pub(crate) fn version(&self, name: &str, wanted: Option<&str>) -> Option<&SecretVersion> {
        let versions = self.secrets.get(&name.to_ascii_lowercase())?;
        match wanted {
            None => versions.last(),
            Some(id) => versions.iter().find(|version| version.id.eq_ignore_ascii_case(id)),
        }
    }

    /// Changes a version in place; tells whether there was one.
    pub(crate) fn change(
        &mut self,
        name: &str,
        wanted: Option<&str>,
        now: i64,
        change: impl FnOnce(&mut SecretSpec),
    ) -> bool {
        let Some(versions) = self.secrets.get_mut(&name.to_ascii_lowercase()) else { return false };
        let version = match wanted {
            None => versions.last_mut(),
            Some(id) => versions.iter_mut().find(|version| version.id.eq_ignore_ascii_case(id)),
        };
        let Some(version) = version else { return false };
        change(&mut version.spec);
        version.updated = now;
        true
    }

    /// Deletes a secret with all its versions; tells whether there was one.
    pub(crate) fn delete(&mut self, name: &str) -> bool {
        self.secrets.remove(&name.to_ascii_lowercase()).is_some()
    }

    /// The latest version of each secret, by name.
    pub(crate) fn latest(&self) -> impl Iterator<Item = &SecretVersion> {
        self.secrets.values().filter_map(|versions| versions.last())
    }

    /// All versions of a secret, by version id and not by age, as the service lists them.
    pub(crate) fn versions(&self, name: &str) -> Vec<&SecretVersion> {
        let mut versions: Vec<_> = self.secrets.get(&name.to_ascii_lowercase()).into_iter().flatten().collect();
        versions.sort_by(|one, other| one.id.cmp(&other.id));
        versions
    }
}

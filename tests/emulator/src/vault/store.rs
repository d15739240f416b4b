//! The vaults and what is in them.

use std::collections::BTreeMap;

use super::certificate::CertificateSpec;
use super::key::KeySpec;
use super::secret::SecretSpec;
use super::shelf::Shelf;
use crate::DEFAULT_TENANT;

/// All vaults by lower-case name.
#[derive(Debug, Default)]
pub(crate) struct Vaults(BTreeMap<String, Vault>);

/// One vault.
#[derive(Debug)]
pub(crate) struct Vault {
    /// The tenant whose tokens it takes.
    pub(crate) tenant: String,
    pub(crate) secrets: Shelf<SecretSpec>,
    pub(crate) certificates: Shelf<CertificateSpec>,
    pub(crate) keys: Shelf<KeySpec>,
}

impl Vaults {
    /// Adds a vault unless it exists; its tenant is the given one either way.
    pub(crate) fn add(&mut self, name: &str, tenant: &str) {
        tenant.clone_into(&mut self.open(name).tenant);
    }

    /// Finds a vault, or adds it to the default tenant.
    pub(crate) fn open(&mut self, name: &str) -> &mut Vault {
        self.0.entry(name.to_ascii_lowercase()).or_insert_with(|| Vault {
            tenant: DEFAULT_TENANT.to_owned(),
            secrets: Shelf::default(),
            certificates: Shelf::default(),
            keys: Shelf::default(),
        })
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Vault> {
        self.0.get(&name.to_ascii_lowercase())
    }

    pub(crate) fn find_mut(&mut self, name: &str) -> Option<&mut Vault> {
        self.0.get_mut(&name.to_ascii_lowercase())
    }
}

impl Vault {
    /// Adds a version of a certificate with the secret and the key behind it, and gives the id all three share.
    pub(crate) fn put_certificate(&mut self, spec: &CertificateSpec, now: i64) -> String {
        let id = self.certificates.put(spec.clone(), now);
        self.back(spec, &id, now);
        id
    }

    /// Changes a certificate's version with the secret and the key behind it; tells whether there was one.
    pub(crate) fn change_certificate(
        &mut self,
        name: &str,
        wanted: Option<&str>,
        now: i64,
        change: impl FnOnce(&mut CertificateSpec),
    ) -> bool {
        let Some(changed) = self.certificates.change(name, wanted, now, change) else { return false };
        let (spec, id) = (changed.spec.clone(), changed.id.clone());
        self.back(&spec, &id, now);
        true
    }

    /// Deletes a certificate with the secret and the key behind it; tells whether there was one.
    pub(crate) fn delete_certificate(&mut self, name: &str) -> bool {
        let deleted = self.certificates.delete(name);
        if deleted {
            self.secrets.delete(name);
            self.keys.delete(name);
        }
        deleted
    }

    /// Makes the secret and the key of a certificate's version what they have to be.
    fn back(&mut self, spec: &CertificateSpec, id: &str, now: i64) {
        if spec.in_creation {
            return;
        }
        let secret = spec.secret(id);
        if self.secrets.change(&spec.name, Some(id), now, |old| *old = secret.clone()).is_none() {
            self.secrets.put(secret, now);
        }
        let Some(key) = spec.backing_key(id) else { return };
        if self.keys.change(&spec.name, Some(id), now, |old| *old = key.clone()).is_none() {
            self.keys.put(key, now);
        }
    }
}

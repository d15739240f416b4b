//! Shelves: what one list of a vault shows, and as whom it is read.

use super::{Collection, Gate, Host, IdentityName, Object, ObjectName, VaultHost};

/// A collection of a vault, as one identity sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shelf {
    /// Who signs in.
    pub identity: IdentityName,
    /// The vault.
    pub vault: VaultHost,
    /// Secrets or keys. What is read of a certificate is its secret, and stands among the secrets.
    pub collection: Collection,
}

impl Shelf {
    /// Where the latest version of an object stands, and as what. Lists do not show other versions, nor anything outside
    /// of vaults.
    pub fn of(object: &Object) -> Option<(Self, &ObjectName)> {
        let Object::Vault { identity, vault, collection, name, version: None } = object else { return None };
        let collection = match collection {
            Collection::Secret | Collection::Certificate => Collection::Secret,
            Collection::Key => Collection::Key,
        };
        Some((Self { identity: identity.clone(), vault: vault.clone(), collection }, name))
    }

    /// The gates in front of it, as in front of everything on it.
    pub fn gates(&self) -> [Gate; 2] {
        [Gate::Identity(self.identity.clone()), Gate::Host(Host::Vault(self.vault.clone()))]
    }
}

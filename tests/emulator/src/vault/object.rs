//! What secrets, certificates and keys have in common, and a version of any of them as the vault keeps it.

use std::collections::BTreeMap;

use super::collection::Collection;

/// Something a vault keeps versions of.
pub(crate) trait Object {
    /// What the vault has to know of it, whatever it is.
    fn facts(&self) -> Facts<'_>;
}

/// The members that all objects have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) collection: Collection,
    pub(crate) name: &'a str,
    pub(crate) enabled: bool,
    pub(crate) nbf: Option<i64>,
    pub(crate) exp: Option<i64>,
    pub(crate) tags: &'a BTreeMap<String, String>,
    /// Version id asked for.
    pub(crate) version: Option<&'a str>,
    /// Creation time asked for.
    pub(crate) created: Option<i64>,
}

/// A version as the vault keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version<S> {
    pub(crate) spec: S,
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) updated: i64,
}

impl<S: Object> Version<S> {
    /// The URL of this version.
    pub(crate) fn identifier(&self, base: &str) -> String {
        self.identifier_in(self.spec.facts().collection, base)
    }

    /// The URL of the version of the same name and id in another collection.
    pub(crate) fn identifier_in(&self, collection: Collection, base: &str) -> String {
        format!("{base}/{}/{}/{}", collection.plural(), self.spec.facts().name, self.id)
    }

    /// The URL without the version.
    pub(crate) fn base_identifier(&self, base: &str) -> String {
        let facts = self.spec.facts();
        format!("{base}/{}/{}", facts.collection.plural(), facts.name)
    }
}

/// Whether a name has only the letters and the length that the vault takes.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=127).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// What `enabled` is unless a test says otherwise.
pub(crate) fn enabled() -> bool {
    true
}

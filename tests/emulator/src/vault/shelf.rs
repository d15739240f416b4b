//! One collection of a vault: names, and the versions behind each.

use std::collections::BTreeMap;

use super::object::{Object, Version};
use crate::random;

/// Versions by lower-case name, oldest first.
#[derive(Debug)]
pub(crate) struct Shelf<S>(BTreeMap<String, Vec<Version<S>>>);

impl<S> Default for Shelf<S> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<S: Object> Shelf<S> {
    /// Adds a version, which is the latest from now on, and gives its id.
    pub(crate) fn put(&mut self, spec: S, now: i64) -> String {
        let facts = spec.facts();
        let id = facts.version.map_or_else(random::version, str::to_owned);
        let created = facts.created.unwrap_or(now);
        let versions = self.0.entry(facts.name.to_ascii_lowercase()).or_default();
        versions.push(Version { spec, id: id.clone(), created, updated: created });
        id
    }

    /// The latest version, or the one named.
    pub(crate) fn version(&self, name: &str, wanted: Option<&str>) -> Option<&Version<S>> {
        let versions = self.0.get(&name.to_ascii_lowercase())?;
        match wanted {
            None => versions.last(),
            Some(id) => versions.iter().find(|version| version.id.eq_ignore_ascii_case(id)),
        }
    }

    /// Changes a version in place and gives it, if there is one.
    pub(crate) fn change(
        &mut self,
        name: &str,
        wanted: Option<&str>,
        now: i64,
        change: impl FnOnce(&mut S),
    ) -> Option<&Version<S>> {
        let versions = self.0.get_mut(&name.to_ascii_lowercase())?;
        let version = match wanted {
            None => versions.last_mut(),
            Some(id) => versions.iter_mut().find(|version| version.id.eq_ignore_ascii_case(id)),
        }?;
        change(&mut version.spec);
        version.updated = now;
        Some(version)
    }

    /// Deletes all versions of a name; tells whether there was one.
    pub(crate) fn delete(&mut self, name: &str) -> bool {
        self.0.remove(&name.to_ascii_lowercase()).is_some()
    }

    /// The latest version of each, by name.
    pub(crate) fn latest(&self) -> Vec<&Version<S>> {
        self.0.values().filter_map(|versions| versions.last()).collect()
    }

    /// All versions of one, by version id and not by age, as the service lists them.
    pub(crate) fn versions(&self, name: &str) -> Vec<&Version<S>> {
        let mut versions: Vec<_> = self.0.get(&name.to_ascii_lowercase()).into_iter().flatten().collect();
        versions.sort_by(|one, other| one.id.cmp(&other.id));
        versions
    }
}

//! The variables that a command is given, and by what one can tell whether it should have others. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::exit::Exit;
use crate::reference::SecretName;
use crate::secret::SecretValue;
use crate::snapshot::Snapshot;

use super::Ended;

/// Variables with their values, made of one whole.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// What is set.
    pub(super) set: BTreeMap<String, SecretValue>,
    /// What is taken away: made of what is optional and not there.
    pub(super) unset: BTreeSet<String>,
    /// What a token goes into: a refreshed token alone is no reason to restart anything, so their values say nothing.
    pub(super) of_tokens: BTreeSet<String>,
    /// The editions of what goes into those besides.
    pub(super) beside_tokens: BTreeMap<String, String>,
}

/// What of the configuration one must know for it.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    /// The secrets that are tokens.
    pub(super) tokens: BTreeSet<SecretName>,
    /// The secrets that must be there.
    pub(super) required: BTreeSet<SecretName>,
}

impl Given {
    /// The variables of a whole, or why they cannot be made.
    pub(super) fn of(snapshot: &Snapshot, kinds: &Kinds) -> Result<Self, Ended> {
        let unusable = |reason: String| Ended::new(Exit::Content, reason);
        let variables = &snapshot.env;
        let lacking = |name: &&SecretName| kinds.required.contains(*name) && !snapshot.secrets.contains_key(*name);
        if let Some(name) = variables.uses().map(|(name, _)| name).find(lacking) {
            return Err(unusable(format!("the secret {name} has no value any more")));
        }
        let values = variables.values(&snapshot.secrets).map_err(|failure| unusable(failure.to_string()))?;
        let mut given =
            Self { set: values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(), ..Self::default() };
        for (variable, made) in &variables.0 {
            if !given.set.contains_key(variable) {
                given.unset.insert(variable.clone());
            }
            if !made.uses().any(|(name, _)| kinds.tokens.contains(name)) {
                continue;
            }
            given.of_tokens.insert(variable.clone());
            let beside = made.uses().map(|(name, _)| name).filter(|name| !kinds.tokens.contains(*name));
            let edition = |name: &SecretName| Some((name.to_string(), snapshot.secrets.get(name)?.version.to_string()));
            given.beside_tokens.extend(beside.filter_map(edition));
        }
        Ok(given)
    }

    /// The names of what is not as it was: variables, and secrets that go into one with a token.
    pub(super) fn difference(&self, now: &Self) -> BTreeSet<String> {
        let steady = |given: &Self, name: &String| given.set.contains_key(name) && !given.of_tokens.contains(name);
        let is_other = |name: &&String| match (steady(self, name), steady(now, name)) {
            (true, true) => match (self.set.get(*name), now.set.get(*name)) {
                (Some(before), Some(now)) => !before.ct_eq(now),
                (before, now) => before.is_some() != now.is_some(),
            },
            (before, now) => before != now,
        };
        let variables = self.set.keys().chain(now.set.keys()).filter(is_other);
        let editions = self.beside_tokens.keys().chain(now.beside_tokens.keys());
        let is_newer = |name: &&String| self.beside_tokens.get(*name) != now.beside_tokens.get(*name);
        variables.chain(editions.filter(is_newer)).cloned().collect()
    }
}

#[cfg(test)]
mod tests;

//! The files of a whole that are made of several values: made anew where one of these, or the recipe, moved; kept where
//! that fails.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::{FileContent, Snapshot};
use crate::plan::Content;
use crate::reference::SecretName;
use crate::render::{Failure, Recipe};
use crate::secret::SecretValue;

/// One file that is made of several values.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// What it holds.
    pub made: Made,
    /// Why it could not be made anew; none if it was, and while it waits for a secret.
    pub failure: Option<Failure>,
}

/// What a file holds that is made of several values.
#[derive(Debug, Clone)]
pub enum Made {
    /// The newest that could be made.
    Bytes(Arc<SecretValue>),
    /// What an earlier run published, if it did.
    AsItIs,
    /// Nothing: there is no such file.
    Nothing,
}

impl Made {
    pub(super) fn as_content(&self) -> Option<FileContent<'_>> {
        match self {
            Self::Bytes(value) => Some(FileContent::Bytes(value)),
            Self::AsItIs => Some(FileContent::AsItIs),
            Self::Nothing => None,
        }
    }
}

/// Makes all files of the next whole that are made at all; of those in which nothing moved the previous one's are taken.
pub(super) fn all(
    next: &Snapshot,
    previous: Option<&Snapshot>,
    (changed, revoked): (&BTreeSet<SecretName>, &BTreeSet<SecretName>),
) -> BTreeMap<PathBuf, Rendered> {
    let mut all = BTreeMap::new();
    for (dir, layout) in &*next.layouts {
        for (path, content) in layout {
            let Content::Rendered { recipe, .. } = content else { continue };
            let before = previous.and_then(|previous| previous.layouts.get(dir)?.get(path));
            let is_same = matches!(before, Some(Content::Rendered { recipe: before, .. }) if before == recipe);
            let path = dir.join(path);
            let last = previous.and_then(|previous| previous.rendered.get(&path));
            all.insert(path, one(recipe, next, previous, (changed, revoked), (last, is_same)));
        }
    }
    all
}

fn one(
    recipe: &Recipe,
    next: &Snapshot,
    previous: Option<&Snapshot>,
    (changed, revoked): (&BTreeSet<SecretName>, &BTreeSet<SecretName>),
    (last, is_same): (Option<&Rendered>, bool),
) -> Rendered {
    let secrets = recipe.secrets();
    // A part that the last good value was not cut into yet: the recipe is newer.
    let is_uncut = |name: &SecretName, part| next.secrets.get(name).is_some_and(|value| value.part(part).is_none());
    if recipe.uses().into_iter().any(|(name, part)| next.unknown.contains(name) || is_uncut(name, part)) {
        // What an earlier run, or an earlier recipe, made of a value that was taken away on the user's word goes with it.
        let made = if secrets.iter().any(|name| revoked.contains(*name)) { Made::Nothing } else { Made::AsItIs };
        return Rendered { made, failure: None };
    }
    let was_unknown = |name: &SecretName| previous.is_some_and(|previous| previous.unknown.contains(name));
    let moved = secrets.iter().any(|name| changed.contains(*name) || was_unknown(name));
    if let Some(last) = last.filter(|_| is_same && !moved) {
        return last.clone();
    }
    match recipe.make(&next.secrets) {
        Ok(value) => Rendered { made: Made::Bytes(Arc::new(value)), failure: None },
        Err(failure) => {
            let is_held = |name: &&SecretName| next.secrets.contains_key(*name);
            let was_held = |name: &&SecretName| previous.is_some_and(|previous| previous.secrets.contains_key(*name));
            let made = match last.map(|last| &last.made) {
                // A value that was taken away on the user's word does not live on in what was made of it.
                Some(Made::Bytes(value)) if secrets.iter().all(|name| is_held(name) || !was_held(name)) => {
                    Made::Bytes(Arc::clone(value))
                }
                None | Some(Made::AsItIs) if secrets.iter().all(is_held) => Made::AsItIs,
                _ => Made::Nothing,
            };
            Rendered { made, failure: Some(failure) }
        }
    }
}

#[cfg(test)]
mod tests;

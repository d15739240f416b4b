//! What is published: the last good value of every name, and the numbered, immutable whole that is made of them.
//!
//! Knows when a new whole is due and what changed; what is made of several values is made here, once per whole
//! (`rendered`). Must not know how it is fetched or written.

mod rendered;
mod standing;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::plan::{Content, Layouts, Plan, Wanted};
use crate::reference::{Object, SecretName};
use crate::render::{Failure, Variables};
use crate::secret::{Secret, SecretValue};

pub use rendered::{Made, Rendered};
pub use standing::Standing;

/// The number of a published whole; it moves only when content or layout moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

impl Generation {
    /// The number after this one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Everything that is published together, immutable.
#[derive(Debug)]
pub struct Snapshot {
    /// Its number.
    pub generation: Generation,
    /// The values by name. A name that is in neither set has no value on purpose: optional, and missing.
    pub secrets: BTreeMap<SecretName, Arc<Secret>>,
    /// The names of which nothing is known yet, because every attempt failed: what an earlier run published of them stays.
    pub unknown: BTreeSet<SecretName>,
    /// The names that have no value on purpose: optional, and not there.
    pub absent: BTreeSet<SecretName>,
    /// The names that are access tokens.
    pub tokens: BTreeSet<SecretName>,
    /// Which directory shows which of them as which file.
    pub layouts: Arc<Layouts>,
    /// The variables that are made of them for whoever asks.
    pub env: Arc<Variables>,
    /// What was made of several of them, by the file's whole path.
    pub rendered: BTreeMap<PathBuf, Rendered>,
}

/// What a file shall hold.
#[derive(Debug, Clone, Copy)]
pub enum FileContent<'a> {
    /// These bytes.
    Bytes(&'a SecretValue),
    /// What it holds already, if it is there and ours.
    AsItIs,
}

impl Snapshot {
    /// The files that the directory shall hold, by relative path; every other file of ours goes away.
    pub fn files(&self, dir: &Path) -> BTreeMap<&Path, FileContent<'_>> {
        let Some(layout) = self.layouts.get(dir) else { return BTreeMap::new() };
        let file = |path: &Path, content: &Content| match content {
            Content::Secret { secret, part } => match self.secrets.get(secret) {
                // A part that the last good value was not cut into yet: the plan is newer.
                Some(value) => Some(value.part(*part).map_or(FileContent::AsItIs, FileContent::Bytes)),
                None => self.unknown.contains(secret).then_some(FileContent::AsItIs),
            },
            Content::Rendered { .. } => self.rendered.get(&dir.join(path))?.made.as_content(),
        };
        layout.iter().filter_map(|(path, content)| Some((path.as_path(), file(path, content)?))).collect()
    }

    /// The files of the directory that have a mode of their own.
    pub fn narrower(&self, dir: &Path) -> impl Iterator<Item = (&Path, u32)> {
        self.layouts.get(dir).into_iter().flatten().filter_map(|(path, content)| match content {
            Content::Rendered { mode, .. } => Some((path.as_path(), *mode)),
            Content::Secret { .. } => None,
        })
    }

    /// The names whose content came, went or changed after another whole; all of them where there is none.
    pub fn changed_since(&self, previous: Option<&Self>) -> BTreeSet<SecretName> {
        let Some(previous) = previous else { return self.secrets.keys().cloned().collect() };
        let differs = |name: &&SecretName| match (previous.secrets.get(*name), self.secrets.get(*name)) {
            (Some(old), Some(new)) => !Arc::ptr_eq(old, new) && !old.same_content(new),
            (old, new) => old.is_some() != new.is_some(),
        };
        previous.secrets.keys().chain(self.secrets.keys()).filter(differs).cloned().collect()
    }

    /// The files that could not be made, and why.
    pub fn failures(&self) -> impl Iterator<Item = (&Path, &Failure)> {
        self.rendered.iter().filter_map(|(path, file)| Some((path.as_path(), file.failure.as_ref()?)))
    }
}

/// What is known of one name.
#[derive(Debug, Clone)]
enum Held {
    /// Its last good value, and how many there were before it.
    Value(Arc<Secret>, u64),
    /// It is optional, and its source says that it is not there.
    Absent,
    /// It was asked for, and every attempt failed.
    Unknown,
    /// It had a value, which was taken away on the user's word; so many there were.
    Revoked(u64),
}

/// The last good value of every name. Nothing ever takes a good value away but another one, and the user's own word.
#[derive(Debug, Default)]
pub struct Holdings {
    held: BTreeMap<SecretName, Held>,
    /// Whose source is another one, of which nothing has been heard yet; what is held is the old one's.
    awaited: BTreeSet<SecretName>,
}

impl Holdings {
    /// A value came. Tells whether that moves anything.
    pub fn hold(&mut self, name: &SecretName, secret: Secret) -> bool {
        let moves = self.value(name).is_none_or(|held| !held.same_content(&secret));
        if moves {
            let edition = self.edition(name).saturating_add(1);
            self.held.insert(name.clone(), Held::Value(Arc::new(secret), edition));
        }
        self.awaited.remove(name) || moves
    }

    /// How many different values the name has had: what tells two of them apart where the source has no versions.
    pub fn edition(&self, name: &SecretName) -> u64 {
        match self.held.get(name) {
            Some(Held::Value(_, edition) | Held::Revoked(edition)) => *edition,
            _ => 0,
        }
    }

    /// The user wants no value of it any more, not even an earlier run's. Tells whether that moves anything.
    pub fn revoke(&mut self, name: &SecretName) -> bool {
        let moves = matches!(self.held.get(name), Some(Held::Value(..) | Held::Unknown));
        if moves {
            self.held.insert(name.clone(), Held::Revoked(self.edition(name)));
        }
        self.awaited.remove(name) || moves
    }

    /// The source says that the name is not there. Tells whether that moves anything.
    pub fn absent(&mut self, name: &SecretName) -> bool {
        let moves = matches!(self.held.get(name), None | Some(Held::Unknown));
        if moves {
            self.held.insert(name.clone(), Held::Absent);
        }
        self.awaited.remove(name) || moves
    }

    /// An attempt failed. Tells whether that moves anything.
    pub fn failed(&mut self, name: &SecretName) -> bool {
        let moves = !self.held.contains_key(name);
        if moves {
            self.held.insert(name.clone(), Held::Unknown);
        }
        self.awaited.remove(name) || moves
    }

    /// The name's source is another one: until something has been heard of it, no new whole is made.
    pub fn expect(&mut self, name: &SecretName) {
        self.awaited.insert(name.clone());
    }

    /// Forgets all other names.
    pub fn retain(&mut self, is_wanted: impl Fn(&SecretName) -> bool) {
        self.held.retain(|name, _| is_wanted(name));
        self.awaited.retain(is_wanted);
    }

    /// Whether there is a value, and it is of the name's present source.
    pub fn is_current(&self, name: &SecretName) -> bool {
        self.value(name).is_some() && !self.awaited.contains(name)
    }

    fn has_been_heard_of(&self, name: &SecretName) -> bool {
        self.held.contains_key(name) && !self.awaited.contains(name)
    }

    /// The last good value.
    pub fn value(&self, name: &SecretName) -> Option<&Arc<Secret>> {
        match self.held.get(name) {
            Some(Held::Value(secret, _)) => Some(secret),
            _ => None,
        }
    }
}

/// What merging found.
#[derive(Debug)]
pub enum Merged {
    /// There is no first whole of this plan yet: some name has not been heard of at all.
    Incomplete,
    /// Nothing moved.
    Unchanged,
    /// There is something new to publish.
    Advanced {
        /// The new whole.
        next: Arc<Snapshot>,
        /// The names whose content came, went or changed.
        changed: BTreeSet<SecretName>,
    },
}

/// Makes the next whole of what is held. The first one of a plan waits until everybody has been heard of, for better or
/// worse; later, one name's trouble holds nobody back.
pub fn merge(plan: &Plan, holdings: &Holdings, previous: Option<&Snapshot>) -> Merged {
    // Of whom nothing was heard is not in there. Counted first: this is asked again with everything that comes.
    let too_few = holdings.held.len() < plan.names.len();
    if too_few || !plan.names.keys().all(|name| holdings.has_been_heard_of(name)) {
        return Merged::Incomplete;
    }
    let value = |name: &SecretName| holdings.value(name).map(|secret| (name.clone(), Arc::clone(secret)));
    let secrets: BTreeMap<_, _> = plan.names.keys().filter_map(value).collect();
    let those = |is_so: fn(Option<&Held>) -> bool| {
        plan.names.keys().filter(|name| is_so(holdings.held.get(*name))).cloned().collect::<BTreeSet<_>>()
    };
    let unknown = those(|held| matches!(held, None | Some(Held::Unknown)));
    let absent = those(|held| matches!(held, Some(Held::Absent)));
    let is_token = |(_, wanted): &(&SecretName, &Wanted)| matches!(wanted.object, Object::Token { .. });
    let tokens = plan.names.iter().filter(is_token).map(|(name, _)| name.clone()).collect();
    let generation = previous.map_or(Generation(1), |previous| previous.generation.next());
    let (layouts, env, rendered) = (Arc::clone(&plan.layouts), Arc::clone(&plan.env), BTreeMap::new());
    let mut next = Snapshot { generation, secrets, unknown, absent, tokens, layouts, env, rendered };
    let changed = next.changed_since(previous);
    let is_same = |previous: &Snapshot| {
        previous.layouts == next.layouts
            && previous.env == next.env
            && previous.unknown == next.unknown
            && previous.absent == next.absent
    };
    if changed.is_empty() && previous.is_some_and(is_same) {
        return Merged::Unchanged;
    }
    let is_revoked = |name: &&SecretName| matches!(holdings.held.get(*name), Some(Held::Revoked(_)));
    let revoked = plan.names.keys().filter(is_revoked).cloned().collect();
    next.rendered = rendered::all(&next, previous, (&changed, &revoked));
    Merged::Advanced { next: Arc::new(next), changed }
}

#[cfg(test)]
mod tests;

//! What the endpoints show: the newest whole that the rollout let through, since which whole each name has its value, and
//! the last changes. Every reader looks at one of these at a time, so that nobody sees half of a rotation.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use crate::plan::Plan;
use crate::ports::{Change, Published, Sink, SinkError};
use crate::reference::SecretName;
use crate::snapshot::{Generation, Snapshot};

/// How many changes whoever follows them may be behind.
const REMEMBERED: usize = 256;

/// What messages call it: the key of the configuration.
const NAME: &str = "serve";

/// One moment of it.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    /// The values.
    pub(super) snapshot: Arc<Snapshot>,
    /// The whole with which each name got the value that it has, or lost it.
    since: BTreeMap<SecretName, Generation>,
    /// The last changes, the oldest first.
    changes: VecDeque<Arc<Change>>,
    /// Up to this whole they are forgotten.
    forgotten: Generation,
}

/// What is shown, for many to look at and to wait for.
pub(super) type Board = watch::Receiver<Option<Arc<Shown>>>;

/// Changes have been forgotten that were to be told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Forgotten;

impl Shown {
    fn first(snapshot: &Arc<Snapshot>) -> Self {
        let generation = snapshot.generation;
        let since = snapshot.secrets.keys().map(|name| (name.clone(), generation)).collect();
        Self { snapshot: Arc::clone(snapshot), since, changes: VecDeque::new(), forgotten: generation }
    }

    /// The same with the next whole, and the names that are not what they were.
    fn next(&self, snapshot: &Arc<Snapshot>) -> (Self, BTreeSet<SecretName>) {
        let names = snapshot.changed_since(Some(&self.snapshot));
        let mut next = self.clone();
        next.snapshot = Arc::clone(snapshot);
        for name in &names {
            next.since.insert(name.clone(), snapshot.generation);
        }
        if !names.is_empty() {
            next.changes.push_back(Arc::new(Change { generation: snapshot.generation, names: names.clone() }));
        }
        if self.snapshot.env != snapshot.env {
            // Whoever follows looks at everything anew: no name says which variables came and went.
            next.changes.clear();
            next.forgotten = snapshot.generation;
        }
        while next.changes.len() > REMEMBERED {
            let oldest = next.changes.pop_front();
            next.forgotten = oldest.map_or(next.forgotten, |change| change.generation);
        }
        (next, names)
    }

    /// The whole with which the name got the value that it has.
    pub(super) fn since(&self, name: &SecretName) -> Generation {
        self.since.get(name).copied().unwrap_or(self.snapshot.generation)
    }

    /// What has changed after this whole, in order.
    pub(super) fn changes_after(&self, seen: Generation) -> Result<impl Iterator<Item = &Change>, Forgotten> {
        // Of a whole that is still to come nobody can have heard.
        if seen < self.forgotten || seen > self.snapshot.generation {
            return Err(Forgotten);
        }
        Ok(self.changes.iter().map(AsRef::as_ref).filter(move |change| change.generation > seen))
    }
}

/// Where the rollout publishes to. Nothing is shown before it does.
#[derive(Debug, Clone, Default)]
pub struct Publisher(watch::Sender<Option<Arc<Shown>>>);

impl Publisher {
    pub(super) fn board(&self) -> Board {
        self.0.subscribe()
    }
}

impl Sink for Publisher {
    fn name(&self) -> &str {
        NAME
    }

    fn shows(&self, plan: &Plan) -> BTreeSet<SecretName> {
        plan.names.keys().cloned().collect()
    }

    fn check(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn publish(&mut self, snapshot: &Arc<Snapshot>, _: Instant) -> Result<Published, SinkError> {
        let before = self.0.borrow().clone();
        let mut published = Published { generation: snapshot.generation.0, ..Published::default() };
        let (shown, names) = match before {
            Some(before) if before.snapshot.generation == snapshot.generation => return Ok(published),
            Some(before) => before.next(snapshot),
            None => (Shown::first(snapshot), snapshot.secrets.keys().cloned().collect()),
        };
        let (there, gone): (BTreeSet<_>, BTreeSet<_>) =
            names.into_iter().partition(|name| snapshot.secrets.contains_key(name));
        let paths = |names: BTreeSet<SecretName>| names.iter().map(|name| PathBuf::from(name.as_str())).collect();
        (published.changed, published.removed) = (paths(there), paths(gone));
        self.0.send_replace(Some(Arc::new(shown)));
        Ok(published)
    }

    fn sweep_due(&self) -> Option<Instant> {
        None
    }

    fn sweep(&mut self, _: Instant) -> Result<(), SinkError> {
        Ok(())
    }
}

#[cfg(test)]
pub(in crate::serve) mod tests;

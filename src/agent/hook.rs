//! What the loop does once readers can see a change: the hooks are run, beside everything else.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

use super::Agent;
use crate::moment::Moment;
use crate::plan::Content;
use crate::ports::{Change, HookError, Published, Source};
use crate::reference::SecretName;
use crate::snapshot::Snapshot;

/// Longer than any hook means to take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A hook by its number, what it was told, and how that went.
pub(super) type Told = (usize, Arc<Change>, Result<(), HookError>);

impl<S: Source> Agent<S> {
    /// Starts the hooks that are due.
    pub(super) fn run_hooks(&mut self, now: Moment, running: &mut JoinSet<Told>) {
        for (number, change) in self.pending.take_due(now.tick) {
            let Some(hook) = self.hooks.get(number).map(Arc::clone) else { continue };
            running.spawn(async move {
                let told = timeout(PATIENCE, hook.run(Arc::clone(&change))).await;
                (number, change, told.unwrap_or_else(|_| Err(takes_too_long())))
            });
        }
    }

    pub(super) fn hook_ended(&mut self, done: Result<Told, JoinError>) {
        // One that panicked has ended the process in the panic hook; none is cancelled before the end.
        let Ok((number, change, result)) = done else { return };
        let now = (self.clock)();
        self.news = true;
        match &result {
            Ok(()) => self.pending.succeeded(number),
            Err(_) => self.pending.failed(number, now.tick),
        }
        let Some(status) = self.status.hooks.get_mut(number) else { return };
        self.metrics.told(status.kind, result.is_ok());
        super::tell::told(status, &change, &result);
        match result {
            Ok(()) => (status.told, status.failure) = (Some(change.generation), None),
            Err(error) => status.failure = Some(error),
        }
    }
}

/// The names whose files are not what they were in a sink that shows the snapshot now.
pub(super) fn differing(snapshot: &Snapshot, sink: &str, published: &Published) -> BTreeSet<SecretName> {
    // Not the plan's layouts: that may be newer by now.
    let layout = snapshot.layouts.get(Path::new(sink));
    let files = published.changed.iter().chain(&published.removed);
    let contents = files.filter_map(|file| layout?.get(file));
    contents.flat_map(Content::secrets).cloned().collect()
}

fn takes_too_long() -> HookError {
    HookError::new(format!("it took longer than {} seconds", PATIENCE.as_secs()), "look why it hangs")
}

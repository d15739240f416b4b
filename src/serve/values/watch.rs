//! What changes, as server-sent events (WHATWG HTML §9.2): one `change` for each whole in which something changed that the
//! caller may see, in order, with the names and never a value. Whoever was away goes on where it was (`Last-Event-ID`), or
//! is told by `resync` to look at everything again.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use hyper::header::HeaderMap;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::sleep;

use super::board::{Board, Shown};
use crate::config::serve::Visible;
use crate::ports::Change;
use crate::reference::SecretName;
use crate::serve::slots::Slot;
use crate::snapshot::Generation;

/// So often something is sent, so that those who have gone are noticed, and proxies do not take it for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Somebody who watches.
pub(super) struct Watcher {
    /// What is watched.
    pub(super) board: Board,
    /// What the events' ids begin with.
    pub(super) run: Arc<str>,
    /// What may be told.
    pub(super) visible: Visible,
    /// How far it is.
    pub(super) at: At,
    /// Its place among those who watch.
    pub(super) _slot: Slot,
    /// When everything ends.
    pub(super) stopped: watch::Receiver<()>,
}

/// How far somebody is who watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// It has seen nothing yet, and wants to hear of what comes.
    Begin,
    /// It says that it has seen this whole, and wants to hear of what came after.
    Return(Generation),
    /// What it has seen is not known here: it was another run's.
    Elsewhere,
    /// It has been told everything up to this whole.
    Told(Generation),
    /// It has fallen behind, and is let go.
    Behind,
}

/// Where whoever asks was, by `Last-Event-ID`.
pub(super) fn at(headers: &HeaderMap, run: &str) -> At {
    let Some(id) = headers.get("last-event-id") else { return At::Begin };
    let generation = id.to_str().ok().and_then(|id| id.strip_prefix(run)?.strip_prefix('-')?.parse().ok());
    generation.map_or(At::Elsewhere, |generation| At::Return(Generation(generation)))
}

/// The events, until everything ends, the caller goes or falls behind.
pub(super) fn events(watcher: Watcher) -> impl Stream<Item = Bytes> + Send {
    unfold(watcher, |mut watcher| async move { watcher.next().await.map(|event| (event, watcher)) })
}

impl Watcher {
    async fn next(&mut self) -> Option<Bytes> {
        // Not begun anew by what it is not told of.
        let mut quiet = pin!(sleep(KEEP_ALIVE));
        while self.at != At::Behind {
            let shown = self.board.borrow_and_update().clone();
            if let Some(event) = shown.and_then(|shown| self.news(&shown)) {
                return Some(event);
            }
            tokio::select! {
                changed = self.board.changed() => changed.ok()?,
                _ = self.stopped.changed() => return None,
                () = &mut quiet => return Some(self.still_here()),
            }
        }
        None
    }

    /// What it is to be told of what is shown now.
    fn news(&mut self, shown: &Shown) -> Option<Bytes> {
        let now = shown.snapshot.generation;
        let seen = match self.at {
            At::Behind => return None,
            At::Begin => {
                // An id alone is no event, but what a client comes back with.
                self.at = At::Told(now);
                return Some(format!("id: {}-{now}\n\n", self.run).into());
            }
            At::Elsewhere => return Some(self.resync(now, At::Told(now))),
            At::Return(seen) | At::Told(seen) => seen,
        };
        let Ok(changes) = shown.changes_after(seen) else {
            let then = if matches!(self.at, At::Return(_)) { At::Told(now) } else { At::Behind };
            return Some(self.resync(now, then));
        };
        let events: String = changes.filter_map(|change| self.change(change)).collect();
        self.at = At::Told(now);
        (!events.is_empty()).then(|| events.into())
    }

    /// Nothing that it may hear of has changed: it comes back with the newest, all the same.
    fn still_here(&self) -> Bytes {
        match self.at {
            At::Told(told) => format!("id: {}-{told}\n\n", self.run).into(),
            _ => Bytes::from_static(b":\n\n"),
        }
    }

    fn change(&self, change: &Change) -> Option<String> {
        let names: Vec<&str> =
            change.names.iter().filter(|name| self.visible.shows(name)).map(SecretName::as_str).collect();
        (!names.is_empty()).then(|| {
            self.event("change", change.generation, &json!({"generation": change.generation.0, "names": names}))
        })
    }

    fn resync(&mut self, now: Generation, then: At) -> Bytes {
        self.at = then;
        self.event("resync", now, &json!({"generation": now.0})).into()
    }

    fn event(&self, kind: &str, generation: Generation, data: &serde_json::Value) -> String {
        format!("id: {}-{generation}\nevent: {kind}\ndata: {data}\n\n", self.run)
    }
}

#[cfg(test)]
mod tests;

//! Files that others change: which of them are not what they were.
//!
//! Watched are the directories that a path leads through, the file's own and those of every link on the way: a watch of
//! the file itself would end with the file, and Kubernetes changes a `ConfigMap` by flipping one link above it. An event
//! only says when to look; what is seen is compared. A slow look is the net where nothing is told, as on some network
//! file systems.
#![expect(clippy::disallowed_methods, reason = "this is where files that others change are looked at")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{Metadata, metadata, read_link, symlink_metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{Config, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long nothing must happen before what happened is looked at: an editor writes in several steps.
const QUIET: Duration = Duration::from_millis(100);
/// What never rests is looked at all the same.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks that nobody asked for.
const UNASKED: Duration = Duration::from_mins(1);
/// More links than any path is made of.
const MOST_STEPS: usize = 64;

/// What is followed, and how it was last seen.
pub struct Watch {
    /// None where the kernel gives no watches: then only the slow look is left.
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    seen: BTreeMap<PathBuf, Option<Seen>>,
    events: mpsc::Receiver<()>,
    /// Something was told that has not been looked at yet.
    told: bool,
}

/// What tells a file from its successor, and from itself before it was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl From<Metadata> for Seen {
    fn from(metadata: Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Watch {
    /// Follows nothing yet, and costs nothing until it does.
    pub fn begin() -> Self {
        let (tell, events) = mpsc::channel(1);
        let told = move |event: notify::Result<notify::Event>| {
            let reads = event.as_ref().is_ok_and(|event| matches!(event.kind, EventKind::Access(_)));
            if !reads {
                // One word is as good as many.
                tell.try_send(()).ok();
            }
        };
        let watcher = RecommendedWatcher::new(told, Config::default().with_follow_symlinks(false));
        let watcher = watcher.inspect_err(|error| unwatched(&error.to_string())).ok();
        Self { watcher, watched: BTreeSet::new(), seen: BTreeMap::new(), events, told: false }
    }

    /// Follows these files and no others. What was followed before is compared with how it was seen then.
    pub fn follow(&mut self, paths: BTreeSet<PathBuf>) {
        let before = std::mem::take(&mut self.seen);
        let seen = |path: PathBuf| {
            let seen = before.get(&path).copied().unwrap_or_else(|| look(&path));
            (path, seen)
        };
        self.seen = paths.into_iter().map(seen).collect();
        self.watch_directories();
    }

    /// Waits until some of the files are not what they were: there, gone, other ones, or written to. For ever, where
    /// nothing is followed. May be dropped at any time; then nothing is lost.
    pub async fn changed(&mut self) -> BTreeSet<PathBuf> {
        loop {
            if self.seen.is_empty() {
                std::future::pending::<()>().await;
            }
            self.told = self.told || timeout(UNASKED, self.word()).await.is_ok();
            if self.told {
                self.rest().await;
                self.told = false;
            }
            // First the watches: what changes after this look is told.
            self.watch_directories();
            let changed: BTreeSet<PathBuf> =
                self.seen.iter().filter(|(path, seen)| look(path) != **seen).map(|(path, _)| path.clone()).collect();
            if !changed.is_empty() {
                for path in &changed {
                    self.seen.insert(path.clone(), look(path));
                }
                return changed;
            }
        }
    }

    async fn word(&mut self) {
        if self.events.recv().await.is_none() {
            // There is no watcher.
            std::future::pending::<()>().await;
        }
    }

    /// Until nothing has happened for a moment.
    async fn rest(&mut self) {
        let restless = async { while timeout(QUIET, self.word()).await.is_ok() {} };
        drop(timeout(PATIENCE, restless).await);
    }

    /// Watches the directories that the paths lead through now.
    fn watch_directories(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        let wanted: BTreeSet<PathBuf> = self.seen.keys().flat_map(|path| directories(path)).collect();
        for gone in self.watched.difference(&wanted) {
            // It may have gone by itself.
            drop(watcher.unwatch(gone));
        }
        let mut watched: BTreeSet<PathBuf> = self.watched.intersection(&wanted).cloned().collect();
        for new in wanted.difference(&self.watched) {
            match watcher.watch(new, RecursiveMode::NonRecursive) {
                Ok(()) => drop(watched.insert(new.clone())),
                Err(error) if matches!(error.kind, notify::ErrorKind::PathNotFound) => {}
                Err(error) => unwatched(&format!("{}: {error}", new.display())),
            }
        }
        self.watched = watched;
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("seen", &self.seen.keys()).finish_non_exhaustive()
    }
}

fn unwatched(why: &str) {
    tracing::warn!(
        "changes of files are noticed a minute late, because the kernel gives no watch: {why}; \
         is fs.inotify.max_user_instances or max_user_watches too small on the node?"
    );
}

fn look(path: &Path) -> Option<Seen> {
    metadata(path).ok().map(Seen::from)
}

/// The real directories in which an entry could change what the path leads to.
fn directories(path: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut ahead = vec![path.to_owned()];
    for _ in 0..MOST_STEPS {
        let Some(path) = ahead.pop() else { break };
        for at in path.ancestors() {
            let Some(above) = at.parent() else { continue };
            if let Ok(target) = read_link(at) {
                found.extend(std::fs::canonicalize(above));
                ahead.push(above.join(target));
            }
        }
        // The nearest that is there: what is missing appears in it.
        let mut existing = path.ancestors().skip(1).filter(|at| symlink_metadata(at).is_ok());
        found.extend(existing.find_map(|at| std::fs::canonicalize(at).ok()));
    }
    found
}

#[cfg(test)]
mod tests;

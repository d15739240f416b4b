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
    /// What the watcher is to tell by, until there is one.
    tell: Option<mpsc::Sender<()>>,
    /// None while nothing is followed, and where the kernel gives no watches: then only the slow look is left.
    watcher: Option<RecommendedWatcher>,
    /// Which directories the watches are of: a path may name another one tomorrow.
    watched: BTreeMap<PathBuf, Identity>,
    /// The directories that cannot be watched, of which that was said.
    refused: BTreeSet<PathBuf>,
    seen: BTreeMap<PathBuf, Option<Seen>>,
    events: mpsc::Receiver<()>,
    /// Something was told that has not been looked at yet.
    told: bool,
}

/// What tells one directory from another: its device and inode.
type Identity = (u64, u64);

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
    /// Follows nothing yet, and costs nothing until it does: neither a thread nor one of the node's few inotify instances.
    pub fn begin() -> Self {
        let (tell, events) = mpsc::channel(1);
        Self {
            tell: Some(tell),
            watcher: None,
            watched: BTreeMap::new(),
            refused: BTreeSet::new(),
            seen: BTreeMap::new(),
            events,
            told: false,
        }
    }

    fn begin_to_watch(&mut self) {
        let Some(tell) = self.tell.take() else { return };
        let told = move |event: notify::Result<notify::Event>| {
            let reads = event.as_ref().is_ok_and(|event| matches!(event.kind, EventKind::Access(_)));
            if !reads {
                // One word is as good as many.
                tell.try_send(()).ok();
            }
        };
        let watcher = RecommendedWatcher::new(told, Config::default().with_follow_symlinks(false));
        self.watcher = watcher.inspect_err(|error| tracing::warn!("{}", unwatched(None, error))).ok();
    }

    /// Follows these files and no others. What was followed before is compared with how it was seen then.
    pub fn follow(&mut self, paths: BTreeSet<PathBuf>) {
        let before = std::mem::take(&mut self.seen);
        let seen = |path: PathBuf| {
            let seen = before.get(&path).copied().unwrap_or_else(|| look(&path));
            (path, seen)
        };
        self.seen = paths.into_iter().map(seen).collect();
        if !self.seen.is_empty() {
            self.begin_to_watch();
        }
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
        let wanted = self.seen.keys().flat_map(|path| directories(path));
        let wanted: BTreeMap<PathBuf, Identity> =
            wanted.filter_map(|dir| Some((dir.clone(), identity(&dir)?))).collect();
        self.watched.retain(|dir, is| {
            let stays = wanted.get(dir) == Some(is);
            if !stays {
                // It may have gone by itself.
                drop(watcher.unwatch(dir));
            }
            stays
        });
        self.refused.retain(|dir| wanted.contains_key(dir));
        for (dir, is) in wanted {
            if self.watched.contains_key(&dir) {
                continue;
            }
            match watcher.watch(&dir, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.refused.remove(&dir);
                    self.watched.insert(dir, is);
                }
                Err(error) if matches!(error.kind, notify::ErrorKind::PathNotFound) => {}
                Err(error) => {
                    if self.refused.insert(dir.clone()) {
                        tracing::warn!("{}", unwatched(Some(&dir), &error));
                    }
                }
            }
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("seen", &self.seen.keys()).finish_non_exhaustive()
    }
}

/// Why changes are noticed late, of all files or of those in one directory, and what to do about it.
fn unwatched(dir: Option<&Path>, error: &notify::Error) -> String {
    let of = dir.map_or_else(|| "of files".to_owned(), |dir| format!("in {}", dir.display()));
    let (why, fix) = match &error.kind {
        notify::ErrorKind::Io(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            ("keyferry's uid may not read the directory".to_owned(), "let it, mode 0755 or its group")
        }
        _ => (
            format!("the kernel gives no watch: {error}"),
            "fs.inotify.max_user_instances or max_user_watches may be too small on the node",
        ),
    };
    format!("changes {of} are noticed up to a minute late, because {why}; {fix}")
}

fn identity(dir: &Path) -> Option<Identity> {
    metadata(dir).ok().map(|is| (is.dev(), is.ino()))
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

//! The files sink: a snapshot becomes a directory that changes as a whole, the way kubelet's volumes do.
//!
//! ```text
//! /run/keyferry/app/..g7-3f1c0a9be4d25786/openai/key   the generation: a directory
//! /run/keyferry/app/..data -> ..g7-3f1c0a9be4d25786    the one link that flips
//! /run/keyferry/app/openai -> ..data/openai            the names that users see
//! ```
//!
//! Knows one directory, its file system, and that its neighbours may write to it too: an `emptyDir` is open to every
//! uid of the pod. Therefore everything goes through handles of directories that were looked at after they were opened,
//! no link is ever followed, and nothing is opened, changed or removed for the name it bears alone. Must not know where
//! secrets come from, nor when to publish.

mod adopt;
mod errors;
mod generation;
mod handle;
mod links;
mod names;
mod place;
mod sweep;
mod tamper;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::Directory;
use crate::ports::{Published, Sink, SinkError};
use crate::secret::SecretValue;
use crate::snapshot::Snapshot;
use errors::Trouble;
use generation::{Kept, Tree};
use place::{Place, Site};
use tamper::Findings;

/// How long the generation before outlives its successor, for readers that are in the middle of it.
const GRACE: Duration = Duration::from_secs(30);

/// How often a publish is begun anew when a neighbour got in between.
const ATTEMPTS: usize = 5;

/// Publishes to one directory.
#[derive(Debug)]
pub struct FilesSink {
    settings: Directory,
    name: String,
    place: Option<Place>,
    /// What is shown, as far as we know: nothing before the first publish, nor after one that failed. Then what is there
    /// is adopted, so that there is one way back from a failure and from a crash.
    shown: Option<Shown>,
    retired: Option<Retired>,
    /// What was shown when an attempt failed.
    doubted: Option<Standing>,
    /// The number of the last generation.
    number: u64,
    /// What the next success has to tell: some of it may be of attempts that failed.
    changed: BTreeSet<PathBuf>,
    repaired: BTreeSet<String>,
}

/// The generation that `..data` names.
#[derive(Debug)]
struct Shown {
    name: OsString,
    tree: Tree,
    /// What it was made from: comparing with it needs neither a copy nor a digest of any value.
    snapshot: Arc<Snapshot>,
}

/// The generation before.
#[derive(Debug)]
struct Retired {
    name: OsString,
    tree: Tree,
    due: Instant,
}

/// What a publish starts from.
#[derive(Debug)]
struct Standing {
    name: OsString,
    tree: Tree,
    /// Whether it can stay as it is, and if not, which files of it can.
    findings: Findings,
}

impl FilesSink {
    /// A sink for the directory; nothing is touched before the first call.
    pub fn new(settings: &Directory) -> Self {
        let settings = Directory { dir: place::plain(&settings.dir), ..settings.clone() };
        Self {
            name: settings.dir.display().to_string(),
            settings,
            place: None,
            shown: None,
            retired: None,
            doubted: None,
            number: 0,
            changed: BTreeSet::new(),
            repaired: BTreeSet::new(),
        }
    }

    /// One attempt, in steps; everything new is written beside the old, so that it can end anywhere, by an error or by
    /// SIGKILL, and readers see the old generation or the new one:
    ///
    /// 1. Take the directory: open and lock it, or make sure that its path still names the one that we hold.
    /// 2. Look at what is shown: was it touched, and which of its files hold what is wanted? After a start or a failure
    ///    it is adopted first, once everything else that a crash left is removed.
    /// 3. Make the names that users see and that lead nowhere yet. Before the flip and not after it, as kubelet does:
    ///    who waits for `..data` to change then finds every name, while a name that leads nowhere for a moment reads
    ///    like one that is not there.
    /// 4. If nothing differs, that was it.
    /// 5. Remove the generation before the shown one: a small volume need not hold three.
    /// 6. Build the new generation: a directory under a name that nobody can guess, closed to others; unchanged files
    ///    are linked, the others written; its mode is opened last.
    /// 7. Flip `..data` by one rename.
    /// 8. Look whether it names our generation: somebody may have been in between.
    /// 9. Remove the names that are no longer wanted, and leftovers.
    fn attempt(&mut self, snapshot: &Arc<Snapshot>, now: Instant) -> Result<(), Trouble> {
        // 1. Take the directory.
        self.take_place(true)?;
        let Some(place) = &self.place else { return Err(Trouble::Interference(self.settings.dir.clone())) };
        let wanted = snapshot.files(&self.settings.dir);
        let names: BTreeSet<&OsStr> = wanted.keys().filter_map(|path| names::visible(path)).collect();

        // 2. Look at what is shown. It is taken here, and given back by success only.
        let shown = self.shown.take();
        let adopting = shown.is_none();
        let mut standing = match shown {
            Some(shown) => Some(examine(place, &self.settings.dir, shown, snapshot, &mut self.repaired)?),
            None => self.adopt(&wanted)?,
        };
        let known = standing.as_ref().filter(|_| !adopting).map(|old| old.tree.visible_names()).unwrap_or_default();
        match self.renew(standing.as_mut(), &wanted, &names, &known) {
            Ok(Some((name, tree))) => {
                self.retired = standing.map(|Standing { name, tree, .. }| {
                    let due = now.checked_add(GRACE).unwrap_or(now);
                    Retired { name, tree, due }
                });
                self.shown = Some(Shown { name, tree, snapshot: Arc::clone(snapshot) });
            }
            Ok(None) => {
                self.shown =
                    standing.map(|Standing { name, tree, .. }| Shown { name, tree, snapshot: Arc::clone(snapshot) });
                if !adopting {
                    return Ok(());
                }
            }
            Err(trouble) => {
                self.doubted = standing;
                return Err(trouble);
            }
        }

        // 9. Remove what is no longer wanted. That something could not be removed is told, and no failure: it is shown.
        let Some(place) = &self.place else { return Ok(()) };
        let shown = self.shown.as_ref().map(|shown| shown.name.as_os_str());
        let retired = self.retired.as_ref().map(|retired| retired.name.as_os_str());
        note(&mut self.repaired, sweep::links(place, &names));
        note(&mut self.repaired, sweep::leftovers(place, &[shown, retired]));
        Ok(())
    }

    /// From what is shown to what is wanted: a new generation, or none if nothing differs.
    fn renew(
        &mut self,
        mut old: Option<&mut Standing>,
        wanted: &BTreeMap<&Path, &SecretValue>,
        names: &BTreeSet<&OsStr>,
        known: &BTreeSet<OsString>,
    ) -> Result<Option<(OsString, Tree)>, Trouble> {
        let Some(place) = &self.place else { return Ok(None) };

        // 3. Make the names that users see.
        links::show(&place.dir, names, known, &mut self.repaired)?;

        // 4. If nothing differs, that was it.
        let changed = match &old {
            Some(old) => differences(wanted, &old.tree, &old.findings),
            None => wanted.keys().map(|path| path.to_path_buf()).collect(),
        };
        if changed.is_empty() && old.as_ref().is_some_and(|old| old.findings.intact) {
            return Ok(None);
        }

        // 5. Remove the generation before the shown one.
        if let Some(retired) = self.retired.take() {
            let shown = old.as_mut().map(|old| &mut old.tree);
            note(&mut self.repaired, sweep::retire(place, &retired.name, &retired.tree, shown));
        }

        // 6. Build the new generation. A mere repair keeps the number: content and layout have not moved.
        let number = if changed.is_empty() { self.number.max(1) } else { self.number.saturating_add(1) };
        let name = names::generation(number)?;
        let kept = old.as_ref().map(|old| Kept { tree: &old.tree, files: &old.findings.sound });
        let tree = generation::build(place, &name, wanted, kept.as_ref())?;

        // 7. Flip.
        let flipped = links::put(&place.dir, OsStr::new(names::DATA), &name).and_then(|()| {
            self.number = number;
            self.changed.extend(changed);
            // 8. Look whether it names our generation.
            match links::astray(place, &name, &tree.root.mark)? {
                None => Ok(()),
                Some(_) => Err(Trouble::Interference(place.dir.path().join(names::DATA))),
            }
        });
        match flipped {
            Ok(()) => Ok(Some((name, tree))),
            Err(trouble) => {
                sweep::remove(&place.dir, &name, &tree.root.dir).ok();
                Err(trouble)
            }
        }
    }

    /// Takes over what another process left, or this one when it failed; whatever else is ours is a leftover.
    fn adopt(&mut self, wanted: &BTreeMap<&Path, &SecretValue>) -> Result<Option<Standing>, Trouble> {
        let Some(place) = &self.place else { return Ok(None) };
        // What we held is removed through its handle, wherever a neighbour has moved it, unless it is what is shown.
        let doubted = self.doubted.take().map(|old| (old.name, old.tree));
        for (name, tree) in doubted.into_iter().chain(self.retired.take().map(|old| (old.name, old.tree))) {
            if links::astray(place, &name, &tree.root.mark)?.is_some() {
                note(&mut self.repaired, sweep::retire(place, &name, &tree, None));
            }
        }
        let pointed = adopt::pointed(place, &mut self.repaired)?;
        note(&mut self.repaired, sweep::leftovers(place, &[pointed.as_ref().map(|(_, name)| name.as_os_str())]));
        let Some((number, name)) = pointed else { return Ok(None) };
        self.number = self.number.max(number);
        let adopted = adopt::adopt(place, &name, wanted, &mut self.repaired)?;
        Ok(adopted.map(|(tree, findings)| Standing { name, tree, findings }))
    }

    /// Opens and locks the directory, or verifies the one that is open; a missing one is made, or judged by its parent.
    fn take_place(&mut self, make: bool) -> Result<(), Trouble> {
        if let Some(place) = &mut self.place {
            if place.is_at(&self.settings.dir) {
                return place.keep_lock(&mut self.repaired);
            }
            self.repaired.insert("the directory itself was replaced: publishing to the new one".into());
            // What was shown is in the old one, which may be gone: nothing of it counts here.
            (self.place, self.shown, self.retired, self.doubted) = (None, None, None, None);
        }
        let site = Site::open(&self.settings)?;
        let dir = match site.find()? {
            Some(dir) => dir,
            None if make => site.make()?,
            None => return site.can_make(),
        };
        self.place = Some(Place::take(&site, dir, &mut self.repaired)?);
        Ok(())
    }
}

impl Sink for FilesSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&mut self) -> Result<(), SinkError> {
        self.take_place(false)?;
        Ok(self.place.as_ref().map_or(Ok(()), Place::probe)?)
    }

    fn publish(&mut self, snapshot: &Arc<Snapshot>, now: Instant) -> Result<Published, SinkError> {
        let mut result = self.attempt(snapshot, now);
        for _ in 1..ATTEMPTS {
            match &result {
                Err(trouble) if trouble.is_interference() => {
                    self.repaired.insert("somebody else changed the directory while it was being published".into());
                    result = self.attempt(snapshot, now);
                }
                _ => break,
            }
        }
        result?;
        Ok(Published {
            generation: self.number,
            changed: mem::take(&mut self.changed).into_iter().collect(),
            repaired: mem::take(&mut self.repaired).into_iter().collect(),
        })
    }

    fn sweep_due(&self) -> Option<Instant> {
        self.retired.as_ref().map(|retired| retired.due)
    }

    fn sweep(&mut self, now: Instant) -> Result<(), SinkError> {
        let (Some(place), Some(retired)) = (&self.place, self.retired.take_if(|retired| retired.due <= now)) else {
            return Ok(());
        };
        let shown = self.shown.as_mut().map(|shown| &mut shown.tree);
        Ok(sweep::retire(place, &retired.name, &retired.tree, shown)?)
    }
}

/// What of the shown generation can stay: untouched, and holding what is wanted.
fn examine(
    place: &Place,
    dir: &Path,
    shown: Shown,
    snapshot: &Snapshot,
    told: &mut BTreeSet<String>,
) -> Result<Standing, Trouble> {
    let mut findings = tamper::look(place, &shown, told)?;
    let wanted = snapshot.files(dir);
    let before = shown.snapshot.files(dir);
    findings.sound.retain(|path| match (wanted.get(path.as_path()), before.get(path.as_path())) {
        (Some(wanted), Some(before)) => std::ptr::eq(*wanted, *before) || wanted.ct_eq(before),
        _ => false,
    });
    Ok(Standing { name: shown.name, tree: shown.tree, findings })
}

/// The files that are to be written, and those that go away.
fn differences(wanted: &BTreeMap<&Path, &SecretValue>, old: &Tree, findings: &Findings) -> BTreeSet<PathBuf> {
    let written = wanted.keys().filter(|path| !findings.sound.contains(**path)).map(|path| path.to_path_buf());
    let removed = old.files.keys().filter(|path| !wanted.contains_key(path.as_path())).cloned();
    written.chain(removed).collect()
}

fn note(told: &mut BTreeSet<String>, cleaned: Result<(), Trouble>) {
    if let Err(trouble) = cleaned {
        let SinkError { path, reason, fix } = trouble.into();
        told.insert(format!("{} could not be cleaned up: {reason}; {fix}", path.display()));
    }
}

//! From the generation that is shown to the next, in numbered steps.
//!
//! Knows which generations there are, and what is still to be told about them. Must not know how the directory came to be
//! open, nor how a file is written.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::adopt;
use super::errors::Trouble;
use super::generation::{self, Kept, Tree};
use super::handle::Mark;
use super::links;
use super::names;
use super::place::Place;
use super::sweep;
use super::tamper::{self, Findings};
use crate::ports::{Published, SinkError};
use crate::snapshot::{FileContent, Snapshot};

/// How long the generation before outlives its successor, for readers that are in the middle of it.
const GRACE: Duration = Duration::from_secs(30);

/// What there is in the directory, as far as we know.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The generation that is shown, and what it was made from: comparing with that needs neither a copy nor a digest of
    /// any value. None before the first publish and after one that failed: then what is there is adopted, so that there
    /// is one way back from a failure and from a crash.
    shown: Option<(Generation, Arc<Snapshot>)>,
    /// The generation before, and when its time has come.
    retired: Option<(Generation, Instant)>,
    /// What was shown when a publish failed.
    doubted: Option<Generation>,
    /// The number of the last generation.
    number: u64,
    /// What the next success has to tell, of the attempts that failed too.
    changed: BTreeSet<PathBuf>,
    pub(super) repaired: BTreeSet<String>,
}

/// A generation, by its name in the directory.
#[derive(Debug)]
struct Generation {
    name: OsString,
    tree: Tree,
}

impl History {
    /// Shows the snapshot. Everything new is written beside the old, so that it can end anywhere, by an error or by
    /// SIGKILL, and readers see the old generation or the new one:
    ///
    /// 1. Look at what is shown: was it touched, and which of its files hold what is wanted? After a start or a failure
    ///    it is adopted first, once everything else that a crash left is removed.
    /// 2. Make the names that users see and that lead nowhere yet. Before the flip and not after it, as kubelet does:
    ///    who waits for `..data` to change then finds every name, while a name that leads nowhere for a moment reads
    ///    like one that is not there.
    /// 3. If nothing differs, that was it.
    /// 4. Remove the generation before the shown one: a small volume need not hold three.
    /// 5. Build the new generation: a directory under a name that nobody can guess, closed to others; unchanged files
    ///    are linked, the others written; its mode is opened last.
    /// 6. Flip `..data` by one rename.
    /// 7. Look whether it names our generation: somebody may have been in between.
    /// 8. Remove the names that are no longer wanted, and leftovers.
    pub(super) fn publish(
        &mut self,
        place: &Place,
        dir: &Path,
        snapshot: &Arc<Snapshot>,
        now: Instant,
    ) -> Result<Published, Trouble> {
        let mut wanted = snapshot.files(dir);

        // 1. Look at what is shown. It is taken here, and given back by success only.
        let shown = self.shown.take();
        let adopting = shown.is_none();
        let known = shown.as_ref().map(|(shown, _)| shown.tree.visible_names()).unwrap_or_default();
        let (mut old, findings) = match shown {
            Some((shown, before)) => {
                let mut findings = tamper::look(place, &shown.name, &shown.tree, &mut self.repaired)?;
                let before = before.files(dir);
                findings.sound.retain(|path| same(wanted.get(path.as_path()), before.get(path.as_path())));
                (Some(shown), findings)
            }
            None => self.adopt(place, &wanted)?,
        };

        // What is to stay as it is stays if it is there, and is not missed if it is not.
        wanted.retain(|path, content| matches!(content, FileContent::Bytes(_)) || findings.sound.contains(*path));
        let kept: Vec<PathBuf> = wanted
            .iter()
            .filter(|(_, content)| matches!(content, FileContent::AsItIs))
            .map(|(path, _)| path.into())
            .collect();
        let names: BTreeSet<&OsStr> = wanted.keys().filter_map(|path| names::visible(path)).collect();

        // 2. Make the names that users see; 3. to 7. renew what they lead to.
        let renewed = links::show(&place.dir, &names, &known, &mut self.repaired)
            .and_then(|()| self.renew(place, old.as_mut(), &findings, &wanted));
        match renewed {
            Ok(Some(new)) => {
                self.retired = old.map(|old| (old, now.checked_add(GRACE).unwrap_or(now)));
                self.shown = Some((new, Arc::clone(snapshot)));
                self.tidy(place, &names);
            }
            Ok(None) => {
                self.shown = old.map(|old| (old, Arc::clone(snapshot)));
                if adopting {
                    self.tidy(place, &names);
                }
            }
            Err(trouble) => {
                // Names of files that did not come to be would take room that the next attempt may need.
                let names = old.as_ref().map(|old| old.tree.visible_names()).unwrap_or_default();
                sweep::links(place, &names.iter().map(OsString::as_os_str).collect()).ok();
                self.doubted = old;
                return Err(trouble);
            }
        }

        Ok(Published {
            generation: self.number,
            changed: mem::take(&mut self.changed).into_iter().collect(),
            kept,
            repaired: mem::take(&mut self.repaired).into_iter().collect(),
        })
    }

    /// Steps 3 to 7: a new generation, or none if nothing differs.
    fn renew(
        &mut self,
        place: &Place,
        mut old: Option<&mut Generation>,
        findings: &Findings,
        wanted: &BTreeMap<&Path, FileContent<'_>>,
    ) -> Result<Option<Generation>, Trouble> {
        // 3. If nothing differs, that was it.
        let written = wanted.keys().filter(|path| !findings.sound.contains(**path)).map(|path| path.to_path_buf());
        let there = old.iter().flat_map(|old| old.tree.files.keys());
        let removed = there.filter(|path| !wanted.contains_key(path.as_path())).cloned();
        let changed: BTreeSet<PathBuf> = written.chain(removed).collect();
        if changed.is_empty() && findings.intact {
            return Ok(None);
        }

        // 4. Remove the generation before the shown one.
        if let Some((retired, _)) = self.retired.take() {
            let shown = old.as_mut().map(|old| &mut old.tree);
            let swept = sweep::retire(place, &retired.name, &retired.tree, shown);
            self.note(swept);
        }

        // 5. Build the new generation. A mere repair keeps the number: content and layout have not moved.
        let number = if changed.is_empty() { self.number.max(1) } else { self.number.saturating_add(1) };
        let name = names::generation(number)?;
        let kept = old.map(|old| Kept { tree: &old.tree, files: &findings.sound });
        let tree = generation::build(place, &name, wanted, kept.as_ref())?;

        // 6. Flip.
        let flipped = links::put(&place.dir, OsStr::new(names::DATA), &name).and_then(|()| {
            self.number = number;
            self.changed.extend(changed);
            // 7. Look whether it names our generation.
            match links::astray(place, &name, &tree.root.mark)? {
                None => Ok(()),
                Some(_) => Err(Trouble::Interference(place.dir.path().join(names::DATA))),
            }
        });
        if let Err(trouble) = flipped {
            sweep::remove(&place.dir, &name, &tree.root.dir).ok();
            return Err(trouble);
        }
        Ok(Some(Generation { name, tree }))
    }

    /// Takes over what another process left, or this one when it failed; whatever else is ours is a leftover.
    fn adopt(
        &mut self,
        place: &Place,
        wanted: &BTreeMap<&Path, FileContent<'_>>,
    ) -> Result<(Option<Generation>, Findings), Trouble> {
        // What we held is removed through its handle, wherever a neighbour has moved it, unless it is what is shown.
        for held in self.doubted.take().into_iter().chain(self.retired.take().map(|(retired, _)| retired)) {
            if links::astray(place, &held.name, &held.tree.root.mark)?.is_some() {
                let swept = sweep::remove(&place.dir, &held.name, &held.tree.root.dir);
                self.note(swept);
            }
        }
        let pointed = adopt::pointed(place, &mut self.repaired)?;
        if let Some(pointed) = &pointed {
            self.number = self.number.max(pointed.number);
        }
        let found = pointed.and_then(|pointed| Some((pointed.name, pointed.root?)));
        // They go first: what a crash left half built may hold links to files that are shown.
        let swept = sweep::leftovers(place, found.as_ref().map(|(_, (_, mark))| mark).as_slice());
        self.note(swept);
        let Some((name, (dir, mark))) = found else { return Ok((None, Findings::default())) };
        let (tree, findings) = adopt::adopt(place, dir, mark, wanted, &mut self.repaired)?;
        Ok((Some(Generation { name, tree }), findings))
    }

    /// Step 8. That something could not be removed is told, and no failure: what is wanted is shown.
    fn tidy(&mut self, place: &Place, names: &BTreeSet<&OsStr>) {
        let held = self.shown.iter().map(|(shown, _)| shown).chain(self.retired.iter().map(|(retired, _)| retired));
        let roots: Vec<&Mark> = held.map(|generation| &generation.tree.root.mark).collect();
        let swept = sweep::leftovers(place, &roots);
        self.note(swept);
        self.note(sweep::links(place, names));
    }

    /// When what was shown before has had its time.
    pub(super) fn sweep_due(&self) -> Option<Instant> {
        self.retired.as_ref().map(|(_, due)| *due)
    }

    /// Removes what was shown before, if it has had its time.
    pub(super) fn sweep(&mut self, place: &Place, now: Instant) -> Result<(), Trouble> {
        let Some((retired, _)) = self.retired.take_if(|(_, due)| *due <= now) else { return Ok(()) };
        sweep::retire(place, &retired.name, &retired.tree, self.shown.as_mut().map(|(shown, _)| &mut shown.tree))
    }

    /// Forgets everything: the directory it was about is another one now.
    pub(super) fn forget(&mut self, why: &str) {
        (self.shown, self.retired, self.doubted) = (None, None, None);
        self.tell(why);
    }

    /// Keeps a sentence for the next success.
    pub(super) fn tell(&mut self, sentence: &str) {
        self.repaired.insert(sentence.into());
    }

    fn note(&mut self, swept: Result<(), Trouble>) {
        if let Err(trouble) = swept {
            let SinkError { path, reason, fix } = trouble.into();
            self.tell(&format!("{} could not be cleaned up: {reason}; {fix}", path.display()));
        }
    }
}

fn same(one: Option<&FileContent<'_>>, other: Option<&FileContent<'_>>) -> bool {
    match (one, other) {
        (Some(FileContent::Bytes(one)), Some(FileContent::Bytes(other))) => {
            std::ptr::eq(*one, *other) || one.ct_eq(other)
        }
        (one, other) => matches!(one, Some(FileContent::AsItIs)) && other.is_some(),
    }
}

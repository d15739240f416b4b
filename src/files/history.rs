//! From the generation that is shown to the next, in numbered steps.
//!
//! Knows which generations there are, and what is still to be told about them. Must not know how the directory came to be
//! open, nor how a file is written.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::adopt::{self, Adopted, Rescued};
use super::errors::Trouble;
use super::generation::{self, Kept, Tree, Wanted};
use super::handle::Mark;
use super::links;
use super::names;
use super::place::Place;
use super::sweep;
use super::tamper::{self, Findings};
use crate::ports::{Published, SinkError};
use crate::secret::SecretValue;
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
    /// Whether something of ours has been shown here: then whatever stands at our names was put there later.
    has_shown: bool,
    /// What the next success has to tell, of the attempts that failed too.
    changed: BTreeSet<PathBuf>,
    removed: BTreeSet<PathBuf>,
    pub(super) repaired: BTreeSet<String>,
    left: BTreeSet<String>,
    aside: BTreeSet<String>,
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
    /// 2. Make the names that users see and that lead nowhere yet; what was there before keyferry came is put aside. Before the flip and not after it, as kubelet does:
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
        let rescued;
        let mut wanted = wanted_of(snapshot, dir);

        // 1. Look at what is shown. It is taken here, and given back by success only.
        let shown = self.shown.take();
        let adopting = shown.is_none();
        let is_first = adopting && !self.has_shown && place.dir.look(OsStr::new(names::DATA))?.is_none();
        let known = shown.as_ref().map(|(shown, _)| shown.tree.visible_names()).unwrap_or_default();
        let (mut old, findings, found) = match shown {
            Some((shown, before)) => {
                let mut findings = tamper::look(place, &shown.name, &shown.tree, &mut self.repaired)?;
                let before = wanted_of(&before, dir);
                let mut rescued = Rescued::new();
                findings.sound.retain(|path| {
                    let (Some(mark), Some(content)) = (shown.tree.files.get(path), wanted.get(path.as_os_str())) else {
                        return false;
                    };
                    if !place.rules.fit_file(mark, path) {
                        // What is to stay, but under another mode now, is written anew.
                        if matches!(content, FileContent::AsItIs) {
                            rescued.extend(adopt::read(&shown.tree, path, mark).map(|value| (path.clone(), value)));
                        }
                        return false;
                    }
                    match before.get(path.as_os_str()) {
                        Some(FileContent::Bytes(before)) => is_same(*content, before),
                        // An earlier run's, of which nothing was known until now.
                        _ => adopt::is_wanted(&shown.tree, path, mark, *content),
                    }
                });
                (Some(shown), findings, rescued)
            }
            None => self.adopt(place, &wanted)?,
        };
        rescued = found;

        // What is to stay as it is stays if it is there, and is not missed if it is not.
        self.miss(place, &wanted, &findings, &rescued)?;
        let stays = |path: &OsStr| findings.sound.contains(path) || rescued.contains_key(path);
        wanted.retain(|path, content| matches!(content, FileContent::Bytes(_)) || stays(path));
        let kept = wanted.iter().filter(|(_, content)| matches!(content, FileContent::AsItIs));
        let kept: Vec<PathBuf> = kept.map(|(path, _)| path.into()).collect();
        for (path, content) in &mut wanted {
            if let Some(value) = rescued.get(*path) {
                *content = FileContent::Bytes(value);
            }
        }
        let names: BTreeSet<&OsStr> = wanted.keys().filter_map(|path| names::visible(path.as_ref())).collect();

        // 2. Make the names that users see; 3. to 7. renew what they lead to.
        let linked = if is_first {
            links::show_first(&place.dir, &names, &mut self.aside)
        } else {
            links::show(place, &names, &known, &mut self.repaired)
        };
        let renewed = linked.and_then(|()| self.renew(place, old.as_mut(), &findings, &wanted));
        self.has_shown |= renewed.is_ok();
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
                let there = old.as_ref().map(|old| old.tree.visible_names()).unwrap_or_default();
                for name in names.into_iter().filter(|name| !there.contains(*name)) {
                    sweep::remove_link(place, name).ok();
                }
                self.doubted = old;
                return Err(trouble);
            }
        }

        Ok(Published {
            generation: self.number,
            changed: mem::take(&mut self.changed).into_iter().collect(),
            removed: mem::take(&mut self.removed).into_iter().collect(),
            kept,
            repaired: mem::take(&mut self.repaired).into_iter().collect(),
            left: mem::take(&mut self.left).into_iter().collect(),
            aside: mem::take(&mut self.aside).into_iter().collect(),
        })
    }

    /// What is there of an earlier run, is to stay as it is, and cannot be taken over, because another uid wrote it or
    /// somebody had a hand in it. Where nothing else is known either, nothing is published in its place.
    fn miss(&mut self, place: &Place, wanted: &Wanted, findings: &Findings, rescued: &Rescued) -> Result<(), Trouble> {
        let (mut missed, mut known) = (Vec::new(), false);
        for (path, content) in wanted {
            known |= matches!(content, FileContent::Bytes(_)) || findings.sound.contains(*path);
            known |= rescued.contains_key(*path);
            let is_there = |name| place.dir.look(name).map(|mark| mark.is_some());
            if matches!(content, FileContent::AsItIs)
                && !findings.sound.contains(*path)
                && !rescued.contains_key(*path)
                && names::visible(path.as_ref()).map(is_there).transpose()? == Some(true)
            {
                missed.push(path.to_string_lossy());
            }
        }
        if missed.is_empty() {
            return Ok(());
        }
        if known {
            self.tell(&format!(
                "{} of an earlier run could not be taken over and are gone until their secrets come",
                missed.join(", ")
            ));
            return Ok(());
        }
        Err(Trouble::hopeless(
            place.dir.path(),
            format!("{} are there, but not as this process would have published them", missed.join(", ")),
            "run every keyferry of the pod, init and run, under one uid; they are replaced as soon as secrets come",
        ))
    }

    /// Steps 3 to 7: a new generation, or none if nothing differs.
    fn renew(
        &mut self,
        place: &Place,
        mut old: Option<&mut Generation>,
        findings: &Findings,
        wanted: &Wanted,
    ) -> Result<Option<Generation>, Trouble> {
        // 3. If nothing differs, that was it.
        let written = wanted.keys().filter(|path| !findings.sound.contains(**path)).map(PathBuf::from);
        let there = old.iter().flat_map(|old| old.tree.files.keys());
        let removed = there.filter(|path| !wanted.contains_key(path.as_os_str())).map(PathBuf::from);
        let (changed, removed): (BTreeSet<PathBuf>, BTreeSet<PathBuf>) = (written.collect(), removed.collect());
        let moves = !changed.is_empty() || !removed.is_empty();
        if !moves && findings.intact {
            return Ok(None);
        }

        // 4. Remove the generation before the shown one.
        if let Some((retired, _)) = self.retired.take() {
            let shown = old.as_mut().map(|old| &mut old.tree);
            let swept = sweep::retire(place, &retired.name, &retired.tree, shown);
            self.note(swept);
        }

        // 5. Build the new generation. A mere repair keeps the number: content and layout have not moved.
        let number = if moves { self.number.saturating_add(1) } else { self.number.max(1) };
        let name = names::generation(number)?;
        let kept = old.map(|old| Kept { tree: &old.tree, files: &findings.sound });
        let tree = generation::build(place, &name, wanted, kept.as_ref())?;

        // 6. Flip.
        let data = OsStr::new(names::DATA);
        let flipped = links::put(&place.dir, data, &name).and_then(|aside| {
            if aside.is_some() {
                let now = links::whereabouts(place, aside.as_deref())?;
                self.tell(&format!("{} was a directory: put right{now}", names::DATA));
            }
            self.number = number;
            self.changed.extend(changed);
            self.removed.extend(removed);
            // 7. Look whether it names our generation.
            match links::astray(place, &name, &tree.root.mark)? {
                None => Ok(()),
                Some(_) => Err(Trouble::Interference(place.dir.path().join(data))),
            }
        });
        if let Err(trouble) = flipped {
            sweep::remove(&place.dir, &name, &tree.root.dir).ok();
            return Err(trouble);
        }
        Ok(Some(Generation { name, tree }))
    }

    /// Takes over what another process left, or this one when it failed; whatever else is ours is a leftover.
    fn adopt(&mut self, place: &Place, wanted: &Wanted) -> Result<(Option<Generation>, Findings, Rescued), Trouble> {
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
        let swept = sweep::leftovers(place, found.as_ref().map(|(_, (_, mark))| mark).as_slice(), None);
        self.note(swept);
        let Some((name, (dir, mark))) = found else { return Ok((None, Findings::default(), Rescued::new())) };
        let Adopted { tree, findings, rescued } = adopt::adopt(place, dir, mark, wanted, &mut self.repaired)?;
        Ok((Some(Generation { name, tree }), findings, rescued))
    }

    /// Step 8. That something could not be removed is told, and no failure: what is wanted is shown.
    fn tidy(&mut self, place: &Place, names: &BTreeSet<&OsStr>) {
        let held = self.shown.iter().map(|(shown, _)| shown).chain(self.retired.iter().map(|(retired, _)| retired));
        let roots: Vec<&Mark> = held.map(|generation| &generation.tree.root.mark).collect();
        let swept = sweep::leftovers(place, &roots, Some(names));
        self.note(swept);
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
        (self.shown, self.retired, self.doubted, self.has_shown) = (None, None, None, false);
        self.tell(why);
    }

    /// Keeps a sentence for the next success.
    pub(super) fn tell(&mut self, sentence: &str) {
        self.repaired.insert(sentence.into());
    }

    fn note(&mut self, swept: Result<(), Trouble>) {
        if let Err(trouble) = swept {
            let SinkError { path, reason, fix } = trouble.into();
            self.left.insert(format!("{} could not be cleaned up: {reason}; {fix}", path.display()));
        }
    }
}

fn wanted_of<'a>(snapshot: &'a Snapshot, dir: &Path) -> Wanted<'a> {
    snapshot.files(dir).into_iter().map(|(path, value)| (path.as_os_str(), value)).collect()
}

fn is_same(content: FileContent<'_>, before: &SecretValue) -> bool {
    match content {
        FileContent::Bytes(value) => std::ptr::eq(value, before) || value.ct_eq(before),
        FileContent::AsItIs => true,
    }
}

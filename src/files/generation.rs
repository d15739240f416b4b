//! One generation: a directory tree, built beside what is shown and closed to others until it is complete.
//!
//! Knows how files are written. Must not know which generation is shown, or how it comes to be.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use rustix::io::Errno;

use super::errors::Trouble;
use super::handle::{Dir, Mark, mark_of, open_up};
use super::names;
use super::place::{Place, Rules};
use super::sweep;
use crate::secret::SecretValue;
use crate::snapshot::FileContent;

/// The files that are wanted, by the bytes of their paths: to compare them as paths takes each apart into its elements,
/// which costs more than the system calls.
pub(super) type Wanted<'a> = BTreeMap<&'a OsStr, FileContent<'a>>;

/// A directory of a generation.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) dir: Dir,
    pub(super) mark: Mark,
}

/// A generation as it was when we last looked: its directories, open, and its files.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: Branch,
    pub(super) branches: BTreeMap<PathBuf, Branch>,
    pub(super) files: BTreeMap<OsString, Mark>,
}

impl Tree {
    /// A tree of which only the root is known.
    pub(super) fn new(dir: Dir, mark: Mark) -> Self {
        Self { root: Branch { dir, mark }, branches: BTreeMap::new(), files: BTreeMap::new() }
    }

    /// The open directory that the path is in, and its name there.
    pub(super) fn spot<'t, 'p>(&'t self, path: &'p OsStr) -> Option<(&'t Dir, &'p OsStr)> {
        let path = Path::new(path);
        let parent = path.parent()?;
        let branch = if parent == Path::new("") { &self.root } else { self.branches.get(parent)? };
        Some((&branch.dir, path.file_name()?))
    }

    /// What is at the path now.
    pub(super) fn look(&self, path: &OsStr) -> Result<Option<Mark>, Trouble> {
        let Some((dir, name)) = self.spot(path) else { return Ok(None) };
        dir.look(name)
    }

    /// The names that users see of it.
    pub(super) fn visible_names(&self) -> BTreeSet<OsString> {
        self.files.keys().filter_map(|path| names::visible(path.as_ref())).map(OsStr::to_owned).collect()
    }
}

/// What a new generation takes from the one before: files that are as they were written and shall stay so.
#[derive(Debug)]
pub(super) struct Kept<'a> {
    pub(super) tree: &'a Tree,
    pub(super) files: &'a BTreeSet<OsString>,
}

/// Builds a generation; a failure leaves nothing behind.
pub(super) fn build(place: &Place, name: &OsStr, wanted: &Wanted, kept: Option<&Kept>) -> Result<Tree, Trouble> {
    let (dir, mark) = make_closed(&place.dir, name, place.dir.path(), &place.rules)?;
    let mut tree = Tree::new(dir, mark);
    match fill(&mut tree, wanted, kept, &place.rules) {
        Ok(()) => Ok(tree),
        Err(trouble) => {
            sweep::remove(&place.dir, name, &tree.root.dir).ok();
            Err(trouble)
        }
    }
}

fn fill(tree: &mut Tree, wanted: &Wanted, kept: Option<&Kept>, rules: &Rules) -> Result<(), Trouble> {
    for (path, content) in wanted {
        if names::visible(path.as_ref()).is_none() {
            return Err(Trouble::hopeless(
                path.as_ref(),
                "the file would leave the directory",
                "give it a relative name",
            ));
        }
        grow(tree, path, rules)?;
        let linked = kept.filter(|kept| kept.files.contains(*path)).and_then(|kept| link(tree, kept.tree, path));
        let mark = match (linked, tree.spot(path)) {
            (Some(mark), _) => mark,
            (None, Some((dir, name))) if let FileContent::Bytes(value) = content => {
                write(dir, name, value, rules.mode_of(path), rules)?
            }
            // What is to stay as it is was there a moment ago.
            (None, _) => return Err(Trouble::Interference((*path).into())),
        };
        tree.files.insert((*path).into(), mark);
    }
    // From the leaves to the root, whose mode lets others in.
    for branch in tree.branches.values_mut().rev().chain([&mut tree.root]) {
        open_up(branch.dir.fd(), branch.dir.path(), rules.group, rules.dir_mode)?;
        branch.mark = branch.dir.mark()?;
    }
    Ok(())
}

/// Makes the directories above the path that are not there yet.
fn grow(tree: &mut Tree, path: &OsStr, rules: &Rules) -> Result<(), Trouble> {
    let mut above: Vec<&Path> = Path::new(path).ancestors().skip(1).filter(|path| *path != Path::new("")).collect();
    above.reverse();
    for path in above {
        if tree.branches.contains_key(path) {
            continue;
        }
        if let Some((parent, name)) = tree.spot(path.as_os_str()) {
            let (dir, mark) = make_closed(parent, name, &parent.path().join(name), rules)?;
            tree.branches.insert(path.into(), Branch { dir, mark });
        }
    }
    Ok(())
}

/// Makes a directory and proves that the handle is of a new one.
///
/// Between making and opening it a neighbour could have put another of our own directories at the name. Only an empty
/// one of ours that is closed to others is as good as new; what is done in it later goes through the handle.
fn make_closed(parent: &Dir, name: &OsStr, path: &Path, rules: &Rules) -> Result<(Dir, Mark), Trouble> {
    parent.make_dir(name)?;
    let dir = match parent.open_dir(name, path.into()) {
        Ok(dir) => dir,
        // Ours we may enter, unless the umask is at fault.
        Err(trouble) => {
            let ours = parent.look(name)?.is_some_and(|mark| mark.uid() == rules.uid);
            return Err(if ours { trouble } else { Trouble::Interference(path.into()) });
        }
    };
    let mark = dir.mark()?;
    let closed = mark.uid() == rules.uid && !mark.grants(0o077) && mark.same_device(&parent.mark()?);
    if !closed {
        return Err(Trouble::Interference(path.into()));
    }
    if mark.mode() & 0o777 != 0o700 {
        // The umask took more than it usually does. The setgid bit stays until the directory is complete: it gives the
        // files their group.
        open_up(dir.fd(), path, None, mark.mode() | 0o700)?;
    }
    if !dir.names()?.is_empty() {
        return Err(Trouble::Interference(path.into()));
    }
    drop_inherited_acl(dir.fd());
    Ok((dir, mark))
}

/// Who may read is said by mode and group, not by an access list that the owner of the directory above made its default.
fn drop_inherited_acl(fd: &OwnedFd) {
    for list in ["system.posix_acl_default", "system.posix_acl_access"] {
        // Usually there is none, or the file system knows none.
        rustix::fs::fremovexattr(fd, list).ok();
    }
}

/// Takes a file over from the generation before: the same inode, so that nobody who watches it is woken up. If it is
/// not what it was, or cannot be linked, it is written anew.
fn link(tree: &Tree, before: &Tree, path: &OsStr) -> Option<Mark> {
    let (from, name) = before.spot(path)?;
    let (to, _) = tree.spot(path)?;
    to.link_from(from, name).ok()?;
    let is = to.look(name).ok()??;
    if before.files.get(path)?.with_name_added(&is).file_difference(&is).is_none() {
        return Some(is);
    }
    to.unlink(name).ok()?;
    None
}

fn write(dir: &Dir, name: &OsStr, value: &SecretValue, mode: u32, rules: &Rules) -> Result<Mark, Trouble> {
    let file = dir.create(name)?;
    let path = dir.path().join(name);
    let mut rest = value.expose();
    while !rest.is_empty() {
        match rustix::io::write(&file, rest) {
            Ok(written) if written > 0 => rest = rest.get(written..).unwrap_or_default(),
            Ok(_) => return Err(dir.trouble("write the file", name, Errno::IO)),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(dir.trouble("write the file", name, errno)),
        }
    }
    open_up(&file, &path, rules.group, mode)?;
    mark_of(&file, &path)
}

/// Reads a generation that another process of ours left: what is there, and whether it is nothing but what we make.
pub(super) fn read(dir: Dir, mark: Mark, rules: &Rules) -> Result<(Tree, bool), Trouble> {
    let mut tree = Tree::new(dir, mark);
    let mut whole = rules.fit_directory(&mark);
    let mut unread = vec![PathBuf::new()];
    while let Some(at) = unread.pop() {
        let branch = tree.branches.get(&at).unwrap_or(&tree.root);
        let mut found = Vec::new();
        for name in branch.dir.names()? {
            let Some(mark) = branch.dir.look(&name)? else { continue };
            let path = at.join(&name);
            if mark.kind() == FileType::Directory {
                let dir = branch.dir.open_dir(&name, branch.dir.path().join(&name))?;
                let mark = dir.mark()?;
                whole &= rules.fit_directory(&mark);
                found.push((path, Branch { dir, mark }));
            } else {
                whole &= mark.kind() == FileType::RegularFile;
                tree.files.insert(path.into(), mark);
            }
        }
        unread.extend(found.iter().map(|(path, _)| path.clone()));
        tree.branches.extend(found);
    }
    Ok((tree, whole))
}

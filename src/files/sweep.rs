//! Removing what is no longer shown: the generation before, and what crashes left behind.
//!
//! Knows how a tree is removed through handles. Must not know when that is due.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::PathBuf;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::errors::Trouble;
use super::generation::Tree;
use super::handle::{Dir, Mark};
use super::names;
use super::place::Place;

/// Removes a generation that was shown, and remembers what that does to the files it shares with the one shown now:
/// they lose a name.
pub(super) fn retire(place: &Place, name: &OsStr, old: &Tree, shown: Option<&mut Tree>) -> Result<(), Trouble> {
    let Some(shown) = shown else { return remove(&place.dir, name, &old.root.dir) };
    // Only of a file that is untouched until now the next change is ours.
    let shared: Vec<PathBuf> = shown
        .files
        .iter()
        .filter(|(path, mark)| old.files.get(*path).is_some_and(|theirs| theirs.same_inode(mark)))
        .filter(|(path, mark)| shown.look(path).ok().flatten().is_some_and(|is| mark.file_difference(&is).is_none()))
        .map(|(path, _)| path.clone())
        .collect();
    let removed = remove(&place.dir, name, &old.root.dir);
    for path in shared {
        let Some(is) = shown.look(&path)? else { continue };
        if let Some(mark) = shown.files.get_mut(&path)
            && mark.with_name_removed(&is).file_difference(&is).is_none()
        {
            *mark = is;
        }
    }
    removed
}

/// Removes everything in a directory of ours through its handle, wherever it stands by now, and then its name.
pub(super) fn remove(parent: &Dir, name: &OsStr, dir: &Dir) -> Result<(), Trouble> {
    empty(dir)?;
    // A neighbour who moved it away or put something else there keeps an empty directory at most.
    parent.remove_dir(name).ok();
    Ok(())
}

fn empty(dir: &Dir) -> Result<(), Trouble> {
    for name in dir.names()? {
        match dir.unlink(&name) {
            Err(trouble) if trouble.errno() == Some(Errno::ISDIR) => {
                empty(&dir.open_dir(&name, dir.path().join(&name))?)?;
                dir.remove_dir(&name)?;
            }
            other => other?,
        }
    }
    Ok(())
}

/// Removes what bears one of our names and is ours, but is none of those to be kept: what a crash left behind. Those are
/// known by their inode, because a neighbour can give the generation that is shown the name of a leftover.
pub(super) fn leftovers(place: &Place, keep: &[&Mark]) -> Result<(), Trouble> {
    for name in place.dir.names()? {
        if names::may_be_leftover(&name) {
            remove_leftover(place, &name, keep)?;
        }
    }
    Ok(())
}

/// Removes the links of ours whose names are no longer wanted.
pub(super) fn links(place: &Place, wanted: &BTreeSet<&OsStr>) -> Result<(), Trouble> {
    for name in place.dir.names()? {
        if wanted.contains(name.as_os_str()) || name.as_encoded_bytes().starts_with(b"..") {
            continue;
        }
        let text = place.dir.link_text(&name)?;
        if text.is_some_and(|text| text == names::visible_text(&name)) {
            place.dir.unlink(&name)?;
        }
    }
    Ok(())
}

fn remove_leftover(place: &Place, name: &OsStr, keep: &[&Mark]) -> Result<(), Trouble> {
    let Some(mark) = place.dir.look(name)? else { return Ok(()) };
    if mark.uid() != place.rules.uid {
        return Ok(());
    }
    if mark.kind() != FileType::Directory {
        return place.dir.unlink(name);
    }
    match open_ours(place, name)? {
        Some((dir, mark)) if !keep.iter().any(|kept| kept.same_inode(&mark)) => remove(&place.dir, name, &dir),
        _ => Ok(()),
    }
}

/// Opens a directory that bears one of our names, if it is ours by the handle.
///
/// Ours have never been writable to anybody else. That proves more than the owner does: what a neighbour may move here
/// from elsewhere is only what he may write to.
pub(super) fn open_ours(place: &Place, name: &OsStr) -> Result<Option<(Dir, Mark)>, Trouble> {
    let dir = match place.dir.open_dir(name, place.dir.path().into()) {
        Ok(dir) => dir,
        // Not ours: we may enter what is.
        Err(trouble) if trouble.is_interference() || trouble.errno() == Some(Errno::ACCESS) => return Ok(None),
        Err(trouble) => return Err(trouble),
    };
    let mark = dir.mark()?;
    let ours = mark.uid() == place.rules.uid && !mark.grants(0o027) && mark.same_device(&place.mark);
    Ok(ours.then_some((dir, mark)))
}

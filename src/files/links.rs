//! Symbolic links in the directory: the one flip, and the names that users see.
//!
//! Knows how a link is put where something else may stand. Must not know what the links lead to.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};

use rustix::fs::FileType;
use rustix::io::Errno;

use super::errors::Trouble;
use super::handle::{Dir, Mark};
use super::names::{self, DATA};
use super::place::Place;
use super::sweep;

/// Puts a link at the name, replacing what is there in one step if it is anything but a directory. Tells the name that a
/// directory which was there has now.
///
/// The link is made under a random name and renamed: nobody can know it before, and a leftover of a crash is in nobody's
/// way (kubelet's fixed `..data_tmp` makes it fail until someone removes it).
pub(super) fn put(dir: &Dir, name: &OsStr, text: &OsStr) -> Result<Option<OsString>, Trouble> {
    let temporary = names::temporary()?;
    dir.symlink(text, &temporary)?;
    let mut renamed = dir.rename(&temporary, name).map(|()| None);
    if renamed.as_ref().is_err_and(|trouble| trouble.errno() == Some(Errno::ISDIR)) {
        renamed = clear(dir, name).and_then(|aside| dir.rename(&temporary, name).map(|()| aside));
    }
    if renamed.is_err() {
        dir.unlink(&temporary).ok();
    }
    renamed
}

/// Takes away what is at the name. A directory that is not empty is another's to empty: it is renamed, which needs
/// nothing but the right to write where it stands; the new name is told.
pub(super) fn clear(dir: &Dir, name: &OsStr) -> Result<Option<OsString>, Trouble> {
    let is_dir = dir.look(name)?.is_some_and(|mark| mark.kind() == FileType::Directory);
    if !is_dir {
        return dir.unlink(name).map(|()| None);
    }
    match dir.remove_dir(name) {
        Err(trouble) if trouble.errno() == Some(Errno::NOTEMPTY) => {
            let aside = names::aside()?;
            dir.rename(name, &aside).map(|()| Some(aside))
        }
        other => other.map(|()| None),
    }
}

/// Where a directory is now that was in the way, for the end of a sentence; nothing of one that is ours and goes away.
pub(super) fn whereabouts(place: &Place, aside: Option<&OsStr>) -> Result<String, Trouble> {
    match aside {
        Some(aside) if sweep::open_ours(place, aside)?.is_none() => {
            Ok(format!("; the directory that was there is {} now", place.dir.path().join(aside).display()))
        }
        _ => Ok(String::new()),
    }
}

/// Makes or mends the links that users see. `known` are those that were there when we last looked.
pub(super) fn show(
    place: &Place,
    wanted: &BTreeSet<&OsStr>,
    known: &BTreeSet<OsString>,
    told: &mut BTreeSet<String>,
) -> Result<(), Trouble> {
    let dir = &place.dir;
    for name in wanted {
        let text = names::visible_text(name);
        if dir.link_text(name)?.is_some_and(|is| is == text) {
            continue;
        }
        // Usually nothing stands there yet, and a link comes to be in one step.
        let (in_the_way, aside) = match dir.symlink(&text, name) {
            Err(trouble) if trouble.errno() == Some(Errno::EXIST) => (dir.look(name)?, put(dir, name, &text)?),
            made => made.map(|()| (None, None))?,
        };
        if let Some(mark) = in_the_way {
            let now = whereabouts(place, aside.as_deref())?;
            told.insert(format!("{} was replaced by uid {}: put right{now}", name.display(), mark.uid()));
        } else if known.contains(*name) {
            told.insert(format!("{} was removed: put right", name.display()));
        }
    }
    Ok(())
}

/// Makes the links that users see where nothing of ours has been before: what stands there is somebody's own. It is put
/// aside for good, and `told` where.
pub(super) fn show_first(dir: &Dir, wanted: &BTreeSet<&OsStr>, told: &mut BTreeSet<String>) -> Result<(), Trouble> {
    for name in wanted {
        let text = names::visible_text(name);
        // A crash before the first flip leaves links of ours.
        if dir.link_text(name)?.is_some_and(|is| is == text) {
            continue;
        }
        if let Some(mark) = dir.look(name)?
            && let Some(aside) = put_aside(dir, name, &mark)?
        {
            let what = match mark.kind() {
                FileType::Directory => "a directory",
                FileType::Symlink => "a symbolic link",
                _ => "a file",
            };
            let (name, at, aside) = (name.display(), dir.path(), dir.path().join(aside));
            told.insert(format!("there was already {what} {name} in {}: it is {} now", at.display(), aside.display()));
        }
        // Not renamed over what somebody puts there in this moment.
        dir.symlink(&text, name)?;
    }
    Ok(())
}

/// Renames what is at the name; an empty directory is removed.
fn put_aside(dir: &Dir, name: &OsStr, mark: &Mark) -> Result<Option<OsString>, Trouble> {
    if mark.kind() == FileType::Directory && dir.remove_dir(name).is_ok() {
        return Ok(None);
    }
    let aside = names::aside_for_good(name)?;
    match dir.rename(name, &aside) {
        Ok(()) => Ok(Some(aside)),
        Err(trouble) => Err(match trouble.errno() {
            Some(errno) => dir.trouble("put aside what is there", name, errno),
            None => trouble,
        }),
    }
}

/// What is wrong with the way from `..data` to the generation, in words; none if it leads there.
///
/// Looks at each name by itself instead of following the link: a neighbour's may lead anywhere.
pub(super) fn astray(place: &Place, generation: &OsStr, root: &Mark) -> Result<Option<String>, Trouble> {
    let dir = &place.dir;
    let data = OsStr::new(DATA);
    let Some(link) = dir.look(data)? else { return Ok(Some(format!("{DATA} was removed"))) };
    if link.kind() != FileType::Symlink || link.uid() != place.rules.uid {
        return Ok(Some(format!("{DATA} was replaced by uid {}", link.uid())));
    }
    if dir.link_text(data)?.is_none_or(|text| text != generation) {
        return Ok(Some(format!("{DATA} was pointed elsewhere")));
    }
    if !dir.look(generation)?.is_some_and(|there| there.same_inode(root)) {
        return Ok(Some("the directory of the generation was moved away".into()));
    }
    Ok(None)
}

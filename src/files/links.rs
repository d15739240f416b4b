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

/// Puts a link at the name, replacing what is there in one step if it is anything but a directory.
///
/// The link is made under a random name and renamed: nobody can know it before, and a leftover of a crash is in nobody's
/// way (kubelet's fixed `..data_tmp` makes it fail until someone removes it).
pub(super) fn put(dir: &Dir, name: &OsStr, text: &OsStr) -> Result<(), Trouble> {
    let temporary = names::temporary()?;
    dir.symlink(text, &temporary)?;
    let mut renamed = dir.rename(&temporary, name);
    if renamed.as_ref().is_err_and(|trouble| trouble.errno() == Some(Errno::ISDIR)) {
        renamed = clear(dir, name).and_then(|()| dir.rename(&temporary, name));
    }
    if renamed.is_err() {
        dir.unlink(&temporary).ok();
    }
    renamed
}

/// Takes away what is at the name. A directory that is not empty is another's to empty: it is renamed, which needs
/// nothing but the right to write where it stands.
pub(super) fn clear(dir: &Dir, name: &OsStr) -> Result<(), Trouble> {
    let is_dir = dir.look(name)?.is_some_and(|mark| mark.kind() == FileType::Directory);
    if !is_dir {
        return dir.unlink(name);
    }
    match dir.remove_dir(name) {
        Err(trouble) if trouble.errno() == Some(Errno::NOTEMPTY) => dir.rename(name, &names::aside()?),
        other => other,
    }
}

/// Makes or mends the links that users see. `known` are those that were there when we last looked.
pub(super) fn show(
    dir: &Dir,
    wanted: &BTreeSet<&OsStr>,
    known: &BTreeSet<OsString>,
    told: &mut BTreeSet<String>,
) -> Result<(), Trouble> {
    for name in wanted {
        let text = names::visible_text(name);
        if dir.link_text(name)?.is_some_and(|is| is == text) {
            continue;
        }
        let in_the_way = dir.look(name)?;
        put(dir, name, &text)?;
        if let Some(mark) = in_the_way {
            told.insert(format!("{} was replaced by uid {}: put right", name.display(), mark.uid()));
        } else if known.contains(*name) {
            told.insert(format!("{} was removed: put right", name.display()));
        }
    }
    Ok(())
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

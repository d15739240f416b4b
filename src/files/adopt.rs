//! Taking over what an earlier process of ours left: verified to the byte, or not at all.
//!
//! Must not change anything: what does not verify is simply not kept.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::mem;
use std::path::Path;

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::errors::Trouble;
use super::generation::{self, Tree};
use super::handle::{Dir, Mark, mark_of};
use super::names::{self, DATA};
use super::place::Place;
use super::sweep;
use super::tamper::Findings;
use crate::secret::SecretValue;
use crate::snapshot::FileContent;

/// What `..data` leads to.
#[derive(Debug)]
pub(super) struct Pointed {
    /// The number in the link's text: nobody can change that, so it is one that we gave.
    pub(super) number: u64,
    pub(super) name: OsString,
    /// The directory of that name, if it is ours.
    pub(super) root: Option<(Dir, Mark)>,
}

/// Looks where `..data` leads; nowhere if the link is not ours.
pub(super) fn pointed(place: &Place, told: &mut BTreeSet<String>) -> Result<Option<Pointed>, Trouble> {
    let data = OsStr::new(DATA);
    let Some(mark) = place.dir.look(data)? else { return Ok(None) };
    let text = place.dir.link_text(data)?.filter(|_| mark.uid() == place.rules.uid);
    let Some((number, name)) = text.and_then(|name| Some((names::generation_number(&name)?, name))) else {
        told.insert(format!("{DATA} was not ours (uid {}): put right", mark.uid()));
        return Ok(None);
    };
    let root = sweep::open_ours(place, &name)?;
    if root.is_none() {
        told.insert("the directory of the generation was not ours: put right".into());
    }
    Ok(Some(Pointed { number, name, root }))
}

/// Reads the generation, and finds which of its files hold what is wanted and are nothing that others had a hand in.
pub(super) fn adopt(
    place: &Place,
    dir: Dir,
    mark: Mark,
    wanted: &BTreeMap<&Path, FileContent<'_>>,
    told: &mut BTreeSet<String>,
) -> Result<(Tree, Findings), Trouble> {
    let (tree, intact) = generation::read(dir, mark, &place.rules)?;
    let mut sound = BTreeSet::new();
    for (path, content) in wanted {
        let Some(mark) = tree.files.get(*path) else { continue };
        if mark.kind() != FileType::RegularFile || mark.uid() != place.rules.uid || !mark.only_link() {
            told.insert(format!("{} was not ours alone: put right", path.display()));
        } else if place.rules.fit(mark) && is_wanted(&tree, path, mark, *content) {
            sound.insert((*path).into());
        }
    }
    Ok((tree, Findings { intact, sound }))
}

/// Whether the file holds what is wanted. Where nothing newer is known, what an earlier run wrote is.
fn is_wanted(tree: &Tree, path: &Path, mark: &Mark, content: FileContent<'_>) -> bool {
    match content {
        FileContent::Bytes(value) => holds(tree, path, mark, value),
        FileContent::AsItIs => true,
    }
}

/// Whether the file is the one that was looked at and holds the value.
fn holds(tree: &Tree, path: &Path, mark: &Mark, value: &SecretValue) -> bool {
    let size = value.expose().len();
    let Some((dir, name)) = tree.spot(path).filter(|_| mark.size() == Some(size)) else { return false };
    let Ok(file) = dir.open(name, OFlags::RDONLY) else { return false };
    if !mark_of(&file, path).is_ok_and(|is| mark.file_difference(&is).is_none()) {
        return false;
    }
    // One byte more than expected, to see the end.
    let mut bytes = Zeroizing::new(vec![0; size.saturating_add(1)]);
    let mut filled = 0_usize;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::io::read(&file, rest) {
            Ok(0) => break,
            Ok(read) => filled = filled.saturating_add(read),
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    bytes.truncate(filled);
    SecretValue::new(mem::take(&mut bytes)).ct_eq(value)
}

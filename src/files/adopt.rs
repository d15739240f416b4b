//! Taking over what an earlier process of ours left: verified to the byte, or not at all.
//!
//! Must not change anything: what does not verify is simply not kept.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::mem;

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::errors::Trouble;
use super::generation::{self, Tree, Wanted};
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

/// What could be taken over.
pub(super) struct Adopted {
    pub(super) tree: Tree,
    pub(super) findings: Findings,
    /// What is to stay as it is, but under another mode or group: it has to be written anew.
    pub(super) rescued: Rescued,
}

/// The bytes of files that nobody else had a hand in.
pub(super) type Rescued = BTreeMap<OsString, SecretValue>;

/// Reads the generation, and finds which of its files hold what is wanted and are nothing that others had a hand in.
pub(super) fn adopt(
    place: &Place,
    dir: Dir,
    mark: Mark,
    wanted: &Wanted,
    told: &mut BTreeSet<String>,
) -> Result<Adopted, Trouble> {
    let (tree, intact) = generation::read(dir, mark, &place.rules)?;
    let (mut sound, mut rescued) = (BTreeSet::new(), Rescued::new());
    for (path, content) in wanted {
        let Some(mark) = tree.files.get(*path) else { continue };
        let fits = place.rules.fit_file(mark, path);
        if mark.kind() != FileType::RegularFile || mark.uid() != place.rules.uid || !mark.only_link() {
            told.insert(format!("{} was not ours alone: put right", path.display()));
        } else if fits && is_wanted(&tree, path, mark, *content) {
            sound.insert((*path).into());
        } else if matches!(content, FileContent::AsItIs) && !fits && !mark.grants(OTHERS_WRITE) {
            rescued.extend(read(&tree, path, mark).map(|value| ((*path).into(), value)));
        }
    }
    Ok(Adopted { tree, findings: Findings { intact, sound }, rescued })
}

/// Whoever is not the owner could have written to it.
const OTHERS_WRITE: u32 = 0o022;

/// Whether the file holds what is wanted. Where nothing newer is known, what an earlier run wrote is.
pub(super) fn is_wanted(tree: &Tree, path: &OsStr, mark: &Mark, content: FileContent<'_>) -> bool {
    match content {
        FileContent::Bytes(value) => holds(tree, path, mark, value),
        FileContent::AsItIs => true,
    }
}

/// Whether the file is the one that was looked at and holds the value.
fn holds(tree: &Tree, path: &OsStr, mark: &Mark, value: &SecretValue) -> bool {
    mark.size() == Some(value.expose().len()) && read(tree, path, mark).is_some_and(|bytes| bytes.ct_eq(value))
}

/// The bytes of the file that was looked at; none if it is another one by now.
pub(super) fn read(tree: &Tree, path: &OsStr, mark: &Mark) -> Option<SecretValue> {
    let size = mark.size()?;
    let (dir, name) = tree.spot(path)?;
    let file = dir.open(name, OFlags::RDONLY).ok()?;
    if !mark_of(&file, path.as_ref()).is_ok_and(|is| mark.file_difference(&is).is_none()) {
        return None;
    }
    // One byte more than expected, to see the end.
    let mut bytes = Zeroizing::new(vec![0; size.saturating_add(1)]);
    let mut filled = 0_usize;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::io::read(&file, rest) {
            Ok(0) => break,
            Ok(read) => filled = filled.saturating_add(read),
            Err(Errno::INTR) => {}
            Err(_) => return None,
        }
    }
    bytes.truncate(filled);
    (filled == size).then(|| SecretValue::new(mem::take(&mut bytes)))
}

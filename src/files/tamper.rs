//! Whether anybody touched what is shown: by `stat` alone, at every publish.
//!
//! Must not read any content: the times, sizes and inodes that we saw when we wrote say as much.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};

use super::errors::Trouble;
use super::generation::Tree;
use super::links;
use super::place::Place;

/// What of a generation can stay.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Whether the way to it and its directories are as they should be.
    pub(super) intact: bool,
    /// The files that are as they were written.
    pub(super) sound: BTreeSet<OsString>,
}

/// Looks at everything that is shown and tells what somebody changed.
pub(super) fn look(place: &Place, name: &OsStr, tree: &Tree, told: &mut BTreeSet<String>) -> Result<Findings, Trouble> {
    let Tree { root, branches, files } = tree;
    let mut intact = true;
    let mut tell = |sentence: String| {
        intact = false;
        told.insert(sentence + ": put right");
    };
    if let Some(what) = links::astray(place, name, &root.mark)? {
        tell(what);
    }
    if let Some(what) = root.mark.directory_difference(&root.dir.mark()?) {
        tell(format!("the directory of the generation {what}"));
    }
    for (path, branch) in branches {
        let what = match tree.look(path.as_os_str())? {
            None => Some("was removed"),
            Some(is) => branch.mark.directory_difference(&is),
        };
        if let Some(what) = what {
            tell(format!("{} {what}", path.display()));
        }
    }
    let mut sound = Vec::new();
    for (path, mark) in files {
        let what = match tree.look(path)? {
            None => Some("was removed"),
            Some(is) => mark.file_difference(&is),
        };
        match what {
            None => sound.push(path.clone()),
            Some(what) => tell(format!("{} {what}", path.display())),
        }
    }
    Ok(Findings { intact, sound: sound.into_iter().collect() })
}

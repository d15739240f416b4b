//! What can go wrong while publishing, and how it is told: the path, the reason and what to do about it.
//!
//! Knows error numbers and pod specs. Must not know contents: no message here is made from anything but paths, modes
//! and ids.

use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::ports::SinkError;

/// Why a step did not work.
#[derive(Debug)]
pub(super) enum Trouble {
    /// A system call failed.
    Call {
        /// What it was for: "create the file".
        doing: &'static str,
        /// The path as a user knows it, not the generation's own.
        path: PathBuf,
        /// What the kernel said.
        errno: Errno,
    },
    /// The volume has room, but holds as many files, links and directories as it may.
    NoInodes {
        /// What it was for.
        doing: &'static str,
        /// The path as a user knows it.
        path: PathBuf,
    },
    /// Somebody else changed something between two of our steps.
    Interference(PathBuf),
    /// Another attempt would end the same way until a person changes something.
    Hopeless(SinkError),
}

impl Trouble {
    /// A failure that a person has to mend.
    pub(super) fn hopeless(path: &Path, reason: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Hopeless(SinkError { path: path.into(), reason: reason.into(), fix: fix.into() })
    }

    /// What the kernel said, if it was the kernel.
    pub(super) fn errno(&self) -> Option<Errno> {
        match self {
            Self::Call { errno, .. } => Some(*errno),
            Self::NoInodes { .. } => Some(Errno::NOSPC),
            Self::Interference(_) | Self::Hopeless(_) => None,
        }
    }

    /// Whether a neighbour who renames, plants or removes things can have caused it: then another attempt may win.
    pub(super) fn is_interference(&self) -> bool {
        match self {
            Self::Interference(_) => true,
            Self::Hopeless(_) | Self::NoInodes { .. } => false,
            Self::Call { errno, .. } => matches!(
                *errno,
                Errno::NOENT | Errno::EXIST | Errno::NOTDIR | Errno::ISDIR | Errno::LOOP | Errno::NOTEMPTY
            ),
        }
    }
}

impl From<Trouble> for SinkError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Hopeless(error) => error,
            Trouble::Interference(path) => Self {
                path,
                reason: "somebody else keeps changing it while it is being published".into(),
                fix: "mount the volume `readOnly: true` in every other container".into(),
            },
            Trouble::NoInodes { doing, path } => Self {
                path,
                reason: format!("could not {doing}: no space left for another name: the volume is out of inodes"),
                fix: "remove files from the volume, or mount it with a larger `nr_inodes`: each file, link and directory \
                      takes one, for a moment the old and the new ones"
                    .into(),
            },
            Trouble::Call { doing, path, errno } => {
                let (reason, fix) = explain(errno);
                Self { path, reason: format!("could not {doing}: {reason}"), fix: fix.into() }
            }
        }
    }
}

/// The kernel's word in ours, and what usually helps.
fn explain(errno: Errno) -> (String, &'static str) {
    let (reason, fix) = match errno {
        Errno::NOSPC | Errno::DQUOT => (
            "no space left",
            "raise the volume's `sizeLimit`: for a moment it holds the old and the new files, a page (4 KiB) each at least",
        ),
        Errno::ROFS => {
            ("the file system is read-only", "mount the volume without `readOnly: true` in keyferry's container")
        }
        Errno::ACCESS | Errno::PERM => (
            "permission denied",
            "let keyferry's uid write there: an `emptyDir` is open to every uid, elsewhere set the owner or `fsGroup`; \
             in a directory with the sticky bit remove what another uid put in the way",
        ),
        Errno::NAMETOOLONG => ("the name is too long", "give the secret a `file` of at most 255 bytes per element"),
        Errno::MFILE | Errno::NFILE => ("too many open files", "raise the limit of open files (`ulimit -n`)"),
        Errno::BUSY => {
            ("something is mounted there", "do not mount anything (e.g. a `subPath`) inside of the directory")
        }
        other => return (other.to_string(), "look at the volume"),
    };
    (reason.into(), fix)
}

#[cfg(test)]
mod tests;

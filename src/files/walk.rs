//! The way from the root to the directory's parent, one name at a time.
//!
//! Knows links, and whose may be followed. Each name is opened without following anything and the handle is judged, so
//! that nobody can put another link there between a look and a step. Must not know what is published.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::errors::Trouble;
use super::handle::{Dir, link_of, mark_of};

/// As many as the kernel itself follows (`path_resolution(7)`).
const MOST_LINKS: usize = 40;

/// Opens the parent of the directory that is configured; `dir` is what messages are about.
pub(super) fn to_parent(dir: &Path, parent: &Path) -> Result<Dir, Trouble> {
    let mut ahead = steps(parent);
    // The way back is the way that was come: `..` is never asked for by its name.
    let mut way: Vec<(OwnedFd, PathBuf)> = vec![root()?];
    let mut links = 0_usize;
    while let Some(step) = ahead.pop_front() {
        let name = match step {
            Step::Root => {
                way.truncate(1);
                continue;
            }
            Step::Up => {
                if way.len() > 1 {
                    way.pop();
                }
                continue;
            }
            Step::Down(name) => name,
        };
        let Some((at, above)) = way.last() else { return Err(nowhere(dir, parent)) };
        let path = above.join(&name);
        let fd = match rustix::fs::openat(at, &name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Err(nowhere(dir, parent)),
            Err(errno) => return Err(Trouble::Call { doing: "open the parent directory", path, errno }),
        };
        let mark = mark_of(&fd, &path)?;
        match mark.kind() {
            FileType::Directory => way.push((fd, path)),
            FileType::Symlink => {
                let own = rustix::process::geteuid().as_raw();
                if mark.uid() != 0 && mark.uid() != own {
                    return Err(foreign(dir, &path, mark.uid(), own));
                }
                links = links.saturating_add(1);
                if links > MOST_LINKS {
                    return Err(Trouble::hopeless(
                        dir,
                        format!(
                            "the way there leads through more than {MOST_LINKS} symbolic links, at last {}",
                            path.display()
                        ),
                        "configure the directory's own path",
                    ));
                }
                let mut further = steps(Path::new(&link_of(&fd, &path)?));
                further.append(&mut ahead);
                ahead = further;
            }
            kind => {
                let what = if kind == FileType::RegularFile { "a file" } else { "no directory" };
                return Err(Trouble::hopeless(
                    dir,
                    format!("{} is {what}, so that nothing can lie below it", path.display()),
                    "configure a directory below a volume, or remove what is there",
                ));
            }
        }
    }
    let (fd, _) = way.pop().ok_or_else(|| nowhere(dir, parent))?;
    Ok(Dir::new(fd, parent.into()))
}

/// One step of a path.
enum Step {
    Root,
    Up,
    Down(OsString),
}

fn steps(path: &Path) -> VecDeque<Step> {
    let step = |component| match component {
        Component::RootDir | Component::Prefix(_) => Some(Step::Root),
        Component::ParentDir => Some(Step::Up),
        Component::Normal(name) => Some(Step::Down(OsStr::to_owned(name))),
        Component::CurDir => None,
    };
    path.components().filter_map(step).collect()
}

fn root() -> Result<(OwnedFd, PathBuf), Trouble> {
    let path = PathBuf::from("/");
    match rustix::fs::openat(CWD, &path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(fd) => Ok((fd, path)),
        Err(errno) => Err(Trouble::Call { doing: "open the root directory", path, errno }),
    }
}

fn nowhere(dir: &Path, parent: &Path) -> Trouble {
    Trouble::hopeless(
        dir,
        format!("neither it nor its parent {} exists", parent.display()),
        "mount a volume there: `emptyDir: {medium: Memory, sizeLimit: 1Mi}`",
    )
}

/// Whoever owns a link chooses where it leads, now and later.
fn foreign(dir: &Path, link: &Path, uid: u32, own: u32) -> Trouble {
    Trouble::hopeless(
        dir,
        format!(
            "the way there leads through {}, a symbolic link of uid {uid}, who could lead secrets anywhere",
            link.display()
        ),
        format!(
            "configure the directory's own path, or have root or keyferry's uid ({own}) make the link: \
             chown -h {own} {}",
            link.display()
        ),
    )
}

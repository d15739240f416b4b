//! The directory that is published to: found, judged, and locked against a second writer.
//!
//! Knows file systems, owners and the lock. Must not know generations or secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::errors::Trouble;
use super::handle::{Dir, Mark, mark_of, open_up};
use super::links::clear;
use super::names::{self, LOCK};
use super::walk;
use crate::config::Directory;
use crate::medium::Medium;

/// How often the lock is tried while somebody takes its file away.
const LOCK_ATTEMPTS: usize = 4;

/// What everything of ours looks like in a directory.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    /// The owner: us.
    pub(super) uid: u32,
    /// The group that files end up with.
    pub(super) gid: u32,
    /// The group that they are given, if one is configured.
    pub(super) group: Option<u32>,
    /// The mode of files.
    pub(super) file_mode: u32,
    /// The files that have another one, as the present layout has it.
    pub(super) narrower: BTreeMap<OsString, u32>,
    /// The mode of complete directories.
    pub(super) dir_mode: u32,
}

impl Rules {
    /// The mode of the file at this path.
    pub(super) fn mode_of(&self, path: &OsStr) -> u32 {
        self.narrower.get(path).copied().unwrap_or(self.file_mode)
    }

    /// Whether mode, owner and group of a directory are what ours are.
    pub(super) fn fit_directory(&self, mark: &Mark) -> bool {
        self.fit(mark, self.dir_mode)
    }

    /// The same of the file at this path.
    pub(super) fn fit_file(&self, mark: &Mark, path: &OsStr) -> bool {
        self.fit(mark, self.mode_of(path))
    }

    fn fit(&self, mark: &Mark, mode: u32) -> bool {
        mark.uid() == self.uid && mark.gid() == self.gid && mark.mode() == mode
    }
}

/// The directory's parent and the name in it.
#[derive(Debug)]
pub(super) struct Site<'a> {
    settings: &'a Directory,
    parent: Dir,
    name: OsString,
}

impl<'a> Site<'a> {
    /// Opens the parent: the one time that the configured path is followed, links of root's and ours in it included.
    pub(super) fn open(settings: &'a Directory) -> Result<Self, Trouble> {
        let dir = &settings.dir;
        let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else {
            return Err(Trouble::hopeless(
                dir,
                "it is no directory of its own",
                "configure a directory below a volume",
            ));
        };
        Ok(Self { settings, parent: walk::to_parent(dir, parent)?, name: name.into() })
    }

    /// Opens the directory; none if there is nothing of that name.
    pub(super) fn find(&self) -> Result<Option<Dir>, Trouble> {
        let path = &self.settings.dir;
        let what = match self.parent.look(&self.name)?.map(|mark| mark.kind()) {
            None => return Ok(None),
            Some(FileType::Directory) => return self.parent.open_dir(&self.name, path.clone()).map(Some),
            Some(FileType::Symlink) => "a symbolic link",
            Some(FileType::RegularFile) => "a file",
            Some(_) => "no directory",
        };
        Err(Trouble::hopeless(path, format!("it is {what}"), "remove it, or configure the directory's own path"))
    }

    /// Whether the directory could be made, without making it.
    pub(super) fn can_make(&self) -> Result<Medium, Trouble> {
        let medium = self.judge(&self.parent)?;
        may_write(&self.parent).map_err(|errno| self.parent.trouble("make the directory", &self.name, errno))?;
        Ok(medium)
    }

    /// Whether files could be made in the directory and given their group, without making any.
    pub(super) fn can_write(&self, dir: &Dir) -> Result<Medium, Trouble> {
        let medium = self.judge(dir)?;
        // A file without a name: nobody sees it, and it goes when it is closed.
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let tried = match rustix::fs::openat(dir.fd(), ".", flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => {
                open_up(&file, dir.path(), self.settings.group, self.settings.mode)?;
                Ok(())
            }
            // Not every disk knows such files.
            Err(Errno::OPNOTSUPP | Errno::ISDIR) => may_write(dir),
            Err(errno) => Err(errno),
        };
        tried.map_err(|errno| Trouble::Call { doing: "create a file there", path: dir.path().into(), errno })?;
        Ok(medium)
    }

    /// Makes the directory, closed until it has its mode.
    pub(super) fn make(&self) -> Result<Dir, Trouble> {
        self.judge(&self.parent)?;
        self.parent.make_dir(&self.name)?;
        self.parent.open_dir(&self.name, self.settings.dir.clone())
    }

    /// Refuses what could reach a disk, unless that is allowed.
    fn judge(&self, dir: &Dir) -> Result<Medium, Trouble> {
        let kind = rustix::fs::fstatfs(dir.fd())
            .map_err(|errno| Trouble::Call { doing: "ask for the file system", path: dir.path().into(), errno })?
            .f_type;
        let medium = Medium::of(kind);
        if medium == Medium::Memory || self.settings.allow_disk {
            return Ok(medium);
        }
        Err(Trouble::hopeless(
            &self.settings.dir,
            "it is not on tmpfs: secrets would be written to a disk",
            "mount `emptyDir: {medium: Memory}` there, or set `allowDisk: true`",
        ))
    }

    fn rules(&self, mark: &Mark) -> Rules {
        let mode = self.settings.mode;
        // In a setgid directory (`fsGroup`) what is made gets the directory's group, elsewhere that of the process.
        let inherited = if mark.grants(0o2000) { mark.gid() } else { rustix::process::getegid().as_raw() };
        Rules {
            uid: rustix::process::geteuid().as_raw(),
            gid: self.settings.group.unwrap_or(inherited),
            group: self.settings.group,
            file_mode: mode,
            narrower: BTreeMap::new(),
            // Whoever may read the files may enter the directories, and nobody else.
            dir_mode: if mode & 0o040 == 0o040 { 0o750 } else { 0o700 },
        }
    }
}

fn may_write(dir: &Dir) -> Result<(), Errno> {
    rustix::fs::accessat(dir.fd(), OsStr::new("."), Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)
}

/// The directory, open and locked. The handle is kept: what the path names later is compared with it, never trusted.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) dir: Dir,
    pub(super) mark: Mark,
    pub(super) rules: Rules,
    /// None only while it is taken again.
    lock: Option<Lock>,
}

impl Place {
    /// Judges the directory and locks it.
    pub(super) fn take(site: &Site, dir: Dir, told: &mut BTreeSet<String>) -> Result<Self, Trouble> {
        site.judge(&dir)?;
        let mut mark = dir.mark()?;
        let rules = site.rules(&mark);
        // A directory of our own that is still closed is one that we have just made, or did not finish making before a
        // crash: now it lets in whom its files let in.
        if mark.uid() == rules.uid && mark.mode() & 0o777 == 0o700 && rules.dir_mode != 0o700 {
            open_up(dir.fd(), dir.path(), rules.group, rules.dir_mode)?;
            mark = dir.mark()?;
        }
        let lock = Some(Lock::take(&dir, &rules, told)?);
        Ok(Self { dir, mark, rules, lock })
    }

    /// Whether the path still names the directory that we hold.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| Mark::from(stat).same_inode(&self.mark))
    }

    /// Takes the lock again if somebody took its file away.
    pub(super) fn keep_lock(&mut self, told: &mut BTreeSet<String>) -> Result<(), Trouble> {
        if self.lock.as_ref().map_or(Ok(false), |lock| lock.holds(&self.dir))? {
            return Ok(());
        }
        told.insert(format!("{LOCK} was taken away, the lock against a second writer: made again"));
        // The old one is released first: should its file come back in this moment, we would lock ourselves out.
        self.lock = None;
        self.lock = Some(Lock::take(&self.dir, &self.rules, told)?);
        Ok(())
    }

    /// Tries whether files can be created and given their group, with one that is removed at once.
    pub(super) fn probe(&self) -> Result<(), Trouble> {
        let name = names::temporary()?;
        let file = self.dir.create(&name)?;
        let tried = open_up(&file, self.dir.path(), self.rules.group, self.rules.file_mode);
        self.dir.unlink(&name)?;
        tried
    }
}

/// The lock of the only writer, released by the kernel when the process ends, however it ends.
///
/// A file of our own and not the directory's handle: whoever may read the directory could lock that and keep us out for
/// good, an application that mounts it read-only included, while this file can be opened by our uid alone. Who may write
/// the directory can take the file away; that is noticed at the next publish, and reported.
#[derive(Debug)]
struct Lock {
    mark: Mark,
    file: OwnedFd,
}

impl Lock {
    fn take(dir: &Dir, rules: &Rules, told: &mut BTreeSet<String>) -> Result<Self, Trouble> {
        let name = OsStr::new(LOCK);
        let path = dir.path().join(LOCK);
        // A second name would mean that it is some other file of ours that a neighbour linked here.
        let ours = |mark: &Mark| mark.kind() == FileType::RegularFile && mark.uid() == rules.uid && mark.only_link();
        for _ in 0..LOCK_ATTEMPTS {
            let opened = match dir.look(name)? {
                None => dir.create(name).and_then(|file| open_up(&file, &path, None, 0o600).map(|()| file)),
                Some(mark) if ours(&mark) => dir.open(name, OFlags::RDWR),
                Some(mark) => {
                    let aside = clear(dir, name)?.map(|aside| dir.path().join(aside));
                    let now = aside.map_or_else(String::new, |aside| format!(", it is {} now", aside.display()));
                    told.insert(format!("{LOCK} was not ours (uid {}): put out of the way{now}", mark.uid()));
                    continue;
                }
            };
            let file = match opened {
                Ok(file) => file,
                Err(trouble) if trouble.is_interference() => continue,
                Err(trouble) => return Err(trouble),
            };
            let mark = mark_of(&file, &path)?;
            if !ours(&mark) {
                continue;
            }
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => {
                    return Err(Trouble::hopeless(
                        dir.path(),
                        "another keyferry is publishing to it",
                        "give each its own directory, or stop the other one",
                    ));
                }
                Err(errno) => return Err(dir.trouble("lock the file", name, errno)),
            }
            // Whom we locked out must have locked the same file: it may have been taken away before we had it.
            let lock = Self { mark, file };
            if lock.holds(dir)? {
                return Ok(lock);
            }
        }
        Err(Trouble::Interference(path))
    }

    /// Whether the file that is locked is the one that others would lock.
    fn holds(&self, dir: &Dir) -> Result<bool, Trouble> {
        Ok(dir.look(OsStr::new(LOCK))?.is_some_and(|mark| mark.same_inode(&self.mark)))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Not left to the closing: a child process forked at this moment holds the file open until it has its program.
        rustix::fs::flock(&self.file, FlockOperation::NonBlockingUnlock).ok();
    }
}

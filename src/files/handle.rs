//! Handles of directories, and the system calls that work relative to one, each with the path it is about for messages.
//!
//! Every call takes one name inside of an open directory and follows no link. Must not know what is published.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::errors::Trouble;

/// An open directory.
#[derive(Debug)]
pub(super) struct Dir {
    fd: OwnedFd,
    /// What messages call it; never opened.
    path: PathBuf,
}

impl Dir {
    /// Takes an open directory over; `path` is what messages call it.
    pub(super) fn new(fd: OwnedFd, path: PathBuf) -> Self {
        Self { fd, path }
    }

    /// What messages call it.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The handle itself.
    pub(super) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// What the directory is now.
    pub(super) fn mark(&self) -> Result<Mark, Trouble> {
        mark_of(&self.fd, &self.path)
    }

    /// What stands at the name, without following or opening it: a FIFO cannot hold us up.
    pub(super) fn look(&self, name: &OsStr) -> Result<Option<Mark>, Trouble> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Mark(stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.trouble("look at it", name, errno)),
        }
    }

    /// The text of the link at the name; none if there is no link.
    pub(super) fn link_text(&self, name: &OsStr) -> Result<Option<OsString>, Trouble> {
        match read_link(&self.fd, name) {
            Ok(text) => Ok(Some(text)),
            Err(Errno::NOENT | Errno::INVAL) => Ok(None),
            Err(errno) => Err(self.trouble("read the link", name, errno)),
        }
    }

    /// The names in it.
    pub(super) fn names(&self) -> Result<Vec<OsString>, Trouble> {
        let failed = |errno| Trouble::Call { doing: "list the directory", path: self.path.clone(), errno };
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(name).to_owned());
            }
        }
        Ok(names)
    }

    /// Opens the directory at the name; `path` is what messages will call it.
    pub(super) fn open_dir(&self, name: &OsStr, path: PathBuf) -> Result<Self, Trouble> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty())
            .map_err(|errno| self.trouble("open the directory", name, errno))?;
        Ok(Self { fd, path })
    }

    /// Makes a directory that is closed to others (0700).
    ///
    /// It is not opened: what is at the name in the next moment may be something else, and the caller has to look.
    pub(super) fn make_dir(&self, name: &OsStr) -> Result<(), Trouble> {
        rustix::fs::mkdirat(&self.fd, name, Mode::RWXU).map_err(|errno| self.trouble("make the directory", name, errno))
    }

    /// Creates a file for writing that nobody else can open yet (0600); anything already there is an error.
    pub(super) fn create(&self, name: &OsStr) -> Result<OwnedFd, Trouble> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| self.trouble("create the file", name, errno))
    }

    /// Opens what is there without waiting for anybody, should it be a FIFO; the caller looks at the handle first.
    pub(super) fn open(&self, name: &OsStr, how: OFlags) -> Result<OwnedFd, Trouble> {
        let flags = how | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, name, flags, Mode::empty())
            .map_err(|errno| self.trouble("open the file", name, errno))
    }

    /// Gives the file at the name in another directory a second name in this one.
    pub(super) fn link_from(&self, other: &Self, name: &OsStr) -> Result<(), Trouble> {
        rustix::fs::linkat(&other.fd, name, &self.fd, name, AtFlags::empty())
            .map_err(|errno| self.trouble("link the unchanged file", name, errno))
    }

    /// Makes a symbolic link.
    pub(super) fn symlink(&self, text: &OsStr, name: &OsStr) -> Result<(), Trouble> {
        rustix::fs::symlinkat(text, &self.fd, name).map_err(|errno| self.trouble("make the link", name, errno))
    }

    /// Renames within the directory; anything but a directory at the new name is replaced.
    pub(super) fn rename(&self, from: &OsStr, to: &OsStr) -> Result<(), Trouble> {
        rustix::fs::renameat(&self.fd, from, &self.fd, to)
            .map_err(|errno| self.trouble("put the new one in its place", to, errno))
    }

    /// Removes anything but a directory; that it is gone already is no error.
    pub(super) fn unlink(&self, name: &OsStr) -> Result<(), Trouble> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.trouble("remove it", name, errno)),
        }
    }

    /// Removes an empty directory; that it is gone already is no error.
    pub(super) fn remove_dir(&self, name: &OsStr) -> Result<(), Trouble> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.trouble("remove the directory", name, errno)),
        }
    }

    /// A failure at a name in this directory.
    pub(super) fn trouble(&self, doing: &'static str, name: &OsStr, errno: Errno) -> Trouble {
        let path = self.path.join(name);
        // Asked at once: what was begun is about to be removed, and gives its inodes back.
        if errno == Errno::NOSPC && self.is_out_of_inodes() {
            return Trouble::NoInodes { doing, path };
        }
        Trouble::Call { doing, path, errno }
    }

    /// Some file systems count none: then there are none in all.
    fn is_out_of_inodes(&self) -> bool {
        rustix::fs::fstatvfs(&self.fd).is_ok_and(|is| is.f_files > 0 && is.f_ffree == 0 && is.f_bfree > 0)
    }
}

/// Gives an open file or directory its group and then its mode: a change of group may clear mode bits.
pub(super) fn open_up(fd: &OwnedFd, path: &Path, group: Option<u32>, mode: u32) -> Result<(), Trouble> {
    if let Some(group) = group {
        match rustix::fs::fchown(fd, None, Some(Gid::from_raw(group))) {
            Ok(()) => {}
            // EINVAL: a user namespace that does not know the group.
            Err(Errno::PERM | Errno::INVAL) => {
                return Err(Trouble::hopeless(
                    path,
                    format!("group {group} is none of keyferry's own groups"),
                    format!(
                        "in the pod spec set `securityContext: {{supplementalGroups: [{group}]}}` or \
                         `securityContext: {{fsGroup: {group}}}`"
                    ),
                ));
            }
            Err(errno) => return Err(Trouble::Call { doing: "set the group", path: path.into(), errno }),
        }
    }
    rustix::fs::fchmod(fd, Mode::from_raw_mode(mode)).map_err(|errno| Trouble::Call {
        doing: "set the mode",
        path: path.into(),
        errno,
    })
}

/// The text of a link that is open itself.
pub(super) fn link_of(fd: &OwnedFd, path: &Path) -> Result<OsString, Trouble> {
    read_link(fd, OsStr::new("")).map_err(|errno| Trouble::Call { doing: "read the link", path: path.into(), errno })
}

fn read_link(fd: &OwnedFd, name: &OsStr) -> Result<OsString, Errno> {
    // As long as a link can be.
    let mut text = [0_u8; 4096];
    let length = rustix::fs::readlinkat_raw(fd, name, &mut text)?;
    Ok(OsStr::from_bytes(text.get(..length).unwrap_or_default()).to_owned())
}

/// What an open file or directory is now.
pub(super) fn mark_of(fd: impl AsFd, path: &Path) -> Result<Mark, Trouble> {
    rustix::fs::fstat(fd).map(Mark).map_err(|errno| Trouble::Call { doing: "look at it", path: path.into(), errno })
}

/// What `stat` said about something: enough to tell later whether anybody else touched it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark(Stat);

impl From<Stat> for Mark {
    fn from(stat: Stat) -> Self {
        Self(stat)
    }
}

impl Mark {
    /// Whether both are of one inode.
    pub(super) fn same_inode(&self, other: &Self) -> bool {
        self.0.st_dev == other.0.st_dev && self.0.st_ino == other.0.st_ino
    }

    /// Whether both are on one file system.
    pub(super) fn same_device(&self, other: &Self) -> bool {
        self.0.st_dev == other.0.st_dev
    }

    /// What kind of thing it is.
    pub(super) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.0.st_mode)
    }

    /// The permission bits, with setuid, setgid and sticky.
    pub(super) fn mode(&self) -> u32 {
        self.0.st_mode & 0o7777
    }

    /// Whether any of the bits is set.
    pub(super) fn grants(&self, bits: u32) -> bool {
        self.mode() & bits != 0
    }

    /// The owner.
    pub(super) fn uid(&self) -> u32 {
        self.0.st_uid
    }

    /// The group.
    pub(super) fn gid(&self) -> u32 {
        self.0.st_gid
    }

    /// The size of a file; none for what cannot be one.
    pub(super) fn size(&self) -> Option<usize> {
        usize::try_from(self.0.st_size).ok()
    }

    /// Whether it has no other name.
    pub(super) fn only_link(&self) -> bool {
        self.0.st_nlink == 1
    }

    /// What the same file is expected to look like after one of its names was added by us: the count of names and the
    /// time of change, which the kernel moves with it, are not a neighbour's doing.
    pub(super) fn with_name_added(mut self, now: &Self) -> Self {
        self.0.st_nlink = self.0.st_nlink.saturating_add(1);
        self.with_change_time(now)
    }

    /// The same after one of its names was removed by us.
    pub(super) fn with_name_removed(mut self, now: &Self) -> Self {
        self.0.st_nlink = self.0.st_nlink.saturating_sub(1);
        self.with_change_time(now)
    }

    fn with_change_time(mut self, now: &Self) -> Self {
        self.0.st_ctime = now.0.st_ctime;
        self.0.st_ctime_nsec = now.0.st_ctime_nsec;
        self
    }

    /// In what a file differs from what it was, in words; none if nobody touched it.
    pub(super) fn file_difference(&self, now: &Self) -> Option<&'static str> {
        let (was, is) = (&self.0, &now.0);
        if !self.same_inode(now) || self.kind() != now.kind() {
            Some("was replaced")
        } else if was.st_size != is.st_size || was.st_mtime != is.st_mtime || was.st_mtime_nsec != is.st_mtime_nsec {
            Some("was written to")
        } else if was.st_mode != is.st_mode {
            Some("got another mode")
        } else if was.st_uid != is.st_uid || was.st_gid != is.st_gid {
            Some("got another owner or group")
        } else if was.st_nlink != is.st_nlink {
            Some("got or lost a hard link")
        } else if was.st_ctime != is.st_ctime || was.st_ctime_nsec != is.st_ctime_nsec {
            Some("was touched")
        } else {
            None
        }
    }

    /// In what a directory differs from what it was, in words. Its time of change is left out, because a neighbour who
    /// renames it back and forth has changed nothing in it.
    pub(super) fn directory_difference(&self, now: &Self) -> Option<&'static str> {
        let (was, is) = (&self.0, &now.0);
        if !self.same_inode(now) || self.kind() != now.kind() {
            Some("was replaced")
        } else if was.st_mode != is.st_mode || was.st_uid != is.st_uid || was.st_gid != is.st_gid {
            Some("got another mode, owner or group")
        } else if was.st_mtime != is.st_mtime || was.st_mtime_nsec != is.st_mtime_nsec {
            Some("got or lost an entry")
        } else {
            None
        }
    }
}

//! This program's own file, put where another container can start it.
#![expect(clippy::disallowed_types, reason = "it is a file")]

use std::fs::File;
use std::io::{Error, ErrorKind, copy};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, StatVfsMountFlags, fchmod, flock, fstatvfs, fsync, openat,
    renameat, statat, unlinkat,
};
use rustix::io::Errno;

/// What it is called there.
const NAME: &str = "keyferry";
/// And until it is whole.
const NEW: &str = ".keyferry-new";
/// Everybody may start it, and read it, as `install` itself must; nobody changes it.
const MODE: Mode = Mode::from_raw_mode(0o555);

/// Why it is not there.
#[derive(Debug, PartialEq, Eq)]
pub enum NotInstalled {
    /// This program may not be read by whoever runs it.
    Unreadable(String),
    /// It cannot be put there.
    Unwritable(String),
}

/// Puts it into the directory, whole at once and in the place of an older one, which goes on where it runs. Gives its path and
/// its size in bytes.
pub fn install(dir: &Path) -> Result<(PathBuf, u64), NotInstalled> {
    let opened = File::open("/proc/self/exe").and_then(|own| Ok((own.metadata()?.len(), own)));
    let (size, own) = opened.map_err(|error| {
        NotInstalled::Unreadable(format!(
            "this program's file cannot be read: {error}; the image's is of mode 0111, to be run and not read: take the image \
             that is built for this ('--target install')"
        ))
    })?;
    let path = dir.join(NAME);
    let failed = |error: Error| {
        let reason = format!("{} cannot be written: {error}; {}", path.display(), fix(&error, size));
        NotInstalled::Unwritable(reason)
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let at = openat(CWD, dir, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?;
    if fstatvfs(&at).map_err(|errno| failed(errno.into()))?.f_flag.contains(StatVfsMountFlags::NOEXEC) {
        let reason =
            format!("{} is mounted noexec, so that nothing there can be started: choose another volume", dir.display());
        return Err(NotInstalled::Unwritable(reason));
    }
    if statat(&at, NAME, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|file| FileType::from_raw_mode(file.st_mode) != FileType::RegularFile)
    {
        let reason =
            format!("{} is there already and is no file: remove it, or choose another directory", path.display());
        return Err(NotInstalled::Unwritable(reason));
    }
    put(own, &at).map_err(failed)?;
    Ok((path, size))
}

/// Under another name first: whoever looks sees the old one or the new one. One at a time, so that what a crash has left under
/// that name can be taken away.
fn put(mut own: File, dir: &OwnedFd) -> Result<(), Error> {
    flock(dir, FlockOperation::LockExclusive)?;
    unlinkat(dir, NEW, AtFlags::empty()).or_else(|errno| if errno == Errno::NOENT { Ok(()) } else { Err(errno) })?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(dir, NEW, flags, Mode::RUSR)?);
    let written = copy(&mut own, &mut file).and_then(|_| {
        // Whatever the umask says. Synchronous, so that after a crash of the node there is no half of it.
        fchmod(&file, MODE)?;
        file.sync_all()?;
        // Open for writing it could not be started.
        drop(file);
        renameat(dir, NEW, dir, NAME)?;
        Ok(fsync(dir)?)
    });
    if written.is_err() {
        unlinkat(dir, NEW, AtFlags::empty()).ok();
    }
    written
}

fn fix(error: &Error, size: u64) -> String {
    match error.kind() {
        ErrorKind::NotFound => "mount a volume there, or make the directory".to_owned(),
        ErrorKind::PermissionDenied => "let this user write there ('fsGroup' in the pod)".to_owned(),
        ErrorKind::ReadOnlyFilesystem => "mount the volume without readOnly in this container".to_owned(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            format!("the program takes {size} bytes: raise the volume's 'sizeLimit'")
        }
        _ => "choose another directory".to_owned(),
    }
}

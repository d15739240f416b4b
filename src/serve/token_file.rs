//! The file that stands in where the kernel does not say who calls: whoever can read it may. Its content is random, new
//! at each start and good for no longer than the process lives, so that it stays where it is at the end.
#![expect(clippy::disallowed_types, reason = "it is a file")]

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Error, ErrorKind, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::fs::{
    Access, AtFlags, CWD, FileType, Mode, OFlags, accessat, fchmod, fstatfs, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::medium::Medium;
use crate::secret::SecretValue;

/// Random bytes in it.
const LENGTH: usize = 32;
/// For its owner, and for a group that the volume gives it (`fsGroup`).
const MODE: Mode = Mode::from_raw_mode(0o440);

/// Writes a new token there, whole at once, or says why not and what to do.
pub fn write(path: &Path, allow_disk: bool) -> Result<SecretValue, String> {
    let (dir, name) = place(path, allow_disk)?;
    let token = random(LENGTH).map_err(|errno| failed(path, errno))?;
    put(&dir, name, &token).map_err(|errno| failed(path, errno))?;
    Ok(token)
}

/// Looks whether one could be written there, and writes none.
pub fn inspect(path: &Path, allow_disk: bool) -> Result<(), String> {
    let (dir, _) = place(path, allow_disk)?;
    let access = Access::WRITE_OK | Access::EXEC_OK;
    accessat(&dir, ".", access, AtFlags::EACCESS).map_err(|errno| failed(path, errno))
}

/// The directory, and the name in it, if a token may be there.
fn place(path: &Path, allow_disk: bool) -> Result<(OwnedFd, &OsStr), String> {
    let wrong = |reason: &str| format!("{} {reason}", path.display());
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(wrong("is a directory: choose another path"));
    };
    // The one time that the path is followed: all the rest is done in this directory.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = openat(CWD, parent, flags, Mode::empty()).map_err(|errno| failed(path, errno))?;
    let kind = fstatfs(&dir).map_err(|errno| failed(path, errno))?.f_type;
    if !allow_disk && Medium::of(kind) == Medium::Disk {
        return Err(wrong(
            "is not on tmpfs, and what opens the secrets would be written to a disk: choose a path on an \
             `emptyDir: {medium: Memory}`, or set `allowDisk: true`",
        ));
    }
    if !may_be_replaced(&dir, name).map_err(|errno| failed(path, errno))? {
        return Err(wrong("is there already and is no token of keyferry's: remove it, or choose another path"));
    }
    Ok((dir, name))
}

fn failed(path: &Path, errno: Errno) -> String {
    let error = Error::from(errno);
    let fix = match error.kind() {
        ErrorKind::NotFound => "mount a volume at its directory, or make that",
        ErrorKind::PermissionDenied => "let keyferry's user write to its directory ('fsGroup' in the pod)",
        _ => "choose another path",
    };
    format!("{} cannot be written: {error}; {fix}", path.display())
}

/// Only what an earlier run has left is replaced: a path that was mistyped destroys nobody's file.
fn may_be_replaced(dir: &OwnedFd, name: &OsStr) -> Result<bool, Errno> {
    match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(file) => Ok(FileType::from_raw_mode(file.st_mode) == FileType::RegularFile
            && file.st_uid == rustix::process::geteuid().as_raw()
            && u64::try_from(file.st_size) == Ok(encoded())
            && Mode::from_raw_mode(file.st_mode) == MODE),
        Err(Errno::NOENT) => Ok(true),
        Err(errno) => Err(errno),
    }
}

fn encoded() -> u64 {
    base64::encoded_len(LENGTH, false).and_then(|length| length.try_into().ok()).unwrap_or(u64::MAX)
}

fn random(length: usize) -> Result<SecretValue, Errno> {
    let mut bytes = vec![0; length];
    let filled = getrandom(&mut bytes[..], GetRandomFlags::empty());
    // Wiped with what it is kept in.
    let bytes = SecretValue::new(bytes);
    if filled? != length {
        return Err(Errno::IO);
    }
    Ok(SecretValue::new(URL_SAFE_NO_PAD.encode(bytes.expose()).into_bytes()))
}

/// Under a name first that nobody can know before: what a crash has left there is in no later run's way, and in a
/// container every run is process 1.
fn put(dir: &OwnedFd, name: &OsStr, token: &SecretValue) -> Result<(), Errno> {
    let new = [b".keyferry-", random(12)?.expose()].concat();
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(dir, &*new, flags, Mode::RUSR)?;
    let written = fill(file, token).and_then(|()| renameat(dir, &*new, dir, name));
    if written.is_err() {
        unlinkat(dir, &*new, AtFlags::empty()).ok();
    }
    written
}

fn fill(file: OwnedFd, token: &SecretValue) -> Result<(), Errno> {
    let mut file = File::from(file);
    file.write_all(token.expose()).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    // Whatever the umask says.
    fchmod(&file, MODE)
}

#[cfg(test)]
mod tests;

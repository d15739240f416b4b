//! A Unix socket in the file system: made for everybody to call, because the kernel says who does; put in the place of one
//! that a process which is gone has left; and taken away at the end.
#![expect(clippy::disallowed_methods, reason = "a socket is a file")]

use std::fs;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, AtFlags, CWD, Mode, accessat};
use rustix::process::umask;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

const NO_SOCKET: &str = "is there already and is no socket: remove it, or choose another path";
const LIVES: &str = "is a socket at which another process listens: stop that, or choose another path";
/// Whoever listens is connected with at once.
const PATIENCE: Duration = Duration::from_secs(1);

/// The file of a socket, as long as this lives.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

/// Opens a socket there, or says why not and what to do.
pub(super) async fn open(path: &Path) -> Result<(UnixListener, SocketFile), String> {
    let wrong = |reason: String| format!("{} {reason}", path.display());
    let opened = match bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            make_room(path).await.map_err(wrong)?;
            bind(path)
        }
        opened => opened,
    };
    let listener = opened.map_err(|error| cannot_open(path, &error))?;
    let file = fs::symlink_metadata(path).map_err(|error| wrong(format!("is not there any more: {error}")))?;
    Ok((listener, SocketFile { path: path.to_owned(), device: file.dev(), inode: file.ino() }))
}

/// Looks whether a socket could be opened there, and opens none; one at which somebody listens is well.
pub(super) fn inspect(path: &Path) -> Result<(), String> {
    let wrong = |reason: String| format!("{} {reason}", path.display());
    match fs::symlink_metadata(path) {
        Ok(there) if !there.file_type().is_socket() => return Err(wrong(NO_SOCKET.to_owned())),
        _ => {}
    }
    let dir = path.parent().unwrap_or(path);
    let access = Access::WRITE_OK | Access::EXEC_OK;
    accessat(CWD, dir, access, AtFlags::EACCESS).map_err(|errno| cannot_open(path, &errno.into()))
}

fn cannot_open(path: &Path, error: &Error) -> String {
    let fix = match error.kind() {
        ErrorKind::NotFound => "; mount a volume at its directory, or make that",
        ErrorKind::PermissionDenied => "; let keyferry's user write to its directory ('fsGroup' in the pod)",
        _ => "; choose another path",
    };
    format!("{} cannot be opened as a socket: {error}{fix}", path.display())
}

/// With the mode 0666 from the first moment: nothing else makes files while this process starts.
fn bind(path: &Path) -> Result<UnixListener, Error> {
    let before = umask(Mode::from_raw_mode(0o111));
    let bound = UnixListener::bind(path);
    umask(before);
    bound
}

/// Removes what is there if it is a socket at which nobody listens.
async fn make_room(path: &Path) -> Result<(), String> {
    let there = fs::symlink_metadata(path).map_err(|error| format!("cannot be looked at: {error}"))?;
    if !there.file_type().is_socket() {
        return Err(NO_SOCKET.to_owned());
    }
    match timeout(PATIENCE, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {}
        // That so many wait for it says that it is there, too.
        Ok(Err(error)) if error.kind() != ErrorKind::WouldBlock => {
            return Err(format!("is a socket that cannot be looked at: {error}; remove it"));
        }
        Ok(_) | Err(_) => return Err(LIVES.to_owned()),
    }
    fs::remove_file(path)
        .map_err(|error| format!("is a socket of a process that is gone, and cannot be removed: {error}"))
}

impl Drop for SocketFile {
    /// Only its own: another one may have taken the place.
    fn drop(&mut self) {
        let is_own = |file: &fs::Metadata| (file.dev(), file.ino()) == (self.device, self.inode);
        if fs::symlink_metadata(&self.path).is_ok_and(|file| is_own(&file)) {
            drop(fs::remove_file(&self.path));
        }
    }
}

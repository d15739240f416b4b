//! The file that stands in where the kernel does not say who calls: whoever can read it may. Its content is random, new
//! at each start and good for no longer than the process lives, so that it stays where it is at the end.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "it is a file")]

use std::fs::{self, File};
use std::io::{Error, ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::fs::{CWD, Mode, OFlags, fchmod, openat};
use rustix::rand::{GetRandomFlags, getrandom};

use crate::secret::SecretValue;

/// Random bytes in it.
const LENGTH: usize = 32;
/// For its owner, and for a group that the volume gives it (`fsGroup`).
const MODE: Mode = Mode::from_raw_mode(0o440);

/// Writes a new token there, whole at once, or says why not and what to do.
pub fn write(path: &Path) -> Result<SecretValue, String> {
    let wrong = |reason: String| format!("{} {reason}", path.display());
    may_be_replaced(path).map_err(wrong)?;
    let token =
        random().ok_or_else(|| "cannot be filled: the kernel gives no random bytes".to_owned()).map_err(wrong)?;
    put(path, &token).map_err(|error| {
        let fix = match error.kind() {
            ErrorKind::NotFound => "mount a volume at its directory, or make that",
            ErrorKind::PermissionDenied => "let keyferry's user write to its directory ('fsGroup' in the pod)",
            _ => "choose another path",
        };
        wrong(format!("cannot be written: {error}; {fix}"))
    })?;
    Ok(token)
}

/// Only what an earlier run has left is replaced: a path that was mistyped destroys nobody's file.
fn may_be_replaced(path: &Path) -> Result<(), String> {
    let file = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        looked => looked.map_err(|error| format!("cannot be looked at: {error}"))?,
    };
    let own = rustix::process::geteuid().as_raw();
    let is_token =
        file.is_file() && file.uid() == own && file.len() == encoded() && file.mode() & 0o7777 == MODE.as_raw_mode();
    if is_token {
        Ok(())
    } else {
        Err("is there already and is no token of keyferry's: remove it, or choose another path".to_owned())
    }
}

fn encoded() -> u64 {
    base64::encoded_len(LENGTH, false).and_then(|length| length.try_into().ok()).unwrap_or(u64::MAX)
}

fn random() -> Option<SecretValue> {
    let mut bytes = vec![0; LENGTH];
    let filled = getrandom(&mut bytes[..], GetRandomFlags::empty()) == Ok(LENGTH);
    // Wiped with what it is kept in.
    let bytes = SecretValue::new(bytes);
    filled.then(|| SecretValue::new(URL_SAFE_NO_PAD.encode(bytes.expose()).into_bytes()))
}

fn put(path: &Path, token: &SecretValue) -> Result<(), Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}.{}", rustix::process::getpid()));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let written = openat(CWD, &new, flags, Mode::RUSR).map_err(Error::from).and_then(|file| {
        let mut file = File::from(file);
        file.write_all(token.expose())?;
        // Whatever the umask says.
        fchmod(&file, MODE)?;
        fs::rename(&new, path)
    });
    if written.is_err() {
        drop(fs::remove_file(&new));
    }
    written
}

#[cfg(test)]
mod tests;

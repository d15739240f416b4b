//! `file:` references: a local file's bytes, exactly as they are.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "this is where local files are read")]

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use crate::failure::{Blame, Code, Failure, Kind};
use crate::ports::Fetched;
use crate::secret::{Secret, SecretValue, Version};

/// No secret is longer; a longer file is a mistake.
const LONGEST: u64 = 4 << 20;

/// Reads the file. It has no version and no expiry.
pub fn read(path: &Path) -> Result<Fetched, Failure> {
    let failure = |kind, code, detail: &str| Failure::new(Blame::Object, kind, Code::new(code)).because(detail);
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => failure(Kind::Missing, "file-missing", "there is no such file"),
        ErrorKind::PermissionDenied => failure(Kind::Denied, "file-unreadable", "keyferry may not read it"),
        _ => failure(Kind::Outage, "file-unreadable", &error.to_string()),
    };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    // Opening anything else, a FIFO say, could block for ever.
    if !metadata.is_file() {
        return Err(failure(Kind::Content, "not-a-file", "it is no regular file"));
    }
    if metadata.len() > LONGEST {
        return Err(failure(Kind::Content, "file-too-long", "it is longer than 4 MiB"));
    }
    // As long as it will get, so that no half-filled buffer is left behind by growing.
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0).saturating_add(1));
    File::open(path).map_err(unreadable)?.take(LONGEST).read_to_end(&mut bytes).map_err(unreadable)?;
    let secret = Secret::plain(Version::Unversioned, SecretValue::new(bytes));
    Ok(Fetched { secret, expires: None, renew_at: None, age: None, stamp: None, hint: None })
}

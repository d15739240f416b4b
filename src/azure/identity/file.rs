//! Files that identities sign in with: read at every exchange, because whoever wrote them replaces them.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "this is where they are read")]

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use crate::failure::{Blame, Code, Failure, Kind};
use crate::secret::SecretValue;

/// A service account's token is a few hundred bytes long, a certificate with its chain and key some thousands.
const LONGEST: u64 = 64 << 10;

/// One kind of file, for codes and messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept<'a> {
    /// What its codes begin with.
    pub(super) code: &'static str,
    /// What messages call it.
    pub(super) called: &'static str,
    pub(super) path: &'a Path,
}

impl Kept<'_> {
    /// What is wrong with it.
    pub(super) fn failure(&self, kind: Kind, problem: &str, detail: &str) -> Failure {
        let Self { code, called, path } = self;
        Failure::new(Blame::Identity, kind, Code::new(&format!("{code}-{problem}")))
            .because(format!("the {called} {} {detail}", path.display()))
    }

    /// The whole file, which must hold more than blanks.
    pub(super) fn read(&self) -> Result<SecretValue, Failure> {
        let unreadable = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => self.failure(Kind::Missing, "missing", "does not exist"),
            _ => self.failure(Kind::Denied, "unreadable", &format!("cannot be read: {error}")),
        };
        let metadata = std::fs::metadata(self.path).map_err(unreadable)?;
        // Opening anything but a file, a FIFO say, could block for ever.
        if !metadata.is_file() {
            return Err(self.failure(Kind::Denied, "unreadable", "is no regular file"));
        }
        if metadata.len() > LONGEST {
            return Err(self.failure(Kind::Denied, "malformed", "is longer than 64 KiB"));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0).saturating_add(1));
        File::open(self.path).map_err(unreadable)?.take(LONGEST).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.trim_ascii().is_empty() {
            return Err(self.failure(Kind::Missing, "empty", "is empty"));
        }
        Ok(SecretValue::new(bytes))
    }
}

//! `keyferry install DIR`: the program where a foreign image can start it, for `exec`.

use std::path::Path;

use super::Ended;
use crate::exit::Exit;
use crate::local::{self, NotInstalled};

pub(super) fn install(dir: &Path) -> Result<(), Ended> {
    let (path, size) = local::install(dir).map_err(|error| match error {
        NotInstalled::Unreadable(reason) => Ended::new(Exit::Denied, reason),
        NotInstalled::Unwritable(reason) => Ended::new(Exit::CannotWrite, reason),
    })?;
    tracing::info!("{} is keyferry {}, {size} bytes", path.display(), env!("CARGO_PKG_VERSION"));
    Ok(())
}

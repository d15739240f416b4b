//! Secrets on standard output: where they may go, and that they arrive.

use std::io::Write as _;

use super::Ended;
use crate::exit::Exit;
use crate::process;

/// Refuses what is kept for others to read, unless whoever calls wants it there.
pub(super) fn may_be_written(show: bool, what: &str) -> Result<(), Ended> {
    let terminal = process::stdout_is_terminal();
    if !show && (terminal || process::is_first_process()) {
        let whose = if terminal { "a terminal" } else { "the container's log" };
        let line = format!("standard output is {whose}: to write the {what} there, add --show");
        return Err(Ended::new(Exit::Usage, line));
    }
    Ok(())
}

/// Writes the pieces one after the other.
pub(super) fn write(pieces: &[&[u8]]) -> Result<(), Ended> {
    let mut stdout = std::io::stdout().lock();
    let written = pieces.iter().try_for_each(|piece| stdout.write_all(piece)).and_then(|()| stdout.flush());
    written.map_err(|error| Ended::new(Exit::CannotWrite, format!("standard output cannot be written: {error}")))
}

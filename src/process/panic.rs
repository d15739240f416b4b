//! A panic is a bug: it ends the process, and says where it happened but never what it held.
#![expect(clippy::exit, clippy::disallowed_methods, reason = "a panic cannot return to main")]

use std::io::Write as _;

/// From now on a panic in any thread ends the process with this code.
pub fn exit_on_panic(code: u8) {
    std::panic::set_hook(Box::new(move |info| {
        // The payload is not shown: it could quote data.
        let place =
            info.location().map_or_else(String::new, |at| format!("{}:{}:{}", at.file(), at.line(), at.column()));
        // Not through the log: it may not have begun, be silent, or be what has panicked. Where nobody reads it, nothing
        // can be done.
        drop(writeln!(
            std::io::stderr(),
            "keyferry: this is a bug in keyferry, at {place}; please report it with this line"
        ));
        std::process::exit(code.into());
    }));
}

//! The first thing the process does: nobody may look into it.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Makes the process not dumpable (`PR_SET_DUMPABLE`, so that its memory and `/proc` entries are root's) and forbids
/// core files. Fails only where the kernel refuses, and then nothing secret may be fetched.
pub fn harden() -> Result<(), String> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| format!("the process cannot be made undumpable: {error}"))?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .map_err(|error| format!("core files cannot be forbidden: {error}"))
}

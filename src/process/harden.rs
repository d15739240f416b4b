//! The first thing the process does: nobody may look into it.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// The limit of core files that this process was given: for what it starts, not for itself.
#[derive(Debug)]
pub struct Cores(Rlimit);

/// Makes the process not dumpable (`PR_SET_DUMPABLE`, so that its memory and `/proc` entries are root's) and forbids
/// core files. Fails only where the kernel refuses, and then nothing secret may be fetched.
pub fn harden() -> Result<Cores, String> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| format!("the process cannot be made undumpable: {error}"))?;
    let given = getrlimit(Resource::Core);
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: given.maximum })
        .map_err(|error| format!("core files cannot be forbidden: {error}"))?;
    Ok(Cores(given))
}

impl Cores {
    /// Nothing is started that would want them: nobody raises the limit any more.
    pub fn forgo(&self) -> Result<(), String> {
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
            .map_err(|error| format!("core files cannot be forbidden: {error}"))
    }

    /// Starts something under it. That this process could write a core file meanwhile its not being dumpable forbids.
    pub(super) fn given<T>(&self, start: impl FnOnce() -> T) -> T {
        let own = getrlimit(Resource::Core);
        setrlimit(Resource::Core, self.0).ok();
        let started = start();
        setrlimit(Resource::Core, own).ok();
        started
    }
}

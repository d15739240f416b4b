//! Small facts about where the process runs.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is where the kernel is asked about the machine"
)]

use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::rand::GetRandomFlags;

/// The machine's or pod's name.
pub fn node_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Random bytes, from the kernel; none where it gives none.
pub fn salt() -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    let filled = rustix::rand::getrandom(&mut bytes, GetRandomFlags::empty());
    (filled == Ok(bytes.len())).then_some(bytes)
}

/// The user that this process runs as, by its number.
pub fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Allows this process as many open files as it may have: connections of callers must not take those of the vaults.
pub fn allow_descriptors() {
    let given = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: given.maximum, ..given }).ok();
}

/// Whether standard output is a terminal.
pub fn stdout_is_terminal() -> bool {
    rustix::termios::isatty(rustix::stdio::stdout())
}

/// Whether this process's session has a terminal.
pub(super) fn is_at_terminal() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}

/// Whether this is PID 1: a container's main process, whose standard output becomes the container's log.
pub fn is_first_process() -> bool {
    rustix::process::getpid().is_init()
}

/// Whether what is written there, on a tmpfs, may end on a disk as swap. No where the kernel does not say.
pub fn may_be_swapped(dir: &Path) -> bool {
    let read = |file| std::fs::read_to_string(file).unwrap_or_default();
    is_swappable(dir, &read("/proc/swaps"), &read("/proc/self/mountinfo"))
}

/// `swaps` has a line of headings and one for each swap area; `mounts` is as proc(5) describes mountinfo.
fn is_swappable(dir: &Path, swaps: &str, mounts: &str) -> bool {
    let mount = |line: &'_ str| {
        let (mount, file_system) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4)?.replace("\\040", " ");
        let (kind, options) = (file_system.split(' ').next()?, file_system.split(' ').nth(2)?);
        let swappable = kind == "tmpfs" && !options.split(',').any(|option| option == "noswap");
        dir.starts_with(&point).then_some((point.len(), swappable))
    };
    // Of several at one place the last one covers the others.
    let holds_it = mounts.lines().filter_map(mount).max_by_key(|(length, _)| *length);
    swaps.lines().nth(1).is_some() && holds_it.is_some_and(|(_, swappable)| swappable)
}

#[cfg(test)]
mod tests;

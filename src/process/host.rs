//! Small facts about where the process runs.

/// The machine's or pod's name.
pub fn node_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Whether standard output is a terminal.
pub fn stdout_is_terminal() -> bool {
    rustix::termios::isatty(rustix::stdio::stdout())
}

/// Whether this is PID 1: a container's main process, whose standard output becomes the container's log.
pub fn is_first_process() -> bool {
    rustix::process::getpid().is_init()
}

//! A process that is started in this one's place: it gets the signals that this one gets, its end is this one's, and what
//! others leave behind is taken away (a container's first process inherits every orphan).

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, getsid, kill_process, kill_process_group, wait, waitpid,
};

use super::harden::Cores;
use super::host::{is_at_terminal, is_first_process};

/// What a terminal sends to everybody in its foreground.
const OF_TERMINAL: [Signal; 4] = [Signal::INT, Signal::QUIT, Signal::HUP, Signal::WINCH];

/// A process that was started, until it has ended.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    has_group: bool,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, with this code.
    Exited(u8),
    /// By this signal.
    Signaled(u8),
}

impl End {
    fn of(status: WaitStatus) -> Option<Self> {
        let byte = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
        let signaled = status.terminating_signal().map(|signal| Self::Signaled(byte(signal)));
        status.exit_status().map(|code| Self::Exited(byte(code))).or(signaled)
    }

    /// What a shell would make of it: the code, or 128 and the signal.
    pub fn code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled(signal) => signal.saturating_add(128),
        }
    }
}

impl Child {
    /// Starts it. At a terminal it shares this process's group, so that pipelines, Ctrl-C, Ctrl-Z and `fg` mean both; else
    /// it has a group of its own, with what it starts.
    pub fn start(command: &mut Command, cores: &Cores) -> io::Result<Self> {
        let has_group = !is_at_terminal();
        if has_group {
            command.process_group(0);
        }
        let started = cores.given(|| command.spawn())?;
        // Nobody waits for it by this handle: its end is taken below.
        let pid = i32::try_from(started.id()).ok().and_then(Pid::from_raw);
        Ok(Self { pid: pid.ok_or(io::ErrorKind::InvalidData)?, has_group })
    }

    /// Passes a signal on, unless the kernel has given it to both. One that has ended already hears of nothing.
    pub fn pass(&self, signal: Signal) {
        // A terminal that goes away tells the first process of its session alone, and leaves the rest to that.
        let hangs_up = || signal == Signal::HUP && getsid(None) == Ok(getpid());
        if self.has_group || !OF_TERMINAL.contains(&signal) || hangs_up() {
            self.signal(signal);
        }
    }

    /// Signals it.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).ok();
    }

    /// Ends what it has left behind in its group.
    pub fn sweep(&self) {
        if self.has_group {
            kill_process_group(self.pid, Signal::KILL).ok();
        }
    }

    /// How it ended, if it has. A container's first process takes away everything else that has ended as well; of any other
    /// one what it starts besides (the Azure CLI) is waited for where it was started, and orphans go to whoever is first.
    pub fn reap(&self) -> Option<End> {
        if !is_first_process() {
            return waitpid(Some(self.pid), WaitOptions::NOHANG).ok().flatten().and_then(|(_, status)| End::of(status));
        }
        let mut end = None;
        // Until there are none, or none that has ended.
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid == self.pid {
                end = End::of(status);
            }
        }
        end
    }
}

/// Puts the program in this process's place; returns only if that cannot be done.
pub fn become_it(command: &mut Command, cores: &Cores) -> io::Error {
    cores.given(|| command.exec())
}

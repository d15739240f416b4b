//! A process that is started in this one's place: it gets the signals that this one gets, its end is this one's, and what
//! others leave behind is taken away (a container's first process inherits every orphan).
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the kernel tells of terminals and signals by files"
)]

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::task::Poll;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, kill_process_group, wait};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use super::harden::Cores;

/// What a process can be told by others, and what it is that ends, stops or wakes it. SIGKILL and SIGSTOP nobody can pass on.
const PASSED_ON: [Signal; 10] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::TERM,
    Signal::USR1,
    Signal::USR2,
    Signal::WINCH,
    Signal::ALARM,
    Signal::TSTP,
    Signal::CONT,
];

/// What a terminal sends to everybody in its foreground.
const OF_TERMINAL: [Signal; 5] = [Signal::INT, Signal::QUIT, Signal::TSTP, Signal::HUP, Signal::WINCH];

/// The signals this process gets, for the one that it has started. Registered before that is, so that none is lost.
#[derive(Debug)]
pub struct Relay {
    streams: Vec<(Signal, Stream)>,
    children: Stream,
}

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// A signal that is to be passed on.
    Signal(Signal),
    /// A child has ended, or stopped.
    Child,
}

impl Relay {
    /// Registers. Must be called inside the runtime.
    pub fn register() -> io::Result<Self> {
        let stream = |of: Signal| Ok((of, signal(SignalKind::from_raw(of.as_raw()))?));
        let ignored = ignored();
        let is_heard = |of: &Signal| ignored >> (of.as_raw() - 1) & 1 == 0;
        let streams: io::Result<Vec<_>> = PASSED_ON.into_iter().filter(is_heard).map(stream).collect();
        Ok(Self { streams: streams?, children: signal(SignalKind::child())? })
    }

    /// The next one.
    pub async fn next(&mut self) -> Heard {
        std::future::poll_fn(|context| {
            for (of, stream) in &mut self.streams {
                if stream.poll_recv(context).is_ready() {
                    return Poll::Ready(Heard::Signal(*of));
                }
            }
            self.children.poll_recv(context).map(|_| Heard::Child)
        })
        .await
    }
}

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
        // Nobody waits for it by this handle: its end is taken with everybody else's.
        let pid = i32::try_from(started.id()).ok().and_then(Pid::from_raw);
        Ok(Self { pid: pid.ok_or(io::ErrorKind::InvalidData)?, has_group })
    }

    /// Passes a signal on, unless the kernel has given it to both. One that has ended already hears of nothing.
    pub fn pass(&self, signal: Signal) {
        if self.has_group || !OF_TERMINAL.contains(&signal) {
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

    /// Takes away everything that has ended, and tells whether it is among that.
    pub fn reap(&self) -> Option<End> {
        let mut end = None;
        // Until there are none, or none that has ended.
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid == self.pid {
                let byte = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
                let signaled = status.terminating_signal().map(|signal| End::Signaled(byte(signal)));
                end = status.exit_status().map(|code| End::Exited(byte(code))).or(signaled);
            }
        }
        end
    }
}

/// Puts the program in this process's place; returns only if that cannot be done.
pub fn become_it(command: &mut Command, cores: &Cores) -> io::Error {
    cores.given(|| command.exec())
}

fn is_at_terminal() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}

/// The signals that whoever started this process wants ignored (`nohup`), as a set of bits (proc(5)); what it starts ignores
/// them as well, unless somebody listens to them here.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or_default()
}

//! A process that is started in this one's place: it gets the signals that this one gets, its end is this one's, and what
//! others leave behind is taken away (a container's first process inherits every orphan).

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::task::Poll;

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, wait};
use rustix::stdio::stdin;
use rustix::termios::{isatty, tcsetpgrp};
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
        let streams: io::Result<Vec<_>> = PASSED_ON.into_iter().map(stream).collect();
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
    /// Starts it, as a job of its own: at a terminal it is the one that is typed to.
    pub fn start(command: &mut Command, cores: &Cores) -> io::Result<Self> {
        let started = cores.given(|| command.process_group(0).spawn())?;
        // Nobody waits for it by this handle: its end is taken with everybody else's.
        let pid = i32::try_from(started.id()).ok().and_then(Pid::from_raw);
        let child = Self { pid: pid.ok_or(io::ErrorKind::InvalidData)? };
        child.to_front();
        Ok(child)
    }

    /// Signals it. One that has ended already hears of nothing.
    pub fn signal(&self, signal: Signal) {
        if signal == Signal::CONT {
            self.to_front();
        }
        kill_process(self.pid, signal).ok();
    }

    /// Takes away everything that has ended, and tells whether it is among that. Where it has been stopped at a terminal,
    /// so is this process, for whoever waits for it there.
    pub fn reap(&self) -> Option<End> {
        let mut end = None;
        // Until there are none, or none that has ended or stopped.
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
            if pid != self.pid {
                continue;
            }
            let byte = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
            let signaled = status.terminating_signal().map(|signal| End::Signaled(byte(signal)));
            end = end.or(status.exit_status().map(|code| End::Exited(byte(code)))).or(signaled);
            if status.stopped() && isatty(stdin()) {
                kill_process(getpid(), Signal::STOP).ok();
            }
        }
        end
    }

    /// What was begun in the background may have been stopped for wanting to read.
    fn to_front(&self) {
        if isatty(stdin()) && tcsetpgrp(stdin(), self.pid).is_ok() {
            kill_process_group(self.pid, Signal::CONT).ok();
        }
    }
}

/// Puts the program in this process's place; returns only if that cannot be done.
pub fn become_it(command: &mut Command, cores: &Cores) -> io::Error {
    cores.given(|| command.exec())
}

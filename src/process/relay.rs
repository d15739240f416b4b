//! The signals that this process gets for the one that it has started, or is about to become.
#![expect(clippy::disallowed_methods, reason = "the kernel tells of ignored signals by a file")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::Poll;

use futures_util::FutureExt as _;
use rustix::process::Signal;
use signal_hook::flag::register_conditional_shutdown;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use super::host::is_at_terminal;

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
        let (ignored, at_terminal) = (ignored(), is_at_terminal());
        let is_heard = |of: &Signal| {
            // Ctrl-Z is typed for both: a shell waits until this process has stopped as well.
            let stops = at_terminal && *of == Signal::TSTP;
            !stops && ignored >> (of.as_raw() - 1) & 1 == 0
        };
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

    /// Looks a last time before another program takes this one's place: the signal that has come and `ends` what has not
    /// begun. One that comes later ends this process at once, because no one asks for it any more; and from the moment on
    /// that the other program is there, the kernel gives it to that.
    pub async fn last(&mut self, ends: fn(Signal) -> bool) -> io::Result<Option<Signal>> {
        for (of, _) in self.streams.iter().filter(|(of, _)| ends(*of)) {
            let code = of.as_raw().saturating_add(128);
            register_conditional_shutdown(of.as_raw(), code, Arc::new(AtomicBool::new(true)))?;
        }
        // What has come before, the runtime hears of between two turns only.
        tokio::task::yield_now().await;
        while let Some(heard) = self.next().now_or_never() {
            if let Heard::Signal(signal) = heard
                && ends(signal)
            {
                return Ok(Some(signal));
            }
        }
        Ok(None)
    }
}

/// The signals that whoever started this process wants ignored (`nohup`), as a set of bits (proc(5)); what it starts ignores
/// them as well, unless somebody listens to them here.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or_default()
}

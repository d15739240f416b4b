//! The hook that signals a process: found by name or by its pid file, held by a handle before it is signalled, so that
//! no other process gets what was meant for one that has ended.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "this is where pid files are read")]

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, geteuid, getpid, pidfd_open, pidfd_send_signal, test_kill_process};

use super::others::{Seen, is_alone, topmost};
use crate::config::hooks::{Signal, Whom};
use crate::ports::{Change, Hook, HookError, Reach};

/// A pid file's first line is far shorter.
const LONGEST_PID_FILE: u64 = 4096;
/// Some file systems count whole seconds.
const SLACK: Duration = Duration::from_secs(1);
const SHARE: &str = "the process namespace is probably not shared: set 'shareProcessNamespace: true' in the pod's spec";

/// Signals a process when secrets have changed.
#[derive(Debug)]
pub struct SignalHook {
    name: String,
    target: Arc<Target>,
}

#[derive(Debug)]
struct Target {
    whom: Whom,
    signal: Signal,
    /// Who has been signalled of which change: where one of several could not be, the others are left alone when it is
    /// tried again.
    reached: Mutex<(Option<Change>, Vec<Seen>)>,
}

impl SignalHook {
    /// A hook; nobody is looked for before the first change.
    pub fn new(whom: &Whom, signal: Signal) -> Self {
        let name = match whom {
            Whom::Process(name) => format!("{signal} to {}", name.as_str()),
            Whom::PidFile(file) => format!("{signal} to the process of {}", file.display()),
        };
        let target = Target { whom: whom.clone(), signal, reached: Mutex::default() };
        Self { name, target: Arc::new(target) }
    }
}

impl Hook for SignalHook {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "signal"
    }

    fn check(&self) -> Result<Reach, HookError> {
        let found = match self.target.find() {
            Ok(found) => found,
            Err(Miss::Absent(error)) if is_alone() => return Err(not_shared(&error.reason)),
            Err(Miss::Absent(error)) => return Ok(Reach::NotYet(error)),
            Err(Miss::Wrong(error)) => return Err(error),
        };
        found.iter().try_for_each(|seen| match test_kill_process(seen.pid) {
            Err(Errno::PERM) => Err(not_allowed(seen)),
            _ => Ok(()),
        })?;
        Ok(Reach::Now)
    }

    fn run(&self, change: Arc<Change>) -> Pin<Box<dyn Future<Output = Result<(), HookError>> + Send + '_>> {
        let target = Arc::clone(&self.target);
        Box::pin(async move {
            // A machine has thousands of processes, and a pid file may lie on a file system that hangs.
            let told = tokio::task::spawn_blocking(move || target.tell(&change)).await;
            told.unwrap_or_else(|_| Err(HookError::new("it was given up", "it is tried again")))
        })
    }
}

impl Target {
    fn tell(&self, change: &Change) -> Result<(), HookError> {
        // One that was given up may still hang on a file system; waiting for it would take up one more thread each time.
        let Ok(mut reached) = self.reached.try_lock() else {
            return Err(HookError::new("an earlier attempt still hangs", "look at the file system of the pid file"));
        };
        // One generation may be told of in pieces, as readers come to see it.
        if reached.0.as_ref() != Some(change) {
            *reached = (Some(change.clone()), Vec::new());
        }
        let mut told = Ok(());
        for seen in self.find()? {
            if reached.1.iter().any(|before| before.is(&seen)) {
                continue;
            }
            match send(&seen, self.signal) {
                Ok(()) => reached.1.push(seen),
                Err(error) => told = told.and(Err(error)),
            }
        }
        told
    }

    /// Whom it is about; one at least.
    fn find(&self) -> Result<Vec<Seen>, Miss> {
        match &self.whom {
            Whom::PidFile(file) => of_file(file).map(|seen| vec![seen]),
            Whom::Process(name) => {
                let name = name.as_str();
                let unreadable = |e| wrong(format!("/proc cannot be read: {e}"), "mount it as every container has it");
                let found = topmost(name).map_err(unreadable)?;
                if found.is_empty() {
                    return Err(absent(format!("there is no process '{name}'"), format!("it has ended, or {SHARE}")));
                }
                Ok(found)
            }
        }
    }
}

/// Why nobody was found.
#[derive(Debug)]
enum Miss {
    /// It is not there, or not yet.
    Absent(HookError),
    /// Nobody can be found in this way, until a person has mended it.
    Wrong(HookError),
}

impl From<Miss> for HookError {
    fn from(miss: Miss) -> Self {
        match miss {
            Miss::Absent(error) | Miss::Wrong(error) => error,
        }
    }
}

fn absent(reason: String, fix: impl Into<String>) -> Miss {
    Miss::Absent(HookError::new(reason, fix))
}

fn wrong(reason: String, fix: impl Into<String>) -> Miss {
    Miss::Wrong(HookError::new(reason, fix))
}

fn of_file(file: &Path) -> Result<Seen, Miss> {
    let shown = file.display();
    let (pid, written) = read(file)?;
    // In a namespace of its own a process is the first, or has the number of any other here.
    if pid.is_init() || pid == getpid() {
        let whose = if pid == getpid() { "keyferry's own number" } else { "the number of the first process" };
        return Err(wrong(
            format!("{shown} holds {}, {whose}, which is not signalled", pid.as_raw_nonzero()),
            format!("whoever wrote it counts otherwise: {SHARE}, or name the process instead"),
        ));
    }
    let seen = Seen::look(pid).ok_or_else(|| {
        let reason = format!("{shown} holds {}, and there is no such process", pid.as_raw_nonzero());
        absent(reason, format!("it has ended, or {SHARE}"))
    })?;
    // Nobody can have written down the number of a process that was yet to begin: its writer has ended and left it.
    if seen.began() > written.saturating_add(SLACK) {
        return Err(absent(
            format!("{shown} holds {}, the number of a process that began after it was written", pid.as_raw_nonzero()),
            "whoever wrote it has ended: let it write its number when it starts, or name the process instead",
        ));
    }
    Ok(seen)
}

/// The number in the first line, and when it was written, as a time since 1970.
fn read(file: &Path) -> Result<(Pid, Duration), Miss> {
    let shown = file.display();
    let unreadable = |e: std::io::Error| match e.kind() {
        ErrorKind::NotFound => {
            let fix = "its writer has not started, or the volume it lies on is not mounted in keyferry's container too";
            absent(format!("there is no pid file {shown}"), fix)
        }
        _ => wrong(format!("{shown} cannot be read: {e}"), "let keyferry's uid read it"),
    };
    // Opening anything else, a FIFO say, could block for ever.
    let metadata = std::fs::metadata(file).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(wrong(
            format!("{shown} is no regular file"),
            "name the file that the process writes its number to",
        ));
    }
    let nanos = u32::try_from(metadata.mtime_nsec()).unwrap_or_default();
    let written = Duration::new(u64::try_from(metadata.mtime()).unwrap_or_default(), nanos);
    let mut text = Vec::new();
    File::open(file).and_then(|file| file.take(LONGEST_PID_FILE).read_to_end(&mut text)).map_err(unreadable)?;
    let text = String::from_utf8_lossy(&text);
    let number = text.lines().next().and_then(|line| line.trim().parse().ok()).filter(|number| *number > 0);
    let number = number.and_then(Pid::from_raw).ok_or_else(|| {
        let fix = "name the file that the process writes its number to";
        wrong(format!("the first line of {shown} is not the number of a process"), fix)
    })?;
    Ok((number, written))
}

fn send(seen: &Seen, signal: Signal) -> Result<(), HookError> {
    let sent = pidfd_open(seen.pid, PidfdFlags::empty()).and_then(|handle| {
        // Between the look and the opening its number may have become another's; from now on it cannot.
        match Seen::look(seen.pid) {
            Some(now) if now.is(seen) => pidfd_send_signal(handle, of(signal)),
            _ => Err(Errno::SRCH),
        }
    });
    let pid = seen.pid.as_raw_nonzero();
    sent.map_err(|errno| match errno {
        Errno::SRCH => HookError::new(format!("process {pid} has ended meanwhile"), "it is looked for again"),
        Errno::PERM => not_allowed(seen),
        Errno::NOSYS => HookError::new(
            "this kernel has no handles of processes (pidfd, Linux 5.3)",
            "use an 'http' hook, or let the application watch the directory",
        ),
        errno => {
            HookError::new(format!("process {pid} cannot be signalled: {errno}"), "see what kill(2) says of this error")
        }
    })
}

/// The first process of a shared namespace is the pod's own.
fn not_shared(reason: &str) -> HookError {
    HookError::new(
        format!("{reason}, and the process namespace is not shared: the first process in it is keyferry itself"),
        "set 'shareProcessNamespace: true' in the pod's spec",
    )
}

fn not_allowed(seen: &Seen) -> HookError {
    let (pid, ours) = (seen.pid.as_raw_nonzero(), geteuid().as_raw());
    match seen.uids() {
        Some((real, saved)) if real != ours && saved != ours => HookError::new(
            format!("process {pid} runs as uid {real} and keyferry as uid {ours}, which may not signal it"),
            "run both under one uid ('runAsUser' in their securityContext), or use an 'http' hook",
        ),
        _ => HookError::new(
            format!("process {pid} may not be signalled, though keyferry runs as its uid, {ours}"),
            "a seccomp profile, a security module or a user namespace forbids it: allow it, or use an 'http' hook",
        ),
    }
}

/// The kernel's number of a signal.
pub fn of(signal: Signal) -> rustix::process::Signal {
    use rustix::process::Signal as Kernel;
    match signal {
        Signal::Hangup => Kernel::HUP,
        Signal::Interrupt => Kernel::INT,
        Signal::Quit => Kernel::QUIT,
        Signal::Terminate => Kernel::TERM,
        Signal::User1 => Kernel::USR1,
        Signal::User2 => Kernel::USR2,
        Signal::WindowChange => Kernel::WINCH,
    }
}

#[cfg(test)]
mod tests;

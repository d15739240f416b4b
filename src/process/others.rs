//! Other processes, as `/proc` tells of them (proc(5)). What it says of a number is true for a moment only.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is where the kernel is asked about processes"
)]

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::time::Duration;

use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, RawPid, getpid};
use rustix::time::{ClockId, clock_gettime};

/// No first argument that is a path is longer.
const LONGEST_ARGUMENT: u64 = 4096;

/// A living process, as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) pid: Pid,
    parent: RawPid,
    /// What the kernel calls it: 15 bytes at most.
    comm: String,
    /// In ticks since the machine began. Of two processes of one number it tells which is meant.
    pub(super) started: u64,
}

impl Seen {
    /// The process of this number; none if there is none, or nothing but its exit status is left of it.
    pub(super) fn look(pid: Pid) -> Option<Self> {
        parse(pid, &read(pid, "stat")?)
    }

    /// Whether it is this one, and still runs what it ran.
    pub(super) fn is(&self, other: &Self) -> bool {
        (self.pid, self.started, &self.comm) == (other.pid, other.started, &other.comm)
    }

    /// When it began, by the wall clock as it goes now, as a time since 1970.
    pub(super) fn began(&self) -> Duration {
        let ticks =
            u128::from(self.started).saturating_mul(1_000_000_000) / u128::from(clock_ticks_per_second().max(1));
        let since_boot = Duration::from_nanos(u64::try_from(ticks).unwrap_or(u64::MAX));
        let now = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
        let age = now(ClockId::Boottime).saturating_sub(since_boot);
        now(ClockId::Realtime).saturating_sub(age)
    }

    /// As `pidof` compares: what the kernel calls it, which for a script is the script's name and for some programs is
    /// what they call themselves; or the name it was started by, which has no limit.
    fn is_named(&self, name: &str) -> bool {
        self.comm == name || self.program().is_some_and(|program| program == name)
    }

    /// The last part of its first argument.
    fn program(&self) -> Option<String> {
        let arguments = read(self.pid, "cmdline")?;
        arguments.split('\0').next()?.rsplit('/').next().map(str::to_owned)
    }

    /// The uids that decide who may signal it: the real and the saved one.
    pub(super) fn uids(&self) -> Option<(u32, u32)> {
        let status = read(self.pid, "status")?;
        let mut uids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace();
        Some((uids.next()?.parse().ok()?, uids.nth(1)?.parse().ok()?))
    }
}

/// All processes of this name but ourselves, without those whose parent is one too: of a server the master, not its
/// workers.
pub(super) fn topmost(name: &str) -> io::Result<Vec<Seen>> {
    let mut named = everybody()?;
    named.retain(|seen| seen.pid != getpid() && seen.is_named(name));
    let numbers: BTreeSet<RawPid> = named.iter().map(|seen| seen.pid.as_raw_nonzero().get()).collect();
    named.retain(|seen| !numbers.contains(&seen.parent));
    Ok(named)
}

/// Whether this namespace of processes holds nobody but keyferry, and what it has started: then no application's are in it.
pub(super) fn is_alone() -> bool {
    everybody().is_ok_and(|all| are_all_of(getpid(), &all))
}

/// Whoever has no parent here came from outside: with the container that the namespace began with, or into it. One whose
/// first process is not to be seen hides others too.
fn are_all_of(own: Pid, all: &[Seen]) -> bool {
    let comm = |pid| all.iter().find(|seen| seen.pid == pid).map(|seen| &seen.comm);
    let ours = comm(own);
    let from_outside = all.iter().filter(|seen| seen.parent == 0 || seen.pid.is_init());
    ours.is_some() && comm(Pid::INIT) == ours && from_outside.map(|seen| &seen.comm).all(|comm| Some(comm) == ours)
}

fn everybody() -> io::Result<Vec<Seen>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        all.extend(number.and_then(Seen::look));
    }
    Ok(all)
}

fn read(pid: Pid, file: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let file = File::open(format!("/proc/{}/{file}", pid.as_raw_nonzero())).ok()?;
    file.take(LONGEST_ARGUMENT).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// `pid (comm) state ppid …`; the name may hold anything, brackets too.
fn parse(pid: Pid, stat: &str) -> Option<Seen> {
    let (comm, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    // Field 22 of all, of which 4 are behind.
    let started = fields.nth(17)?.parse().ok()?;
    let is_alive = !matches!(state, "Z" | "X");
    is_alive.then(|| Seen { pid, parent, comm: comm.to_owned(), started })
}

#[cfg(test)]
mod tests;

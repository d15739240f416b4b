//! `keyferry exec`: a command gets values where its variables refer to them, and is otherwise what it would be without.

mod process;
mod resolution;
mod rotation;
mod signals;
mod terminal;

use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Ended, SOON, World, eventually};

const KEYFERRY: &str = env!("CARGO_BIN_EXE_keyferry");

fn world() -> World {
    let world = World::new();
    for (name, value) in [("db", "canary-db"), ("user", "app"), ("other", "x")] {
        world.emulator.put_secret("demo", name, value);
    }
    world
}

/// A program with no signal ignored and no terminal, whatever the tests were started by (nohup, a shell).
fn apart(words: &[&str]) -> Command {
    let mut command = Command::new("/usr/bin/env");
    command.env_clear().args(["--default-signal", "setsid"]).args(words).env("PATH", "/usr/bin:/bin");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn plain(args: &[&str]) -> Command {
    apart(&[&[KEYFERRY], args].concat())
}

/// The command of a pod: no file, the reference in a variable. The cloud is the emulator's.
fn exec(world: &World, config: &str, args: &[&str], script: &str) -> Command {
    let mut command = plain(&[&["exec", "--log-level", "info"], args, &["--", "/bin/sh", "-c", script]].concat());
    let config = format!("{}{config}", world.preamble(&["demo"]));
    command.envs(world.environment()).env("KEYFERRY_CONFIG_YAML", config);
    command
}

/// The same as the first process of a namespace of its own, as in a container.
fn as_the_first(plain: &Command) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]).arg(plain.get_program()).args(plain.get_args());
    command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

pub fn stdout(ended: &Ended) -> String {
    String::from_utf8(ended.stdout.clone()).unwrap()
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).unwrap()).unwrap()
}

/// What it has started and not taken the end of.
fn children(of: Pid) -> Vec<Pid> {
    let listed = fs::read_to_string(format!("/proc/{0}/task/{0}/children", of.as_raw_nonzero())).unwrap_or_default();
    listed.split_whitespace().map(|number| pid(number.parse().unwrap())).collect()
}

/// As proc(5) writes it; `X` if it is gone.
fn state(of: Pid) -> char {
    let stat = fs::read_to_string(format!("/proc/{}/stat", of.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).unwrap_or('X')
}

#[track_caller]
fn until_state(of: Pid, is_meant: impl Fn(char) -> bool) {
    assert!(eventually(SOON, || is_meant(state(of)).then_some(())).is_some(), "{of:?} is still {}", state(of));
}

/// A command that runs, whose output is read.
pub struct App {
    child: Child,
    lines: Receiver<String>,
}

impl App {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::inherit()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        Self::reading(child, stdout)
    }

    fn reading(child: Child, output: impl Read + Send + 'static) -> Self {
        let (tell, lines) = channel();
        let output = BufReader::new(output);
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Self { child, lines }
    }

    #[track_caller]
    pub fn next(&mut self) -> Option<String> {
        match self.lines.recv_timeout(SOON) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("it says nothing"),
        }
    }

    /// All lines until one that is this.
    #[track_caller]
    fn until(&mut self, last: &str) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.next() {
            if line == last {
                return lines;
            }
            lines.push(line);
        }
        panic!("no {last:?} in {lines:#?}");
    }

    fn pid(&self) -> Pid {
        pid(self.child.id())
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    pub fn end(mut self) -> i32 {
        let status = eventually(SOON, || self.child.try_wait().unwrap()).expect("it ends");
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
    }
}

impl Drop for App {
    /// With all that it has started, as a pod's end would.
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            kill_all(self.pid());
            self.child.wait().unwrap();
        }
    }
}

fn kill_all(of: Pid) {
    let children = children(of);
    kill_process(of, Signal::KILL).ok();
    children.into_iter().for_each(kill_all);
}

/// A shell that says which signals it gets. It ends by SIGTERM, with 3.
pub const LISTENS: &str = "trap 'echo HUP' HUP; trap 'echo INT' INT; trap 'echo USR1' USR1; trap 'echo USR2' USR2; \
                       trap 'echo CONT' CONT; trap 'echo WINCH' WINCH; trap 'echo TERM; exit 3' TERM; echo ready; \
                       while :; do sleep 0.05; done";

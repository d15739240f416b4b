//! At a terminal: who hears what is typed, who is stopped, and who reads.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, OutputModes, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

use super::{App, KEYFERRY, LISTENS, pid, until_state};
use crate::harness::{SOON, eventually};

/// What a person sits at.
struct Terminal(File);

impl Terminal {
    /// Starts the first process of a session at it, as a container's is that has one. It shows nothing that is typed.
    fn start(words: &[&str]) -> (Self, std::process::Child) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let side = open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let mut modes = tcgetattr(&side).unwrap();
        modes.local_modes.remove(LocalModes::ECHO);
        modes.output_modes.remove(OutputModes::OPOST);
        tcsetattr(&side, OptionalActions::Now, &modes).unwrap();
        let mut command = Command::new("/usr/bin/env");
        command.env_clear().args(["--default-signal", "setsid", "--ctty"]).args(words).env("PATH", "/usr/bin:/bin");
        command
            .env("KEYFERRY", KEYFERRY)
            .env("READS", LISTENS.replace("sleep 0.05", "read x"))
            .env("PS1", "")
            .env("TERM", "dumb");
        let end = || Stdio::from(side.try_clone().unwrap());
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        (Self(File::from(master)), child)
    }

    fn app(words: &[&str]) -> (Self, App) {
        let (terminal, child) = Self::start(words);
        let output = terminal.0.try_clone().unwrap();
        (terminal, App::reading(child, output))
    }

    fn types(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }
}

const INTERRUPT: &str = "\x03";
const SUSPEND: &str = "\x1a";

#[test]
fn what_is_typed_reaches_the_command_once() {
    let (mut terminal, mut app) = Terminal::app(&[KEYFERRY, "exec", "--", "/bin/sh", "-c", LISTENS]);
    app.until("ready");
    for _ in 0..3 {
        terminal.types(INTERRUPT);
        assert_eq!(app.next().unwrap(), "INT");
        let rows = if tcsetwinsize_rows(&terminal) == 24 { 25 } else { 24 };
        let size = Winsize { ws_row: rows, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&terminal.0, size).unwrap();
        assert_eq!(app.next().unwrap(), "WINCH");
    }
    // Whatever else were on its way would come before.
    app.signal(Signal::TERM);
    assert_eq!((app.next().unwrap().as_str(), app.end()), ("TERM", 3));
}

fn tcsetwinsize_rows(terminal: &Terminal) -> u16 {
    rustix::termios::tcgetwinsize(&terminal.0).unwrap().ws_row
}

#[test]
fn what_ends_the_command_ends_keyferry_with_its_code() {
    let (mut terminal, mut app) =
        Terminal::app(&[KEYFERRY, "exec", "--", "/bin/sh", "-c", "echo ready; exec sleep 1000"]);
    app.until("ready");
    terminal.types(INTERRUPT);
    assert_eq!(app.end(), 128 + 2);
}

#[test]
fn the_command_reads_what_is_typed() {
    for once in ["", "--once"] {
        let script = format!("\"$KEYFERRY\" exec {once} -- sh -c 'echo ready; read x; echo \"got $x\"; exit 4'");
        let (mut terminal, mut app) = Terminal::app(&["/bin/sh", "-c", &script]);
        app.until("ready");
        terminal.types("some words\n");
        assert_eq!(app.next().unwrap(), "got some words");
        assert_eq!(app.end(), 4);
    }
}

#[test]
fn a_shell_stops_both_and_lets_both_go_on() {
    let (mut terminal, mut app) = Terminal::app(&["/bin/sh", "-i"]);
    terminal.types("\"$KEYFERRY\" exec -- /bin/sh -c 'echo \"$$ $PPID pids\"; eval \"$READS\"'\n");
    let pids = loop {
        let line = app.next().unwrap();
        if line.ends_with(" pids") {
            break line;
        }
    };
    let mut pids = pids.split(' ').map_while(|word| word.parse().ok()).map(pid);
    let (child, keyferry): (Pid, Pid) = (pids.next().unwrap(), pids.next().unwrap());
    app.until("ready");
    for _ in 0..2 {
        terminal.types(SUSPEND);
        until_state(child, |state| state == 'T');
        until_state(keyferry, |state| state == 'T');
        terminal.types("echo stopped $?\n");
        let stopped = format!("stopped {}", 128 + Signal::TSTP.as_raw());
        app.until(&stopped);
        terminal.types("fg\n");
        app.until("CONT");
        until_state(child, |state| state != 'T');
        until_state(keyferry, |state| state != 'T');
        terminal.types(INTERRUPT);
        // The shell wakes the command, and keyferry does so too: it cannot know who else was told.
        let heard = app.until("INT");
        assert!(heard.iter().all(|line| line == "CONT"), "{heard:?}");
    }
    kill_process(keyferry, Signal::TERM).unwrap();
    let heard = app.until("TERM");
    assert!(heard.iter().all(|line| line == "CONT"), "{heard:?}");
    terminal.types("exit $?\n");
    assert_eq!(app.end(), 3);
}

#[test]
fn a_terminal_that_goes_away_is_told_to_the_command() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let script =
        format!("trap 'echo HUP > {}; exit 5' HUP; echo ready; while :; do sleep 0.05; done", file.path().display());
    let (terminal, mut child) = Terminal::start(&[KEYFERRY, "exec", "--", "/bin/sh", "-c", &script]);
    let mut output = BufReader::new(terminal.0);
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    drop(output);
    let status = eventually(SOON, || child.try_wait().unwrap()).expect("it ends");
    assert_eq!((status.code(), std::fs::read_to_string(file.path()).unwrap().as_str()), (Some(5), "HUP\n"));
}

//! Hooks as an application sees them: real processes that are signalled, real listeners that are posted to.

mod posts;
mod signals;
mod when;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::harness::{Running, SOON, binary, eventually, until_holds};

/// Two secrets, `a` and `b`, that are files, and one directory.
pub struct Bench {
    root: TempDir,
}

/// Nothing of this may be told to anybody.
pub const CANARY: &str = "cAnAry-hunter2";

impl Bench {
    pub fn new() -> Self {
        let root = tempfile::Builder::new().prefix("keyferry-hooks-").tempdir_in("/dev/shm").unwrap();
        // Other uids take part in some tests.
        for (dir, mode) in [("", 0o755), ("out", 0o777), ("in", 0o777)] {
            fs::create_dir_all(root.path().join(dir)).unwrap();
            fs::set_permissions(root.path().join(dir), fs::Permissions::from_mode(mode)).unwrap();
        }
        let bench = Self { root };
        bench.put("a", "0");
        bench.put("b", "0");
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Gives a secret a value, which will be fetched when the agent is told to.
    pub fn put(&self, name: &str, value: &str) {
        fs::write(self.path("in").join(name), format!("{CANARY}-{value}")).unwrap();
    }

    pub fn config(&self, hooks: &str) -> String {
        let (input, out) = (self.path("in"), self.path("out"));
        let (input, out) = (input.display(), out.display());
        format!(
            "secrets: {{a: file:{input}/a, b: file:{input}/b}}\nfiles: {{dir: {out}}}\n\
             refresh: {{interval: 7d, settle: 0s}}\nonChange:\n{hooks}\n"
        )
    }

    pub fn command(&self, hooks: &str) -> Command {
        let mut command = binary(&["run", "--log-level", "debug"]);
        command.env("KEYFERRY_CONFIG_YAML", self.config(hooks));
        command
    }

    /// Runs, and has published.
    pub fn run(&self, hooks: &str) -> Running {
        self.started(&mut self.command(hooks))
    }

    pub fn started(&self, command: &mut Command) -> Running {
        let agent = Running::start(command);
        agent.wait_for("everything that was due has been asked for", 1);
        self.shows("b", &fs::read_to_string(self.path("in/b")).unwrap());
        agent
    }

    pub fn rotate(&self, agent: &Running, name: &str, value: &str) {
        self.put(name, value);
        agent.signal(Signal::HUP);
        self.shows(name, &format!("{CANARY}-{value}"));
    }

    fn shows(&self, name: &str, value: &str) {
        until_holds(&self.path("out").join(name), value);
    }
}

/// A name that no other process of this machine has, short enough for the kernel.
pub fn unique() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("kf{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A server in a shell script that writes down the signals it gets; it and what it has started end when this is dropped.
pub struct App {
    child: Child,
    dir: TempDir,
}

impl App {
    /// By this name.
    pub fn start(name: &str) -> Self {
        Self::with(name, "", None)
    }

    /// With more lines in its script, and under another uid. It hears of SIGUSR1 and SIGUSR2: SIGHUP may be ignored by
    /// whatever starts the tests (nohup does), and a shell cannot trap what was ignored when it began.
    pub fn with(name: &str, lines: &str, uid: Option<u32>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let script = dir.path().join(name);
        let text = format!(
            "#!/bin/sh\nlog=${{1:-$PWD/log}}\ntrap 'echo USR1 >> \"$log\"' USR1\ntrap 'echo USR2 >> \"$log\"' USR2\n\
             {lines}\necho ready >> \"$log\"\nwhile :; do sleep 0.02; done\n"
        );
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new(&script);
        if let Some(uid) = uid {
            command.uid(uid).gid(uid);
        }
        let app = Self::spawn(&mut command, dir);
        app.wait_for("ready");
        app
    }

    pub fn spawn(command: &mut Command, dir: TempDir) -> Self {
        command.current_dir(dir.path()).process_group(0).stdin(Stdio::null());
        // A script that was just written may still be open for writing in a child that another test has forked.
        let child = eventually(SOON, || match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => None,
            child => Some(child.unwrap()),
        });
        Self { child: child.unwrap(), dir }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it, or another of its processes, has written down.
    pub fn log(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.dir.path().join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub fn count(&self, line: &str) -> usize {
        self.log("log").iter().filter(|written| *written == line).count()
    }

    #[track_caller]
    pub fn wait_for(&self, line: &str) {
        self.wait_for_times(line, 1);
    }

    #[track_caller]
    pub fn wait_for_times(&self, line: &str, times: usize) {
        let written = eventually(SOON, || (self.count(line) >= times).then_some(()));
        assert!(written.is_some(), "no {line} x{times} in {:?}", self.log("log"));
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let group = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        kill_process_group(group, Signal::KILL).ok();
        self.child.wait().unwrap();
    }
}

//! `keyferry exec`: a command gets values where its variables refer to them, and is otherwise what it would be without.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use keyferry_emulator::Settings;
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Ended, SOON, World, binary, end, eventually, root_or_skip};

fn world() -> World {
    let world = World::new();
    for (name, value) in [("db", "canary-db"), ("user", "app"), ("other", "x")] {
        world.emulator.put_secret("demo", name, value);
    }
    world
}

/// The binary with no signal ignored, whatever the tests were started by (nohup, a shell in the background).
pub fn plain(args: &[&str]) -> Command {
    let mut command = Command::new("/usr/bin/env");
    command.env_clear().args(["--default-signal", env!("CARGO_BIN_EXE_keyferry")]).args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The command of a pod: no file, the reference in a variable. The cloud is the emulator's.
fn exec(world: &World, config: &str, args: &[&str], script: &str) -> Command {
    let mut command = plain(&[&["exec", "--log-level", "info"], args, &["--", "/bin/sh", "-c", script]].concat());
    let config = format!("{}{config}", world.preamble(&["demo"]));
    command.envs(world.environment()).env("KEYFERRY_CONFIG_YAML", config).env("PATH", "/usr/bin:/bin");
    command
}

pub fn stdout(ended: &Ended) -> String {
    String::from_utf8(ended.stdout.clone()).unwrap()
}

#[test]
fn references_become_values_and_the_rest_stays() {
    let world = world();
    for once in [&[][..], &["--once"]] {
        let mut command = exec(
            &world,
            "secrets: {db: keyvault:demo/secrets/db, user: keyvault:demo/secrets/user}\n\
             env: {URL: {template: \"{{ secrets.user }}:{{ secrets.db }}\"}}\n",
            once,
            "env",
        );
        command
            .env("DB", "${{keyvault:demo/secrets/db}}")
            .env("VAULT", "https://demo.vault.azure.net/")
            .env("PLAIN", "a b");
        let ended = end(&mut command);
        ended.expect(0, &[]);
        let text = stdout(&ended);
        let variables: Vec<&str> = text.lines().collect();
        for expected in ["DB=canary-db", "URL=app:canary-db", "VAULT=https://demo.vault.azure.net/", "PLAIN=a b"] {
            assert!(variables.contains(&expected), "no {expected} in {text}");
        }
        assert!(variables.iter().any(|line| line.starts_with("AZURE_FEDERATED_TOKEN_FILE=")), "{text}");
        assert!(!text.contains("KEYFERRY_"), "{text}");
        assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
    }
}

#[test]
fn nothing_is_started_without_what_it_needs() {
    let world = world();
    let run = |name: &str, value: &str, config: &str| {
        let mut command = exec(&world, config, &[], "echo started");
        let ended = end(command.env(name, value));
        assert!(ended.stdout.is_empty(), "{ended:?}");
        ended
    };
    let short = "startup: {timeout: 1s}\n";
    run("DB", "keyvault:demo/secrets/absent", short).expect(69, &["env.DB", "SecretNotFound"]);
    run("DB", "keyvault:demo", short).expect(78, &["the variable DB: "]);
    run("DB", "keyvault:https://other.vault.localhost/secrets/x", short)
        .expect(78, &["the variable DB: ", "none of 'vaults'"]);
    run("T", "entra:https://x/.default", short).expect(78, &["the variable T: ", "exec.tokenScopes"]);
    let both = "secrets: {db: keyvault:demo/secrets/db}\nenv: {DB: {secret: db}}\n";
    run("DB", "keyvault:demo/secrets/db", both).expect(78, &["keep one"]);
}

#[test]
fn only_what_is_wanted_and_no_identity() {
    let world = world();
    let mut command = exec(&world, "", &["--only", "A", "--strip-identity"], "env");
    command.env("A", "keyvault:demo/secrets/user").env("B", "keyvault:nonsense").env("MSI_SECRET", "s");
    let ended = end(&mut command);
    ended.expect(0, &[]);
    let text = stdout(&ended);
    assert!(text.contains("A=app\n") && text.contains("B=keyvault:nonsense\n"), "{text}");
    assert!(!text.contains("AZURE_") && !text.contains("MSI_"), "{text}");
}

#[test]
fn it_ends_as_the_command_does() {
    let world = world();
    for once in [&[][..], &["--once"]] {
        for (script, code) in [("exit 0", 0), ("exit 7", 7), ("exit 255", 255)] {
            assert_eq!(end(&mut exec(&world, "", once, script)).code, Some(code), "{script}");
        }
        assert_eq!(end(&mut exec(&world, "", once, "kill -KILL $$")).code, Some(137));
        assert_eq!(end(&mut exec(&world, "", once, "kill -USR1 $$")).code, Some(128 + 10));
        let mut absent = binary(&[&["exec"], once, &["--", "/no/such/command"]].concat());
        end(&mut absent).expect(127, &["/no/such/command cannot be started"]);
        let mut directory = binary(&[&["exec"], once, &["--", "/"]].concat());
        end(&mut directory).expect(126, &["/ cannot be started"]);
    }
    end(&mut binary(&["exec"])).expect(64, &["CMD"]);
}

/// A command that runs, whose output is read.
pub struct App {
    child: Child,
    lines: Receiver<String>,
}

impl App {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::inherit()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
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

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    pub fn end(mut self) -> i32 {
        let status = eventually(SOON, || self.child.try_wait().unwrap()).expect("it ends");
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
    }
}

impl Drop for App {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}

/// A shell that says which signals it gets. It ends by SIGTERM, with 3.
pub const LISTENS: &str = "trap 'echo HUP' HUP; trap 'echo INT' INT; trap 'echo USR1' USR1; trap 'echo USR2' USR2; \
                       trap 'echo CONT' CONT; trap 'echo TERM; exit 3' TERM; echo ready; while :; do sleep 0.05; done";

#[test]
fn signals_are_the_command_s() {
    let world = world();
    let mut command = exec(&world, "", &[], LISTENS);
    let mut app = App::start(command.env("DB", "keyvault:demo/secrets/db"));
    assert_eq!(app.next().unwrap(), "ready");
    for (signal, heard) in [
        (Signal::HUP, "HUP"),
        (Signal::INT, "INT"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
        (Signal::CONT, "CONT"),
        (Signal::TERM, "TERM"),
    ] {
        app.signal(signal);
        assert_eq!(app.next().unwrap(), heard);
    }
    assert_eq!(app.end(), 3);
}

#[test]
fn as_the_first_process_it_passes_signals_on_and_leaves_no_zombie() {
    if !root_or_skip() {
        return;
    }
    let world = world();
    // A thousand orphans, which a container's first process inherits; then the command counts the zombies.
    let script = "i=0; while [ $i -lt 1000 ]; do (true &) ; i=$((i+1)); done; \
                  while grep -qs '^State:.Z' /proc/[0-9]*/status; do sleep 0.05; done; echo clean; \
                  trap 'echo TERM; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    let plain = exec(&world, "", &[], script);
    let mut command = Command::new("unshare");
    command
        .args(["--pid", "--fork", "--mount-proc", "--kill-child"])
        .arg(plain.get_program())
        .args(plain.get_args())
        .env_clear();
    for (name, value) in plain.get_envs() {
        command.env(name, value.unwrap());
    }
    command.env("DB", "keyvault:demo/secrets/db").stdin(Stdio::null()).stdout(Stdio::piped());
    let mut app = App::start(&mut command);
    assert_eq!((app.next().unwrap(), app.next().unwrap()), ("clean".to_owned(), "ready".to_owned()));
    // unshare waits for its child, which is the first process there.
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", app.child.id())).unwrap();
    let first = Pid::from_raw(children.trim().parse().unwrap()).unwrap();
    kill_process(first, Signal::TERM).unwrap();
    assert_eq!(app.next().unwrap(), "TERM");
    assert_eq!(app.end(), 5);
}

#[test]
fn the_command_is_what_it_would_be_without() {
    let world = world();
    let script = "umask; ulimit -c; ulimit -n; grep -E '^(SigBlk|SigIgn|SigCgt)' /proc/self/status; ls /proc/self/fd | wc -l; pwd";
    let direct = |command: &str| {
        let limits = format!("umask 027; ulimit -c 100; ulimit -n 777; exec {command}");
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &limits, "sh", script]).env_clear().envs(world.environment()).stdin(Stdio::null());
        shell.env("KEYFERRY_CONFIG_YAML", world.preamble(&["demo"])).env("PATH", "/usr/bin:/bin");
        let told = stdout(&end(shell.stdout(Stdio::piped()).stderr(Stdio::piped())));
        // The C library keeps the signals from 32 on to itself.
        let line = |line: &str| match line.split_once(":\t") {
            Some((name, set)) => format!("{name} {:x}\n", u64::from_str_radix(set, 16).unwrap() & 0x7fff_ffff),
            None => format!("{line}\n"),
        };
        told.lines().map(line).collect::<String>()
    };
    let keyferry = env!("CARGO_BIN_EXE_keyferry");
    let plain = direct("/bin/sh -c \"$1\"");
    assert_eq!(direct(&format!("{keyferry} exec -- /bin/sh -c \"$1\"")), plain);
    assert_eq!(direct(&format!("{keyferry} exec --once -- /bin/sh -c \"$1\"")), plain);
    assert!(plain.starts_with("0027\n100\n777\n"), "{plain}");
}

#[test]
fn keyferry_s_own_environment_holds_no_value() {
    let world = world();
    let mut command = exec(&world, "", &[], "echo $$; while :; do sleep 0.05; done");
    let mut app = App::start(command.env("DB", "keyvault:demo/secrets/db"));
    let child = app.next().unwrap();
    let environ = |pid: &str| {
        let bytes = String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/environ")).unwrap()).into_owned();
        bytes.split_terminator('\0').map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let given: BTreeSet<String> = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?)))
        .filter(|(name, _)| !name.starts_with("KEYFERRY_"))
        .map(|(name, value)| format!("{name}={}", if name == "DB" { "canary-db" } else { value }))
        .collect();
    let got: BTreeSet<String> = environ(&child)
        .into_iter()
        .filter(|variable| !variable.starts_with("PWD=") && !variable.starts_with("_="))
        .collect();
    assert_eq!(got, given);
    if root_or_skip() {
        assert!(environ(&app.child.id().to_string()).iter().all(|variable| !variable.contains("canary")));
    }
    app.signal(Signal::KILL);
    // What would be left behind here a pod's end takes away.
    kill_process(Pid::from_raw(child.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
}

const FOLLOWED: &str =
    "refresh: {interval: 1s, settle: 0s}\nexec: {tokenScopes: [\"https://cognitiveservices.azure.com/.default\"]}\n";

#[test]
fn a_rotation_restarts_it_with_the_new_values() {
    let world = world();
    let script = "trap 'echo ending; exit 0' TERM; echo \"$DB $USER_NAME\"; while :; do sleep 0.05; done";
    let mut command = exec(&world, FOLLOWED, &["--on-change", "restart"], script);
    command.env("DB", "keyvault:demo/secrets/db").env("USER_NAME", "keyvault:demo/secrets/user");
    let mut app = App::start(&mut command);
    assert_eq!(app.next().unwrap(), "canary-db app");
    world.emulator.put_secret("demo", "db", "canary-2");
    assert_eq!(app.next().unwrap(), "ending");
    assert_eq!(app.next().unwrap(), "canary-2 app");
    app.signal(Signal::TERM);
    assert_eq!(app.next().unwrap(), "ending");
    assert_eq!(app.end(), 0);
}

#[test]
fn a_rotation_is_told_by_a_signal_and_only_of_what_it_has() {
    let world = world();
    let config = format!("{FOLLOWED}secrets: {{other: keyvault:demo/secrets/other}}\n");
    let mut command = exec(&world, &config, &["--on-change", "SIGUSR1"], LISTENS);
    let mut app = App::start(command.env("DB", "keyvault:demo/secrets/db"));
    assert_eq!(app.next().unwrap(), "ready");
    let asked = || world.emulator.requests().iter().filter(|request| request.path.ends_with("/db")).count();
    world.emulator.put_secret("demo", "other", "y");
    let before = asked();
    assert!(eventually(SOON, || (asked() > before + 1).then_some(())).is_some());
    world.emulator.put_secret("demo", "db", "canary-2");
    assert_eq!(app.next().unwrap(), "USR1", "the first of them");
    world.emulator.put_secret("demo", "db", "canary-3");
    assert_eq!(app.next().unwrap(), "USR1");
    app.signal(Signal::TERM);
    assert_eq!(app.next().unwrap(), "TERM");
    assert_eq!(app.end(), 3);
}

#[test]
fn one_that_dies_after_a_rotation_is_not_hidden() {
    let world = world();
    let script = "test \"$DB\" = canary-db || exit 9; echo up; while :; do sleep 0.05; done";
    let mut command = exec(&world, FOLLOWED, &["--on-change", "restart"], script);
    let mut app = App::start(command.env("DB", "keyvault:demo/secrets/db"));
    assert_eq!(app.next().unwrap(), "up");
    world.emulator.put_secret("demo", "db", "canary-2");
    assert_eq!(app.end(), 9);
}

#[test]
fn one_that_does_not_end_is_killed_after_its_grace() {
    let world = world();
    let config = format!("{}\n", FOLLOWED.replace("exec: {", "exec: {gracePeriod: 1s, onChange: restart, "));
    let script = "trap '' TERM; echo \"$DB\"; while :; do sleep 0.05; done";
    let mut command = exec(&world, &config, &[], script);
    let mut app = App::start(command.env("DB", "keyvault:demo/secrets/db"));
    assert_eq!(app.next().unwrap(), "canary-db");
    world.emulator.put_secret("demo", "db", "canary-2");
    assert_eq!(app.next().unwrap(), "canary-2");
    app.signal(Signal::QUIT);
    assert_eq!(app.end(), 128 + 3);
}

#[test]
fn what_cannot_be_started_with_takes_nothing_away_that_runs() {
    let world = world();
    let script = "echo \"$DB\"; while :; do sleep 0.05; done";
    let mut command = exec(&world, FOLLOWED, &["--on-change", "restart"], script);
    let mut app = App::start(command.env("DB", "keyvault:demo/secrets/db").stderr(Stdio::piped()));
    assert_eq!(app.next().unwrap(), "canary-db");
    world.emulator.put_secret("demo", "db", "no\0thing");
    let asked = || world.emulator.requests().len();
    let before = asked();
    assert!(eventually(SOON, || (asked() > before + 30).then_some(())).is_some());
    assert!(app.child.try_wait().unwrap().is_none());
    world.emulator.put_secret("demo", "db", "canary-3");
    assert_eq!(app.next().unwrap(), "canary-3");
    app.signal(Signal::TERM);
    assert_eq!(app.end(), 128 + 15);
}

#[test]
fn a_restart_leaves_nothing_of_the_old_behind_and_goes_on_through_a_hangup() {
    let world = world();
    // A server under a shell, which does not pass anything on.
    let script = "trap 'echo HUP' HUP; sleep 1000 & echo \"$DB $!\"; while :; do sleep 0.05; done";
    let config = FOLLOWED.replace("exec: {", "exec: {gracePeriod: 2s, ");
    let mut command = exec(&world, &config, &["--on-change", "restart"], &format!("trap '' TERM; {script}"));
    let mut app = App::start(command.env("DB", "keyvault:demo/secrets/db"));
    let server = |line: String| line.split_once(' ').map(|(value, pid)| (value.to_owned(), pid.to_owned())).unwrap();
    let (_, old) = server(app.next().unwrap());
    world.emulator.put_secret("demo", "db", "canary-2");
    app.signal(Signal::HUP);
    let (value, new) = loop {
        match app.next().unwrap().as_str() {
            "HUP" => {}
            line => break server(line.to_owned()),
        }
    };
    assert_eq!(value, "canary-2");
    let is_gone =
        |pid: &str| fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "));
    assert!(eventually(SOON, || is_gone(&old).then_some(())).is_some());
    assert!(!is_gone(&new));
    app.signal(Signal::QUIT);
    assert_eq!(app.end(), 128 + 3);
    kill_process(Pid::from_raw(new.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn what_is_ignored_stays_ignored() {
    let world = world();
    let mut listed = exec(&world, "", &[], "grep SigIgn /proc/self/status");
    for once in ["", "--once"] {
        let mut command = Command::new("/usr/bin/env");
        let line = format!(
            "trap '' HUP USR2; exec {} exec {once} -- grep SigIgn /proc/self/status",
            env!("CARGO_BIN_EXE_keyferry")
        );
        command
            .args(["--default-signal", "/bin/sh", "-c", &line])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, value) in listed.get_envs() {
            command.env(name, value.unwrap());
        }
        let text = stdout(&end(&mut command));
        let set = u64::from_str_radix(text.trim().rsplit('\t').next().unwrap(), 16).unwrap();
        assert_eq!(set & 0x7fff_ffff, 1 | 1 << 11, "{text}");
    }
    end(&mut listed).expect(0, &[]);
}

#[test]
fn a_token_that_is_made_anew_is_no_change() {
    let world = World::with(Settings { token_lifetime: 6, ..Settings::default() });
    world.emulator.put_secret("demo", "db", "1");
    let mut command = exec(&world, FOLLOWED, &["--on-change", "SIGUSR1"], LISTENS);
    command.env("DB", "keyvault:demo/secrets/db").env("TOKEN", "entra:https://cognitiveservices.azure.com/.default");
    let mut app = App::start(&mut command);
    assert_eq!(app.next().unwrap(), "ready");
    let made = || {
        let is_made = |request: &&keyferry_emulator::Logged| request.service == keyferry_emulator::Service::Entra;
        world.emulator.requests().iter().filter(is_made).count()
    };
    let before = made();
    assert!(eventually(SOON, || (made() > before + 2).then_some(())).is_some());
    world.emulator.put_secret("demo", "db", "2");
    assert_eq!(app.next().unwrap(), "USR1");
    app.signal(Signal::TERM);
    assert_eq!((app.next().unwrap().as_str(), app.end()), ("TERM", 3));
}

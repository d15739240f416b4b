//! What becomes of the command when a value that it has is another.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Stdio;

use keyferry_emulator::Settings;
use rustix::process::{Pid, Signal, kill_process};

use super::{App, LISTENS, exec, plain, world};
use crate::harness::{Running, SOON, World, end, eventually, until_holds};

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

/// Starts a command by a link, which the test takes away; its log is read by whoever waits for it.
fn linked(world: &World, config: &str, script: &str) -> (PathBuf, Running) {
    let program = world.root.path().join("app");
    symlink("/bin/sh", &program).unwrap();
    let link = program.to_str().unwrap();
    let mut command = plain(&["exec", "--log-level", "info", "--on-change", "restart", "--", link, "-c", script]);
    let config = format!("{}{FOLLOWED}{config}", world.preamble(&["demo"]));
    command.envs(world.environment()).env("KEYFERRY_CONFIG_YAML", config).env("DB", "keyvault:demo/secrets/db");
    (program, Running::start(&mut command))
}

/// Which value the command has.
const SHOWS: &str = "echo \"$DB\" > \"$SHOWN\"; while :; do sleep 0.05; done";

#[test]
fn a_command_that_is_gone_is_not_ended_for_it() {
    let world = world();
    let shown = world.root.path().join("shown");
    let script = SHOWS.replace("$SHOWN", shown.to_str().unwrap());
    let (program, running) = linked(&world, "", &script);
    until_holds(&shown, "canary-db\n");
    fs::remove_file(&program).unwrap();
    world.emulator.put_secret("demo", "db", "canary-2");
    running.wait_for(&format!("'{}' is not there any more", program.display()), 1);
    // Nor for one that may not be executed.
    symlink("/etc/passwd", &program).unwrap();
    world.emulator.put_secret("demo", "db", "canary-3");
    running.wait_for(&format!("'{}' is no file any more that this user may execute", program.display()), 1);
    until_holds(&shown, "canary-db\n");
    assert_eq!(running.count("goes on with what it has"), 2, "{:#?}", running.lines());
    fs::remove_file(&program).unwrap();
    symlink("/bin/sh", &program).unwrap();
    // No other value is needed for it to be found again.
    until_holds(&shown, "canary-3\n");
    assert_eq!(running.end_by(Signal::TERM).0, Some(128 + 15));
}

#[test]
fn values_that_are_too_long_together_take_nothing_away_that_runs() {
    let world = world();
    // More than the kernel takes with any limit of the stack, though each of them is short enough.
    let many: Vec<String> = (0..60).map(|number| format!("V{number}: {{secret: other}}")).collect();
    let config = format!("secrets: {{other: keyvault:demo/secrets/other}}\nenv: {{{}}}\n", many.join(", "));
    let shown = world.root.path().join("shown");
    let script = format!("echo \"$DB ${{#V0}}\" > {}; while :; do sleep 0.05; done", shown.display());
    let (_, running) = linked(&world, &config, &script);
    until_holds(&shown, "canary-db 1\n");
    world.emulator.put_secret("demo", "other", &"x".repeat(120 << 10));
    running.wait_for("its arguments and variables would be 72", 1);
    running.wait_for("KiB together", 1);
    running.wait_for("'ulimit -s'", 1);
    until_holds(&shown, "canary-db 1\n");
    world.emulator.put_secret("demo", "other", "xx");
    until_holds(&shown, "canary-db 2\n");
    assert_eq!(running.end_by(Signal::TERM).0, Some(128 + 15));
    // At the start the exit code is a shell's.
    world.emulator.put_secret("demo", "other", &"x".repeat(120 << 10));
    let ended = end(&mut exec(&world, &config, &[], "echo started"));
    ended.expect(126, &["'/bin/sh' cannot be started", "KiB together"]);
    assert!(ended.stdout.is_empty());
}

//! What becomes of the command when a value that it has is another.

use std::fs;
use std::process::Stdio;

use keyferry_emulator::Settings;
use rustix::process::{Pid, Signal, kill_process};

use super::{App, LISTENS, exec, world};
use crate::harness::{SOON, World, eventually};

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

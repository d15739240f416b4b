//! Who is signalled, and what is said when nobody can be.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use super::{App, Bench, CANARY, unique};
use crate::harness::{binary, root_or_skip};

/// The uid that keyferry runs as where it matters.
const OURS: u32 = 10_001;

#[test]
fn the_process_of_this_name_gets_one_signal_for_each_change() {
    let (bench, name) = (Bench::new(), unique());
    let app = App::start(&name);
    let agent = bench.run(&format!("  - {{secrets: [a], signal: {{process: {name}, signal: USR1}}}}"));
    for round in 1..=3 {
        bench.rotate(&agent, "a", &round.to_string());
        agent.wait_for(&format!("hook done: SIGUSR1 to {name}; changed: a"), round);
        // Two signals that are pending at once would be one.
        app.wait_for_times("USR1", round);
        bench.rotate(&agent, "b", &round.to_string());
    }
    agent.wait_for("published generation", 7);
    let (code, lines) = agent.stop();
    assert_eq!(code, Some(0));
    assert_eq!(app.log("log"), ["ready", "USR1", "USR1", "USR1"], "none for the first, none for b");
    assert!(!lines.iter().any(|line| line.contains(CANARY)), "{lines:#?}");
}

#[test]
fn of_a_server_the_master_is_signalled_and_not_its_workers() {
    let (bench, name) = (Bench::new(), unique());
    let lines = "test $# = 0 && \"$0\" \"$PWD/worker\" &\nwhile test $# = 0 -a ! -s worker; do sleep 0.02; done";
    let app = App::with(&name, lines, None);
    assert_eq!(app.log("worker"), ["ready"]);
    let agent = bench.run(&format!("  - {{signal: {{process: {name}, signal: SIGUSR2}}}}"));
    bench.rotate(&agent, "a", "1");
    app.wait_for("USR2");
    agent.wait_for(&format!("hook done: SIGUSR2 to {name}"), 1);
    assert_eq!((app.log("log").len(), app.log("worker")), (2, vec!["ready".to_owned()]));
}

#[test]
fn all_of_several_are_signalled() {
    let (bench, name) = (Bench::new(), unique());
    let apps = [App::start(&name), App::start(&name)];
    let agent = bench.run(&format!("  - {{signal: {{process: {name}, signal: SIGUSR1}}}}"));
    bench.rotate(&agent, "b", "1");
    agent.wait_for(&format!("hook done: SIGUSR1 to {name}; changed: b"), 1);
    for app in &apps {
        app.wait_for("USR1");
        assert_eq!(app.count("USR1"), 1);
    }
}

#[test]
fn a_name_longer_than_the_kernels_is_the_one_it_was_started_by() {
    let (bench, name) = (Bench::new(), format!("{}-with-a-long-name", unique()));
    let script = "trap 'echo USR1 >> log' USR1; echo ready >> log; while :; do sleep 0.02; done";
    let mut command = Command::new("/bin/sh");
    let app = App::spawn(command.arg0(format!("/opt/{name}")).args(["-c", script]), tempfile::tempdir().unwrap());
    app.wait_for("ready");
    let agent = bench.run(&format!("  - {{signal: {{process: {name}, signal: SIGUSR1}}}}"));
    bench.rotate(&agent, "a", "1");
    app.wait_for("USR1");
}

#[test]
fn a_process_that_is_not_there_is_looked_for_until_it_is() {
    let (bench, name) = (Bench::new(), unique());
    let agent = bench.run(&format!("  - {{signal: {{process: {name}, signal: SIGUSR1}}}}"));
    bench.rotate(&agent, "a", "1");
    agent.wait_for(
        &format!(
            "hook failed: SIGUSR1 to {name}: there is no process '{name}'; it has ended, or the process namespace is \
             probably not shared: set 'shareProcessNamespace: true' in the pod's spec; trying again"
        ),
        1,
    );
    bench.rotate(&agent, "b", "1");
    let app = App::start(&name);
    app.wait_for("USR1");
    agent.wait_for(&format!("hook works again: SIGUSR1 to {name}; changed: a, b"), 1);
    let (_, lines) = agent.stop();
    assert_eq!(lines.iter().filter(|line| line.contains("hook failed")).count(), 1, "once: {lines:#?}");
    assert_eq!(app.count("USR1"), 1);
}

#[test]
fn a_pid_file_is_not_believed_blindly() {
    let (bench, name) = (Bench::new(), unique());
    let app = App::start(&name);
    let mut gone = Command::new("true").stdin(Stdio::null()).spawn().unwrap();
    gone.wait().unwrap();
    let file = bench.path("app.pid");
    let shown = file.display();
    let agent = bench.run(&format!("  - {{secrets: [a], signal: {{pidFile: {shown}, signal: SIGUSR1}}}}"));
    let not_signalled = "which is not signalled; whoever wrote it counts otherwise: the process namespace is probably";
    let no_number = format!("the first line of {shown} is not the number of a process");
    let first = format!("holds 1, the number of the first process, {not_signalled}");
    // A reason is told when it is another than before: so the same one is never expected twice in a row.
    let cases: [(&str, String); 10] = [
        ("1", first.clone()),
        (&agent.pid().to_string(), format!("holds {}, keyferry's own number, {not_signalled}", agent.pid())),
        (&gone.id().to_string(), format!("holds {}, and there is no such process", gone.id())),
        ("", no_number.clone()),
        ("1", first.clone()),
        ("nginx", no_number.clone()),
        ("1", first.clone()),
        ("-1", no_number.clone()),
        ("1 ", first),
        ("99999999999999999999", no_number),
    ];
    bench.rotate(&agent, "a", "none");
    agent.wait_for(&format!("there is no pid file {shown}; its writer has not started, or"), 1);
    for (number, (text, told)) in cases.iter().enumerate() {
        let before = agent.count(told);
        fs::write(&file, format!("{text}\n")).unwrap();
        bench.rotate(&agent, "a", &number.to_string());
        agent.wait_for(told, before + 1);
    }
    assert_eq!(app.count("USR1"), 0);
    // As PostgreSQL writes it.
    fs::write(&file, format!(" {}\n/var/lib/postgresql\n1764200000\n", app.pid())).unwrap();
    bench.rotate(&agent, "a", "good");
    app.wait_for("USR1");
    agent.wait_for(&format!("hook works again: SIGUSR1 to the process of {shown}; changed: a"), 1);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    bench.rotate(&agent, "a", "dir");
    agent.wait_for(&format!("{shown} is no regular file"), 1);
    assert_eq!(app.count("USR1"), 1);
}

#[test]
fn another_uids_process_is_told_apart_and_the_others_are_signalled_once() {
    if !root_or_skip() {
        return;
    }
    let (bench, name) = (Bench::new(), unique());
    let (ours, theirs) = (App::with(&name, "", Some(OURS)), App::start(&name));
    // A binary that the other uid can reach, wherever the tests were built.
    let program = bench.path("keyferry");
    fs::copy(env!("CARGO_BIN_EXE_keyferry"), &program).unwrap();
    let mut command = Command::new(&program);
    command.env_clear().args(["run", "--log-level", "debug"]).stdin(Stdio::null()).stderr(Stdio::piped());
    let config = bench.config(&format!("  - {{signal: {{process: {name}, signal: SIGUSR1}}}}"));
    let agent = bench.started(command.env("KEYFERRY_CONFIG_YAML", config).uid(OURS).gid(OURS));
    bench.put("a", "1");
    agent.signal(rustix::process::Signal::HUP);
    agent.wait_for(
        &format!(
            "process {} runs as uid 0 and keyferry as uid {OURS}, which may not signal it; run both under one uid",
            theirs.pid()
        ),
        1,
    );
    ours.wait_for("USR1");
    assert_eq!(theirs.count("USR1"), 0);
    drop(theirs);
    agent.wait_for(&format!("hook works again: SIGUSR1 to {name}; changed: a"), 1);
    assert_eq!(ours.count("USR1"), 1, "it is not told again because another could not be");
}

#[test]
fn a_configuration_that_names_no_process_is_78() {
    let config = "secrets: {a: file:/a}\nonChange:\n  - {signal: {process: /usr/sbin/nginx, signal: SIGUSR1}}\n";
    for command in ["run", "init"] {
        let ended = crate::harness::end(binary(&[command]).env("KEYFERRY_CONFIG_YAML", config));
        ended.expect(78, &["KEYFERRY_CONFIG_YAML:3:24: onChange.0.signal.process: expected a process's name"]);
    }
}

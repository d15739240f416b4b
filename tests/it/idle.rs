//! What a steady cycle does to the published directories: it looks whether they are what they were, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{SOON, World, eventually, root_or_skip, skip};

#[test]
fn a_cycle_in_which_nothing_has_changed_opens_no_file_that_is_published() {
    if !root_or_skip() {
        return;
    }
    let world = World::new();
    let mut config = world.config("refresh: {interval: 1s, settle: 0s}\nsecrets:\n");
    for number in 0..20 {
        world.emulator.put_secret("demo", &format!("s{number}"), "x");
        config.push_str(&format!("  s{number}: keyvault:demo/secrets/s{number}\n"));
    }
    let agent = world.run(&config);
    agent.wait_for("everything that was due has been asked for", 1);
    agent.wait_for("published generation", 1);
    let calls = world.root.path().join("calls");
    let strace = Command::new("strace")
        // With the path of each descriptor; what moves bytes over a socket or a log is not looked at.
        .args(["-f", "-y", "-e", "trace=%file,%desc", "-o"])
        .arg(&calls)
        .args(["-p", &agent.pid().to_string()])
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut strace) = strace else {
        return skip("strace is missing");
    };
    let attached = eventually(SOON, || match strace.try_wait().unwrap() {
        Some(_) => Some(false),
        None => fs::read_to_string(&calls).is_ok_and(|text| !text.is_empty()).then_some(true),
    });
    if attached != Some(true) {
        return skip("strace may not look at a process");
    }
    agent.wait_for("everything that was due has been asked for", agent.count("everything that was due") + 3);
    kill_process(Pid::from_raw(i32::try_from(strace.id()).unwrap()).unwrap(), Signal::INT).unwrap();
    strace.wait().unwrap();
    let calls = fs::read_to_string(&calls).unwrap();
    let out = world.out().display().to_string();
    // `PID name(arguments`; what was interrupted goes on in a line that names no path.
    let of_out = calls.lines().filter(|line| line.contains(&out));
    let names: BTreeSet<&str> = of_out.filter_map(|line| line.split_whitespace().nth(1)?.split('(').next()).collect();
    let looks = BTreeSet::from(["fstat", "lstat", "newfstatat", "readlink", "readlinkat", "stat", "statx"]);
    assert!(!names.is_empty() && names.is_subset(&looks), "{names:?}");
    assert_eq!(agent.count("published generation"), 1);
}

//! Whom hooks tell, looked at without telling anybody.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{GOOD, check, find, json, world};
use crate::harness::{Trap, as_user, end, root_or_skip};
use crate::hooks::{App, unique};

#[test]
fn whom_a_hook_could_never_reach_is_a_failure_and_who_is_not_there_yet_a_warning() {
    if !root_or_skip() {
        return;
    }
    let (world, name) = (world(), unique());
    let hook = |config: &str| {
        let (code, report) = json(&world, config);
        assert_eq!(code, Some(0), "{report:#}");
        find(&report, "hook", &format!("SIGHUP to {name}")).clone()
    };
    let config = format!(
        "{}onChange:\n  - {{signal: {{process: {name}, signal: SIGHUP}}}}\n  - {{http: {{url: \"http://127.0.0.1:9/\"}}}}\n",
        world.config(GOOD)
    );
    let absent = hook(&config);
    assert_eq!(absent["result"], "warning");
    assert!(absent["problem"].as_str().unwrap().contains("process namespace is probably not shared"), "{absent}");
    let app = App::start(&name);
    assert_eq!(hook(&config)["result"], "ok");
    assert_eq!(app.log("log"), ["ready"], "nobody was signalled");
    drop(app);
    // Of another uid than keyferry's, which is not root there.
    let app = App::with(&name, "", Some(10_002));
    fs::set_permissions(world.root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let ended = end(&mut as_user(10_001, &world.keyferry(&config, &["check", "--offline", "-o", "json"])));
    assert_eq!(ended.code, Some(78), "{ended:#?}");
    let report: Value = serde_json::from_slice(&ended.stdout).unwrap();
    let foreign = find(&report, "hook", &format!("SIGHUP to {name}"));
    assert_eq!(foreign["result"], "failed");
    assert!(foreign["problem"].as_str().unwrap().contains("runs as uid 10002 and keyferry as uid 10001"), "{foreign}");
    assert_eq!(app.log("log"), ["ready"]);
    // In a namespace of processes that is keyferry's own; and in one that it shares.
    let file = world.root.path().join("keyferry.yaml");
    fs::write(&file, &config).unwrap();
    let keyferry = [env!("CARGO_BIN_EXE_keyferry"), "check", "--offline", "-o", "json", "--config"];
    for (first, code, result) in [(&[][..], 78, "failed"), (&["sh", "-c", "\"$0\" \"$@\"; exit $?"], 0, "warning")] {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc"]).args(first).args(keyferry).arg(&file);
        command.env_clear().envs(world.environment()).env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let hook = find(&report, "hook", &format!("SIGHUP to {name}"));
        assert_eq!(hook["result"], result);
        let problem = hook["problem"].as_str().unwrap();
        assert!(problem.contains("'shareProcessNamespace: true'"), "{hook}");
        assert_eq!(problem.contains("the process namespace is not shared"), result == "failed", "{hook}");
    }
}

#[test]
fn a_pid_file_that_leads_to_nobody_yet_is_a_warning_and_one_that_never_will_a_failure() {
    let world = world();
    let file = world.root.path().join("app.pid");
    let shown = file.display();
    let config =
        format!("{}onChange: [{{signal: {{pidFile: {shown}, signal: SIGHUP}}}}]\n", world.config("secrets: {}\n"));
    let looked = || {
        let (code, report) = json(&world, &config);
        let hook = find(&report, "hook", &format!("SIGHUP to the process of {shown}")).clone();
        let text = |key: &str| hook[key].as_str().unwrap_or_default().to_owned();
        (code, text("result"), text("problem"))
    };
    let mut gone = Command::new("true").stdin(Stdio::null()).spawn().unwrap();
    gone.wait().unwrap();
    let app = App::start(&unique());
    let cases = [
        (None, 0, "warning", format!("there is no pid file {shown}; its writer has not started")),
        (Some(gone.id().to_string()), 0, "warning", "and there is no such process".to_owned()),
        (Some(app.pid().to_string()), 0, "ok", String::new()),
        (Some("1".to_owned()), 78, "failed", "holds 1, the number of the first process".to_owned()),
        (Some("-1".to_owned()), 78, "failed", "is not the number of a process".to_owned()),
        (Some("nginx".to_owned()), 78, "failed", "is not the number of a process".to_owned()),
    ];
    for (text, code, result, problem) in cases {
        if let Some(text) = &text {
            fs::write(&file, text).unwrap();
        }
        let found = looked();
        assert_eq!((found.0, found.1.as_str()), (Some(code), result), "{text:?}: {found:?}");
        assert!(found.2.contains(&problem), "{text:?}: {found:?}");
    }
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let (code, _, problem) = looked();
    assert!(code == Some(78) && problem.contains("is no regular file"), "{problem}");
    assert_eq!(app.log("log"), ["ready"], "nobody was signalled");
}

#[test]
fn who_is_posted_to_is_not_called() {
    let (world, trap) = (world(), Trap::set());
    let url = format!("http://{}/-/reload", trap.address);
    let config = format!("{}onChange: [{{http: {{url: \"{url}?token=canary\"}}}}]\n", world.config(GOOD));
    let (ended, text) = check(&world, &config, &[]);
    ended.expect(0, &[]);
    let line = text.lines().find(|line| line.starts_with("hook ")).unwrap();
    assert!(
        line.contains(&format!("POST {url}")) && line.contains("notTried") && line.contains("not called"),
        "{line}"
    );
    assert!(trap.caught().is_empty());
}

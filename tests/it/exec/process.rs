//! The command is what it would be without keyferry, ends as it would, and leaves as little behind.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};

use rustix::process::{Signal, kill_process};

use super::{App, KEYFERRY, apart, as_the_first, children, exec, pid, state, stdout, world};
use crate::harness::{SOON, binary, end, eventually, root_or_skip};

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
        end(&mut absent).expect(127, &["'/no/such/command' cannot be started"]);
        let mut directory = binary(&[&["exec"], once, &["--", "/"]].concat());
        end(&mut directory).expect(126, &["'/' cannot be started"]);
    }
    end(&mut binary(&["exec"])).expect(64, &["CMD"]);
}

/// A thousand grandchildren that end at once.
const MANY: &str = "i=0; while [ $i -lt 1000 ]; do (true &) ; i=$((i+1)); done";

#[test]
fn as_the_first_process_it_passes_signals_on_and_leaves_no_zombie() {
    if !root_or_skip() {
        return;
    }
    let world = world();
    // A container's first process inherits all of them; then the command counts the zombies.
    let script = format!(
        "{MANY}; while grep -qs '^State:.Z' /proc/[0-9]*/status; do sleep 0.05; done; echo clean; \
         trap 'echo TERM; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
    );
    let mut app = App::start(as_the_first(&exec(&world, "", &[], &script)).env("DB", "keyvault:demo/secrets/db"));
    assert_eq!((app.next().unwrap(), app.next().unwrap()), ("clean".to_owned(), "ready".to_owned()));
    // unshare waits for its child, which is the first process there.
    let first = children(app.pid())[0];
    kill_process(first, Signal::TERM).unwrap();
    assert_eq!(app.next().unwrap(), "TERM");
    assert_eq!(app.end(), 5);
}

#[test]
fn as_any_other_process_it_inherits_and_leaves_nothing() {
    let world = world();
    let script = format!("{MANY}; trap 'exit 5' TERM; echo $$; while :; do sleep 0.05; done");
    let mut command = exec(&world, "", &[], &script);
    let mut app = App::start(command.env("DB", "keyvault:demo/secrets/db"));
    let child = pid(app.next().unwrap().parse().unwrap());
    assert_eq!(children(app.pid()), [child]);
    app.signal(Signal::TERM);
    assert_eq!(app.end(), 5);
    assert_eq!(state(child), 'X');
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
    let plain = direct("/bin/sh -c \"$1\"");
    assert_eq!(direct(&format!("{KEYFERRY} exec -- /bin/sh -c \"$1\"")), plain);
    assert_eq!(direct(&format!("{KEYFERRY} exec --once -- /bin/sh -c \"$1\"")), plain);
    assert!(plain.starts_with("0027\n100\n777\n"), "{plain}");
}

#[test]
fn the_value_is_in_the_command_s_environment_alone() {
    let world = world();
    // Of the configuration's lines it makes one.
    let script = "tr '\\n' ' ' < /proc/self/environ; echo; while :; do sleep 0.05; done";
    let variables = |text: &str| text.split_terminator('\0').map(str::to_owned).collect::<BTreeSet<_>>();
    let mut command = exec(&world, "", &[], script);
    command.env("DB", "keyvault:demo/secrets/db").env("EMPTY", "").env("ODD", "a=b\tc");
    let mut direct = apart(&["/bin/sh", "-c", script]);
    direct.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let expected: BTreeSet<String> = variables(&App::start(&mut direct).next().unwrap())
        .into_iter()
        .filter(|variable| !variable.starts_with("KEYFERRY_"))
        .map(|variable| if variable.starts_with("DB=") { "DB=canary-db".to_owned() } else { variable })
        .collect();
    let mut app = App::start(&mut command);
    assert_eq!(variables(&app.next().unwrap()), expected);
    assert!(["DB=canary-db", "EMPTY="].iter().all(|variable| expected.contains(*variable)), "{expected:?}");
    // Whoever may look into it at all.
    if root_or_skip() {
        let own = fs::read(format!("/proc/{}/environ", app.pid().as_raw_nonzero())).unwrap();
        let own = String::from_utf8_lossy(&own).into_owned();
        assert!(own.contains("DB=keyvault:demo/secrets/db") && !own.contains("canary"), "{own}");
    }
}

#[test]
fn what_is_ignored_stays_ignored() {
    let world = world();
    let mut listed = exec(&world, "", &[], "grep SigIgn /proc/self/status");
    for once in ["", "--once"] {
        let mut command = Command::new("/usr/bin/env");
        let line = format!("trap '' HUP USR2; exec {KEYFERRY} exec {once} -- grep SigIgn /proc/self/status");
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
fn no_signal_is_lost_between_the_last_look_and_the_command() {
    let world = world();
    // A PATH so long that it takes a while to find the command there: that is the moment.
    let path = format!("/usr/bin:/bin:{}", "/n:".repeat(40_000));
    let config = format!("{}refresh: {{settle: 0s}}\n", world.preamble(&["demo"]));
    let line = format!("ulimit -c 100; exec {KEYFERRY} exec --once -- nowhere");
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT] {
        let mut command = apart(&["/bin/sh", "-c", &line]);
        command.envs(world.environment()).env("KEYFERRY_CONFIG_YAML", &config).env("PATH", &path);
        let app = App::start(command.env("DB", "keyvault:demo/secrets/db"));
        // The command is given the limit that keyferry has taken from itself.
        let may_dump = || {
            let limits = fs::read_to_string(format!("/proc/{}/limits", app.pid().as_raw_nonzero())).unwrap_or_default();
            let name = fs::read_to_string(format!("/proc/{}/comm", app.pid().as_raw_nonzero())).unwrap_or_default();
            let soft = limits.lines().find_map(|line| line.strip_prefix("Max core file size"))?;
            (name == "keyferry\n").then_some(!soft.trim_start().starts_with("0 "))
        };
        assert!(eventually(SOON, || (may_dump() == Some(false)).then_some(())).is_some());
        assert!(eventually(SOON, || (may_dump() == Some(true)).then_some(())).is_some());
        app.signal(signal);
        assert_eq!(app.end(), 128 + signal.as_raw());
    }
}

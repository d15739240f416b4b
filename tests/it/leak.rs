//! No byte of a secret, an access token or a federated token in anything that the process says, at any level, however
//! it is written; and none that a neighbour could read out of the process.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use keyferry_emulator::{Fault, Misbehaviour, Permission, Refusal};
use rustix::process::Signal;

use crate::harness::{Running, SOON, World, end, eventually, until_holds};

/// A value with everything that somebody could think of escaping.
const CANARY: &str = "cAnArY\"7Kq%/+ü\\'<&>\nzX9vPd3";

/// The ways to write bytes down; base64 at each of the three alignments, without the characters that its neighbours share.
fn spellings(value: &str) -> Vec<String> {
    let bytes = value.as_bytes();
    let mut spellings = vec![value.to_owned(), hex::encode(bytes), hex::encode_upper(bytes)];
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        for shift in 0..3 {
            let shifted = [vec![0; shift], bytes.to_vec()].concat();
            let text = engine.encode(shifted);
            let (begin, end) = (if shift == 0 { 0 } else { shift + 1 }, text.len() - 2);
            spellings.push(text[begin..end].to_owned());
        }
    }
    let percent = |keep: fn(u8) -> bool, upper: bool| {
        let one = |byte: &u8| match (keep(*byte), upper) {
            (true, _) => char::from(*byte).to_string(),
            (false, true) => format!("%{byte:02X}"),
            (false, false) => format!("%{byte:02x}"),
        };
        bytes.iter().map(one).collect::<String>()
    };
    for upper in [true, false] {
        spellings.push(percent(|byte| byte.is_ascii_alphanumeric(), upper));
        spellings.push(percent(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte), upper));
        spellings.push(percent(|byte| byte.is_ascii_alphanumeric() || b"-_.~%/+'<&>\"\\".contains(&byte), upper));
    }
    let json = serde_json::to_string(value).unwrap();
    spellings.push(json.trim_matches('"').to_owned());
    spellings.push(json.trim_matches('"').replace('ü', "\\u00fc"));
    spellings.push(format!("{value:?}").trim_matches('"').to_owned());
    spellings.push(value.escape_default().to_string());
    // A piece of it is too much as well.
    spellings.push("7Kq%".to_owned());
    spellings.push("zX9vPd3".to_owned());
    spellings
}

#[track_caller]
fn assert_silent(said: &str, secrets: &[&str]) {
    for secret in secrets {
        for spelling in spellings(secret) {
            assert!(!said.contains(&spelling), "{spelling:?} is in what was said");
        }
    }
}

fn pieces(token: &str) -> Vec<&str> {
    // Of a token each of its parts is too much.
    token.trim().split('.').filter(|part| part.len() > 20).collect()
}

const REST: &str = "refresh: {interval: 1s, settle: 0s}
secrets:
  whole: keyvault:demo/secrets/canary
  member: {from: keyvault:demo/secrets/canary, property: password}
  bytes: {from: keyvault:demo/secrets/canary, decode: base64}
  digits: {from: keyvault:demo/secrets/canary, decode: hex}
  denied: keyvault:demo/secrets/denied
  missing: keyvault:demo/secrets/missing
  disabled: keyvault:demo/secrets/disabled
  cut: keyvault:demo/secrets/cut
  odd: keyvault:demo/secrets/odd
";

fn world_of_trouble() -> World {
    let world = World::new();
    for name in ["canary", "denied", "disabled", "cut", "odd"] {
        world.emulator.put_secret("demo", name, CANARY);
    }
    let emulator = &world.emulator;
    emulator.deny(keyferry_emulator::DEFAULT_CLIENT, "demo", Permission::Get, Some("denied"), Refusal::ForbiddenByRbac);
    emulator.update_secret("demo", "disabled", None, |secret| secret.enabled = false);
    emulator.fault(Fault::vault(Misbehaviour::CutBody).of_secret("cut").with_bearer(true));
    // The value where a version belongs: what is parsed wrongly must not be quoted.
    let odd = Misbehaviour::Member { at: "/id".to_owned(), value: CANARY.into() };
    emulator.fault(Fault::vault(odd).of_secret("odd").with_bearer(true));
    world
}

#[test]
fn nothing_secret_is_said_at_any_level_whatever_goes_wrong() {
    let world = world_of_trouble();
    let config = world.config(REST);
    let assertion = fs::read_to_string(world.token_file()).unwrap();
    let secrets: Vec<&str> = [CANARY].into_iter().chain(pieces(&assertion)).collect();

    let mut init = world.keyferry(&config, &["init", "--timeout", "3s", "--log-level", "trace"]);
    let ended = end(init.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1"));
    assert_eq!(ended.code, Some(77), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("property 'password'") && ended.stderr.contains("not valid base64"),
        "{}",
        ended.stderr
    );
    assert_silent(&ended.stderr, &secrets);
    assert_silent(&String::from_utf8_lossy(&ended.stdout), &secrets);

    let mut run = world.keyferry(&config, &["run", "--log-level", "trace", "--log-format", "text"]);
    let agent = Running::start(run.env("RUST_LOG", "trace"));
    agent.wait_for("cannot be fetched", 5);
    for misbehaviour in [
        Misbehaviour::Throttle { retry_after: Some("0".to_owned()) },
        Misbehaviour::Status { status: 503 },
        Misbehaviour::HtmlBadGateway,
        Misbehaviour::Reset,
        Misbehaviour::SigningKeyUnresolved,
        Misbehaviour::Raw { status: 403, headers: Vec::new(), body: format!("{{\"error\":{{\"code\":{CANARY:?}}}}}") },
    ] {
        let before = world.emulator.requests().len();
        world.emulator.fault(Fault::vault(misbehaviour).of_secret("canary").with_bearer(true).times(1));
        agent.signal(Signal::HUP);
        assert!(world.emulator.wait_until(SOON, |log| log.iter().skip(before).any(|request| request.fault.is_some())));
    }
    // Entra gives a token that the vault will not know, and quotes it at us.
    let strange = Misbehaviour::Member { at: "/access_token".to_owned(), value: "tOkEnCaNaRy.7Kq%.zX9vPd3".into() };
    world.emulator.fault(Fault::entra(strange));
    world.emulator.revoke_tokens();
    agent.signal(Signal::HUP);
    agent.wait_for("Unauthorized", 1);
    // The directory cannot be written any more.
    world.emulator.clear_faults();
    let command_line = fs::read_to_string(format!("/proc/{}/cmdline", agent.pid())).unwrap();
    let environment = fs::read_to_string(format!("/proc/{}/environ", agent.pid())).unwrap_or_default();
    let (code, lines) = agent.stop();
    assert_eq!(code, Some(0));
    let said = [lines.join("\n"), command_line, environment].join("\n");
    assert!(said.len() > 1000, "{said}");
    assert_silent(&said, &secrets);
    assert_silent(&said, &["tOkEnCaNaRy"]);
}

#[test]
fn get_says_the_value_on_standard_output_and_nowhere_else() {
    let world = world_of_trouble();
    let mut get = world.keyferry(&world.config(REST), &["get", "whole", "--log-level", "trace"]);
    let ended = end(get.env("RUST_LOG", "trace"));
    assert_eq!((ended.code, ended.stdout.as_slice()), (Some(0), CANARY.as_bytes()));
    assert_silent(&ended.stderr, &[CANARY]);
}

#[test]
fn the_process_is_closed_to_its_own_uid_and_leaves_no_core() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can start it under another uid");
        return;
    }
    let world = World::new();
    world.emulator.put_secret("demo", "a", "value");
    // A binary that the other uid can reach.
    let binary = world.root.path().join("keyferry");
    fs::copy(env!("CARGO_BIN_EXE_keyferry"), &binary).unwrap();
    fs::set_permissions(world.root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    chown(world.out(), Some(10_001), Some(10_001)).unwrap();
    let config = world.config("secrets: {a: keyvault:demo/secrets/a}\n");
    let mut command = Command::new(&binary);
    command.env_clear().arg("run").envs(world.environment()).env("KEYFERRY_CONFIG_YAML", config);
    command.uid(10_001).gid(10_001).stderr(std::process::Stdio::piped());
    let agent = Running::start(&mut command);
    until_holds(&world.out().join("a"), "value");
    let pid = agent.pid();
    for file in ["mem", "environ", "maps"] {
        let status = Command::new("cat").arg(format!("/proc/{pid}/{file}")).uid(10_001).gid(10_001).output().unwrap();
        assert!(!status.status.success() && status.stdout.is_empty(), "{file} is readable");
    }
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    assert_eq!(agent.stop().0, Some(0));
}

/// How often the value is in the memory of a process.
fn copies_in(pid: u32, value: &[u8]) -> usize {
    use std::os::unix::fs::FileExt as _;
    let memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut copies = 0;
    for line in maps.lines().filter(|line| line.split_whitespace().nth(1).is_some_and(|mode| mode.starts_with("rw"))) {
        let (begin, end) = line.split_whitespace().next().unwrap().split_once('-').unwrap();
        let (begin, end) = (u64::from_str_radix(begin, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(end - begin).unwrap()];
        // A mapping that cannot be read holds nothing of ours.
        if memory.read_exact_at(&mut bytes, begin).is_ok() {
            copies += bytes.windows(value.len()).filter(|window| *window == value).count();
        }
    }
    copies
}

#[test]
fn a_value_that_was_rotated_away_is_wiped_from_memory() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can look into the process");
        return;
    }
    let world = World::new();
    let (old, new) = ("oLd-VaLuE-5rT8wQ2kX7", "nEw-VaLuE-5rT8wQ2kX7");
    world.emulator.put_secret("demo", "a", old);
    let agent =
        world.run(&world.config("refresh: {interval: 15m, settle: 0s}\nsecrets: {a: keyvault:demo/secrets/a}\n"));
    until_holds(&world.out().join("a"), old);
    assert!(copies_in(agent.pid(), old.as_bytes()) > 0, "the search finds what is there");
    world.emulator.put_secret("demo", "a", new);
    agent.signal(Signal::HUP);
    until_holds(&world.out().join("a"), new);
    // Buffers of connections go when the connections do, some seconds after their last use.
    let wiped = eventually(Duration::from_secs(30), || (copies_in(agent.pid(), old.as_bytes()) == 0).then_some(()));
    assert!(wiped.is_some(), "{} copies are left", copies_in(agent.pid(), old.as_bytes()));
}

//! The commands as people and kubelets use them: help, mistakes, signals, logs, and `get` to the byte.

use std::fs::{self, File, OpenOptions};
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use keyferry_emulator::{Fault, Misbehaviour, Service};
use rustix::process::Signal;

use crate::harness::{Ended, Running, SOON, World, binary, end, until_holds};

/// Nobody waits longer than this for what needs no waiting.
const QUICKLY: Duration = Duration::from_secs(10);

fn run(args: &[&str]) -> Ended {
    end(&mut binary(args))
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A vault with `a` and `b`.
fn world() -> World {
    let world = World::new();
    world.emulator.put_secret("demo", "a", "one");
    world.emulator.put_secret("demo", "b", "two");
    world
}

const BOTH: &str = "refresh: {settle: 0s}\nsecrets: {a: keyvault:demo/secrets/a, b: keyvault:demo/secrets/b}\n";

fn both_are_there(world: &World) {
    until_holds(&world.out().join("a"), "one");
    until_holds(&world.out().join("b"), "two");
}

#[test]
fn help_helps() {
    let cases: &[(&[&str], &[&str])] = &[
        (
            &["--help"],
            &[
                "Azure Key Vault",
                "Azure Machine Learning connections",
                "Entra access tokens",
                "any identity",
                "init",
                "run",
                "get",
                "--config <FILE>",
                "KEYFERRY_CONFIG_YAML",
                "--allow-custom-cloud",
                "AZURE_FEDERATED_TOKEN_FILE",
                "secrets:\n",
                "Exit codes: 0 ok, 64 usage",
                "78 bad configuration",
            ],
        ),
        (&["init", "--help"], &["--timeout <DURATION>", "90s", "startup.timeout", "init container"]),
        (&["run", "--help"], &["SIGTERM", "SIGHUP", "sidecar"]),
        (
            &["get", "--help"],
            &[
                "REF|NAME",
                "keyvault:https://VAULT/secrets/NAME",
                "--show",
                "without a newline",
                "key and chain",
                "30 seconds",
            ],
        ),
        (&["--version"], &["keyferry 0."]),
    ];
    for (args, pieces) in cases {
        let ended = run(args);
        ended.expect(0, &[]);
        for piece in *pieces {
            assert!(text(&ended.stdout).contains(piece), "no {piece:?} in {}", text(&ended.stdout));
        }
        assert_eq!(ended.stderr, "");
    }
}

#[test]
fn a_wrong_command_line_is_64_and_says_what_is_wrong() {
    let cases: &[(&[&str], &[&str])] = &[
        (&[], &["Usage: keyferry"]),
        (&["inti"], &["unrecognized subcommand 'inti'", "'init'"]),
        (&["init", "--timout", "3s"], &["unexpected argument '--timout'", "--timeout"]),
        (&["init", "--timeout", "5"], &["invalid value '5'", "--timeout"]),
        (&["init", "--timeout", "soon"], &["invalid value 'soon'"]),
        (&["init", "--log-level", "loud"], &["invalid value 'loud'"]),
        (&["init", "--log-format", "xml"], &["[possible values: auto, text, json]"]),
        (&["init", "extra"], &["unexpected argument 'extra'"]),
        (&["get"], &["<REF|NAME>"]),
    ];
    for (args, pieces) in cases {
        let ended = run(args);
        ended.expect(64, pieces);
        assert!(ended.stdout.is_empty());
    }
}

#[test]
fn without_a_configuration_or_with_two_it_is_78() {
    run(&["init"]).expect(78, &["there is no configuration", "KEYFERRY_CONFIG_YAML", "/etc/keyferry/keyferry.yaml"]);
    let mut command = binary(&["init", "--config", "/nowhere.yaml"]);
    end(command.env("KEYFERRY_CONFIG_YAML", "secrets: {}")).expect(78, &["both", "keep one"]);
    run(&["init", "--config", "/nowhere.yaml"]).expect(78, &["/nowhere.yaml", "no such file"]);
}

#[test]
fn get_writes_the_very_bytes() {
    let world = world();
    let odd = "  tücke\"\\\r\n\u{1}\u{fffd}\n\n";
    let old = world.emulator.put_secret("demo", "odd", odd);
    world.emulator.put_secret("demo", "odd", "");
    world.emulator.put_secret("demo", "json", r#"{"user": "ann", "key": "AAH/"}"#);
    let binary_file = world.root.path().join("bytes");
    let all: Vec<u8> = (0..=255).collect();
    fs::write(&binary_file, &all).unwrap();
    let config = world.config(
        "secrets:
  odd: keyvault:demo/secrets/odd
  user: {from: keyvault:demo/secrets/json, property: user}
  key: {from: keyvault:demo/secrets/json, property: key, decode: base64, optional: true, file: false}
",
    );
    let url = world.emulator.vault_url("demo");
    let cases: &[(String, &[u8])] = &[
        ("odd".to_owned(), b""),
        ("user".to_owned(), b"ann"),
        ("key".to_owned(), &[0, 1, 255]),
        (format!("keyvault:demo/secrets/odd/{old}"), odd.as_bytes()),
        (format!("{url}/secrets/odd/{old}"), odd.as_bytes()),
        (format!("keyvault:{url}/secrets/a"), b"one"),
        (format!("file:{}", binary_file.display()), &all),
    ];
    for (what, value) in cases {
        let ended = end(&mut world.keyferry(&config, &["get", "--log-level", "trace", what]));
        ended.expect(0, &[]);
        assert_eq!(ended.stdout, *value, "{what}");
    }
    assert!(fs::read_dir(world.out()).unwrap().next().is_none(), "nothing is published");
}

#[test]
fn get_of_a_reference_needs_a_cloud_and_an_identity_only() {
    let world = world();
    let cloud = format!(
        "cloud: {{vaultSuffix: vault.localhost}}\ntls: {{caFile: {}}}\n",
        world.root.path().join("ca.pem").display()
    );
    let ended = end(&mut world.keyferry(&cloud, &["get", &format!("{}/secrets/b", world.emulator.vault_url("demo"))]));
    ended.expect(0, &[]);
    assert_eq!(ended.stdout, b"two");
    // A local file needs nothing at all.
    let file = world.root.path().join("file");
    fs::write(&file, "three").unwrap();
    let ended = run(&["get", &format!("file:{}", file.display())]);
    ended.expect(0, &[]);
    assert_eq!((ended.stdout.as_slice(), ended.stderr.as_str()), (&b"three"[..], ""));
    // Of an identity by halves the variables that are missing are named.
    let mut command = binary(&["get", "https://contoso.vault.azure.net/secrets/a"]);
    end(command.env("AZURE_CLIENT_SECRET", "hunter2")).expect(78, &["AZURE_CLIENT_ID", "AZURE_TENANT_ID"]);
}

#[test]
fn get_of_what_is_not_there_says_so_at_once() {
    let world = world();
    let config = world.config(BOTH);
    let get = |what: &str| end(&mut world.keyferry(&config, &["get", what]));
    let ended = get("c");
    ended.expect(64, &["no secret of the configuration has this name", "a, b", "keyvault:https://"]);
    assert!(get("S3cret-pasted-by-mistake").stderr.matches("S3cret").count() == 0);
    get("keyvault:other/secrets/a").expect(78, &["other"]);
    get("https://demo.vault.azure.net/secrets/a").expect(78, &["cloud: public"]);
    get("keyvault:demo/secret/a").expect(64, &["/secrets/<name>"]);
    let ended = get("keyvault:demo/secrets/missing");
    ended.expect(69, &["missing (SecretNotFound)", "az keyvault secret list"]);
    assert!(ended.took < QUICKLY, "{ended:#?}");
    assert!(ended.stdout.is_empty());
}

#[test]
fn get_tells_each_failure_once() {
    let get = |world: &World, args: &[&str]| {
        let mut command = world.keyferry(&world.config(BOTH), &[&["get", "--log-format", "text"], args].concat());
        end(&mut command)
    };
    let world = world();
    let ended = get(&world, &["keyvault:demo/secrets/missing"]);
    ended.expect(69, &["keyferry: secret value (keyvault:demo/secrets/missing): missing (SecretNotFound)"]);
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
    let ended = get(&world, &["keyvault:demo/secrets/missing", "--log-level", "debug"]);
    assert!(ended.stderr.matches("SecretNotFound").count() > 1, "{ended:#?}");
    // One that mends in a moment is none.
    world.emulator.fault(Fault::vault(Misbehaviour::Status { status: 503 }).with_bearer(true).times(1));
    let ended = get(&world, &["a"]);
    assert_eq!((ended.code, ended.stdout.as_slice(), ended.stderr.as_str()), (Some(0), &b"one"[..], ""));
    // Of signing in too.
    fs::remove_file(world.token_file()).unwrap();
    let ended = get(&world, &["a"]);
    ended.expect(77, &["keyferry: secret a (keyvault:demo/secrets/a): missing (token-file-missing)"]);
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
}

#[test]
fn get_that_cannot_write_says_so() {
    let world = world();
    let mut command = world.keyferry(&world.config(BOTH), &["get", "a"]);
    command.stdout(OpenOptions::new().write(true).open("/dev/full").unwrap()).stderr(Stdio::piped());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(73));
    assert!(text(&output.stderr).contains("standard output cannot be written"), "{}", text(&output.stderr));
}

/// A terminal: our end, and the path of the other.
fn terminal() -> (File, PathBuf) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let theirs = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
    (ours.into(), theirs.into())
}

fn on_terminal(command: &mut Command) -> (Option<i32>, String, String) {
    let (mut ours, theirs) = terminal();
    let theirs = OpenOptions::new().read(true).write(true).open(theirs).unwrap();
    let output = command.stdout(theirs.try_clone().unwrap()).output().unwrap();
    // A terminal whose other end is closed with nothing in it gives an error: let there be something.
    std::io::Write::write_all(&mut &theirs, b"~").unwrap();
    let mut shown = Vec::new();
    let mut byte = [0];
    while ours.read(&mut byte).unwrap() == 1 && byte[0] != b'~' {
        shown.push(byte[0]);
    }
    (output.status.code(), String::from_utf8(shown).unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn get_writes_to_a_terminal_only_when_told_to() {
    let world = world();
    let config = world.config(BOTH);
    let (code, shown, stderr) = on_terminal(&mut world.keyferry(&config, &["get", "a"]));
    assert_eq!((code, shown.as_str()), (Some(64), ""));
    assert!(stderr.contains("--show"), "{stderr}");
    assert_eq!(world.emulator.requests().len(), 0, "nothing is fetched that may not be shown");
    let (code, shown, stderr) = on_terminal(&mut world.keyferry(&config, &["get", "a", "--show"]));
    assert_eq!((code, shown.as_str(), stderr.as_str()), (Some(0), "one\r\n", ""));
}

#[test]
fn a_signal_ends_it_quickly_even_while_a_request_hangs() {
    for signal in [Signal::TERM, Signal::INT] {
        let world = world();
        world.emulator.fault(Fault::vault(Misbehaviour::NeverAnswer).of_secret("b").with_bearer(true));
        let running = world.run(&world.config(BOTH));
        assert!(world.emulator.wait_until(SOON, |requests| {
            requests.iter().any(|request| request.bearer && request.path.contains("/b"))
        }));
        let (code, took, lines) = running.end_by(signal);
        assert_eq!(code, Some(0), "{lines:#?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
        assert!(lines.last().unwrap().contains("stopped"), "{lines:#?}");
    }
}

#[test]
fn a_signal_ends_init_too_and_not_well() {
    let world = world();
    world.emulator.fault(Fault::entra(Misbehaviour::NeverAnswer));
    let running = Running::start(&mut world.keyferry(&world.config(BOTH), &["init"]));
    assert!(world.emulator.wait_until(SOON, |requests| !requests.is_empty()));
    let (code, took, lines) = running.end_by(Signal::TERM);
    assert_eq!(code, Some(69), "{lines:#?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(lines.iter().any(|line| line.contains("stopped by a signal")), "{lines:#?}");
}

#[test]
fn sighup_asks_once_for_everything() {
    let world = world();
    let running = world.run(&world.config(BOTH));
    both_are_there(&world);
    world.emulator.clear_log();
    world.emulator.put_secret("demo", "a", "three");
    running.signal(Signal::HUP);
    until_holds(&world.out().join("a"), "three");
    assert!(world.emulator.wait_until(SOON, |requests| requests.len() >= 2));
    let (code, lines) = running.stop();
    assert_eq!(code, Some(0));
    let mut paths: Vec<String> = world.emulator.requests().into_iter().map(|request| request.path).collect();
    paths.sort();
    assert_eq!(paths, ["/secrets/a", "/secrets/b"], "one GET each and nothing else");
    assert!(lines.iter().any(|line| line.contains("refreshing")), "{lines:#?}");
}

#[test]
fn a_rotation_arrives_by_itself() {
    let world = world();
    let running = world.run(&world.config(&BOTH.replace("settle: 0s", "settle: 0s, interval: 1s")));
    both_are_there(&world);
    for round in 0..3 {
        let value = format!("rotated {round}");
        world.emulator.put_secret("demo", "b", &value);
        until_holds(&world.out().join("b"), &value);
    }
    assert_eq!(world.read("a").as_deref(), Some("one"));
    assert_eq!(world.requests_to(Service::Entra).len(), 1);
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn run_that_cannot_publish_ends_at_once_and_asks_nobody() {
    let world = world();
    for dir in ["/nowhere/at/all", "/dev/null", "/dev/null/below", "/dev/null/further/below"] {
        let config = format!("{}files: {{dir: {dir}}}\n{BOTH}", world.preamble(&["demo"]));
        for command in ["run", "init"] {
            let ended = end(&mut world.keyferry(&config, &[command]));
            ended.expect(73, &[dir]);
            assert!(!ended.stderr.contains("tried again"), "{ended:#?}");
            assert!(ended.took < QUICKLY);
        }
    }
    assert_eq!(world.emulator.requests().len(), 0);
}

#[test]
fn logs_are_what_was_asked_for() {
    let world = world();
    world.emulator.fault(Fault::vault(Misbehaviour::Status { status: 503 }).with_bearer(true).times(1));
    let config = world.config(BOTH);
    let logged = |args: &[&str]| {
        let ended = world.init(&config, args);
        ended.expect(0, &[]);
        assert!(ended.stdout.is_empty() && !ended.stderr.contains('\u{1b}'), "{ended:#?}");
        ended.stderr
    };
    let json = logged(&["--log-format", "json", "--log-level", "trace"]);
    assert!(json.lines().count() >= 2, "{json}");
    for line in json.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        for member in ["timestamp", "level", "message", "target"] {
            assert!(event[member].is_string(), "{line}");
        }
    }
    fs::remove_dir_all(world.out()).unwrap();
    fs::create_dir(world.out()).unwrap();
    let lines = logged(&["--log-format", "text"]);
    assert!(lines.contains(" INFO published generation 1"), "{lines}");
    assert_eq!(logged(&["--log-level", "off"]), "");
}

#[test]
fn whoever_asks_for_json_gets_nothing_else() {
    let world = world();
    let config = world.config("secrets: {a: keyvault:demo/secrets/a, c: keyvault:demo/secrets/missing}\n");
    let ended = world.init(&config, &["--timeout", "4s", "--log-format", "json"]);
    assert_eq!(ended.code, Some(69));
    let events: Vec<serde_json::Value> =
        ended.stderr.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let last = events.last().unwrap();
    assert_eq!(last["level"], "ERROR", "{last}");
    assert!(last["message"].as_str().unwrap().contains("secret c (keyvault:demo/secrets/missing): missing"), "{last}");
    // Silence is about the log: why it ended is still said.
    let ended = world.init(&config, &["--timeout", "4s", "--log-level", "off"]);
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
    ended.expect(69, &["keyferry: secret c"]);
}

#[test]
fn a_file_of_ones_own_at_the_name_of_a_secret_is_kept_and_told_of() {
    let world = world();
    fs::write(world.out().join("a"), "mine").unwrap();
    let ended = world.init(&world.config(BOTH), &["--log-format", "text"]);
    let out = world.out().display().to_string();
    ended.expect(0, &[&format!("WARN there was already a file a in {out}: it is {out}/..aside-")]);
    assert!(!ended.stderr.contains("as keyferry had left it"), "{ended:#?}");
    assert_eq!(world.read("a").as_deref(), Some("one"));
}

#[test]
fn what_is_fetched_for_nobody_is_told_of_once() {
    let world = world();
    let (preamble, out) = (world.preamble(&["demo"]), world.out());
    let files = format!("files: {{dir: {}, include: [a]}}\n", out.display());
    let none = format!("files: {{dir: {}, include: []}}\n", out.display());
    let hook = "onChange: [{http: {url: \"http://127.0.0.1:9/\"}}]\n";
    let lost = "WARN in no directory, so that nobody can read what is fetched: b; include them";
    let nothing = |why: &str| format!("WARN the configuration publishes nothing: {why}");
    let cases = [
        (format!("{preamble}{BOTH}"), Some(nothing("there is no 'files'"))),
        (format!("{preamble}{none}{BOTH}"), Some(nothing("no directory includes a secret"))),
        (preamble.clone(), Some(nothing("there are no 'secrets'"))),
        (format!("{preamble}{files}{BOTH}"), Some(lost.to_owned())),
        // init tells nobody of changes.
        (format!("{preamble}{hook}{BOTH}"), Some(nothing("there is no 'files'"))),
        (format!("{preamble}{files}secrets: {{a: keyvault:demo/secrets/a}}\n"), None),
        (
            format!(
                "{preamble}{files}secrets: {{a: keyvault:demo/secrets/a, b: {{from: keyvault:demo/secrets/b, file: false}}}}\n"
            ),
            None,
        ),
    ];
    for (config, warning) in cases {
        let ended = world.init(&config, &["--log-format", "text"]);
        ended.expect(0, warning.as_deref().as_slice());
        assert_eq!(ended.stderr.matches(" WARN ").count(), usize::from(warning.is_some()), "{ended:#?}");
    }
    let running = world.run(&format!("{preamble}{files}{BOTH}"));
    running.wait_for("in no directory, so that nobody can read what is fetched: b", 1);
    assert_eq!(running.stop().0, Some(0));
    // Whoever is told of a change may fetch it.
    let running = world.run(&format!("{preamble}{hook}{BOTH}"));
    running.wait_for("everything that was due has been asked for", 1);
    assert_eq!(running.count("publishes nothing"), 0);
}

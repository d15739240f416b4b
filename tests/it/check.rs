//! `keyferry check`: what works, what does not, and what to do about it, with nothing given and nothing changed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use keyferry_emulator::{DEFAULT_CLIENT, Fault, Misbehaviour, Permission, Refusal, Service};
use serde_json::Value;

use crate::harness::{Ended, Running, World, end, root_or_skip, until_holds};
use crate::hooks::{App, unique};

const GOOD: &str = "secrets:
  db-user: keyvault:demo/secrets/user
  db-password: keyvault:demo/secrets/password
  licence: {from: keyvault:demo/secrets/licence, optional: true}
env: {URL: {template: \"{{ secrets['db-user'] }}:{{ secrets['db-password'] }}\"}}
";

fn world() -> World {
    let world = World::new();
    for (name, value) in [("user", "canary-user"), ("password", "canary-password")] {
        world.emulator.put_secret("demo", name, value);
    }
    world
}

fn check(world: &World, config: &str, args: &[&str]) -> (Ended, String) {
    let ended = end(&mut world.keyferry(config, &[&["check"], args].concat()));
    let text = String::from_utf8(ended.stdout.clone()).unwrap();
    assert!(!text.contains("canary") && !ended.stderr.contains("canary"), "{text}{}", ended.stderr);
    (ended, text)
}

fn json(world: &World, config: &str) -> (Option<i32>, Value) {
    let (ended, text) = check(world, config, &["-o", "json"]);
    (ended.code, serde_json::from_str(&text).unwrap())
}

/// The one check of this kind and name.
fn find<'a>(report: &'a Value, what: &str, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().unwrap();
    let mut found = checks.iter().filter(|check| check["what"] == what && check["name"] == name);
    let one = found.next().unwrap_or_else(|| panic!("no {what} {name} in {report:#}"));
    assert!(found.next().is_none(), "{report:#}");
    one
}

#[test]
fn what_works_is_said_and_costs_each_object_one_request() {
    let world = world();
    let config = world.config(GOOD);
    let (ended, text) = check(&world, &config, &[]);
    ended.expect(0, &[]);
    for (what, name, result) in [
        ("identity", "default", "ok"),
        ("secret", "db-user", "ok"),
        ("secret", "licence", "absent"),
        ("variables", "env", "ok"),
        ("directory", world.out().to_str().unwrap(), "ok"),
    ] {
        let line =
            text.lines().find(|line| line.starts_with(what) && line.contains(name)).unwrap_or_else(|| panic!("{text}"));
        assert!(line.split("   ").any(|cell| cell.trim() == result), "{line}");
    }
    assert!(text.contains("workload identity") && text.contains("because AZURE_CLIENT_ID"), "{text}");
    assert!(text.contains("Requests on a day without changes:"), "{text}");
    assert_eq!(world.bearers(), 3);
    assert_eq!(world.out().read_dir().unwrap().count(), 0, "nothing is published or locked");
    let (code, report) = json(&world, &config);
    assert_eq!(code, Some(0));
    assert_eq!(find(&report, "secret", "db-user")["version"].as_str().unwrap().len(), 32);
    assert_eq!(report["requestsPerDay"].as_array().unwrap().len(), 2);
}

#[test]
fn each_failure_has_its_cause_and_what_mends_it() {
    let world = world();
    for name in ["off", "plain", "denied"] {
        world.emulator.put_secret("demo", name, "canary");
    }
    world.emulator.update_secret("demo", "off", None, |secret| secret.enabled = false);
    world.emulator.deny(DEFAULT_CLIENT, "demo", Permission::Get, Some("denied"), Refusal::ForbiddenByRbac);
    let config = world.config(
        "secrets:
  fine: keyvault:demo/secrets/user
  denied: keyvault:demo/secrets/denied
  missing: keyvault:demo/secrets/mising
  off: keyvault:demo/secrets/off
  member: {from: keyvault:demo/secrets/plain, property: user}
templates:
  - {dir: OUT, destination: a.json, contents: '{{ secrets.fine | int }}'}
  - {dir: OUT, destination: b.json, contents: '{{ secrets.off }}'}
"
        .replace("OUT", world.out().to_str().unwrap())
        .as_str(),
    );
    let (ended, text) = check(&world, &config, &[]);
    ended.expect(77, &["checks failed: ", "denied"]);
    for piece in [
        "secret denied: denied (ForbiddenByRbac)",
        "az role assignment create --role \"Key Vault Secrets User\"",
        "secret missing: missing (SecretNotFound)",
        "secret off: disabled (SecretDisabled)",
        "secret member: unusable content",
        "a.json: ",
        "b.json: not tried without off",
    ] {
        assert!(text.contains(piece), "no {piece:?} in {text}");
    }
    let (_, report) = json(&world, &config);
    assert_eq!(find(&report, "secret", "fine")["result"], "ok");
    assert_eq!(find(&report, "file", world.out().join("b.json").to_str().unwrap())["result"], "warning");
}

#[test]
fn whoever_cannot_sign_in_is_told_once() {
    let world = world();
    let mut command = world.keyferry(&world.config(GOOD), &["check", "-o", "json"]);
    let ended = end(command.env("AZURE_CLIENT_ID", "99999999-9999-4999-8999-999999999999"));
    assert_eq!(ended.code, Some(77), "{ended:?}");
    let report: Value = serde_json::from_slice(&ended.stdout).unwrap();
    let identity = find(&report, "identity", "default");
    assert_eq!(identity["result"], "failed");
    assert!(identity["problem"].as_str().unwrap().contains("az ad sp show"), "{identity}");
    assert_eq!(find(&report, "secret", "db-user")["problem"], "signing in as 'default' failed, see there");
}

#[test]
fn a_vault_that_is_down_is_no_reason_not_to_look_at_the_rest() {
    let world = world();
    world.emulator.put_secret("other", "user", "canary");
    world.emulator.fault(Fault::vault(Misbehaviour::Status { status: 503 }).of_vault("demo"));
    let config = format!(
        "{}files: {{dir: {}}}\nsecrets: {{a: keyvault:demo/secrets/user, b: keyvault:other/secrets/user}}\n",
        world.preamble(&["demo", "other"]),
        world.out().display()
    );
    let (code, report) = json(&world, &config);
    assert_eq!(code, Some(69));
    assert_eq!(
        (&find(&report, "secret", "a")["result"], &find(&report, "secret", "b")["result"]),
        (&"failed".into(), &"ok".into())
    );
}

#[test]
fn offline_nobody_is_asked() {
    let world = world();
    let config = world.config(GOOD);
    let (ended, text) = check(&world, &config, &["--offline"]);
    ended.expect(0, &[]);
    assert!(text.contains("directory") && !text.contains("db-user"), "{text}");
    assert!(world.emulator.requests().is_empty());
    assert!(world.requests_to(Service::Entra).is_empty());
    end(&mut world.keyferry("secrets: 1\nfile: {}\n", &["check", "--offline"]))
        .expect(78, &["KEYFERRY_CONFIG_YAML:1:10", "KEYFERRY_CONFIG_YAML:2:1"]);
}

#[test]
fn a_directory_that_cannot_be_published_to_is_found_out_without_touching_it() {
    if !root_or_skip() {
        return;
    }
    let world = world();
    let config = world.config(GOOD).replace("files: {", "files: {group: 4321, ");
    // As somebody who may not write there, and is not in the group.
    fs::set_permissions(world.root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let as_user = |config: &str| {
        let mut command = world.keyferry(config, &["check", "--offline"]);
        command.uid(10_001).gid(10_001);
        let ended = end(&mut command);
        (ended.code, String::from_utf8(ended.stdout).unwrap())
    };
    let (code, text) = as_user(&config);
    assert_eq!(code, Some(73), "{text}");
    assert!(text.contains("could not create a file in"), "{text}");
    fs::set_permissions(world.out(), fs::Permissions::from_mode(0o777)).unwrap();
    let (code, text) = as_user(&config);
    assert_eq!(code, Some(73), "{text}");
    assert!(text.contains("group 4321 is none of keyferry's own groups") && text.contains("fsGroup: 4321"), "{text}");
    assert_eq!(world.out().read_dir().unwrap().count(), 0);
}

#[test]
fn it_runs_beside_the_agent_that_publishes() {
    let world = world();
    let config = world.config(GOOD);
    let running: Running = world.run(&config);
    until_holds(&world.out().join("db-user"), "canary-user");
    let before: Vec<_> = fs::read_dir(world.out()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let (ended, _) = check(&world, &config, &[]);
    ended.expect(0, &[]);
    let after: Vec<_> = fs::read_dir(world.out()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(before, after);
    let (code, lines) = running.stop();
    assert_eq!(code, Some(0));
    assert!(!lines.iter().any(|line| line.contains("was not as keyferry had left it")), "{lines:#?}");
}

#[test]
fn whom_a_hook_could_not_reach_is_a_warning_that_says_why() {
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
    let mut command = world.keyferry(&config, &["check", "--offline", "-o", "json"]);
    command.uid(10_001).gid(10_001);
    let report: Value = serde_json::from_slice(&end(&mut command).stdout).unwrap();
    let foreign = find(&report, "hook", &format!("SIGHUP to {name}"));
    assert!(foreign["problem"].as_str().unwrap().contains("runs as uid 10002 and keyferry as uid 10001"), "{foreign}");
    assert_eq!(app.log("log"), ["ready"]);
    // In a namespace of processes that is keyferry's own.
    let mut command = Command::new("unshare");
    command.args([
        "--pid",
        "--fork",
        "--mount-proc",
        env!("CARGO_BIN_EXE_keyferry"),
        "check",
        "--offline",
        "-o",
        "json",
        "--config",
    ]);
    let file = world.root.path().join("keyferry.yaml");
    fs::write(&file, &config).unwrap();
    command.arg(&file).env_clear().envs(world.environment()).env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
    let report: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    let alone = find(&report, "hook", &format!("SIGHUP to {name}"));
    assert!(alone["problem"].as_str().unwrap().contains("the process namespace is not shared"), "{alone}");
}

#[test]
fn so_is_every_scope_that_tokens_are_given_for() {
    let world = world();
    let scopes = ["https://cognitiveservices.azure.com/.default", "https://nobody.example/.default"];
    let config = format!(
        "{}serve: {{tokens: {{listen: \"127.0.0.1:0\", scopes: [{}]}}}}\n",
        world.preamble(&["demo"]),
        scopes.join(", ")
    );
    let (code, report) = json(&world, &config);
    assert_eq!(code, Some(78), "{report:#}");
    assert_eq!(find(&report, "identity", "default")["result"], "ok");
    assert_eq!(find(&report, "scope", scopes[0])["result"], "ok");
    let wrong = find(&report, "scope", scopes[1]);
    assert!(wrong["problem"].as_str().unwrap().contains("AADSTS500011"), "{wrong:#}");
    let entra = world.requests_to(Service::Entra);
    assert_eq!(entra.iter().filter(|one| one.audience.is_some()).count(), 2, "each is asked for once");
}

#[test]
fn where_an_endpoint_s_files_cannot_be_is_found_out() {
    let world = world();
    let socket = world.root.path().join("api.sock");
    fs::write(&socket, "somebody's").unwrap();
    let config = format!(
        "{}serve: {{socket: {{path: {}}}, http: {{listen: \"127.0.0.1:0\", tokenFile: {}/no/token}}}}\n",
        world.config(GOOD),
        socket.display(),
        world.root.path().display()
    );
    let (code, report) = json(&world, &config);
    assert_eq!(code, Some(78));
    let problem = |name: &str| find(&report, "endpoint", name)["problem"].as_str().unwrap().to_owned();
    assert!(problem("serve.socket.path").contains("is there already and is no socket"));
    assert!(problem("serve.http.tokenFile").contains("mount a volume at its directory"));
    fs::remove_file(&socket).unwrap();
    let config = config.replace("/no/token", "/token");
    let (code, report) = json(&world, &config.replace("/token}", "/api.token}"));
    assert_eq!(code, Some(0), "{report:#}");
    assert!(!socket.exists() && !world.root.path().join("api.token").exists(), "nothing is made");
}

//! `keyferry check`: what works, what does not, and what to do about it, with nothing given and nothing changed.

mod exec;
mod hooks;
mod warnings;

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use keyferry_emulator::{DEFAULT_CLIENT, Fault, Misbehaviour, Permission, Refusal, Service};
use serde_json::Value;

use crate::harness::{Ended, Running, World, as_user, end, root_or_skip, until_holds};

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
        "look for it: az keyvault secret list --vault-name demo ",
        "secret off: disabled (SecretDisabled)",
        "switch it on: az keyvault secret set-attributes --vault-name demo --name off --enabled true",
        "secret member: unusable content",
        "correct the secret, or 'property'",
        "a.json: ",
        "b.json: not tried without off",
    ] {
        assert!(text.contains(piece), "no {piece:?} in {text}");
    }
    let (_, report) = json(&world, &config);
    assert_eq!(find(&report, "secret", "fine")["result"], "ok");
    assert_eq!(find(&report, "secret", "denied")["code"], "ForbiddenByRbac");
    assert_eq!(find(&report, "file", world.out().join("b.json").to_str().unwrap())["result"], "warning");
}

#[test]
fn one_cause_of_many_is_told_once() {
    let world = world();
    let mut config = world.config("secrets:\n");
    for number in 0..120 {
        world.emulator.put_secret("demo", &format!("s{number}"), "canary");
        writeln!(config, "  s{number:03}: keyvault:demo/secrets/s{number}").unwrap();
    }
    for name in ["s0", "s1"] {
        world.emulator.deny(DEFAULT_CLIENT, "demo", Permission::Get, Some(name), Refusal::AccessDenied);
    }
    let (ended, text) = check(&world, &config, &["--log-level", "trace"]);
    ended.expect(77, &["2 of 123 checks failed: s000, s001"]);
    let told = "secret s000, s001: denied (AccessDenied); give client";
    assert!(text.contains(told) && text.matches("az keyvault set-policy --name demo").count() == 1, "{text}");
    assert_eq!(world.bearers(), 120, "each is asked for once");
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
    assert_eq!(find(&report, "identity", "default")["result"], "ok");
    // Nobody listens there.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = config.replace(&world.emulator.vault_url("demo"), &format!("https://demo.vault.localhost:{gone}"));
    let (code, report) = json(&world, &config);
    assert_eq!(code, Some(69));
    let problem = find(&report, "secret", "a")["problem"].as_str().unwrap();
    assert!(problem.contains("(refused)") && problem.contains("az keyvault show --name demo"), "{problem}");
    assert_eq!(find(&report, "secret", "b")["result"], "ok");
}

#[test]
fn what_stands_by_is_asked_too_and_shown_as_such() {
    let world = world();
    for (vault, name) in [("demo", "a"), ("dr", "a"), ("demo", "b"), ("demo", "c")] {
        world.emulator.put_secret(vault, name, "canary");
    }
    let standby = format!(", standby: \"{}\"}}", world.emulator.vault_url("dr"));
    let config = world.config(
        "secrets:
  a: keyvault:demo/secrets/a
  b: keyvault:demo/secrets/b
  c: {from: keyvault:demo/secrets/c, optional: true}
",
    );
    let url = world.emulator.vault_url("demo");
    let config = config.replace(&format!("\"{url}\"}}"), &format!("\"{url}\"{standby}"));
    let (code, report) = json(&world, &config);
    assert_eq!(code, Some(69));
    let results = ["a", "b", "c"].map(|name| find(&report, "standby", name)["result"].clone());
    assert_eq!(results, ["ok", "failed", "absent"], "what is optional need not be anywhere");
    let problem = find(&report, "standby", "b")["problem"].as_str().unwrap();
    assert!(problem.contains("SecretNotFound") && problem.contains("--vault-name dr"), "{problem}");
}

#[test]
fn what_is_optional_and_denied_is_no_reason_to_render_without_it() {
    let world = world();
    world.emulator.deny(DEFAULT_CLIENT, "demo", Permission::Get, Some("licence"), Refusal::ForbiddenByRbac);
    let (secrets, _) = GOOD.split_once("env:").unwrap();
    let (code, report) = json(&world, &world.config(&format!("{secrets}env: {{LICENCE: {{secret: licence}}}}\n")));
    assert_eq!(code, Some(77), "{report:#}");
    assert_eq!(find(&report, "variables", "env")["problem"], "not tried without licence");
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
        let ended = end(&mut as_user(10_001, &world.keyferry(config, &["check", "--offline"])));
        (ended.code, String::from_utf8(ended.stdout).unwrap())
    };
    let (code, text) = as_user(&config);
    assert_eq!(code, Some(73), "{text}");
    assert!(text.contains("could not create a file there"), "{text}");
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

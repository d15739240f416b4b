//! What is given, and in which form.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;

use serde_json::json;

use super::client::{Endpoint, socket};
use crate::harness::{Running, SOON, World, end, eventually};

const SECRETS: &str = "refresh: {interval: 1s, settle: 0s}
secrets:
  db-password: keyvault:demo/secrets/db
  binary: {from: keyvault:demo/secrets/blob, decode: hex}
  absent: {from: keyvault:demo/secrets/absent, optional: true}
env: {DB: {secret: db-password}, URL: {template: \"postgres://{{ secrets['db-password'] | urlencode }}@db\"}, NONE: {secret: absent}}
";

fn world() -> World {
    let world = World::new();
    world.emulator.put_secret("demo", "db", "pa ss'word");
    world.emulator.put_secret("demo", "blob", "00ff80");
    world
}

fn serving(world: &World) -> (Running, Endpoint) {
    let running = world.run(&format!("{}{}{SECRETS}", world.preamble(&["demo"]), socket(world, "")));
    running.wait_for("published generation 1 in serve", 1);
    (running, Endpoint::of(world))
}

#[test]
fn each_secret_in_each_form() {
    let world = world();
    let (running, endpoint) = serving(&world);
    let raw = endpoint.get("/v1/secrets/db-password");
    assert_eq!((raw.status, raw.text().as_str()), (200, "pa ss'word"));
    assert_eq!(raw.header("content-type").unwrap(), "application/octet-stream");
    assert_eq!(raw.header("cache-control").unwrap(), "no-store");
    assert_eq!(endpoint.get("/v1/secrets/binary").body, [0, 0xff, 0x80]);
    let json = endpoint.ask("GET", "/v1/secrets/db-password", &["accept: application/json"]).json();
    let version = json["version"].as_str().unwrap();
    assert_eq!(version.len(), 32);
    assert_eq!(
        json,
        json!({"name": "db-password", "version": version, "generation": 1, "part": "value", "value": "pa ss'word"})
    );
    let json = endpoint.ask("GET", "/v1/secrets/binary", &["accept: application/json"]).json();
    assert_eq!((&json["valueBase64"], json.get("value")), (&json!("AP+A"), None));
    let head = endpoint.ask("HEAD", "/v1/secrets/db-password", &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(endpoint.get("/v1/secrets/absent").refusal(), (404, "SecretNotFound".to_owned()));
    assert_eq!(endpoint.get("/v1/secrets/never-heard-of").refusal(), (404, "SecretNotFound".to_owned()));
    let listing = endpoint.get("/v1/secrets").json();
    assert_eq!(listing["generation"], 1);
    let names: Vec<&str> =
        listing["secrets"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["binary", "db-password"]);
    assert!(!listing.to_string().contains("pa ss"));
    let status = endpoint.get("/v1/status").json();
    assert_eq!(status["ready"], true);
    let of = |name: &str| {
        let mut secrets = status["secrets"].as_array().unwrap().iter();
        secrets.find(|one| one["name"] == name).cloned().unwrap()
    };
    assert_eq!(of("db-password")["reference"], "keyvault:demo/secrets/db");
    assert_eq!((&of("db-password")["origin"], &of("absent")["origin"]), (&json!("primary"), &json!("absent")));
    assert!(of("db-password")["nextRefresh"].as_str().unwrap().ends_with('Z'));
    assert!(of("absent")["error"].as_str().unwrap().contains("SecretNotFound"), "{status}");
    assert_eq!(status["directories"], json!([{"dir": "serve", "generation": 1}]));
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn the_variables_in_each_form() {
    let world = world();
    let (running, endpoint) = serving(&world);
    let env = endpoint.get("/v1/env");
    assert_eq!(env.json(), json!({"DB": "pa ss'word", "URL": "postgres://pa%20ss%27word@db"}));
    assert_eq!(env.header("content-type").unwrap(), "application/json");
    let dotenv = endpoint.ask("GET", "/v1/env", &["accept: text/plain"]);
    assert_eq!(dotenv.text(), "DB=\"pa ss'word\"\nURL='postgres://pa%20ss%27word@db'\n");
    let sh = endpoint.get("/v1/env?format=sh").text();
    assert_eq!(sh, "export DB='pa ss'\\''word'\nexport URL='postgres://pa%20ss%27word@db'\n");
    let refused = endpoint.get("/v1/env?format=envfile");
    assert_eq!(refused.refusal(), (406, "CannotBeExpressed".to_owned()));
    assert!(refused.text().contains("env.DB") && !refused.text().contains("word'"), "{}", refused.text());
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn what_the_caller_has_is_not_sent_again_and_no_tag_outlives_its_run() {
    let world = world();
    let (running, endpoint) = serving(&world);
    let conditional = |target: &str, tag: &str| endpoint.ask("GET", target, &[&format!("if-none-match: {tag}")]);
    let tag = endpoint.get("/v1/secrets/db-password").header("etag").unwrap();
    let other = endpoint.get("/v1/secrets/binary").header("etag").unwrap();
    let known = conditional("/v1/secrets/db-password", &tag);
    assert_eq!((known.status, known.body.len(), known.header("etag").unwrap()), (304, 0, tag.clone()));
    assert_ne!(
        endpoint.ask("GET", "/v1/secrets/db-password", &["accept: application/json"]).header("etag").unwrap(),
        tag
    );
    world.emulator.put_secret("demo", "db", "another");
    running.wait_for("published generation 2 in serve", 1);
    let changed = conditional("/v1/secrets/db-password", &tag);
    assert_eq!((changed.status, changed.text().as_str()), (200, "another"));
    assert_eq!(conditional("/v1/secrets/binary", &other).status, 304, "nothing about this one has changed");
    // The same value again is no value that was never away.
    world.emulator.put_secret("demo", "db", "pa ss'word");
    running.wait_for("published generation 3 in serve", 1);
    assert_eq!(conditional("/v1/secrets/db-password", &tag).status, 200);
    assert_eq!(running.stop().0, Some(0));
    let (running, endpoint) = serving(&world);
    let again = endpoint.ask("GET", "/v1/secrets/db-password", &[&format!("if-none-match: {tag}")]);
    assert_eq!((again.status, again.text().as_str()), (200, "pa ss'word"));
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn nothing_is_given_before_there_is_something() {
    let world = world();
    world.emulator.update_secret("demo", "db", None, |secret| secret.enabled = false);
    let running = world.run(&format!("{}{}{SECRETS}", world.preamble(&["demo"]), socket(&world, "")));
    running.wait_for("SecretDisabled", 1);
    let endpoint = Endpoint::of(&world);
    for target in ["/v1/secrets/db-password", "/v1/env"] {
        let early = endpoint.get(target);
        assert_eq!(early.refusal(), (503, "NoValueYet".to_owned()));
        assert_eq!(early.header("retry-after").as_deref(), Some("1"));
    }
    let waiting = endpoint.begin("GET", "/v1/secrets/db-password?wait=60s", &[]);
    // Whoever asks after it is answered: it is there.
    assert_eq!(endpoint.get("/v1/status").status, 200);
    world.emulator.update_secret("demo", "db", None, |secret| secret.enabled = true);
    assert_eq!(endpoint.ask("POST", "/v1/refresh", &[]).status, 202);
    assert_eq!(waiting.end().text(), "pa ss'word");
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn a_socket_is_everybody_s_to_call_and_goes_with_its_process() {
    let world = world();
    let path = world.root.path().join("api.sock");
    let (running, endpoint) = serving(&world);
    let file = fs::symlink_metadata(&path).unwrap();
    assert!(file.file_type().is_socket());
    assert_eq!(file.permissions().mode() & 0o7777, 0o666);
    // Another one does not take it away from a process that serves.
    let config = format!("{}{}{SECRETS}", world.preamble(&["demo"]), socket(&world, ""));
    end(&mut world.keyferry(&config, &["run"])).expect(78, &["serve.socket.path", "another process listens"]);
    assert_eq!(endpoint.get("/v1/secrets/db-password").status, 200);
    assert_eq!(running.stop().0, Some(0));
    assert!(fs::symlink_metadata(&path).is_err());
    // What a process that was killed has left is no obstacle.
    drop(UnixListener::bind(&path).unwrap());
    let (running, endpoint) = serving(&world);
    assert_eq!(endpoint.get("/v1/secrets/db-password").status, 200);
    // And whoever has taken its place meanwhile keeps it.
    fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    assert_eq!(running.stop().0, Some(0));
    assert!(fs::symlink_metadata(&path).is_ok());
}

#[test]
fn where_no_socket_can_be_it_says_why() {
    let world = world();
    let path = world.root.path().join("api.sock");
    let config = |path: &str| format!("{}serve: {{socket: {{path: {path}}}}}\n{SECRETS}", world.preamble(&["demo"]));
    fs::write(&path, "somebody's").unwrap();
    let ended = end(&mut world.keyferry(&config(path.to_str().unwrap()), &["run"]));
    ended.expect(78, &["is there already and is no socket"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "somebody's");
    let nowhere = world.root.path().join("no/such/dir/api.sock");
    end(&mut world.keyferry(&config(nowhere.to_str().unwrap()), &["run"])).expect(78, &["mount a volume"]);
}

#[test]
fn everything_is_fetched_anew_when_somebody_asks_and_not_for_each() {
    let world = world();
    let config = format!("{}{}{}", world.preamble(&["demo"]), socket(&world, ""), SECRETS.replace("1s", "1h"));
    let running = world.run(&config);
    running.wait_for("published generation 1 in serve", 1);
    let endpoint = Endpoint::of(&world);
    world.emulator.put_secret("demo", "db", "rotated");
    let before = world.bearers();
    for _ in 0..200 {
        assert_eq!(endpoint.ask("POST", "/v1/refresh", &[]).status, 202);
    }
    let rotated = || (endpoint.get("/v1/secrets/db-password").text() == "rotated").then_some(());
    assert!(eventually(SOON, rotated).is_some());
    let asked = world.bearers() - before;
    // One round at once, and at most one after the while that is to pass between two: three secrets each, a list, and a
    // second look at what has just changed.
    assert!(asked <= 12, "{asked}");
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn callers_take_no_descriptor_from_the_vaults() {
    let world = world();
    let config = format!("{}{}{SECRETS}", world.preamble(&["demo"]), socket(&world, ""));
    let plain = world.keyferry(&config, &["run", "--log-level", "debug"]);
    let mut command = std::process::Command::new("/bin/sh");
    command.args(["-c", "ulimit -S -n 100; exec \"$@\"", "sh"]).arg(plain.get_program()).args(plain.get_args());
    command.env_clear().stderr(std::process::Stdio::piped());
    for (name, value) in plain.get_envs() {
        command.env(name, value.unwrap());
    }
    let running = Running::start(&mut command);
    running.wait_for("published generation 1 in serve", 1);
    let endpoint = Endpoint::of(&world);
    let held: Vec<_> = (0..200).map(|_| endpoint.watch(&[])).collect();
    world.emulator.put_secret("demo", "db", "rotated");
    running.wait_for("published generation 2 in serve", 1);
    assert_eq!(endpoint.get("/v1/secrets/db-password").text(), "rotated");
    drop(held);
    assert_eq!(running.stop().0, Some(0));
}

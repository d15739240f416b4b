//! What a person asks a running agent by commands: `status`, `refresh`, `env`.

use std::os::unix::net::UnixListener;

use super::client::{Endpoint, socket};
use crate::harness::{SOON, World, end, eventually, root_or_skip};

const SECRETS: &str = "refresh: {interval: 1h, settle: 0s}
secrets:
  db: keyvault:demo/secrets/db
  absent: {from: keyvault:demo/secrets/absent, optional: true}
env: {DB: {secret: db}}
";

fn world() -> (World, String) {
    let world = World::new();
    world.emulator.put_secret("demo", "db", "canary");
    let config = format!("{}{}{SECRETS}", world.preamble(&["demo"]), socket(&world, ""));
    (world, config)
}

#[test]
fn status_is_a_table_or_json_and_never_a_value() {
    let (world, config) = world();
    let running = world.run(&config);
    running.wait_for("published generation 1 in serve", 1);
    let table = end(&mut world.keyferry(&config, &["status"]));
    table.expect(0, &[]);
    let text = String::from_utf8(table.stdout).unwrap();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NAME", "REFERENCE", "VERSION", "AGE", "EXPIRES", "IN", "NEXT", "IN", "STATE"]);
    assert_eq!((lines[1][0], lines[1].last()), ("absent", Some(&"absent")));
    assert_eq!((lines[2][..2].join(" ").as_str(), lines[2].last()), ("db keyvault:demo/secrets/db", Some(&"ok")));
    let json = end(&mut world.keyferry(&config, &["status", "-o", "json"]));
    json.expect(0, &[]);
    let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(report["secrets"][1]["version"].as_str().unwrap().len(), 32);
    assert!(!text.contains("canary") && !report.to_string().contains("canary"));
    let ready = end(&mut world.keyferry(&config, &["status", "--ready"]));
    ready.expect(0, &[]);
    assert!(ready.stdout.is_empty());
    assert_eq!(running.stop().0, Some(0));
    end(&mut world.keyferry(&config, &["status"])).expect(69, &["no keyferry answers at", "api.sock"]);
}

#[test]
fn what_is_not_ready_says_so() {
    let (world, config) = world();
    world.emulator.update_secret("demo", "db", None, |secret| secret.enabled = false);
    let config = format!("{config}admin: {{listen: \"127.0.0.1:0\"}}\n");
    let running = world.run(&config);
    running.wait_for("SecretDisabled", 1);
    end(&mut world.keyferry(&config, &["status", "--ready"])).expect(69, &["not ready"]);
    let status = end(&mut world.keyferry(&config, &["status"]));
    let text = String::from_utf8(status.stdout).unwrap();
    assert!(text.contains("failing, no value") && text.contains("db: disabled (SecretDisabled)"), "{text}");
    assert!(text.ends_with("Not ready: not every required secret has been published.\n"), "{text}");
    // Without a socket the probe's own port is asked.
    let address = crate::admin::address(&running);
    let only = format!("{}admin: {{listen: \"{address}\"}}\n{SECRETS}", world.preamble(&["demo"]));
    end(&mut world.keyferry(&only, &["status", "--ready"])).expect(69, &["not ready: no value yet of 1 required"]);
    world.emulator.update_secret("demo", "db", None, |secret| secret.enabled = true);
    end(&mut world.keyferry(&config, &["refresh"])).expect(0, &[]);
    let is_ready = || (end(&mut world.keyferry(&only, &["status", "--ready"])).code == Some(0)).then_some(());
    assert!(eventually(SOON, is_ready).is_some());
    end(&mut world.keyferry(&only, &["status"])).expect(78, &["opens no socket to ask at"]);
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn the_variables_come_from_the_agent_that_runs() {
    let (world, config) = world();
    let running = world.run(&config);
    running.wait_for("published generation 1 in serve", 1);
    world.emulator.put_secret("demo", "db", "newer");
    let requests = world.bearers();
    let env = end(&mut world.keyferry(&config, &["env"]));
    env.expect(0, &[]);
    assert_eq!(String::from_utf8(env.stdout).unwrap(), "DB='canary'\n", "what the agent holds, not what is newer");
    assert_eq!(world.bearers(), requests);
    end(&mut world.keyferry(&config, &["refresh"])).expect(0, &[]);
    let newer =
        || (end(&mut world.keyferry(&config, &["env", "-o", "json"])).stdout == b"{\"DB\":\"newer\"}\n").then_some(());
    assert!(eventually(SOON, newer).is_some());
    assert_eq!(running.stop().0, Some(0));
    let fetched = end(&mut world.keyferry(&config, &["env"]));
    assert_eq!((fetched.code, fetched.stdout), (Some(0), b"DB='newer'\n".to_vec()), "where none runs, it is fetched");
}

#[test]
fn who_is_not_allowed_is_told_and_an_impostor_is_not_believed() {
    if !root_or_skip() {
        return;
    }
    let (world, config) = world();
    let allowing = config.replace("api.sock", "api.sock, allow: [{uid: 1000}]");
    let running = world.run(&allowing);
    running.wait_for("published generation 1 in serve", 1);
    // keyferry's own user, which is not named: what holds no value it may ask for all the same.
    end(&mut world.keyferry(&allowing, &["status"])).expect(0, &[]);
    end(&mut world.keyferry(&allowing, &["refresh"])).expect(0, &[]);
    end(&mut world.keyferry(&allowing, &["env"])).expect(77, &["uid 0 may not call: name it in 'serve.socket.allow'"]);
    assert_eq!(running.stop().0, Some(0));
    let Endpoint::Unix(path) = Endpoint::of(&world) else { panic!() };
    std::fs::set_permissions(world.root.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let impostor = std::thread::spawn(move || {
        rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(1000)).unwrap();
        UnixListener::bind(path).unwrap()
    });
    let _impostor = impostor.join().unwrap();
    for command in ["status", "refresh", "env"] {
        end(&mut world.keyferry(&config, &[command])).expect(77, &["is served by uid 1000"]);
    }
}

#[test]
fn env_waits_for_an_agent_that_waits() {
    let (world, config) = world();
    world.emulator.update_secret("demo", "db", None, |secret| secret.enabled = false);
    let running = world.run(&config);
    running.wait_for("SecretDisabled", 1);
    let mut command = world.keyferry(&config, &["env"]);
    let waiting = std::thread::spawn(move || end(&mut command));
    world.emulator.update_secret("demo", "db", None, |secret| secret.enabled = true);
    end(&mut world.keyferry(&config, &["refresh"])).expect(0, &[]);
    let env = waiting.join().unwrap();
    assert_eq!((env.code, env.stdout), (Some(0), b"DB='canary'\n".to_vec()), "{}", env.stderr);
    assert_eq!(running.stop().0, Some(0));
}

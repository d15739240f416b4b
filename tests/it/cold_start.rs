//! A cold start asks for exactly what it must: one token, one GET per secret, few connections.

use std::fmt::Write as _;
use std::time::Duration;

use keyferry_emulator::{Service, Settings};

use crate::harness::{World, end};

fn secrets(world: &World, count: usize) -> String {
    let mut text = "secrets:\n".to_owned();
    for number in 0..count {
        world.emulator.put_secret("demo", &format!("s{number}"), &format!("value {number}"));
        writeln!(text, "  s{number}: keyvault:demo/secrets/s{number}").unwrap();
    }
    text
}

fn fetch(count: usize, settings: Settings) -> World {
    let world = World::with(settings);
    let secrets = secrets(&world, count);
    world.init(&world.config(&secrets), &[]).expect(0, &[]);
    for number in 0..count {
        assert_eq!(world.read(&format!("s{number}")).unwrap(), format!("value {number}"));
    }
    world
}

fn assert_frugal(world: &World, count: usize) {
    let vault = world.requests_to(Service::Vault);
    assert_eq!(world.requests_to(Service::Entra).len(), 1, "one token");
    assert_eq!(vault.iter().filter(|request| request.status == Some(200)).count(), count, "one GET each");
    assert!(vault.iter().filter(|request| request.status == Some(401)).count() <= 1, "at most one challenge");
    assert!(vault.len() <= count + 1, "{} requests", vault.len());
    assert_eq!(world.bearers(), count);
}

#[test]
fn a_hundred_secrets_cost_one_token_and_a_hundred_gets_over_two_connections() {
    for latency in [Duration::ZERO, Duration::from_millis(20)] {
        let world = fetch(100, Settings { latency, ..Settings::default() });
        assert_frugal(&world, 100);
        assert_eq!(world.emulator.connections(Service::Entra), 1);
        assert_eq!(world.emulator.connections(Service::Vault), 1, "two in all, one of them to the authority");
        assert!(world.emulator.requests().iter().all(|request| request.http == "2"));
        assert!(world.emulator.peak_concurrency() <= 100);
    }
}

#[test]
fn the_same_at_any_concurrency() {
    for count in [1, 2, 17, 300] {
        let world = fetch(count, Settings { latency: Duration::from_millis(3), ..Settings::default() });
        assert_frugal(&world, count);
        assert!(world.emulator.connections(Service::Vault) <= 2, "{count}");
        assert!(world.emulator.peak_concurrency() <= 100);
    }
}

#[test]
fn http_1_1_alone_takes_at_most_33_connections() {
    let settings = Settings { http2: false, latency: Duration::from_millis(20), ..Settings::default() };
    let world = fetch(100, settings);
    assert_frugal(&world, 100);
    let connections = world.emulator.connections(Service::Vault) + world.emulator.connections(Service::Entra);
    assert!(connections <= 33, "{connections}");
    assert!(world.emulator.requests().iter().all(|request| request.http == "1.1"));
}

#[test]
fn many_names_of_one_object_cost_one_get() {
    let world = World::new();
    world.emulator.put_secret("demo", "db", r#"{"user":"ann","password":"s3cret","key":"aGk="}"#);
    let config = world.config(
        "secrets:
  whole: keyvault:demo/secrets/db
  user: {from: keyvault:demo/secrets/db, property: user}
  password: {from: keyvault:demo/secrets/DB, property: password}
  key: {from: keyvault:demo/secrets/db, property: key, decode: base64, file: nested/key}
",
    );
    world.init(&config, &[]).expect(0, &[]);
    assert_eq!(world.bearers(), 1);
    for (file, value) in [("user", "ann"), ("password", "s3cret"), ("nested/key", "hi")] {
        assert_eq!(world.read(file).unwrap(), value);
    }
}

#[test]
fn two_variables_say_where_the_systems_authorities_are() {
    let world = World::new();
    let (ca, hashed) = (world.root.path().join("ca.pem"), world.root.path().join("hashed"));
    std::fs::create_dir(&hashed).unwrap();
    std::fs::copy(&ca, hashed.join("ca.pem")).unwrap();
    let config = world.config(&secrets(&world, 1)).replace(&format!("tls: {{caFile: {}}}", ca.display()), "tls: {}");
    for (variable, path) in [("SSL_CERT_FILE", &ca), ("SSL_CERT_DIR", &hashed)] {
        end(world.keyferry(&config, &["init", "--timeout", "20s"]).env(variable, path)).expect(0, &[]);
    }
}

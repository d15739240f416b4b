//! Edits of the configuration, and of the local files that it names, under a running agent.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use keyferry_emulator::{ConnectionSpec, Settings, Workspace};
use rcgen::{CertificateParams, KeyPair};
use rustix::process::Signal;
use serde_json::json;

use crate::harness::{Running, SOON, World, binary, eventually, until_holds};

fn world() -> World {
    let world = World::with(Settings::default());
    for name in ["a", "b", "c"] {
        world.emulator.put_secret("demo", name, &format!("{name}1"));
    }
    world
}

fn file(world: &World) -> PathBuf {
    world.root.path().join("keyferry.yaml")
}

/// A long interval: whatever comes sooner was asked for.
fn config(world: &World, secrets: &str) -> String {
    world.config(&format!("refresh: {{interval: 1h, settle: 0s}}\nsecrets: {{{secrets}}}\n"))
}

fn run(world: &World, config: &str) -> Running {
    fs::write(file(world), config).unwrap();
    let args = ["run", "--log-level", "debug", "--config", file(world).to_str().unwrap()].map(str::to_owned);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let running = Running::start(binary(&args).envs(world.environment()));
    running.wait_for("published generation 1", 1);
    running
}

/// As editors and `kubectl cp` do it: written beside it, and renamed.
fn replace(world: &World, config: &str) {
    let beside = world.root.path().join("keyferry.yaml.new");
    fs::write(&beside, config).unwrap();
    fs::rename(beside, file(world)).unwrap();
}

fn gone(world: &World, name: &str) {
    assert!(eventually(SOON, || world.read(name).is_none().then_some(())).is_some(), "{name} is still there");
}

const A: &str = "a: keyvault:demo/secrets/a";
const B: &str = "b: keyvault:demo/secrets/b";

#[test]
fn a_signal_makes_it_read_the_configuration_again() {
    let world = world();
    let running = run(&world, &config(&world, &format!("{A}, {B}")));
    replace(&world, &config(&world, &format!("{A}, c: {{from: keyvault:demo/secrets/c, file: sub/c}}")));
    running.signal(Signal::HUP);
    until_holds(&world.out().join("sub/c"), "c1");
    gone(&world, "b");
    assert_eq!(world.read("a").as_deref(), Some("a1"));
    running.wait_for("the configuration has changed: added c; removed b", 1);
    // What it says now is what is followed.
    world.emulator.put_secret("demo", "c", "c2");
    running.signal(Signal::HUP);
    until_holds(&world.out().join("sub/c"), "c2");
    let (code, lines) = running.stop();
    assert_eq!(code, Some(0));
    assert_eq!(lines.iter().filter(|line| line.contains("the configuration has changed")).count(), 1, "{lines:#?}");
}

#[test]
fn without_being_told_to_it_follows_no_edits() {
    let world = world();
    let running = run(&world, &config(&world, A));
    replace(&world, &config(&world, &format!("{A}, {B}")));
    world.emulator.put_secret("demo", "a", "a2");
    running.signal(Signal::HUP);
    until_holds(&world.out().join("b"), "b1");
    running.wait_for("signal received", 1);
}

#[test]
fn edits_are_followed_through_the_links_of_a_config_map() {
    let world = world();
    let volume = world.root.path().join("volume");
    fs::create_dir(&volume).unwrap();
    let write = |revision: &str, config: &str| {
        fs::create_dir(volume.join(revision)).unwrap();
        fs::write(volume.join(revision).join("keyferry.yaml"), config).unwrap();
        symlink(revision, volume.join("..data_tmp")).unwrap();
        fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    };
    let with = |secrets: &str| format!("reloadConfig: true\n{}", config(&world, secrets));
    write("..1", &with(A));
    let path = volume.join("keyferry.yaml");
    symlink("..data/keyferry.yaml", &path).unwrap();
    let args = ["run", "--config", path.to_str().unwrap()];
    let running = Running::start(binary(&args).envs(world.environment()));
    running.wait_for("published generation 1", 1);
    write("..2", &with(&format!("{A}, {B}")));
    until_holds(&world.out().join("b"), "b1");
    // What is wrong is told, with its place, and the one before goes on.
    write("..3", &with(&format!("{A}, {B}, bad: nonsense")));
    running.wait_for("the configuration has changed and cannot be used: the one before goes on", 1);
    running.wait_for("keyferry.yaml:", 1);
    assert_eq!((world.read("a").as_deref(), world.read("b").as_deref()), (Some("a1"), Some("b1")));
    world.emulator.put_secret("demo", "b", "b2");
    running.signal(Signal::HUP);
    until_holds(&world.out().join("b"), "b2");
    write("..4", &with(B));
    gone(&world, "a");
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn what_needs_a_restart_is_named_and_the_rest_is_had_at_once() {
    let world = world();
    let running = run(&world, &config(&world, A));
    let new = config(&world, &format!("{A}, {B}")).replace("files:", "onRevoked: remove\nfiles:");
    replace(
        &world,
        &new.replace("vaults:\n", &format!("vaults:\n  two: {{url: \"{}\"}}\n", world.emulator.vault_url("two"))),
    );
    running.signal(Signal::HUP);
    until_holds(&world.out().join("b"), "b1");
    running.wait_for(
        "changes of 'vaults', 'onRevoked' in the configuration have no effect until keyferry is restarted",
        1,
    );
    // A secret that needs what is not there yet leaves everything as it is.
    let new = new.replace(B, "b: keyvault:other/secrets/b");
    replace(
        &world,
        &new.replace("vaults:\n", &format!("vaults:\n  other: {{url: \"{}\"}}\n", world.emulator.vault_url("other"))),
    );
    running.signal(Signal::HUP);
    running.wait_for("secret b (keyvault:other/secrets/b): 'other' is no alias in 'vaults:': there are demo", 1);
    running.wait_for("cannot be used: the one before goes on", 1);
    assert_eq!(world.read("b").as_deref(), Some("b1"));
}

#[test]
fn what_a_new_definition_cannot_give_is_kept_from_the_old() {
    let world = world();
    world.emulator.put_secret("demo", "json", r#"{"one":"1","two":"2"}"#);
    let json = |property: &str| format!("j: {{from: keyvault:demo/secrets/json, property: {property}}}");
    let running = run(&world, &config(&world, &format!("{A}, {}", json("one"))));
    assert_eq!(world.read("j").as_deref(), Some("1"));
    replace(&world, &config(&world, &format!("{A}, {}", json("two"))));
    running.signal(Signal::HUP);
    until_holds(&world.out().join("j"), "2");
    replace(&world, &config(&world, &format!("{A}, {B}, {}", json("three"))));
    running.signal(Signal::HUP);
    until_holds(&world.out().join("b"), "b1");
    running.wait_for("secret j (keyvault:demo/secrets/json) cannot be fetched", 1);
    assert_eq!(world.read("j").as_deref(), Some("2"), "the last good value stays");
}

#[test]
fn a_local_file_is_followed_at_once() {
    let world = world();
    let local = world.root.path().join("local");
    fs::write(&local, "one").unwrap();
    let running = run(&world, &config(&world, &format!("{A}, l: \"file:{}\"", local.display())));
    assert_eq!(world.read("l").as_deref(), Some("one"));
    let asked = world.bearers();
    fs::write(&local, "two!").unwrap();
    until_holds(&world.out().join("l"), "two!");
    assert_eq!(world.bearers(), asked, "nobody else is asked");
    let beside = world.root.path().join("beside");
    fs::write(&beside, "three").unwrap();
    fs::rename(&beside, &local).unwrap();
    until_holds(&world.out().join("l"), "three");
    fs::remove_file(&local).unwrap();
    running.wait_for("secret l (file:", 1);
    assert_eq!(world.read("l").as_deref(), Some("three"), "the last good value stays");
}

#[test]
fn a_new_private_authority_is_trusted_without_a_restart() {
    let world = world();
    let ca = world.root.path().join("ca.pem");
    let own = CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
    fs::write(&ca, own).unwrap();
    fs::write(file(&world), config(&world, A)).unwrap();
    let args = ["run", "--config", file(&world).to_str().unwrap()].map(str::to_owned);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let running = Running::start(binary(&args).envs(world.environment()));
    running.wait_for("from an authority that is not trusted here", 1);
    fs::write(&ca, "nonsense").unwrap();
    running.wait_for("tls.caFile has changed and cannot be used, who was trusted is", 1);
    fs::write(&ca, world.emulator.ca_pem()).unwrap();
    until_holds(&world.out().join("a"), "a1");
    running.wait_for("tls.caFile has changed: 1 of its authorities are trusted", 1);
}

#[test]
fn an_edited_template_and_variable_are_made_anew() {
    let world = world();
    let template = world.root.path().join("t.j2");
    fs::write(&template, "{{ secrets.a }}").unwrap();
    let with = |env: &str| {
        config(&world, &format!("{A}, {B}")).replace(
            "}\nrefresh:",
            &format!(
                ", envFile: app.env}}\nreloadConfig: true\nenv: {{X: {{template: \"{env}\"}}}}\ntemplates: [{{dir: {}, \
                 destination: t, source: {}}}]\nrefresh:",
                world.out().display(),
                template.display()
            ),
        )
    };
    let running = run(&world, &with("{{ secrets.a }}"));
    assert_eq!(world.read("t").as_deref(), Some("a1"));
    assert_eq!(world.read("app.env").as_deref(), Some("X='a1'\n"));
    replace(&world, &with("{{ secrets.b }}"));
    until_holds(&world.out().join("app.env"), "X='b1'\n");
    fs::write(&template, "{{ secrets.b }}!").unwrap();
    until_holds(&world.out().join("t"), "b1!");
    fs::write(&template, "{{ secrets.nobody }}").unwrap();
    running.wait_for("cannot be used: the one before goes on", 1);
    assert_eq!(world.read("t").as_deref(), Some("b1!"));
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn a_new_name_of_a_connection_that_was_read_has_its_value_at_once() {
    let world = world();
    let keys = json!({"keys": {"one": "k1", "two": "k2"}});
    world.emulator.put_connection("ws", ConnectionSpec::new("keys", "CustomKeys", keys));
    let with = |names: &[&str]| {
        let secret = |name: &&str| format!("{name}: azureml://connections/keys/credentials/{name}");
        let secrets: Vec<String> = names.iter().map(secret).chain([A.to_owned()]).collect();
        config(&world, &secrets.join(", "))
            .replace("interval: 1h", "interval: 1h, connectionInterval: 1h")
            .replace("files:", &format!("workspace: {}\nfiles:", Workspace::from("ws").id()))
    };
    let running = run(&world, &with(&["one"]));
    assert_eq!(world.read("one").as_deref(), Some("k1"));
    replace(&world, &with(&["one", "two"]));
    running.signal(Signal::HUP);
    until_holds(&world.out().join("two"), "k2");
    // And when it is gone and comes back.
    replace(&world, &with(&[]));
    running.signal(Signal::HUP);
    gone(&world, "one");
    replace(&world, &with(&["two"]));
    running.signal(Signal::HUP);
    until_holds(&world.out().join("two"), "k2");
}

#[test]
fn a_configuration_that_is_named_by_a_relative_path_is_followed() {
    let world = world();
    let with = |secrets: &str| format!("reloadConfig: true\n{}", config(&world, secrets));
    fs::write(file(&world), with(A)).unwrap();
    let mut command = binary(&["run", "--config", "keyferry.yaml"]);
    let running = Running::start(command.envs(world.environment()).current_dir(world.root.path()));
    running.wait_for("published generation 1", 1);
    replace(&world, &with(&format!("{A}, {B}")));
    // Sooner than the look that comes by itself.
    assert!(eventually(SOON / 2, || (world.read("b")? == "b1").then_some(())).is_some(), "{:#?}", running.lines());
}

#[test]
fn an_authority_that_is_removed_is_trusted_no_longer() {
    let world = world();
    let ca = world.root.path().join("ca.pem");
    // Longer than a connection is kept: each look needs a new one.
    let config = config(&world, A).replace("interval: 1h", "interval: 7s");
    let running = run(&world, &config);
    let own = CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
    fs::write(&ca, own).unwrap();
    running.wait_for("tls.caFile has changed: 1 of its authorities are trusted", 1);
    running.wait_for("from an authority that is not trusted here", 1);
    assert_eq!(world.read("a").as_deref(), Some("a1"), "the last good value stays");
}

//! What works and is probably not what was meant; and what is wrong before anybody is asked.

use std::fs;
use std::path::Path;

use keyferry_emulator::SecretSpec;

use super::{GOOD, check, find, json, world};
use crate::harness::{end, skip};

#[test]
fn what_is_not_good_any_more_or_not_what_was_meant_is_a_warning() {
    let world = world();
    world.emulator.put_secret_with("demo", SecretSpec { exp: Some(1_000_000_000), ..SecretSpec::new("old", "canary") });
    world.emulator.put_secret_with("demo", SecretSpec { certificate: true, ..SecretSpec::new("web", "canary") });
    let config = world.config("secrets: {old: keyvault:demo/secrets/old, web: keyvault:demo/secrets/web}\n");
    let (code, report) = json(&world, &config);
    assert_eq!(code, Some(0), "{report:#}");
    let old = find(&report, "secret", "old");
    assert_eq!((&old["result"], &old["expires"]), (&"warning".into(), &"2001-09-09T01:46:40Z".into()));
    assert!(old["problem"].as_str().unwrap().starts_with("has expired, "), "{old}");
    let web = find(&report, "secret", "web")["problem"].as_str().unwrap();
    assert!(web.contains("holds a certificate") && web.ends_with("write keyvault:demo/certificates/web"), "{web}");
}

#[test]
fn a_configuration_that_publishes_nothing_works_and_is_warned_of() {
    let world = world();
    let (secrets, _) = GOOD.split_once("env:").unwrap();
    let (code, report) = json(&world, &format!("{}{secrets}", world.preamble(&["demo"])));
    assert_eq!(code, Some(0), "{report:#}");
    let written = find(&report, "configuration", "KEYFERRY_CONFIG_YAML");
    assert_eq!(written["result"], "warning");
    assert!(written["problem"].as_str().unwrap().contains("there is no 'files'"), "{written}");
    // A command gets what its variables are made of, and nothing else.
    let (code, report) = json(&world, &format!("{}{GOOD}", world.preamble(&["demo"])));
    assert_eq!(code, Some(0), "{report:#}");
    let written = find(&report, "configuration", "KEYFERRY_CONFIG_YAML");
    assert_eq!(written["result"], "warning");
    let problem = written["problem"].as_str().unwrap();
    assert!(problem.contains("in no variable") && problem.contains(": licence;"), "{written}");
    // From a file it is called by its name.
    let file = world.root.path().join("keyferry.yaml");
    fs::write(&file, world.config(GOOD)).unwrap();
    let mut command = world.keyferry("", &["check", "-o", "json", "--config", file.to_str().unwrap()]);
    let ended = end(command.env_remove("KEYFERRY_CONFIG_YAML"));
    let report = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(find(&report, "configuration", file.to_str().unwrap())["result"], "ok");
}

#[test]
fn a_directory_on_a_disk_is_warned_of_though_it_is_allowed() {
    let disk = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let kind = rustix::fs::statfs(disk).unwrap().f_type;
    if kind == 0x0102_1994 {
        return skip("the target directory is a tmpfs");
    }
    let world = world();
    let dir = tempfile::tempdir_in(disk).unwrap();
    let config = |allow: bool| {
        let config = world.config(GOOD).replace(world.out().to_str().unwrap(), dir.path().to_str().unwrap());
        format!("allowDisk: {allow}\n{config}")
    };
    let (code, report) = json(&world, &config(true));
    let found = find(&report, "directory", dir.path().to_str().unwrap());
    assert_eq!((code, &found["result"]), (Some(0), &"warning".into()), "{report:#}");
    assert!(found["problem"].as_str().unwrap().contains("is not on tmpfs"), "{found}");
    let (code, report) = json(&world, &config(false));
    assert_eq!(code, Some(73), "{report:#}");
    assert_eq!(dir.path().read_dir().unwrap().count(), 0);
}

#[test]
fn an_authority_that_is_none_keeps_nothing_else_from_being_looked_at() {
    let world = world();
    fs::write(world.root.path().join("ca.pem"), "canary").unwrap();
    let config = world.config(GOOD).replace("files: {", "files: {group: 4294967290, ");
    for offline in [&[][..], &["--offline"]] {
        let (ended, text) = check(&world, &config, offline);
        ended.expect(78, &["checks failed: KEYFERRY_CONFIG_YAML"]);
        assert!(text.contains("configuration KEYFERRY_CONFIG_YAML: tls.caFile ") && text.contains("no PEM"), "{text}");
        assert!(text.lines().any(|line| line.starts_with("directory ")), "{text}");
    }
    assert!(world.emulator.requests().is_empty());
}

//! What `exec` would start a command with is looked at as `exec` would: references in the environment too.

use std::process::Command;

use serde_json::Value;

use super::{find, world};
use crate::harness::{World, binary, end};

fn checked(command: &mut Command) -> (Option<i32>, Value) {
    let ended = end(command);
    let text = String::from_utf8(ended.stdout.clone()).unwrap();
    assert!(!text.contains("canary") && !ended.stderr.contains("canary"), "{text}{}", ended.stderr);
    (ended.code, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{ended:#?}")))
}

fn check(world: &World, config: &str) -> Command {
    world.keyferry(&format!("{}{config}", world.preamble(&["demo"])), &["check", "-o", "json"])
}

#[test]
fn references_in_the_environment_are_tried_and_nothing_is_missing_then() {
    let world = world();
    let env = "secrets: {user: keyvault:demo/secrets/user}\nenv: {APP_USER: {secret: user}}\n";
    for config in ["", env] {
        let mut command = check(&world, config);
        command.env("DB", "keyvault:demo/secrets/password").env("VAULT", "https://demo.vault.azure.net/");
        let (code, report) = checked(&mut command);
        assert_eq!(code, Some(0), "{report:#}");
        assert_eq!(find(&report, "configuration", "KEYFERRY_CONFIG_YAML")["result"], "ok", "{report:#}");
        let secret = find(&report, "secret", "env.DB");
        assert_eq!((&secret["result"], &secret["about"]), (&"ok".into(), &"keyvault:demo/secrets/password".into()));
        assert_eq!(find(&report, "variables", "env")["result"], "ok");
        assert_eq!(find(&report, "identity", "default")["result"], "ok");
    }
    let (code, report) = checked(check(&world, "").env("DB", "keyvault:demo/secrets/absent"));
    assert_eq!(code, Some(69), "{report:#}");
    assert_eq!(find(&report, "secret", "env.DB")["code"], "SecretNotFound");
}

#[test]
fn what_is_wrong_with_variables_is_told_of_each() {
    let world = world();
    let mut command = check(&world, "secrets: {user: keyvault:demo/secrets/user}\nenv: {APP_USER: {secret: user}}\n");
    command.env("A", "keyvault:demo").env("B", "'keyvault:demo/secrets/user'").env("C", "entra:https://x/.default");
    let (code, report) = checked(command.env("APP_USER", "keyvault:demo/secrets/user"));
    assert_eq!(code, Some(78), "{report:#}");
    for (name, piece) in [
        ("A", "'keyvault:"),
        ("B", "write 'keyvault:demo/secrets/user'"),
        ("C", "exec.tokenScopes"),
        ("APP_USER", "keep one"),
    ] {
        let found = find(&report, "variables", name);
        assert_eq!(found["result"], "failed", "{found}");
        assert!(found["problem"].as_str().unwrap().contains(piece), "{found}");
    }
    assert_eq!(find(&report, "secret", "user")["result"], "ok");
}

#[test]
fn what_only_exec_would_end_for_is_a_warning_beside_an_agents_configuration() {
    let world = world();
    let config = format!("secrets: {{user: keyvault:demo/secrets/user}}\nfiles: {{dir: {}}}\n", world.out().display());
    let (code, report) = checked(check(&world, &config).env("B", "'keyvault:demo/secrets/user'"));
    assert_eq!(code, Some(0), "{report:#}");
    let found = find(&report, "variables", "B");
    assert_eq!(found["result"], "warning", "{found}");
    assert!(found["problem"].as_str().unwrap().contains("'keyferry exec' would end for it"), "{found}");
}

#[test]
fn no_configuration_is_needed_where_exec_needs_none() {
    let world = world();
    let mut command = binary(&["check", "--offline", "-o", "json"]);
    let (code, report) = checked(
        command.envs(world.environment()).env_remove("AZURE_AUTHORITY_HOST").env("DB", "keyvault:main/secrets/x"),
    );
    assert_eq!(code, Some(78), "{report:#}");
    assert_eq!(find(&report, "configuration", "the environment")["result"], "ok");
    assert!(find(&report, "variables", "DB")["problem"].as_str().unwrap().contains("'main' is no alias"), "{report:#}");
    end(&mut binary(&["check"])).expect(78, &["there is no configuration"]);
}

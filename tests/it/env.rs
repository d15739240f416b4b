//! `keyferry env`: the variables with their values, in every format, or why they cannot be had.

use std::process::{Command, Stdio};

use crate::harness::{World, end};

const ENV: &str = "secrets:\n  db: keyvault:demo/secrets/db\n  user: keyvault:demo/secrets/user\n  \
                   other: keyvault:demo/secrets/other\n  licence: {from: keyvault:demo/secrets/licence, optional: true}\n\
                   env:\n  DB: {secret: db}\n  LICENCE: {secret: licence}\n  \
                   URL: {template: \"postgres://{{ secrets['user'] | urlencode }}@db\"}\n";

fn world(db: &str) -> World {
    let world = World::new();
    for (name, value) in [("db", db), ("user", "a user"), ("other", "unused")] {
        world.emulator.put_secret("demo", name, value);
    }
    world
}

#[test]
fn the_variables_in_every_format() {
    let world = world("it's $1");
    let config = world.config(ENV);
    for (args, expected) in [
        (&["env"][..], "DB='it\\'s"),
        (&["env", "-o", "sh"], "export DB='it'\\''s $1'\nexport URL='postgres://a%20user@db'\n"),
        (&["env", "--output", "json"], "{\"DB\":\"it's $1\",\"URL\":\"postgres://a%20user@db\"}\n"),
    ] {
        let ended = end(&mut world.keyferry(&config, args));
        if args.len() == 1 {
            ended.expect(65, &["env.DB: ", "-o json or sh"]);
            assert!(ended.stdout.is_empty() && !ended.stderr.contains("it's $1"), "{ended:#?}");
            continue;
        }
        ended.expect(0, &[]);
        assert_eq!(String::from_utf8(ended.stdout).unwrap(), expected);
    }
    // What no variable takes is not asked for, and nothing is published.
    assert!(world.emulator.requests().iter().all(|request| !request.path.contains("other")));
    assert_eq!(std::fs::read_dir(world.out()).unwrap().count(), 0);
    world.emulator.put_secret("demo", "db", "plain");
    let ended = end(&mut world.keyferry(&config, &["env"]));
    ended.expect(0, &[]);
    assert_eq!(ended.stdout, b"DB='plain'\nURL='postgres://a%20user@db'\n");
}

#[test]
fn a_shell_has_them_after_eval() {
    let world = world("a 'b' \"c\" $(id) `id`\n\nd");
    let mut eval = Command::new("sh");
    eval.arg("-c").arg("eval \"$(\"$0\" env -o sh)\" && printf %s \"$DB\"").arg(env!("CARGO_BIN_EXE_keyferry"));
    eval.envs(world.environment()).env("KEYFERRY_CONFIG_YAML", world.config(ENV));
    let ended = end(eval.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    ended.expect(0, &[]);
    assert_eq!(ended.stdout, b"a 'b' \"c\" $(id) `id`\n\nd");
}

#[test]
fn all_or_nothing() {
    let world = world("value");
    let missing = world.config(&ENV.replace("secrets/user", "secrets/nobody"));
    let ended = end(&mut world.keyferry(&missing, &["env"]));
    ended.expect(69, &["secret user", "SecretNotFound"]);
    assert!(ended.stdout.is_empty());
    let none = world.config("secrets: {db: keyvault:demo/secrets/db}\n");
    end(&mut world.keyferry(&none, &["env"])).expect(78, &["the configuration has no variables", "env: {NAME:"]);
    end(&mut world.keyferry(&none, &["env", "-o", "yaml"])).expect(64, &["dotenv", "sh", "json", "envfile"]);
}

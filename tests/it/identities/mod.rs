//! Every identity that signs in: that it works, and how it is told when it does not.

mod applications;
mod azure_cli;
mod bindings;
mod managed;
mod untold;

use std::collections::BTreeMap;
use std::process::Command;

use keyferry_emulator::Settings;

use crate::harness::{Ended, World, binary, end};

/// Long enough for everything good to arrive on a busy machine.
const PATIENT: &[&str] = &["init", "--timeout", "20s", "--log-level", "trace"];
/// Long enough to be sure that it will not.
const HASTY: &[&str] = &["init", "--timeout", "3s", "--log-level", "trace"];

type Variables = BTreeMap<&'static str, String>;

fn world() -> World {
    world_with(Settings::default())
}

fn world_with(settings: Settings) -> World {
    let world = World::with(settings);
    world.emulator.put_secret("demo", "a", "fine");
    world
}

/// A configuration of one secret, with this identity.
fn config(world: &World, identity: &str) -> String {
    world.config(&format!("{identity}\nsecrets: {{a: keyvault:demo/secrets/a}}\n"))
}

/// The binary where the platform sets these variables and nothing else.
fn command(world: &World, identity: &str, variables: &Variables, args: &[&str]) -> Command {
    let mut command = binary(args);
    command
        .env("KEYFERRY_ALLOW_CUSTOM_CLOUD", "1")
        .env("AZURE_AUTHORITY_HOST", world.emulator.authority())
        .env("KEYFERRY_CONFIG_YAML", config(world, identity))
        .env("PATH", world.root.path())
        .envs(variables);
    command
}

fn init(world: &World, identity: &str, variables: &Variables, args: &[&str]) -> Ended {
    let ended = end(&mut command(world, identity, variables, args));
    for secret in ["IDENTITY_HEADER", "MSI_SECRET", "AZURE_CLIENT_SECRET"] {
        if let Some(secret) = variables.get(secret) {
            assert!(!ended.stderr.contains(secret.as_str()), "{ended:#?}");
        }
    }
    ended
}

#[track_caller]
fn assert_published(world: &World, ended: &Ended) {
    assert_eq!((ended.code, world.read("a").as_deref()), (Some(0), Some("fine")), "{ended:#?}");
}

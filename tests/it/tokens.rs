//! Entra access tokens as something to be published: made anew in good time, kept while they last, and each its own
//! trouble.

use std::collections::BTreeSet;
use std::time::Duration;

use keyferry_emulator::{Fault, Logged, Misbehaviour, Service};

use crate::harness::{Running, SOON, World, eventually, until_holds};

const COGNITIVE: &str = "https://cognitiveservices.localhost";
const SIGN_IN: &str = "signing in with identity";

/// A pod that wants a token besides a secret.
fn world() -> World {
    let world = World::new();
    world.emulator.put_secret("demo", "a", "a1");
    world
}

fn config(world: &World, scope: &str) -> String {
    world.config(&format!(
        "refresh: {{interval: 1s, settle: 0s}}\nsecrets:\n  a: keyvault:demo/secrets/a\n  token: \"entra:{scope}\"\n"
    ))
}

fn cognitive(world: &World) -> String {
    config(world, &format!("{COGNITIVE}/.default"))
}

/// The exchanges for an audience.
fn exchanges(log: &[Logged], audience: &str) -> Vec<Logged> {
    let of = |one: &&Logged| {
        one.service == Service::Entra && one.audience.as_ref().is_some_and(|found| found.starts_with(audience))
    };
    log.iter().filter(of).cloned().collect()
}

/// Waits for a published token that is none of these.
#[track_caller]
fn until_another(world: &World, seen: &BTreeSet<String>) -> String {
    let token = eventually(SOON, || world.read("token").filter(|token| !token.is_empty() && !seen.contains(token)));
    token.expect("another token is published")
}

#[track_caller]
fn until_refreshed(world: &World, value: &str) {
    world.emulator.put_secret("demo", "a", value);
    until_holds(&world.out().join("a"), value);
}

#[test]
fn a_token_is_published_and_another_long_before_it_ends() {
    const LIFE: i64 = 6;
    let world = world();
    world.emulator.set_token_lifetime_for(COGNITIVE, LIFE);
    let agent = world.run(&cognitive(&world));
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        let token = until_another(&world, &seen);
        assert!(token.bytes().all(|byte| byte.is_ascii_graphic()), "it is the token and nothing else");
        seen.insert(token);
    }
    let made = exchanges(&world.emulator.requests(), COGNITIVE);
    for pair in made.windows(2) {
        let gap = pair[1].at.saturating_sub(pair[0].at);
        assert!(gap >= Duration::from_secs(2) && gap < Duration::from_secs(5), "half of its life: {gap:?}");
    }
    assert_eq!(exchanges(&world.emulator.requests(), "https://vault.localhost").len(), 1, "that one lasts");
    let (code, lines) = agent.stop();
    assert_eq!(code, Some(0));
    assert!(!lines.iter().any(|line| seen.iter().any(|token| line.contains(token.as_str()))), "{lines:#?}");
}

#[test]
fn a_token_that_lasts_is_kept_while_entra_is_down_and_nobody_is_held_back() {
    const LIFE: i64 = 10;
    let world = world();
    world.emulator.set_token_lifetime_for(COGNITIVE, LIFE);
    let agent = world.run(&cognitive(&world));
    let first = until_another(&world, &BTreeSet::new());
    let begun = exchanges(&world.emulator.requests(), COGNITIVE)[0].at;
    world.emulator.stop(Service::Entra).unwrap();
    agent.wait_for(
        "secret token (entra:https://cognitiveservices.localhost/.default) cannot be fetched: unavailable",
        1,
    );
    agent.wait_for("the last good value stays", 1);
    until_refreshed(&world, "a2");
    assert_eq!(world.read("token").as_ref(), Some(&first));
    // Also when it has ended, the secrets are fetched with the token that still lasts.
    let ended = begun + Duration::from_secs(u64::try_from(LIFE).unwrap() + 3);
    let later = |log: &[Logged]| log.iter().filter(|one| one.at > ended && one.status == Some(200)).count() > 4;
    assert!(world.emulator.wait_until(SOON, later));
    until_refreshed(&world, "a3");
    assert_eq!(agent.count(SIGN_IN), 0, "{:#?}", agent.lines());
    world.emulator.start_again(Service::Entra).unwrap();
    until_another(&world, &BTreeSet::from([first]));
    agent.wait_for("secret token is fetched again", 1);
    let (code, lines) = agent.stop();
    assert_eq!(code, Some(0));
    let told = lines.iter().filter(|line| line.contains("secret token") && line.contains("cannot be fetched")).count();
    assert_eq!(told, 1, "{lines:#?}");
}

/// Goes on for two refreshes of the secret, which nothing holds back.
fn assert_nobody_is_held_back(world: &World, agent: Running) {
    for value in ["a2", "a3"] {
        until_refreshed(world, value);
    }
    assert_eq!(agent.count(SIGN_IN), 0, "{:#?}", agent.lines());
    assert_eq!(agent.stop().0, Some(0));
}

#[test]
fn a_scope_that_nobody_knows_is_its_own_trouble() {
    let world = world();
    let scope = "api://77777777-7777-4777-8777-777777777777/.default";
    let agent = world.run(&config(&world, scope));
    agent.wait_for(
        &format!(
            "secret token (entra:{scope}) cannot be fetched: misconfigured (AADSTS500011): there is no service of this \
             audience"
        ),
        1,
    );
    assert_nobody_is_held_back(&world, agent);
    assert_eq!(world.read("token"), None);
}

#[test]
fn a_token_that_is_refused_to_this_application_is_its_own_trouble() {
    let world = world();
    world.emulator.set_token_lifetime_for(COGNITIVE, 4);
    let agent = world.run(&cognitive(&world));
    let first = until_another(&world, &BTreeSet::new());
    until_holds(&world.out().join("a"), "a1");
    // As Entra answers once the scope's application wants a role to be assigned and this one has none.
    world.emulator.fault(Fault::entra(Misbehaviour::EntraError {
        status: 400,
        error: "invalid_grant".to_owned(),
        code: 501_051,
        message: "Application is not assigned to a role for the application.".to_owned(),
    }));
    agent.wait_for("cannot be fetched: denied (AADSTS501051)", 1);
    assert_nobody_is_held_back(&world, agent);
    // So it is when it is the first thing that is asked for.
    let config = world.config(&format!("secrets: {{token: \"entra:{COGNITIVE}/.default\"}}\n"));
    let ended = world.init(&config, &["--timeout", "2s"]);
    ended.expect(
        77,
        &["secret token (entra:https://cognitiveservices.localhost/.default) cannot be fetched", "az rest"],
    );
    assert!(!ended.stderr.contains(SIGN_IN), "{ended:#?}");
    assert!(world.read("token").is_some_and(|token| !token.is_empty()), "{first} or its successor stays");
}

#[test]
fn tokens_of_one_scope_are_made_once() {
    let world = world();
    let config = world.config(
        "secrets:
  a: keyvault:demo/secrets/a
  own: entra:https://vault.localhost/.default
  same: entra:https://vault.localhost/.default
",
    );
    world.init(&config, &["--timeout", "20s"]).expect(0, &[]);
    assert_eq!(world.read("own"), world.read("same"));
    assert_eq!(world.requests_to(Service::Entra).len(), 1, "also with whoever signs in by it");
}

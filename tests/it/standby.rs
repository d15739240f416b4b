//! Vaults that stand by: asked when the other is unavailable and nothing is held yet, and believed no more than it.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::time::Duration;

use keyferry_emulator::{DEFAULT_CLIENT, DEFAULT_TENANT, Fault, FaultId, Misbehaviour, Permission, Refusal, Settings};

use crate::harness::{Running, SOON, Trap, World, at_once, eventually, until_holds};

const PATIENT: &[&str] = &["--timeout", "20s", "--log-level", "trace"];
const HASTY: &[&str] = &["--timeout", "3s", "--log-level", "trace"];

/// A primary vault, its standby, and one that has nothing to do with them.
fn world() -> World {
    world_with(Settings::default())
}

fn world_with(settings: Settings) -> World {
    let world = World::with(settings);
    for (vault, value) in [("main", "primary"), ("dr", "standby")] {
        world.emulator.put_secret(vault, "a", value);
        world.emulator.put_secret(vault, "b", value);
    }
    world.emulator.put_secret("demo", "good", "fine");
    world
}

fn config_at(world: &World, primary: &str, more: &str) -> String {
    let mut preamble = world.preamble(&["demo"]);
    writeln!(
        preamble,
        "  main: {{url: \"{primary}\", standby: \"{}\"{more}}}\nfiles: {{dir: {}}}\nrefresh: {{settle: 0s}}",
        world.emulator.vault_url("dr"),
        world.out().display()
    )
    .unwrap();
    preamble + "secrets: {good: keyvault:demo/secrets/good, a: keyvault:main/secrets/a, b: keyvault:main/secrets/b}\n"
}

fn config(world: &World) -> String {
    config_at(world, &world.emulator.vault_url("main"), "")
}

fn break_main(world: &World, misbehaviour: Misbehaviour) -> FaultId {
    world.emulator.fault(Fault::vault(misbehaviour).of_vault("main"))
}

/// Requests to a vault: all of them, and those with a token.
fn asked(world: &World, vault: &str) -> (usize, usize) {
    let requests = world.emulator.requests();
    let of: Vec<_> = requests.iter().filter(|request| request.vault.as_deref() == Some(vault)).collect();
    (of.len(), of.iter().filter(|request| request.bearer).count())
}

#[track_caller]
fn assert_values(world: &World, value: Option<&str>) {
    let read = ["a", "b"].map(|file| world.read(file));
    assert_eq!((read, world.read("good").as_deref()), ([value, value].map(|one| one.map(str::to_owned)), Some("fine")));
}

fn unavailable() -> Vec<Misbehaviour> {
    vec![
        Misbehaviour::Status { status: 503 },
        Misbehaviour::Throttle { retry_after: None },
        Misbehaviour::Throttle { retry_after: Some("60".to_owned()) },
        Misbehaviour::HtmlBadGateway,
        Misbehaviour::Reset,
        Misbehaviour::NeverAnswer,
    ]
}

const COMES: &str = "comes from its standby, keyvault:https://dr.vault.localhost";

#[test]
fn the_standby_gives_what_an_unavailable_vault_cannot() {
    at_once(&unavailable(), |misbehaviour| {
        let world = world();
        break_main(&world, misbehaviour.clone());
        let ended = world.init(&config(&world), PATIENT);
        ended.expect(0, &[]);
        assert_values(&world, Some("standby"));
        for name in ["a", "b"] {
            let line = format!("secret {name} {COMES}");
            assert_eq!(ended.stderr.matches(&line).count(), 1, "{misbehaviour:?} {ended:#?}");
        }
        assert!(ended.stderr.contains("because keyvault:main/secrets/a is unavailable"), "{ended:#?}");
        assert_eq!(asked(&world, "dr"), (3, 2), "a greeting, and each secret once: {misbehaviour:?}");
    });
}

#[test]
fn the_standby_gives_what_a_vault_cannot_that_refuses_connections() {
    let world = world();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = config_at(&world, &format!("https://main.vault.localhost:{closed}"), "");
    world.init(&config, PATIENT).expect(0, &["unavailable (refused)", COMES]);
    assert_values(&world, Some("standby"));
}

/// What the primary says, and how it comes to.
type Trouble = (&'static str, Box<dyn Fn(&World) + Sync>);

#[test]
fn what_is_denied_or_missing_is_so_in_the_standby_too() {
    let deny = |world: &World, refusal| {
        for name in ["a", "b"] {
            world.emulator.deny(DEFAULT_CLIENT, "main", Permission::Get, Some(name), refusal);
        }
    };
    let delete = |world: &World| ["a", "b"].iter().for_each(|name| assert!(world.emulator.delete_secret("main", name)));
    let disable = |world: &World| {
        for name in ["a", "b"] {
            world.emulator.update_secret("main", name, None, |secret| secret.enabled = false);
        }
    };
    let cases: [Trouble; 5] = [
        ("denied (ForbiddenByRbac)", Box::new(move |world| deny(world, Refusal::ForbiddenByRbac))),
        ("denied (AccessDenied)", Box::new(move |world| deny(world, Refusal::AccessDenied))),
        ("denied (ForbiddenByFirewall)", Box::new(move |world| deny(world, Refusal::ForbiddenByFirewall))),
        ("missing (SecretNotFound)", Box::new(delete)),
        ("disabled (SecretDisabled)", Box::new(disable)),
    ];
    at_once(&cases, |(what, befall)| {
        let world = world();
        befall(&world);
        let ended = world.init(&config(&world), HASTY);
        assert!(ended.code != Some(0) && ended.about("a").contains(what), "{ended:#?}");
        assert_values(&world, None);
        assert_eq!(asked(&world, "dr"), (0, 0), "{what}");
    });
}

#[test]
fn the_primary_is_back_with_its_own_value() {
    at_once(&[Misbehaviour::Status { status: 503 }, Misbehaviour::Throttle { retry_after: None }], |misbehaviour| {
        let world = world();
        let fault = break_main(&world, misbehaviour.clone());
        let agent = world.run(&config(&world));
        for file in ["a", "b"] {
            until_holds(&world.out().join(file), "standby");
        }
        world.emulator.clear_fault(fault);
        for file in ["a", "b"] {
            until_holds(&world.out().join(file), "primary");
        }
        agent.wait_for("vault main.vault.localhost", 2);
        assert_eq!((agent.count(COMES), asked(&world, "dr")), (2, (3, 2)));
        // It had its value once: when it is down again, that stays.
        let known = asked(&world, "main").0;
        break_main(&world, misbehaviour.clone());
        agent.signal(rustix::process::Signal::HUP);
        assert!(eventually(SOON, || (asked(&world, "main").0 > known).then_some(())).is_some());
        assert_eq!(agent.stop().0, Some(0));
        assert_values(&world, Some("primary"));
        assert_eq!(asked(&world, "dr"), (3, 2));
    });
}

/// What a standby may do to whoever trusts it, and whether it gets a token for it.
fn hostile(trap: &Trap) -> Vec<(Fault, bool, &'static str)> {
    let authority = format!("https://login.localhost/{DEFAULT_TENANT}");
    let challenge = format!("Bearer authorization=\"{authority}\", resource=\"https://vault.azure.net\"");
    let strange = Misbehaviour::Raw {
        status: 401,
        headers: vec![("WWW-Authenticate".to_owned(), challenge)],
        body: "{}".to_owned(),
    };
    let redirect = Misbehaviour::Redirect { to: format!("https://{}/", trap.address) };
    let endless = Misbehaviour::HugeBody { bytes: 64 << 20 };
    let dr = |misbehaviour: &Misbehaviour| Fault::vault(misbehaviour.clone()).of_vault("dr");
    vec![
        (dr(&strange), false, "misconfigured (other-"),
        (dr(&redirect), false, "unavailable (http-302)"),
        (dr(&redirect).with_bearer(true), true, "unavailable (http-302)"),
        (dr(&endless), false, "unavailable (answer-too-long)"),
        (dr(&endless).with_bearer(true), true, "unavailable (answer-too-long)"),
        (dr(&Misbehaviour::Status { status: 503 }), false, "unavailable (ServiceUnavailable)"),
    ]
}

#[test]
fn a_hostile_standby_gets_no_more_than_it_may_and_delays_nobody() {
    let trap = Trap::set();
    at_once(&hostile(&trap), |(fault, greeted, what)| {
        let world = world();
        let down = break_main(&world, Misbehaviour::Status { status: 503 });
        world.emulator.fault(fault.clone());
        let agent = world.run(&config(&world));
        until_holds(&world.out().join("good"), "fine");
        let of_dr = |line: &&String| line.contains("dr.vault.localhost") && line.contains(what);
        let told = || agent.lines().iter().filter(of_dr).count();
        assert!(eventually(SOON, || (told() > 0).then_some(())).is_some(), "{what}: {:#?}", agent.lines());
        assert_eq!(asked(&world, "dr").1 > 0, *greeted, "{what}");
        world.emulator.clear_fault(down);
        for file in ["a", "b"] {
            until_holds(&world.out().join(file), "primary");
        }
        assert_eq!(agent.count(COMES), 0);
        let known = asked(&world, "dr").0;
        let (code, _, lines) = agent.end_by(rustix::process::Signal::TERM);
        assert_eq!((code, asked(&world, "dr").0), (Some(0), known), "nobody needs it any more");
        assert!((1..=2).contains(&lines.iter().filter(of_dr).count()), "{what}: {lines:#?}");
    });
    assert_eq!(trap.caught(), Vec::<Vec<u8>>::new());
}

#[test]
fn a_standby_is_asked_as_whom_its_vault_is_asked() {
    const CLIENT: &str = "88888888-8888-4888-8888-888888888888";
    let world = world_with(Settings { default_access: false, ..Settings::default() });
    world.emulator.allow(DEFAULT_CLIENT, "demo", Permission::Get, None);
    world.emulator.add_client_secret(DEFAULT_TENANT, CLIENT, "s3cret");
    let file = world.root.path().join("secret");
    std::fs::write(&file, "s3cret").unwrap();
    world.emulator.allow(CLIENT, "dr", Permission::Get, None);
    break_main(&world, Misbehaviour::Status { status: 503 });
    let identity = format!(
        ", identity: {{clientSecret: {{tenantId: {DEFAULT_TENANT}, clientId: {CLIENT}, secretFile: {}}}}}",
        file.display()
    );
    let config = config_at(&world, &world.emulator.vault_url("main"), &identity);
    world.init(&config, PATIENT).expect(0, &[]);
    assert_values(&world, Some("standby"));
}

#[test]
fn a_pinned_version_has_no_standby() {
    let world = world();
    let version = world.emulator.put_secret("main", "a", "primary");
    break_main(&world, Misbehaviour::Status { status: 503 });
    let config = config(&world).replace("keyvault:main/secrets/a,", &format!("keyvault:main/secrets/a/{version},"));
    let ended = world.init(&config, HASTY);
    ended.expect(69, &[]);
    assert!(ended.about("a").contains("http-503") || ended.about("a").contains("unavailable"), "{ended:#?}");
    assert_eq!((world.read("a"), world.read("b").as_deref()), (None, Some("standby")));
}

#[test]
fn without_entra_no_standby_is_asked() {
    let world = world();
    world.emulator.stop_entra().unwrap();
    world.init(&config(&world), HASTY).expect(69, &["unavailable (refused)"]);
    assert_eq!(asked(&world, "dr"), (0, 0), "it would not know us either");
}

#[test]
fn a_slow_primary_is_not_waited_for_longer_than_one_attempt() {
    let world = world();
    break_main(&world, Misbehaviour::NeverAnswer);
    let agent: Running = world.run(&config(&world));
    until_holds(&world.out().join("good"), "fine");
    for file in ["a", "b"] {
        until_holds(&world.out().join(file), "standby");
    }
    let first = world.emulator.requests().into_iter().find(|one| one.vault.as_deref() == Some("dr")).unwrap();
    assert!(first.at < Duration::from_secs(20), "{first:?}");
    assert_eq!(agent.stop().0, Some(0));
}

#[test]
fn why_the_standby_gave_nothing_either_is_among_the_last_words() {
    let world = world();
    world.emulator.fault(Fault::vault(Misbehaviour::Status { status: 503 }).with_bearer(true));
    let ended = world.init(&config(&world), HASTY);
    let words = ended.last_words();
    let of_standby = words.iter().find(|line| line.starts_with("secret a, from its standby, ")).expect("a line");
    assert!(of_standby.contains("dr.vault.localhost") && of_standby.contains("unavailable ("), "{words:#?}");
    assert!(ended.about("a").contains("unavailable ("), "{words:#?}");
}

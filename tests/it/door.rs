//! Who goes first to a host goes alone, and still holds nobody up.

use std::time::{Duration, Instant};

use keyferry_emulator::{Fault, Misbehaviour, Service, Settings};

use crate::harness::{World, until_holds};

#[test]
fn a_first_request_that_hangs_does_not_fail_the_others() {
    let world = World::new();
    for name in ["a", "b"] {
        world.emulator.put_secret("demo", name, "1");
    }
    // Longer than a connection is kept: every cycle begins at a closed door.
    let config = world.config(
        "refresh: {interval: 7s, settle: 0s}\nsecrets: {a: keyvault:demo/secrets/a, b: keyvault:demo/secrets/b}\n",
    );
    let agent = world.run(&config);
    until_holds(&world.out().join("b"), "1");
    let hang = Fault::vault(Misbehaviour::NeverAnswer).of_secret("a").with_bearer(true);
    world.emulator.fault(hang);
    world.emulator.put_secret("demo", "b", "2");
    until_holds(&world.out().join("b"), "2");
    assert_eq!(agent.count("failed"), 0, "b came before a's time was over: {:?}", agent.lines());
    assert_eq!(world.read("a").unwrap(), "1");
}

#[test]
fn a_first_answer_that_is_no_good_is_its_own_trouble() {
    let world = World::new();
    let mut secrets = "secrets:\n".to_owned();
    for number in 0..20 {
        world.emulator.put_secret("demo", &format!("s{number:02}"), "value");
        secrets += &format!("  s{number:02}: keyvault:demo/secrets/s{number:02}\n");
    }
    // The greeting is cut off: only whoever asked with a token matters after that.
    world.emulator.fault(Fault::vault(Misbehaviour::CutBody).of_secret("s00"));
    world.init(&world.config(&secrets), &["--timeout", "3s"]).expect(69, &["secret s00", "cut-off"]);
    assert!((1..20).all(|number| world.read(&format!("s{number:02}")).is_some()));
    let asked = world.requests_to(Service::Vault);
    assert_eq!(asked.iter().filter(|request| request.bearer && !request.path.contains("s00")).count(), 19);
}

/// So many secrets of a vault, by name.
fn many(world: &World, vault: &str, count: usize) -> String {
    let line = |number: usize| {
        let name = format!("{vault}{number:02}");
        world.emulator.put_secret(vault, &name, "value");
        format!("  {name}: keyvault:{vault}/secrets/{name}\n")
    };
    (0..count).map(line).collect()
}

#[test]
fn a_vault_whose_answers_stop_in_the_middle_costs_one_attempt_and_holds_nobody_up() {
    let stalled = [
        Fault::vault(Misbehaviour::StalledBody).of_vault("sick"),
        Fault::vault(Misbehaviour::StalledBody).of_vault("sick").with_bearer(true),
    ];
    crate::harness::at_once(&stalled, |fault| {
        let world = World::new();
        // More than there are places in flight.
        let (sick, well) = (many(&world, "sick", 150), many(&world, "well", 10));
        let id = world.emulator.fault(fault.clone());
        let config = format!(
            "{}files: {{dir: {}}}\nrefresh: {{interval: 7d, settle: 0s}}\nsecrets:\n{sick}{well}",
            world.preamble(&["sick", "well"]),
            world.out().display()
        );
        let begun = Instant::now();
        let agent = world.run(&config);
        assert!(world.emulator.wait_until(Duration::from_secs(10), |log| {
            log.iter().filter(|request| request.vault.as_deref() == Some("well") && request.bearer).count() >= 10
        }));
        until_holds(&world.out().join("well09"), "value");
        println!("stalled bodies | the other vault after {:.1?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
        world.emulator.clear_fault(id);
        until_holds(&world.out().join("sick149"), "value");
        println!("stalled bodies | all after {:.1?}", begun.elapsed());
        assert_eq!(agent.stop().0, Some(0));
    });
}

#[test]
fn an_http_1_1_host_that_hangs_gets_no_more_connections_than_one_that_does_not() {
    let world = World::with(Settings { http2: false, ..Settings::default() });
    let secrets = many(&world, "demo", 100);
    let config = world.config(&format!("refresh: {{interval: 7d, settle: 0s}}\nsecrets:\n{secrets}"));
    world.emulator.fault(Fault::vault(Misbehaviour::NeverAnswer).with_bearer(true));
    let agent = world.run(&config);
    agent.wait_for("failed", 1);
    // As long as nobody has given up, which takes ten seconds, they are all open.
    let wave = world.requests_to(Service::Vault);
    let first = wave.iter().find(|request| request.bearer).unwrap().at;
    let wave = wave.iter().filter(|request| request.at < first + Duration::from_secs(9));
    let connections: std::collections::BTreeSet<u64> = wave.map(|request| request.connection).collect();
    assert!(connections.len() <= 33, "{}", connections.len());
    // Those who wait for a place do not all go after those who have failed.
    assert!(world.bearers() <= 70, "{}", world.bearers());
    assert_eq!(agent.stop().0, Some(0));
}

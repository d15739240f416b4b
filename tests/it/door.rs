//! Who goes first to a host goes alone, and still holds nobody up.

use keyferry_emulator::{Fault, Misbehaviour, Service};

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

//! A vault's list in place of its secrets: what a cycle costs, and that nothing is missed for it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keyferry_emulator::{
    DEFAULT_CLIENT, Emulator, Fault, Logged, Misbehaviour, Operation, Permission, Refusal, SecretSpec, Service,
};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Running, SOON, Trap, World, at_once, until_holds};

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// A version that was put so many seconds ago: by now no change can hide behind its time.
fn put(emulator: &Emulator, name: &str, value: &str, ago: i64) {
    let created = Some(now() - ago);
    emulator.put_secret_with("demo", SecretSpec { created, ..SecretSpec::new(name, value) });
}

fn name(number: usize) -> String {
    format!("s{number:04}")
}

/// A vault of so many secrets, of which the first so many are wanted, every second.
fn start(in_vault: usize, wanted: usize, refresh: &str) -> (World, Running) {
    let world = World::new();
    for number in 0..in_vault {
        put(&world.emulator, &name(number), "old", 3600);
    }
    run(world, wanted, refresh)
}

fn run(world: World, wanted: usize, refresh: &str) -> (World, Running) {
    let mut config = world.config(&format!("refresh: {{interval: 1s, settle: 0s{refresh}}}\nsecrets:\n"));
    for number in 0..wanted {
        config.push_str(&format!("  {0}: keyvault:demo/secrets/{0}\n", name(number)));
    }
    let agent = world.run(&config);
    for number in 0..wanted {
        until_holds(&world.out().join(name(number)), "old");
    }
    (world, agent)
}

fn is_list(request: &Logged) -> bool {
    request.bearer && request.path == "/secrets"
}

fn lists(log: &[Logged]) -> usize {
    log.iter().filter(|request| is_list(request)).count()
}

/// How often secrets were asked for by themselves, with a token.
fn gets(log: &[Logged]) -> usize {
    log.iter().filter(|request| request.bearer && request.path.starts_with("/secrets/")).count()
}

fn gets_of(log: &[Logged], name: &str) -> usize {
    let path = format!("/secrets/{name}");
    log.iter().filter(|request| request.bearer && request.path == path).count()
}

/// The requests with a token of each cycle that is over, by where lists begin.
fn cycles(log: &[Logged]) -> Vec<Vec<&Logged>> {
    let mut cycles: Vec<Vec<&Logged>> = Vec::new();
    for request in log.iter().filter(|request| request.bearer) {
        if is_list(request) && !request.query.contains("skiptoken") {
            cycles.push(Vec::new());
        }
        if let Some(cycle) = cycles.last_mut() {
            cycle.push(request);
        }
    }
    cycles.pop();
    cycles
}

/// How many pages of the list were read each time, be it to no end.
fn walks(log: &[Logged]) -> Vec<usize> {
    let mut walks = Vec::new();
    for request in log.iter().filter(|request| is_list(request)) {
        if !request.query.contains("skiptoken") {
            walks.push(0);
        }
        if let Some(pages) = walks.last_mut() {
            *pages += 1;
        }
    }
    walks
}

#[track_caller]
fn wait(world: &World, wanted: impl FnMut(&[Logged]) -> bool) -> Vec<Logged> {
    assert!(world.emulator.wait_until(SOON, wanted), "{:#?}", world.emulator.requests().len());
    world.emulator.requests()
}

#[test]
fn a_hundred_of_a_hundred_cost_four_requests_a_cycle() {
    let (world, agent) = start(100, 100, "");
    let log = wait(&world, |log| cycles(log).len() >= 4);
    for cycle in cycles(&log) {
        assert_eq!((cycle.len(), lists(&cycle.into_iter().cloned().collect::<Vec<_>>())), (4, 4));
    }
    assert_eq!((gets(&log), world.requests_to(Service::Entra).len()), (100, 1), "one token, each value once");
    let (code, lines) = agent.stop();
    assert_eq!(code, Some(0));
    assert_eq!(lines.iter().filter(|line| line.contains("published generation")).count(), 1);
}

#[test]
fn three_of_a_thousand_cost_three_requests_a_cycle() {
    // Of those that come first in the list none is wanted.
    let world = World::new();
    (0..997).for_each(|number| put(&world.emulator, &format!("a{number:04}"), "old", 3600));
    (0..3).for_each(|number| put(&world.emulator, &name(number), "old", 3600));
    let (world, agent) = run(world, 3, "");
    wait(&world, |log| lists(log) >= 2 && gets(log) >= 3 * 5);
    let begun = world.emulator.requests().len();
    let log = wait(&world, |log| log.len() >= begun + 3 * 3);
    assert_eq!(lists(&log), 2, "that it is longer is learnt once");
    let each: Vec<usize> = (0..3).map(|number| gets_of(&log, &name(number))).collect();
    assert!(each.iter().max().unwrap() - each.iter().min().unwrap() <= 1, "{each:?}");
    assert_eq!(world.requests_to(Service::Entra).len(), 1);
    put(&world.emulator, &name(2), "new", 10);
    until_holds(&world.out().join(name(2)), "new");
    agent.stop();
}

#[test]
fn one_that_changed_costs_one_request_more_and_is_one_generation() {
    let (world, agent) = start(30, 30, "");
    wait(&world, |log| cycles(log).len() >= 2);
    put(&world.emulator, &name(7), "new", 10);
    until_holds(&world.out().join(name(7)), "new");
    let seen = world.emulator.requests().len();
    let log = wait(&world, |log| cycles(&log[seen.min(log.len())..]).len() >= 2);
    assert_eq!((gets(&log), gets_of(&log, &name(7))), (31, 2));
    assert!(cycles(&log).iter().all(|cycle| cycle.len() <= 3), "two pages, and one more once");
    agent.wait_for("published generation", 2);
    assert_eq!(agent.count("published generation"), 2);
    // What has no value to show for it is seen too: an end that is nearer, and a switch.
    let soon = Some(now() + 7200);
    assert!(world.emulator.update_secret("demo", &name(8), None, |secret| secret.exp = soon));
    wait(&world, |log| gets_of(log, &name(8)) >= 2);
    assert!(world.emulator.update_secret("demo", &name(9), None, |secret| secret.enabled = false));
    agent.wait_for("SecretDisabled", 1);
    assert!(world.emulator.delete_secret("demo", &name(10)));
    agent.wait_for("SecretNotFound", 1);
    assert_eq!(world.read(&name(9)).as_deref(), Some("old"), "the last good value stays");
    assert_eq!(agent.count("published generation"), 2);
}

#[test]
fn a_value_that_changes_twice_within_a_second_is_not_missed() {
    // The second change bears the time of the first: no list can show it, so none is trusted so soon.
    let world = World::new();
    let ahead = 5;
    put(&world.emulator, &name(0), "old", 3600);
    put(&world.emulator, &name(2), "old", 3600);
    let created = Some(now() + ahead);
    world.emulator.put_secret_with("demo", SecretSpec { created, ..SecretSpec::new(&name(1), "old") });
    let (world, agent) = run(world, 3, "");
    world.emulator.put_secret_with("demo", SecretSpec { created, ..SecretSpec::new(&name(1), "new") });
    until_holds(&world.out().join(name(1)), "new");
    // Once its time is over it need not be asked for any more.
    let log = wait(&world, |log| lists(log) >= 12);
    assert_eq!((gets_of(&log, &name(0)), gets_of(&log, &name(2))), (1, 1));
    let asked = gets_of(&log, &name(1));
    let log = wait(&world, |log| lists(log) >= 15);
    assert_eq!(gets_of(&log, &name(1)), asked, "{asked}");
    agent.stop();
}

#[test]
fn whoever_may_not_list_asks_for_each_and_learns_it_once() {
    for refusal in [Refusal::ForbiddenByRbac, Refusal::AccessDenied] {
        let world = World::new();
        (0..5).for_each(|number| put(&world.emulator, &name(number), "old", 3600));
        world.emulator.deny(DEFAULT_CLIENT, "demo", Permission::List, None, refusal);
        let (world, agent) = run(world, 5, "");
        let log = wait(&world, |log| gets(log) >= 5 * 6);
        assert_eq!(lists(&log), 1);
        put(&world.emulator, &name(4), "new", 10);
        until_holds(&world.out().join(name(4)), "new");
        let (_, lines) = agent.stop();
        let told = |piece: &str| lines.iter().filter(|line| line.contains(piece)).count();
        assert_eq!((told("may not read the list https://demo.vault.localhost"), told("WARN")), (1, 0), "{lines:#?}");
    }
}

#[test]
fn never_means_never() {
    let (world, agent) = start(30, 30, ", list: never");
    let log = wait(&world, |log| gets(log) >= 30 * 4);
    assert_eq!(lists(&log), 0);
    agent.stop();
}

#[test]
fn a_signal_asks_for_each_whatever_the_list_says() {
    let (world, agent) = start(10, 10, "");
    wait(&world, |log| !cycles(log).is_empty());
    agent.signal(Signal::HUP);
    let log = wait(&world, |log| gets(log) >= 20);
    assert!((0..10).all(|number| gets_of(&log, &name(number)) == 2));
    agent.stop();
}

/// A fault in every list that is asked for with a token.
fn in_lists(at: &str, value: Value) -> Fault {
    let edit = Misbehaviour::Member { at: at.to_owned(), value };
    Fault::vault(edit).of_operation(Operation::List).with_bearer(true)
}

#[test]
fn a_list_that_goes_on_elsewhere_is_not_followed() {
    let elsewhere = |world: &World, trap: &Trap| {
        let vault = world.emulator.vault_url("demo");
        let (address, port) = (trap.address, world.emulator.address(Service::Vault).port());
        let path = "secrets?api-version=7.6&$skiptoken=eA";
        vec![
            json!(format!("https://{address}/{path}")),
            json!(format!("https://demo.vault.localhost:{}/{path}", address.port())),
            json!(format!("http://demo.vault.localhost:{port}/{path}")),
            json!(format!("https://other.vault.localhost:{port}/{path}")),
            json!(format!("https://demo.vault.localhost.:{port}/{path}")),
            json!(format!("{vault}/keys?api-version=7.6")),
            json!(format!("{vault}/secrets/../keys?api-version=7.6")),
            json!(format!("{vault}/secrets/s0000/versions?api-version=7.6")),
            json!(format!("https://user@demo.vault.localhost:{port}/{path}")),
            json!(format!("//{address}/{path}")),
            json!(format!("https:\\\\{address}\\{path}")),
            json!("/secrets?api-version=7.6"),
            json!(format!("{vault}/secrets?api-version=7.6&$skiptoken={}", "A".repeat(10_000))),
            json!(17),
            json!([format!("{vault}/secrets")]),
        ]
    };
    let count = elsewhere(&World::new(), &Trap::set()).len();
    at_once(&(0..count).collect::<Vec<_>>(), |case| {
        let (world, trap) = (World::new(), Trap::set());
        world.emulator.add_vault("other");
        (0..5).for_each(|number| put(&world.emulator, &name(number), "old", 3600));
        let link = elsewhere(&world, &trap).swap_remove(*case);
        world.emulator.fault(in_lists("/nextLink", link.clone()));
        let (world, agent) = run(world, 5, "");
        wait(&world, |log| lists(log) >= 3 && gets(log) >= 5 * 6);
        put(&world.emulator, &name(4), "new", 10);
        until_holds(&world.out().join(name(4)), "new");
        let log = world.emulator.requests();
        assert_eq!(trap.caught(), Vec::<Vec<u8>>::new(), "{link}");
        let strange = log.iter().find(|request| {
            request.service == Service::Vault
                && (request.vault.as_deref() != Some("demo") || !request.path.starts_with("/secrets"))
        });
        assert!(strange.is_none(), "{link}: {strange:?}");
        assert_eq!(lists(&log), 3, "{link}: three times is enough");
        let (_, lines) = agent.stop();
        let told = |piece: &str| lines.iter().filter(|line| line.contains(piece)).count();
        assert!(told("WARN") == 0 && told("bad-next-link") > 0, "{link}: {lines:#?}");
        assert!(!lines.iter().any(|line| line.contains("skiptoken")), "{link}: {lines:#?}");
    });
}

#[test]
fn a_list_without_end_ends_and_empty_pages_are_pages() {
    // Two links that lead to one another, for ever, and never to what is wanted.
    let world = World::new();
    (0..30).for_each(|number| put(&world.emulator, &format!("a{number:04}"), "old", 3600));
    (0..8).for_each(|number| put(&world.emulator, &name(number), "old", 3600));
    let link =
        |token: &str| json!(format!("{}/secrets?api-version=7.6&$skiptoken={token}", world.emulator.vault_url("demo")));
    world.emulator.fault(in_lists("/nextLink", link("bmV4dCEw")).every(2));
    world.emulator.fault(in_lists("/nextLink", link("bmV4dCEx")));
    let (world, agent) = run(world, 8, "");
    // Where the first values come just when the second is full, fewer are due together once, before all are.
    let log = wait(&world, |log| walks(log).contains(&7) && gets(log) >= 8 + 8);
    assert_eq!(walks(&log).last(), Some(&7), "as many as the secrets themselves would cost, but one");
    assert!(walks(&log).iter().rev().skip(1).all(|pages| *pages < 7), "{:?}", walks(&log));
    put(&world.emulator, &name(4), "new", 10);
    until_holds(&world.out().join(name(4)), "new");
    assert_eq!(lists(&world.emulator.requests()), lists(&log), "and not soon again");
    agent.stop();
    // And an honest one whose full pages are followed by empty ones.
    let world = World::new();
    world.emulator.set_empty_pages(true);
    (0..60).for_each(|number| put(&world.emulator, &name(number), "old", 3600));
    let (world, agent) = run(world, 60, "");
    let log = wait(&world, |log| cycles(log).len() >= 2);
    assert!(cycles(&log).iter().all(|cycle| cycle.len() == 5), "three pages and two empty ones");
    assert_eq!(gets(&log), 60);
    agent.stop();
}

#[test]
fn a_list_that_makes_no_sense_proves_nothing_and_harms_nobody() {
    let absurd = [
        json!(0),
        json!(-1),
        json!(9_007_199_254_740_992_u64),
        json!(9_223_372_036_854_775_808_u64),
        json!(u64::MAX),
        json!(1e308),
        json!("1700000000"),
        Value::Null,
        json!([1]),
        json!(true),
    ];
    let mut cases: Vec<(&str, Value)> = Vec::new();
    for value in &absurd {
        for at in ["/value/1/attributes/updated", "/value/1/attributes/enabled", "/value/1/attributes", "/value/1/id"] {
            cases.push((at, value.clone()));
        }
        cases.extend([("/value/1", value.clone()), ("/value", value.clone())]);
    }
    cases.retain(|(at, value)| !(at.ends_with("enabled") && *value == json!(true)));
    at_once(&cases, |(at, value)| {
        let world = World::new();
        (0..4).for_each(|number| put(&world.emulator, &name(number), "old", 3600));
        world.emulator.fault(in_lists(at, value.clone()));
        let (world, agent) = run(world, 4, "");
        wait(&world, |log| lists(log) >= 1 && gets_of(log, &name(1)) >= 2);
        put(&world.emulator, &name(1), "new", 10);
        until_holds(&world.out().join(name(1)), "new");
        let (code, lines) = agent.stop();
        assert_eq!(
            (code, lines.iter().any(|line| line.contains("WARN"))),
            (Some(0), false),
            "{at} {value}: {lines:#?}"
        );
    });
}

#[test]
fn a_list_that_fails_holds_nobody_up_for_long() {
    let cases = [
        Misbehaviour::Throttle { retry_after: Some("1".to_owned()) },
        Misbehaviour::Status { status: 503 },
        Misbehaviour::Status { status: 400 },
        Misbehaviour::HtmlBadGateway,
        Misbehaviour::CutBody,
        Misbehaviour::Reset,
        Misbehaviour::HugeBody { bytes: 5 << 20 },
        Misbehaviour::Redirect { to: "https://login.localhost/".to_owned() },
    ];
    at_once(&cases, |misbehaviour| {
        let world = World::new();
        (0..4).for_each(|number| put(&world.emulator, &name(number), "old", 3600));
        let fault = Fault::vault(misbehaviour.clone()).of_operation(Operation::List).with_bearer(true);
        world.emulator.fault(fault);
        let (world, agent) = run(world, 4, "");
        wait(&world, |log| lists(log) >= 3);
        put(&world.emulator, &name(1), "new", 10);
        until_holds(&world.out().join(name(1)), "new");
        if !matches!(misbehaviour, Misbehaviour::Throttle { .. }) {
            assert_eq!(lists(&world.emulator.requests()), 3, "{misbehaviour:?}: it is left alone");
        }
        let (_, lines) = agent.stop();
        assert!(!lines.iter().any(|line| line.contains("cannot be fetched")), "{misbehaviour:?}: {lines:#?}");
    });
}

#[test]
fn an_outage_while_lists_are_read_is_told_once_and_overcome() {
    let (world, agent) = start(30, 30, "");
    wait(&world, |log| !cycles(log).is_empty());
    let fault = world.emulator.fault(Fault::vault(Misbehaviour::Status { status: 503 }));
    agent.wait_for(" failed: ", 1);
    put(&world.emulator, &name(3), "new", 10);
    world.emulator.clear_fault(fault);
    until_holds(&world.out().join(name(3)), "new");
    agent.wait_for("works again", 1);
    let seen = world.emulator.requests().len();
    wait(&world, |log| cycles(&log[seen.min(log.len())..]).len() >= 2);
    let (_, lines) = agent.stop();
    assert_eq!(lines.iter().filter(|line| line.contains("WARN")).count(), 1, "{lines:#?}");
}

#[test]
fn a_list_that_breaks_on_its_second_page_proves_what_the_first_has_shown() {
    let cases = [Misbehaviour::CutBody, Misbehaviour::HugeBody { bytes: 5 << 20 }, Misbehaviour::NeverAnswer];
    at_once(&cases, |misbehaviour| {
        let world = World::new();
        (0..30).for_each(|number| put(&world.emulator, &name(number), "old", 3600));
        let fault = Fault::vault(misbehaviour.clone()).of_operation(Operation::List).with_bearer(true);
        world.emulator.fault(fault.every(2));
        let (world, agent) = run(world, 30, "");
        agent.wait_for("left alone", 1);
        let log = world.emulator.requests();
        assert_eq!(lists(&log), 3 * 2, "{misbehaviour:?}");
        assert_eq!(gets_of(&log, &name(0)), 1, "{misbehaviour:?}: the first page is proof enough");
        assert!((3..=4).contains(&gets_of(&log, &name(29))), "{misbehaviour:?}: what no page has shown is asked for");
        put(&world.emulator, &name(0), "new", 10);
        until_holds(&world.out().join(name(0)), "new");
        let (_, lines) = agent.stop();
        assert!(!lines.iter().any(|line| line.contains("WARN")), "{misbehaviour:?}: {lines:#?}");
    });
}

#[test]
fn a_list_is_read_no_further_than_everything_wanted_was_shown() {
    let (world, agent) = start(1000, 20, "");
    let log = wait(&world, |log| lists(log) >= 5);
    assert!(!log.iter().any(|request| request.query.contains("skiptoken")), "all twenty are on the first page");
    assert_eq!(gets(&log), 20);
    agent.stop();
}

#[test]
fn what_is_made_anew_or_switched_off_and_on_between_two_looks_is_read_again() {
    let (world, agent) = start(5, 5, "");
    wait(&world, |log| !cycles(log).is_empty());
    // No look comes in between.
    let barrier =
        world.emulator.fault(Fault::vault(Misbehaviour::Hold).of_operation(Operation::List).with_bearer(true));
    wait(&world, |log| log.last().is_some_and(|request| is_list(request) && request.status.is_none()));
    assert!(world.emulator.delete_secret("demo", &name(1)));
    put(&world.emulator, &name(1), "new", 10);
    for enabled in [false, true] {
        assert!(world.emulator.update_secret("demo", &name(2), None, |secret| secret.enabled = enabled));
    }
    world.emulator.clear_fault(barrier);
    until_holds(&world.out().join(name(1)), "new");
    let log = wait(&world, |log| gets_of(log, &name(2)) >= 2);
    assert_eq!([0, 3, 4].map(|number| gets_of(&log, &name(number))), [1, 1, 1]);
    let (_, lines) = agent.stop();
    assert!(!lines.iter().any(|line| line.contains("WARN")), "{lines:#?}");
}

#[test]
fn a_value_that_was_long_on_its_way_is_as_old_as_its_question() {
    // It may have been read when it was asked for, and changed once more within that second.
    let world = World::new();
    (1..4).for_each(|number| put(&world.emulator, &name(number), "old", 3600));
    put(&world.emulator, &name(0), "old", -1);
    let slow = Misbehaviour::Slow { delay: Duration::from_secs(4) };
    world.emulator.fault(Fault::vault(slow).of_secret(&name(0)).with_bearer(true).times(1));
    let (world, agent) = run(world, 4, "");
    let log = wait(&world, |log| gets_of(log, &name(0)) >= 2);
    assert_eq!([1, 2, 3].map(|number| gets_of(&log, &name(number))), [1, 1, 1], "the list does for the others");
    agent.stop();
}

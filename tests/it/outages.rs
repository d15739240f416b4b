//! Services that are down for a while: what is published stays, one line tells of it, few requests are spent on it, and
//! afterwards everything goes on by itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use keyferry_emulator::{Fault, FaultId, Logged, Misbehaviour, Service, Settings};
use rustix::process::Signal;

use crate::harness::{Running, SOON, World, at_once, eventually, until_holds};

/// So long that no slot of it falls into a test.
const NEVER: &str = "7d";
const SIGN_IN: &str = "signing in with identity 'default'";
const VAULT: &str = "vault demo.vault.localhost";

/// So many secrets of one vault; the configuration asks for them this often and does not let them settle.
fn secrets(world: &World, count: usize, interval: &str) -> String {
    let mut text = format!("refresh: {{interval: {interval}, settle: 0s}}\nsecrets:\n");
    for number in 0..count {
        world.emulator.put_secret("demo", &format!("s{number}"), &format!("value {number}"));
        writeln!(text, "  s{number}: keyvault:demo/secrets/s{number}").unwrap();
    }
    world.config(&text)
}

fn until_all(world: &World, count: usize) {
    for number in 0..count {
        until_holds(&world.out().join(format!("s{number}")), &format!("value {number}"));
    }
}

fn told(lines: &[String], pieces: &[&str]) -> usize {
    lines.iter().filter(|line| pieces.iter().all(|piece| line.contains(piece))).count()
}

/// Watches for so long that nothing of the kind happens.
#[track_caller]
fn never_within(window: Duration, mut happens: impl FnMut() -> bool) {
    assert!(eventually(window, || happens().then_some(())).is_none(), "it happened");
}

/// What every file is, down to the inode and the time it was written.
fn identities(dir: &Path) -> BTreeMap<String, (u64, i64, i64)> {
    let entries = fs::read_dir(dir.join("..data")).unwrap().map(Result::unwrap);
    let identity = |entry: fs::DirEntry| {
        let file = entry.metadata().unwrap();
        (entry.file_name().to_string_lossy().into_owned(), (file.ino(), file.mtime(), file.mtime_nsec()))
    };
    entries.map(identity).collect()
}

fn per_secret(log: &[Logged], status: u16) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in log.iter().filter(|request| request.bearer && request.status == Some(status)) {
        *counts.entry(request.path.clone()).or_default() += 1;
    }
    counts
}

#[test]
fn a_service_that_is_down_for_a_while_is_two_lines_and_no_herd() {
    let cases: [&[Service]; 3] = [&[Service::Vault], &[Service::Entra], &[Service::Vault, Service::Entra]];
    at_once(&cases, |&down| {
        // Without Entra the tokens run out after two seconds.
        let token_lifetime = if down.contains(&Service::Entra) { 4 } else { 86_399 };
        let world = World::with(Settings { token_lifetime, ..Settings::default() });
        let agent = world.run(&secrets(&world, 50, "1s"));
        until_all(&world, 50);
        let before = identities(&world.out());
        let connections = |service| world.emulator.connections(service);
        let opened = (connections(Service::Vault), connections(Service::Entra));

        if down.contains(&Service::Vault) {
            world.emulator.stop_vaults().unwrap();
        }
        if down.contains(&Service::Entra) {
            world.emulator.stop_entra().unwrap();
        }
        let stopped = Instant::now();
        let last = if down.contains(&Service::Entra) { SIGN_IN } else { VAULT };
        agent.wait_for(last, 1);
        let seen = stopped.elapsed();
        never_within(Duration::from_secs(4), || identities(&world.out()) != before || agent.count("works again") > 0);

        world.emulator.put_secret("demo", "s7", "rotated");
        world.emulator.clear_log();
        world.emulator.start_entra().unwrap();
        world.emulator.start_vaults().unwrap();
        let started = Instant::now();
        until_holds(&world.out().join("s7"), "rotated");
        let back = started.elapsed();
        let (code, lines) = agent.stop();
        assert_eq!(code, Some(0));
        for gate in [SIGN_IN, VAULT] {
            let (failed, again) = (told(&lines, &[gate, " failed"]), told(&lines, &[gate, "works again"]));
            assert_eq!(failed, again, "{gate}: {lines:#?}");
            assert!(failed <= 1, "{gate}: {lines:#?}");
        }
        // Who was on his way when it stopped was cut off.
        let words = ["refused", "cut-off"].map(|code| told(&lines, &[last, &format!(" failed: unavailable ({code})")]));
        assert_eq!(words.iter().sum::<usize>(), 1, "{lines:#?}");
        if down == [Service::Entra] {
            assert_eq!(told(&lines, &[VAULT]), 0, "nothing is wrong with the vault: {lines:#?}");
        }
        assert_eq!(told(&lines, &["WARN"]), told(&lines, &[" failed: "]), "{lines:#?}");
        let more = (connections(Service::Vault) - opened.0, connections(Service::Entra) - opened.1);
        let requests = world.emulator.requests().len();
        println!(
            "down | {down:?} | seen {seen:.1?} | back {back:.1?} | after it: {requests} requests, connections {more:?}"
        );
        assert!(more.0 <= 2, "{more:?}");
        assert!(back < Duration::from_secs(15), "{back:?}");
        let after = identities(&world.out());
        assert!(before.iter().all(|(name, file)| name == "s7" || after[name] == *file), "only s7 was written");
    });
}

/// Fifty secrets that were fetched once; a SIGHUP asks for all of them again.
fn fetched_once() -> (World, Running) {
    let world = World::new();
    let agent = world.run(&secrets(&world, 50, NEVER));
    until_all(&world, 50);
    world.emulator.clear_log();
    (world, agent)
}

fn unavailable(world: &World, service: Service) -> FaultId {
    world.emulator.fault(Fault::new(service, Misbehaviour::Status { status: 503 }))
}

#[test]
fn an_outage_costs_a_wave_and_probes_and_its_end_one_request_each() {
    let (world, agent) = fetched_once();
    let opened = world.emulator.connections(Service::Vault);
    let fault = unavailable(&world, Service::Vault);
    agent.signal(Signal::HUP);
    let probes = |log: &[Logged]| log.iter().filter(|request| request.status == Some(503)).count().saturating_sub(50);
    assert!(world.emulator.wait_until(SOON, |log| probes(log) >= 1));
    agent.signal(Signal::HUP);
    agent.signal(Signal::HUP);
    assert!(world.emulator.wait_until(SOON, |log| probes(log) >= 4));
    let during = world.emulator.requests();
    let gaps: Vec<Duration> = during[49..].windows(2).map(|pair| pair[1].at.saturating_sub(pair[0].at)).collect();
    println!(
        "503 | a wave of 50 within {:.0?}, then probes after {gaps:.1?}",
        during[49].at.saturating_sub(during[0].at)
    );
    for (gap, least) in gaps.iter().zip([0.75, 1.5, 3.0, 6.0]) {
        assert!(*gap >= Duration::from_secs_f64(least), "{gaps:?}: wishes for freshness do not hurry probes");
    }
    world.emulator.clear_fault(fault);
    assert!(world.emulator.wait_until(SOON, |log| per_secret(log, 200).len() == 50));
    never_within(Duration::from_secs(1), || world.emulator.requests().len() > during.len() + 50);
    assert!(per_secret(&world.emulator.requests(), 200).values().all(|count| *count == 1));
    assert!(world.emulator.connections(Service::Vault) <= opened + 3);
    let (_, lines) = agent.stop();
    assert_eq!((told(&lines, &[VAULT, " failed"]), told(&lines, &[VAULT, "works again"])), (1, 1), "{lines:#?}");
}

#[test]
fn a_vault_that_stops_answering_is_one_wave_and_one_line() {
    let (world, agent) = fetched_once();
    let fault = world.emulator.fault(Fault::vault(Misbehaviour::NeverAnswer));
    let begun = Instant::now();
    agent.signal(Signal::HUP);
    agent.wait_for(VAULT, 1);
    let (seen, asked) = (begun.elapsed(), world.emulator.requests().len());
    agent.signal(Signal::HUP);
    world.emulator.clear_fault(fault);
    let healed = Instant::now();
    assert!(world.emulator.wait_until(SOON, |log| per_secret(log, 200).len() == 50));
    println!("unanswered | 50 secrets: {asked} requests, seen {seen:.1?}, back {:.1?}", healed.elapsed());
    assert!(asked <= 50 && seen < Duration::from_secs(20), "{asked} {seen:?}");
    assert!(world.emulator.connections(Service::Vault) <= 3);
    let (_, lines) = agent.stop();
    assert_eq!((told(&lines, &[VAULT, " failed"]), told(&lines, &[VAULT, "works again"])), (1, 1), "{lines:#?}");
}

#[test]
fn an_outage_of_entra_costs_a_few_exchanges() {
    let (world, agent) = fetched_once();
    let fault = unavailable(&world, Service::Entra);
    world.emulator.revoke_tokens();
    agent.signal(Signal::HUP);
    let exchanges = |log: &[Logged]| log.iter().filter(|request| request.service == Service::Entra).count();
    agent.wait_for(SIGN_IN, 1);
    let probed = |world: &World| exchanges(&world.emulator.requests());
    let wave = probed(&world);
    assert!(world.emulator.wait_until(SOON, |log| exchanges(log) >= wave + 3));
    println!("503 of Entra | {wave} exchanges in the wave, {} in all", probed(&world));
    assert!(probed(&world) <= 12, "{}", probed(&world));
    world.emulator.clear_fault(fault);
    assert!(world.emulator.wait_until(SOON, |log| per_secret(log, 200).len() == 50));
    never_within(Duration::from_secs(1), || {
        per_secret(&world.emulator.requests(), 200).values().any(|count| *count != 1)
    });
    let (_, lines) = agent.stop();
    assert_eq!((told(&lines, &[SIGN_IN, " failed"]), told(&lines, &[SIGN_IN, "works again"])), (1, 1), "{lines:#?}");
}

#[test]
fn entra_is_not_missed_while_the_token_lasts() {
    let world = World::new();
    let agent = world.run(&secrets(&world, 5, "1s"));
    until_all(&world, 5);
    world.emulator.stop_entra().unwrap();
    world.emulator.put_secret("demo", "s3", "rotated");
    until_holds(&world.out().join("s3"), "rotated");
    let (_, lines) = agent.stop();
    assert_eq!(told(&lines, &["WARN"]), 0, "{lines:#?}");
}

#[test]
fn a_start_while_the_vault_is_down_is_waited_out_by_run() {
    let world = World::new();
    world.emulator.stop_vaults().unwrap();
    let agent = world.run(&secrets(&world, 50, NEVER));
    agent.wait_for(VAULT, 1);
    world.emulator.start_vaults().unwrap();
    until_all(&world, 50);
    assert!(world.emulator.connections(Service::Vault) <= 2);
    assert!(per_secret(&world.emulator.requests(), 200).values().all(|count| *count == 1));
    let (_, lines) = agent.stop();
    assert_eq!((told(&lines, &[" failed"]), told(&lines, &["works again"])), (1, 1), "{lines:#?}");
}

#[test]
fn a_start_while_the_vault_is_down_is_a_line_per_secret_for_init() {
    let world = World::new();
    let config = secrets(&world, 120, NEVER);
    world.emulator.stop_vaults().unwrap();
    let ended = world.init(&config, &["--timeout", "3s"]);
    ended.expect(69, &[]);
    assert!(ended.took < Duration::from_secs(6), "{:?}", ended.took);
    for number in 0..120 {
        let line = ended.about(&format!("s{number}"));
        assert!(line.contains("unavailable (refused)"), "also who was never asked for has a reason: {line}");
    }
    assert_eq!(ended.last_words().len(), 120);
}

#[test]
fn a_restart_during_an_outage_keeps_what_was_published() {
    let world = World::new();
    let config = secrets(&world, 50, NEVER);
    let first = world.run(&config);
    until_all(&world, 50);
    first.stop();
    let before = identities(&world.out());
    world.emulator.stop_vaults().unwrap();
    let second = world.run(&config);
    second.wait_for(VAULT, 1);
    second.wait_for("50 files of an earlier run stay", 1);
    assert_eq!(identities(&world.out()), before);
    world.emulator.clear_log();
    world.emulator.start_vaults().unwrap();
    assert!(world.emulator.wait_until(SOON, |log| per_secret(log, 200).len() == 50));
    let (code, lines) = second.stop();
    assert_eq!(code, Some(0));
    assert_eq!(identities(&world.out()), before, "nothing has changed, nothing is written");
    assert_eq!(told(&lines, &["published generation"]), 0, "{lines:#?}");
    assert_eq!((told(&lines, &["earlier run"]), told(&lines, &["works again"])), (1, 1), "{lines:#?}");
}

#[test]
fn a_storm_of_429_is_left_alone_for_as_long_as_it_asks() {
    let world = World::new();
    let throttle = Misbehaviour::Throttle { retry_after: Some("3".to_owned()) };
    let config = secrets(&world, 150, NEVER);
    world.emulator.fault(Fault::vault(throttle).with_bearer(true).times(5));
    let agent = world.run(&config);
    until_all(&world, 150);
    let log = world.emulator.requests();
    let bearers: Vec<&Logged> = log.iter().filter(|request| request.bearer).collect();
    let refused = bearers.iter().rposition(|request| request.status == Some(429)).unwrap();
    let wave = bearers.iter().take_while(|request| request.at < bearers[refused].at + Duration::from_secs(2)).count();
    let rest: Vec<Duration> =
        bearers[wave..].iter().map(|request| request.at.saturating_sub(bearers[refused].at)).collect();
    println!(
        "429 | a wave of {wave}; the rest came {:.2?} .. {:.2?} after the last 429",
        rest[0],
        rest[rest.len() - 1]
    );
    assert!(wave <= 100, "{wave}");
    assert_eq!(bearers.len(), 155);
    assert!(rest[0] >= Duration::from_millis(2_900), "Retry-After: {rest:?}");
    assert!(rest[5].saturating_sub(rest[0]) >= Duration::from_millis(500), "a pace, not a herd: {rest:?}");
    let (_, lines) = agent.stop();
    assert_eq!((told(&lines, &[VAULT, "throttled"]), told(&lines, &["works again"])), (1, 1), "{lines:#?}");
}

#[test]
fn a_first_connection_that_breaks_costs_nobody_more_than_a_moment() {
    at_once(&[false, true], |&bearer| {
        let world = World::new();
        let config = secrets(&world, 100, NEVER);
        world.emulator.fault(Fault::vault(Misbehaviour::Reset).with_bearer(bearer).times(1));
        let ended = world.init(&config, &[]);
        ended.expect(0, &[]);
        let (connections, requests) = (world.emulator.connections(Service::Vault), world.emulator.requests().len());
        println!("reset once (bearer {bearer}) | {:.1?}, {connections} connections, {requests} requests", ended.took);
        assert!(connections <= 4, "{connections}");
        assert!(requests <= 203, "{requests}");
        assert!(ended.took < Duration::from_secs(10));
        until_all(&world, 100);
    });
}

#[test]
fn an_idle_agent_sleeps() {
    let world = World::new();
    let agent = world.run(&secrets(&world, 20, "15m"));
    until_all(&world, 20);
    let begun = Instant::now();
    let (mut last, mut since) = (switches(agent.pid()), Instant::now());
    let settled = eventually(SOON, || {
        let now = switches(agent.pid());
        if now != last {
            (last, since) = (now, Instant::now());
        }
        (since.elapsed() >= Duration::from_secs(10)).then(|| begun.elapsed().saturating_sub(since.elapsed()))
    });
    let settled = settled.expect("ten seconds without a context switch");
    let status = fs::read_to_string(format!("/proc/{}/status", agent.pid())).unwrap();
    let resident = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    println!("idle | settled after {settled:.1?}, then 10 s without a context switch; {resident} (debug build)");
    assert!(settled < Duration::from_secs(30));
}

/// How often any thread of the process has gone to sleep or was put to it.
fn switches(pid: u32) -> u64 {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        // A helper thread may end in between.
        let Ok(status) = fs::read_to_string(task.unwrap().path().join("status")) else { continue };
        let counts = status.lines().filter(|line| line.contains("voluntary_ctxt_switches"));
        sum += counts.filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok()).sum::<u64>();
    }
    sum
}

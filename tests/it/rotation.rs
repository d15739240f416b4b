//! A secret rotates: the new value arrives, whole and in time, and nothing else moves.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use keyferry_emulator::{SecretSpec, Service};
use rustix::process::Signal;

use crate::harness::{Running, SOON, World, eventually, until_holds};

fn identity(path: &Path) -> (u64, i64, i64) {
    let file = fs::metadata(path).unwrap();
    (file.ino(), file.mtime(), file.mtime_nsec())
}

/// The generation that is shown.
fn generation(dir: &Path) -> PathBuf {
    fs::read_link(dir.join("..data")).unwrap()
}

/// Two secrets `a` and `b` of one vault, asked for this often.
fn pair(refresh: &str) -> (World, Running) {
    let world = World::new();
    world.emulator.put_secret("demo", "a", "a1");
    world.emulator.put_secret("demo", "b", "b1");
    let secrets = "secrets: {a: keyvault:demo/secrets/a, b: keyvault:demo/secrets/b}\n";
    let agent = world.run(&world.config(&format!("refresh: {{{refresh}}}\n{secrets}")));
    until_holds(&world.out().join("a"), "a1");
    until_holds(&world.out().join("b"), "b1");
    (world, agent)
}

/// Waits until the agent has looked at it so many times more, be it by a list from its beginning, and has been answered.
#[track_caller]
fn asked(world: &World, name: &str, times: usize) {
    let path = format!("/secrets/{name}");
    let looks = [path.as_str(), "/secrets"];
    let answered = |log: &[keyferry_emulator::Logged]| {
        let is_look = |path: &str, query: &str| looks.contains(&path) && !query.contains("skiptoken");
        let looked = log.iter().filter(|request| is_look(request.path.trim_end_matches('/'), &request.query));
        looked.filter(|request| request.bearer).count()
    };
    let before = answered(&world.emulator.requests());
    let enough = world.emulator.wait_until(SOON, |log| answered(log) >= before + times);
    assert!(enough, "{:#?}", world.emulator.requests());
}

#[test]
fn a_rotated_secret_arrives_by_the_interval_and_alone() {
    let (world, agent) = pair("interval: 1s, settle: 0s");
    let before = identity(&world.out().join("b"));
    world.emulator.put_secret("demo", "a", "a2");
    until_holds(&world.out().join("a"), "a2");
    assert_eq!(identity(&world.out().join("b")), before);
    let after = generation(&world.out());
    asked(&world, "a", 2);
    assert_eq!(generation(&world.out()), after, "nothing more has changed");
    // The line is written after the flip.
    agent.wait_for("published generation", 2);
    assert_eq!(agent.count("published generation"), 2);
}

#[test]
fn rotations_one_after_the_other_arrive_in_their_order() {
    let (world, agent) = pair("interval: 1s, settle: 0s");
    let mut seen = vec!["a1".to_owned()];
    for round in 2..6 {
        // The second of the two comes right behind the first, and may well replace it before anybody looks.
        let [first, second] = [format!("a{round}"), format!("a{round}+")];
        world.emulator.put_secret("demo", "a", &first);
        world.emulator.put_secret("demo", "a", &second);
        let arrived = eventually(SOON, || {
            let value = world.read("a")?;
            if seen.last() != Some(&value) {
                seen.push(value);
            }
            (seen.last() == Some(&second)).then_some(())
        });
        assert!(arrived.is_some(), "{seen:?}");
    }
    let ordered = seen.windows(2).all(|pair| pair[0] < pair[1]);
    assert!(ordered, "nothing older comes back: {seen:?}");
    agent.stop();
}

#[test]
fn a_rotated_secret_arrives_by_a_signal() {
    let (world, agent) = pair("interval: 7d");
    let before = identity(&world.out().join("b"));
    world.emulator.put_secret("demo", "a", "a2");
    agent.signal(Signal::HUP);
    until_holds(&world.out().join("a"), "a2");
    assert_eq!(identity(&world.out().join("b")), before);
    assert_eq!(world.requests_to(Service::Entra).len(), 1);
    assert_eq!(world.bearers(), 5, "each twice, and the other once more: it may be of one set that is being written");
}

#[test]
fn one_that_changed_long_ago_hurries_nobody_to_a_second_look() {
    let (world, agent) = pair("interval: 7d");
    let created = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap() - 60;
    world.emulator.put_secret_with("demo", SecretSpec { created: Some(created), ..SecretSpec::new("a", "a2") });
    agent.signal(Signal::HUP);
    until_holds(&world.out().join("a"), "a2");
    assert_eq!(world.bearers(), 4);
}

#[test]
fn a_set_that_is_written_across_a_look_arrives_in_one_generation() {
    let (world, agent) = pair("interval: 7d, settle: 8s");
    world.emulator.put_secret("demo", "a", "a2");
    agent.signal(Signal::HUP);
    asked(&world, "b", 1);
    // Nothing more would be looked at for a week.
    world.emulator.put_secret("demo", "b", "b2");
    until_holds(&world.out().join("a"), "a2");
    assert_eq!(world.read("b").as_deref(), Some("b2"));
    agent.wait_for("published generation", 2);
    assert_eq!(agent.count("published generation"), 2);
}

#[test]
fn two_that_rotate_together_arrive_in_one_generation() {
    let (world, agent) = pair("interval: 1s, settle: 2s");
    let mut seen = BTreeSet::new();
    let mut look = || {
        // Through the generation's own name: what one reader sees who opens it once.
        let shown = world.out().join(generation(&world.out()));
        let (a, b) = (fs::read_to_string(shown.join("a")), fs::read_to_string(shown.join("b")));
        if let (Ok(a), Ok(b)) = (a, b) {
            seen.insert((a.clone(), b.clone()));
            return (a == "a2" && b == "b2").then_some(());
        }
        None
    };
    look();
    world.emulator.put_secret("demo", "a", "a2");
    world.emulator.put_secret("demo", "b", "b2");
    eventually(SOON, look).expect("both arrive");
    let expected = [("a1", "b1"), ("a2", "b2")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(seen, BTreeSet::from(expected));
    // The line is written after the flip.
    agent.wait_for("published generation", 2);
    assert_eq!(agent.count("published generation"), 2);
}

#[test]
fn a_pinned_version_does_not_follow() {
    let world = World::new();
    let version = world.emulator.put_secret("demo", "a", "a1");
    let config = format!(
        "refresh: {{interval: 1s, settle: 0s}}\nsecrets:\n  pinned: keyvault:demo/secrets/a/{version}\n  \
         latest: keyvault:demo/secrets/a\n"
    );
    let agent = world.run(&world.config(&config));
    until_holds(&world.out().join("latest"), "a1");
    let before = identity(&world.out().join("pinned"));
    world.emulator.put_secret("demo", "a", "a2");
    until_holds(&world.out().join("latest"), "a2");
    asked(&world, &format!("a/{version}"), 2);
    assert_eq!(world.read("pinned").as_deref(), Some("a1"));
    assert_eq!(identity(&world.out().join("pinned")), before);
    // The line is written after the flip.
    agent.wait_for("published generation", 2);
    assert_eq!(agent.count("published generation"), 2);
}

#[test]
fn only_the_directory_that_shows_it_moves() {
    let world = World::new();
    let dirs = ["one", "two"].map(|dir| world.root.path().join(dir));
    for dir in &dirs {
        fs::create_dir(dir).unwrap();
    }
    let [one, two] = &dirs;
    for name in ["a", "b", "c"] {
        world.emulator.put_secret("demo", name, "1");
    }
    let config = format!(
        "{}files:\n  - {{dir: {}, include: [a, c]}}\n  - {{dir: {}, include: [b, c]}}\n\
         refresh: {{interval: 1s, settle: 0s}}\n\
         secrets: {{a: keyvault:demo/secrets/a, b: keyvault:demo/secrets/b, c: keyvault:demo/secrets/c}}\n",
        world.preamble(&["demo"]),
        one.display(),
        two.display(),
    );
    let agent = world.run(&config);
    until_holds(&one.join("c"), "1");
    until_holds(&two.join("c"), "1");
    let before = (generation(one), generation(two));
    world.emulator.put_secret("demo", "a", "2");
    until_holds(&one.join("a"), "2");
    asked(&world, "b", 2);
    assert_ne!(generation(one), before.0);
    assert_eq!(generation(two), before.1);
    world.emulator.put_secret("demo", "c", "2");
    until_holds(&one.join("c"), "2");
    until_holds(&two.join("c"), "2");
    assert_ne!(generation(two), before.1);
    assert!(!one.join("b").exists() && !two.join("a").exists());
    agent.stop();
}

/// Takes the secret away in some way, and gives it back.
fn away_and_back(code: &str, away: impl Fn(&World), back: impl Fn(&World), then: &str) {
    let (world, agent) = pair("interval: 1s, settle: 0s");
    let before = generation(&world.out());
    away(&world);
    agent.wait_for("secret a (keyvault:demo/secrets/a) cannot be fetched", 1);
    agent.signal(Signal::HUP);
    asked(&world, "a", 1);
    agent.signal(Signal::HUP);
    asked(&world, "a", 1);
    asked(&world, "b", 2);
    assert_eq!(world.read("a").as_deref(), Some("a1"), "the last good value stays");
    assert_eq!(generation(&world.out()), before);
    back(&world);
    agent.signal(Signal::HUP);
    agent.wait_for("secret a is fetched again", 1);
    until_holds(&world.out().join("a"), then);
    let (_, lines) = agent.stop();
    let warnings: Vec<&String> = lines.iter().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 1, "once: {lines:#?}");
    assert!(warnings[0].contains(code) && warnings[0].contains("the last good value stays"), "{warnings:#?}");
}

#[test]
fn a_deleted_secret_stays_published_and_is_told_of_once() {
    let delete = |world: &World| assert!(world.emulator.delete_secret("demo", "a"));
    let put = |world: &World| drop(world.emulator.put_secret("demo", "a", "a2"));
    away_and_back("SecretNotFound", delete, put, "a2");
}

#[test]
fn a_disabled_secret_stays_published_and_goes_on_when_it_is_enabled() {
    let enable = |enabled| {
        move |world: &World| assert!(world.emulator.update_secret("demo", "a", None, |secret| secret.enabled = enabled))
    };
    away_and_back("SecretDisabled", enable(false), enable(true), "a1");
}

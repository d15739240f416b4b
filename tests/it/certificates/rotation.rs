//! A certificate is renewed while servers use it.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::Signal;

use super::authority::{LEGACY, OF_EC, OF_RSA};
use super::{config, tls, world};
use crate::harness::{SOON, World, eventually, until_holds};

const SERVER: &str = "{fullchain: tls.crt, key: tls.key, ca: ca.crt}";

fn refreshing(world: &World) -> String {
    format!("refresh: {{interval: 1s, settle: 0s}}\n{}", config(world, SERVER))
}

#[test]
fn a_renewed_certificate_serves_as_the_one_before_did() {
    let (old, new) = (OF_RSA.issue(90), OF_RSA.issue(90));
    let world = world(old.as_pfx(LEGACY));
    let agent = world.run(&refreshing(&world));
    until_holds(&world.out().join("tls.key"), &old.key);
    assert_eq!(tls::handshake(&world.out().join("..data")), tls::leaf(&old.leaf));
    // Another kind of store, and of authority, makes no difference.
    let moved = OF_EC.issue(90);
    for renewed in [new.as_pem(), moved.as_pem()] {
        let expected = tls::leaf(match &renewed.stored {
            keyferry_emulator::Stored::Pem(pem) => pem,
            keyferry_emulator::Stored::Pfx { .. } => panic!("it is PEM"),
        });
        world.emulator.put_certificate("demo", renewed);
        let arrived = || (tls::shown(&world.out().join("tls.crt")).as_ref() == Some(&expected)).then_some(());
        eventually(SOON, arrived).expect("the renewed certificate arrives");
        assert_eq!(tls::handshake(&world.out().join("..data")), expected);
    }
    let (_, lines) = agent.stop();
    assert!(!lines.iter().any(|line| line.contains("WARN")), "{lines:#?}");
}

/// What a reader sees who opens `..data` once; none when two publishes overtook it.
fn pair(dir: &Path) -> Option<(String, String)> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let data = openat(CWD, dir.join("..data"), flags, Mode::empty()).unwrap();
    let read = |name: &str| {
        let file = match openat(&data, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => file,
            Err(error) if std::io::Error::from(error).kind() == ErrorKind::NotFound => return None,
            Err(error) => panic!("{name}: {error}"),
        };
        let mut text = String::new();
        File::from(file).read_to_string(&mut text).unwrap();
        Some(text)
    };
    Some((read("tls.crt")?, read("tls.key")?))
}

#[test]
fn key_and_certificate_are_always_of_one_version() {
    let versions: Vec<_> = (0..8).map(|_| OF_EC.issue(90)).collect();
    let pairs: Vec<_> = versions.iter().map(|issued| (issued.fullchain(), issued.key.clone())).collect();
    let world = world(versions[0].as_pem());
    let agent = world.run(&refreshing(&world));
    until_holds(&world.out().join("tls.key"), &versions[0].key);
    let done = AtomicBool::new(false);
    let dir = world.out();
    std::thread::scope(|scope| {
        let reader = || {
            let mut seen = vec![0_usize; pairs.len()];
            while !done.load(Ordering::Relaxed) {
                let Some(pair) = pair(&dir) else { continue };
                let version = pairs.iter().position(|one| *one == pair);
                seen[version.expect("key and certificate are of one version")] += 1;
            }
            seen
        };
        let readers = [scope.spawn(reader), scope.spawn(reader)];
        for (number, issued) in versions.iter().enumerate().skip(1) {
            let spec = if number % 2 == 0 { issued.as_pem() } else { issued.as_pfx(LEGACY) };
            world.emulator.put_certificate("demo", spec);
            agent.signal(Signal::HUP);
            until_holds(&dir.join("tls.key"), &issued.key);
        }
        done.store(true, Ordering::Relaxed);
        for reader in readers {
            let seen = reader.join().unwrap();
            assert!(seen.iter().filter(|times| **times > 0).count() > pairs.len() / 2, "{seen:?}");
        }
    });
}

#[test]
fn a_restart_without_the_vault_leaves_the_pair_and_a_restart_with_it_touches_nothing() {
    let issued = OF_EC.issue(90);
    let world = world(issued.as_pfx(LEGACY));
    world.init(&refreshing(&world), &[]).expect(0, &[]);
    let shown = || std::fs::read_link(world.out().join("..data")).unwrap();
    let before = shown();
    world.emulator.stop_vaults().unwrap();
    let agent = world.run(&refreshing(&world));
    agent.wait_for("of an earlier run stay in", 1);
    assert_eq!(tls::handshake(&world.out().join("..data")), tls::leaf(&issued.leaf));
    world.emulator.start_vaults().unwrap();
    let fetched = |log: &[keyferry_emulator::Logged]| {
        log.iter().filter(|request| request.bearer && request.status == Some(200)).count() >= 3
    };
    assert!(world.emulator.wait_until(SOON, fetched));
    assert_eq!(shown(), before, "the same certificate is no news");
    agent.stop();
}

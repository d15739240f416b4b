//! Many at once: connections, those who hold them open, refreshes and signals. Everybody is answered or told, nothing is
//! lost, and memory stays within bounds.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use rustix::process::Signal;

use super::client::{Endpoint, Reply, socket};
use crate::harness::{Running, SOON, World, at_once, eventually};

const REQUEST: &[u8] =
    b"GET /v1/secrets/db HTTP/1.1\r\nhost: localhost\r\nkeyferry-request: true\r\nconnection: close\r\n\r\n";
const SECRETS: &str = "refresh: {interval: 1h, settle: 0s}\nsecrets: {db: keyvault:demo/secrets/db}\n";
/// What the agent may have grown to under all this: a connection costs some tens of KiB, and there are at most 512.
const MOST_KIB: u64 = 64 << 10;

fn serving(serve: impl FnOnce(&World) -> String, secrets: &str) -> (World, Running) {
    let world = World::new();
    world.emulator.put_secret("demo", "db", "value");
    let running = world.run(&format!("{}{}{secrets}", world.preamble(&["demo"]), serve(&world)));
    running.wait_for("published generation 1 in serve", 1);
    (world, running)
}

fn resident(running: &Running) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn ten_thousand_connections_are_each_answered_or_told() {
    let (_world, running) = serving(|_| "serve: {http: {listen: \"127.0.0.1:0\"}}\n".to_owned(), SECRETS);
    let endpoint = Endpoint::http(&running);
    let Endpoint::Tcp(address) = endpoint else { panic!() };
    // More than there is place for, and none of them says anything.
    let mut held: Vec<TcpStream> = (0..600).map(|_| TcpStream::connect(address).unwrap()).collect();
    let told = held.split_off(448).into_iter().map(|mut stream| {
        stream.set_read_timeout(Some(SOON)).unwrap();
        // Whoever asks before it is told hears it too.
        stream.write_all(REQUEST).unwrap();
        let mut words = Vec::new();
        stream.read_to_end(&mut words).unwrap();
        Reply::parse(&words)
    });
    for reply in told {
        assert_eq!(reply.refusal(), (503, "TooManyConnections".to_owned()));
        assert_eq!(reply.header("retry-after").as_deref(), Some("1"));
        assert_eq!(reply.json()["error"]["uid"], rustix::process::geteuid().as_raw());
    }
    drop(held);
    assert!(eventually(SOON, || (endpoint.get("/v1/secrets/db").status == 200).then_some(())).is_some());
    let (answered, told) = (AtomicUsize::new(0), AtomicUsize::new(0));
    at_once(&[1250; 8], |attempts| {
        for _ in 0..*attempts {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(SOON)).unwrap();
            drop(stream.write_all(REQUEST));
            let mut answer = Vec::new();
            drop(stream.read_to_end(&mut answer));
            match Reply::parse(&answer).status {
                200 => answered.fetch_add(1, Ordering::Relaxed),
                503 => told.fetch_add(1, Ordering::Relaxed),
                other => panic!("{other}"),
            };
        }
    });
    assert_eq!(answered.into_inner() + told.into_inner(), 10_000);
    assert!(resident(&running) < MOST_KIB, "{} KiB", resident(&running));
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn whoever_does_not_read_is_let_go_and_nobody_waits_for_it() {
    let (world, running) = serving(|world| socket(world, ""), SECRETS);
    let endpoint = Endpoint::of(&world);
    // As many requests as a connection takes, and none of the answers is read.
    let request = "GET /v1/secrets/db HTTP/1.1\r\nhost: localhost\r\nkeyferry-request: true\r\n\r\n".repeat(50_000);
    let hoarding: Vec<_> = (0..20).map(|_| endpoint.pour(request.as_bytes())).collect();
    for _ in 0..100 {
        assert_eq!(endpoint.get("/v1/secrets/db").text(), "value");
    }
    assert!(resident(&running) < MOST_KIB, "{} KiB", resident(&running));
    // Each is let go when it has taken nothing for a while.
    for mut stream in hoarding {
        assert!(eventually(SOON, || stream.write_all(b"GET").is_err().then_some(())).is_some());
    }
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn whoever_takes_its_time_to_ask_is_let_go() {
    let (world, running) = serving(|world| socket(world, ""), SECRETS);
    let endpoint = Endpoint::of(&world);
    let mut slow: Vec<_> = (0..100).map(|_| endpoint.pour(b"GET /v1/secrets/db HTTP/1.1\r\nhost: local")).collect();
    assert_eq!(endpoint.get("/v1/secrets/db").text(), "value");
    let begun = Instant::now();
    for stream in &mut slow {
        stream.set_read_timeout(Some(SOON)).unwrap();
        // Whatever it is told: it is not waited for.
        stream.read_to_end(&mut Vec::new()).unwrap();
    }
    assert!(begun.elapsed() < SOON / 2, "{:?}", begun.elapsed());
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn a_thousand_refreshes_and_signals_are_a_few_rounds() {
    let (world, running) = serving(|world| socket(world, ""), SECRETS);
    let endpoint = Endpoint::of(&world);
    let before = world.bearers();
    for round in 0..1000 {
        assert_eq!(endpoint.ask("POST", "/v1/refresh", &[]).status, 202);
        if round % 10 == 0 {
            running.signal(Signal::HUP);
        }
        assert_eq!(endpoint.get("/v1/secrets/db").text(), "value");
    }
    world.emulator.put_secret("demo", "db", "rotated");
    running.signal(Signal::HUP);
    assert!(eventually(SOON, || (endpoint.get("/v1/secrets/db").text() == "rotated").then_some(())).is_some());
    // Each signal is one round at the most; a thousand refreshes in a few seconds are one or two.
    let rounds = world.bearers() - before;
    assert!(rounds < 130, "{rounds}");
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn each_of_a_hundred_rotations_is_told_once_and_in_order() {
    let file = |world: &World| world.root.path().join("value");
    let world = World::new();
    fs::write(file(&world), "0").unwrap();
    let secrets = format!("refresh: {{settle: 0s}}\nsecrets: {{a: \"file:{}\"}}\n", file(&world).display());
    let running = world.run(&format!("{}{}{secrets}", world.preamble(&["demo"]), socket(&world, "")));
    running.wait_for("published generation 1 in serve", 1);
    let endpoint = Endpoint::of(&world);
    let mut watching: Vec<_> = (0..3).map(|_| endpoint.watch(&[])).collect();
    for watch in &mut watching {
        assert_eq!(watch.next().unwrap().kind, "");
    }
    let following: Vec<_> = watching
        .into_iter()
        .map(|mut watch| std::thread::spawn(move || (0..100).map(|_| watch.next().unwrap()).collect::<Vec<_>>()))
        .collect();
    let mut tag = endpoint.get("/v1/secrets/a").header("etag").unwrap();
    for number in 1..=100 {
        let new = world.root.path().join("new");
        fs::write(&new, number.to_string()).unwrap();
        fs::rename(&new, file(&world)).unwrap();
        let reply = endpoint.ask("GET", "/v1/secrets/a?wait=60s", &[&format!("if-none-match: {tag}")]);
        assert_eq!((reply.status, reply.text()), (200, number.to_string()));
        tag = reply.header("etag").unwrap();
    }
    for told in following {
        let told = told.join().unwrap();
        let generations: Vec<u64> = told.iter().map(|event| event.data["generation"].as_u64().unwrap()).collect();
        assert_eq!(generations, (2..=101).collect::<Vec<_>>());
        assert!(told.iter().all(|event| event.kind == "change"));
    }
    assert_eq!(running.stop().0, Some(0));
}

//! Probes: what a kubelet, a hostile neighbour and a slow reader get from the admin endpoint.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use keyferry_emulator::{Fault, Misbehaviour};

use crate::harness::{Ended, Running, SOON, World, at_once, end, eventually};

const SECRETS: &str = "admin: {listen: 127.0.0.1:0}\nsecrets: {db-password: keyvault:demo/secrets/db}\n";

/// Where the endpoint of a running agent is.
pub fn address(running: &Running) -> SocketAddr {
    running.wait_for("probes are answered at http://", 1);
    let line = running.lines().into_iter().find(|line| line.contains("probes are answered at http://")).unwrap();
    let (_, rest) = line.split_once("http://").unwrap();
    rest.split_once(": ").unwrap().0.parse().unwrap()
}

/// An agent that has what it needs, and where its endpoint is.
fn serving(secrets: &str) -> (World, Running, SocketAddr) {
    let world = World::new();
    world.emulator.put_secret("demo", "db", "value");
    let running = world.run(&world.config(secrets));
    let address = address(&running);
    (world, running, address)
}

/// Sends these bytes, and reads until the other side closes.
fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    // Whoever is refused early may find the other side closed while it still writes.
    drop(stream.write_all(bytes));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    String::from_utf8(answer).unwrap()
}

/// The status and the body of a GET.
pub fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let answer = exchange(address, format!("GET {path} HTTP/1.1\r\nhost: pod\r\nconnection: close\r\n\r\n").as_bytes());
    (status(&answer), answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

fn status(answer: &str) -> u16 {
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    status.and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no status in {answer:?}"))
}

#[test]
fn ready_once_everything_is_published_and_for_good() {
    let world = World::new();
    world.emulator.put_secret("demo", "another", "value");
    let running = world.run(&world.config(SECRETS));
    let address = address(&running);
    running.wait_for("cannot be fetched", 1);
    assert_eq!(get(address, "/livez"), (200, "alive\n".to_owned()));
    let (status, body) = get(address, "/readyz");
    assert_eq!(status, 503);
    assert_eq!(body, "not ready: no value yet of 1 required secret; the log says why\n");
    world.emulator.put_secret("demo", "db", "canary-value");
    running.signal(rustix::process::Signal::HUP);
    assert!(eventually(SOON, || (get(address, "/readyz") == (200, "ready\n".to_owned())).then_some(())).is_some());
    assert_eq!(world.read("db-password").as_deref(), Some("canary-value"));
    // A vault that is down takes no application out of service.
    world.emulator.fault(Fault::vault(Misbehaviour::Status { status: 503 }));
    running.signal(rustix::process::Signal::HUP);
    running.wait_for("failed", 1);
    assert_eq!(get(address, "/readyz").0, 200);
    for path in ["/livez", "/readyz", "/", "/v1/secrets/db-password"] {
        let answer = format!("{:?}", get(address, path));
        assert!(!["db-password", "demo", "canary"].iter().any(|word| answer.contains(word)), "{answer}");
    }
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn what_is_no_probe_is_refused() {
    let (_world, running, address) = serving(SECRETS);
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(40_000));
    let many = format!("GET /livez HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(200));
    let cases: &[(&str, &[u8], &[u16])] = &[
        ("another path", b"GET /metrics/../env HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", &[404]),
        ("a method that writes", b"POST /readyz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", &[405]),
        ("absolute form", b"GET http://169.254.169.254/livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", &[400]),
        ("a tunnel", b"CONNECT vault.azure.net:443 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", &[400]),
        ("a body", b"GET /livez HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello", &[400]),
        (
            "a request in a body",
            b"GET /livez HTTP/1.1\r\nhost: a\r\ncontent-length: 41\r\n\r\nGET /readyz HTTP/1.1\r\nhost: evil.example\r\n",
            &[400],
        ),
        (
            "two lengths",
            b"GET /livez HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
            &[400],
        ),
        (
            "length and chunks",
            b"GET /livez HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            &[400],
        ),
        ("a header that is folded", b"GET /livez HTTP/1.1\r\nhost: a\r\nx: a\r\n b\r\n\r\n", &[400]),
        ("a blank before the colon", b"GET /livez HTTP/1.1\r\nhost : a\r\n\r\n", &[400]),
        ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", &[400]),
        ("HTTP/2 by itself", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[400, 505]),
        ("a long line", long.as_bytes(), &[414, 431]),
        ("many headers", many.as_bytes(), &[431]),
    ];
    at_once(cases, |(what, bytes, expected)| {
        let answer = exchange(address, bytes);
        assert!(answer.is_empty() || expected.contains(&status(&answer)), "{what}: {answer:?}");
        assert_eq!(answer.matches("HTTP/1.1 ").count().max(1), 1, "{what}: {answer:?}");
    });
    assert_eq!(get(address, "/livez").0, 200);
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn whoever_is_slow_or_many_keeps_nobody_out_for_long() {
    let (_world, running, address) = serving(SECRETS);
    // As many as are served at once, none of which ever ends its request.
    let mut slow: Vec<TcpStream> = (0..64).map(|_| TcpStream::connect(address).unwrap()).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /livez HTTP/1.1\r\n").unwrap();
    }
    let told = eventually(SOON, || (status(&exchange(address, b"GET /livez HTTP/1.1\r\n\r\n")) == 503).then_some(()));
    assert!(told.is_some(), "one too many is told so");
    let begun = Instant::now();
    let answered = eventually(SOON, || (get(address, "/livez").0 == 200).then_some(()));
    assert!(answered.is_some() && begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    for mut stream in slow {
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut rest = Vec::new();
        drop(stream.read_to_end(&mut rest));
        assert!(!rest.starts_with(b"HTTP/1.1 200"), "half a request is answered");
    }
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn the_end_waits_for_no_idle_connection() {
    let (_world, running, address) = serving(SECRETS);
    let mut idle = TcpStream::connect(address).unwrap();
    idle.set_read_timeout(Some(SOON)).unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let mut answer = [0; 512];
    assert!(idle.read(&mut answer).unwrap() > 0);
    let (code, took, _) = running.end_by(rustix::process::Signal::TERM);
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn a_port_that_is_taken_ends_the_start() {
    let world = World::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config =
        world.config(&format!("admin: {{listen: \"{address}\"}}\nsecrets: {{db: keyvault:demo/secrets/db}}\n"));
    let ended: Ended = end(&mut world.keyferry(&config, &["run"]));
    ended.expect(78, &[&format!("admin.listen {address} cannot be listened at"), "in use", "choose another"]);
    let everywhere = TcpListener::bind("[::]:0").or_else(|_| TcpListener::bind("0.0.0.0:0")).unwrap();
    let port = everywhere.local_addr().unwrap().port();
    let all = config.replace(&format!("\"{address}\""), &format!("\":{port}\""));
    end(&mut world.keyferry(&all, &["run"])).expect(78, &[&format!("admin.listen :{port} cannot be listened at")]);
    // Nobody probes an init container.
    world.emulator.put_secret("demo", "db", "value");
    world.init(&config, &[]).expect(0, &[]);
}

#[test]
fn a_port_alone_is_every_address() {
    let (_world, running, address) = serving(&SECRETS.replace("127.0.0.1:0", "\":0\""));
    let port = address.port();
    assert_eq!(get(SocketAddr::from(([127, 0, 0, 1], port)), "/livez").0, 200);
    assert_eq!(running.stop().0, Some(0));
}

/// The value of a series, by how its line begins.
fn value(metrics: &str, series: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

#[test]
fn metrics_tell_what_people_page_on_and_name_nothing() {
    let world = World::new();
    world.emulator.put_secret("demo", "db", "canary-value");
    let hook = "onChange: [{http: {url: \"http://127.0.0.1:9/reload\"}}]\nrefresh: {settle: 0s}\n";
    let running = world.run(&world.config(&format!("{SECRETS}{hook}")));
    let address = address(&running);
    running.wait_for("published generation 1", 1);
    world.emulator.put_secret("demo", "db", "canary-value-2");
    running.signal(rustix::process::Signal::HUP);
    running.wait_for("hook failed", 1);
    assert_eq!(get(address, "/livez").0, 200);
    let failing = |metrics: &str| value(metrics, "keyferry_hook_failing{kind=\"http\"}") == Some(1.0);
    let metrics = eventually(SOON, || Some(get(address, "/metrics").1).filter(|metrics| failing(metrics))).unwrap();
    let out = world.out();
    for (series, expected) in [
        ("keyferry_ready".to_owned(), 1.0),
        ("keyferry_endpoint_requests_total{route=\"livez\",code=\"200\"}".to_owned(), 1.0),
        ("keyferry_fetch_total{source=\"vault\",outcome=\"ok\"}".to_owned(), 2.0),
        ("keyferry_upstream_requests_total{service=\"entra\",code=\"200\"}".to_owned(), 1.0),
        (format!("keyferry_generation{{dir=\"{}\"}}", out.display()), 2.0),
    ] {
        assert_eq!(value(&metrics, &series), Some(expected), "{series} in {metrics}");
    }
    the_readme_lists(&metrics);
    assert!(metrics.contains("\nkeyferry_secret_age_seconds{secret=\"") && metrics.ends_with("# EOF\n"), "{metrics}");
    assert!(!["db-password", "demo", "canary"].iter().any(|word| metrics.contains(word)), "{metrics}");
    assert_eq!(running.stop().0, Some(0));
    let named = SECRETS.replace("127.0.0.1:0", "127.0.0.1:0, secretNamesInMetrics: true");
    let running = world.run(&world.config(&named));
    let address = self::address(&running);
    let named = |metrics: &String| metrics.contains("keyferry_secret_age_seconds{secret=\"db-password\"}");
    assert!(eventually(SOON, || Some(get(address, "/metrics").1).filter(named)).is_some());
    assert_eq!(running.stop().0, Some(0));
}

/// Whether README has every metric that is there, and no other but those of what has not happened.
fn the_readme_lists(metrics: &str) {
    let readme = include_str!("../../README.md");
    let families: Vec<&str> =
        metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    for family in &families {
        assert!(readme.contains(&format!("`{family}")), "{family} is not in README");
    }
    let not_happened = ["keyferry_secret_failing", "keyferry_secret_expires_timestamp_seconds"];
    for word in readme.split('`').filter(|word| word.starts_with("keyferry_")) {
        let name = word.split('{').next().unwrap();
        let name = name.strip_suffix("_total").or_else(|| name.strip_suffix("_info")).unwrap_or(name);
        assert!(families.contains(&name) || not_happened.contains(&name), "README has {word}: {families:?}");
    }
}

//! What a page, a proxy, a server that was talked into it, or a neighbour could send: each is refused, and nothing of a
//! secret is in any answer.

use super::client::{Endpoint, Reply, socket};
use crate::harness::{World, at_once};

const SECRETS: &str = "secrets: {db: keyvault:demo/secrets/db}\nenv: {DB: {secret: db}}\n";

/// What is sent, and how it may be refused; where the connection is merely closed, with 0.
fn requests() -> Vec<(&'static str, Vec<u8>, &'static [u16])> {
    let with =
        |line: &str, headers: &str| format!("{line} HTTP/1.1\r\nconnection: close\r\n{headers}\r\n").into_bytes();
    let local = "host: localhost\r\nkeyferry-request: true\r\n";
    let get = |headers: &str| with("GET /v1/secrets/db", headers);
    let also = |header: &str| get(&format!("{local}{header}\r\n"));
    vec![
        ("a page's link or form", get("host: localhost\r\n"), &[403]),
        (
            "a page's link to a name that leads here",
            get("host: attacker.example\r\nkeyferry-request: true\r\n"),
            &[403],
        ),
        ("DNS rebinding with a port", get("host: 127.0.0.1.nip.io:8210\r\nkeyferry-request: true\r\n"), &[403]),
        ("a decimal address", get("host: 2130706433\r\nkeyferry-request: true\r\n"), &[403]),
        ("an octal address", get("host: 0177.0.0.1\r\nkeyferry-request: true\r\n"), &[403]),
        ("the metadata service's address", get("host: 169.254.169.254\r\nkeyferry-request: true\r\n"), &[403]),
        ("a script with permission from nobody", also("origin: https://attacker.example"), &[403]),
        ("a script of no origin", also("origin: null"), &[403]),
        ("a browser that says whose it is", also("sec-fetch-site: cross-site"), &[403]),
        (
            "what is asked before a script may ask",
            with("OPTIONS /v1/secrets/db", "host: localhost\r\norigin: https://a\r\n"),
            &[403],
        ),
        ("a proxy that says for whom", also("x-forwarded-for: 10.0.0.1"), &[403]),
        ("a proxy that says which host was meant", also("x-forwarded-host: localhost"), &[403]),
        ("a proxy by the standard", also("forwarded: for=10.0.0.1"), &[403]),
        ("a proxy that says its name", also("via: 1.1 gateway"), &[403]),
        ("nginx", also("x-real-ip: 10.0.0.1"), &[403]),
        ("the header twice", also("keyferry-request: true"), &[403]),
        ("the header with another value", get("host: localhost\r\nkeyferry-request: yes\r\n"), &[403]),
        ("no host", get("keyferry-request: true\r\n"), &[400]),
        ("two hosts", also("host: attacker.example"), &[400]),
        (
            "an old protocol without a host",
            b"GET /v1/secrets/db HTTP/1.0\r\nkeyferry-request: true\r\n\r\n".to_vec(),
            &[400],
        ),
        ("absolute form", with("GET http://localhost/v1/secrets/db", local), &[400]),
        ("absolute form to elsewhere", with("GET http://169.254.169.254/v1/secrets/db", local), &[400]),
        ("a tunnel", with("CONNECT localhost:443", local), &[400]),
        ("asterisk form", with("OPTIONS *", local), &[404]),
        ("a body", [also("content-length: 5"), b"hello".to_vec()].concat(), &[400]),
        ("a body in chunks", [also("transfer-encoding: chunked"), b"0\r\n\r\n".to_vec()].concat(), &[400]),
        (
            "a request in a body",
            [also("content-length: 53"), b"GET /v1/secrets/db HTTP/1.1\r\nkeyferry-request: true\r\n\r\n".to_vec()]
                .concat(),
            &[400],
        ),
        ("two lengths", [also("content-length: 5\r\ncontent-length: 6"), b"hello!".to_vec()].concat(), &[400]),
        (
            "length and chunks",
            [also("content-length: 5\r\ntransfer-encoding: chunked"), b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n".to_vec()]
                .concat(),
            &[400],
        ),
        (
            "chunks and something else",
            [also("transfer-encoding: gzip, chunked"), b"0\r\n\r\n".to_vec()].concat(),
            &[400],
        ),
        ("a header that is folded", also("x: a\r\n b"), &[400]),
        ("a blank before the colon", also("x : a"), &[400]),
        ("a line feed alone", b"GET /v1/secrets/db HTTP/1.1\nhost: localhost\n\n".to_vec(), &[403]),
        ("a NUL in a header", also("x: a\0b"), &[400]),
        ("a long line", with(&format!("GET /v1/secrets/{}", "a".repeat(40_000)), local), &[414, 431, 0]),
        ("a long header", also(&format!("x: {}", "a".repeat(40_000))), &[431, 0]),
        ("many headers", also(&"x: y\r\n".repeat(200)), &[431, 0]),
        ("a way up", with("GET /v1/secrets/../env", local), &[404]),
        ("a way up that is escaped", with("GET /v1/secrets/%2e%2e/env", local), &[404]),
        ("a slash that is escaped", with("GET /v1%2fsecrets/db", local), &[404]),
        ("slashes that are doubled", with("GET //v1/secrets/db", local), &[404]),
        ("a NUL that is escaped", with("GET /v1/secrets/db%00", local), &[404]),
        ("another case", with("GET /V1/SECRETS/db", local), &[404]),
        ("a path parameter", with("GET /v1/secrets/db;x=1", local), &[404]),
        ("another method", with("DELETE /v1/secrets/db", local), &[405]),
        ("a method that is none", with("GET\tX /v1/secrets/db", local), &[400]),
        ("a method that echoes", with("TRACE /v1/secrets/db", local), &[405]),
        ("a probe", with("GET /metrics", local), &[404]),
        ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), &[400, 0]),
        ("HTTP/2 by itself", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), &[400, 505, 0]),
        (
            "HTTP/2 by an upgrade",
            [also("upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQCAAAAAAIAAAAA\r\norigin: null"), vec![]].concat(),
            &[403],
        ),
    ]
}

fn refuses_all(endpoint: &Endpoint) {
    at_once(&requests(), |(what, bytes, expected)| {
        let answer = endpoint.exchange(bytes);
        let status = if answer.is_empty() { 0 } else { Reply::parse(&answer).status };
        assert!(expected.contains(&status), "{what}: {:?}", String::from_utf8_lossy(&answer));
        let text = String::from_utf8_lossy(&answer);
        assert!(!text.contains("canary"), "{what}: {text}");
        assert_eq!(text.matches("HTTP/1.").count(), usize::from(status != 0), "{what}: {text}");
    });
    assert_eq!(endpoint.get("/v1/secrets/db").text(), "canary-db");
}

#[test]
fn a_socket_refuses_what_no_neighbour_would_send() {
    let world = World::new();
    world.emulator.put_secret("demo", "db", "canary-db");
    let running = world.run(&format!("{}{}{SECRETS}", world.preamble(&["demo"]), socket(&world, "")));
    running.wait_for("published generation 1 in serve", 1);
    refuses_all(&Endpoint::of(&world));
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn a_port_refuses_what_no_neighbour_would_send() {
    let world = World::new();
    world.emulator.put_secret("demo", "db", "canary-db");
    let config = format!("{}serve: {{http: {{listen: \"127.0.0.1:0\"}}}}\n{SECRETS}", world.preamble(&["demo"]));
    let running = world.run(&config);
    running.wait_for("published generation 1 in serve", 1);
    refuses_all(&Endpoint::http(&running));
    assert_eq!(running.stop().0, Some(0));
}

//! Connections: versions of HTTP, services that go away and come back, and silence.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use keyferry_emulator::{Emulator, Fault, Misbehaviour, NewConnections, Service, Settings};
use rustls::{ClientConnection, StreamOwned};

use crate::client::{API, Rig, tls};

/// Long enough to have been answered, short enough for a test.
const SILENCE: Duration = Duration::from_millis(150);

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A TLS connection to the `demo` vault that speaks HTTP/1.1.
fn connect(emulator: &Emulator) -> Stream {
    let mut config = tls(emulator);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let tcp = TcpStream::connect(emulator.address(Service::Vault)).unwrap();
    tcp.set_read_timeout(Some(SILENCE)).unwrap();
    let host = "demo.vault.localhost".try_into().unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), host).unwrap(), tcp)
}

/// Asks for a secret without a token; gives the first bytes of the answer.
fn ask(stream: &mut Stream) -> std::io::Result<String> {
    stream.write_all(b"GET /secrets/a?api-version=7.6 HTTP/1.1\r\nHost: demo.vault.localhost\r\n\r\n")?;
    let mut bytes = [0; 4096];
    let read = stream.read(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes[..read]).into_owned())
}

fn is_silence(outcome: std::io::Result<String>) -> bool {
    outcome.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

#[test]
fn both_versions_of_http_are_spoken_unless_only_one_is_offered() {
    for (http2, version) in [(true, "2"), (false, "1.1")] {
        let rig = Rig::with(Settings { http2, ..Settings::default() });
        rig.get(&format!("/secrets/a?{API}"), "none");
        assert_eq!(rig.emulator.requests()[0].http, version);
    }
}

#[test]
fn a_stopped_service_refuses_connections_and_comes_back_on_its_port() {
    let rig = Rig::new();
    rig.emulator.put_secret("demo", "a", "1");
    let token = rig.token();
    let path = format!("/secrets/a?{API}");
    assert_eq!(rig.get(&path, &token).status(), 200);
    let mut open = connect(&rig.emulator);
    assert!(ask(&mut open).unwrap().starts_with("HTTP/1.1 401 Unauthorized"));
    rig.emulator.stop_vaults().unwrap();
    assert!(!is_silence(ask(&mut open)));
    let refused = TcpStream::connect(rig.emulator.address(Service::Vault)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert!(rig.try_get(&path, &token).is_err());
    assert!(!rig.token().is_empty(), "Entra is still up");
    rig.emulator.start_vaults().unwrap();
    assert_eq!(rig.get(&path, &token).status(), 200);
    rig.emulator.stop_entra().unwrap();
    assert!(TcpStream::connect(rig.emulator.address(Service::Entra)).is_err());
    rig.emulator.start_entra().unwrap();
    assert!(!rig.token().is_empty());
}

#[test]
fn frozen_connections_stay_silent_and_new_ones_are_served_as_asked() {
    let rig = Rig::new();
    let mut old = connect(&rig.emulator);
    ask(&mut old).unwrap();
    rig.emulator.freeze_connections(Service::Vault, NewConnections::Served);
    assert!(is_silence(ask(&mut old)));
    let mut served = connect(&rig.emulator);
    assert!(ask(&mut served).unwrap().contains("401"));
    rig.emulator.freeze_connections(Service::Vault, NewConnections::Frozen);
    assert!(is_silence(ask(&mut served)));
    let mut frozen = connect(&rig.emulator);
    assert!(is_silence(ask(&mut frozen)));
    rig.emulator.thaw(Service::Vault);
    assert!(is_silence(ask(&mut frozen)));
    assert!(ask(&mut connect(&rig.emulator)).unwrap().contains("401"));
}

#[test]
fn without_tls_a_connection_is_accepted_and_nothing_is_said() {
    let rig = Rig::new();
    rig.emulator.fault(Fault::vault(Misbehaviour::NoTls).of_vault("demo").times(1));
    assert!(is_silence(ask(&mut connect(&rig.emulator))));
    assert!(ask(&mut connect(&rig.emulator)).unwrap().contains("401"));
    let counts = (rig.emulator.connections(Service::Vault), rig.emulator.tls_connections(Service::Vault));
    assert_eq!(counts, (2, 1));
}

#[test]
fn a_dropped_emulator_leaves_nothing_listening() {
    let rig = Rig::new();
    let address = rig.emulator.address(Service::Vault);
    drop(rig.emulator);
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

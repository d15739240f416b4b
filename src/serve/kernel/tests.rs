use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use rustix::process::Uid;

use super::*;

const OWN: u32 = 4242;

fn entry(local: &str, remote: &str) -> Entry {
    Entry { local: local.parse().unwrap(), remote: remote.parse().unwrap(), state: 1, uid: OWN, inode: 7 }
}

fn judged(entries: &[Entry]) -> Result<u32, Unknown> {
    judge(entries, "127.0.0.1:1000".parse().unwrap(), "127.0.0.1:8210".parse().unwrap())
}

#[test]
fn one_entry_that_somebody_holds_says_who() {
    let it = entry("127.0.0.1:1000", "127.0.0.1:8210");
    assert_eq!(judged(&[it]), Ok(OWN));
    assert_eq!(judged(&[entry("127.0.0.1:8210", "127.0.0.1:1000"), it]), Ok(OWN), "the server's own end is another");
    assert_eq!(judged(&[entry("[::ffff:127.0.0.1]:1000", "[::ffff:127.0.0.1]:8210")]), Ok(OWN));
    assert_eq!(judged(&[Entry { uid: 0, ..it }]), Ok(0));
    assert!(judged(&[]).is_err());
    assert!(judged(&[it, it]).is_err());
    assert!(judged(&[entry("127.0.0.1:1001", "127.0.0.1:8210")]).is_err());
    assert!(judged(&[Entry { uid: 0, inode: 0, ..it }]).is_err(), "that of nobody is shown as root's");
    assert!(judged(&[Entry { uid: UNMAPPED, ..it }]).is_err());
    // TCP_ESTABLISHED, TCP_FIN_WAIT1 and TCP_FIN_WAIT2; and not TCP_SYN_SENT, TCP_TIME_WAIT, TCP_LISTEN and the like.
    let held: Vec<u8> = (0..20).filter(|state| judged(&[Entry { state: *state, ..it }]).is_ok()).collect();
    assert_eq!(held, [1, 4, 5]);
}

#[test]
fn only_loopback_is_looked_up() {
    let local = "127.0.0.1:8210".parse().unwrap();
    assert!(uid_of_tcp(local, "10.0.0.1:1000".parse().unwrap()).is_err());
    assert!(uid_of_tcp("10.0.0.1:8210".parse().unwrap(), local).is_err());
}

/// Both ways, of a connection that another user opens.
fn looked_up(listen: &str, connect: impl Fn(u16) -> String, uid: u32) -> [Result<u32, Unknown>; 2] {
    let listener = TcpListener::bind(listen).unwrap();
    let target = connect(listener.local_addr().unwrap().port());
    // The kernel keeps uids by thread.
    let connecting = std::thread::spawn(move || {
        rustix::thread::set_thread_uid(Uid::from_raw(uid)).unwrap();
        TcpStream::connect(target).unwrap()
    });
    let (accepted, peer) = listener.accept().unwrap();
    let _client = connecting.join().unwrap();
    let (local, peer) = (canonical(accepted.local_addr().unwrap()), canonical(peer));
    let ways = [diag::ask(peer, local).unwrap(), table::read(peer, local).unwrap()];
    assert_eq!(uid_of_tcp(local, peer), judge(&ways[0], peer, local));
    ways.map(|entries| judge(&entries, peer, local))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn the_kernel_says_whose_a_connection_is_in_both_ways() {
    let uid = if is_root() { OWN } else { rustix::process::geteuid().as_raw() };
    for listen in ["127.0.0.1:0", "127.3.2.1:0", "[::1]:0"] {
        let ip = listen.strip_suffix(":0").unwrap();
        assert_eq!(looked_up(listen, |port| format!("{ip}:{port}"), uid), [Ok(uid), Ok(uid)], "{listen}");
    }
    // A socket of IPv6 that speaks IPv4.
    let mapped = looked_up("127.0.0.1:0", |port| format!("[::ffff:127.0.0.1]:{port}"), uid);
    assert_eq!(mapped, [Ok(uid), Ok(uid)]);
    if is_root() {
        let unmapped = looked_up("127.0.0.1:0", |port| format!("127.0.0.1:{port}"), UNMAPPED);
        assert!(unmapped.iter().all(Result::is_err), "{unmapped:?}");
    }
}

#[test]
fn of_a_connection_that_was_closed_nobody_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let local = listener.local_addr().unwrap();
    let client = TcpStream::connect(local).unwrap();
    let (mut accepted, peer) = listener.accept().unwrap();
    let uid = rustix::process::geteuid().as_raw();
    // Whoever only ends what it has to say is still there.
    (&client).write_all(b"GET").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(accepted.read(&mut [0; 8]).unwrap(), 3);
    assert_eq!(accepted.read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(uid_of_tcp(local, peer), Ok(uid));
    drop(client);
    assert!(uid_of_tcp(local, peer).is_err());
    let read = table::read(peer, local).unwrap();
    assert!(judge(&read, peer, local).is_err(), "{read:?}");
    drop(accepted);
    assert!(uid_of_tcp(local, peer).is_err());
}

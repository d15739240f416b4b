use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::net::sockopt::set_socket_linger;
use rustix::process::Uid;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space, set_thread_uid};

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
    assert!(asked(local, "10.0.0.1:1000".parse().unwrap()).is_err());
    assert!(asked("10.0.0.1:8210".parse().unwrap(), local).is_err());
}

/// Both ways, of a connection that another user opens.
fn looked_up(listen: &str, connect: impl Fn(u16) -> String, uid: u32) -> [Result<u32, Unknown>; 2] {
    let listener = TcpListener::bind(listen).unwrap();
    let target = connect(listener.local_addr().unwrap().port());
    // The kernel keeps uids by thread.
    let connecting = thread::spawn(move || {
        set_thread_uid(Uid::from_raw(uid)).unwrap();
        TcpStream::connect(target).unwrap()
    });
    let (accepted, peer) = listener.accept().unwrap();
    let _client = connecting.join().unwrap();
    let (local, peer) = (canonical(accepted.local_addr().unwrap()), canonical(peer));
    let ways = [diag::ask(peer, local).unwrap(), table::read(peer, local).unwrap()];
    assert_eq!(asked(local, peer), judge(&ways[0], peer, local));
    ways.map(|entries| judge(&entries, peer, local))
}

/// What the endpoint is told.
fn asked(local: SocketAddr, peer: SocketAddr) -> Result<u32, Unknown> {
    block_on(uid_of_tcp(local, peer))
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
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
    assert_eq!(asked(local, peer), Ok(uid));
    drop(client);
    assert!(asked(local, peer).is_err());
    let read = table::read(peer, local).unwrap();
    assert!(judge(&read, peer, local).is_err(), "{read:?}");
    drop(accepted);
    assert!(asked(local, peer).is_err());
}

/// Opens a connection from and to these addresses as a user: the kernel keeps uids by thread.
fn open(from: SocketAddr, to: SocketAddr, uid: u32) -> OwnedFd {
    let opening = thread::spawn(move || {
        set_thread_uid(Uid::from_raw(uid)).unwrap();
        let (family, kind) = (rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM);
        let socket = rustix::net::socket(family, kind, None).unwrap();
        rustix::net::bind(&socket, &from).unwrap();
        rustix::net::connect(&socket, &to).unwrap();
        socket
    });
    opening.join().unwrap()
}

/// A listener, a connection to it from both ends whose other end is this user's, and the two addresses.
fn connection(uid: u32) -> (TcpListener, TcpStream, OwnedFd, [SocketAddr; 2]) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let local = listener.local_addr().unwrap();
    let client = open("127.0.0.1:0".parse().unwrap(), local, uid);
    let (accepted, peer) = listener.accept().unwrap();
    (listener, accepted, client, [local, peer])
}

fn reset(client: OwnedFd) {
    set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
    drop(client);
}

fn in_both_ways([local, peer]: [SocketAddr; 2]) -> [Result<u32, Unknown>; 2] {
    let ways = [diag::ask(peer, local).unwrap(), table::read(peer, local).unwrap()];
    ways.map(|entries| judge(&entries, peer, local))
}

#[test]
fn a_number_that_stands_for_many_is_nobody_s() {
    assert!(stands_for_many(UNMAPPED, None));
    assert!(stands_for_many(UNMAPPED, Some(77)), "whatever it is now, a mapping may be older");
    assert!(stands_for_many(77, Some(77)));
    assert!(stands_for_many(u32::MAX, None));
    assert!(!stands_for_many(0, None) && !stands_for_many(77, Some(UNMAPPED)));
    assert!(overflow().is_some());
}

#[test]
fn a_reset_connection_is_not_there_and_what_has_its_port_then_is_another() {
    let uid = if is_root() { OWN } else { rustix::process::geteuid().as_raw() };
    let (listener, accepted, client, [local, peer]) = connection(uid);
    reset(client);
    // Of both ends the kernel says that they are not there, as one without the module would; then `/proc` is asked.
    diag::ask(peer, local).unwrap_err();
    assert!(asked(local, peer).is_err());
    if is_root() {
        let _other = open(peer, local, 1001);
        let (_theirs, from) = listener.accept().unwrap();
        assert_eq!(from, peer);
        assert_eq!(in_both_ways([local, peer]), [Ok(1001), Ok(1001)]);
    }
    assert_eq!(accepted.peer_addr().unwrap_err().kind(), std::io::ErrorKind::NotConnected, "by which it is told apart");
}

#[test]
fn whoever_listens_where_the_other_end_should_be_is_not_the_caller() {
    let (_listener, _accepted, _client, [local, _]) = connection(rustix::process::geteuid().as_raw());
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = elsewhere.local_addr().unwrap();
    // The other end, which is asked for as well, is a listener too: the kernel has the module.
    assert_eq!(table::read(there, local).unwrap(), []);
    assert!(asked(local, there).is_err());
}

/// A process that stays until its input ends, after it has said so in a line.
struct Staying(Child);

impl Staying {
    fn start(program: &str, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        let mut child = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "up\n");
        Self(child)
    }
}

impl Drop for Staying {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

#[test]
fn root_of_a_container_that_shares_the_network_is_whom_it_is_mapped_to() {
    if !is_root() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let local = listener.local_addr().unwrap();
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{} && [ $(id -u) = 0 ] && echo up && exec cat", local.port());
    let user = ["--reuid", "5000", "--regid", "5000", "--clear-groups", "unshare"];
    let container = ["--user", "--map-root-user", "--pid", "--fork", "--mount", "bash", "-c", &script];
    let _caller = Staying::start("setpriv", &[&user[..], &container].concat());
    let (_accepted, peer) = listener.accept().unwrap();
    assert_eq!(in_both_ways([local, peer]), [Ok(5000), Ok(5000)]);
}

/// A network namespace whose loopback is up, as long as this lives.
struct Elsewhere(Staying);

impl Elsewhere {
    fn new() -> Self {
        Self(Staying::start("unshare", &["--net", "sh", "-c", "ip link set lo up && echo up && exec cat"]))
    }

    /// Does it in there, on a thread.
    fn act<T: Send + 'static>(&self, act: impl FnOnce() -> T + Send + 'static) -> T {
        let path = format!("/proc/{}/ns/net", self.0.0.id());
        let namespace = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let acting = thread::spawn(move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            act()
        });
        acting.join().unwrap()
    }
}

#[test]
fn the_same_addresses_in_another_network_are_another_connection() {
    if !is_root() {
        return;
    }
    let elsewhere = Elsewhere::new();
    let (_listener, _accepted, client, ends) = connection(1000);
    let [local, peer] = ends;
    // There, another user has a connection between the very same addresses and ports.
    let (_held, there) = elsewhere.act(move || {
        let listener = TcpListener::bind(local).unwrap();
        let client = open(peer, local, 1001);
        ((listener.accept().unwrap(), client), in_both_ways(ends))
    });
    assert_eq!(there, [Ok(1001), Ok(1001)]);
    assert_eq!(in_both_ways(ends), [Ok(1000), Ok(1000)]);
    // Nor is it seen from here when the own one is gone.
    reset(client);
    assert!(asked(local, peer).is_err());
}

#[test]
fn where_netlink_is_refused_the_tables_are_read_and_only_there() {
    let (_listener, _accepted, _client, [local, peer]) = connection(rustix::process::geteuid().as_raw());
    let own = Ok(rustix::process::geteuid().as_raw());
    for refused in [Errno::PERM, Errno::ACCESS, Errno::PROTONOSUPPORT, Errno::AFNOSUPPORT] {
        assert_eq!(block_on(uid_by(|_, _| Err(refused), table::read, local, peer)), own, "{refused}");
    }
    assert!(
        block_on(uid_by(|_, _| Ok(Vec::new()), table::read, local, peer)).is_err(),
        "it was asked and knows of none"
    );
    let unreadable = |_, _| Err(Errno::ACCESS.into());
    let none = block_on(uid_by(|_, _| Err(Errno::PERM), unreadable, local, peer)).unwrap_err().to_string();
    assert!(none.starts_with("sock_diag fails (Operation not permitted"), "{none}");
    assert!(none.ends_with("(Permission denied (os error 13)); use 'tokenFile'"), "{none}");
}

#[test]
fn what_reads_the_tables_holds_nobody_up() {
    let (_listener, _accepted, _client, [local, peer]) = connection(rustix::process::geteuid().as_raw());
    let (turns, others) = std::sync::mpsc::channel();
    let read = move |peer, local| {
        others.recv_timeout(Duration::from_secs(30)).map_err(io::Error::other)?;
        table::read(peer, local)
    };
    let others = async { turns.send(()).unwrap() };
    let (said, ()) = block_on(async { tokio::join!(uid_by(|_, _| Err(Errno::PERM), read, local, peer), others) });
    assert_eq!(said, Ok(rustix::process::geteuid().as_raw()));
}

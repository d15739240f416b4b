//! Who is at the other end of a connection, by the kernel's word: a user's number, or why the kernel does not say it. Then
//! nobody is let in.
#![expect(clippy::disallowed_methods, reason = "this is where the kernel is asked about users")]

mod diag;
mod table;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use rustix::io::Errno;
use tokio::net::UnixStream;
use tokio::task::spawn_blocking;

use crate::config::serve::UNMAPPED;

/// Why the kernel does not say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unknown(String);

impl Unknown {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One end of a connection as the kernel lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    local: SocketAddr,
    remote: SocketAddr,
    state: u8,
    uid: u32,
    /// Of the file by which a process holds it; 0 when none does any more.
    inode: u64,
}

/// States in which a process holds the other end of a connection that was just accepted (`net/tcp_states.h`): it is
/// established, or has been closed for writing. Not one that only begins: whoever resets a connection frees its port for
/// another's, which would be taken for it.
const HELD: [u8; 3] = [1, 4, 5];

/// The user who has connected on a Unix socket, at the moment when it did (`SO_PEERCRED`, unix(7)).
pub(super) fn uid_of_unix(stream: &UnixStream) -> Result<u32, Unknown> {
    let peer = stream.peer_cred().map_err(|error| Unknown::new(format!("it gives no credentials: {error}")))?;
    mapped(peer.uid())
}

/// The user whose socket the other end of a connection over loopback is: whoever made that.
///
/// Asked by `NETLINK_SOCK_DIAG` (`sock_diag(7)`), which takes some microseconds; where that is refused, by the tables in
/// `/proc/net` (proc(5)), which takes 30 ms where there are 10,000 sockets: on a thread of its own, so that nobody who only
/// connects holds up the loop. Both show the sockets of this network namespace,
/// to which everything belongs that connects over loopback, whichever container it is in.
pub(super) async fn uid_of_tcp(local: SocketAddr, peer: SocketAddr) -> Result<u32, Unknown> {
    uid_by(diag::ask, table::read, local, peer).await
}

/// By the first way, or by the second where that is refused.
async fn uid_by(
    ask: impl FnOnce(SocketAddr, SocketAddr) -> Result<Vec<Entry>, Errno>,
    read: impl FnOnce(SocketAddr, SocketAddr) -> io::Result<Vec<Entry>> + Send + 'static,
    local: SocketAddr,
    peer: SocketAddr,
) -> Result<u32, Unknown> {
    let (local, peer) = (canonical(local), canonical(peer));
    if !local.ip().is_loopback() || !peer.ip().is_loopback() {
        return Err(Unknown::new("it does not come over loopback"));
    }
    let entries = match ask(peer, local) {
        Ok(entries) => entries,
        Err(refused) => {
            let entries = spawn_blocking(move || read(peer, local)).await.unwrap_or_else(|error| Err(error.into()));
            entries.map_err(|error| {
                Unknown::new(format!(
                    "sock_diag fails ({refused}), and /proc/net cannot be read ({error}); use 'tokenFile'"
                ))
            })?
        }
    };
    judge(&entries, peer, local)
}

/// The user of the one entry that is this end.
fn judge(entries: &[Entry], own: SocketAddr, other: SocketAddr) -> Result<u32, Unknown> {
    let is_it = |entry: &&Entry| canonical(entry.local) == own && canonical(entry.remote) == other;
    let mut found = entries.iter().filter(is_it);
    let (Some(entry), None) = (found.next(), found.next()) else {
        return Err(Unknown::new("the other end is not in its socket table, or more than once"));
    };
    // Of one that nobody holds any more the user is shown as 0.
    if entry.inode == 0 || !HELD.contains(&entry.state) {
        return Err(Unknown::new("the other end was closed already"));
    }
    mapped(entry.uid)
}

fn mapped(uid: u32) -> Result<u32, Unknown> {
    if stands_for_many(uid, overflow()) {
        return Err(Unknown::new(format!(
            "it shows uid {uid}, which stands for every user that it cannot map: run the application as one that it can"
        )));
    }
    Ok(uid)
}

/// The last number is no user's either: it means 'none'.
fn stands_for_many(uid: u32, overflow: Option<u32>) -> bool {
    uid == UNMAPPED || uid == u32::MAX || Some(uid) == overflow
}

/// What an administrator has chosen in place of [`UNMAPPED`]: at any time, so that it is looked at each time.
fn overflow() -> Option<u32> {
    std::fs::read_to_string("/proc/sys/kernel/overflowuid").ok()?.trim_end().parse().ok()
}

/// Without the form in which a socket of IPv6 writes an address of IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => (ip, address.port()).into(),
        IpAddr::V6(ip) => (ip, address.port()).into(),
    }
}

#[cfg(test)]
mod tests;

//! The tables of sockets in `/proc/net` (proc(5)), where nothing better is to be had.
#![expect(clippy::disallowed_types, reason = "the kernel's tables are files")]

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Entry;

/// Of this thread's network namespace, as `sock_diag` shows it.
const V4: &str = "/proc/thread-self/net/tcp";
const V6: &str = "/proc/thread-self/net/tcp6";
/// More than any machine has sockets, in bytes of their lines.
const LONGEST: u64 = 256 << 20;

/// The sockets with this address, connected with the other.
pub(super) fn read(own: SocketAddr, other: SocketAddr) -> std::io::Result<Vec<Entry>> {
    let mut found = Vec::new();
    // A socket of IPv6 that is connected with an address of IPv4 is in the other table.
    let tables: &[&str] = if own.is_ipv4() { &[V4, V6] } else { &[V6] };
    for table in tables {
        let file = match File::open(table) {
            // A kernel without IPv6 has no such table, and no such socket.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && *table == V6 => continue,
            opened => opened?,
        };
        for line in BufReader::new(file.take(LONGEST)).lines() {
            let entry = entry(&line?);
            found.extend(
                entry.filter(|entry| super::canonical(entry.local) == own && super::canonical(entry.remote) == other),
            );
        }
    }
    Ok(found)
}

/// `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …`; none for the head, and what is none.
fn entry(line: &str) -> Option<Entry> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, remote) = (address(fields.next()?)?, address(fields.next()?)?);
    let state = u8::from_str_radix(fields.next()?, 16).ok()?;
    let mut rest = fields.skip(3);
    let uid = rest.next()?.parse().ok()?;
    let inode = rest.nth(1)?.parse().ok()?;
    Some(Entry { local, remote, state, uid, inode })
}

/// `0100007F:1F90`: each word of the address as this machine writes numbers, and the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let text = address.get(at..at.checked_add(8)?)?;
        Some(u32::from_str_radix(text, 16).ok()?.to_ne_bytes())
    };
    let ip = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(words.concat()).ok()?))
        }
        _ => return None,
    };
    Some((ip, port).into())
}

#[cfg(test)]
mod tests;

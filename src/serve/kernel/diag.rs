//! One socket, asked for at `NETLINK_SOCK_DIAG` (`sock_diag(7)`, `linux/inet_diag.h`): one request of a fixed size and one
//! answer, which the kernel has ready when the request was sent. Nothing of an answer counts that is not wholly understood.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::io::Errno;
use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with};

use super::{Entry, canonical};

/// `struct nlmsghdr` (netlink(7)) and `struct inet_diag_req_v2`.
const REQUEST: usize = HEADER + 56;
const HEADER: usize = 16;
/// `struct inet_diag_msg`.
const ANSWER: usize = 72;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
/// Number of the request, by which its answer is known.
const SEQUENCE: u32 = 1;
const TCP: u8 = 6;
const INET: u8 = 2;
const INET6: u8 = 10;
/// No answer is longer, attributes included.
const LONGEST: usize = 8 << 10;

/// The socket with this address, connected with the other; none if there is none. The other one is ours.
pub(super) fn ask(own: SocketAddr, other: SocketAddr) -> Result<Vec<Entry>, Errno> {
    let found = exchange(own, other)?;
    // A kernel without the module for TCP says of every socket that there is none. Ours there is.
    if found.is_empty() && exchange(other, own)?.is_empty() {
        return Err(Errno::PROTONOSUPPORT);
    }
    Ok(found)
}

fn exchange(own: SocketAddr, other: SocketAddr) -> Result<Vec<Entry>, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(SOCK_DIAG))?;
    // With the kernel: nobody else can answer from here on.
    connect(&socket, &SocketAddrNetlink::new(0, 0))?;
    send(&socket, &request(own, other), SendFlags::empty())?;
    let mut answer = [0; LONGEST];
    let (_, length) = recv(&socket, &mut answer, RecvFlags::TRUNC)?;
    let mut found = read(answer.get(..length).ok_or(Errno::MSGSIZE)?)?;
    // Where no connection is, the kernel shows who would accept one.
    found.retain(|entry| canonical(entry.local) == own && canonical(entry.remote) == other);
    Ok(found)
}

fn request(own: SocketAddr, other: SocketAddr) -> Vec<u8> {
    let mut request = Vec::with_capacity(REQUEST);
    request.extend(u32::try_from(REQUEST).unwrap_or_default().to_ne_bytes());
    request.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request.extend(NLM_F_REQUEST.to_ne_bytes());
    request.extend(SEQUENCE.to_ne_bytes());
    // The sender, which the kernel knows.
    request.extend([0; 4]);
    request.extend([if own.is_ipv4() { INET } else { INET6 }, TCP, 0, 0]);
    // In whatever state it is.
    request.extend(u32::MAX.to_ne_bytes());
    request.extend(own.port().to_be_bytes());
    request.extend(other.port().to_be_bytes());
    for address in [own, other] {
        let mut bytes = [0; 16];
        match address.ip() {
            IpAddr::V4(ip) => bytes[..4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => bytes = ip.octets(),
        }
        request.extend(bytes);
    }
    // At any interface, and whatever its cookie is (INET_DIAG_NOCOOKIE).
    request.extend([0; 4]);
    request.extend([0xff; 8]);
    request
}

/// What the kernel has answered: entries, or an error.
fn read(mut answer: &[u8]) -> Result<Vec<Entry>, Errno> {
    let malformed = Errno::BADMSG;
    let mut found = Vec::new();
    loop {
        let (kind, body, rest) = message(answer).ok_or(malformed)?;
        match kind {
            NLMSG_ERROR => {
                let code =
                    body.get(..4).and_then(|code| code.try_into().ok()).map(i32::from_ne_bytes).ok_or(malformed)?;
                // Others are no errors of the kernel (MAX_ERRNO).
                let code = code.checked_neg().filter(|code| (1..=4095).contains(code)).ok_or(malformed)?;
                let error = Errno::from_raw_os_error(code);
                if error != Errno::NOENT {
                    return Err(error);
                }
            }
            SOCK_DIAG_BY_FAMILY => found.push(entry(body.get(..ANSWER).ok_or(malformed)?).ok_or(malformed)?),
            _ => return Err(malformed),
        }
        if rest.is_empty() {
            return Ok(found);
        }
        answer = rest;
    }
}

/// The first message's kind and what is in it, and what comes after it; none if it is cut, or answers something else.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?).try_into().ok()?;
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let is_ours = bytes.get(8..12)? == SEQUENCE.to_ne_bytes();
    let body = bytes.get(HEADER..length)?;
    // The next one begins at a multiple of four; the last one may end before.
    let rest = bytes.get(length.checked_next_multiple_of(4)?..).unwrap_or_default();
    is_ours.then_some((kind, body, rest))
}

fn entry(body: &[u8]) -> Option<Entry> {
    let number = |at: usize| Some(u32::from_ne_bytes(body.get(at..at.checked_add(4)?)?.try_into().ok()?));
    let port = |at: usize| Some(u16::from_be_bytes(body.get(at..at.checked_add(2)?)?.try_into().ok()?));
    let address = |at: usize| {
        let bytes: [u8; 16] = body.get(at..at.checked_add(16)?)?.try_into().ok()?;
        match *body.first()? {
            INET => Some(IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]))),
            INET6 => Some(IpAddr::V6(Ipv6Addr::from(bytes))),
            _ => None,
        }
    };
    Some(Entry {
        local: (address(8)?, port(4)?).into(),
        remote: (address(24)?, port(6)?).into(),
        state: *body.get(1)?,
        uid: number(64)?,
        inode: number(68)?.into(),
    })
}

#[cfg(test)]
mod tests;

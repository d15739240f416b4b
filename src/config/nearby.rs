//! Addresses of services beside this machine, which are spoken to in plain HTTP: loopback, link-local and private ones for
//! those that are told a secret to give a token, loopback alone for those that are told of a change.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::reference::parse_host;

/// An `http` URL whose host is a name, or an address beside this machine. What a name resolves to is looked at when it
/// is used, by [`is_nearby`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearby(String);

impl Nearby {
    /// Checks a URL; a path is added to it.
    pub fn parse(url: &str, path: &str) -> Result<Self, String> {
        let (authority, _) = split(url)?;
        if let (Host::Address(address), _) = parse_authority(authority)?
            && !is_nearby(address)
        {
            return Err("only loopback, link-local and private addresses are asked: this one is public".to_owned());
        }
        let url = if path.is_empty() { url } else { url.trim_end_matches('/') };
        Ok(Self(format!("{url}{path}")))
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An `http` URL whose host is this machine itself. Nothing is ever looked up for it.
#[derive(Clone, PartialEq, Eq)]
pub struct Loopback {
    authority: String,
    target: String,
    addresses: Vec<SocketAddr>,
}

impl Loopback {
    /// Checks a URL: an address of `127.0.0.0/8`, `[::1]` or `localhost`, a port or 80, a path.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (authority, target) = split(url)?;
        let (host, port) = parse_authority(authority)?;
        let hosts: &[IpAddr] = match host {
            Host::Address(address) if address.is_loopback() => &[address],
            Host::Name(name) if name.eq_ignore_ascii_case("localhost") => {
                &[IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
            }
            _ => return Err("a hook is on this machine: its host is 127.0.0.1, [::1] or localhost".to_owned()),
        };
        let addresses = hosts.iter().map(|host| SocketAddr::new(*host, port.unwrap_or(80))).collect();
        // What a path and a query may hold (RFC 3986).
        let ok = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&b);
        if !target.bytes().all(ok) {
            return Err("its path or query has characters that a URL writes as %XX".to_owned());
        }
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Self { authority: authority.to_owned(), target, addresses })
    }

    /// The host and its port, as they are written.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Where it listens: one of these.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

/// Without the query, in which people put passwords.
impl fmt::Display for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.target.split('?').next().unwrap_or_default();
        write!(f, "http://{}{path}", self.authority)
    }
}

impl fmt::Debug for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Loopback({self})")
    }
}

/// What comes before the path, and the rest.
fn split(url: &str) -> Result<(&str, &str), String> {
    let rest = url.strip_prefix("http://").ok_or("it begins with 'http://': the service is beside this machine")?;
    // What is not printable is a paste gone wrong; the value is not shown, it could be anything.
    if !rest.bytes().all(|b| b.is_ascii_graphic()) || rest.contains(['@', '#', '\\']) {
        return Err("after 'http://' come a host, its port and a path, without a user, fragment or blanks".to_owned());
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    Ok(rest.split_at_checked(end).unwrap_or((rest, "")))
}

enum Host<'a> {
    Address(IpAddr),
    /// It may lead anywhere.
    Name(&'a str),
}

/// A host, and its port if there is one.
fn parse_authority(authority: &str) -> Result<(Host<'_>, Option<u16>), &'static str> {
    const NO_HOST: &str = "after 'http://' comes a host's name or address, and its port";
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => (address, port),
        None => authority.split_at_checked(authority.find(':').unwrap_or(authority.len())).unwrap_or((authority, "")),
    };
    let address: Option<IpAddr> = host.parse().ok();
    let is_in_brackets = authority.starts_with('[');
    if address.is_some_and(|address| address.is_ipv6()) != is_in_brackets
        || address.is_none() && parse_host(host).is_err()
    {
        return Err(NO_HOST);
    }
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        port => Some(port.and_then(|port| port.parse().ok()).filter(|port| *port > 0).ok_or(NO_HOST)?),
    };
    Ok((address.map_or(Host::Name(host), Host::Address), port))
}

/// Whether an address is loopback, link-local or private (RFC 1122, 3927, 1918, 4291, 4193).
pub fn is_nearby(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local() || v4.is_private(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unique_local(),
    }
}

#[cfg(test)]
mod tests;

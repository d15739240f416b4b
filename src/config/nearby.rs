//! Addresses of services beside this machine, which are spoken to in plain HTTP and told a secret: loopback, link-local
//! and private ones, no others.

use std::net::IpAddr;

use crate::reference::parse_host;

/// An `http` URL whose host is a name, or an address beside this machine. What a name resolves to is looked at when it
/// is used, by [`is_nearby`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearby(String);

impl Nearby {
    /// Checks a URL; a path is added to it.
    pub fn parse(url: &str, path: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("http://").ok_or("it begins with 'http://': the service is beside this machine")?;
        // What is not printable is a paste gone wrong; the value is not shown, it could be anything.
        if !rest.bytes().all(|b| b.is_ascii_graphic()) || rest.contains(['@', '#', '\\']) {
            return Err(
                "after 'http://' come a host, its port and a path, without a user, fragment or blanks".to_owned()
            );
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, _) = rest.split_at_checked(end).unwrap_or((rest, ""));
        check(authority)?;
        let url = if path.is_empty() { url } else { url.trim_end_matches('/') };
        Ok(Self(format!("{url}{path}")))
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks a host and its port; a name may lead anywhere.
fn check(authority: &str) -> Result<(), &'static str> {
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
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
        return Err(NO_HOST);
    }
    match address {
        Some(address) if !is_nearby(address) => {
            Err("only loopback, link-local and private addresses are asked: this one is public")
        }
        _ => Ok(()),
    }
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

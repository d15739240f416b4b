//! Names to addresses: the system's resolver, except that `localhost` and everything under it is loopback without
//! asking anybody (RFC 6761 §6.3), so that the emulator's vaults need no DNS.
#![expect(clippy::disallowed_methods, reason = "the hosts file says which names it has")]

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

const HOSTS: &str = "/etc/hosts";

#[derive(Debug)]
pub(super) struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses = addresses_of(name.as_str()).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The addresses of a name, all with port 0.
pub(super) async fn addresses_of(host: &str) -> Result<Vec<SocketAddr>, Unresolved> {
    if is_local(host) {
        return Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))]);
    }
    // As it is, without the search list: under Kubernetes' ndots:5 that would be asked several times first. A hosts file
    // knows no dot at the end, and what it has (`hostAliases`) comes before whatever a name server says.
    let absolute = format!("{}.", host.trim_end_matches('.'));
    if !fs::read_to_string(HOSTS).is_ok_and(|hosts| is_named(host, &hosts))
        && let Ok(addresses) = tokio::net::lookup_host((absolute.as_str(), 0)).await
    {
        return Ok(addresses.collect());
    }
    tokio::net::lookup_host((host, 0)).await.map(Iterator::collect).map_err(Unresolved)
}

/// Whether a hosts file has the name (hosts(5)).
fn is_named(host: &str, hosts: &str) -> bool {
    let names = |line: &str| {
        let entry = line.split_once('#').map_or(line, |(entry, _)| entry);
        entry.split_ascii_whitespace().skip(1).any(|name| name.eq_ignore_ascii_case(host))
    };
    hosts.lines().any(names)
}

/// Whether the name is `localhost` or under it.
pub(super) fn is_local(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

/// The name could not be resolved; kept as a type so that it can be told apart in an error's chain of sources.
#[derive(Debug, thiserror::Error)]
#[error("cannot resolve the name")]
pub(super) struct Unresolved(#[source] io::Error);

#[cfg(test)]
mod tests;

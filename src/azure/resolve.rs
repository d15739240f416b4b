//! Names to addresses: the system's resolver, except that `localhost` and everything under it is loopback without
//! asking anybody (RFC 6761 §6.3), so that the emulator's vaults need no DNS.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

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
    // knows no dot at the end.
    let absolute = format!("{}.", host.trim_end_matches('.'));
    if let Ok(addresses) = tokio::net::lookup_host((absolute.as_str(), 0)).await {
        return Ok(addresses.collect());
    }
    tokio::net::lookup_host((host, 0)).await.map(Iterator::collect).map_err(Unresolved)
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

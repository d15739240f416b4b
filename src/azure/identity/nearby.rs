//! Plain HTTP to a service beside this machine, which is told a secret: never through a proxy, never redirected, and
//! only at loopback, link-local and private addresses, whatever its name resolves to.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use azure_core::http::{RawResponse, Url};
use reqwest::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::HeaderValue;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};

use crate::azure::door::{causes, classify, collect, send_counted};
use crate::azure::resolve::addresses_of;
use crate::azure::transport::of_one_place;
use crate::config::nearby::is_nearby;
use crate::failure::{Blame, Code, Failure, Kind};
use crate::metrics::{Metrics, Service};

#[derive(Debug)]
pub(super) struct Nearby {
    client: Client,
    metrics: Metrics,
}

impl Nearby {
    pub(super) fn new(metrics: &Metrics) -> Result<Self, String> {
        // Only plain HTTP is spoken; the client cannot be built without TLS, so it gets one that trusts nobody.
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be set up: {error}"))?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let client = of_one_place(tls, Resolver).build();
        let metrics = metrics.clone();
        client
            .map(|client| Self { client, metrics })
            .map_err(|error| format!("the HTTP client cannot be built: {error}"))
    }

    /// One GET, and its whole answer whatever its status.
    pub(super) async fn get(
        &self,
        url: &Url,
        header: Option<(&'static str, HeaderValue)>,
        within: Duration,
    ) -> Result<RawResponse, Failure> {
        // An address is asked without a look-up. The URL's parser knows spellings of addresses that nobody else does.
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        if host.parse::<IpAddr>().is_ok_and(|address| !is_nearby(address)) {
            return Err(public());
        }
        let mut request = self.client.get(url.as_str()).timeout(within);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let failure = |error: reqwest::Error| {
            let refused = causes(&error).any(<dyn std::error::Error>::is::<Public>);
            if refused { public() } else { classify(&error).blamed_on(Blame::Identity) }
        };
        let answer = send_counted(request, &self.metrics, Service::ManagedIdentity).await;
        let response = answer.map_err(failure)?;
        let response = collect(response).await.map_err(|failure| failure.blamed_on(Blame::Identity))?;
        let unreadable = |_| Failure::new(Blame::Identity, Kind::Outage, Code::new("cut-off"));
        response.try_into_raw_response().await.map_err(unreadable)
    }
}

fn public() -> Failure {
    Failure::new(Blame::Identity, Kind::Misconfigured, Code::new("public-address")).because(
        "the managed identity's endpoint has a public address, and only loopback, link-local and private ones are \
         asked; nothing was sent",
    )
}

/// Gives the addresses of a name only if all of them are beside this machine. What it gives is what is connected to: a
/// second look-up with another answer is not made.
#[derive(Debug)]
struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses = addresses_of(name.as_str()).await?;
            let addresses = only_nearby(addresses)?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// One that is public, and none is used: who answers would depend on chance.
fn only_nearby(addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Public> {
    if addresses.iter().all(|address| is_nearby(address.ip())) { Ok(addresses) } else { Err(Public) }
}

/// A name that leads away from this machine; a type, so that it can be told apart in an error's chain of sources.
#[derive(Debug, thiserror::Error)]
#[error("the address is public")]
struct Public;

#[cfg(test)]
mod tests;

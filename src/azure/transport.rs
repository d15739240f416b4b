//! The one HTTP client: every request to Azure goes through it.
//!
//! Its numbers follow from what was measured: PINGs only under open streams and no kept idle connections, so that an
//! idle agent never wakes up and holds no plaintext in live buffers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::Resolve;
use reqwest::{Client, ClientBuilder, NoProxy, Proxy, redirect, retry};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;

use super::resolve::Resolver;
use super::roots::LateRoots;
use crate::metrics::Metrics;
use crate::secret::SecretValue;

/// Long enough for a slow answer over a bad line, short enough that an attempt ends in seconds.
pub(super) const WHOLE_REQUEST: Duration = Duration::from_secs(10);
pub(super) const CONNECT: Duration = Duration::from_secs(5);
/// How long an unused connection is kept: long enough for the requests of one cycle.
pub(super) const IDLE: Duration = Duration::from_secs(5);
/// A connection that died silently under a request is noticed after these two.
const PING_EVERY: Duration = Duration::from_secs(3);
const PING_ANSWERED_WITHIN: Duration = Duration::from_secs(3);

/// What the transport is told from outside.
#[derive(Debug)]
pub struct Settings {
    /// Certificate authorities that are trusted besides the system's.
    pub authorities: Vec<CertificateDer<'static>>,
    /// `HTTPS_PROXY`: a proxy for everything but loopback.
    pub proxy: Option<String>,
    /// `NO_PROXY`: hosts that are reached without it.
    pub no_proxy: Option<String>,
    /// The secrets that identities read from variables, by the variable's name.
    pub variables: BTreeMap<&'static str, Arc<SecretValue>>,
    /// Where requests are counted.
    pub metrics: Metrics,
}

/// The authorities that vouch for hosts; whoever shares them follows when they are renewed.
pub(super) fn roots(authorities: Vec<CertificateDer<'static>>) -> Arc<LateRoots> {
    Arc::new(LateRoots::load(Arc::new(aws_lc_rs::default_provider()), authorities))
}

/// Builds the client.
pub(super) fn client(settings: &Settings, roots: &Arc<LateRoots>) -> Result<Client, String> {
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls(roots)?)
        .dns_resolver(Resolver)
        .https_only(true)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .connect_timeout(CONNECT)
        .timeout(WHOLE_REQUEST)
        .pool_idle_timeout(IDLE)
        .tcp_keepalive(None)
        .http2_keep_alive_interval(PING_EVERY)
        .http2_keep_alive_timeout(PING_ANSWERED_WITHIN)
        .http2_keep_alive_while_idle(false)
        .no_proxy();
    if let Some(proxy) = &settings.proxy {
        // Loopback is never the proxy's business, whatever NO_PROXY says.
        let direct = format!("localhost,127.0.0.0/8,::1,{}", settings.no_proxy.as_deref().unwrap_or_default());
        let scheme = proxy.split_once("://").map_or("http", |(scheme, _)| scheme);
        if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
            return Err(
                "HTTPS_PROXY names a kind of proxy that is not supported: write http://<host>:<port>".to_owned()
            );
        }
        let proxy = Proxy::https(proxy)
            .map_err(|_| "HTTPS_PROXY is no valid URL of a proxy: write http://<host>:<port>".to_owned())?;
        builder = builder.proxy(proxy.no_proxy(NoProxy::from_string(&direct)));
    }
    builder.build().map_err(|error| format!("the HTTP client cannot be built: {error}"))
}

/// A client for what is beside the machine and gives tokens: no proxy, and no connection that is kept, because it is asked
/// once in a token's life.
pub(super) fn of_one_place(mut tls: ClientConfig, resolver: impl Resolve + 'static) -> ClientBuilder {
    // Whoever is offered HTTP/2 may take it, and would then be spoken to in another language.
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(resolver)
        .no_proxy()
        .http1_only()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .connect_timeout(CONNECT)
        .timeout(WHOLE_REQUEST)
        .pool_max_idle_per_host(0)
}

/// TLS that trusts the system's authorities and the configured ones.
pub(super) fn tls(roots: &Arc<LateRoots>) -> Result<ClientConfig, String> {
    let verifier: Arc<dyn ServerCertVerifier> = Arc::<LateRoots>::clone(roots);
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .dangerous() // rustls' word for a verifier of one's own; ours is webpki's with late roots
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // A session that is resumed shows no certificate: it would outlive the trust in the authority that vouched for it. What
    // it would save is one verification for each host and cycle, no round trip.
    config.resumption = Resumption::disabled();
    Ok(config)
}

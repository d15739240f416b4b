//! AKS identity bindings: the cluster's token proxy takes Entra's place. The same request goes to it, at its own path
//! prefix, under the name and the authority that the cluster's webhook names.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use azure_core::Error;
use azure_core::error::ErrorKind;
use azure_core::http::request::Body;
use azure_core::http::{AsyncRawResponse, HttpClient, Request};
use reqwest::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::file::Kept;
use crate::azure::door::{classify, collect, send_counted};
use crate::azure::resolve::addresses_of;
use crate::azure::roots::LateRoots;
use crate::azure::transport::{self, of_one_place};
use crate::config::identity::{self, Trust};
use crate::failure::{Blame, Code, Failure, Kind};
use crate::metrics::{Metrics, Service};
use crate::secret::SecretValue;

const HOST: &str = "host";

/// A transport to the token proxy and nowhere else.
#[derive(Debug)]
pub(super) struct TokenProxy {
    proxy: identity::TokenProxy,
    /// TLS by the system's authorities, for a proxy that names none of its own.
    system: Option<ClientConfig>,
    built: Mutex<Option<Built>>,
    metrics: Metrics,
}

/// The client, and the authorities that it trusts.
#[derive(Debug, Clone)]
struct Built {
    authorities: Arc<[u8]>,
    client: Client,
}

impl TokenProxy {
    pub(super) fn new(proxy: &identity::TokenProxy, roots: &Arc<LateRoots>, metrics: &Metrics) -> Result<Self, String> {
        let system = if proxy.trust == Trust::System { Some(transport::tls(roots)?) } else { None };
        Ok(Self { proxy: proxy.clone(), system, built: Mutex::default(), metrics: metrics.clone() })
    }

    /// The client; built anew when its authorities have changed.
    fn client(&self) -> Result<Client, Failure> {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, bytes);
        let (authorities, named) = match &self.proxy.trust {
            Trust::System => (&[][..], "the system's authorities".to_owned()),
            Trust::Data(pem) => (pem.as_bytes(), "AZURE_KUBERNETES_CA_DATA".to_owned()),
            Trust::File(path) => {
                file = authority_file(path);
                bytes = match (file.read(), &*built) {
                    (Ok(bytes), _) => bytes,
                    // The node is replacing it: the next request sees the new one.
                    (Err(failure), Some(built)) if failure.code.as_str() == "token-proxy-ca-empty" => {
                        return Ok(built.client.clone());
                    }
                    (Err(failure), _) => return Err(failure),
                };
                (SecretValue::expose(&bytes), path.display().to_string())
            }
        };
        if let Some(built) = built.as_ref().filter(|built| *built.authorities == *authorities) {
            return Ok(built.client.clone());
        }
        let client = self.build(self.tls(authorities, &named)?)?;
        *built = Some(Built { authorities: authorities.into(), client: client.clone() });
        Ok(client)
    }

    fn tls(&self, authorities: &[u8], named: &str) -> Result<ClientConfig, Failure> {
        if let Some(system) = &self.system {
            return Ok(system.clone());
        }
        let malformed = || {
            Failure::new(Blame::Identity, Kind::Misconfigured, Code::new("token-proxy-ca-malformed"))
                .because(format!("{named} holds no PEM certificate of the token proxy's authority"))
        };
        let mut roots = RootCertStore::empty();
        let (added, _) =
            roots.add_parsable_certificates(CertificateDer::pem_slice_iter(authorities).filter_map(Result::ok));
        if added == 0 {
            return Err(malformed());
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(|_| malformed())?;
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }

    fn build(&self, tls: ClientConfig) -> Result<Client, Failure> {
        let resolver = Resolver { host: self.proxy.host.clone() };
        let client = of_one_place(tls, resolver).https_only(true).build();
        client.map_err(|_| Failure::new(Blame::Identity, Kind::Outage, Code::new("token-proxy-client")))
    }

    /// The request's address at the proxy. The certificate's name is the URL's host, because TLS asks for and verifies
    /// that one; our resolver leads it to the proxy.
    fn url(&self, path: &str, query: Option<&str>) -> String {
        let identity::TokenProxy { host, port, path: prefix, server_name, .. } = &self.proxy;
        let name = server_name.as_ref().unwrap_or(host);
        let query = query.map_or_else(String::new, |query| format!("?{query}"));
        format!("https://{name}:{port}{}/{}{query}", prefix.trim_end_matches('/'), path.trim_start_matches('/'))
    }

    async fn send(&self, request: &Request) -> Result<AsyncRawResponse, Failure> {
        let authority = request.url();
        let mut outgoing = self.client()?.post(self.url(authority.path(), authority.query()));
        for (name, value) in request.headers().iter().filter(|(name, _)| name.as_str() != HOST) {
            outgoing = outgoing.header(name.as_str(), value.as_str());
        }
        // As the Go SDK has it: the proxy is told whom the request is for.
        let host = authority.host_str().unwrap_or_default();
        let host = authority.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        outgoing = outgoing.header(HOST, host);
        if let Body::Bytes(bytes) = request.body() {
            outgoing = outgoing.body(bytes.clone());
        }
        let answer = send_counted(outgoing, &self.metrics, Service::Entra).await;
        let response = answer.map_err(|error| unreached(classify(&error)))?;
        collect(response).await.map_err(unreached)
    }
}

fn authority_file(path: &Path) -> Kept<'_> {
    Kept { code: "token-proxy-ca", called: "file of the token proxy's authority (AZURE_KUBERNETES_CA_FILE)", path }
}

fn unreached(failure: Failure) -> Failure {
    let code =
        if failure.code.as_str() == "certificate" { "token-proxy-certificate" } else { "token-proxy-unreachable" };
    let detail = format!("the cluster's token proxy: {}", failure.detail.unwrap_or_default());
    Failure::new(Blame::Identity, Kind::Outage, Code::new(code)).because(detail)
}

#[async_trait::async_trait]
impl HttpClient for TokenProxy {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        self.send(request).await.map_err(|failure| Error::new(ErrorKind::Io, failure))
    }
}

/// Whatever the name, the proxy's addresses.
#[derive(Debug)]
struct Resolver {
    host: String,
}

impl Resolve for Resolver {
    fn resolve(&self, _: Name) -> Resolving {
        let host = self.host.clone();
        Box::pin(async move {
            if let Ok(address) = host.parse::<IpAddr>() {
                return Ok(Box::new(std::iter::once(SocketAddr::from((address, 0)))) as Addrs);
            }
            let addresses = addresses_of(&host).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests;

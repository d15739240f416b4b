//! The emulator is honest: Microsoft's own SDK for Rust reads from it, through its own challenge handling.

use std::sync::Arc;

use azure_core::cloud::CustomConfiguration;
use azure_core::error::ErrorKind;
use azure_core::http::{AsyncRawResponse, Request, headers::Headers};
use azure_core::http::{ClientMethodOptions, ClientOptions, HttpClient, Transport};
use azure_identity::{ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions};
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions};
use keyferry_emulator::{DEFAULT_CLIENT, DEFAULT_TENANT};

use crate::harness::World;

/// The thinnest transport there can be.
#[derive(Debug)]
struct Plain(reqwest::Client);

#[async_trait::async_trait]
impl HttpClient for Plain {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let failed = |error: reqwest::Error| azure_core::Error::new(ErrorKind::Io, error);
        let method = if request.method() == azure_core::http::Method::Post {
            reqwest::Method::POST
        } else {
            reqwest::Method::GET
        };
        let mut outgoing = self.0.request(method, request.url().as_str());
        for (name, value) in request.headers().iter() {
            outgoing = outgoing.header(name.as_str(), value.as_str());
        }
        if let azure_core::http::request::Body::Bytes(bytes) = request.body() {
            outgoing = outgoing.body(bytes.clone());
        }
        let response = outgoing.send().await.map_err(failed)?;
        let (status, mut headers) = (response.status().as_u16(), Headers::new());
        for (name, value) in response.headers() {
            headers.insert(name.as_str().to_owned(), value.to_str().unwrap().to_owned());
        }
        Ok(AsyncRawResponse::from_bytes(status.into(), headers, response.bytes().await.map_err(failed)?))
    }
}

#[derive(Debug)]
struct Assertion(String);

#[async_trait::async_trait]
impl ClientAssertion for Assertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        Ok(self.0.clone())
    }
}

#[test]
fn the_official_rust_sdk_reads_a_secret() {
    let world = World::new();
    let version = world.emulator.put_secret("demo", "db", "value");
    let mut roots = rustls::RootCertStore::empty();
    let pem = world.emulator.ca_pem().as_bytes();
    roots.add_parsable_certificates(rustls::pki_types::pem::PemObject::pem_slice_iter(pem).map(Result::unwrap));
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let address = world.emulator.address(keyferry_emulator::Service::Vault);
    let login = world.emulator.address(keyferry_emulator::Service::Entra);
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .resolve("demo.vault.localhost", address)
        .resolve("login.localhost", login)
        .build()
        .unwrap();
    let transport = Some(Transport::new(Arc::new(Plain(client))));
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host = world.emulator.authority();
    let options = ClientOptions { transport, cloud: Some(Arc::new(cloud.into())), ..ClientOptions::default() };
    let credential = ClientAssertionCredential::new(
        DEFAULT_TENANT.to_owned(),
        DEFAULT_CLIENT.to_owned(),
        Assertion(std::fs::read_to_string(world.token_file()).unwrap().trim().to_owned()),
        Some(ClientAssertionCredentialOptions { client_options: options.clone() }),
    );
    let options = SecretClientOptions { client_options: options, ..SecretClientOptions::default() };
    let client = SecretClient::new(&world.emulator.vault_url("demo"), credential.unwrap(), Some(options)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let secret = runtime.block_on(async { client.get_secret("db", None).await.unwrap().into_model().unwrap() });
    assert_eq!(secret.value.as_deref(), Some("value"));
    assert!(secret.id.unwrap().ends_with(&version));
}

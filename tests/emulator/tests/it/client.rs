//! A plain HTTPS client that trusts the emulator's CA and knows where `*.localhost` is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use keyferry_emulator::{Assertion, DEFAULT_CLIENT, DEFAULT_TENANT, Emulator, Service, Settings};
use reqwest::blocking::{Client, Response};
use reqwest::redirect::Policy;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

pub(crate) const SCOPE: &str = "https://vault.localhost/.default";
pub(crate) const API: &str = "api-version=7.6";

/// An emulator with a `demo` vault, and a client for it.
pub(crate) struct Rig {
    pub(crate) emulator: Emulator,
    pub(crate) client: Client,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let emulator = Emulator::start(settings).unwrap();
        emulator.add_vault("demo");
        let client = client(&emulator);
        Self { emulator, client }
    }

    /// Sends a token request as it should be, but for some parameters.
    pub(crate) fn ask_entra(&self, tenant: &str, changes: &[(&str, &str)]) -> Response {
        let assertion = self.emulator.federated_token(&Assertion::default());
        let mut form = HashMap::from([
            ("client_assertion", assertion.as_str()),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_id", DEFAULT_CLIENT),
            ("grant_type", "client_credentials"),
            ("scope", SCOPE),
        ]);
        form.extend(changes.iter().copied());
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let url = format!("{}{tenant}/oauth2/v2.0/token", self.emulator.authority());
        let request = self.client.post(url).header("content-type", "application/x-www-form-urlencoded").body(body);
        request.send().unwrap()
    }

    pub(crate) fn token_with(&self, changes: &[(&str, &str)]) -> String {
        let answer: Value = json(self.ask_entra(DEFAULT_TENANT, changes));
        answer["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn token(&self) -> String {
        self.token_with(&[])
    }

    /// Asks the `demo` vault with a token.
    pub(crate) fn get(&self, path_and_query: &str, token: &str) -> Response {
        self.try_get(path_and_query, token).unwrap()
    }

    pub(crate) fn try_get(&self, path_and_query: &str, token: &str) -> reqwest::Result<Response> {
        self.client.get(self.url(path_and_query)).bearer_auth(token).send()
    }

    pub(crate) fn url(&self, path_and_query: &str) -> String {
        format!("{}{path_and_query}", self.emulator.vault_url("demo"))
    }
}

pub(crate) fn json(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().unwrap()).unwrap()
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

/// Status, code and inner code of a refusal.
pub(crate) fn code(answer: Response) -> (u16, String, Value) {
    let status = answer.status().as_u16();
    let error = json(answer)["error"].clone();
    (status, error["code"].as_str().unwrap().to_owned(), error["innererror"]["code"].clone())
}

/// Follows every link from a path on; gives the pages.
pub(crate) fn pages(rig: &Rig, path_and_query: &str) -> Vec<Vec<Value>> {
    let token = rig.token();
    let mut url = rig.url(path_and_query);
    let mut pages = Vec::new();
    loop {
        let body = json(rig.client.get(&url).bearer_auth(&token).send().unwrap());
        pages.push(body["value"].as_array().unwrap().clone());
        match &body["nextLink"] {
            Value::String(next) => url.clone_from(next),
            end => {
                assert_eq!(body.as_object().unwrap().get("nextLink"), Some(end), "present and null at the end");
                return pages;
            }
        }
    }
}

pub(crate) fn tls(emulator: &Emulator) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(emulator.ca_pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    tls
}

fn client(emulator: &Emulator) -> Client {
    let names = emulator.names();
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls(emulator))
        .no_proxy()
        .redirect(Policy::none())
        .timeout(Duration::from_secs(10))
        .resolve(&format!("demo.{}", names.openai_suffix), emulator.address(Service::OpenAi))
        .resolve(&names.management, emulator.address(Service::ResourceManager))
        .resolve(&names.login, emulator.address(Service::Entra));
    for vault in ["demo", "other", "unknown"] {
        builder = builder.resolve(&format!("{vault}.{}", names.vault_suffix), emulator.address(Service::Vault));
    }
    builder.build().unwrap()
}

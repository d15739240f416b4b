//! The token proxy of AKS: another CA, another name, another audience, the same request.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keyferry_emulator::{
    App, Assertion, DEFAULT_AUDIENCE, DEFAULT_CLIENT, DEFAULT_TENANT, Emulator, Fault, IDENTITY_BINDING_AUDIENCE,
    Misbehaviour, Service,
};
use reqwest::blocking::{Client, Response};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::client::{API, Rig, SCOPE, json};

/// A client that trusts one CA, and that asks the proxy's address for the proxy's name.
fn client(rig: &Rig, ca_pem: &str) -> Client {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .resolve(Emulator::TOKEN_PROXY_NAME, rig.emulator.address(Service::TokenProxy))
        .build()
        .unwrap()
}

fn ask(rig: &Rig, client: &Client, assertion: &Assertion) -> reqwest::Result<Response> {
    let form = [
        ("client_assertion", rig.emulator.federated_token(assertion)),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned()),
        ("client_id", DEFAULT_CLIENT.to_owned()),
        ("grant_type", "client_credentials".to_owned()),
        ("scope", SCOPE.to_owned()),
    ];
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let address = rig.emulator.address(Service::TokenProxy).to_string();
    let port = rig.emulator.address(Service::TokenProxy).port();
    let by_name = rig.emulator.token_proxy_url().replace(&address, &format!("{}:{port}", Emulator::TOKEN_PROXY_NAME));
    client.post(format!("{by_name}/{DEFAULT_TENANT}/oauth2/v2.0/token")).body(body).send()
}

fn bound() -> Assertion {
    Assertion { audience: IDENTITY_BINDING_AUDIENCE.to_owned(), ..Assertion::default() }
}

#[test]
fn a_bound_pod_is_granted_a_token_that_the_vault_takes() {
    let rig = Rig::new();
    rig.emulator.put_secret("demo", "a", "1");
    let environment = rig.emulator.token_proxy_environment(Path::new("/ca.crt"));
    assert!(environment["AZURE_KUBERNETES_TOKEN_PROXY"].ends_with("/some/base/path"));
    assert_eq!(environment["AZURE_KUBERNETES_CA_FILE"], "/ca.crt");
    let client = client(&rig, &rig.emulator.token_proxy_ca_pem());
    let body = json(ask(&rig, &client, &bound()).unwrap());
    assert_eq!(rig.get(&format!("/secrets/a?{API}"), body["access_token"].as_str().unwrap()).status(), 200);
    let entry = rig.emulator.requests().into_iter().find(|entry| entry.service == Service::TokenProxy).unwrap();
    assert_eq!((entry.tenant.as_deref(), entry.client_id.as_deref()), (Some(DEFAULT_TENANT), Some(DEFAULT_CLIENT)));
}

#[test]
fn each_endpoint_takes_only_the_tokens_meant_for_it() {
    let rig = Rig::new();
    let direct = rig.emulator.federated_token(&bound());
    let answer = rig.ask_entra(DEFAULT_TENANT, &[("client_assertion", &direct)]);
    assert_eq!(json(answer)["error_codes"][0], 700_212);
    let client = client(&rig, &rig.emulator.token_proxy_ca_pem());
    assert_eq!(bound().audience, "api://AKSIdentityBinding");
    let exchanged = Assertion { audience: DEFAULT_AUDIENCE.to_owned(), ..Assertion::default() };
    assert_eq!(json(ask(&rig, &client, &exchanged).unwrap())["error_codes"][0], 700_212);
    let subject = "system:serviceaccount:demo:other".to_owned();
    let other = Assertion { subject: subject.clone(), ..bound() };
    assert_eq!(json(ask(&rig, &client, &other).unwrap())["error_codes"][0], 700_213);
    rig.emulator.add_app(App { subject, audience: IDENTITY_BINDING_AUDIENCE.to_owned(), ..App::default() });
    assert_eq!(ask(&rig, &client, &other).unwrap().status(), 200);
}

#[test]
fn the_proxy_has_a_ca_of_its_own_which_can_change() {
    let rig = Rig::new();
    assert!(ask(&rig, &client(&rig, rig.emulator.ca_pem()), &bound()).unwrap_err().is_connect());
    let old = rig.emulator.token_proxy_ca_pem();
    let fresh = rig.emulator.renew_token_proxy_ca().unwrap();
    assert_eq!(fresh, rig.emulator.token_proxy_ca_pem());
    assert!(ask(&rig, &client(&rig, &old), &bound()).unwrap_err().is_connect());
    assert_eq!(ask(&rig, &client(&rig, &fresh), &bound()).unwrap().status(), 200);
}

#[test]
fn the_proxy_answers_to_its_name_only_and_fails_like_entra() {
    let rig = Rig::new();
    let client = client(&rig, &rig.emulator.token_proxy_ca_pem());
    let by_address = client.post(rig.emulator.token_proxy_url()).send().unwrap_err();
    assert!(by_address.is_connect(), "{by_address:?}");
    rig.emulator.fault(Fault::token_proxy(Misbehaviour::Status { status: 503 }).times(1));
    let failed = ask(&rig, &client, &bound()).unwrap();
    assert_eq!(failed.status(), 503);
    assert_eq!(json(failed)["error_codes"][0], 90033);
    assert_eq!(rig.emulator.counters().token_proxy_tls_connections, 1);
}

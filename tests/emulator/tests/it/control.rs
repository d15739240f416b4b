//! The control port, as curl would use it.

use keyferry_emulator::{DEFAULT_TENANT, Settings, Workspace};
use reqwest::Method;
use serde_json::{Value, json as value};

use crate::client::{API, Rig, json};
use crate::material::Issued;

fn rig() -> Rig {
    Rig::with(Settings { control: Some(([127, 0, 0, 1], 0).into()), ..Settings::default() })
}

fn order(rig: &Rig, method: Method, path: &str, body: &str) -> (u16, Value) {
    let url = format!("http://{}{path}", rig.emulator.control_address().unwrap());
    let answer = rig.client.request(method, url).body(body.to_owned()).send().unwrap();
    (answer.status().as_u16(), json(answer))
}

#[test]
fn a_secret_is_rotated_and_the_log_shows_who_read_it() {
    let rig = rig();
    let (status, put) = order(&rig, Method::PUT, "/vaults/demo/secrets/a", "rotated");
    assert_eq!((status, put["version"].as_str().unwrap().len()), (200, 32));
    let token = rig.token();
    assert_eq!(json(rig.get(&format!("/secrets/a?{API}"), &token))["value"], "rotated");
    let (_, log) = order(&rig, Method::GET, "/requests", "");
    assert_eq!((&log[1]["path"], &log[1]["status"]), (&"/secrets/a".into(), &200.into()));
    assert_eq!(order(&rig, Method::GET, "/counters", "").1["requests"], 2);
    order(&rig, Method::DELETE, "/requests", "");
    assert_eq!(order(&rig, Method::GET, "/requests", "").1, value!([]));
}

#[test]
fn a_certificate_and_a_key_are_put_from_files() {
    let rig = rig();
    let issued = Issued::new();
    let (put, deleted) =
        (|path, body: Value| order(&rig, Method::PUT, path, &body.to_string()), value!({"deleted": true}));
    let (status, tls) = put("/vaults/demo/certificates/tls", value!({"stored": {"pem": issued.pem}}));
    assert_eq!((status, tls["version"].as_str().unwrap().len()), (200, 32));
    let leaf = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &issued.leaf_der);
    let pfx = value!({"stored": {"pfx": {"base64": "MIIK"}}, "leaf_der": leaf, "exportable": false, "exp": 1});
    assert_eq!(put("/vaults/demo/certificates/pfx", pfx).0, 200);
    assert_eq!(put("/vaults/demo/keys/sign", value!({"key": {"kty": "RSA", "n": "bg", "e": "AQAB"}})).0, 200);
    let token = rig.token();
    let get = |path: &str| json(rig.get(&format!("{path}?{API}"), &token));
    assert_eq!(get("/secrets/tls")["value"], issued.pem);
    assert_eq!(get("/certificates/pfx")["cer"], leaf);
    assert_eq!(get("/secrets/pfx")["attributes"]["exp"], 1);
    assert_eq!(get("/keys/sign")["key"]["n"], "bg");
    let (status, refused) = put("/vaults/demo/certificates/empty", value!({"stored": {"pem": ""}}));
    assert_eq!(status, 400);
    assert!(refused["error"].as_str().unwrap().contains("leaf_der"), "{refused}");
    assert_eq!(put("/vaults/demo/keys/private", value!({"key": {"kty": "RSA", "d": "secret"}})).0, 400);
    assert_eq!(put("/vaults/demo/issuers/a", value!({})).0, 404);
    for path in ["/vaults/demo/certificates/tls", "/vaults/demo/keys/sign"] {
        assert_eq!(order(&rig, Method::DELETE, path, ""), (200, deleted.clone()));
    }
    assert_eq!(rig.get(&format!("/secrets/tls?{API}"), &token).status(), 404);
}

#[test]
fn faults_come_and_go() {
    let rig = rig();
    let fault = r#"{"service":"entra","kind":"throttle","retry_after":"5"}"#;
    assert_eq!(order(&rig, Method::POST, "/faults", fault), (200, value!({"id": 1})));
    assert_eq!(rig.ask_entra(DEFAULT_TENANT, &[]).status(), 429);
    order(&rig, Method::DELETE, "/faults", "");
    assert_eq!(rig.ask_entra(DEFAULT_TENANT, &[]).status(), 200);
}

#[test]
fn services_stop_and_start_and_clocks_shift() {
    let rig = rig();
    assert_eq!(order(&rig, Method::POST, "/stop", r#"{"service":"entra"}"#).0, 200);
    assert!(rig.client.get(rig.emulator.authority()).send().is_err());
    assert_eq!(order(&rig, Method::POST, "/start", r#"{"service":"entra"}"#).0, 200);
    order(&rig, Method::POST, "/clock", r#"{"skew":-600}"#);
    assert_eq!(json(rig.ask_entra(DEFAULT_TENANT, &[]))["error_codes"][0], 700_024);
}

#[test]
fn federated_tokens_are_minted_to_measure() {
    let rig = rig();
    let (_, minted) = order(&rig, Method::POST, "/tokens/federated", r#"{"lifetime":-1}"#);
    let answer = rig.ask_entra(DEFAULT_TENANT, &[("client_assertion", minted["token"].as_str().unwrap())]);
    assert_eq!(json(answer)["error_codes"][0], 700_024);
    let (_, minted) = order(&rig, Method::POST, "/tokens/federated", "");
    let answer = rig.ask_entra(DEFAULT_TENANT, &[("client_assertion", minted["token"].as_str().unwrap())]);
    assert_eq!(answer.status(), 200);
}

#[test]
fn an_order_that_makes_no_sense_is_refused_with_the_reason() {
    let rig = rig();
    let (status, body) = order(&rig, Method::POST, "/faults", r#"{"service":"moon","kind":"reset"}"#);
    assert_eq!(status, 400);
    assert!(body["error"].as_str().unwrap().contains("moon"));
    assert_eq!(order(&rig, Method::GET, "/nothing", "").0, 404);
}

#[test]
fn connections_come_and_go() {
    let rig = rig();
    assert_eq!(order(&rig, Method::PUT, "/workspaces/ws/connections/aoai", "key").0, 200);
    let spec = r#"{"name":"db","auth_type":"UsernamePassword","credentials":{"username":"u","password":"p"}}"#;
    assert_eq!(order(&rig, Method::POST, "/workspaces/ws/connections", spec).0, 200);
    let token = rig.token_with(&[("scope", "https://management.localhost/.default")]);
    let path = format!("{}/connections/db/listsecrets?api-version=2024-04-01", Workspace::from("ws").id());
    let listed = || {
        let request = rig.client.post(format!("{}{path}", rig.emulator.management_url())).bearer_auth(&token);
        request.header("content-length", "0").send().unwrap()
    };
    assert_eq!(json(listed())["properties"]["credentials"]["password"], "p");
    let gone = order(&rig, Method::DELETE, "/workspaces/ws/connections/db", "");
    assert_eq!(gone, (200, value!({"deleted": true})));
    assert_eq!(listed().status(), 404);
}

#[test]
fn identities_and_credentials_are_handed_out() {
    let rig = rig();
    rig.emulator.put_secret("demo", "a", "1");
    let (_, environments) = order(&rig, Method::GET, "/environments", "");
    let app_service = &environments["app_service"];
    let (_, identity) = order(&rig, Method::PUT, "/identities/app", "");
    let (endpoint, client) =
        (app_service["IDENTITY_ENDPOINT"].as_str().unwrap(), identity["client_id"].as_str().unwrap());
    let url = format!("{endpoint}?api-version=2019-08-01&resource=https://vault.localhost&client_id={client}");
    let header = app_service["IDENTITY_HEADER"].as_str().unwrap();
    let token = json(rig.client.get(url).header("X-IDENTITY-HEADER", header).send().unwrap());
    let token = token["access_token"].as_str().unwrap();
    assert_eq!(rig.get(&format!("/secrets/a?{API}"), token).status(), 200, "it is trusted");
    order(&rig, Method::PUT, "/clients/someone/secret", "s3cret");
    let changes = [("client_id", "someone"), ("client_secret", "s3cret"), ("client_assertion", "")];
    assert_eq!(rig.get(&format!("/secrets/a?{API}"), &rig.token_with(&changes)).status(), 403);
    order(&rig, Method::PUT, "/clients/someone/trust", "");
    assert_eq!(rig.get(&format!("/secrets/a?{API}"), &rig.token_with(&changes)).status(), 200);
    let (_, made) = order(&rig, Method::POST, "/clients/someone/certificate", "");
    assert!(made["pem"].as_str().unwrap().contains("BEGIN CERTIFICATE"));
    order(&rig, Method::POST, "/tokens/lifetime", r#"{"audience":"https://vault.localhost","seconds":7}"#);
    assert_eq!(json(rig.ask_entra(DEFAULT_TENANT, &[]))["expires_in"], 7);
    let ca = || order(&rig, Method::GET, "/environments", "").1["token_proxy"]["AZURE_KUBERNETES_CA_DATA"].clone();
    let old = ca();
    let (_, renewed) = order(&rig, Method::POST, "/token-proxy/ca", "");
    assert_eq!(ca(), renewed["pem"]);
    assert_ne!(ca(), old);
    assert_eq!(order(&rig, Method::POST, "/stop", r#"{"service":"azure_ml"}"#).0, 200);
}

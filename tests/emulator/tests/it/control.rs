//! The control port, as curl would use it.

use keyferry_emulator::{DEFAULT_TENANT, Settings};
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

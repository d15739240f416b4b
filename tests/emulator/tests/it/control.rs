//! The control port, as curl would use it.

use keyferry_emulator::{DEFAULT_TENANT, Settings};
use reqwest::Method;
use serde_json::{Value, json as value};

use crate::client::{API, Rig, json};

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

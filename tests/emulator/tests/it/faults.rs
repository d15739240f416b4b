//! Faults: each does to a client what it says.

use std::time::{Duration, Instant};

use keyferry_emulator::{DEFAULT_TENANT, Fault, Misbehaviour, Operation, Refusal, Settings};
use serde_json::json as value;

use crate::client::{API, Rig, header, json};

const PATIENCE: Duration = Duration::from_secs(10);

fn rig() -> (Rig, String) {
    let rig = Rig::new();
    rig.emulator.put_secret("demo", "a", "honest");
    let token = rig.token();
    (rig, token)
}

fn path() -> String {
    format!("/secrets/a?{API}")
}

#[test]
fn throttling_says_what_it_is_told_about_retrying() {
    let (rig, token) = rig();
    for retry_after in [None, Some("7"), Some("-1"), Some("1e308"), Some("Tue, 30 May 2023 05:20:20 GMT")] {
        let misbehaviour = Misbehaviour::Throttle { retry_after: retry_after.map(str::to_owned) };
        rig.emulator.fault(Fault::vault(misbehaviour.clone()).times(1));
        rig.emulator.fault(Fault::entra(misbehaviour).times(1));
        for answer in [rig.get(&path(), &token), rig.ask_entra(DEFAULT_TENANT, &[])] {
            assert_eq!(answer.status(), 429);
            assert_eq!(header(&answer, "retry-after"), retry_after);
        }
    }
    rig.emulator.fault(Fault::vault(Misbehaviour::Throttle { retry_after: None }));
    assert_eq!(json(rig.get(&path(), &token))["error"]["code"], "Throttled");
}

#[test]
fn a_fault_is_limited_as_asked_and_logged() {
    let (rig, token) = rig();
    rig.emulator.put_secret("other", "a", "1");
    let fault = Fault::vault(Misbehaviour::Status { status: 503 }).of_vault("demo").of_secret("A").with_bearer(true);
    let id = rig.emulator.fault(fault);
    assert_eq!(rig.get(&path(), &token).status(), 503);
    assert_eq!(rig.emulator.requests().last().unwrap().fault, Some(id));
    assert_eq!(rig.get(&format!("/secrets/b?{API}"), &token).status(), 404);
    assert_eq!(rig.client.get(rig.url(&path())).send().unwrap().status(), 401);
    let other = format!("{}{}", rig.emulator.vault_url("other"), path());
    assert_eq!(rig.client.get(other).bearer_auth(&token).send().unwrap().status(), 200);
    rig.emulator.clear_fault(id);
    assert_eq!(rig.get(&path(), &token).status(), 200);
}

#[test]
fn plain_answers_are_what_they_should_be() {
    let (rig, token) = rig();
    let strike = |misbehaviour| {
        rig.emulator.fault(Fault::vault(misbehaviour).times(1));
        rig.get(&path(), &token)
    };
    let gateway = strike(Misbehaviour::HtmlBadGateway);
    assert_eq!(gateway.status(), 502);
    assert!(gateway.text().unwrap().starts_with("<!DOCTYPE"));
    let redirect = strike(Misbehaviour::Redirect { to: "https://elsewhere.example/".to_owned() });
    assert_eq!((redirect.status().as_u16(), header(&redirect, "location")), (302, Some("https://elsewhere.example/")));
    let raw = strike(Misbehaviour::Raw {
        status: 200,
        headers: vec![("x-odd".to_owned(), "1".to_owned())],
        body: r#"{"value":"v","attributes":{"exp":1e308}}"#.to_owned(),
    });
    assert_eq!(header(&raw, "x-odd"), Some("1"));
    assert!(raw.text().unwrap().contains("1e308"));
    let edited = json(strike(Misbehaviour::Member { at: "/attributes/exp".to_owned(), value: value!(u64::MAX) }));
    assert_eq!((&edited["value"], &edited["attributes"]["exp"]), (&"honest".into(), &u64::MAX.into()));
    let huge = strike(Misbehaviour::HugeBody { bytes: 300_000 });
    assert_eq!(huge.bytes().unwrap().len(), 300_000);
    let unresolved = strike(Misbehaviour::SigningKeyUnresolved);
    assert_eq!(unresolved.status(), 401);
    assert!(json(unresolved)["error"]["message"].as_str().unwrap().starts_with("AKV10046: "));
    let forbidden = strike(Misbehaviour::Forbidden { refusal: Refusal::ForbiddenByFirewall });
    assert_eq!(json(forbidden)["error"]["innererror"]["code"], "ForbiddenByFirewall");
    rig.emulator.fault(Fault::entra(Misbehaviour::EntraError {
        status: 400,
        error: "invalid_request".to_owned(),
        code: 50196,
        message: "loop".to_owned(),
    }));
    assert_eq!(json(rig.ask_entra(DEFAULT_TENANT, &[]))["error_codes"][0], 50196);
}

#[test]
fn a_link_can_lead_to_another_host() {
    let (rig, token) = rig();
    let misbehaviour =
        Misbehaviour::Member { at: "/nextLink".to_owned(), value: value!("https://elsewhere.example/secrets") };
    rig.emulator.fault(Fault::vault(misbehaviour).of_operation(Operation::List));
    assert_eq!(json(rig.get(&format!("/secrets?{API}"), &token))["nextLink"], "https://elsewhere.example/secrets");
    assert!(json(rig.get(&path(), &token)).get("nextLink").is_none());
}

#[test]
fn broken_answers_break_at_the_client() {
    for http2 in [true, false] {
        let rig = Rig::with(Settings { http2, ..Settings::default() });
        rig.emulator.put_secret("demo", "a", "honest");
        let token = rig.token();
        rig.emulator.fault(Fault::vault(Misbehaviour::CutBody).times(1));
        let cut = rig.get(&path(), &token);
        assert_eq!(cut.status(), 200);
        assert!(cut.bytes().is_err());
        rig.emulator.fault(Fault::vault(Misbehaviour::Reset).times(1));
        assert!(rig.try_get(&path(), &token).is_err());
        assert_eq!(rig.get(&path(), &token).status(), 200);
    }
}

#[test]
fn slowness_takes_its_time() {
    let (rig, token) = rig();
    let delay = Duration::from_millis(60);
    rig.emulator.fault(Fault::vault(Misbehaviour::Slow { delay }).times(1));
    let started = Instant::now();
    assert_eq!(rig.get(&path(), &token).status(), 200);
    assert!(started.elapsed() >= delay);
}

#[test]
fn a_held_request_is_answered_once_the_fault_is_cleared() {
    let (rig, token) = rig();
    let held = rig.emulator.fault(Fault::vault(Misbehaviour::Hold));
    rig.emulator.clear_log();
    std::thread::scope(|scope| {
        let asking = [(); 3].map(|()| scope.spawn(|| json(rig.get(&path(), &token))));
        let arrived = |log: &[keyferry_emulator::Logged]| log.iter().filter(|one| one.fault == Some(held)).count();
        assert!(rig.emulator.wait_until(PATIENCE, |log| arrived(log) == 3));
        rig.emulator.put_secret("demo", "a", "rotated");
        rig.emulator.clear_fault(held);
        for answer in asking {
            assert_eq!(answer.join().unwrap()["value"], "rotated");
        }
    });
    assert_eq!(rig.emulator.peak_concurrency(), 3);
    assert_eq!(rig.emulator.counters().in_flight, 0);
}

#[test]
fn a_request_that_is_never_answered_stays_open_and_leaves_the_others_alone() {
    let (rig, token) = rig();
    rig.emulator.fault(Fault::vault(Misbehaviour::NeverAnswer).times(1));
    let short = rig.client.get(rig.url(&path())).bearer_auth(&token).timeout(Duration::from_millis(100));
    assert!(short.send().unwrap_err().is_timeout());
    assert_eq!(rig.emulator.requests().last().unwrap().status, None);
    assert_eq!(rig.get(&path(), &token).status(), 200);
}

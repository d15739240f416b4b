//! The token endpoint: what it grants, what it refuses, and in which shape.

use keyferry_emulator::{App, Assertion, DEFAULT_CLIENT, DEFAULT_TENANT, Settings};

use crate::client::{API, Rig, header, json};

#[test]
fn a_good_request_is_granted_a_token_that_the_vault_takes() {
    let rig = Rig::new();
    rig.emulator.put_secret("demo", "a", "1");
    let answer = rig.ask_entra(DEFAULT_TENANT, &[]);
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "cache-control"), Some("no-store, no-cache"));
    assert!(answer.headers().get_all("set-cookie").iter().count() >= 2);
    let body = json(answer);
    let members: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["token_type", "expires_in", "ext_expires_in", "access_token"]);
    assert_eq!(body["expires_in"], 86399);
    assert_eq!(rig.get(&format!("/secrets/a?{API}"), body["access_token"].as_str().unwrap()).status(), 200);
}

#[test]
fn a_client_that_asks_for_claims_is_told_when_to_refresh() {
    let rig = Rig::new();
    let claims = r#"{"access_token":{"xms_cc":{"values":["CP1"]}}}"#;
    assert_eq!(json(rig.ask_entra(DEFAULT_TENANT, &[("claims", claims)]))["refresh_in"], 43199);
}

#[test]
fn each_wrong_request_has_its_own_error() {
    let rig = Rig::new();
    let minted = |assertion: Assertion| rig.emulator.federated_token(&assertion);
    let default = Assertion::default;
    let with_line_break = format!("{}\n", minted(default()));
    let cases: Vec<(&str, &str, String, u16, &str, u64)> = vec![
        ("client_id", "tenant has no such app", "no-such-app".to_owned(), 400, "unauthorized_client", 700_016),
        ("client_assertion", "none", String::new(), 401, "invalid_client", 7_000_216),
        ("client_assertion", "not a token", "a.b".to_owned(), 400, "invalid_request", 50027),
        ("client_assertion", "a line break", with_line_break, 400, "invalid_request", 50027),
        (
            "client_assertion",
            "foreign key",
            minted(Assertion { foreign_key: true, ..default() }),
            401,
            "invalid_client",
            700_027,
        ),
        (
            "client_assertion",
            "issuer without its slash",
            minted(Assertion { issuer: "https://oidc.localhost/cluster".to_owned(), ..default() }),
            401,
            "invalid_client",
            700_211,
        ),
        (
            "client_assertion",
            "audience",
            minted(Assertion { audience: "api://AKSIdentityBinding".to_owned(), ..default() }),
            401,
            "invalid_client",
            700_212,
        ),
        (
            "client_assertion",
            "subject",
            minted(Assertion { subject: "system:serviceaccount:demo:other".to_owned(), ..default() }),
            401,
            "invalid_client",
            700_213,
        ),
        (
            "client_assertion",
            "subject but for case",
            minted(Assertion { subject: "system:serviceaccount:demo:App".to_owned(), ..default() }),
            401,
            "invalid_client",
            7_002_138,
        ),
        (
            "client_assertion",
            "expired",
            minted(Assertion { issued_at: -7200, ..default() }),
            401,
            "invalid_client",
            700_024,
        ),
        ("scope", "without /.default", "https://vault.localhost".to_owned(), 400, "invalid_scope", 70011),
        ("grant_type", "another", "password".to_owned(), 400, "unsupported_grant_type", 70003),
    ];
    for (parameter, what, value, status, error, code) in cases {
        let answer = rig.ask_entra(DEFAULT_TENANT, &[(parameter, &value)]);
        assert_eq!(answer.status(), status, "{what}");
        let body = json(answer);
        assert_eq!((&body["error"], &body["error_codes"][0]), (&error.into(), &code.into()), "{what}");
    }
    let body = json(rig.ask_entra("no-such-tenant", &[]));
    assert_eq!(body["error_codes"][0], 90002);
}

#[test]
fn an_error_has_the_recorded_members() {
    for (line_breaks, separator) in [(false, " Trace ID: "), (true, "\r\nTrace ID: ")] {
        let rig = Rig::with(Settings { line_breaks, ..Settings::default() });
        let body = json(rig.ask_entra(DEFAULT_TENANT, &[("client_assertion", "")]));
        let members: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            members,
            ["error", "error_description", "error_codes", "timestamp", "trace_id", "correlation_id", "error_uri"]
        );
        assert!(body["error_description"].as_str().unwrap().starts_with("AADSTS7000216: "));
        assert!(body["error_description"].as_str().unwrap().contains(separator));
        let timestamp = body["timestamp"].as_str().unwrap();
        assert_eq!((timestamp.len(), &timestamp[10..11], &timestamp[19..]), (20, " ", "Z"));
    }
}

#[test]
fn the_services_clock_decides_whether_an_assertion_is_in_time() {
    let rig = Rig::new();
    rig.emulator.set_clock_skew(-600);
    assert_eq!(json(rig.ask_entra(DEFAULT_TENANT, &[]))["error_codes"][0], 700_024);
    rig.emulator.set_clock_skew(600);
    assert_eq!(rig.ask_entra(DEFAULT_TENANT, &[]).status(), 200);
}

#[test]
fn an_app_may_have_several_federated_credentials() {
    let rig = Rig::new();
    let subject = "system:serviceaccount:demo:other".to_owned();
    rig.emulator.add_app(App { subject: subject.clone(), ..App::default() });
    let assertion = rig.emulator.federated_token(&Assertion { subject, ..Assertion::default() });
    assert_eq!(rig.ask_entra(DEFAULT_TENANT, &[("client_assertion", &assertion)]).status(), 200);
    assert_eq!(rig.ask_entra(DEFAULT_TENANT, &[]).status(), 200);
}

#[test]
fn the_log_tells_assertions_apart_without_holding_one() {
    let rig = Rig::new();
    let assertion = rig.emulator.federated_token(&Assertion::default());
    for _ in 0..2 {
        rig.ask_entra(DEFAULT_TENANT, &[("client_assertion", &assertion)]);
    }
    rig.ask_entra(DEFAULT_TENANT, &[]);
    let log = rig.emulator.requests();
    assert_eq!(log[0].client_id.as_deref(), Some(DEFAULT_CLIENT));
    assert_eq!(log[0].tenant.as_deref(), Some(DEFAULT_TENANT));
    assert_eq!(log.iter().map(|entry| entry.token).collect::<Vec<_>>(), [Some(1), Some(2), Some(3)]);
    assert_eq!(log[0].assertion, log[1].assertion);
    assert_ne!(log[1].assertion, log[2].assertion);
    assert!(!format!("{log:?}").contains(&assertion));
}

//! Reading secrets: who may, what comes back, and what is refused how.

use keyferry_emulator::{App, Assertion, DEFAULT_CLIENT, DEFAULT_TENANT, Permission, Refusal, SecretSpec, Service};
use serde_json::Value;

use crate::client::{API, Rig, code, header, json};

#[test]
fn a_secret_is_found_with_and_without_a_slash_in_any_case_latest_or_by_version() {
    let rig = Rig::new();
    let first = rig.emulator.put_secret("demo", "Db-Password", "one");
    rig.emulator.put_secret("demo", "db-password", "two");
    let token = rig.token();
    for (path, value) in [
        ("/secrets/db-password".to_owned(), "two"),
        ("/secrets/DB-PASSWORD/".to_owned(), "two"),
        (format!("/secrets/db-password/{first}"), "one"),
    ] {
        let answer = rig.get(&format!("{path}?{API}"), &token);
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(json(answer)["value"], value, "{path}");
    }
}

#[test]
fn an_answer_has_the_recorded_headers() {
    let rig = Rig::new();
    rig.emulator.put_secret("demo", "a", "1");
    let request = rig.client.get(rig.url(&format!("/secrets/a?{API}"))).bearer_auth(rig.token());
    let answer = request.header("x-ms-client-request-id", "mine").send().unwrap();
    for (name, value) in [
        ("cache-control", "no-cache"),
        ("pragma", "no-cache"),
        ("expires", "-1"),
        ("content-type", "application/json; charset=utf-8"),
        ("x-ms-client-request-id", "mine"),
        ("x-content-type-options", "nosniff"),
        ("strict-transport-security", "max-age=31536000;includeSubDomains"),
    ] {
        assert_eq!(header(&answer, name), Some(value), "{name}");
    }
    for name in ["x-ms-request-id", "x-ms-keyvault-region", "x-ms-keyvault-rbac-assignment-id", "content-length"] {
        assert!(header(&answer, name).is_some(), "{name}");
    }
    assert_eq!(answer.headers().get_all("date").iter().count(), 1);
    assert!(header(&answer, "etag").is_none());
}

#[test]
fn without_a_token_there_is_a_challenge() {
    let rig = Rig::new();
    let answer = rig.client.get(rig.url(&format!("/secrets/a?{API}"))).send().unwrap();
    let authority = rig.emulator.authority();
    let challenge =
        format!(r#"Bearer authorization="{authority}{DEFAULT_TENANT}", resource="https://vault.localhost""#);
    assert_eq!(answer.status(), 401);
    assert_eq!(header(&answer, "www-authenticate"), Some(challenge.as_str()));
    assert!(header(&answer, "x-ms-keyvault-rbac-assignment-id").is_none());
    let body = answer.text().unwrap();
    let expected = r#"{"error":{"code":"Unauthorized","message":"AKV10000: Request is missing a Bearer, PoP, or MTLS_POP token."}}"#;
    assert_eq!(body, expected);
}

#[test]
fn a_token_must_be_known_current_of_the_tenant_and_for_the_vault() {
    let rig = Rig::new();
    rig.emulator.put_secret("demo", "a", "1");
    let message = |token: &str| {
        let answer = rig.get(&format!("/secrets/a?{API}"), token);
        assert_eq!(answer.status(), 401);
        json(answer)["error"]["message"].as_str().unwrap().to_owned()
    };
    assert!(message("made.up.token").contains("S2S17001"));
    assert_eq!(
        message(&rig.token_with(&[("scope", "https://vault.localhost//.default")])),
        "AKV10022: Invalid audience. Expected https://vault.localhost, found: https://vault.localhost/."
    );
    let token = rig.token();
    rig.emulator.set_clock_skew(86400);
    assert!(message(&token).starts_with("[TokenExpired]"));
    rig.emulator.set_clock_skew(0);
    assert_eq!(rig.get(&format!("/secrets/a?{API}"), &token).status(), 200);
    rig.emulator.revoke_tokens();
    assert!(message(&token).starts_with("[TokenExpired]"));
    let token = rig.token();
    rig.emulator.add_vault_in("demo", "another-tenant");
    assert!(message(&token).starts_with("AKV10032: Invalid issuer. Expected one of https://sts.windows.net/another"));
}

#[test]
fn permissions_go_by_client_vault_secret_and_deed() {
    let rig = Rig::new();
    rig.emulator.put_secret("demo", "a", "1");
    rig.emulator.put_secret("demo", "b", "1");
    let subject = "system:serviceaccount:demo:narrow".to_owned();
    let narrow = App { client_id: "narrow".to_owned(), subject: subject.clone(), ..App::default() };
    rig.emulator.add_app(narrow);
    let assertion = rig.emulator.federated_token(&Assertion { subject, ..Assertion::default() });
    let token = rig.token_with(&[("client_id", "narrow"), ("client_assertion", &assertion)]);
    let rbac = || (403, "Forbidden".to_owned(), Value::from("ForbiddenByRbac"));
    assert_eq!(code(rig.get(&format!("/secrets/a?{API}"), &token)), rbac());
    rig.emulator.allow("narrow", "demo", Permission::Get, Some("a"));
    assert_eq!(rig.get(&format!("/secrets/a?{API}"), &token).status(), 200);
    assert_eq!(code(rig.get(&format!("/secrets/b?{API}"), &token)), rbac());
    assert_eq!(code(rig.get(&format!("/secrets?{API}"), &token)), rbac());
    for refusal in [Refusal::AccessDenied, Refusal::ForbiddenByFirewall, Refusal::ForbiddenByConnection] {
        rig.emulator.deny(DEFAULT_CLIENT, "demo", Permission::List, None, refusal);
        let answer = rig.get(&format!("/secrets?{API}"), &rig.token());
        assert!(header(&answer, "www-authenticate").is_none());
        assert_eq!(code(answer).2, format!("{refusal:?}"));
    }
}

#[test]
fn disabled_is_refused_and_expired_is_not() {
    let rig = Rig::new();
    rig.emulator.put_secret_with("demo", SecretSpec { exp: Some(1), nbf: Some(0), ..SecretSpec::new("old", "v") });
    let first = rig.emulator.put_secret("demo", "off", "one");
    rig.emulator.put_secret("demo", "off", "two");
    assert!(rig.emulator.update_secret("demo", "off", None, |secret| secret.enabled = false));
    let token = rig.token();
    let old = json(rig.get(&format!("/secrets/old?{API}"), &token));
    assert_eq!((&old["value"], &old["attributes"]["exp"]), (&"v".into(), &1.into()));
    let disabled = (403, "Forbidden".to_owned(), Value::from("SecretDisabled"));
    assert_eq!(code(rig.get(&format!("/secrets/off?{API}"), &token)), disabled);
    assert_eq!(rig.get(&format!("/secrets/off/{first}?{API}"), &token).status(), 200);
}

#[test]
fn what_is_not_there_or_not_right_is_told_apart() {
    let rig = Rig::new();
    rig.emulator.put_secret("demo", "gone", "v");
    assert!(rig.emulator.delete_secret("demo", "gone"));
    let token = rig.token();
    let cases = [
        (format!("/secrets/gone?{API}"), 404, "SecretNotFound"),
        (format!("/secrets/gone/0123?{API}"), 404, "SecretNotFound"),
        ("/secrets/gone".to_owned(), 400, "BadParameter"),
        (format!("/secrets/un_derscore?{API}"), 400, "BadParameter"),
    ];
    for (path, status, name) in cases {
        assert_eq!(code(rig.get(&path, &token)), (status, name.to_owned(), Value::Null), "{path}");
    }
    let answer = rig.get(&format!("/secrets/a%20b?{API}"), &token);
    assert_eq!(answer.status(), 400);
    assert!(answer.text().unwrap().starts_with("<!DOCTYPE HTML"));
}

#[test]
fn a_vault_that_does_not_exist_gets_no_further_than_its_name() {
    let rig = Rig::new();
    let failed = rig.client.get(rig.emulator.vault_url("unknown")).send().unwrap_err();
    assert!(failed.is_connect());
    assert!(format!("{failed:?}").contains("UnrecognisedName"), "{failed:?}");
    let counts = (rig.emulator.connections(Service::Vault), rig.emulator.tls_connections(Service::Vault));
    assert_eq!(counts, (1, 0));
}

#[test]
fn the_log_says_what_was_asked_and_never_what_was_shown() {
    let rig = Rig::new();
    rig.emulator.put_secret("demo", "a", "canary");
    let token = rig.token();
    rig.emulator.clear_log();
    rig.client.get(rig.url(&format!("/secrets/a?{API}"))).header("user-agent", "me").send().unwrap();
    rig.get(&format!("/secrets/a?{API}"), &token);
    let log = rig.emulator.requests();
    let short: Vec<_> = log.iter().map(|entry| (entry.bearer, entry.token, entry.status, entry.connection)).collect();
    assert_eq!(short, [(false, None, Some(401), 1), (true, Some(1), Some(200), 1)]);
    assert_eq!((log[0].path.as_str(), log[0].query.as_str()), ("/secrets/a", API));
    assert_eq!((log[0].vault.as_deref(), log[0].user_agent.as_deref()), (Some("demo"), Some("me")));
    assert!(!format!("{log:?}").contains(&token));
}

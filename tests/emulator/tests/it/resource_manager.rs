//! Workspace connections: their shapes, their secrets, who may see them, and how often.

use std::io::Read;
use std::time::Duration;

use keyferry_emulator::{
    App, Assertion, Bucket, ConnectionPermission, ConnectionSpec, DEFAULT_CLIENT, DEFAULT_SUBSCRIPTION, Fault,
    Misbehaviour, Operation, Settings, Workspace,
};
use reqwest::blocking::Response;
use serde_json::{Value, json as value};

use crate::client::{API, Rig, header, json};

const SCOPE: &str = "https://management.localhost/.default";
const VERSION: &str = "api-version=2024-04-01";

fn rig() -> (Rig, String) {
    let rig = Rig::new();
    rig.emulator.put_connection("ws", ConnectionSpec::api_key("aoai", "first"));
    let token = rig.token_with(&[("scope", SCOPE)]);
    (rig, token)
}

fn url(rig: &Rig, rest: &str) -> String {
    format!("{}{}/connections{rest}", rig.emulator.management_url(), Workspace::from("ws").id())
}

fn get(rig: &Rig, token: &str, rest: &str) -> Response {
    rig.client.get(format!("{}?{VERSION}", url(rig, rest))).bearer_auth(token).send().unwrap()
}

fn secrets_of(rig: &Rig, token: &str, name: &str) -> Response {
    let url = format!("{}?{VERSION}", url(rig, &format!("/{name}/listsecrets")));
    rig.client.post(url).bearer_auth(token).header("content-length", "0").send().unwrap()
}

fn code(answer: Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    (status, json(answer)["error"]["code"].clone())
}

#[test]
fn a_connection_shows_its_secrets_only_when_asked_for_them() {
    let (rig, token) = rig();
    let shown = json(get(&rig, &token, "/aoai"));
    assert_eq!(shown["properties"]["credentials"], Value::Null);
    let secret = json(secrets_of(&rig, &token, "AOAI"));
    assert_eq!(secret["properties"]["credentials"], value!({"key": "first"}));
    assert_eq!(secret["id"], format!("{}/connections/aoai", Workspace::from("ws").id()));
    let listed = json(get(&rig, &token, ""));
    assert_eq!(listed, value!({"value": [shown]}));
    let slash = rig.token_with(&[("scope", "https://management.localhost//.default")]);
    assert_eq!(get(&rig, &slash, "/aoai").status(), 200, "either audience is taken");
}

#[test]
fn every_kind_of_credentials_comes_back_as_it_was_put() {
    let (rig, token) = rig();
    let kinds = [
        ("ApiKey", value!({"key": "k"})),
        ("AccountKey", value!({"key": "k"})),
        ("CustomKeys", value!({"keys": {"A": "1", "B": "2"}})),
        ("UsernamePassword", value!({"username": "u", "password": "p", "securityToken": null})),
        ("PAT", value!({"pat": "p"})),
        ("SAS", value!({"sas": "s"})),
        ("AccessKey", value!({"accessKeyId": "i", "secretAccessKey": "k"})),
        ("ServicePrincipal", value!({"clientId": "c", "clientSecret": "s", "tenantId": "t"})),
        ("ManagedIdentity", value!({"clientId": "c", "resourceId": "r"})),
        ("OAuth2", value!({"clientId": "c", "clientSecret": "s", "refreshToken": "r"})),
        ("AgenticIdentityToken", value!({"anything": ["at", "all"]})),
    ];
    for (kind, credentials) in kinds {
        rig.emulator.put_connection("ws", ConnectionSpec::new("one", kind, credentials.clone()));
        let secret = json(secrets_of(&rig, &token, "one"));
        let properties = &secret["properties"];
        assert_eq!((&properties["authType"], &properties["credentials"]), (&kind.into(), &credentials));
    }
    for kind in ["AAD", "None"] {
        rig.emulator.put_connection("ws", ConnectionSpec::without_credentials("one", kind));
        assert!(json(secrets_of(&rig, &token, "one"))["properties"].get("credentials").is_none(), "{kind}");
    }
    let keys = ConnectionSpec::custom_keys("one", &[("A", "1")]);
    rig.emulator.put_connection("ws", keys);
    assert_eq!(json(secrets_of(&rig, &token, "one"))["properties"]["credentials"]["keys"]["A"], "1");
}

#[test]
fn each_put_moves_the_time_of_the_last_change() {
    let (rig, token) = rig();
    let changed = || json(get(&rig, &token, "/aoai"))["systemData"]["lastModifiedAt"].as_str().unwrap().to_owned();
    let first = changed();
    assert_eq!(changed(), first);
    rig.emulator.put_connection("WS", ConnectionSpec::api_key("AOAI", "first"));
    assert!(changed() > first, "{} {first}", changed());
    assert!(rig.emulator.delete_connection("ws", "aoai") && !rig.emulator.delete_connection("ws", "aoai"));
    let old = format!("{}?api-version=2023-04-01-preview", url(&rig, ""));
    rig.emulator.put_connection("ws", ConnectionSpec::api_key("aoai", "second"));
    let old = json(rig.client.get(old).bearer_auth(&token).send().unwrap());
    assert_eq!(old["value"][0]["systemData"], Value::Null);
}

#[test]
fn a_list_is_filtered_by_category_and_target() {
    let (rig, token) = rig();
    let spec = ConnectionSpec {
        category: "AzureOpenAi".to_owned(),
        target: Some("https://one.example/".to_owned()),
        ..ConnectionSpec::api_key("openai", "k")
    };
    rig.emulator.put_connection("ws", spec);
    let names = |query: &str| {
        let url = format!("{}?{VERSION}{query}", url(&rig, ""));
        let body = json(rig.client.get(url).bearer_auth(&token).send().unwrap());
        let names = |one: &Value| one["name"].as_str().unwrap().to_owned();
        body["value"].as_array().unwrap().iter().map(names).collect::<Vec<_>>()
    };
    assert_eq!(names(""), ["aoai", "openai"]);
    assert_eq!(names("&category=azureopenai"), ["openai"]);
    assert_eq!(names("&target=https%3A%2F%2Fone.example%2F"), ["openai"]);
    assert!(names("&category=Git").is_empty());
}

#[test]
fn what_is_missing_is_said_by_whoever_misses_it() {
    let (rig, token) = rig();
    let answer = secrets_of(&rig, &token, "none");
    assert_eq!(answer.status(), 404);
    assert!(header(&answer, "x-ms-failure-cause").is_none());
    assert_eq!(header(&answer, "x-ms-response-type"), Some("error"));
    let body = json(answer);
    assert_eq!(body["error"]["message"], "Connection none can't be found in this workspace");
    assert_eq!(body["error"]["innerError"]["code"], "NotFoundError");
    assert_eq!((&body["statusCode"], &body["componentName"]), (&404.into(), &"account-rp".into()));
    let elsewhere = |path: String| {
        let url = format!("{}{path}/connections/aoai?{VERSION}", rig.emulator.management_url());
        rig.client.get(url).bearer_auth(&token).send().unwrap()
    };
    let answer = elsewhere(Workspace::from("other").id());
    assert_eq!(header(&answer, "x-ms-failure-cause"), Some("gateway"));
    assert_eq!(code(answer), (404, "ResourceNotFound".into()));
    let foreign = Workspace { subscription: "s".to_owned(), ..Workspace::from("ws") };
    assert_eq!(code(elsewhere(foreign.id())), (404, "SubscriptionNotFound".into()));
}

#[test]
fn a_token_must_be_there_known_current_and_for_the_resource_manager() {
    let (rig, token) = rig();
    let bare = rig.client.get(format!("{}?{VERSION}", url(&rig, "/aoai"))).send().unwrap();
    assert!(header(&bare, "www-authenticate").unwrap().starts_with("Bearer authorization_uri="));
    assert_eq!(code(bare), (401, "AuthenticationFailed".into()));
    assert_eq!(code(get(&rig, "made.up.token", "/aoai")), (401, "InvalidAuthenticationToken".into()));
    assert_eq!(code(get(&rig, &rig.token(), "/aoai")), (401, "InvalidAuthenticationTokenAudience".into()));
    assert_eq!(rig.get(&format!("/secrets/a?{API}"), &token).status(), 401, "nor does the vault take the other");
    let tenant = "99999999-9999-4999-8999-999999999999".to_owned();
    rig.emulator.add_app(App { tenant: tenant.clone(), ..App::default() });
    let foreign = json(rig.ask_entra(&tenant, &[("scope", SCOPE)]));
    let foreign = get(&rig, foreign["access_token"].as_str().unwrap(), "/aoai");
    assert_eq!(code(foreign), (401, "InvalidAuthenticationTokenTenant".into()));
    rig.emulator.revoke_tokens();
    assert_eq!(code(get(&rig, &token, "/aoai")), (401, "ExpiredAuthenticationToken".into()));
}

#[test]
fn reading_and_listing_secrets_are_allowed_apart() {
    let (rig, _) = rig();
    let subject = "system:serviceaccount:demo:narrow".to_owned();
    rig.emulator.add_app(App { client_id: "narrow".to_owned(), subject: subject.clone(), ..App::default() });
    let assertion = rig.emulator.federated_token(&Assertion { subject, ..Assertion::default() });
    let changes = [("client_id", "narrow"), ("client_assertion", assertion.as_str()), ("scope", SCOPE)];
    let token = rig.token_with(&changes);
    let refused = secrets_of(&rig, &token, "aoai");
    assert_eq!(refused.status(), 403);
    let message = json(refused)["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("The client 'narrow' with object id '"), "{message}");
    assert!(message.contains("/workspaces/connections/listsecrets/action' over scope '/subscriptions/"), "{message}");
    rig.emulator.allow_connections("narrow", "ws", ConnectionPermission::ListSecrets, Some("aoai"));
    assert_eq!(secrets_of(&rig, &token, "aoai").status(), 200);
    assert_eq!(code(get(&rig, &token, "/aoai")), (403, "AuthorizationFailed".into()));
    rig.emulator.allow_connections("narrow", "ws", ConnectionPermission::Read, None);
    assert_eq!(
        (get(&rig, &token, "/aoai").status(), get(&rig, &token, "").status()),
        (200.try_into().unwrap(), 200.try_into().unwrap())
    );
    assert_eq!(secrets_of(&rig, &token, "other").status(), 403, "before anybody says whether it exists");
    rig.emulator.deny_connections(DEFAULT_CLIENT, "ws", ConnectionPermission::Read, Some("aoai"));
    assert_eq!(get(&rig, &rig.token_with(&[("scope", SCOPE)]), "/aoai").status(), 403);
}

#[test]
fn a_request_must_be_well_formed() {
    let (rig, token) = rig();
    let without_version = rig.client.get(url(&rig, "/aoai")).bearer_auth(&token).send().unwrap();
    assert_eq!(code(without_version), (400, "MissingApiVersionParameter".into()));
    let wrong_method = rig.client.get(format!("{}?{VERSION}", url(&rig, "/aoai/listsecrets"))).bearer_auth(&token);
    assert_eq!(wrong_method.send().unwrap().status(), 405);
    let too_old = format!("{}?api-version=2022-10-01", url(&rig, "/aoai/listsecrets"));
    let too_old = rig.client.post(too_old).bearer_auth(&token).header("content-length", "0").send().unwrap();
    assert_eq!(code(too_old), (400, "NoRegisteredProviderFound".into()));
}

#[test]
fn a_post_without_a_length_is_refused_before_anything_else() {
    use std::io::Write;
    let rig = Rig::with(Settings { http2: false, ..Settings::default() });
    rig.emulator.put_connection("ws", ConnectionSpec::api_key("aoai", "k"));
    let mut tls = crate::client::tls(&rig.emulator);
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let host = "management.localhost".try_into().unwrap();
    let connection = rustls::ClientConnection::new(std::sync::Arc::new(tls), host).unwrap();
    let tcp = std::net::TcpStream::connect(rig.emulator.address(keyferry_emulator::Service::ResourceManager)).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, tcp);
    let path = format!("{}/connections/aoai/listsecrets?{VERSION}", Workspace::from("ws").id());
    stream.write_all(format!("POST {path} HTTP/1.1\r\nHost: management.localhost\r\n\r\n").as_bytes()).unwrap();
    let mut bytes = [0; 512];
    let read = stream.read(&mut bytes).unwrap();
    assert!(String::from_utf8_lossy(&bytes[..read]).starts_with("HTTP/1.1 411 "));
}

#[test]
fn reads_and_writes_are_counted_apart() {
    let settings = Settings {
        read_bucket: Bucket { size: 250, per_second: 0 },
        write_bucket: Bucket { size: 2, per_second: 0 },
        ..Settings::default()
    };
    let rig = Rig::with(settings);
    rig.emulator.put_connection("ws", ConnectionSpec::api_key("aoai", "k"));
    let token = rig.token_with(&[("scope", SCOPE)]);
    for left in ["1", "0"] {
        let answer = secrets_of(&rig, &token, "aoai");
        assert_eq!(header(&answer, "x-ms-ratelimit-remaining-subscription-writes"), Some(left));
    }
    let throttled = secrets_of(&rig, &token, "aoai");
    assert!(header(&throttled, "retry-after").unwrap().parse::<u64>().unwrap() > 0);
    let error = json(throttled)["error"].clone();
    assert_eq!(error["code"], "SubscriptionRequestsThrottled");
    assert!(error["message"].as_str().unwrap().contains(DEFAULT_SUBSCRIPTION));
    let read = get(&rig, &token, "/aoai");
    assert_eq!(header(&read, "x-ms-ratelimit-remaining-subscription-reads"), Some("249"));
}

#[test]
fn an_answer_is_compressed_only_for_those_who_offer() {
    let (rig, token) = rig();
    let plain = get(&rig, &token, "/aoai");
    assert!(header(&plain, "content-encoding").is_none() && header(&plain, "content-length").is_some());
    let plain = json(plain);
    let request = rig.client.get(format!("{}?{VERSION}", url(&rig, "/aoai"))).bearer_auth(&token);
    let packed = request.header("accept-encoding", "deflate, gzip;q=1.0").send().unwrap();
    assert_eq!((header(&packed, "content-encoding"), header(&packed, "content-length")), (Some("gzip"), None));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed.bytes().unwrap()[..]).read_to_string(&mut text).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), plain);
}

#[test]
fn faults_strike_one_connection_or_one_deed() {
    let (rig, token) = rig();
    rig.emulator.put_connection("ws", ConnectionSpec::api_key("other", "k"));
    let throttle = Misbehaviour::Throttle { retry_after: Some("0".to_owned()) };
    rig.emulator.fault(Fault::resource_manager(throttle).of_workspace("WS").of_connection("AOAI").times(1));
    assert_eq!(secrets_of(&rig, &token, "other").status(), 200);
    let throttled = secrets_of(&rig, &token, "aoai");
    assert_eq!(header(&throttled, "retry-after"), Some("0"));
    assert_eq!(code(throttled), (429, "SubscriptionRequestsThrottled".into()));
    let failed = Misbehaviour::Status { status: 500 };
    rig.emulator.fault(Fault::resource_manager(failed).of_operation(Operation::ListSecrets));
    assert_eq!(get(&rig, &token, "/aoai").status(), 200);
    assert_eq!(code(secrets_of(&rig, &token, "aoai")), (500, "InternalServerError".into()));
    rig.emulator.clear_faults();
    let edited = Misbehaviour::Member { at: "/properties/credentials/key".to_owned(), value: value!(null) };
    rig.emulator.fault(Fault::resource_manager(edited).times(1));
    assert_eq!(json(secrets_of(&rig, &token, "aoai"))["properties"]["credentials"], value!({"key": null}));
    rig.emulator.fault(Fault::resource_manager(Misbehaviour::Hold));
    let url = format!("{}?{VERSION}", url(&rig, "/aoai"));
    let held = rig.client.get(url).bearer_auth(&token).timeout(Duration::from_millis(50)).send();
    assert!(held.unwrap_err().is_timeout());
}

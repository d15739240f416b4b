//! Managed identities: three endpoints, each with its own manners, whose tokens the vault takes.

use std::time::Duration;

use keyferry_emulator::{
    DEFAULT_SYSTEM_IDENTITY, ExpiresOn, Fault, ManagedIdentity, Misbehaviour, Permission, Service, Settings,
};
use reqwest::blocking::Response;
use serde_json::Value;

use crate::client::{API, Rig, header, json};

const VAULT: &str = "https://vault.localhost";

/// Asks a virtual machine's endpoint, with the header it wants.
fn ask_imds(rig: &Rig, query: &str) -> Response {
    let url = format!("{}/metadata/identity/oauth2/token?api-version=2018-02-01&{query}", rig.emulator.imds_url());
    rig.client.get(url).header("Metadata", "true").send().unwrap()
}

fn ask_app_service(rig: &Rig, query: &str) -> Response {
    let environment = rig.emulator.app_service_environment();
    let url = format!("{}?api-version=2019-08-01&{query}", environment["IDENTITY_ENDPOINT"]);
    rig.client.get(url).header("X-IDENTITY-HEADER", &environment["IDENTITY_HEADER"]).send().unwrap()
}

fn ask_azure_ml(rig: &Rig, query: &str) -> Response {
    let environment = rig.emulator.azure_ml_environment();
    let url = format!("{}?api-version=2017-09-01&{query}", environment["MSI_ENDPOINT"]);
    rig.client.get(url).header("secret", &environment["MSI_SECRET"]).send().unwrap()
}

type Ask = fn(&Rig, &str) -> Response;

const ALL: [(Service, Ask); 3] =
    [(Service::Imds, ask_imds), (Service::AppService, ask_app_service), (Service::AzureMl, ask_azure_ml)];

fn members(body: &Value) -> Vec<&str> {
    body.as_object().unwrap().keys().map(String::as_str).collect()
}

fn error(answer: Response) -> (u16, Value, Value) {
    let status = answer.status().as_u16();
    let body = json(answer);
    (status, body["error"].clone(), body["error_description"].clone())
}

#[test]
fn each_endpoint_hands_out_a_token_that_the_vault_takes() {
    let rig = Rig::new();
    rig.emulator.put_secret("demo", "a", "1");
    for (service, ask) in ALL {
        let body = json(ask(&rig, &format!("resource={VAULT}")));
        let token = body["access_token"].as_str().unwrap();
        assert_eq!(rig.get(&format!("/secrets/a?{API}"), token).status(), 200, "{service:?}");
        let asked = rig.emulator.requests().into_iter().rfind(|entry| entry.service == service).unwrap();
        assert_eq!(asked.client_id.as_deref(), Some(DEFAULT_SYSTEM_IDENTITY));
        assert_eq!(asked.audience.as_deref(), Some(VAULT));
        // The vault refuses what was asked for with a slash; the endpoints do not care.
        let body = json(ask(&rig, &format!("resource={VAULT}/")));
        let token = body["access_token"].as_str().unwrap();
        assert_eq!(rig.get(&format!("/secrets/a?{API}"), token).status(), 401, "{service:?}");
    }
}

#[test]
fn each_answer_has_the_members_and_types_that_were_seen() {
    let rig = Rig::new();
    let imds = ask_imds(&rig, &format!("resource={VAULT}"));
    assert!(header(&imds, "server").unwrap().starts_with("IMDS/"));
    let imds = json(imds);
    assert_eq!(
        members(&imds),
        [
            "access_token",
            "client_id",
            "expires_in",
            "expires_on",
            "ext_expires_in",
            "not_before",
            "resource",
            "token_type"
        ]
    );
    assert!(imds.as_object().unwrap().values().all(Value::is_string));
    let app_service = json(ask_app_service(&rig, &format!("resource={VAULT}")));
    assert_eq!(members(&app_service), ["access_token", "expires_on", "resource", "token_type", "client_id"]);
    assert!(app_service["expires_on"].is_string());
    let azure_ml = ask_azure_ml(&rig, &format!("resource={VAULT}"));
    assert_eq!(header(&azure_ml, "content-type"), Some("application/json"));
    let azure_ml = json(azure_ml);
    assert_eq!(members(&azure_ml), ["access_token", "expires_in", "expires_on", "resource", "token_type"]);
    assert!(azure_ml["expires_in"].is_i64() && azure_ml["expires_on"].is_i64());
}

#[test]
fn an_identity_is_chosen_by_the_names_each_endpoint_knows() {
    let rig = Rig::new();
    let app = ManagedIdentity::user_assigned("app");
    rig.emulator.add_managed_identity(app.clone());
    rig.emulator.put_secret("demo", "a", "1");
    let (client, object, resource) = (&app.client_id, &app.object_id, &app.resource_id);
    let cases: [(Ask, Vec<String>); 3] = [
        (
            ask_imds,
            vec![format!("client_id={client}"), format!("object_id={object}"), format!("msi_res_id={resource}")],
        ),
        (
            ask_app_service,
            vec![format!("client_id={client}"), format!("principal_id={object}"), format!("mi_res_id={resource}")],
        ),
        (ask_azure_ml, vec![format!("clientid={client}")]),
    ];
    for (ask, selectors) in cases {
        for selector in selectors {
            let body = json(ask(&rig, &format!("resource={VAULT}&{selector}")));
            let token = body["access_token"].as_str().unwrap();
            assert_eq!(rig.emulator.requests().last().unwrap().client_id.as_deref(), Some(client.as_str()));
            assert_eq!(rig.get(&format!("/secrets/a?{API}"), token).status(), 403, "{selector}");
        }
    }
    rig.emulator.allow(client, "demo", Permission::Get, None);
    let body = json(ask_imds(&rig, &format!("resource={VAULT}&client_id={client}")));
    assert_eq!(rig.get(&format!("/secrets/a?{API}"), body["access_token"].as_str().unwrap()).status(), 200);
    // A selector of another endpoint is not seen, so the system-assigned identity answers.
    for (ask, selector) in
        [(ask_imds as Ask, "mi_res_id"), (ask_app_service, "msi_res_id"), (ask_azure_ml, "client_id")]
    {
        ask(&rig, &format!("resource={VAULT}&{selector}=whatever"));
        let seen = rig.emulator.requests().last().unwrap().client_id.clone();
        assert_eq!(seen.as_deref(), Some(DEFAULT_SYSTEM_IDENTITY), "{selector}");
    }
}

#[test]
fn a_virtual_machine_refuses_in_the_recorded_words() {
    let rig = Rig::new();
    let refused = |description: &str| (400, Value::from("invalid_request"), Value::from(description));
    let url =
        format!("{}/metadata/identity/oauth2/token?api-version=2018-02-01&resource={VAULT}", rig.emulator.imds_url());
    for header in [None, Some("True")] {
        let request = header.into_iter().fold(rig.client.get(&url), |request, value| request.header("Metadata", value));
        assert_eq!(error(request.send().unwrap()), refused("Required metadata header not specified"));
    }
    let unknown = ask_imds(&rig, &format!("resource={VAULT}&client_id=unknown"));
    assert_eq!(error(unknown), refused("Identity not found"));
    rig.emulator.set_system_identity(None);
    assert_eq!(error(ask_imds(&rig, &format!("resource={VAULT}"))), refused("Identity not found"));
    rig.emulator.add_managed_identity(ManagedIdentity::user_assigned("one"));
    assert_eq!(ask_imds(&rig, &format!("resource={VAULT}")).status(), 200, "the only one there is");
    rig.emulator.add_managed_identity(ManagedIdentity::user_assigned("two"));
    let (status, _, description) = error(ask_imds(&rig, &format!("resource={VAULT}")));
    assert!(status == 400 && description.as_str().unwrap().starts_with("Multiple user assigned identities"));
    let one = format!("client_id={}", ManagedIdentity::system_assigned().client_id);
    rig.emulator.set_system_identity(Some(ManagedIdentity::system_assigned()));
    assert_eq!(error(ask_imds(&rig, &format!("resource=https://unknown.example&{one}"))).1, "invalid_resource");
    for query in ["", "resource="] {
        assert_eq!(error(ask_imds(&rig, query)).0, 400);
    }
    let bare = format!("{}/metadata/identity/oauth2/token?resource={VAULT}", rig.emulator.imds_url());
    assert_eq!(error(rig.client.get(bare).header("Metadata", "true").send().unwrap()).0, 400, "api-version");
}

#[test]
fn the_platforms_want_their_secret_headers() {
    let rig = Rig::new();
    let app_service = rig.emulator.app_service_environment();
    let url = format!("{}?api-version=2019-08-01&resource={VAULT}", app_service["IDENTITY_ENDPOINT"]);
    let answer = rig.client.get(url).header("X-IDENTITY-HEADER", "wrong").send().unwrap();
    assert_eq!(answer.status(), 401);
    let body = json(answer);
    assert_eq!((members(&body), &body["statusCode"]), (vec!["statusCode", "message", "correlationId"], &401.into()));
    let azure_ml = rig.emulator.azure_ml_environment();
    let url = format!("{}?api-version=2017-09-01&resource={VAULT}", azure_ml["MSI_ENDPOINT"]);
    let answer = rig.client.get(url).header("Metadata", "true").send().unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.text().unwrap(), "Invalid secret token header: .");
}

#[test]
fn azure_ml_minds_the_case_of_the_resource() {
    let rig = Rig::new();
    assert_eq!(ask_azure_ml(&rig, "resource=https://Vault.localhost").status(), 400);
    assert_eq!(ask_imds(&rig, "resource=https://Vault.localhost").status(), 200);
}

#[test]
fn azure_ml_can_insist_on_a_client_id() {
    assert_eq!(ask_azure_ml(&Rig::new(), &format!("resource={VAULT}")).status(), 200);
    let rig = Rig::with(Settings { azure_ml_needs_client_id: true, ..Settings::default() });
    assert_eq!(ask_azure_ml(&rig, &format!("resource={VAULT}")).status(), 400);
    let client = rig.emulator.azure_ml_environment()["DEFAULT_IDENTITY_CLIENT_ID"].clone();
    assert_eq!(ask_azure_ml(&rig, &format!("resource={VAULT}&clientid={client}")).status(), 200);
}

#[test]
fn app_service_can_write_the_expiry_as_a_date() {
    for (expires_on, length) in [(ExpiresOn::MonthFirst, 19), (ExpiresOn::YearFirst, 19), (ExpiresOn::Rfc3339, 20)] {
        let rig = Rig::with(Settings { expires_on, ..Settings::default() });
        let body = json(ask_app_service(&rig, &format!("resource={VAULT}")));
        assert_eq!(body["expires_on"].as_str().unwrap().len(), length);
    }
    let rig = Rig::with(Settings { expires_on: ExpiresOn::Number, ..Settings::default() });
    assert!(json(ask_app_service(&rig, &format!("resource={VAULT}")))["expires_on"].is_i64());
}

#[test]
fn the_endpoints_fail_each_in_its_own_way() {
    let rig = Rig::new();
    let resource = format!("resource={VAULT}");
    for status in [404, 410, 429, 500] {
        rig.emulator.fault(Fault::imds(Misbehaviour::Status { status }).times(1));
        let (seen, error, description) = error(ask_imds(&rig, &resource));
        assert!(seen == status && error.is_string() && description.is_string(), "{status}");
    }
    rig.emulator.fault(Fault::imds(Misbehaviour::Intercepted).times(1));
    let intercepted = ask_imds(&rig, &resource);
    assert_eq!(intercepted.status(), 500);
    assert!(header(&intercepted, "content-type").unwrap().starts_with("text/plain"));
    rig.emulator.fault(Fault::app_service(Misbehaviour::Status { status: 503 }).times(1));
    assert_eq!(json(ask_app_service(&rig, &resource))["statusCode"], 503);
    rig.emulator.fault(Fault::azure_ml(Misbehaviour::Throttle { retry_after: Some("1".to_owned()) }).times(1));
    assert_eq!(header(&ask_azure_ml(&rig, &resource), "retry-after"), Some("1"));
    let delay = Duration::from_millis(60);
    rig.emulator.fault(Fault::imds(Misbehaviour::Slow { delay }).times(1));
    let started = std::time::Instant::now();
    assert_eq!(ask_imds(&rig, &resource).status(), 200);
    assert!(started.elapsed() >= delay);
}

#[test]
fn an_endpoint_is_stopped_and_started_apart_from_the_others() {
    let rig = Rig::new();
    rig.emulator.stop(Service::Imds).unwrap();
    assert!(rig.client.get(rig.emulator.imds_url()).send().unwrap_err().is_connect());
    assert_eq!(ask_app_service(&rig, &format!("resource={VAULT}")).status(), 200);
    rig.emulator.start_again(Service::Imds).unwrap();
    assert_eq!(ask_imds(&rig, &format!("resource={VAULT}")).status(), 200);
    let counters = rig.emulator.counters();
    assert_eq!((counters.imds_connections, counters.app_service_connections, counters.azure_ml_connections), (1, 1, 0));
    assert_eq!(rig.emulator.names().vault_audience, VAULT);
}

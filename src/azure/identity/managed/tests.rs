use azure_core::http::headers::{HeaderName, Headers};

use super::*;
use crate::config::nearby::Nearby as Address;
use crate::metrics::Metrics;

const ID: &str = "11111111-1111-1111-1111-111111111111";

fn at(platform: fn(Address) -> Platform, which: Which) -> Managed {
    let platform = platform(Address::parse("http://127.0.0.1:81/x?y=z", "").unwrap());
    let variables = [IDENTITY_HEADER, MSI_SECRET].map(|name| (name, Arc::new(SecretValue::new(b"hunter2".to_vec()))));
    let settings = Settings {
        authorities: Vec::new(),
        proxy: None,
        no_proxy: None,
        variables: variables.into(),
        metrics: Metrics::new([0; 16]),
    };
    Managed::new(&crate::config::identity::Managed { platform, which }, &settings).unwrap()
}

#[test]
fn each_platform_is_asked_in_its_dialect() {
    let id = || ID.to_owned();
    let table = [
        (at(Platform::Imds, Which::System), "2018-02-01", "", "metadata", "true"),
        (at(Platform::Imds, Which::Client(id())), "2018-02-01", "&client_id=", "metadata", "true"),
        (at(Platform::Imds, Which::Object(id())), "2018-02-01", "&object_id=", "metadata", "true"),
        (at(Platform::Imds, Which::Resource(id())), "2018-02-01", "&msi_res_id=", "metadata", "true"),
        (at(Platform::AppService, Which::Client(id())), "2019-08-01", "&client_id=", "x-identity-header", "hunter2"),
        (at(Platform::AppService, Which::Resource(id())), "2019-08-01", "&mi_res_id=", "x-identity-header", "hunter2"),
        (at(Platform::AzureMl, Which::System), "2017-09-01", "", "secret", "hunter2"),
        (at(Platform::AzureMl, Which::Client(id())), "2017-09-01", "&clientid=", "secret", "hunter2"),
    ];
    for (managed, version, selector, name, value) in table {
        let url = managed.url("https://vault.azure.net/.default").unwrap();
        let selector = if selector.is_empty() { String::new() } else { format!("{selector}{ID}") };
        let query = format!("y=z&api-version={version}&resource=https%3A%2F%2Fvault.azure.net{selector}");
        assert_eq!(url.as_str(), format!("http://127.0.0.1:81/x?{query}"));
        let header = managed.header().unwrap();
        assert_eq!((header.0, header.1.as_bytes()), (name, value.as_bytes()));
        let own = managed.url("api://Payments/.default").unwrap();
        assert!(own.as_str().contains("resource=api%3A%2F%2FPayments"), "{own}");
        assert!(!format!("{managed:?}").contains("hunter2"));
    }
}

#[test]
fn refusals_are_told_apart_and_never_repeated() {
    let imds = at(Platform::Imds, Which::System);
    let app = at(Platform::AppService, Which::System);
    let ml = at(Platform::AzureMl, Which::System);
    let not_found = r#"{"error":"invalid_request","error_description":"Identity not found"}"#;
    let several = r#"{"error":"invalid_request","error_description":"Multiple user assigned identities exist, …"}"#;
    let table = [
        (&imds, 400, not_found, Kind::Missing, "identity-not-found"),
        (&imds, 400, several, Kind::Misconfigured, "several-identities"),
        (&imds, 400, r#"{"error":"invalid_resource"}"#, Kind::Misconfigured, "imds-invalid-resource"),
        (&imds, 400, "hunter2", Kind::Denied, "imds-http-400"),
        (&imds, 403, "", Kind::Denied, "imds-http-403"),
        (&imds, 404, "<html>", Kind::Outage, "imds-updating"),
        (&imds, 410, "", Kind::Outage, "imds-updating"),
        (&imds, 429, "", Kind::Throttled, "imds-throttled"),
        (&imds, 500, "hunter2", Kind::Outage, "imds-http-500"),
        (&imds, 302, "", Kind::Outage, "imds-http-302"),
        (&app, 401, "hunter2", Kind::Denied, "identity-endpoint-refuses-the-secret"),
        (&app, 400, "No Managed Identity found for specified ClientId", Kind::Missing, "identity-not-found"),
        (&app, 400, "AADSTS500011: hunter2", Kind::Misconfigured, "identity-endpoint-invalid-resource"),
        (&app, 400, "AADSTS700016: hunter2", Kind::Misconfigured, "AADSTS700016"),
        (&app, 500, "AADSTS50196: hunter2", Kind::Throttled, "AADSTS50196"),
        (&app, 400, "AADSTS90033: hunter2", Kind::Outage, "AADSTS90033"),
        (&app, 404, "", Kind::Outage, "identity-endpoint-http-404"),
        (&ml, 400, "Invalid secret token header: hunter2.", Kind::Denied, "msi-endpoint-refuses-the-secret"),
        (&ml, 429, "", Kind::Throttled, "msi-endpoint-throttled"),
    ];
    for (managed, status, body, kind, code) in table {
        let mut headers = Headers::new();
        headers.insert(HeaderName::from_static("retry-after"), "7");
        let response = RawResponse::from_bytes(u16::into(status), headers, body.as_bytes().to_vec());
        let failure = managed.refused(&response);
        // An audience that nobody knows is no trouble of the others'.
        let blame = if code.ends_with("invalid-resource") { Blame::Object } else { Blame::Identity };
        assert_eq!((failure.blame, failure.kind, failure.code.as_str()), (blame, kind, code), "{body}");
        assert_eq!(failure.after, Some(Duration::from_secs(7)));
        assert!(!format!("{failure} {failure:?}").contains("hunter2"), "{failure:?}");
    }
}

#[test]
fn a_token_needs_an_end_and_printable_letters() {
    let now = UnixTime::from_seconds(1_700_000_000).unwrap();
    let managed = at(Platform::AzureMl, Which::System);
    let life = |body: &str| managed.granted(body.as_bytes(), now).map(|(_, life)| life.as_secs());
    assert_eq!(life(r#"{"access_token":"a","expires_in":86000,"expires_on":1700086400}"#), Ok(86400));
    assert_eq!(life(r#"{"access_token":"a","expires_in":"86000","refresh_token":""}"#), Ok(86000));
    for body in [
        "",
        "null",
        r#"{"access_token":"","expires_in":1}"#,
        r#"{"access_token":"hunter2\n","expires_in":1}"#,
        r#"{"access_token":"hunter2"}"#,
        r#"{"access_token":"hunter2","expires_on":1,"expires_in":0}"#,
        r#"{"access_token":["hunter2"],"expires_in":1}"#,
    ] {
        let failure = managed.granted(body.as_bytes(), now).unwrap_err();
        assert_eq!(failure.code.as_str(), "msi-endpoint-bad-answer");
        assert!(!format!("{failure:?}").contains("hunter2"));
    }
}

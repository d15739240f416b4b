//! Another domain: names, audiences and certificates are all of it.

use keyferry_emulator::{ConnectionSpec, DEFAULT_TENANT, Emulator, Error, Settings, Workspace};

use crate::client::{API, Rig, header, json};

fn rig() -> Rig {
    Rig::with(Settings { domain: "azure.example".to_owned(), ..Settings::default() })
}

fn token(rig: &Rig, scope: &str) -> String {
    rig.token_with(&[("scope", scope)])
}

#[test]
fn a_vault_of_another_domain_asks_for_a_token_of_its_authority_and_takes_it() {
    let rig = rig();
    rig.emulator.put_secret("demo", "a", "1");
    assert!(rig.emulator.authority().starts_with("https://login.azure.example:"));
    assert!(rig.emulator.vault_url("demo").starts_with("https://demo.vault.azure.example:"));
    let challenge = rig.client.get(rig.url(&format!("/secrets/a?{API}"))).send().unwrap();
    let expected = format!(
        "Bearer authorization=\"{}{DEFAULT_TENANT}\", resource=\"https://vault.azure.example\"",
        rig.emulator.authority()
    );
    assert_eq!(header(&challenge, "www-authenticate"), Some(&*expected));
    let body = json(rig.get(&format!("/secrets/a?{API}"), &token(&rig, "https://vault.azure.example/.default")));
    assert!(body["id"].as_str().unwrap().starts_with("https://demo.vault.azure.example"));
}

#[test]
fn the_audiences_of_the_usual_domain_are_unknown_there() {
    let rig = rig();
    for audience in ["https://vault.localhost", "https://management.localhost/", "https://cognitiveservices.localhost"]
    {
        let refused = json(rig.ask_entra(DEFAULT_TENANT, &[("scope", &format!("{audience}/.default"))]));
        assert_eq!(refused["error_codes"][0], 500_011, "{audience}");
    }
}

#[test]
fn the_resource_manager_and_azure_openai_are_of_the_domain_too() {
    let rig = rig();
    let workspace = Workspace::from("ws");
    rig.emulator.put_connection(workspace.clone(), ConnectionSpec::api_key("aoai", "key"));
    let list = format!("{}{}/connections?api-version=2024-10-01", rig.emulator.management_url(), workspace.id());
    let manager = token(&rig, "https://management.azure.example//.default");
    assert_eq!(rig.client.get(list).bearer_auth(manager).send().unwrap().status(), 200);
    let openai = rig.emulator.openai_url("demo");
    assert!(openai.starts_with("https://demo.openai.azure.example:"));
    let url = format!("{openai}/openai/deployments/gpt/chat/completions?api-version=2024-10-21");
    let ask = |token: &str| rig.client.post(&url).bearer_auth(token).body(r#"{"messages": [{}]}"#).send().unwrap();
    assert_eq!(ask(&token(&rig, "https://cognitiveservices.azure.example/.default")).status(), 200);
    assert_eq!(ask(&token(&rig, "https://vault.azure.example/.default")).status(), 401);
}

#[test]
fn what_is_no_domain_name_is_refused_at_the_start() {
    let settings = Settings { domain: "https://azure.example".to_owned(), ..Settings::default() };
    let error = Emulator::start(settings).unwrap_err();
    assert!(matches!(error, Error::Domain(_)));
    assert_eq!(error.to_string(), "'https://azure.example' is not a domain name");
}

//! Lists: pages, their links, and what is in them.

use keyferry_emulator::{SecretSpec, Settings};
use serde_json::Value;

use crate::client::{API, Rig, json, pages};

fn sizes(pages: &[Vec<Value>]) -> Vec<usize> {
    pages.iter().map(Vec::len).collect()
}

fn with_secrets(settings: Settings, count: usize) -> Rig {
    let rig = Rig::with(settings);
    for number in 0..count {
        rig.emulator.put_secret("demo", &format!("s{number:03}"), "v");
    }
    rig
}

#[test]
fn a_page_has_25_entries_without_value_or_version() {
    let rig = with_secrets(Settings::default(), 60);
    let pages = pages(&rig, &format!("/secrets?{API}"));
    assert_eq!(sizes(&pages), [25, 25, 10]);
    let first = pages[0][0].as_object().unwrap();
    assert_eq!(first.keys().collect::<Vec<_>>(), ["id", "attributes"]);
    assert_eq!(first["id"], rig.url("/secrets/s000"));
}

#[test]
fn an_exact_page_has_no_page_behind_it() {
    assert_eq!(sizes(&pages(&with_secrets(Settings::default(), 25), &format!("/secrets?{API}"))), [25]);
    assert_eq!(sizes(&pages(&with_secrets(Settings::default(), 0), &format!("/secrets?{API}"))), [0]);
}

#[test]
fn a_link_names_the_port_and_repeats_what_was_asked() {
    let rig = with_secrets(Settings { shown_vault_port: Some(443), ..Settings::default() }, 3);
    // The client's own URL has the true port; only the links pretend.
    let url = |query: &str| {
        let port = rig.emulator.address(keyferry_emulator::Service::Vault).port();
        format!("https://demo.vault.localhost:{port}/secrets?{query}")
    };
    let answer = rig.client.get(url("api-version=7.3&maxresults=2")).bearer_auth(rig.token()).send().unwrap();
    let body = json(answer);
    let link = body["nextLink"].as_str().unwrap();
    assert!(link.starts_with("https://demo.vault.localhost:443/secrets?api-version=7.3&$skiptoken="), "{link}");
    assert!(link.ends_with("&maxresults=2"), "{link}");
    assert_eq!(body["value"][0]["id"], "https://demo.vault.localhost/secrets/s000");
}

#[test]
fn empty_pages_lead_on() {
    let rig = with_secrets(Settings { empty_pages: true, ..Settings::default() }, 5);
    assert_eq!(sizes(&pages(&rig, &format!("/secrets?{API}&maxresults=2"))), [2, 0, 2, 0, 1]);
    rig.emulator.set_empty_pages(false);
    assert_eq!(sizes(&pages(&rig, &format!("/secrets?{API}&maxresults=2"))), [2, 2, 1]);
}

#[test]
fn versions_come_by_id_and_a_missing_secret_has_none() {
    let rig = Rig::new();
    for version in ["ff", "00", "7f"] {
        let spec = SecretSpec { version: Some(version.to_owned()), created: Some(5), ..SecretSpec::new("a", version) };
        rig.emulator.put_secret_with("demo", spec);
    }
    let ids: Vec<Value> =
        pages(&rig, &format!("/secrets/a/versions?{API}")).concat().iter().map(|item| item["id"].clone()).collect();
    assert_eq!(ids, ["00", "7f", "ff"].map(|version| rig.url(&format!("/secrets/a/{version}"))));
    let latest = json(rig.get(&format!("/secrets/a?{API}"), &rig.token()));
    assert_eq!(latest["value"], "7f");
    assert_eq!(sizes(&pages(&rig, &format!("/secrets/none/versions?{API}"))), [0]);
}

#[test]
fn a_list_shows_disabled_and_certificate_backed_secrets() {
    let rig = Rig::new();
    rig.emulator.put_secret_with("demo", SecretSpec { certificate: true, ..SecretSpec::new("cert", "MIIC") });
    rig.emulator.put_secret_with("demo", SecretSpec { enabled: false, ..SecretSpec::new("off", "v") });
    let items = pages(&rig, &format!("/secrets?{API}")).concat();
    assert_eq!((&items[0]["managed"], &items[0]["contentType"]), (&true.into(), &"application/x-pkcs12".into()));
    assert_eq!(items[1]["attributes"]["enabled"], false);
}

#[test]
fn a_page_size_or_token_out_of_range_is_refused() {
    let rig = Rig::new();
    let token = rig.token();
    for query in ["maxresults=0", "maxresults=26", "maxresults=x", "$skiptoken=!"] {
        assert_eq!(rig.get(&format!("/secrets?{API}&{query}"), &token).status(), 400, "{query}");
    }
}

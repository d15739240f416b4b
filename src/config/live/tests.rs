use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::config::{Settings, load};

fn config(text: &str) -> Config {
    let environment = BTreeMap::from(
        [
            ("AZURE_CLIENT_ID", "11111111-1111-1111-1111-111111111111"),
            ("AZURE_TENANT_ID", "22222222-2222-2222-2222-222222222222"),
            ("AZURE_FEDERATED_TOKEN_FILE", "/token"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let (name, text) = ("test".to_owned(), text.to_owned());
    let read = |_: &Path| Ok("{{ secrets['a'] }}".to_owned());
    load(&Settings { name, text, environment: &environment, allow_custom_cloud: true, read }).unwrap()
}

const OLD: &str = "vaults: {main: {url: https://contoso.vault.azure.net}}\nsecrets: {a: keyvault:main/secrets/a}\n\
                   files: {dir: /run/x}\n";

#[test]
fn secrets_what_shows_them_and_the_rhythm_change_at_once() {
    let new = OLD.replace("{a: keyvault:main/secrets/a}", "{b: keyvault:main/secrets/b}")
        + "refresh: {interval: 1m, settle: 0s}\nstartup: {timeout: 1m}\n";
    let live = config(OLD).live(config(&new)).unwrap();
    assert_eq!(live.waiting, [""; 0]);
    let names: Vec<String> = live.config.secrets.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["b"]);
    assert_eq!(live.config.files[0].include.iter().map(ToString::to_string).collect::<Vec<_>>(), ["b"]);
    assert_eq!(live.config.refresh.interval, Duration::from_mins(1));
}

#[test]
fn what_is_made_of_secrets_changes_at_once() {
    let new = format!(
        "{OLD}env: {{A: {{secret: a}}}}\ntemplates: [{{dir: /run/x, destination: t, source: /t.j2}}, \
         {{dir: /run/x, destination: u, contents: x}}]\n"
    );
    let live = config(OLD).live(config(&new)).unwrap();
    assert_eq!(live.waiting, [""; 0]);
    assert_eq!(live.config, config(&new));
    assert_eq!(live.config.files[0].rendered.len(), 2);
    assert_eq!(live.config.template_files, BTreeSet::from([PathBuf::from("/t.j2")]));
    // So it does beside what has to wait; the directory's mode is the running one's.
    let live = config(OLD).live(config(&new.replace("{dir: /run/x}", "{dir: /run/x, group: 3000}"))).unwrap();
    assert_eq!(live.waiting, ["files"]);
    assert_eq!(live.config.files[0].rendered[&PathBuf::from("t")].mode, 0o400);
}

#[test]
fn everything_else_waits_and_is_named() {
    let guid = "33333333-3333-3333-3333-333333333333";
    let cases = [
        ("identity: {managed: {}}".to_owned(), "identity"),
        (
            format!(
                "workspace: /subscriptions/{guid}/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
            ),
            "workspace",
        ),
        ("tls: {caFile: /ca.pem}".to_owned(), "tls"),
        ("allowDisk: true".to_owned(), "allowDisk"),
        ("onChange: [{http: {url: \"http://127.0.0.1:1/\"}}]".to_owned(), "onChange"),
        ("onRevoked: remove".to_owned(), "onRevoked"),
        ("reloadConfig: true".to_owned(), "reloadConfig"),
    ];
    for (line, key) in cases {
        let live = config(OLD).live(config(&format!("{OLD}{line}\n"))).unwrap();
        assert_eq!(live.waiting, [key], "{line}");
        assert_eq!(live.config, config(OLD));
    }
    let moved = OLD.replace("/run/x", "/run/y").replace("{a:", "{b:");
    let live = config(OLD).live(config(&moved)).unwrap();
    assert_eq!(live.waiting, ["files"]);
    assert_eq!(live.config.files[0].dir.to_str(), Some("/run/x"));
    assert!(live.config.files[0].include.is_empty(), "the new configuration shows nothing here");
}

#[test]
fn a_secret_of_what_waits_is_where_the_running_configuration_has_it() {
    let moved = OLD.replace("contoso", "fabrikam");
    let live = config(OLD).live(config(&moved)).unwrap();
    assert_eq!((live.waiting.as_slice(), &live.config), (&["vaults"][..], &config(OLD)));
    let renamed = OLD.replace("main", "other");
    let wrong = config(OLD).live(config(&renamed)).unwrap_err();
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(wrong[0].starts_with("secret a (keyvault:other/secrets/a): 'other' is no alias"), "{wrong:?}");
}

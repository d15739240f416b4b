use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::reference::{Collection, Workspace};

const WORKSPACE: &str = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/rg/providers/\
                         Microsoft.MachineLearningServices/workspaces/ws";
const CUSTOM: &str = "authorityHost: https://login.rig.example, vaultSuffix: vault.rig.example";

/// As in a pod with workload identity; whatever file a template is in, it holds one secret.
pub(super) fn config(text: &str) -> Config {
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

fn object(config: &Config, text: &str) -> Result<Object, String> {
    config.object(&Reference::parse(text)?)
}

#[test]
fn the_configurations_workspace_is_the_one_of_connections_that_name_none() {
    let with = config(&format!("workspace: {}", WORKSPACE.to_uppercase()));
    let plain = object(&with, "azureml://connections/aoai/credentials/key").unwrap();
    for same in [
        "azureml://connections/AOAI",
        "azureml://connections/aoai/metadata/x",
        "azureml://subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/RG/workspaces/WS/connections/aoai",
    ] {
        assert_eq!(object(&with, same).unwrap(), plain, "many members of a connection are one object");
    }
    let Object::Connection { identity, workspace, name } = plain else { panic!("it is a connection") };
    assert_eq!(workspace, Workspace::parse_id(WORKSPACE).unwrap());
    assert_eq!((identity.0.as_str(), name.as_str()), ("default", "aoai"));
    let other =
        "azureml://subscriptions/44444444-4444-4444-4444-444444444444/resourceGroups/g/workspaces/w/connections/aoai";
    let Ok(Object::Connection { workspace, .. }) = object(&with, other) else { panic!("it is a connection") };
    assert_eq!(workspace.name(), "w");
    let error = object(&config(""), "azureml://connections/aoai").unwrap_err();
    assert!(error.contains("workspace: /subscriptions/"), "{error}");
}

#[test]
fn a_cloud_without_a_resource_manager_has_no_connections() {
    let without = config(&format!("cloud: {{{CUSTOM}}}\nworkspace: {WORKSPACE}"));
    let error = object(&without, "azureml://connections/aoai").unwrap_err();
    assert!(error.contains("add 'resourceManager: https://…'"), "{error}");
    let with =
        config(&format!("cloud: {{{CUSTOM}, resourceManager: https://arm.rig.example}}\nworkspace: {WORKSPACE}"));
    assert!(object(&with, "azureml://connections/aoai").is_ok());
}

#[test]
fn a_vaults_short_name_is_completed_with_the_clouds_suffix() {
    let text = "@Microsoft.KeyVault(VaultName=Contoso;SecretName=db)";
    for (cloud, host) in [
        ("public".to_owned(), "contoso.vault.azure.net"),
        ("china".to_owned(), "contoso.vault.azure.cn"),
        (format!("{{{CUSTOM}}}"), "contoso.vault.rig.example"),
    ] {
        let Ok(Object::Vault { vault, collection, .. }) = object(&config(&format!("cloud: {cloud}")), text) else {
            panic!("it is a vault's")
        };
        assert_eq!((vault.0.as_str(), collection), (host, Collection::Secret));
    }
    let aliased = "vaults: {main: {url: https://contoso.vault.azure.net, identity: {workload: {}}}}";
    assert_eq!(object(&config(aliased), text).unwrap().identity().unwrap().0, "main", "its alias says who signs in");
    assert!(
        object(&config(""), "@Microsoft.KeyVault(VaultName=ab;SecretName=db)").unwrap_err().contains("no vault's name")
    );
}

#[test]
fn a_token_is_the_default_identitys() {
    let token = object(&config(""), "entra:https://cognitiveservices.azure.com/.default").unwrap();
    assert_eq!(token.identity().unwrap().0, "default");
}

/// What people and enemies put around a host.
const NASTY: &str = "(keyvault:|)(https://|https:/|https:|//|\\\\\\\\|)\
    (contoso|evil\\.example|[a-z]{1,3}|xn--80ak6aa92e|cöntoso|[.@:%\\\\\t\\[\\]#?*]|%2e|%40|user@|:8443|:443|){0,4}\
    (\\.vault\\.azure\\.net|\\.vault\\.azure\\.net\\.|\\.vault。azure。net|\\.VAULT\\.azure\\.net|vault\\.azure\\.net|)\
    (\\.evil\\.example|@evil\\.example|:8443|:443|%00|\\\\|\t| |\\.|#|\\?|)\
    (/|\\\\|//|)(secrets|keys|certificates|\\.\\.|)(/|)([a-z]{1,4}|\\.\\.|%2f|)";

const GOOD: [&str; 6] = [
    "keyvault:https://contoso.vault.azure.net/secrets/a",
    "https://contoso.vault.azure.net/certificates/a/0123456789abcdef0123456789abcdef",
    "@Microsoft.KeyVault(SecretUri=https://contoso.vault.azure.net/secrets/a/)",
    "@Microsoft.KeyVault(VaultName=contoso;SecretName=a)",
    "azureml://connections/a/target",
    "azureml://subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/g/workspaces/w/connections/c",
];

/// Pieces that have led URL parsers astray.
const ODD: &str = "[-.@:/\\\\%#?\t\n\r\0 \\[\\]();=_a0Zß。．／＠\u{200b}\u{ad}]{1,3}|%2e|%2f|%00|\\.evil\\.example|@evil\\.example/|\\.\\./|:8443";

fn assert_asks_only_its_cloud(config: &Config, text: &str, ports: bool) -> Result<bool, TestCaseError> {
    match object(config, text) {
        Err(_) | Ok(Object::File(_)) => return Ok(false),
        Ok(Object::Vault { vault: VaultHost(host), name, .. }) => {
            let (host, port) = host.split_once(':').map_or((host.as_str(), None), |(host, port)| (host, Some(port)));
            prop_assert!(port.is_none_or(|port| ports && port.parse::<u16>().is_ok()), "{}", host);
            let label = host.strip_suffix(config.cloud.vault_suffix.as_str()).and_then(|label| label.strip_suffix('.'));
            let ok = |label: &str| {
                !label.is_empty() && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            };
            prop_assert!(label.is_some_and(ok), "{}", host);
            prop_assert!(name.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
            // As the URL's parser sees it, too: the host we looked at is the host that is asked.
            let url: azure_core::http::Url = format!("https://{host}/").parse().unwrap();
            prop_assert_eq!(url.host_str(), Some(host));
        }
        Ok(Object::Connection { workspace, name, .. }) => {
            let url = format!("https://management.azure.com{workspace}/connections/{name}/listsecrets");
            let url: azure_core::http::Url = url.parse().unwrap();
            prop_assert_eq!(url.host_str(), Some("management.azure.com"));
            prop_assert_eq!(url.path_segments().unwrap().count(), 11);
            prop_assert!(url.query().is_none() && url.fragment().is_none() && url.path().ends_with("/listsecrets"));
        }
        Ok(Object::Token { scope, .. }) => {
            prop_assert!(scope.as_str().ends_with("/.default") && !scope.as_str().contains(['@', '%', '\\', ' ', '?']));
        }
    }
    Ok(true)
}

#[test]
fn the_nasty_host_test_sees_good_ones() {
    let public = config(&format!("workspace: {WORKSPACE}"));
    for good in GOOD {
        assert!(assert_asks_only_its_cloud(&public, good, false).unwrap(), "{good}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_reference_leads_out_of_its_cloud(text in NASTY) {
        assert_asks_only_its_cloud(&config(""), &text, false)?;
        let text = text.replace("vault.azure.net", "vault.rig.example");
        assert_asks_only_its_cloud(&config(&format!("cloud: {{{CUSTOM}}}")), &text, true)?;
    }

    #[test]
    fn no_good_reference_is_led_astray_by_one_odd_piece(which in 0..GOOD.len(), at in 0..200usize, gone in 0..3usize, odd in ODD) {
        let good = GOOD[which];
        let (at, end) = (at % (good.len() + 1), (at % (good.len() + 1) + gone).min(good.len()));
        let text = format!("{}{odd}{}", &good[..at], &good[end..]);
        assert_asks_only_its_cloud(&config(&format!("workspace: {WORKSPACE}")), &text, false)?;
    }

    #[test]
    fn no_app_service_reference_leads_out_of_its_cloud(
        vault in "([a-zA-Z-]{1,9}|[.@:/\\\\%#?\t ]|ö|%2e|evil\\.example){1,4}", name in "\\PC{1,9}",
    ) {
        let text = format!("@Microsoft.KeyVault(VaultName={vault};SecretName={name})");
        assert_asks_only_its_cloud(&config(""), &text, false)?;
    }

    #[test]
    fn no_connection_leads_out_of_its_place(
        group in "([a-zA-Z(-]{1,9}|[.@:/\\\\%#?\t ]|ö|%2e|\\.\\.){1,4}", name in "([a-z0-9]{1,3}|[.@:/\\\\%#?\t ]|\\.\\.|ö){1,4}",
    ) {
        let public = config(&format!("workspace: {WORKSPACE}"));
        assert_asks_only_its_cloud(&public, &format!("azureml://connections/{name}"), false)?;
        let start = "azureml://subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups";
        assert_asks_only_its_cloud(&public, &format!("{start}/{group}/workspaces/{name}/connections/{name}/target"), false)?;
    }

    #[test]
    fn no_scope_is_more_than_one_resource(scope in "(https://|api://|)(\\PC|evil\\.example|[.@:/\\\\%#?\t ]){1,9}(/\\.default){0,2}") {
        assert_asks_only_its_cloud(&config(""), &format!("entra:{scope}"), false)?;
    }
}

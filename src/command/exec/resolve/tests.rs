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
    let name = "keyferry.yaml".to_owned();
    let read = |_: &std::path::Path| Err(String::new());
    load(&Settings { name, text: text.to_owned(), environment: &environment, allow_custom_cloud: false, read }).unwrap()
}

fn resolved(text: &str, variables: &[(&str, &str)], only: &[&str]) -> Result<Config, Vec<String>> {
    ended(text, variables, only).map_err(|ended| ended.lines)
}

fn ended(text: &str, variables: &[(&str, &str)], only: &[&str]) -> Result<Config, Ended> {
    let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let only = only.iter().map(|name| (*name).to_owned()).collect();
    resolve(config(text), &environment, (&only, !text.is_empty()))
}

fn names(config: &Config) -> (Vec<&str>, Vec<&str>) {
    (config.env.0.keys().map(String::as_str).collect(), config.secrets.keys().map(SecretName::as_str).collect())
}

const CONFIG: &str = "vaults: {main: {url: https://contoso.vault.azure.net}}
workspace: /subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w
secrets: {db: keyvault:main/secrets/db, unused: keyvault:main/secrets/unused}
files: {dir: /run/keyferry}
env: {DB: {secret: db}, OTHER: {secret: db}}
exec: {tokenScopes: [https://cognitiveservices.azure.com/.default]}
";

#[test]
fn references_and_the_configuration_s_variables_are_made_and_nothing_else() {
    let variables = [
        ("A", "keyvault:https://fabrikam.vault.azure.net/secrets/a"),
        ("URL", "https://fabrikam.vault.azure.net/"),
        ("HOME", "/root"),
        ("T", "entra:https://x/.default"),
        ("W", "keyvault:https://fabrikam.vault.azure.net/certificates/web"),
    ];
    let config = resolved("", &variables, &[]).unwrap();
    assert_eq!(names(&config), (vec!["A", "T", "W"], vec!["env.A", "env.T", "env.W"]));
    assert!(matches!(&config.env.0["W"], Variable::Secret { part: Part::Bundle, .. }));
    let config = resolved(CONFIG, &[("K", "azureml://connections/aoai/credentials/key")], &[]).unwrap();
    assert_eq!(names(&config), (vec!["DB", "K", "OTHER"], vec!["db", "env.K"]));
    assert!(config.files.is_empty());
    let config = resolved(CONFIG, &[("A", "keyvault:nonsense")], &["DB"]).unwrap();
    assert_eq!(names(&config), (vec!["DB"], vec!["db"]), "what is not wanted is not looked at");
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let wrong = |text, variables: &[(&str, &str)], only: &[&str]| resolved(text, variables, only).unwrap_err();
    let lines = wrong("", &[("A", "keyvault:a"), ("B", "${{ x }}"), ("C", "keyvault:nobody/secrets/x")], &["D"]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    let lines = wrong("", &[("A", "keyvault:a"), ("B", "${{ x }}"), ("C", "keyvault:nobody/secrets/x")], &[]);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("the variable A: "), "{lines:?}");
    let twice = wrong(CONFIG, &[("DB", "keyvault:main/secrets/x")], &[]);
    assert_eq!(twice, ["the variable DB: it is a reference, and in 'env' of the configuration: keep one"]);
}

#[test]
fn where_there_is_a_configuration_variables_name_nothing_that_it_does_not() {
    let one = |value| resolved(CONFIG, &[("A", value)], &[]).map(drop).map_err(|lines| lines.join("\n"));
    for value in [
        "keyvault:main/secrets/x",
        "keyvault:https://contoso.vault.azure.net/secrets/x",
        "azureml://connections/c/target",
        "entra:https://cognitiveservices.azure.com/.default",
    ] {
        assert_eq!(one(value), Ok(()), "{value}");
    }
    for (value, piece) in [
        ("keyvault:https://fabrikam.vault.azure.net/secrets/x", "is none of 'vaults'"),
        ("@Microsoft.KeyVault(VaultName=fabrikam;SecretName=x)", "is none of 'vaults'"),
        ("entra:https://management.azure.com/.default", "is none of 'exec.tokenScopes'"),
        (
            "azureml://subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/g/workspaces/other/connections/c",
            "is not the configuration's 'workspace'",
        ),
    ] {
        assert!(one(value).unwrap_err().contains(piece), "{value}: {:?}", one(value));
    }
}

#[test]
fn a_variable_may_be_called_what_no_secret_may() {
    let reference = "keyvault:https://fabrikam.vault.azure.net/secrets/a";
    let config = resolved("", &[("ConnectionStrings:Db", reference)], &[]).unwrap();
    assert_eq!(names(&config), (vec!["ConnectionStrings:Db"], vec!["env.ConnectionStrings-Db"]));
    let lines = resolved("", &[("A:B", reference), ("A/B", reference)], &[]).unwrap_err();
    assert_eq!(lines, ["the variable A:B: another one is called nearly so: give it another name"]);
}

#[test]
fn only_names_that_are_wrong_are_a_wrong_command_line() {
    let exit = |variables: &[(&str, &str)], only: &[&str]| ended(CONFIG, variables, only).unwrap_err().exit;
    assert_eq!(exit(&[("A", "x")], &["A", "DB"]), Exit::Usage);
    assert_eq!(exit(&[("A", "keyvault:a")], &["A", "NO"]), Exit::Config);
}

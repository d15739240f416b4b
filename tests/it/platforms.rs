//! `deploy/azure`, `deploy/container-apps`, `deploy/compose`: the scripts with an `az` that remembers, and what the YAML says
//! to keyferry. That the commands are azure-cli's own is shown by `tests/python/parse_with_the_official_cli.py`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use keyferry::config::{Settings, load};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::examples::yaml::documents;

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy");
const AKS: &str = "--resource-group shop --cluster shop --identity service --service-account default/app --openai contoso \
                   --vault contoso --secret key --workspace /subscriptions/3/workspaces/prod";
const AZUREML: &str = "--workspace /subscriptions/3/workspaces/prod --endpoint blue --vault contoso";

/// Remembers what was changed, answers accordingly, and fails at `$FAIL`.
const AZ: &str = r#"#!/bin/bash
state=$(dirname "$0")
if [ -n "$FAIL" ] && [[ "$*" == "$FAIL"* ]]; then echo "ERROR: (AuthorizationFailed) not you" >&2; exit 1; fi
did() { grep --quiet --fixed-strings -- "$1" "$state/changes" 2>/dev/null; }
case "$*" in
'aks show '*issuerUrl*) echo https://issuer.example/ ;;
'aks show '*) if did 'aks update'; then echo true; fi ;;
'identity list '*) if did 'identity create'; then echo principal; fi ;;
'identity federated-credential list '*issuer==*) if did 'federated-credential create'; then echo shop-default-app; fi ;;
'identity federated-credential list '*) ;;
'identity show '*) echo client ;;
'role assignment list '*) if did "--role $7 --scope $9"; then echo assignment; fi ;;
'keyvault show '*enableRbac*) echo "${RBAC:-true}" ;;
'keyvault show '*) echo /vaults/contoso ;;
'cognitiveservices account show '*) echo /accounts/contoso ;;
'resource show '*) echo principal ;;
'account show '*) ;;
*) echo "$*" >>"$state/changes" ;;
esac
"#;

struct Azure(TempDir);

/// How a script ended, and what it said.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Azure {
    fn new() -> Self {
        let azure = Self(tempfile::tempdir().unwrap());
        let az = azure.0.path().join("az");
        fs::write(&az, AZ).unwrap();
        fs::set_permissions(az, fs::Permissions::from_mode(0o755)).unwrap();
        azure
    }

    fn run(&self, script: &str, arguments: &str, variables: &[(&str, &str)]) -> Ended {
        let output = Command::new(Path::new(DEPLOY).join("azure").join(script))
            .args(arguments.split_whitespace())
            .env("PATH", format!("{}:/usr/bin:/bin", self.0.path().display()))
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    fn changes(&self) -> Vec<String> {
        let changes = fs::read_to_string(self.0.path().join("changes")).unwrap_or_default();
        changes.lines().map(str::to_owned).collect()
    }
}

#[test]
fn a_second_run_changes_nothing() {
    for (script, arguments, expected) in [("aks-openai.sh", AKS, 6), ("azureml.sh", AZUREML, 2)] {
        let azure = Azure::new();
        let first = azure.run(script, arguments, &[]);
        assert_eq!(first.code, Some(0), "{}", first.stderr);
        let changes = azure.changes();
        assert_eq!(changes.len(), expected, "{changes:#?}");
        let second = azure.run(script, arguments, &[]);
        assert_eq!((second.code, azure.changes()), (Some(0), changes), "{}", second.stderr);
        assert!(!second.stdout.contains("az "), "{}", second.stdout);
    }
}

#[test]
fn a_dry_run_prints_what_a_run_would_do() {
    for (script, arguments) in [("aks-openai.sh", AKS), ("azureml.sh", AZUREML)] {
        let azure = Azure::new();
        let dry = azure.run(script, &format!("{arguments} --dry-run"), &[]);
        assert_eq!((dry.code, azure.changes().len()), (Some(0), 0), "{}", dry.stderr);
        let wet = azure.run(script, arguments, &[]);
        assert_eq!(wet.code, Some(0), "{}", wet.stderr);
        let principal = "\"$(az identity show --resource-group shop --name service --query principalId --output tsv)\"";
        let commands: Vec<_> = wet.stdout.lines().filter(|line| line.starts_with("az ")).collect();
        let printed = dry.stdout.replace(principal, "principal");
        assert_eq!(printed.lines().collect::<Vec<_>>(), commands, "{script}");
        // What is printed is what is run: but for quotes and the answer that nobody reads.
        let ran: Vec<_> = azure.changes();
        let without_quotes = commands.iter().map(|line| format!("{} --output none", &line[3..].replace('\'', "")));
        assert_eq!(without_quotes.collect::<Vec<_>>(), ran, "{script}");
    }
}

#[test]
fn roles_are_given_where_they_are_needed_and_no_wider() {
    let azure = Azure::new();
    azure.run("aks-openai.sh", AKS, &[]);
    let roles: Vec<_> =
        azure.changes().iter().filter_map(|line| Some(line.split_once("--role ")?.1.to_owned())).collect();
    let expected = [
        "Cognitive Services OpenAI User --scope /accounts/contoso",
        "Key Vault Secrets User --scope /vaults/contoso/secrets/key",
        "Azure Machine Learning Workspace Connection Secrets Reader --scope /subscriptions/3/workspaces/prod",
    ];
    assert_eq!(roles, expected.map(|role| format!("{role} --output none")));
    assert!(azure.changes()[2].contains("--subject system:serviceaccount:default:app "), "{:?}", azure.changes());
}

#[test]
fn what_fails_stops_it_with_azs_own_words() {
    for (fail, changes) in [("account show", 0), ("aks show", 0), ("identity create", 1), ("keyvault show", 4)] {
        let azure = Azure::new();
        let ended = azure.run("aks-openai.sh", AKS, &[("FAIL", fail)]);
        assert_eq!(ended.code, Some(1), "{fail}: {}", ended.stderr);
        assert!(ended.stderr.starts_with("ERROR: (AuthorizationFailed) not you\naks-openai.sh: "), "{}", ended.stderr);
        assert_eq!(azure.changes().len(), changes, "{fail}");
        // And it goes on from there.
        assert_eq!(azure.run("aks-openai.sh", AKS, &[]).code, Some(0), "{fail}");
        assert_eq!(azure.changes().len(), 6, "{fail}");
    }
}

#[test]
fn what_is_missing_or_misspelt_is_told() {
    let azure = Azure::new();
    for (script, arguments, code, says) in [
        ("aks-openai.sh", "", 64, "missing: --resource-group --cluster --identity --service-account"),
        ("azureml.sh", "--endpoint blue", 64, "missing: --workspace"),
        ("azureml.sh", "--endpoint", 64, "--endpoint wants a value"),
        ("azureml.sh", "--endpoint --vault", 64, "--endpoint wants a value"),
        ("azureml.sh", "--workspace prod --endpoint blue", 64, "--workspace is a resource id"),
        ("azureml.sh", "--colour red", 64, "unknown argument '--colour'"),
        ("azureml.sh", "--endpoint a'b", 64, "holds a character that is not passed on"),
        (
            "azureml.sh",
            "--workspace /subscriptions/3/workspaces/prod --endpoint blue --secret a",
            64,
            "--secret wants --vault",
        ),
    ] {
        let ended = azure.run(script, arguments, &[]);
        assert_eq!(ended.code, Some(code), "{arguments}: {}", ended.stderr);
        assert!(ended.stderr.contains(says), "{arguments}: {}", ended.stderr);
        let help = azure.run(script, "--help", &[]);
        assert!(help.code == Some(0) && help.stdout.starts_with("usage: "), "{}", help.stdout);
    }
    let policies = azure.run("azureml.sh", AZUREML, &[("RBAC", "false")]);
    assert!(policies.code == Some(1) && policies.stderr.contains("goes by access policies"), "{}", policies.stderr);
    fs::remove_file(azure.0.path().join("az")).unwrap();
    let ended = azure.run("azureml.sh", AZUREML, &[]);
    assert!(ended.stderr.contains("az is not in PATH"), "{}", ended.stderr);
}

fn yaml(name: &str) -> Value {
    let text = fs::read_to_string(Path::new(DEPLOY).join(name)).unwrap();
    let [document] = <[Value; 1]>::try_from(documents(&text)).unwrap();
    document
}

fn assert_loads(name: &str, text: &str, environment: &[(&str, &str)]) {
    let environment: BTreeMap<_, _> = environment.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let read = |path: &Path| Err(format!("{} is not looked at", path.display()));
    let (name, text) = (name.to_owned(), text.to_owned());
    let settings = Settings { name, text, environment: &environment, allow_custom_cloud: false, read };
    if let Err(problems) = load(&settings) {
        panic!("{problems}");
    }
}

#[test]
fn the_container_app_begins_with_keyferry() {
    let app = yaml("container-apps/app.yaml");
    let container = &app["properties"]["template"]["containers"][0];
    assert_eq!(container["command"], json!(["keyferry", "exec", "--on-change", "restart", "--"]));
    assert_eq!(container["args"][2], app["properties"]["configuration"]["ingress"]["targetPort"].to_string());
    assert!(app["properties"]["template"]["volumes"].is_null(), "there is no volume in memory");
    let identities = app["identity"]["userAssignedIdentities"].as_object().unwrap();
    let registry = &app["properties"]["configuration"]["registries"][0]["identity"];
    assert!(identities.contains_key(registry.as_str().unwrap()));
    let variable = |name: &str| {
        let variables = container["env"].as_array().unwrap();
        variables.iter().find(|variable| variable["name"] == name).unwrap()["value"].as_str().unwrap().to_owned()
    };
    let environment = [
        ("AZURE_CLIENT_ID", &*variable("AZURE_CLIENT_ID")),
        ("IDENTITY_ENDPOINT", "http://localhost:42356/msi/token"),
        ("IDENTITY_HEADER", "x"),
    ];
    let config = format!("{}secrets: {{a: \"{}\"}}\n", variable("KEYFERRY_CONFIG_YAML"), variable("DB_PASSWORD"));
    assert_loads("app.yaml", &format!("{config}files: {{dir: /run/keyferry}}\n"), &environment);
}

#[test]
fn the_services_of_compose_share_memory_alone() {
    let compose = yaml("compose/compose.yaml");
    let (keyferry, app) = (&compose["services"]["keyferry"], &compose["services"]["app"]);
    let config = fs::read_to_string(Path::new(DEPLOY).join("compose/keyferry.yaml")).unwrap();
    let names = keyferry["environment"].as_array().unwrap();
    let environment: Vec<_> =
        names.iter().map(|n| (n.as_str().unwrap(), "11111111-1111-1111-1111-111111111111")).collect();
    assert_loads("keyferry.yaml", &config, &environment);
    let config = yaml("compose/keyferry.yaml");
    let dir = config["files"]["dir"].as_str().unwrap();
    assert_eq!(keyferry["volumes"][1], format!("secrets:{dir}"));
    assert_eq!(app["volumes"], json!([format!("secrets:{dir}:ro")]));
    assert!(app["environment"].is_null(), "the identity is keyferry's");
    for service in [keyferry, app] {
        let hardened = (&service["read_only"], &service["cap_drop"], &service["security_opt"]);
        assert_eq!(hardened, (&json!(true), &json!(["ALL"]), &json!(["no-new-privileges:true"])));
        assert!(service["user"].as_str().unwrap().ends_with(&format!(":{}", config["files"]["group"])));
    }
    assert_ne!(keyferry["user"], app["user"]);
    let options = &compose["volumes"]["secrets"]["driver_opts"];
    assert_eq!((&options["type"], &options["device"]), (&json!("tmpfs"), &json!("tmpfs")));
}

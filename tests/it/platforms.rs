//! `deploy/azure`, `deploy/container-apps`, `deploy/compose`: the scripts with an `az` that remembers, and what the YAML says
//! to keyferry. That the commands are azure-cli's own is shown by `tests/python/parse_with_the_official_cli.py`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
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

/// Remembers what was changed, answers accordingly, and fails at `$FAIL`. Its lists lag behind: they know what was there before
/// the script began. Identities are in the case that somebody else has created them in.
const AZ: &str = r#"#!/bin/bash
state=$(dirname "$0")
if [ -n "$FAIL" ] && [[ "$*" == "$FAIL"* ]]; then echo "ERROR: (AuthorizationFailed) not you" >&2; exit 1; fi
did() { grep --quiet --fixed-strings -- "$1" "$state/${2-changes}" 2>/dev/null; }
case "$*" in
'aks show '*issuerUrl*) echo "${ISSUER-https://issuer.example/}" ;;
'aks show '*) if did 'aks update'; then echo true; fi ;;
'identity list '*)
    printf 'service-2\tanother\n'
    if did 'identity create' before; then printf 'Service\tprincipal\n'; fi
    ;;
'identity federated-credential list '*issuer==*) if did 'federated-credential create'; then echo shop-default-app; fi ;;
'identity federated-credential list '*) printf "shop\tsystem:serviceaccount:a:b\n$TAKEN" ;;
'identity show '*principalId*) echo "${PRINCIPAL-principal}" ;;
'identity show '*) echo client ;;
'role assignment list --assignee-object-id  '*) echo of-somebody-else ;;
'role assignment list '*) if did "--role $7 --scope $9"; then echo assignment; fi ;;
'keyvault show '*enableRbac*) echo "${RBAC-true}" ;;
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
        let mut command = Command::new(Path::new(DEPLOY).join("azure").join(script));
        command.args(arguments.split_whitespace()).envs(variables.iter().copied());
        self.end(&mut command)
    }

    fn end(&self, command: &mut Command) -> Ended {
        fs::write(self.0.path().join("before"), self.changes().join("\n")).unwrap();
        let output = command.env("PATH", format!("{}:/usr/bin:/bin", self.0.path().display())).output().unwrap();
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
fn nobody_is_given_a_role_before_azure_tells_who_it_is() {
    for (missing, says, changes) in [
        (
            "PRINCIPAL",
            "aks-openai.sh: Azure does not tell the principal of service yet: run this again in a minute\n",
            2,
        ),
        ("ISSUER", "aks-openai.sh: Azure does not tell the issuer of shop yet: run this again in a minute\n", 2),
    ] {
        let azure = Azure::new();
        let ended = azure.run("aks-openai.sh", AKS, &[(missing, "")]);
        assert_eq!((ended.code, &*ended.stderr, azure.changes().len()), (Some(1), says, changes));
        assert_eq!(azure.run("aks-openai.sh", AKS, &[]).code, Some(0), "{missing}");
        assert_eq!(azure.changes().len(), 6, "{missing}");
    }
}

/// Azure's list for nobody is that of everybody.
#[test]
fn a_role_for_nobody_is_never_there_already() {
    let azure = Azure::new();
    let grant = "dry_run=no; . azure/lib.sh; grant '' 'Key Vault Secrets User' /vaults/contoso";
    let ended = azure.end(Command::new("bash").args(["-c", grant]).current_dir(DEPLOY));
    assert_eq!((ended.code, azure.changes().len()), (Some(1), 0), "{}", ended.stderr);
    assert!(ended.stderr.ends_with(": nobody is named who gets the role Key Vault Secrets User\n"), "{}", ended.stderr);
}

#[test]
fn a_dry_run_shows_how_to_ask_for_what_is_not_there_yet() {
    let azure = Azure::new();
    let dry = azure.run("aks-openai.sh", &format!("{AKS} --dry-run"), &[("ISSUER", "")]);
    let issuer =
        "\"$(az aks show --resource-group shop --name shop --query oidcIssuerProfile.issuerUrl --output tsv)\"";
    assert!(dry.stdout.contains(&format!("--issuer {issuer} --subject ")), "{}", dry.stdout);
}

#[test]
fn a_federated_credential_of_somebody_else_stays() {
    let azure = Azure::new();
    azure.run("aks-openai.sh", AKS, &[("FAIL", "identity federated-credential create")]);
    let before = azure.changes();
    let taken = [("TAKEN", "Shop-Default-App\tsystem:serviceaccount:default:other\n")];
    let ended = azure.run("aks-openai.sh", AKS, &taken);
    assert_eq!((ended.code, azure.changes()), (Some(1), before), "{}", ended.stderr);
    let says = "a federated credential shop-default-app of another issuer, subject or audience: if nothing needs it, \
        az identity federated-credential delete ";
    assert!(ended.stderr.contains(says), "{}", ended.stderr);
    // One of this issuer and subject is as good, whatever it is called.
    assert_eq!(azure.run("aks-openai.sh", AKS, &[]).code, Some(0));
    assert_eq!(azure.run("aks-openai.sh", AKS, &taken).code, Some(0));
}

#[test]
fn a_federated_credential_is_called_what_azure_allows() {
    let azure = Azure::new();
    azure.run("aks-openai.sh", &AKS.replace("default/app", "default/app.v1"), &[]);
    let credential = &azure.changes()[2];
    assert!(credential.contains("--name shop-default-app_v1 "), "{credential}");
    assert!(credential.contains("--subject system:serviceaccount:default:app.v1 "), "{credential}");
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
        (
            "azureml.sh",
            "--workspace /subscriptions/3/workspaces/prod/ --endpoint blue",
            64,
            "--workspace is a resource id",
        ),
        ("aks-openai.sh", &AKS.replace("/prod", "/prod/"), 64, "--workspace is a resource id"),
        ("aks-openai.sh", &AKS.replace("--vault contoso", ""), 64, "--secret wants --vault"),
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
    for rbac in ["false", ""] {
        let policies = azure.run("azureml.sh", AZUREML, &[("RBAC", rbac)]);
        assert!(policies.code == Some(1) && policies.stderr.contains("goes by access policies"), "{}", policies.stderr);
    }
    fs::remove_file(azure.0.path().join("az")).unwrap();
    let ended = azure.run("azureml.sh", AZUREML, &[]);
    assert!(ended.stderr.contains("az is not in PATH"), "{}", ended.stderr);
}

#[test]
fn a_script_is_started_by_a_link_as_well() {
    let directory = tempfile::tempdir().unwrap();
    for script in ["aks-openai.sh", "azureml.sh"] {
        let link = directory.path().join(script);
        symlink(Path::new(DEPLOY).join("azure").join(script), &link).unwrap();
        let output = Command::new(link).arg("--help").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
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

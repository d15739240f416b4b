//! `examples/azureml-byoc`: the image's own command with the deployment's own variables, where the platform sets
//! `MSI_ENDPOINT` and `MSI_SECRET`; and that what the platform's documentation says of its references holds for keyferry.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use keyferry_emulator::{
    ConnectionPermission, ConnectionSpec, DEFAULT_SYSTEM_IDENTITY, ManagedIdentity, Permission, Service, Settings,
    Workspace,
};
use serde_json::{Value, json};

use super::yaml::documents;
use crate::harness::{Running, SOON, World, end, eventually};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/azureml-byoc");
const VAULT: &str = "contoso";
/// The port of the examples, which another test may have taken.
const PORT: &str = "5001";

fn read(name: &str) -> String {
    let path = Path::new(ROOT).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(text: &str) -> Value {
    let [document] = <[Value; 1]>::try_from(documents(text)).unwrap();
    document
}

/// The workspace of the example.
fn workspace() -> Workspace {
    Workspace {
        subscription: "33333333-3333-3333-3333-333333333333".to_owned(),
        resource_group: "ml".to_owned(),
        name: "prod".to_owned(),
    }
}

/// What the example takes from Azure.
fn world() -> World {
    let world = World::new();
    world.emulator.put_secret(VAULT, "db-password", "canary");
    let target = Some("https://contoso.openai.azure.com/".to_owned());
    world
        .emulator
        .put_connection(workspace(), ConnectionSpec { target, ..ConnectionSpec::api_key("aoai", "canary-key") });
    world
}

/// What the `az role assignment` commands give an identity, and nobody else has.
fn grant(world: &World, client: &str) {
    world.emulator.allow(client, VAULT, Permission::Get, None);
    world.emulator.allow_connections(client, workspace(), ConnectionPermission::ListSecrets, None);
}

/// A process with nothing of the environment that the tests run in.
fn process(program: &str) -> Command {
    let mut process = Command::new(program);
    process
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("KEYFERRY_ALLOW_CUSTOM_CLOUD", "1")
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    process
}

/// A text of the example with the emulator's vault in place of Azure's, a free port, and the image's paths found here.
struct Here<'a> {
    world: &'a World,
    port: u16,
}

impl<'a> Here<'a> {
    fn new(world: &'a World) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        Self { world, port }
    }

    fn text(&self, text: &str) -> String {
        text.replace("https://contoso.vault.azure.net", &self.world.emulator.vault_url(VAULT))
            .replace(PORT, &self.port.to_string())
            .replace("/app/", &format!("{ROOT}/"))
    }

    /// Where the emulator is, and that it is asked often, before the configuration of the example.
    fn config(&self, config: &str) -> String {
        let preamble = self.world.preamble(&[]);
        let (cloud, _) = preamble.split_once("vaults:").unwrap();
        format!("{cloud}refresh: {{interval: 1s, settle: 0s}}\n{config}")
    }

    /// The image's command, with the deployment's variables.
    fn container(&self) -> Command {
        let dockerfile = self.text(&read("Dockerfile"));
        let words = |instruction: &str| -> Vec<String> {
            let line = dockerfile.lines().find_map(|line| line.strip_prefix(instruction)).unwrap();
            serde_json::from_str(line).unwrap()
        };
        let (entrypoint, command) = (words("ENTRYPOINT "), words("CMD "));
        assert_eq!(entrypoint[..2], ["keyferry", "exec"]);
        let mut process = process(env!("CARGO_BIN_EXE_keyferry"));
        process.args(&entrypoint[1..]).args(command);
        let deployment = yaml(&self.text(&read("deployment.yml")));
        for (name, value) in deployment["environment_variables"].as_object().unwrap() {
            let value = value.as_str().unwrap();
            process.env(name, if name == "KEYFERRY_CONFIG_YAML" { self.config(value) } else { value.to_owned() });
        }
        process
    }

    fn ask(&self, request: &str) -> Option<(u16, Value)> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, serde_json::from_str(body).ok()?))
    }

    fn score(&self, route: &str) -> Option<Value> {
        let body = r#"{"data": [1, 2]}"#;
        let (status, answer) =
            self.ask(&format!("POST {route} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len()))?;
        assert_eq!((status, &answer["data"]), (200, &json!({"data": [1, 2]})));
        Some(answer["characters"].clone())
    }

    /// Waits until it is well, as the platform does, and answers with secrets of these lengths.
    #[track_caller]
    fn until_it_scores(&self, key: usize, password: usize) {
        let deployment = yaml(&self.text(&read("deployment.yml")));
        let routes = &deployment["environment"]["inference_config"];
        let path = |route: &str| {
            assert_eq!(routes[route]["port"], self.port, "{route}");
            routes[route]["path"].as_str().unwrap().to_owned()
        };
        for probe in ["liveness_route", "readiness_route"] {
            let probe = format!("GET {} HTTP/1.0\r\n\r\n", path(probe));
            let is_well = eventually(SOON, || self.ask(&probe).filter(|(status, _)| *status == 200));
            assert!(is_well.is_some(), "it does not answer: {probe}");
        }
        let expected = json!({"OPENAI_API_KEY": key, "AZURE_OPENAI_ENDPOINT": 33, "DB_PASSWORD": password});
        let is_so = eventually(SOON, || self.score(&path("scoring_route")).filter(|answer| *answer == expected));
        assert!(is_so.is_some(), "it never had {expected}, but {:?}", self.score(&path("scoring_route")));
    }

    /// It has the secrets, follows a rotation, ends by SIGTERM as its server does, and has shown nothing.
    fn check(&self, command: &mut Command) {
        let running = Running::start(command);
        self.until_it_scores("canary-key".len(), "canary".len());
        self.world.emulator.put_secret(VAULT, "db-password", "another canary");
        self.until_it_scores("canary-key".len(), "another canary".len());
        let (code, lines) = running.stop();
        assert_eq!(code, Some(0), "{lines:#?}");
        assert!(!lines.iter().any(|line| line.contains("canary")), "{lines:#?}");
    }
}

#[test]
fn the_endpoint_s_own_identity_signs_in_and_a_rotation_arrives() {
    let world = world();
    grant(&world, DEFAULT_SYSTEM_IDENTITY);
    assert_eq!(yaml(&read("endpoint.yml"))["identity"], json!({"type": "system_assigned"}));
    let here = Here::new(&world);
    here.check(here.container().envs(world.emulator.azure_ml_environment()));
    let signed_in: Vec<_> = world.requests_to(Service::AzureMl).into_iter().map(|request| request.client_id).collect();
    assert!(!signed_in.is_empty() && signed_in.iter().all(|client| client.as_deref() == Some(DEFAULT_SYSTEM_IDENTITY)));
}

#[test]
fn an_identity_of_ones_own_is_named_by_the_variable_that_the_readme_sets() {
    let world = world();
    let identity = ManagedIdentity::user_assigned("scoring");
    world.emulator.add_managed_identity(identity.clone());
    grant(&world, &identity.client_id);
    let endpoint = yaml(&read("endpoint-user-assigned.yml"));
    assert_eq!(endpoint["identity"]["type"], "user_assigned");
    let resource = endpoint["identity"]["user_assigned_identities"][0]["resource_id"].as_str().unwrap();
    assert!(resource.ends_with("/scoring") && read("README.md").contains("az identity create --name scoring\n"));
    let readme = read("README.md");
    let (_, set) = readme.split_once("--set environment_variables.").unwrap();
    let (variable, _) = set.split_once("=\"$client\"").unwrap();
    let here = Here::new(&world);
    here.check(here.container().envs(world.emulator.azure_ml_environment()).env(variable, &identity.client_id));
    let signed_in: Vec<_> = world.requests_to(Service::AzureMl).into_iter().map(|request| request.client_id).collect();
    assert!(!signed_in.is_empty() && signed_in.iter().all(|client| *client == Some(identity.client_id.clone())));
}

#[test]
fn an_identity_without_the_roles_starts_nothing() {
    let world = world();
    let stranger = ManagedIdentity::user_assigned("stranger");
    world.emulator.add_managed_identity(stranger.clone());
    let here = Here::new(&world);
    let mut command = here.container();
    let config = command.get_envs().find(|(name, _)| *name == "KEYFERRY_CONFIG_YAML").unwrap().1.unwrap();
    let hasty = format!("{}startup: {{timeout: 3s}}\n", config.to_str().unwrap());
    command.env("KEYFERRY_CONFIG_YAML", hasty).envs(world.emulator.azure_ml_environment());
    let ended = end(command.env("AZURE_CLIENT_ID", stranger.client_id).stdout(Stdio::piped()));
    let roles = ["Key Vault Secrets User", "Azure Machine Learning Workspace Connection Secrets Reader"];
    ended.expect(77, &[&["env.DB_PASSWORD", "env.OPENAI_API_KEY"], &roles[..]].concat());
    assert!(roles.iter().all(|role| read("README.md").contains(&format!("--role \"{role}\""))));
}

#[test]
fn the_commands_for_a_laptop_run() {
    let world = world();
    let here = Here::new(&world);
    let readme = here.text(&read("README.md"));
    let (_, block) = readme.rsplit_once("```sh\n").unwrap();
    let (script, _) = block.split_once("```").unwrap();
    let script = script.replace("KEYFERRY_CONFIG_YAML='\n", &format!("KEYFERRY_CONFIG_YAML='{}", here.config("")));
    let (begin, last) = script.trim_end().rsplit_once('\n').unwrap();
    let bin = world.root.path().join("bin");
    fs::create_dir(&bin).unwrap();
    symlink(env!("CARGO_BIN_EXE_keyferry"), bin.join("keyferry")).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut shell = process("/bin/sh");
    // The last command in the shell's place, so that a signal reaches it.
    shell.args(["-euc", &format!("{begin}\nexec {last}")]).current_dir(ROOT);
    here.check(shell.envs(world.environment()).env("PATH", path));
}

#[test]
fn the_files_speak_of_the_same_things() {
    let (deployment, readme, dockerfile) = (yaml(&read("deployment.yml")), read("README.md"), read("Dockerfile"));
    for endpoint in ["endpoint.yml", "endpoint-user-assigned.yml"] {
        let endpoint = yaml(&read(endpoint));
        assert_eq!(endpoint["name"], deployment["endpoint_name"]);
        assert_eq!(endpoint["auth_mode"], "key");
    }
    for name in ["deployment.yml", "endpoint.yml", "endpoint-user-assigned.yml"] {
        assert!(readme.contains(&format!("create --file {name}")), "{name}");
    }
    let image = deployment["environment"]["image"].as_str().unwrap();
    assert!(readme.contains(&format!("--tag {image} .")) && readme.contains(&format!("docker push {image}\n")));
    for name in ["endpoint_name", "name"] {
        let name = deployment[name].as_str().unwrap();
        assert!(readme.contains(&format!("name {name}")), "{name}");
    }
    for argument in readme.split("--build-arg ").skip(1) {
        let (name, _) = argument.split_once('=').unwrap();
        assert!(dockerfile.contains(&format!("ARG {name}=")), "{name}");
    }
    let entrypoint = dockerfile.lines().find(|line| line.starts_with("ENTRYPOINT ")).unwrap();
    assert!(readme.contains(entrypoint));
    assert!(dockerfile.contains(&format!("EXPOSE {PORT}\n")) && dockerfile.contains("USER 10001:10001\n"));
    let variables = deployment["environment_variables"].as_object().unwrap();
    assert!(variables.values().all(|value| !value.as_str().unwrap().contains("${{")));
}

/// The five patterns of Azure ML's documentation, each as the whole value of a variable, and what it says they become.
#[test]
fn azure_ml_s_own_references_become_what_its_documentation_says() {
    let world = World::with(Settings::default());
    let version = world.emulator.put_secret(VAULT, "db-password", "the version");
    world.emulator.put_secret(VAULT, "db-password", "a later one");
    let aoai = ConnectionSpec {
        category: "AzureOpenAI".to_owned(),
        target: Some("https://contoso.openai.azure.com/".to_owned()),
        ..ConnectionSpec::api_key("aoai", "a key")
    };
    let multi = ConnectionSpec {
        metadata: json!({"OPENAI_API_VERSION": "2024-02-01"}),
        ..ConnectionSpec::custom_keys("multi", &[("OPENAI_API_KEY", "a custom key"), ("other", "another")])
    };
    world.emulator.put_connection(workspace(), aoai);
    world.emulator.put_connection(workspace(), multi);
    let here = Here::new(&world);
    let vault = world.emulator.vault_url(VAULT);
    let references = BTreeMap::from([
        ("WHOLE", "${{azureml://connections/aoai}}".to_owned()),
        ("KEY", "${{azureml://connections/aoai/credentials/key}}".to_owned()),
        ("CUSTOM_KEY", "${{azureml://connections/multi/credentials/OPENAI_API_KEY}}".to_owned()),
        ("METADATA", "${{azureml://connections/multi/metadata/OPENAI_API_VERSION}}".to_owned()),
        ("TARGET", "${{azureml://connections/aoai/target}}".to_owned()),
        ("VERSION", format!("${{{{keyvault:{vault}/secrets/db-password/{version}}}}}")),
        ("PART", "see ${{azureml://connections/aoai/target}}".to_owned()),
    ]);
    let print = "import json, os; print(json.dumps(dict(os.environ)))";
    let mut command = process(env!("CARGO_BIN_EXE_keyferry"));
    let config = here.config(&format!("workspace: {}\nvaults: {{main: {{url: \"{vault}\"}}}}\n", workspace().id()));
    command.args(["exec", "--", "python3", "-c", print]).env("KEYFERRY_CONFIG_YAML", config).stdout(Stdio::piped());
    let ended = end(command.envs(world.emulator.azure_ml_environment()).envs(&references));
    ended.expect(0, &[]);
    let got: BTreeMap<String, String> = serde_json::from_slice(&ended.stdout).unwrap();
    for (name, expected) in [
        ("KEY", "a key"),
        ("CUSTOM_KEY", "a custom key"),
        ("METADATA", "2024-02-01"),
        ("TARGET", "https://contoso.openai.azure.com/"),
        ("VERSION", "the version"),
        ("PART", references["PART"].as_str()),
    ] {
        assert_eq!(got[name], expected, "{name}");
    }
    let whole: Value = serde_json::from_str(&got["WHOLE"]).unwrap();
    assert_eq!(
        (&whole["name"], &whole["type"]),
        (&json!("aoai"), &json!("Microsoft.MachineLearningServices/workspaces/connections"))
    );
    assert_eq!(whole["id"], format!("{}/connections/aoai", workspace().id()));
    let properties = &whole["properties"];
    assert_eq!(properties["credentials"], json!({"key": "a key"}));
    assert_eq!(
        (&properties["authType"], &properties["category"], &properties["target"]),
        (&json!("ApiKey"), &json!("AzureOpenAI"), &json!("https://contoso.openai.azure.com/"))
    );
}

//! `examples/aks-openai`: what its manifests grant, and that its service is answered where it runs by what they say. The way
//! of the official SDKs is gone by `tests/python/describe_with_the_official_sdk.py`.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use keyferry_emulator::{ConnectionSpec, Service, Workspace};
use serde_json::{Value, json};

use super::yaml::documents;
use crate::admin::{address, get};
use crate::deploy::pod::assert_loads;
use crate::harness::{Running, SOON, World, binary, eventually, root_or_skip, until_holds};
use crate::serve::client::Endpoint;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/aks-openai");
const MODES: [&str; 3] = ["token-file", "token-endpoint", "key"];
const ENDPOINT: &str = "https://contoso.openai.azure.com/";
const WORKSPACE: &str = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/ml/providers/\
                         Microsoft.MachineLearningServices/workspaces/prod";
const COGNITIVE: &str = "https://cognitiveservices.azure.com";

fn read(name: &str) -> String {
    let path = Path::new(ROOT).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What a mode applies: the account, and the pod with its two containers.
struct Manifest {
    account: Value,
    deployment: Value,
}

impl Manifest {
    fn of(mode: &str) -> Self {
        let kustomization = documents(&read(&format!("{mode}/kustomization.yaml")));
        let generator = json!([{"name": "keyferry", "files": ["keyferry.yaml"]}]);
        assert_eq!(kustomization[0]["resources"], json!(["ai-service.yaml"]), "{mode}");
        assert_eq!(kustomization[0]["configMapGenerator"], generator, "{mode}");
        let [account, deployment] =
            <[Value; 2]>::try_from(documents(&read(&format!("{mode}/ai-service.yaml")))).unwrap();
        assert_eq!((&account["kind"], &deployment["kind"]), (&json!("ServiceAccount"), &json!("Deployment")));
        Self { account, deployment }
    }

    fn template(&self) -> &Value {
        &self.deployment["spec"]["template"]
    }

    fn keyferry(&self) -> &Value {
        &self.template()["spec"]["initContainers"][0]
    }

    fn app(&self) -> &Value {
        &self.template()["spec"]["containers"][0]
    }
}

/// Where a container mounts a volume, and whether to read alone.
fn mount(container: &Value, volume: &str) -> Option<(String, bool)> {
    let mounts = container["volumeMounts"].as_array()?;
    let mount = mounts.iter().find(|mount| mount["name"] == volume)?;
    Some((mount["mountPath"].as_str().unwrap().to_owned(), mount["readOnly"] == true))
}

#[test]
fn the_identity_is_keyferrys_alone() {
    for mode in MODES {
        let manifest = Manifest::of(mode);
        let (pod, spec) = (&manifest.template()["metadata"], &manifest.template()["spec"]);
        assert!(manifest.account["metadata"]["annotations"]["azure.workload.identity/client-id"].is_string(), "{mode}");
        assert_eq!(spec["serviceAccountName"], manifest.account["metadata"]["name"], "{mode}");
        assert_eq!(pod["labels"]["azure.workload.identity/use"], "true", "{mode}");
        let skipped = &pod["annotations"]["azure.workload.identity/skip-containers"];
        assert_eq!(skipped, &manifest.app()["name"], "{mode}");
        assert_eq!(spec["automountServiceAccountToken"], false, "{mode}");
        assert_eq!(manifest.deployment["spec"]["selector"]["matchLabels"]["app"], pod["labels"]["app"], "{mode}");
    }
}

#[test]
fn the_pods_are_restricted_and_of_two_users() {
    for mode in MODES {
        let manifest = Manifest::of(mode);
        let pod = &manifest.template()["spec"]["securityContext"];
        assert_eq!((&pod["runAsNonRoot"], &pod["seccompProfile"]["type"]), (&true.into(), &"RuntimeDefault".into()));
        for (container, uid) in [(manifest.keyferry(), 10001), (manifest.app(), 1000)] {
            let expected = json!({
                "runAsUser": uid, "runAsGroup": uid, "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            });
            assert_eq!(container["securityContext"], expected, "{mode}");
            assert!(container["resources"]["limits"]["memory"].is_string(), "{mode}");
        }
    }
}

#[test]
fn the_sidecar_is_what_its_configuration_wants() {
    for mode in MODES {
        let manifest = Manifest::of(mode);
        let (sidecar, volumes) = (manifest.keyferry(), manifest.template()["spec"]["volumes"].as_array().unwrap());
        assert_eq!(sidecar["restartPolicy"], "Always", "{mode}");
        let port = &sidecar["ports"][0];
        for (probe, path) in [("startupProbe", "/readyz"), ("livenessProbe", "/livez")] {
            assert_eq!(sidecar[probe]["httpGet"], json!({"path": path, "port": port["name"]}), "{mode}");
        }
        assert_eq!(mount(sidecar, "config"), Some(("/etc/keyferry".to_owned(), true)), "{mode}");
        assert!(volumes.contains(&json!({"name": "config", "configMap": {"name": "keyferry"}})), "{mode}");
        let files: &[&str] = if mode == "key" { &["keyferry.yaml", "connection.yaml"] } else { &["keyferry.yaml"] };
        for file in files {
            let config = &documents(&read(&format!("{mode}/{file}")))[0];
            assert_eq!(config["admin"]["listen"], format!(":{}", port["containerPort"]), "{mode}");
            if mode == "token-endpoint" {
                let tokens = &config["serve"]["tokens"];
                assert_eq!(tokens["allow"][0]["uid"], manifest.app()["securityContext"]["runAsUser"]);
                let host = format!("http://{}", tokens["listen"].as_str().unwrap());
                let variable = json!({"name": "AZURE_POD_IDENTITY_AUTHORITY_HOST", "value": host});
                assert!(manifest.app()["env"].as_array().unwrap().contains(&variable));
                assert_eq!((mount(manifest.app(), "keyferry"), volumes.len()), (None, 1), "nothing is shared");
                continue;
            }
            let dir = config["files"]["dir"].as_str().unwrap();
            assert_eq!(mount(sidecar, "keyferry"), Some((dir.to_owned(), false)), "{mode}");
            assert_eq!(mount(manifest.app(), "keyferry"), Some((dir.to_owned(), true)), "{mode}");
            let volume = volumes.iter().find(|volume| volume["name"] == "keyferry").unwrap();
            assert_eq!(volume["emptyDir"]["medium"], "Memory", "{mode}");
            assert!(volume["emptyDir"]["sizeLimit"].is_string(), "{mode}");
            assert_eq!(
                json!([config["files"]["group"]]),
                manifest.template()["spec"]["securityContext"]["supplementalGroups"],
                "{mode}"
            );
        }
    }
}

#[test]
fn the_configurations_are_valid_as_they_stand() {
    for name in ["token-file/keyferry.yaml", "token-endpoint/keyferry.yaml", "key/keyferry.yaml", "key/connection.yaml"]
    {
        assert_loads(name, &read(name));
    }
}

/// The sidecar of a mode, with the webhook's variables and one of its configurations, once its startup probe has succeeded.
fn sidecar(world: &World, mode: &str, config: &str, rhythm: &str) -> Running {
    let manifest = Manifest::of(mode);
    let gid = rustix::process::getegid().as_raw();
    let cloud = world.preamble(&[]);
    let text = read(&format!("{mode}/{config}"))
        .replace("https://contoso.vault.azure.net", &world.emulator.vault_url("contoso"))
        .replace(WORKSPACE, &Workspace::from("prod").id())
        .replace("/run/keyferry", world.out().to_str().unwrap())
        .replace("group: 3000", &format!("group: {gid}"))
        .replace("\":8211\"", "\"127.0.0.1:0\"")
        .replace("127.0.0.1:8212", "127.0.0.1:0");
    let file = world.root.path().join("keyferry.yaml");
    fs::write(&file, format!("{}{text}refresh: {rhythm}\n", cloud.strip_suffix("vaults:\n").unwrap())).unwrap();
    let args: Vec<&str> =
        manifest.keyferry()["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    let running = Running::start(binary(&args).envs(world.environment()).env("KEYFERRY_CONFIG", &file));
    running.wait_for("probes are answered at", 1);
    let probe = manifest.keyferry()["startupProbe"]["httpGet"]["path"].as_str().unwrap().to_owned();
    let ready = eventually(SOON, || (get(address(&running), &probe).0 == 200).then_some(()));
    assert!(ready.is_some(), "{mode}: {:#?}", running.lines());
    running
}

/// The service of a mode, in the environment that its container has.
struct App {
    child: Child,
    port: u16,
}

impl App {
    fn start(world: &World, mode: &str) -> Self {
        let folder = world.root.path().join("app");
        fs::create_dir(&folder).unwrap();
        let program = folder.join("ai_service.py");
        fs::write(&program, read("ai_service.py").replace("(\"\", 5001)", "(\"127.0.0.1\", 0)")).unwrap();
        // What the image has.
        let link = read("Dockerfile");
        let link = link.lines().find_map(|line| line.strip_prefix("RUN ln -s ")).unwrap();
        assert_eq!(link, "/run/keyferry/.env /app/.env");
        symlink(world.out().join(".env"), folder.join(".env")).unwrap();
        let mut command = Command::new("python3");
        command.arg(program).env_clear().stdout(Stdio::piped()).stderr(Stdio::null());
        for name in ["PATH", "HOME"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        let resolver = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/localhost");
        command.env("PYTHONPATH", resolver).env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("SSL_CERT_FILE", world.root.path().join("ca.pem"));
        for variable in Manifest::of(mode).app()["env"].as_array().unwrap() {
            let value = variable["value"].as_str().unwrap();
            let value = value.replace(ENDPOINT, &world.emulator.openai_url("contoso"));
            let value = value.replace("/run/keyferry", world.out().to_str().unwrap());
            command.env(variable["name"].as_str().unwrap(), value);
        }
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim_end().strip_prefix("listening on port ").unwrap().parse().unwrap();
        Self { child, port }
    }

    fn ask(&self, head: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        write!(stream, "{head} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
    }

    fn describe(&self) -> (u16, Value) {
        self.ask("POST /generate/description", "{\"name\": \"rope\", \"tags\": [\"toy\"]}")
    }

    #[track_caller]
    fn describes(&self) {
        assert_eq!(self.describe(), (200, json!({"description": "the token is good"})));
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn the_file_has_a_fresh_token_whenever_the_service_looks() {
    let world = World::new();
    world.emulator.set_token_lifetime_for(COGNITIVE, 8);
    let running = sidecar(&world, "token-file", "keyferry.yaml", "{settle: 0s}");
    let app = App::start(&world, "token-file");
    assert_eq!(app.ask("GET /health", "").0, 200);
    app.describes();
    let first = world.read("openai-token").unwrap();
    let renewed = || world.read("openai-token").filter(|token| *token != first);
    assert!(eventually(SOON, renewed).is_some(), "the token is made anew");
    app.describes();
    let shown = world.requests_to(Service::OpenAi);
    assert_eq!(shown.len(), 2);
    assert_ne!(shown[0].token, shown[1].token, "the service took the new one");
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn the_endpoint_answers_the_services_user_alone() {
    if !root_or_skip() {
        return;
    }
    let world = World::new();
    let running = sidecar(&world, "token-endpoint", "keyferry.yaml", "{settle: 0s}");
    let endpoint = Endpoint::tokens(&running);
    let ask = |endpoint: &Endpoint, resource: &str| {
        let target = format!("/metadata/identity/oauth2/token?api-version=2018-02-01&resource={resource}");
        endpoint.ask("GET", &target, &["Metadata: true"]).status
    };
    let uid = Manifest::of("token-endpoint").app()["securityContext"]["runAsUser"].as_u64().unwrap();
    let uid = u32::try_from(uid).unwrap();
    assert_eq!(endpoint.as_user(uid, move |endpoint| ask(endpoint, COGNITIVE)), 200);
    assert_eq!(endpoint.as_user(uid, move |endpoint| ask(endpoint, "https://vault.azure.net")), 400);
    assert_eq!(endpoint.as_user(uid + 1, move |endpoint| ask(endpoint, COGNITIVE)), 403);
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn a_key_of_a_vault_arrives_at_the_next_request() {
    let world = World::new();
    world.emulator.put_secret("contoso", "openai-key", "key-one");
    world.emulator.set_openai_keys(&["key-one", "spare"]);
    let running = sidecar(&world, "key", "keyferry.yaml", "{interval: 1s, settle: 0s}");
    let app = App::start(&world, "key");
    app.describes();
    // As README has it: the other key first, then the old one is regenerated.
    world.emulator.put_secret("contoso", "openai-key", "spare");
    until_holds(&world.out().join(".env"), "OPENAI_API_KEY='spare'\n");
    world.emulator.set_openai_keys(&["another", "spare"]);
    app.describes();
    // A key that is regenerated without a word is refused until the vault has the new one.
    world.emulator.set_openai_keys(&["another", "key-three"]);
    assert_eq!(app.describe(), (500, json!({"detail": "Error generating description: HTTPError"})));
    world.emulator.put_secret("contoso", "openai-key", "key-three");
    until_holds(&world.out().join(".env"), "OPENAI_API_KEY='key-three'\n");
    app.describes();
    let names: Vec<PathBuf> = fs::read_dir(world.out()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!names.iter().any(|name| name.ends_with("openai-key")), "the variables alone: {names:?}");
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn or_of_a_connection_with_its_endpoint() {
    let world = World::new();
    let connect = |key: &str| {
        let mut connection = ConnectionSpec::api_key("aoai", key);
        connection.target = Some(world.emulator.openai_url("elsewhere"));
        world.emulator.put_connection("prod", connection);
        world.emulator.set_openai_keys(&[key]);
    };
    connect("key-one");
    let running = sidecar(&world, "key", "connection.yaml", "{connectionInterval: 1s, settle: 0s}");
    let app = App::start(&world, "key");
    app.describes();
    connect("key-two");
    let file = || world.read(".env").filter(|text| text.contains("OPENAI_API_KEY='key-two'\n"));
    let text = eventually(SOON, file).expect("it arrives");
    assert!(text.contains("AZURE_OPENAI_ENDPOINT='https://elsewhere.openai."), "{text}");
    app.describes();
    assert_eq!(running.stop().0, Some(0));
}

/// What README's commands call, one line for each call.
fn called() -> Vec<String> {
    let readme = read("README.md");
    let stubs = tempfile::tempdir().unwrap();
    let log = stubs.path().join("log");
    for name in ["az", "kubectl"] {
        let script = format!("#!/bin/sh\nprintf '%s\\n' \"{name} $*\" >> {}\necho the-{name}-answer\n", log.display());
        fs::write(stubs.path().join(name), script).unwrap();
        fs::set_permissions(stubs.path().join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    // What is asked of keyferry by name is the proof's in tests/python.
    let blocks = readme.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let commands: String = blocks.filter(|block| !block.contains("keyferry exec")).collect();
    let path = format!("{}:/usr/bin:/bin", stubs.path().display());
    let status = Command::new("/bin/sh")
        .args(["-euc", &commands])
        .env("PATH", path)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    fs::read_to_string(log).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn the_commands_grant_what_the_manifests_need() {
    let called = called();
    let manifest = Manifest::of("key");
    let account = manifest.account["metadata"]["name"].as_str().unwrap();
    for pieces in [
        &["az identity federated-credential create ", &*format!("--subject system:serviceaccount:default:{account} ")]
            [..],
        &["--audiences api://AzureADTokenExchange"],
        &["az role assignment create ", "--role Cognitive Services OpenAI User"],
        &["az role assignment create ", "--role Key Vault Secrets User", "/secrets/openai-key"],
        &["az keyvault secret set ", "--vault-name contoso --name openai-key"],
        &["az cognitiveservices account keys regenerate "],
        &["az acr build "],
    ] {
        assert!(called.iter().any(|call| pieces.iter().all(|piece| call.contains(piece))), "{pieces:?}: {called:#?}");
    }
    let applied: Vec<&str> =
        called.iter().filter_map(|call| call.strip_prefix("kubectl apply -k examples/aks-openai/")).collect();
    assert_eq!(applied, MODES);
}

#[test]
fn the_image_has_the_sdks_that_are_tested() {
    let pinned = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/requirements.txt")).unwrap();
    let dockerfile = read("Dockerfile");
    let install = dockerfile.lines().find_map(|line| line.split_once("--no-cache-dir ")).unwrap().1;
    for package in install.split(' ') {
        assert!(pinned.lines().any(|line| line == package), "{package}");
    }
}

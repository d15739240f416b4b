//! What the documents say is true: every configuration in them is read, every command in them runs.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use keyferry::config::{Settings, load};

use crate::harness::{World, binary, end};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn document(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(name)).unwrap()
}

/// The fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    for block in text.split("```").skip(1).step_by(2) {
        if let Some(code) = block.strip_prefix(language).and_then(|code| code.strip_prefix('\n')) {
            found.push(code.to_owned());
        }
    }
    found
}

/// The files of templates that configurations in the documents name are among the examples.
fn example(path: &Path) -> Result<String, String> {
    let name = path.file_name().unwrap();
    let path = Path::new(ROOT).join("examples/templates").join(name);
    fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
}

fn assert_loads(name: &str, text: &str) {
    let environment = BTreeMap::from(
        [
            ("AZURE_CLIENT_ID", "11111111-1111-1111-1111-111111111111"),
            ("AZURE_TENANT_ID", "22222222-2222-2222-2222-222222222222"),
            ("AZURE_FEDERATED_TOKEN_FILE", "/var/run/secrets/azure/wi/token/azure-identity-token"),
            ("AZURE_AUTHORITY_HOST", if text.contains("localhost") { "https://login.localhost:1/" } else { "" }),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let (name, text) = (name.to_owned(), text.to_owned());
    let settings = Settings { name, text, environment: &environment, allow_custom_cloud: true, read: example };
    if let Err(problems) = load(&settings) {
        panic!("{problems}");
    }
}

#[test]
fn every_configuration_in_the_documents_is_valid() {
    let blocks = blocks(&document("README.md"), "yaml");
    assert_eq!(blocks.len(), 2);
    for block in &blocks {
        assert_loads("README.md", block);
    }
    for example in ["certificates", "endpoint", "hooks", "local", "templates"] {
        let name = format!("examples/{example}/keyferry.yaml");
        assert_loads(&name, &document(&name));
    }
}

#[test]
fn the_example_of_templates_makes_what_it_says() {
    let world = World::new();
    for (name, value) in [("db-user", "app"), ("db-password", "p@ss \"word\"")] {
        world.emulator.put_secret("demo", name, value);
    }
    let example = document("examples/templates/keyferry.yaml");
    let (vaults, rest) = example.split_once("secrets:\n").unwrap();
    assert!(vaults.contains("main: {url: https://contoso-prod.vault.azure.net}"));
    let rest = rest
        .replace("keyvault:main/", "keyvault:demo/")
        .replace(", group: 3000", "")
        .replace("/run/keyferry/app", world.out().to_str().unwrap())
        .replace("/etc/keyferry", &format!("{ROOT}/examples/templates"));
    let config = |rest: &str| format!("{}secrets:\n{rest}", world.preamble(&["demo"]));
    world.init(&config(&rest), &[]).expect(0, &[]);
    assert_eq!(world.read("app.env").unwrap(), document("examples/templates/app.env"));
    let settings = || serde_json::from_str::<serde_json::Value>(&world.read("settings.json").unwrap()).unwrap();
    let database = serde_json::json!({"user": "app", "password": "p@ss \"word\""});
    assert_eq!(settings(), serde_json::json!({"database": database, "pool": 10}));
    world.emulator.put_secret("demo", "licence", "l");
    world.init(&config(&rest), &[]).expect(0, &[]);
    assert_eq!(settings(), serde_json::json!({"database": database, "licence": "l", "pool": 10}));
}

#[test]
fn the_example_of_the_endpoint_follows_a_rotation() {
    let world = World::new();
    world.emulator.put_secret("demo", "db-user", "app");
    world.emulator.put_secret("demo", "db-password", "canary");
    world.emulator.put_secret("demo", "signing-key", "key");
    let example = document("examples/endpoint/keyferry.yaml");
    let (_, rest) = example.split_once("secrets:\n").unwrap();
    let socket = world.root.path().join("api.sock");
    let uid = rustix::process::geteuid().as_raw().to_string();
    let rest = rest
        .replace("keyvault:main/", "keyvault:demo/")
        .replace("uid: 1000", &format!("uid: {uid}"))
        .replace("/run/keyferry-api/api.sock", socket.to_str().unwrap());
    let mut following = Command::new("python3")
        .arg(Path::new(ROOT).join("examples/endpoint/follow.py"))
        .args([socket.to_str().unwrap(), "db-password"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    // Whoever asks before the agent runs waits for it.
    let running = world.run(&format!("{}refresh: {{interval: 1s}}\nsecrets:\n{rest}", world.preamble(&["demo"])));
    assert_eq!(lines.next().unwrap().unwrap(), "value 1: 6 bytes");
    world.emulator.put_secret("demo", "db-password", "another canary");
    assert_eq!(lines.next().unwrap().unwrap(), "value 2: 14 bytes");
    following.kill().unwrap();
    following.wait().unwrap();
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn the_help_shows_a_valid_configuration_too() {
    let help = String::from_utf8(end(&mut binary(&["--help"])).stdout).unwrap();
    let config: Vec<&str> =
        help.lines().skip_while(|line| *line != "  secrets:").take_while(|line| !line.is_empty()).collect();
    assert_eq!(config.len(), 4, "{help}");
    assert_loads("--help", &config.join("\n"));
}

#[test]
fn the_readme_names_the_commands_there_are() {
    let readme = document("README.md");
    assert_eq!(blocks(&readme, "sh"), ["cargo run --example local\n", "cargo test --workspace\n"]);
    let help = String::from_utf8(end(&mut binary(&["--help"])).stdout).unwrap();
    for command in ["init", "run", "get", "env", "exec", "check", "status", "refresh"] {
        assert!(
            readme.contains(&format!("`keyferry {command}")) && help.contains(&format!("  {command} ")),
            "{command}"
        );
    }
}

#[test]
fn the_demo_shows_a_rotation_arrive() {
    // As the README says, so that it is there when these tests alone are run, too.
    assert!(document("README.md").contains("cargo run --example local"));
    let mut demo = Command::new(env!("CARGO"));
    demo.args(["run", "--locked", "--example", "local", "--", "--once"]).current_dir(ROOT);
    let output = demo.stderr(Stdio::inherit()).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{shown}");
    for piece in [
        "0400",
        "db-password",
        "keys/signing.bin",
        "********",
        "..data -> ..g1-",
        "..data -> ..g2-",
        "it arrived after",
    ] {
        assert!(shown.contains(piece), "no {piece:?} in {shown}");
    }
    for value in ["correct horse", "battery staple", "keyferry demo"] {
        assert!(!shown.contains(value), "{shown}");
    }
    assert!(!Path::new("/dev/shm/keyferry-demo").exists(), "the demo cleans up");
}

/// Runs the README's line that begins so, with the command it begins with and nginx replaced by ones that write down their
/// arguments; the first one says these lines.
fn watched(beginning: &str, says: &str) -> Vec<String> {
    let readme = document("README.md");
    let line = readme.split('`').find(|code| code.starts_with(beginning) && code.contains("nginx -s")).unwrap();
    let stubs = tempfile::tempdir().unwrap();
    let log = stubs.path().join("log");
    let events = format!("printf '%s\\n' \"$*\" >> LOG; printf '%s\\n' {says}");
    for (name, text) in [(beginning.trim(), &*events), ("nginx", "printf '%s\\n' \"nginx $*\" >> LOG")] {
        let script = stubs.path().join(name);
        fs::write(&script, format!("#!/bin/sh\n{}\n", text.replace("LOG", log.to_str().unwrap()))).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:/usr/bin:/bin", stubs.path().display());
    let status = Command::new("/bin/sh").args(["-c", line]).env("PATH", path).status().unwrap();
    assert!(status.success());
    fs::read_to_string(log).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn the_readmes_watcher_reloads_once_for_each_generation() {
    let log = watched("inotifywait ", "..tmp-1 ..data xxdata tls.crt ..data ..data.more");
    let asked = "-mq -e moved_to --format %f /run/keyferry/tls";
    assert_eq!(log, [asked, "nginx -s reload", "nginx -s reload"]);
}

#[test]
fn the_readmes_listener_reloads_once_for_each_event() {
    let log = watched("curl ", "'id: r-1' '' 'id: r-2' 'event: change' 'data: {}' '' 'id: r-2' '' 'event: resync'");
    let asked = "-sN --unix-socket /run/keyferry-api/api.sock -H Keyferry-Request: true http://localhost/v1/watch";
    assert_eq!(log, [asked, "nginx -s reload", "nginx -s reload"]);
}

//! The emulator as a program: what it prints, and what it does not start with.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::foreign_issuer::Cluster;

/// A directory for one test, empty at its start.
fn directory(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("emulator-{name}"));
    if path.exists() {
        fs::remove_dir_all(&path).unwrap();
    }
    fs::create_dir_all(&path).unwrap();
    path
}

fn program(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyferry-emulator"));
    command.arg("--dir").arg(dir).args(arguments);
    command
}

/// Ends the program with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}

#[test]
fn it_prints_the_names_of_its_domain_and_trusts_a_cluster() {
    let dir = directory("domain");
    let jwks = dir.join("jwks.json");
    fs::write(&jwks, Cluster::new().jwks().to_string()).unwrap();
    let trusted = format!("https://127.0.0.1:16443={}", jwks.display());
    let subjects = ["--trust-subject", "system:serviceaccount:a:b", "--trust-subject", "system:serviceaccount:c:d"];
    let mut command = program(&dir, &["--domain", "azure.example", "--vault", "demo", "--trust-issuer", &trusted]);
    let mut running = Running(command.args(subjects).stdout(Stdio::piped()).spawn().unwrap());
    let lines: Vec<String> = BufReader::new(running.0.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap)
        .take_while(|line| line != "EMULATOR_READY=1")
        .collect();
    for begin in [
        "AZURE_AUTHORITY_HOST=https://login.azure.example:",
        "EMULATOR_AUTHORITY=https://login.azure.example:",
        "EMULATOR_MANAGEMENT_URL=https://management.azure.example:",
        "EMULATOR_OPENAI_URL=https://demo.openai.azure.example:",
        "EMULATOR_VAULT_URL=https://demo.vault.azure.example:",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(begin)), "{begin} in {lines:#?}");
    }
}

#[test]
fn it_does_not_start_with_what_is_no_jwks() {
    let dir = directory("jwks");
    let file = dir.join("keys.json");
    let trusted = format!("https://issuer.example={}", file.display());
    let all = ["--trust-issuer", &*trusted, "--trust-subject", "system:serviceaccount:default:app"];
    let error = |arguments: &[&str]| {
        let ended = program(&dir, arguments).output().unwrap();
        assert!(!ended.status.success());
        String::from_utf8(ended.stderr).unwrap()
    };
    assert!(error(&all).contains(&format!("--trust-issuer: cannot read {}: No such file", file.display())));
    fs::write(&file, "kind: Pod").unwrap();
    assert!(error(&all).contains(&format!("--trust-issuer: {}: not a JWKS: ", file.display())));
    fs::write(&file, r#"{"keys": []}"#).unwrap();
    assert!(error(&all).contains("the JWKS has no RSA key"));
    assert!(error(&all[..2]).contains("--trust-subject"), "whom to trust has to be said");
    assert!(error(&all[2..]).contains("--trust-issuer"), "so has where they are");
    assert!(error(&["--trust-issuer", "keys.json", all[2], all[3]]).contains("it must be like https://"));
}

#[test]
fn it_does_not_start_with_what_is_no_domain() {
    let ended = program(&directory("no-domain"), &["--domain", "a b"]).output().unwrap();
    assert!(!ended.status.success());
    assert!(String::from_utf8(ended.stderr).unwrap().contains("'a b' is not a domain name"));
}

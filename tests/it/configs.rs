//! Sample configurations: what is accepted, and for what is not every message with its place.
//!
//! A sample says in its leading comments what it wants. `# env: NAME=VALUE` sets a variable, or without a value takes
//! it away; `# allow-custom-cloud` is the consent; `# expect: LINE:COLUMN: MESSAGE` is one problem, in order.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use keyferry::config::{Config, Problems, Settings, load};

use crate::harness::{binary, end};

struct Sample {
    name: String,
    text: String,
    environment: BTreeMap<String, String>,
    allow_custom_cloud: bool,
    expected: Vec<String>,
}

/// The files of a directory, each of which must be a sample.
fn samples(kind: &str) -> Vec<Sample> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs").join(kind);
    let mut paths: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| Sample::read(path)).collect()
}

impl Sample {
    fn read(path: &Path) -> Self {
        assert_eq!(path.extension().unwrap(), "yaml", "{} is no sample", path.display());
        let text = fs::read_to_string(path).unwrap();
        let mut sample = Self {
            name: path.file_name().unwrap().to_str().unwrap().to_owned(),
            environment: webhook(),
            allow_custom_cloud: false,
            expected: Vec::new(),
            text,
        };
        for line in sample.text.lines().map_while(|line| line.strip_prefix("# ")) {
            if let Some((name, value)) = line.strip_prefix("env: ").and_then(|line| line.split_once('=')) {
                sample.environment.insert(name.to_owned(), value.to_owned());
            } else if let Some(problem) = line.strip_prefix("expect: ") {
                sample.expected.push(problem.to_owned());
            } else if line == "allow-custom-cloud" {
                sample.allow_custom_cloud = true;
            }
        }
        sample.environment.retain(|_, value| !value.is_empty());
        sample
    }

    fn load(&self) -> Result<Config, Problems> {
        load(&Settings {
            name: self.name.clone(),
            text: self.text.clone(),
            environment: &self.environment,
            allow_custom_cloud: self.allow_custom_cloud,
            read: template,
        })
    }
}

/// The files of templates: those of `tests/configs/templates`, as if they were in `/templates`, and one that is too long.
fn template(path: &Path) -> Result<String, String> {
    let name = path.file_name().unwrap();
    if name == "long.j2" {
        return Ok("x".repeat((1 << 20) + 1));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs/templates").join(name);
    fs::read_to_string(path).map_err(|_| "there is no such file".to_owned())
}

/// What the workload identity webhook sets in the public cloud.
fn webhook() -> BTreeMap<String, String> {
    let variables = [
        ("AZURE_CLIENT_ID", "11111111-1111-1111-1111-111111111111"),
        ("AZURE_TENANT_ID", "99999999-9999-9999-9999-999999999999"),
        ("AZURE_FEDERATED_TOKEN_FILE", "/var/run/secrets/azure/wi/token/azure-identity-token"),
        ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/"),
    ];
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

#[test]
fn there_are_enough_samples() {
    let (valid, invalid) = (samples("valid").len(), samples("invalid").len());
    assert!(valid >= 20 && invalid >= 40, "{valid} valid and {invalid} invalid samples");
}

#[test]
fn valid_samples_are_accepted() {
    let mut wrong = String::new();
    for sample in samples("valid") {
        assert!(sample.expected.is_empty(), "{} is among the valid ones", sample.name);
        if let Err(problems) = sample.load() {
            writeln!(wrong, "{problems}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn invalid_samples_get_exactly_the_messages_they_expect() {
    let mut wrong = String::new();
    for sample in samples("invalid") {
        assert!(!sample.expected.is_empty(), "{} expects nothing", sample.name);
        let expected: String = sample.expected.iter().map(|problem| format!("{}:{problem}\n", sample.name)).collect();
        let found = sample.load().map_or_else(|problems| problems.to_string(), |_| "it is valid\n".to_owned());
        if found != expected {
            writeln!(wrong, "expected:\n{expected}found:\n{found}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn with_file(content: &[u8]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keyferry.yaml");
    fs::write(&file, content).unwrap();
    let file = file.to_str().unwrap().to_owned();
    (folder, file)
}

#[test]
fn ten_mistakes_are_ten_lines_and_exit_code_78() {
    let sample = samples("invalid").into_iter().find(|sample| sample.name == "ten-mistakes.yaml").unwrap();
    let (_folder, file) = with_file(sample.text.as_bytes());
    let ended = end(&mut binary(&["init", "--config", &file, "--log-format", "text"]));
    assert_eq!(ended.code, Some(78), "{ended:?}");
    let expected: Vec<String> = sample.expected.iter().map(|problem| format!("{file}:{problem}")).collect();
    assert_eq!(ended.last_words(), expected);
    assert_eq!(ended.stderr.lines().count(), 10, "{ended:?}");
    assert_eq!(expected.len(), 10);
}

#[test]
fn a_configuration_that_is_not_to_be_had() {
    let (folder, file) = with_file(b"secrets: {a: \"\xff\xfe\"}");
    let missing = folder.path().join("missing.yaml").display().to_string();
    let folder = folder.path().display().to_string();
    let table = [
        (&["run", "--config", &file][..], None, "it is not UTF-8"),
        (&["run", "--config", &missing], None, "there is no such file"),
        (&["run", "--config", &folder], None, "it is no regular file"),
        (&["run", "--config", &file], Some("secrets: {}"), "keep one"),
        (&["run"], None, "there is no configuration: give --config FILE"),
    ];
    for (arguments, text, reason) in table {
        let mut command = binary(arguments);
        command.envs(text.map(|text| ("KEYFERRY_CONFIG_YAML", text)));
        end(&mut command).expect(78, &[reason]);
    }
}

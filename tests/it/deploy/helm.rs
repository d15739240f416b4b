//! `deploy/helm`: what the charts make (`rendered/`, which `.ci/helm` holds to Helm's own output) is a pod that works.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::pod::{assert_loads, list, mounts, text};
use crate::examples::yaml::documents;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/helm");
const RENDERED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/helm/rendered");

/// What one set of values makes.
struct Made {
    account: Value,
    config: Value,
    /// The text of keyferry.yaml.
    text: String,
    pod: Value,
}

impl Made {
    fn of(name: &str) -> Self {
        let made = documents(&fs::read_to_string(Path::new(RENDERED).join(format!("{name}.yaml"))).unwrap());
        let of = |kind: &str| made.iter().find(|one| one["kind"] == kind).unwrap().clone();
        let text = of("ConfigMap")["data"]["keyferry.yaml"].as_str().unwrap().to_owned();
        let config = documents(&text).remove(0);
        Self { account: of("ServiceAccount"), config, text, pod: of("Deployment")["spec"]["template"].clone() }
    }

    fn keyferry(&self) -> &Value {
        &self.pod["spec"]["initContainers"][0]
    }

    fn app(&self) -> &Value {
        &self.pod["spec"]["containers"][0]
    }
}

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(name)).unwrap()
}

/// The library's templates that a text includes or, with `define`, defines.
fn pieces(text: &str, action: &str) -> BTreeSet<String> {
    let beginning = format!("{action} \"keyferry.");
    text.split(&beginning).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[test]
fn the_configuration_is_valid_and_the_pod_fits_it() {
    for name in ["sidecar", "init", "socket"] {
        let made = Made::of(name);
        assert_loads(name, &made.text);
        let (keyferry, app) = (mounts(made.keyferry()), mounts(made.app()));
        assert_eq!(keyferry["keyferry-config"], ("/etc/keyferry", true));
        let volume = if name == "socket" {
            let path = Path::new(text(&made.config["serve"]["socket"]["path"]));
            assert_eq!(path.parent(), Some(Path::new(keyferry["keyferry-socket"].0)));
            "keyferry-socket"
        } else {
            assert_eq!(made.config["files"]["dir"], keyferry["keyferry-files"].0);
            assert_eq!(
                json!([made.config["files"]["group"]]),
                made.pod["spec"]["securityContext"]["supplementalGroups"]
            );
            "keyferry-files"
        };
        // What keyferry writes the application reads, and nothing else is shared.
        assert_eq!(app, BTreeMap::from([(volume, (keyferry[volume].0, true))]), "{name}");
        let volume = list(&made.pod["spec"]["volumes"]).iter().find(|it| it["name"] == volume).unwrap();
        assert_eq!(volume["emptyDir"]["medium"], "Memory");
    }
}

#[test]
fn the_identity_is_keyferrys_alone_and_the_pod_restricted() {
    for name in ["sidecar", "init", "socket"] {
        let made = Made::of(name);
        let metadata = &made.pod["metadata"];
        assert!(made.account["metadata"]["annotations"]["azure.workload.identity/client-id"].is_string());
        assert_eq!(metadata["labels"]["azure.workload.identity/use"], "true");
        assert_eq!(metadata["annotations"]["azure.workload.identity/skip-containers"], made.app()["name"]);
        assert!(metadata["annotations"]["checksum/keyferry"].is_string());
        assert_eq!(made.pod["spec"]["automountServiceAccountToken"], false);
        let security = json!({
            "runAsNonRoot": true, "runAsUser": 10001, "runAsGroup": 10001, "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        });
        assert_eq!(made.keyferry()["securityContext"], security);
        // What it is tested in.
        assert_eq!(made.keyferry()["resources"]["limits"]["memory"], "16Mi");
    }
}

#[test]
fn a_sidecar_is_probed_where_it_answers_and_init_is_not() {
    let (sidecar, init) = (Made::of("sidecar"), Made::of("init"));
    let container = sidecar.keyferry();
    assert_eq!((&container["args"][0], &container["restartPolicy"]), (&json!("run"), &json!("Always")));
    let port = &container["ports"][0];
    assert_eq!(sidecar.config["admin"]["listen"], format!(":{}", port["containerPort"]));
    for (probe, path) in [("startupProbe", "/readyz"), ("livenessProbe", "/livez")] {
        assert_eq!(container[probe]["httpGet"], json!({"path": path, "port": port["name"]}));
    }
    let container = init.keyferry();
    assert_eq!(container["args"][0], "init");
    for none in ["restartPolicy", "ports", "startupProbe", "livenessProbe"] {
        assert!(container[none].is_null(), "{none}");
    }
    assert!(container["image"].as_str().unwrap().contains("@sha256:"));
}

/// As Helm lays values over others.
fn overlay(below: &mut Value, above: &Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, above) in above {
                overlay(below.entry(key).or_insert_with(|| json!({})), above);
            }
        }
        (below, above) => *below = above.clone(),
    }
}

#[test]
fn what_the_chart_accepts_is_valid() {
    for entry in fs::read_dir(Path::new(ROOT).join("tests/accepted")).unwrap() {
        let path = entry.unwrap().path();
        let mut values = documents(&read("example/values.yaml")).remove(0);
        overlay(&mut values, &documents(&fs::read_to_string(&path).unwrap()).remove(0));
        assert_loads(path.to_str().unwrap(), &values["keyferry"]["config"].to_string());
    }
}

#[test]
fn the_readme_speaks_of_what_is_there() {
    let readme = read("README.md");
    let named = pieces(&readme, "include");
    let templates = fs::read_dir(Path::new(ROOT).join("example/templates")).unwrap();
    let templates: String = templates.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
    assert_eq!(named, pieces(&templates, "include"));
    assert!(named.is_subset(&pieces(&read("keyferry/templates/_keyferry.tpl"), "define")));
    let block = readme.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let (shown, library) = (documents(block).remove(0), documents(&read("keyferry/Chart.yaml")).remove(0));
    assert_eq!(shown["dependencies"], documents(&read("example/Chart.yaml")).remove(0)["dependencies"]);
    assert_eq!(shown["dependencies"][0]["version"], library["version"]);
    let oldest = library["kubeVersion"].as_str().unwrap().strip_prefix(">=").unwrap().strip_suffix(".0-0").unwrap();
    assert!(readme.replace('\n', " ").contains(&format!("Kubernetes {oldest} or newer")));
    let gate = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/helm")).unwrap();
    let helm = gate.lines().find_map(|line| line.strip_prefix("version=v")).unwrap();
    assert!(readme.contains(&format!("tested with Helm {}.", helm.rsplit_once('.').unwrap().0)));
}

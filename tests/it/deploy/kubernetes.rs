//! `deploy/kubernetes`: what the overlays make (`rendered/`, which `.ci/kubernetes` holds to kustomize's own output) is a pod
//! whose parts fit its configuration, and each other.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use keyferry::exit::Exit;
use serde_json::{Value, json};

use super::pod::{assert_loads, list, mounts, text};
use crate::examples::yaml::documents;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/kubernetes");
const OVERLAYS: [&str; 5] = ["exec", "exec-from-sidecar", "init", "native-sidecar", "tokens"];
/// Those in which keyferry runs beside the application.
const SIDECARS: [&str; 3] = ["exec-from-sidecar", "native-sidecar", "tokens"];
const IMAGES: [&str; 2] = ["contoso.azurecr.io/keyferry:0.1.0", "contoso.azurecr.io/keyferry-install:0.1.0"];

fn read(name: &str) -> String {
    let path = Path::new(ROOT).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What an overlay makes.
struct Made {
    name: &'static str,
    all: Vec<Value>,
}

impl Made {
    fn of(name: &'static str) -> Self {
        Self { name, all: documents(&read(&format!("rendered/{name}.yaml"))) }
    }

    fn every() -> impl Iterator<Item = Self> {
        OVERLAYS.into_iter().map(Self::of)
    }

    fn find(&self, kind: &str) -> Option<&Value> {
        self.all.iter().find(|one| one["kind"] == kind)
    }

    fn pod(&self) -> &Value {
        &self.find("Deployment").unwrap()["spec"]["template"]
    }

    fn spec(&self) -> &Value {
        &self.pod()["spec"]
    }

    fn container(&self, name: &str) -> Option<&Value> {
        self.containers().find(|container| container["name"] == name)
    }

    fn containers(&self) -> impl Iterator<Item = &Value> {
        list(&self.spec()["initContainers"]).iter().chain(list(&self.spec()["containers"]))
    }

    fn keyferry(&self) -> &Value {
        self.container("keyferry").unwrap()
    }

    fn app(&self) -> &Value {
        self.container("app").unwrap()
    }

    fn volume(&self, name: &str) -> Option<&Value> {
        list(&self.spec()["volumes"]).iter().find(|volume| volume["name"] == name)
    }

    /// The text of `keyferry.yaml`, of the `ConfigMap` that keyferry mounts.
    fn config_text(&self) -> Option<&str> {
        let map = self.find("ConfigMap")?;
        let mounted = json!({"name": "keyferry-config", "configMap": {"name": map["metadata"]["name"]}});
        assert_eq!(self.volume("keyferry-config"), Some(&mounted), "{}", self.name);
        assert_eq!(mounts(self.keyferry())["keyferry-config"], ("/etc/keyferry", true), "{}", self.name);
        Some(text(&map["data"]["keyferry.yaml"]))
    }

    fn config(&self) -> Value {
        documents(self.config_text().unwrap()).remove(0)
    }

    /// A volume in memory that keyferry writes to, the application reads, and nobody else sees.
    fn is_shared(&self, volume: &str, path: &str) {
        assert_eq!(mounts(self.keyferry())[volume], (path, false), "{}", self.name);
        assert_eq!(mounts(self.app())[volume], (path, true), "{}", self.name);
        let seen_by = self.containers().filter(|container| mounts(container).contains_key(volume));
        assert_eq!(seen_by.count(), 2, "{}", self.name);
        let volume = &self.volume(volume).unwrap()["emptyDir"];
        assert_eq!(volume["medium"], "Memory", "{}", self.name);
        assert!(volume["sizeLimit"].is_string(), "{}", self.name);
    }
}

fn every_yaml(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            every_yaml(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path.strip_prefix(ROOT).unwrap().to_str().unwrap().to_owned());
        }
    }
}

#[test]
fn every_file_is_yaml_and_named_by_a_kustomization() {
    let mut found = Vec::new();
    every_yaml(Path::new(ROOT), &mut found);
    for name in &found {
        assert!(!documents(&read(name)).is_empty(), "{name}");
        let (folder, file) = name.rsplit_once('/').unwrap();
        if folder != "rendered" && file != "kustomization.yaml" {
            assert!(read(&format!("{folder}/kustomization.yaml")).contains(file), "{name}");
        }
    }
    let named = |folder: &str| -> BTreeSet<String> {
        let below = found.iter().filter_map(|name| name.strip_prefix(folder));
        below.map(|name| name.split(['/', '.']).next().unwrap().to_owned()).collect()
    };
    let overlays = BTreeSet::from(OVERLAYS.map(str::to_owned));
    assert_eq!((named("overlays/"), named("rendered/")), (overlays.clone(), overlays));
}

#[test]
fn the_readme_speaks_of_what_is_there() {
    let readme = read("README.md");
    for overlay in OVERLAYS {
        assert!(readme.contains(&format!("| [{overlay}](overlays/{overlay}) |")), "{overlay}");
    }
    for image in IMAGES {
        assert!(readme.contains(image), "{image}");
    }
    let blocks: Vec<Value> =
        readme.split("```yaml\n").skip(1).map(|rest| documents(rest.split_once("```").unwrap().0).remove(0)).collect();
    let [kustomization, annotation, group, mount, injection, map] = &blocks[..] else { panic!("{blocks:?}") };
    let app = documents(&read("overlays/native-sidecar/app.yaml")).remove(0)["spec"]["template"].take();
    assert_eq!(*annotation, app["metadata"]["annotations"]);
    assert_eq!(group["securityContext"], app["spec"]["securityContext"]);
    assert_eq!(*mount, app["spec"]["containers"][0]["volumeMounts"]);
    let overlay = documents(&read("overlays/native-sidecar/kustomization.yaml")).remove(0);
    assert_eq!(kustomization["configMapGenerator"], overlay["configMapGenerator"]);
    assert!(text(&kustomization["components"][0]).ends_with("deploy/kubernetes/component"));
    assert!(text(&injection["resources"][0]).ends_with("deploy/kubernetes/injection"));
    let config = text(&map["data"]["keyferry.yaml"]);
    assert_loads("README.md", config);
    assert_eq!(documents(config)[0]["admin"]["listen"], ":8211");
    for exit in
        [Exit::Usage, Exit::Content, Exit::Unavailable, Exit::Bug, Exit::CannotWrite, Exit::Denied, Exit::Config]
    {
        assert!(readme.contains(&format!("\n| {} | ", exit.code())), "{exit:?}");
    }
    let gate = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/kubernetes")).unwrap();
    let versions = gate.lines().find_map(|line| line.strip_prefix("for kubernetes in ")).unwrap();
    let (oldest, newest) = versions.strip_suffix("; do").unwrap().split_once(' ').unwrap();
    assert!(readme.contains(&format!("## Kubernetes {oldest} to {newest}\n")));
}

/// Whoever changes a source and has no kustomize is told here.
#[test]
fn what_is_rendered_is_of_these_sources() {
    let component = documents(&read("component/sidecar.yaml")).remove(0);
    let sidecar = &component["spec"]["template"]["spec"]["initContainers"][0];
    assert_eq!(Made::of("native-sidecar").keyferry(), sidecar);
    let cron = documents(&read("component/cronjob.yaml")).remove(0);
    assert_eq!(cron["spec"]["jobTemplate"]["spec"], component["spec"], "a CronJob's pods are as others");
    for made in Made::every().filter(|made| made.name != "exec") {
        assert_eq!(
            made.config_text().unwrap(),
            read(&format!("overlays/{}/keyferry.yaml", made.name)),
            "{}",
            made.name
        );
        for member in ["image", "resources", "securityContext"] {
            assert_eq!(made.keyferry()[member], sidecar[member], "{} {member}", made.name);
        }
    }
}

#[test]
fn the_configurations_are_valid_as_they_stand() {
    for made in Made::every() {
        let text = made.config_text();
        assert_eq!(text.is_none(), made.name == "exec");
        if let Some(text) = text {
            assert_loads(made.name, text);
        }
    }
}

#[test]
fn one_container_alone_has_the_identity() {
    for made in Made::every() {
        let (account, metadata) = (&made.find("ServiceAccount").unwrap()["metadata"], &made.pod()["metadata"]);
        assert!(account["annotations"]["azure.workload.identity/client-id"].is_string());
        assert_eq!(made.spec()["serviceAccountName"], account["name"]);
        assert_eq!(made.spec()["automountServiceAccountToken"], false);
        assert_eq!(metadata["labels"]["azure.workload.identity/use"], "true");
        let skipped = text(&metadata["annotations"]["azure.workload.identity/skip-containers"]).split(';');
        let mut named: BTreeSet<&str> = skipped.collect();
        assert!(named.insert(if made.name == "exec" { "app" } else { "keyferry" }), "{}", made.name);
        let all: BTreeSet<&str> = made.containers().map(|container| text(&container["name"])).collect();
        assert_eq!(named, all, "{}: whoever is not skipped signs in", made.name);
    }
}

#[test]
fn the_pods_are_restricted() {
    for made in Made::every() {
        let namespace = &made.find("Namespace").unwrap()["metadata"];
        assert_eq!(namespace["labels"]["pod-security.kubernetes.io/enforce"], "restricted");
        for one in made.all.iter().filter(|one| one["kind"] != "Namespace") {
            assert_eq!(one["metadata"]["namespace"], namespace["name"], "{}: {}", made.name, one["kind"]);
        }
        let pod = &made.spec()["securityContext"];
        assert_eq!((&pod["runAsNonRoot"], &pod["seccompProfile"]["type"]), (&true.into(), &"RuntimeDefault".into()));
        for container in made.containers() {
            let uid = if container["name"] == "app" { 1000 } else { 10001 };
            let mut expected = json!({
                "runAsUser": uid, "runAsGroup": uid, "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            });
            // It comes to pods that may say nothing of these.
            if container["name"] == "keyferry" {
                expected["runAsNonRoot"] = true.into();
                expected["seccompProfile"] = json!({"type": "RuntimeDefault"});
            }
            assert_eq!(container["securityContext"], expected, "{}", made.name);
            let resources = &container["resources"];
            assert!(resources["requests"]["cpu"].is_string() && resources["requests"]["memory"].is_string());
            assert!(resources["limits"]["memory"].is_string());
            assert!(uid == 1000 || IMAGES.contains(&text(&container["image"])), "{}", container["image"]);
        }
        if made.name != "exec" {
            assert_eq!(made.keyferry()["resources"]["limits"]["memory"], "16Mi");
        }
    }
}

#[test]
fn a_sidecar_comes_first_and_is_probed_where_it_answers() {
    for made in SIDECARS.map(Made::of) {
        let (sidecar, name) = (&made.spec()["initContainers"][0], made.name);
        assert_eq!((&sidecar["name"], &sidecar["args"]), (&json!("keyferry"), &json!(["run"])), "{name}");
        assert_eq!(sidecar["restartPolicy"], "Always", "{name}");
        let port = &sidecar["ports"][0];
        assert_eq!(made.config()["admin"]["listen"], format!(":{}", port["containerPort"]), "{name}");
        for (probe, path) in [("startupProbe", "/readyz"), ("livenessProbe", "/livez")] {
            assert_eq!(sidecar[probe]["httpGet"], json!({"path": path, "port": port["name"]}), "{name}");
        }
        let startup = &sidecar["startupProbe"];
        assert_eq!((&startup["periodSeconds"], &startup["failureThreshold"]), (&json!(1), &json!(600)), "{name}");
    }
    let init = Made::of("init");
    assert_eq!(init.keyferry()["args"], json!(["init"]));
    for none in ["restartPolicy", "ports", "startupProbe", "livenessProbe"] {
        assert!(init.keyferry()[none].is_null(), "{none}");
    }
    assert!(init.config()["admin"].is_null());
}

#[test]
fn files_are_where_the_configuration_writes_them() {
    for made in ["init", "native-sidecar"].map(Made::of) {
        let files = &made.config()["files"];
        made.is_shared("keyferry", text(&files["dir"]));
        let pod = &made.spec()["securityContext"];
        assert_eq!(json!([files["group"]]), pod["supplementalGroups"], "{}", made.name);
        // That would change the owner of all that an application has in its other volumes.
        assert!(pod["fsGroup"].is_null(), "{}", made.name);
    }
    for made in ["tokens", "exec-from-sidecar"].map(Made::of) {
        assert_eq!((made.volume("keyferry"), &made.config()["files"]), (None, &Value::Null), "{}", made.name);
    }
}

#[test]
fn endpoints_are_for_the_applications_user_where_it_asks() {
    let tokens = Made::of("tokens");
    let config = tokens.config();
    assert_eq!(config["serve"]["tokens"]["allow"][0]["uid"], tokens.app()["securityContext"]["runAsUser"]);
    let host = format!("http://{}", text(&config["serve"]["tokens"]["listen"]));
    assert_eq!(tokens.app()["env"], json!([{"name": "AZURE_POD_IDENTITY_AUTHORITY_HOST", "value": host}]));

    let from = Made::of("exec-from-sidecar");
    let config = from.config();
    let socket = &config["serve"]["socket"];
    assert_eq!(socket["allow"][0]["uid"], from.app()["securityContext"]["runAsUser"]);
    let folder = Path::new(text(&socket["path"])).parent().unwrap();
    from.is_shared("keyferry-api", folder.to_str().unwrap());
    let command = list(&from.app()["command"]);
    assert_eq!(command[2..4], [json!("--from"), json!(format!("unix:{}", text(&socket["path"])))]);
}

#[test]
fn a_foreign_image_is_given_the_binary() {
    for made in ["exec", "exec-from-sidecar"].map(Made::of) {
        let (install, app) = (made.container("keyferry-install").unwrap(), made.app());
        assert_eq!(install["image"], IMAGES[1], "its binary can be read");
        let folder = mounts(install)["keyferry-bin"].0;
        assert_eq!(install["args"], json!(["install", folder]), "{}", made.name);
        assert_eq!(mounts(app)["keyferry-bin"], (folder, true), "{}", made.name);
        let command = list(&app["command"]);
        assert_eq!(command[..2], [json!(format!("{folder}/keyferry")), json!("exec")], "{}", made.name);
        assert_eq!(command.last(), Some(&json!("--")), "{}", made.name);
        assert!(!list(&app["args"]).is_empty(), "{}", made.name);
    }
}

#[test]
fn the_policies_are_for_these_pods_and_this_port() {
    for made in Made::every() {
        let policies: Vec<_> = made.all.iter().filter(|one| one["kind"] == "NetworkPolicy").collect();
        let [admin, imds] = policies[..] else { panic!("{}: {policies:?}", made.name) };
        for policy in [admin, imds] {
            for (label, value) in policy["spec"]["podSelector"]["matchLabels"].as_object().unwrap() {
                assert_eq!(made.pod()["metadata"]["labels"][label], *value, "{}", made.name);
            }
        }
        assert_eq!(imds["spec"]["egress"][0]["to"][0]["ipBlock"]["except"], json!(["169.254.169.254/32"]));
        let [scraped, rest] = list(&admin["spec"]["ingress"]) else { panic!("{admin}") };
        let port = scraped["ports"][0]["port"].as_i64().unwrap();
        assert!(scraped["from"][0]["namespaceSelector"]["matchLabels"].is_object() && rest["from"].is_null());
        let range = |from: i64, to: i64| json!({"protocol": "TCP", "port": from, "endPort": to});
        assert_eq!(list(&rest["ports"])[..2], [range(1, port - 1), range(port + 1, 65535)]);
        if SIDECARS.contains(&made.name) {
            assert_eq!(made.keyferry()["ports"][0]["containerPort"], port);
        }
    }
}

/// As the policy's expressions are compared.
fn squeezed(text: &str) -> String {
    text.chars().filter(|character| !character.is_whitespace()).collect()
}

#[test]
fn what_is_injected_is_the_components_sidecar() {
    let mutation = documents(&read("injection/mutation.yaml")).remove(0);
    let [applied, patch] = list(&mutation["spec"]["mutations"]) else { panic!("{mutation}") };
    let applied = squeezed(text(&applied["applyConfiguration"]["expression"]));
    let patch = squeezed(text(&patch["jsonPatch"]["expression"]));
    let sidecar = Made::of("native-sidecar");
    let (keyferry, startup) = (sidecar.keyferry(), &sidecar.keyferry()["startupProbe"]);
    for expected in [
        format!("args:{}", keyferry["args"]),
        format!("restartPolicy:{}", keyferry["restartPolicy"]),
        format!("containerPort:{}", keyferry["ports"][0]["containerPort"]),
        format!("path:{},port:{}", startup["httpGet"]["path"], startup["httpGet"]["port"]),
        format!("periodSeconds:{},failureThreshold:{}", startup["periodSeconds"], startup["failureThreshold"]),
        format!("path:{}", keyferry["livenessProbe"]["httpGet"]["path"]),
        format!("terminationMessagePolicy:{}", keyferry["terminationMessagePolicy"]),
        format!("requests:{}", keyferry["resources"]["requests"]),
        format!("limits:{}", keyferry["resources"]["limits"]),
        format!("runAsUser:{}", keyferry["securityContext"]["runAsUser"]),
        format!("name:\"keyferry\",mountPath:{:?}", mounts(keyferry)["keyferry"].0),
        format!("name:\"keyferry-config\",mountPath:{:?},readOnly:true", mounts(keyferry)["keyferry-config"].0),
    ] {
        assert!(patch.contains(&expected), "{expected} is not in {patch}");
    }
    let (path, read_only) = mounts(sidecar.app())["keyferry"];
    let volume = &sidecar.volume("keyferry").unwrap()["emptyDir"];
    for expected in [
        format!("name:\"keyferry\",mountPath:{path:?},readOnly:{read_only}"),
        format!("medium:{},sizeLimit:{}", volume["medium"], volume["sizeLimit"]),
    ] {
        assert!(applied.contains(&expected), "{expected} is not in {applied}");
    }
}

#[test]
fn the_policies_of_injection_are_bound_and_need_nothing_else() {
    for file in ["mutation", "validation"] {
        let [policy, binding] = <[Value; 2]>::try_from(documents(&read(&format!("injection/{file}.yaml")))).unwrap();
        assert_eq!(binding["spec"]["policyName"], policy["metadata"]["name"], "{file}");
        assert_eq!(policy["spec"]["failurePolicy"], "Fail", "{file}");
        // A parameter that is a ConfigMap can be lost from sight: kubernetes#130887.
        assert!(policy["spec"]["paramKind"].is_null() && binding["spec"]["paramRef"].is_null(), "{file}");
    }
    let mutation = documents(&read("injection/mutation.yaml")).remove(0);
    let image = &mutation["spec"]["variables"][0];
    assert_eq!(image["name"], "image");
    assert_eq!(text(&image["expression"]), format!("'{}'", IMAGES[0]));
}

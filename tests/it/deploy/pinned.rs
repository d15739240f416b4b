//! `.ci/pinned`: what the gates render with is the version that they name, whatever else is on the machine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A checkout with the script, and a machine whose tools are ours.
struct Machine {
    root: TempDir,
}

impl Machine {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        for folder in [".ci", "bin"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/pinned");
        fs::copy(script, root.path().join(".ci/pinned")).unwrap();
        Self { root }
    }

    /// A tool that is a shell's script.
    fn has(self, name: &str, script: &str) -> Self {
        let path = self.tool(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn tool(&self, name: &str) -> PathBuf {
        self.root.path().join("bin").join(name)
    }

    fn own(&self) -> PathBuf {
        self.root.path().join("target/pinned/helm-v4.3.1/helm")
    }

    fn asked(&self) -> Output {
        Command::new("bash")
            .arg(self.root.path().join(".ci/pinned"))
            .args(["helm", "v4.3.1", "helm.example/helm"])
            .env("PATH", format!("{}:/usr/bin:/bin", self.tool("").display()))
            .output()
            .unwrap()
    }

    fn answers(&self, tool: &Path) {
        let output = self.asked();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), tool.to_str().unwrap(), "{output:?}");
        assert!(output.status.success());
    }
}

/// Installs what it is asked for, and only that.
const GO: &str = r#"[ "$*" = "install helm.example/helm@v4.3.1" ] && mkdir -p "$GOBIN" && echo >"$GOBIN/helm" && chmod +x "$GOBIN/helm""#;

#[test]
fn the_machines_tool_is_taken_in_the_pinned_version_alone() {
    for said in [r#"version.BuildInfo{Version:"v4.3.1", GitCommit:"f9b0ca9"}"#, "v4.3.1"] {
        let machine = Machine::new().has("helm", &format!("echo '{said}'")).has("go", "exit 1");
        machine.answers(&machine.tool("helm"));
    }
    for other in
        [r#"version.BuildInfo{Version:"v3.19.4", GitCommit:""}"#, "v4.3.10", "v14.3.1", "v4x3.1", "v4.3.1-rc.1"]
    {
        let machine = Machine::new().has("helm", &format!("echo '{other}'")).has("go", GO);
        machine.answers(&machine.own());
    }
}

#[test]
fn what_was_built_is_not_built_again() {
    let machine = Machine::new().has("helm", "exit 1").has("go", GO);
    machine.answers(&machine.own());
    let machine = machine.has("go", "exit 1");
    machine.answers(&machine.own());
}

#[test]
fn no_other_version_stands_in_where_it_cannot_be_had() {
    let machine = Machine::new().has("helm", "echo v3.19.4").has("go", "exit 1");
    let output = machine.asked();
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
}

/// Both gates take their tool from there, and none that is not of the version which they name.
#[test]
fn the_gates_ask_for_theirs() {
    for (gate, name) in [("helm", "helm"), ("kubernetes", "kustomize")] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci").join(gate)).unwrap();
        assert!(text.contains(&format!("=$(.ci/pinned {name} \"$version\" ")), "{gate}");
        assert!(!text.contains("command -v"), "{gate}");
    }
}

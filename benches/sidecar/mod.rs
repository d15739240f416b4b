//! A running `keyferry run` beside the embedded emulator, as a pod would run it, for benchmarks of what happens after the start.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use keyferry_emulator::{Assertion, DEFAULT_CLIENT, DEFAULT_TENANT, Emulator, Settings};
use tempfile::TempDir;

const STATIC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/x86_64-unknown-linux-musl/release/keyferry");

/// The agent, its vault and its directory; ended when dropped.
pub(crate) struct Sidecar {
    pub(crate) emulator: Emulator,
    pub(crate) child: Child,
    pub(crate) pod: Pod,
}

/// What everything that runs in it shares.
pub(crate) struct Pod {
    /// The variables by which keyferry signs in, and its configuration.
    environment: BTreeMap<&'static str, String>,
    root: TempDir,
}

impl Sidecar {
    /// With so many secrets `s0`, `s1` and so on in the vault `demo`, put long ago, all of them published.
    pub(crate) fn start(secrets: usize, latency: Duration, rest: &str) -> Self {
        let root = tempfile::Builder::new().prefix("keyferry-bench-").tempdir_in("/dev/shm").unwrap();
        let emulator = Emulator::start(Settings { latency, ..Settings::default() }).unwrap();
        fs::write(root.path().join("ca.pem"), emulator.ca_pem()).unwrap();
        fs::write(root.path().join("token"), emulator.federated_token(&Assertion::default())).unwrap();
        let mut config = format!(
            "cloud: {{vaultSuffix: vault.localhost}}\ntls: {{caFile: {0}/ca.pem}}\nvaults: {{demo: {{url: \"{1}\"}}}}\n\
             files: {{dir: {0}/out}}\n{rest}\nsecrets:\n",
            root.path().display(),
            emulator.vault_url("demo")
        );
        for number in 0..secrets {
            emulator.put_secret("demo", &format!("s{number}"), &"x".repeat(200));
            writeln!(config, "  s{number}: keyvault:demo/secrets/s{number}").unwrap();
        }
        let environment = BTreeMap::from([
            ("AZURE_CLIENT_ID", DEFAULT_CLIENT.to_owned()),
            ("AZURE_TENANT_ID", DEFAULT_TENANT.to_owned()),
            ("AZURE_AUTHORITY_HOST", emulator.authority()),
            ("AZURE_FEDERATED_TOKEN_FILE", root.path().join("token").display().to_string()),
            ("KEYFERRY_ALLOW_CUSTOM_CLOUD", "1".to_owned()),
            ("KEYFERRY_CONFIG_YAML", config),
        ]);
        let pod = Pod { environment, root };
        let child = pod.keyferry("run").spawn().unwrap();
        let sidecar = Self { emulator, child, pod };
        let begun = Instant::now();
        while (0..secrets).any(|number| !sidecar.out().join(format!("s{number}")).exists()) {
            assert!(begun.elapsed() < Duration::from_mins(1), "it never published");
            std::thread::sleep(Duration::from_millis(5));
        }
        sidecar
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.pod.root.path().join("out")
    }
}

impl Pod {
    pub(crate) fn keyferry(&self, command: &str) -> Command {
        let mut keyferry = Command::new(binary());
        keyferry.args([command, "--log-level", "warn"]).env_clear().envs(&self.environment).stdin(Stdio::null());
        keyferry
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The static build where there is one (`just static`), because that is what images ship.
pub(crate) fn binary() -> &'static Path {
    let binary = Path::new(STATIC);
    if binary.exists() { binary } else { Path::new(env!("CARGO_BIN_EXE_keyferry")) }
}

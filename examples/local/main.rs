//! keyferry on a laptop, without an Azure account: `cargo run --example local`.
//!
//! Starts the emulator of Entra and Key Vault, writes a mocked federated token file, sets the variables that the
//! workload identity webhook sets in a pod, and runs the real binary with `examples/local/keyferry.yaml`. Shows what is
//! published, rotates one secret, and shows the change arrive. Goes on until Ctrl-C; `--once` ends by itself.
#![expect(clippy::print_stdout, reason = "this is a program for people")]
#![expect(clippy::disallowed_methods, reason = "this is a program, not the agent")]

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::time::{Duration, Instant};

use keyferry_emulator::{Assertion, DEFAULT_CLIENT, DEFAULT_TENANT, Emulator, SecretSpec, Settings};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

type Outcome<T> = Result<T, Box<dyn Error>>;

const ROOT: &str = "/dev/shm/keyferry-demo";
const VAULT_PORT: u16 = 8443;
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let once = std::env::args().any(|argument| argument == "--once");
    match demo(once).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("the demo failed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn demo(once: bool) -> Outcome<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let binary = build()?;
    let settings =
        Settings { vault_port: VAULT_PORT, control: Some(([127, 0, 0, 1], 0).into()), ..Settings::default() };
    let emulator = Emulator::start(settings)
        .map_err(|error| format!("{error}; the demo needs port {VAULT_PORT} of this machine for itself"))?;
    // Whoever has the port has the folder: what is there now was left by a demo that was killed.
    let root = Root::make()?;
    let mut versions = fill(&emulator);
    fs::write(root.join("ca.pem"), emulator.ca_pem())?;
    fs::write(root.join("token"), emulator.federated_token(&Assertion::default()))?;

    println!("Entra    {}", emulator.authority());
    println!("vault    {}", emulator.vault_url("demo"));
    if let Some(control) = emulator.control_address() {
        println!("control  curl -X PUT http://{control}/vaults/demo/secrets/db-password -d 'a new value'");
    }
    println!("\n$ keyferry run --config examples/local/keyferry.yaml");
    let mut agent = Agent(start(&binary, &emulator, &root.0)?);

    let talk = async {
        let out = root.join("secrets");
        appears(&out.join("db-password"), "correct horse").await?;
        show(&out, &versions)?;
        println!("\nRotating db-password in the vault; the agent looks every 5 s.");
        sleep(Duration::from_secs(2)).await;
        let rotated = Instant::now();
        let version = emulator.put_secret("demo", "db-password", "battery staple");
        println!("  the vault has version {version}");
        versions.insert("db-password", version);
        appears(&out.join("db-password"), "battery staple").await?;
        println!("  it arrived after {:.1} s:", rotated.elapsed().as_secs_f32());
        show(&out, &versions)?;
        if !once {
            println!("\nLook around in {}; rotate with the curl line above; end with Ctrl-C.", out.display());
            std::future::pending::<()>().await;
        }
        Ok(())
    };
    let ended = async {
        loop {
            if let Some(status) = agent.0.try_wait()? {
                return Err::<(), Box<dyn Error>>(format!("keyferry ended: {status}").into());
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        result = talk => result,
        result = ended => result,
        _ = interrupt.recv() => Ok(()),
    }
}

/// Cargo does not build a package's binary for its examples.
fn build() -> Outcome<PathBuf> {
    let target = std::env::current_exe()?.parent().and_then(Path::parent).ok_or("no target folder")?.to_owned();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", "keyferry", "--bin", "keyferry"]);
    command.arg("--manifest-path").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    if target.file_name() == Some(OsStr::new("release")) {
        command.arg("--release");
    }
    if !command.status()?.success() {
        return Err("keyferry could not be built".into());
    }
    Ok(target.join("keyferry"))
}

/// Puts the secrets into the vault; gives the version that each file will be of.
fn fill(emulator: &Emulator) -> BTreeMap<&'static str, String> {
    let key = SecretSpec {
        content_type: Some("application/base64".to_owned()),
        ..SecretSpec::new("signing-key", "a2V5ZmVycnkgZGVtbw==")
    };
    BTreeMap::from([
        ("db-password", emulator.put_secret("demo", "db-password", "correct horse")),
        ("db-user", emulator.put_secret("demo", "db-login", r#"{"username": "ann", "host": "db"}"#)),
        ("keys/signing.bin", emulator.put_secret_with("demo", key)),
    ])
}

/// As a pod of a service account with a federated credential would be started.
fn start(binary: &Path, emulator: &Emulator, root: &Path) -> Outcome<Child> {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/local/keyferry.yaml");
    let mut command = Command::new(binary);
    command.args(["run", "--log-format", "text", "--config", config]);
    command.env("AZURE_CLIENT_ID", DEFAULT_CLIENT).env("AZURE_TENANT_ID", DEFAULT_TENANT);
    command.env("AZURE_FEDERATED_TOKEN_FILE", root.join("token")).env("AZURE_AUTHORITY_HOST", emulator.authority());
    command.env("KEYFERRY_ALLOW_CUSTOM_CLOUD", "1").env_remove("KEYFERRY_CONFIG").env_remove("KEYFERRY_CONFIG_YAML");
    Ok(command.spawn()?)
}

async fn appears(file: &Path, value: &str) -> Outcome<()> {
    let begun = Instant::now();
    while fs::read_to_string(file).ok().as_deref() != Some(value) {
        if begun.elapsed() > PATIENCE {
            return Err(format!("{} did not get its value", file.display()).into());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Prints what a reader of the directory sees; values masked.
fn show(out: &Path, versions: &BTreeMap<&str, String>) -> Outcome<()> {
    let generation = fs::read_link(out.join("..data"))?;
    println!("\n{}  (..data -> {})", out.display(), generation.display());
    let mut folders = vec![out.join(&generation)];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<PathBuf> =
            fs::read_dir(&folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
        entries.sort();
        for path in entries {
            let metadata = fs::metadata(&path)?;
            let name = path.strip_prefix(out.join(&generation))?.display().to_string();
            if metadata.is_dir() {
                folders.push(path);
                continue;
            }
            let mode = metadata.permissions().mode() & 0o7777;
            let version = versions.get(name.as_str()).map_or("-", String::as_str);
            println!(
                "  {mode:04o}  uid {}  {:>3} bytes  {name:<17} version {version}  ********",
                metadata.uid(),
                metadata.len()
            );
        }
    }
    Ok(())
}

/// The demo's own folder on tmpfs, removed at the end.
struct Root(PathBuf);

impl Root {
    fn make() -> Outcome<Self> {
        let root = PathBuf::from(ROOT);
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        fs::create_dir(&root)?;
        fs::set_permissions(&root, fs::Permissions::from_mode(0o700))?;
        Ok(Self(root))
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            println!("{ROOT} could not be removed: {error}");
        }
    }
}

/// The running agent, stopped at the end.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let pid = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid.filter(|_| matches!(self.0.try_wait(), Ok(None))) {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
        }
        self.0.wait().ok();
    }
}

//! The emulator as a program: options in, the webhook's environment out, running until a signal.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use keyferry_emulator::{
    Assertion, Conversion, DEFAULT_CLIENT, DEFAULT_SUBJECT, DEFAULT_TENANT, Emulator, Service, Settings,
};
use tokio::signal::unix::{SignalKind, signal};

/// Entra's token endpoint and Azure Key Vault on loopback, for trying keyferry without Azure.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Directory for ca.pem and the federated token, which is kept fresh there.
    #[arg(long)]
    dir: PathBuf,
    /// A vault to have; may be repeated.
    #[arg(long = "vault", value_name = "NAME")]
    vaults: Vec<String>,
    /// A secret to put; may be repeated. Adds the vault if need be.
    #[arg(long = "secret", value_name = "VAULT/NAME=VALUE", value_parser = secret)]
    secrets: Vec<Secret>,
    /// Serve plain HTTP for control with curl on this address.
    #[arg(long, value_name = "ADDRESS:PORT")]
    control: Option<SocketAddr>,
    /// Offer HTTP/1.1 only.
    #[arg(long)]
    http1_only: bool,
    /// Time every request takes at least, such as 20ms.
    #[arg(long, default_value = "0ms", value_parser = humantime::parse_duration)]
    latency: Duration,
    /// Put an empty page behind every full page of a list.
    #[arg(long)]
    empty_pages: bool,
    /// What becomes of outContentType when a secret is read.
    #[arg(long, value_enum, default_value_t = Conversion::default())]
    out_content_type: Conversion,
    /// Address to listen on.
    #[arg(long, default_value_t = Ipv4Addr::LOCALHOST.into())]
    address: IpAddr,
    /// Port of Entra; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    entra_port: u16,
    /// Port of the vaults; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    vault_port: u16,
    /// Port that vault URLs name, when something maps it to the vaults' port.
    #[arg(long, value_name = "PORT")]
    shown_vault_port: Option<u16>,
    /// Subject of the federated token in the file; another than the default is refused by Entra.
    #[arg(long, default_value = DEFAULT_SUBJECT)]
    subject: String,
    /// Time a federated token lasts; the file is replaced when a fifth of it is left.
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration)]
    federated_lifetime: Duration,
    /// Time an access token lasts.
    #[arg(long, default_value = "86399s", value_parser = humantime::parse_duration)]
    token_lifetime: Duration,
}

#[derive(Debug, Clone)]
struct Secret {
    vault: String,
    name: String,
    value: String,
}

fn secret(text: &str) -> Result<Secret, String> {
    let parts = text.split_once('=').and_then(|(path, value)| {
        let (vault, name) = path.split_once('/')?;
        Some(Secret { vault: vault.to_owned(), name: name.to_owned(), value: value.to_owned() })
    });
    parts.ok_or_else(|| "it must be VAULT/NAME=VALUE".to_owned())
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Before anything is announced, so that no signal is lost.
    let _inside = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;

    let emulator = Emulator::start(Settings {
        address: options.address,
        entra_port: options.entra_port,
        vault_port: options.vault_port,
        shown_vault_port: options.shown_vault_port,
        control: options.control,
        http2: !options.http1_only,
        latency: options.latency,
        empty_pages: options.empty_pages,
        conversion: options.out_content_type,
        token_lifetime: i64::try_from(options.token_lifetime.as_secs())?,
        ..Settings::default()
    })?;
    for vault in &options.vaults {
        emulator.add_vault(vault);
    }
    for secret in &options.secrets {
        emulator.put_secret(&secret.vault, &secret.name, &secret.value);
    }
    fs::create_dir_all(&options.dir)?;
    let dir = options.dir.canonicalize()?;
    let token_file = dir.join("azure-identity-token");
    fs::write(dir.join("ca.pem"), emulator.ca_pem())?;
    write_token(&emulator, &options, &token_file)?;
    announce(&emulator, &options, &dir, &token_file)?;

    runtime.block_on(async {
        // The kubelet renews at 80 % of the lifetime too.
        let mut renewal = tokio::time::interval((options.federated_lifetime * 4 / 5).max(Duration::from_secs(1)));
        loop {
            tokio::select! {
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
                _ = renewal.tick() => write_token(&emulator, &options, &token_file)?,
            }
        }
    })
}

/// Replaces the token file at once, so that no reader sees half a token.
fn write_token(emulator: &Emulator, options: &Options, file: &Path) -> Result<(), Box<dyn Error>> {
    let lifetime = i64::try_from(options.federated_lifetime.as_secs())?;
    let assertion = Assertion { subject: options.subject.clone(), lifetime, ..Assertion::default() };
    let fresh = file.with_extension("new");
    fs::write(&fresh, emulator.federated_token(&assertion))?;
    Ok(fs::rename(fresh, file)?)
}

/// Prints what the workload-identity webhook would set, then where everything is; the last line is `EMULATOR_READY`.
fn announce(emulator: &Emulator, options: &Options, dir: &Path, token_file: &Path) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "AZURE_TENANT_ID={DEFAULT_TENANT}")?;
    writeln!(out, "AZURE_CLIENT_ID={DEFAULT_CLIENT}")?;
    writeln!(out, "AZURE_FEDERATED_TOKEN_FILE={}", token_file.display())?;
    writeln!(out, "AZURE_AUTHORITY_HOST={}", emulator.authority())?;
    writeln!(out, "EMULATOR_CA_FILE={}", dir.join("ca.pem").display())?;
    writeln!(out, "EMULATOR_ENTRA_ADDRESS={}", emulator.address(Service::Entra))?;
    writeln!(out, "EMULATOR_VAULT_ADDRESS={}", emulator.address(Service::Vault))?;
    let vaults: BTreeSet<&String> =
        options.vaults.iter().chain(options.secrets.iter().map(|secret| &secret.vault)).collect();
    for vault in vaults {
        writeln!(out, "EMULATOR_VAULT_URL={}", emulator.vault_url(vault))?;
    }
    if let Some(control) = emulator.control_address() {
        writeln!(out, "EMULATOR_CONTROL=http://{control}")?;
    }
    writeln!(out, "EMULATOR_READY=1")?;
    out.flush()
}

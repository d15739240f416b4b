//! The emulator as a program: options in, the webhook's environment out, running until a signal.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, ValueEnum};
use keyferry_emulator::{
    App, Assertion, ConnectionSpec, Conversion, DEFAULT_AUDIENCE, DEFAULT_CLIENT, DEFAULT_SUBJECT, DEFAULT_TENANT,
    Emulator, Environment, ExpiresOn, IDENTITY_BINDING_AUDIENCE, ManagedIdentity, Service, Settings, Workspace,
};
use tokio::signal::unix::{SignalKind, signal};

/// The secret that `--platform client-secret` prints.
const CLIENT_SECRET: &str = "emulated~client~secret";

/// The Azure services that keyferry speaks to on loopback, for trying it without Azure.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Directory for ca.pem and the credentials; a federated token is kept fresh there.
    #[arg(long)]
    dir: PathBuf,
    /// A vault to have; may be repeated.
    #[arg(long = "vault", value_name = "NAME")]
    vaults: Vec<String>,
    /// A secret to put; may be repeated. Adds the vault if need be.
    #[arg(long = "secret", value_name = "VAULT/NAME=VALUE", value_parser = secret)]
    secrets: Vec<Secret>,
    /// A workspace connection with one key to put; may be repeated. Adds the workspace if need be.
    #[arg(long = "connection", value_name = "WORKSPACE/NAME=KEY", value_parser = secret)]
    connections: Vec<Secret>,
    /// A user-assigned identity to have besides the system-assigned one; may be repeated. It may read everything.
    #[arg(long = "identity", value_name = "NAME")]
    identities: Vec<String>,
    /// The platform whose environment variables are printed.
    #[arg(long, value_enum, default_value_t = Platform::WorkloadIdentity)]
    platform: Platform,
    /// Let Azure ML refuse token requests without a client id.
    #[arg(long)]
    azure_ml_needs_client_id: bool,
    /// How App Service writes the expiry of a token.
    #[arg(long, default_value = "text", value_parser = expires_on, value_name = "text|number|month_first|year_first|rfc3339")]
    expires_on: ExpiresOn,
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
    /// Domain of the names of all services.
    #[arg(long, default_value = "localhost")]
    domain: String,
    /// A cluster whose tokens Entra accepts: its issuer as its tokens name it, and a file with its keys; may be repeated.
    #[arg(long = "trust-issuer", value_name = "URL=JWKS_FILE", value_parser = issuer, requires = "trusted_subjects")]
    trusted_issuers: Vec<TrustedIssuer>,
    /// A subject in these clusters that stands for the app, such as system:serviceaccount:default:app; may be repeated.
    #[arg(long = "trust-subject", value_name = "SUBJECT", requires = "trusted_issuers")]
    trusted_subjects: Vec<String>,
    /// Address to listen on.
    #[arg(long, default_value_t = Ipv4Addr::LOCALHOST.into())]
    address: IpAddr,
    /// Port of Entra; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    entra_port: u16,
    /// Port of the vaults; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    vault_port: u16,
    /// Port of the managed identity endpoint of a virtual machine; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    imds_port: u16,
    /// Port of App Service's managed identity endpoint; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    app_service_port: u16,
    /// Port of Azure ML's managed identity endpoint; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    azure_ml_port: u16,
    /// Port of the resource manager; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    resource_manager_port: u16,
    /// Port of the token proxy; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    token_proxy_port: u16,
    /// Port of Azure OpenAI; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    openai_port: u16,
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

/// Where a program can run, by what it finds in its environment there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Platform {
    /// A pod with workload identity.
    WorkloadIdentity,
    /// A pod with an identity binding, which gets its tokens from the token proxy.
    TokenProxy,
    /// A virtual machine, with the metadata service somewhere else than usual.
    Imds,
    /// App Service.
    AppService,
    /// Azure ML.
    AzureMl,
    /// Anywhere, with a client secret.
    ClientSecret,
    /// Anywhere, with a client certificate.
    ClientCertificate,
}

#[derive(Debug, Clone)]
struct Secret {
    /// Or the workspace.
    vault: String,
    name: String,
    value: String,
}

#[derive(Debug, Clone)]
struct TrustedIssuer {
    url: String,
    jwks: PathBuf,
}

fn secret(text: &str) -> Result<Secret, String> {
    let parts = text.split_once('=').and_then(|(path, value)| {
        let (vault, name) = path.split_once('/')?;
        Some(Secret { vault: vault.to_owned(), name: name.to_owned(), value: value.to_owned() })
    });
    parts.ok_or_else(|| "it must be like PLACE/NAME=VALUE".to_owned())
}

fn issuer(text: &str) -> Result<TrustedIssuer, String> {
    let parts = text.split_once('=').filter(|(url, file)| !url.is_empty() && !file.is_empty());
    let (url, jwks) = parts.ok_or("it must be like https://issuer.example/=jwks.json")?;
    Ok(TrustedIssuer { url: url.to_owned(), jwks: jwks.into() })
}

fn expires_on(text: &str) -> Result<ExpiresOn, serde_json::Error> {
    serde_json::from_value(text.into())
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
        domain: options.domain.clone(),
        entra_port: options.entra_port,
        vault_port: options.vault_port,
        imds_port: options.imds_port,
        app_service_port: options.app_service_port,
        azure_ml_port: options.azure_ml_port,
        resource_manager_port: options.resource_manager_port,
        token_proxy_port: options.token_proxy_port,
        openai_port: options.openai_port,
        azure_ml_needs_client_id: options.azure_ml_needs_client_id,
        expires_on: options.expires_on,
        shown_vault_port: options.shown_vault_port,
        control: options.control,
        http2: !options.http1_only,
        latency: options.latency,
        empty_pages: options.empty_pages,
        conversion: options.out_content_type,
        token_lifetime: i64::try_from(options.token_lifetime.as_secs())?,
        ..Settings::default()
    })
    .map_err(|error| error.to_string())?;
    for issuer in &options.trusted_issuers {
        trust(&emulator, issuer, &options.trusted_subjects)?;
    }
    for vault in &options.vaults {
        emulator.add_vault(vault);
    }
    for secret in &options.secrets {
        emulator.put_secret(&secret.vault, &secret.name, &secret.value);
    }
    for connection in &options.connections {
        let spec = ConnectionSpec::api_key(&connection.name, &connection.value);
        emulator.put_connection(connection.vault.as_str(), spec);
    }
    fs::create_dir_all(&options.dir)?;
    let dir = options.dir.canonicalize()?;
    let token_file = dir.join("azure-identity-token");
    fs::write(dir.join("ca.pem"), emulator.ca_pem())?;
    fs::write(dir.join("token-proxy-ca.pem"), emulator.token_proxy_ca_pem())?;
    write_token(&emulator, &options, &token_file)?;
    let environment = environment(&emulator, &options, &dir, &token_file)?;
    announce(&emulator, &options, &dir, &environment)?;

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

/// Lets subjects of a foreign cluster stand for the default app.
fn trust(emulator: &Emulator, issuer: &TrustedIssuer, subjects: &[String]) -> Result<(), Box<dyn Error>> {
    let file = issuer.jwks.display();
    let jwks =
        fs::read_to_string(&issuer.jwks).map_err(|error| format!("--trust-issuer: cannot read {file}: {error}"))?;
    emulator.trust_issuer(&issuer.url, &jwks).map_err(|error| format!("--trust-issuer: {file}: {error}"))?;
    for subject in subjects {
        emulator.add_app(App { issuer: issuer.url.clone(), subject: subject.clone(), ..App::default() });
    }
    Ok(())
}

/// Replaces the token file at once, so that no reader sees half a token.
fn write_token(emulator: &Emulator, options: &Options, file: &Path) -> Result<(), Box<dyn Error>> {
    let lifetime = i64::try_from(options.federated_lifetime.as_secs())?;
    let audience = match options.platform {
        Platform::TokenProxy => IDENTITY_BINDING_AUDIENCE,
        _ => DEFAULT_AUDIENCE,
    };
    let assertion =
        Assertion { subject: options.subject.clone(), audience: audience.to_owned(), lifetime, ..Assertion::default() };
    let fresh = file.with_extension("new");
    fs::write(&fresh, emulator.federated_token(&assertion))?;
    Ok(fs::rename(fresh, file)?)
}

/// What the platform would set; credentials it hands out as files are written to the directory.
fn environment(
    emulator: &Emulator,
    options: &Options,
    dir: &Path,
    token_file: &Path,
) -> Result<Environment, Box<dyn Error>> {
    let of_client = |name, value: String| {
        Environment::from([
            ("AZURE_TENANT_ID", DEFAULT_TENANT.to_owned()),
            ("AZURE_CLIENT_ID", DEFAULT_CLIENT.to_owned()),
            ("AZURE_AUTHORITY_HOST", emulator.authority()),
            (name, value),
        ])
    };
    let of_pod = || of_client("AZURE_FEDERATED_TOKEN_FILE", token_file.display().to_string());
    Ok(match options.platform {
        Platform::WorkloadIdentity => of_pod(),
        Platform::TokenProxy => {
            let mut environment = emulator.token_proxy_environment(&dir.join("token-proxy-ca.pem"));
            environment.extend(of_pod());
            environment
        }
        Platform::Imds => emulator.imds_environment(),
        Platform::AppService => emulator.app_service_environment(),
        Platform::AzureMl => emulator.azure_ml_environment(),
        Platform::ClientSecret => {
            emulator.add_client_secret(DEFAULT_TENANT, DEFAULT_CLIENT, CLIENT_SECRET);
            of_client("AZURE_CLIENT_SECRET", CLIENT_SECRET.to_owned())
        }
        Platform::ClientCertificate => {
            let file = dir.join("client.pem");
            fs::write(&file, emulator.make_client_certificate(DEFAULT_TENANT, DEFAULT_CLIENT)?)?;
            of_client("AZURE_CLIENT_CERTIFICATE_PATH", file.display().to_string())
        }
    })
}

/// Prints what the platform would set, then where everything is; the last line is `EMULATOR_READY`.
fn announce(emulator: &Emulator, options: &Options, dir: &Path, environment: &Environment) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (name, value) in environment {
        writeln!(out, "{name}={value}")?;
    }
    writeln!(out, "EMULATOR_CA_FILE={}", dir.join("ca.pem").display())?;
    writeln!(out, "EMULATOR_ENTRA_ADDRESS={}", emulator.address(Service::Entra))?;
    writeln!(out, "EMULATOR_VAULT_ADDRESS={}", emulator.address(Service::Vault))?;
    writeln!(out, "EMULATOR_RESOURCE_MANAGER_ADDRESS={}", emulator.address(Service::ResourceManager))?;
    writeln!(out, "EMULATOR_OPENAI_URL={}", emulator.openai_url("demo"))?;
    writeln!(out, "EMULATOR_TOKEN_PROXY_CA_FILE={}", dir.join("token-proxy-ca.pem").display())?;
    writeln!(out, "EMULATOR_AUTHORITY={}", emulator.authority())?;
    writeln!(out, "EMULATOR_MANAGEMENT_URL={}", emulator.management_url())?;
    for name in &options.identities {
        let identity = ManagedIdentity::user_assigned(name);
        writeln!(out, "EMULATOR_IDENTITY={name} {}", identity.client_id)?;
        emulator.trust(&identity.client_id);
        emulator.add_managed_identity(identity);
    }
    let workspaces: BTreeSet<&str> = options.connections.iter().map(|connection| connection.vault.as_str()).collect();
    for workspace in workspaces {
        writeln!(out, "EMULATOR_WORKSPACE={}", Workspace::from(workspace).id())?;
    }
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

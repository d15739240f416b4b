//! The command line. Its doc comments are the help that people read.
#![expect(clippy::doc_markdown, reason = "help is plain text")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing::level_filters::LevelFilter;

use crate::config::exec::OnRotation;
use crate::logs::Format;
use crate::render::Syntax;

/// Fetches secrets, certificates and keys from Azure Key Vault, credentials from Azure Machine Learning connections and
/// Entra access tokens, with any identity of Azure's, publishes them as files on tmpfs, and follows their rotation.
#[derive(Debug, Parser)]
#[command(name = "keyferry", version, max_term_width = 100, after_help = AFTER)]
pub struct Cli {
    /// What every command understands.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER: &str = "\
A configuration that publishes one secret:

  secrets:
    db-password: keyvault:https://contoso.vault.azure.net/secrets/db-password
  files:
    dir: /run/keyferry

Signing in: as the environment says, in the order of the Azure SDKs: AZURE_CLIENT_ID and AZURE_TENANT_ID with
AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH or AZURE_FEDERATED_TOKEN_FILE; the platform's managed identity; the
Azure CLI. Or by 'identity' in the configuration.

Exit codes: 0 ok, 64 usage, 65 content cannot be rendered, 69 a source was unavailable until the deadline, 70 bug,
73 cannot write, 77 denied (identity or permission), 78 bad configuration; of exec the command's own, 128 and the signal that
ended it, 127 if it is not there, 126 if it cannot be started.";

/// What every command understands.
#[derive(Debug, Args)]
pub struct Global {
    /// The configuration file [default: KEYFERRY_CONFIG, /etc/keyferry/keyferry.yaml]; its text may be in
    /// KEYFERRY_CONFIG_YAML instead
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Agree to a cloud that the configuration defines: its authority receives the federated token; also by
    /// KEYFERRY_ALLOW_CUSTOM_CLOUD=1
    #[arg(long, global = true)]
    pub allow_custom_cloud: bool,
    /// How log lines look
    #[arg(long, global = true, value_name = "FORMAT", default_value = "auto")]
    pub log_format: Format,
    /// Which of keyferry's own events are logged: off, error, warn, info, debug, trace
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info")]
    pub log_level: LevelFilter,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fetch everything once, publish it, and exit: for an init container
    Init {
        /// How long to keep trying, e.g. 90s [default: startup.timeout of the configuration, 5m]
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
        timeout: Option<Duration>,
    },
    /// Publish everything, and keep it fresh until SIGTERM; SIGHUP reads the configuration again and refreshes now:
    /// for a sidecar
    Run,
    /// Write one value to standard output, without a newline; of a certificate, its key and chain as PEM. An outage is
    /// waited out for 30 seconds
    Get {
        /// A name from the configuration, or a reference: keyvault:https://VAULT/secrets/NAME[/VERSION] (or certificates,
        /// keys), keyvault:ALIAS/secrets/NAME, https://VAULT/secrets/NAME, azureml://connections/NAME/credentials/KEY
        /// (or target, metadata/KEY, nothing), entra:SCOPE, file:/PATH; also ${{…}} and @Microsoft.KeyVault(…)
        #[arg(value_name = "REF|NAME")]
        what: String,
        /// Write it even to a terminal, or to a container's log (standard output of PID 1)
        #[arg(long)]
        show: bool,
    },
    /// Write the variables of the configuration's 'env' to standard output, with their values: from the running agent, or
    /// where none answers at 'serve.socket', by fetching. An outage is waited out for 30 seconds
    Env {
        /// How they are written: for the dotenv libraries, for eval in a shell, as one object, for Kubernetes' fileKeyRef
        #[arg(short, long, value_name = "FORMAT", default_value = "dotenv")]
        output: Syntax,
        /// Write them even to a terminal, or to a container's log (standard output of PID 1)
        #[arg(long)]
        show: bool,
    },
    /// Try whether everything can be had that the configuration wants, and what exec would give a command of this
    /// environment: sign in, ask for each secret, render, look at the directories and hooks, and say for each failure what to
    /// do. Gives no value, publishes and changes nothing, and can run beside a running agent
    Check {
        /// Ask nobody over the network: look at the configuration, the directories and the hooks alone
        #[arg(long)]
        offline: bool,
        /// How it is shown
        #[arg(short, long, value_name = "FORMAT", default_value = "table")]
        output: Shape,
    },
    /// Start a command with the values that its variables refer to: each whole value keyvault:…, azureml://…, entra:…,
    /// ${{…}} or @Microsoft.KeyVault(…) is replaced, and the configuration's 'env' is added. Passes signals on, and ends as
    /// it ends
    Exec(Exec),
    /// Copy this program into a directory, as DIR/keyferry of mode 0555: a volume that is shared with a container whose image has
    /// no keyferry, for exec
    Install {
        /// A directory that this user may write to
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
    /// Show what the running agent holds: version, age, expiry, next refresh and last error of each secret, never a value.
    /// Asks at 'serve.socket' of the configuration
    Status {
        /// Say nothing, and exit 0 if every required secret has been published, 69 if not: for an exec probe. Also asks at
        /// 'admin'
        #[arg(long)]
        ready: bool,
        /// How it is shown
        #[arg(short, long, value_name = "FORMAT", default_value = "table")]
        output: Shape,
    },
    /// Have the running agent fetch everything anew, now or when ten seconds have passed since it last did. Asks at
    /// 'serve.socket' of the configuration
    Refresh,
}

/// How a command is started.
#[derive(Debug, Args)]
pub struct Exec {
    /// Put the command in keyferry's place: nothing stays beside it
    #[arg(long)]
    pub once: bool,
    /// What is done when a value in its environment has changed: none, restart, or a signal such as SIGHUP
    /// [default: exec.onChange of the configuration, none]
    #[arg(long, value_name = "WHAT", value_parser = OnRotation::parse, conflicts_with = "once")]
    pub on_change: Option<OnRotation>,
    /// Only these variables get values; others stay as they are
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Take the variables of a running agent's 'env' from its 'serve.socket', and what changes: the command's container
    /// needs no identity
    #[arg(long, value_name = "unix:PATH")]
    pub from: Option<Socket>,
    /// Take the variables by which keyferry signs in from the command. It is no boundary: what shares the pod can sign in
    #[arg(long)]
    pub strip_identity: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// Where an agent serves values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket(pub PathBuf);

impl FromStr for Socket {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = text.strip_prefix("unix:").map(Path::new).filter(|path| path.is_absolute());
        path.map(|path| Self(path.to_owned()))
            .ok_or("expected unix: and an absolute path, such as unix:/run/keyferry-api/api.sock")
    }
}

/// What a report looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// For people
    Table,
    /// For programs
    Json,
}

impl ValueEnum for Syntax {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Dotenv => "NAME='value', as dotenv libraries read it",
            Self::Sh => "export NAME='value'",
            Self::Json => "One object",
            Self::EnvFile => "NAME='value', as Kubernetes reads it",
        };
        Some(PossibleValue::new(self.name()).help(help))
    }
}

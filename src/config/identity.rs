//! How to sign in, as meant. Holds where secrets are read from, never one of them.

use std::fmt;
use std::path::PathBuf;

use super::nearby::Nearby;

/// The variable with a client secret.
pub const CLIENT_SECRET: &str = "AZURE_CLIENT_SECRET";
/// The variable that App Service and Container Apps prove a caller by.
pub const IDENTITY_HEADER: &str = "IDENTITY_HEADER";
/// The variable that Azure ML proves a caller by.
pub const MSI_SECRET: &str = "MSI_SECRET";

/// How to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// Microsoft Entra workload identity: a federated token file is exchanged for access tokens.
    Workload(Workload),
    /// An identity that the platform manages: a service beside this machine gives access tokens.
    Managed(Managed),
    /// An application's password.
    ClientSecret(ClientSecret),
    /// An application's certificate and key.
    ClientCertificate(ClientCertificate),
    /// Whoever is logged in to the Azure CLI.
    AzureCli(AzureCli),
    /// What only a try can tell: this managed identity if IMDS answers, else the Azure CLI.
    Detected(Managed),
}

/// A workload identity: what the configuration says of it, and the `AZURE_*` variables for the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// The tenant that is asked for tokens: a GUID or a domain.
    pub tenant: String,
    /// The application (client) id.
    pub client: String,
    /// The file with the federated token, read at every exchange.
    pub token_file: PathBuf,
    /// What exchanges tokens instead of Entra: AKS identity bindings.
    pub proxy: Option<TokenProxy>,
}

/// The cluster's token proxy of AKS identity bindings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenProxy {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The path before the authority's own, `/` at least.
    pub path: String,
    /// The name in its certificate, and the one asked for in the handshake, if that is not its host.
    pub server_name: Option<String>,
    /// Who vouches for its certificate.
    pub trust: Trust,
}

/// Which certificate authorities vouch for the token proxy, and nobody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// The system's, and the configured ones.
    System,
    /// Those in a file, read at each request.
    File(PathBuf),
    /// Those in this PEM text.
    Data(String),
}

/// A managed identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Managed {
    /// Who gives its tokens.
    pub platform: Platform,
    /// Which of them.
    pub which: Which,
}

/// Who gives a managed identity's tokens; each speaks a dialect of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Platform {
    /// The instance metadata service of virtual machines, scale sets and AKS nodes.
    Imds(Nearby),
    /// App Service, Functions and Container Apps.
    AppService(Nearby),
    /// Azure Machine Learning.
    AzureMl(Nearby),
}

/// Which managed identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The one that lives and dies with its machine.
    System,
    /// The one with this client id.
    Client(String),
    /// The one with this object (principal) id.
    Object(String),
    /// The one with this Azure resource id.
    Resource(String),
}

/// A client secret, and where it is read at every exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSecret {
    /// The tenant that is asked for tokens.
    pub tenant: String,
    /// The application (client) id.
    pub client: String,
    /// The file; without one the variable [`CLIENT_SECRET`].
    pub file: Option<PathBuf>,
}

/// A client certificate, and where it is read at every exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The tenant that is asked for tokens.
    pub tenant: String,
    /// The application (client) id.
    pub client: String,
    /// A PEM file with the certificate and its private key.
    pub file: PathBuf,
}

/// Whoever is logged in to the Azure CLI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AzureCli {
    /// The tenant that is asked for tokens; without one, that of the current subscription.
    pub tenant: Option<String>,
}

impl Identity {
    /// The tenant, where it is known before the first token.
    pub fn tenant(&self) -> Option<&str> {
        match self {
            Self::Workload(workload) => Some(&workload.tenant),
            Self::ClientSecret(secret) => Some(&secret.tenant),
            Self::ClientCertificate(certificate) => Some(&certificate.tenant),
            Self::AzureCli(cli) => cli.tenant.as_deref(),
            Self::Managed(_) | Self::Detected(_) => None,
        }
    }

    /// The application's (client) id, where it is known without asking.
    pub fn client(&self) -> Option<&str> {
        match self {
            Self::Workload(workload) => Some(&workload.client),
            Self::ClientSecret(secret) => Some(&secret.client),
            Self::ClientCertificate(certificate) => Some(&certificate.client),
            Self::Managed(Managed { which: Which::Client(id), .. })
            | Self::Detected(Managed { which: Which::Client(id), .. }) => Some(id),
            Self::Managed(_) | Self::Detected(_) | Self::AzureCli(_) => None,
        }
    }

    /// The variable that it reads a secret from.
    pub fn secret_variable(&self) -> Option<&'static str> {
        match self {
            Self::ClientSecret(ClientSecret { file: None, .. }) => Some(CLIENT_SECRET),
            Self::Managed(managed) | Self::Detected(managed) => match managed.platform {
                Platform::Imds(_) => None,
                Platform::AppService(_) => Some(IDENTITY_HEADER),
                Platform::AzureMl(_) => Some(MSI_SECRET),
            },
            _ => None,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workload(Workload { client, tenant, token_file, proxy }) => {
                let through = if proxy.is_some() { ", through the cluster's token proxy" } else { "" };
                let file = token_file.display();
                write!(f, "workload identity (client {client} of tenant {tenant}, token file {file}{through})")
            }
            Self::Managed(managed) => managed.fmt(f),
            Self::ClientSecret(ClientSecret { client, tenant, .. }) => {
                write!(f, "client secret (client {client} of tenant {tenant})")
            }
            Self::ClientCertificate(ClientCertificate { client, tenant, file }) => {
                let file = file.display();
                write!(f, "client certificate (client {client} of tenant {tenant}, certificate file {file})")
            }
            Self::AzureCli(_) => f.write_str("the Azure CLI's login"),
            Self::Detected(managed) => write!(f, "{managed}, or else the Azure CLI's login"),
        }
    }
}

impl fmt::Display for Managed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let platform = match self.platform {
            Platform::Imds(_) => "IMDS",
            Platform::AppService(_) => "App Service",
            Platform::AzureMl(_) => "Azure ML",
        };
        write!(f, "managed identity at {platform} ")?;
        match &self.which {
            Which::System => f.write_str("(system-assigned)"),
            Which::Client(id) => write!(f, "(client {id})"),
            Which::Object(id) => write!(f, "(object {id})"),
            Which::Resource(id) => write!(f, "({id})"),
        }
    }
}

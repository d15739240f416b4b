//! What is chosen at start and does not change.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::{Bucket, Conversion, ExpiresOn, Service};

/// How the emulator is to run; the default suits most tests.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Settings {
    /// Address to listen on, `127.0.0.1` by default.
    pub address: IpAddr,
    /// Domain of the names and audiences of all services, `localhost` by default.
    pub domain: String,
    /// Port of Entra; 0 takes a free one.
    pub entra_port: u16,
    /// Port of the vaults; 0 takes a free one.
    pub vault_port: u16,
    /// Port of the managed identity endpoint of a virtual machine; 0 takes a free one.
    pub imds_port: u16,
    /// Port of App Service's managed identity endpoint; 0 takes a free one.
    pub app_service_port: u16,
    /// Port of Azure ML's managed identity endpoint; 0 takes a free one.
    pub azure_ml_port: u16,
    /// Port of the resource manager; 0 takes a free one.
    pub resource_manager_port: u16,
    /// Port of the token proxy; 0 takes a free one.
    pub token_proxy_port: u16,
    /// Port of Azure OpenAI; 0 takes a free one.
    pub openai_port: u16,
    /// Port that vault URLs and `nextLink` name, when something maps it to `vault_port`.
    ///
    /// The official SDKs compare the vault's host with the challenge's, so some work on port 443 only.
    pub shown_vault_port: Option<u16>,
    /// Where to serve the control port, if at all.
    pub control: Option<SocketAddr>,
    /// Offer HTTP/2 besides HTTP/1.1.
    pub http2: bool,
    /// Time every request takes at least.
    pub latency: Duration,
    /// Give the default app and the system-assigned identity every permission on vaults and connections.
    pub default_access: bool,
    /// Put an empty page with a `nextLink` behind every full one.
    pub empty_pages: bool,
    /// What becomes of `outContentType` when a secret is read.
    pub conversion: Conversion,
    /// Part Entra's `error_description` with line breaks, as until 2023, instead of blanks.
    pub line_breaks: bool,
    /// How App Service writes `expires_on`.
    pub expires_on: ExpiresOn,
    /// Let Azure ML refuse a request without `clientid`, also for the system-assigned identity.
    pub azure_ml_needs_client_id: bool,
    /// How many reads a client may make of the resource manager.
    pub read_bucket: Bucket,
    /// How many writes a client may make of the resource manager; listing secrets is one.
    pub write_bucket: Bucket,
    /// Seconds an access token lasts.
    pub token_lifetime: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST.into(),
            domain: "localhost".to_owned(),
            entra_port: 0,
            vault_port: 0,
            imds_port: 0,
            app_service_port: 0,
            azure_ml_port: 0,
            resource_manager_port: 0,
            token_proxy_port: 0,
            openai_port: 0,
            shown_vault_port: None,
            control: None,
            http2: true,
            latency: Duration::ZERO,
            default_access: true,
            empty_pages: false,
            conversion: Conversion::default(),
            line_breaks: false,
            expires_on: ExpiresOn::Text,
            azure_ml_needs_client_id: false,
            read_bucket: Bucket { size: 250, per_second: 25 },
            write_bucket: Bucket { size: 200, per_second: 10 },
            token_lifetime: 86_399,
        }
    }
}

impl Settings {
    /// The port a service is to have.
    pub(crate) fn port(&self, service: Service) -> u16 {
        match service {
            Service::Entra => self.entra_port,
            Service::Vault => self.vault_port,
            Service::Imds => self.imds_port,
            Service::AppService => self.app_service_port,
            Service::AzureMl => self.azure_ml_port,
            Service::ResourceManager => self.resource_manager_port,
            Service::TokenProxy => self.token_proxy_port,
            Service::OpenAi => self.openai_port,
        }
    }
}

//! All that the services know, shared by every request.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use rustls::ServerConfig;

use crate::certificates::Certificates;
use crate::clock::{self, Clock};
use crate::entra::{AccessTokens, Audiences, ClientCertificate, Cluster, Directory, Issuers, bare};
use crate::fault::Faults;
use crate::guarded::Guarded;
use crate::log::Log;
use crate::managed_identity::Identities;
use crate::resource_manager::{Buckets, ConnectionRules, Workspaces};
use crate::vault::{Rules, Vault, Vaults};
use crate::{
    ConnectionSpec, DEFAULT_CLIENT, DEFAULT_SYSTEM_IDENTITY, Emulator, Error, Names, Service, Settings, Workspace,
    random,
};

/// The state of the emulator.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) names: Names,
    /// Where the services listen, in the order of `Service::ALL`.
    addresses: Vec<SocketAddr>,
    pub(crate) certificates: Certificates,
    /// The token proxy's, from a CA of its own that can be replaced.
    pub(crate) proxy_certificates: Guarded<Certificates>,
    pub(crate) clock: Clock,
    pub(crate) cluster: Cluster,
    pub(crate) issuers: Guarded<Issuers>,
    pub(crate) directory: Guarded<Directory>,
    pub(crate) audiences: Guarded<Audiences>,
    pub(crate) access_tokens: Guarded<AccessTokens>,
    pub(crate) identities: Guarded<Identities>,
    pub(crate) vaults: Guarded<Vaults>,
    pub(crate) rules: Guarded<Rules>,
    pub(crate) workspaces: Guarded<Workspaces>,
    pub(crate) connection_rules: Guarded<ConnectionRules>,
    pub(crate) buckets: Guarded<Buckets>,
    pub(crate) faults: Guarded<Faults>,
    pub(crate) log: Log,
    /// What App Service wants to see in `X-IDENTITY-HEADER`.
    pub(crate) identity_header: String,
    /// What Azure ML wants to see in `secret`.
    pub(crate) msi_secret: String,
    /// The keys that Azure OpenAI takes; while there are none it takes tokens alone.
    pub(crate) openai_keys: Guarded<Vec<String>>,
    token_lifetime: AtomicI64,
    /// Lifetimes of tokens for some audiences, which have no slash at the end.
    token_lifetimes: Guarded<HashMap<String, i64>>,
    pub(crate) empty_pages: AtomicBool,
}

impl World {
    pub(crate) fn new(settings: Settings, addresses: Vec<SocketAddr>) -> Result<Self, Error> {
        let names = Names::under(&settings.domain)?;
        let mut rules = Rules::new(settings.default_access);
        let mut connection_rules = ConnectionRules::default();
        if settings.default_access {
            rules.trust(DEFAULT_SYSTEM_IDENTITY);
            connection_rules.trust(DEFAULT_CLIENT);
            connection_rules.trust(DEFAULT_SYSTEM_IDENTITY);
        }
        Ok(Self {
            addresses,
            certificates: Certificates::make(names.of_certificate(), settings.http2)?,
            proxy_certificates: Guarded::new(proxy_certificates(settings.http2)?),
            clock: Clock::default(),
            cluster: Cluster::new()?,
            directory: Guarded::new(Directory::with_default_app()),
            issuers: Guarded::default(),
            audiences: Guarded::new(Audiences::of(&names)),
            names,
            access_tokens: Guarded::default(),
            identities: Guarded::new(Identities::with_system_assigned()),
            vaults: Guarded::default(),
            rules: Guarded::new(rules),
            workspaces: Guarded::default(),
            connection_rules: Guarded::new(connection_rules),
            buckets: Guarded::default(),
            faults: Guarded::default(),
            log: Log::new(),
            identity_header: random::guid(),
            msi_secret: random::guid(),
            openai_keys: Guarded::default(),
            token_lifetime: AtomicI64::new(settings.token_lifetime),
            token_lifetimes: Guarded::default(),
            empty_pages: AtomicBool::new(settings.empty_pages),
            settings,
        })
    }

    /// Where a service listens.
    pub(crate) fn address(&self, service: Service) -> SocketAddr {
        self.addresses[service as usize]
    }

    /// Base URL of a service that is reached by address, without a slash at the end.
    pub(crate) fn url_by_address(&self, service: Service) -> String {
        let mut address = self.address(service);
        if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        format!("{}://{address}", if service.has_tls() { "https" } else { "http" })
    }

    /// The server side of TLS of a service.
    pub(crate) fn tls_of(&self, service: Service) -> Arc<ServerConfig> {
        match service {
            Service::TokenProxy => self.proxy_certificates.with(|certificates| certificates.server.clone()),
            _ => self.certificates.server.clone(),
        }
    }

    /// Gives the token proxy another CA and a certificate of it; connections that are open stay as they are.
    pub(crate) fn renew_token_proxy_ca(&self) -> Result<String, Error> {
        let fresh = proxy_certificates(self.settings.http2)?;
        let pem = fresh.ca_pem.clone();
        self.proxy_certificates.with(|certificates| *certificates = fresh);
        Ok(pem)
    }

    /// Host and port of Entra.
    pub(crate) fn authority_host(&self) -> String {
        with_port(&self.names.login, self.address(Service::Entra).port())
    }

    /// Base URL of Entra, ending in a slash as the webhook sets it.
    pub(crate) fn authority(&self) -> String {
        format!("https://{}/", self.authority_host())
    }

    /// Base URL of a vault as clients write it, without a slash at the end.
    pub(crate) fn vault_url(&self, vault: &str) -> String {
        format!("https://{}", with_port(&format!("{vault}.{}", self.names.vault_suffix), self.shown_vault_port()))
    }

    /// Base URL of a vault as the service writes it in a `nextLink`: always with the port.
    pub(crate) fn vault_url_with_port(&self, vault: &str) -> String {
        format!("https://{vault}.{}:{}", self.names.vault_suffix, self.shown_vault_port())
    }

    fn shown_vault_port(&self) -> u16 {
        self.settings.shown_vault_port.unwrap_or_else(|| self.address(Service::Vault).port())
    }

    /// Does something with a vault and the time, adding the vault to the default tenant if need be.
    pub(crate) fn in_vault<R>(&self, vault: &str, work: impl FnOnce(&mut Vault, i64) -> R) -> R {
        let now = self.clock.now();
        self.vaults.with(|vaults| work(vaults.open(vault), now))
    }

    /// Does something with a vault and the time, if there is the vault; tells whether it could be done.
    pub(crate) fn in_known_vault(&self, vault: &str, work: impl FnOnce(&mut Vault, i64) -> bool) -> bool {
        let now = self.clock.now();
        self.vaults.with(|vaults| vaults.find_mut(vault).is_some_and(|vault| work(vault, now)))
    }

    pub(crate) fn register_certificate(&self, tenant: &str, client: &str, certificate: ClientCertificate) {
        self.directory.with(|directory| directory.add_certificate(tenant, client, certificate));
    }

    /// Makes a certificate, registers it with a client, and gives it with its key in PEM.
    pub(crate) fn make_certificate(&self, tenant: &str, client: &str) -> Result<String, Error> {
        let (certificate, pem) = ClientCertificate::make(client)?;
        self.register_certificate(tenant, client, certificate);
        Ok(pem)
    }

    pub(crate) fn knows_audience(&self, audience: &str) -> bool {
        self.audiences.with(|audiences| audiences.know(audience))
    }

    /// Lets a client do everything in all vaults and workspaces.
    pub(crate) fn trust(&self, client: &str) {
        self.rules.with(|rules| rules.trust(client));
        self.connection_rules.with(|rules| rules.trust(client));
    }

    /// Base URL of the resource manager, without a slash at the end.
    pub(crate) fn management_url(&self) -> String {
        let port = self.address(Service::ResourceManager).port();
        format!("https://{}", with_port(&self.names.management, port))
    }

    /// Puts a connection, adding the workspace if need be.
    pub(crate) fn put_connection(&self, workspace: &Workspace, spec: ConnectionSpec) {
        let now = self.clock.now_in_ticks();
        self.workspaces.with(|workspaces| workspaces.add(workspace).put(spec, now));
    }

    /// The `Date` header of now, by the services' clock.
    pub(crate) fn date(&self) -> String {
        clock::http_date(self.clock.now())
    }

    pub(crate) fn token_lifetime(&self, audience: &str) -> i64 {
        let own = self.token_lifetimes.with(|lifetimes| lifetimes.get(bare(audience)).copied());
        own.unwrap_or_else(|| self.token_lifetime.load(Ordering::Relaxed))
    }

    pub(crate) fn set_token_lifetime_for(&self, audience: &str, seconds: i64) {
        self.token_lifetimes.with(|lifetimes| lifetimes.insert(bare(audience).to_owned(), seconds));
    }

    pub(crate) fn set_token_lifetime(&self, seconds: i64) {
        self.token_lifetime.store(seconds, Ordering::Relaxed);
    }
}

fn proxy_certificates(http2: bool) -> Result<Certificates, Error> {
    Certificates::make(vec![Emulator::TOKEN_PROXY_NAME.to_owned()], http2)
}

fn with_port(host: &str, port: u16) -> String {
    match port {
        443 => host.to_owned(),
        port => format!("{host}:{port}"),
    }
}

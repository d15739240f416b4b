//! Tenants, their apps, and what the apps are known by.

use super::certificate::ClientCertificate;

/// The tenant that exists from the start.
pub const DEFAULT_TENANT: &str = "11111111-1111-4111-8111-111111111111";
/// The client id of the app that exists from the start.
pub const DEFAULT_CLIENT: &str = "22222222-2222-4222-8222-222222222222";
/// The subject that app trusts.
pub const DEFAULT_SUBJECT: &str = "system:serviceaccount:demo:app";
/// The issuer that app trusts: the emulator's own cluster.
pub const DEFAULT_ISSUER: &str = "https://oidc.localhost/cluster/";
/// The audience of federated tokens.
pub const DEFAULT_AUDIENCE: &str = "api://AzureADTokenExchange";

/// The audience of federated tokens for the token proxy; Entra itself does not take them.
pub const IDENTITY_BINDING_AUDIENCE: &str = "api://AKSIdentityBinding";

/// An app of a tenant with one federated credential; add it again to give it another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// The tenant, which comes to exist with its first app.
    pub tenant: String,
    /// The client id.
    pub client_id: String,
    /// The subject the federated credential names.
    pub subject: String,
    /// The issuer the federated credential names.
    pub issuer: String,
    /// The audience the federated credential names, which also says which endpoint takes its tokens.
    pub audience: String,
}

impl Default for App {
    fn default() -> Self {
        Self {
            tenant: DEFAULT_TENANT.to_owned(),
            client_id: DEFAULT_CLIENT.to_owned(),
            subject: DEFAULT_SUBJECT.to_owned(),
            issuer: DEFAULT_ISSUER.to_owned(),
            audience: DEFAULT_AUDIENCE.to_owned(),
        }
    }
}

/// All apps of all tenants, and what they prove themselves with.
#[derive(Debug)]
pub(crate) struct Directory {
    federated: Vec<App>,
    secrets: Vec<Owned<String>>,
    certificates: Vec<Owned<ClientCertificate>>,
}

/// Something that belongs to a client of a tenant.
#[derive(Debug)]
struct Owned<T> {
    tenant: String,
    client: String,
    thing: T,
}

impl<T> Owned<T> {
    fn is_of(&self, tenant: &str, client: &str) -> bool {
        self.tenant.eq_ignore_ascii_case(tenant) && self.client.eq_ignore_ascii_case(client)
    }
}

/// All that a client can prove itself with.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) federated: Vec<App>,
    pub(crate) secrets: Vec<String>,
    pub(crate) certificates: Vec<ClientCertificate>,
}

impl Directory {
    pub(crate) fn with_default_app() -> Self {
        let bound = App { audience: IDENTITY_BINDING_AUDIENCE.to_owned(), ..App::default() };
        Self { federated: vec![App::default(), bound], secrets: Vec::new(), certificates: Vec::new() }
    }

    pub(crate) fn add(&mut self, app: App) {
        self.federated.push(app);
    }

    pub(crate) fn add_secret(&mut self, tenant: &str, client: &str, secret: &str) {
        let (tenant, client) = (tenant.to_owned(), client.to_owned());
        self.secrets.push(Owned { tenant, client, thing: secret.to_owned() });
    }

    /// Takes all secrets from a client.
    pub(crate) fn remove_secrets(&mut self, tenant: &str, client: &str) {
        self.secrets.retain(|secret| !secret.is_of(tenant, client));
    }

    pub(crate) fn add_certificate(&mut self, tenant: &str, client: &str, thing: ClientCertificate) {
        self.certificates.push(Owned { tenant: tenant.to_owned(), client: client.to_owned(), thing });
    }

    pub(crate) fn has_tenant(&self, tenant: &str) -> bool {
        let of_apps = self.federated.iter().map(|app| &app.tenant);
        let of_secrets = self.secrets.iter().map(|secret| &secret.tenant);
        let of_certificates = self.certificates.iter().map(|certificate| &certificate.tenant);
        of_apps.chain(of_secrets).chain(of_certificates).any(|known| known.eq_ignore_ascii_case(tenant))
    }

    /// What a client can prove itself with; none if the tenant does not have it.
    pub(crate) fn credentials(&self, tenant: &str, client: &str) -> Option<Credentials> {
        let of_client =
            |app: &&App| app.tenant.eq_ignore_ascii_case(tenant) && app.client_id.eq_ignore_ascii_case(client);
        let credentials = Credentials {
            federated: self.federated.iter().filter(of_client).cloned().collect(),
            secrets: things(&self.secrets, tenant, client),
            certificates: things(&self.certificates, tenant, client),
        };
        let known = !credentials.federated.is_empty()
            || !credentials.secrets.is_empty()
            || !credentials.certificates.is_empty();
        known.then_some(credentials)
    }
}

fn things<T: Clone>(owned: &[Owned<T>], tenant: &str, client: &str) -> Vec<T> {
    owned.iter().filter(|one| one.is_of(tenant, client)).map(|one| one.thing.clone()).collect()
}

//! Tenants, their apps, and the federated credentials the apps trust.

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
    /// The audience the federated credential names.
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

/// All apps of all tenants.
#[derive(Debug)]
pub(crate) struct Directory(Vec<App>);

impl Directory {
    pub(crate) fn with_default_app() -> Self {
        Self(vec![App::default()])
    }

    pub(crate) fn add(&mut self, app: App) {
        self.0.push(app);
    }

    pub(crate) fn has_tenant(&self, tenant: &str) -> bool {
        self.0.iter().any(|app| app.tenant.eq_ignore_ascii_case(tenant))
    }

    /// The federated credentials of a client, none if the tenant does not have it.
    pub(crate) fn credentials(&self, tenant: &str, client: &str) -> Vec<App> {
        let of_client =
            |app: &&App| app.tenant.eq_ignore_ascii_case(tenant) && app.client_id.eq_ignore_ascii_case(client);
        self.0.iter().filter(of_client).cloned().collect()
    }
}

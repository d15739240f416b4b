//! What a platform puts into a program's environment so that it finds its identity.

use std::collections::BTreeMap;
use std::path::Path;

use crate::world::World;
use crate::{DEFAULT_SYSTEM_IDENTITY, Emulator, Error, Service, entra, managed_identity};

/// Names and values of environment variables.
pub type Environment = BTreeMap<&'static str, String>;

/// Managed identities.
impl Emulator {
    /// Base URL of a virtual machine's managed identity endpoint, without a slash at the end.
    pub fn imds_url(&self) -> String {
        self.world().url_by_address(Service::Imds)
    }

    /// Where a virtual machine's managed identity endpoint is; in Azure it is at a fixed address and nothing is set.
    pub fn imds_environment(&self) -> Environment {
        imds(self.world())
    }

    /// What App Service sets: the variables of its protocol, and those of the one before.
    pub fn app_service_environment(&self) -> Environment {
        app_service(self.world())
    }

    /// What Azure ML sets; the client id only if every request is to carry one.
    pub fn azure_ml_environment(&self) -> Environment {
        azure_ml(self.world())
    }
}

/// AKS identity bindings.
impl Emulator {
    /// What AKS sets besides the webhook's variables, with the proxy's CA in a file that the caller writes.
    ///
    /// The federated tokens must be for `IDENTITY_BINDING_AUDIENCE`, and the subject must have a federated credential
    /// of that audience; the default app has one.
    pub fn token_proxy_environment(&self, ca_file: &Path) -> Environment {
        token_proxy(self.world(), ca_file)
    }

    /// The token proxy's URL, with the path before the tenant.
    pub fn token_proxy_url(&self) -> String {
        token_proxy_url(self.world())
    }

    /// The certificate in PEM of the CA that vouches for the token proxy now.
    pub fn token_proxy_ca_pem(&self) -> String {
        self.world().proxy_certificates.with(|certificates| certificates.ca_pem.clone())
    }

    /// Gives the token proxy another CA, and gives that one's certificate in PEM; open connections stay.
    pub fn renew_token_proxy_ca(&self) -> Result<String, Error> {
        self.world().renew_token_proxy_ca()
    }
}

pub(crate) fn token_proxy(world: &World, ca_file: &Path) -> Environment {
    Environment::from([
        ("AZURE_KUBERNETES_TOKEN_PROXY", token_proxy_url(world)),
        ("AZURE_KUBERNETES_SNI_NAME", Emulator::TOKEN_PROXY_NAME.to_owned()),
        ("AZURE_KUBERNETES_CA_FILE", ca_file.display().to_string()),
    ])
}

/// The same with the CA itself, which clients take in place of a file.
pub(crate) fn token_proxy_with_ca(world: &World) -> Environment {
    let mut environment = token_proxy(world, Path::new(""));
    environment.remove("AZURE_KUBERNETES_CA_FILE");
    let ca_pem = world.proxy_certificates.with(|certificates| certificates.ca_pem.clone());
    environment.insert("AZURE_KUBERNETES_CA_DATA", ca_pem);
    environment
}

fn token_proxy_url(world: &World) -> String {
    format!("{}{}", world.url_by_address(Service::TokenProxy), entra::PROXY_PATH)
}

pub(crate) fn imds(world: &World) -> Environment {
    Environment::from([("AZURE_POD_IDENTITY_AUTHORITY_HOST", world.url_by_address(Service::Imds))])
}

pub(crate) fn app_service(world: &World) -> Environment {
    let endpoint = endpoint(world, Service::AppService);
    Environment::from([
        ("IDENTITY_ENDPOINT", endpoint.clone()),
        ("IDENTITY_HEADER", world.identity_header.clone()),
        ("MSI_ENDPOINT", endpoint),
        ("MSI_SECRET", world.identity_header.clone()),
    ])
}

pub(crate) fn azure_ml(world: &World) -> Environment {
    let endpoint = endpoint(world, Service::AzureMl);
    let mut environment = Environment::from([("MSI_ENDPOINT", endpoint), ("MSI_SECRET", world.msi_secret.clone())]);
    if world.settings.azure_ml_needs_client_id {
        environment.insert("DEFAULT_IDENTITY_CLIENT_ID", DEFAULT_SYSTEM_IDENTITY.to_owned());
    }
    environment
}

fn endpoint(world: &World, service: Service) -> String {
    format!("{}{}", world.url_by_address(service), managed_identity::path(service))
}

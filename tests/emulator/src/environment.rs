//! What a platform puts into a program's environment so that it finds its identity.

use std::collections::BTreeMap;

use crate::world::World;
use crate::{DEFAULT_SYSTEM_IDENTITY, Emulator, Service, managed_identity};

/// Names and values of environment variables.
pub type Environment = BTreeMap<&'static str, String>;

/// Managed identities.
impl Emulator {
    /// Base URL of a virtual machine's managed identity endpoint, without a slash at the end.
    pub fn imds_url(&self) -> String {
        self.world().plain_url(Service::Imds)
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

pub(crate) fn imds(world: &World) -> Environment {
    Environment::from([("AZURE_POD_IDENTITY_AUTHORITY_HOST", world.plain_url(Service::Imds))])
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
    format!("{}{}", world.plain_url(service), managed_identity::path(service))
}

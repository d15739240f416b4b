//! Azure over the wire: signing in and reading vaults. Each file imports only those listed above it.
//!
//! Key Vault is asked through `azure_core`'s pipeline, but its checks are skipped and answers are classified here: the
//! SDK cannot parse the bodies of real errors, and its retries are not ours.

mod answer;
mod bearer;
mod challenge;
mod door;
mod entra;
mod flight;
mod identity;
mod resolve;
mod roots;
mod tokens;
mod transport;
mod vault;

use std::collections::BTreeMap;
use std::sync::Arc;

use azure_core::http::{ClientOptions, RetryOptions, Transport};

use tokens::Exchange;

use crate::config::{Config, Identity};
use crate::failure::Failure;
use crate::moment::Clock;
use crate::ports::Fetched;
use crate::reference::{IdentityName, ObjectName, VaultHost, VersionId};

pub use transport::Settings;

/// Everything of Azure that the agent asks.
#[derive(Debug)]
pub struct Azure {
    vault: vault::Vault,
}

impl Azure {
    /// Builds the one transport and the credentials; asks nobody yet.
    pub fn new(config: &Config, settings: &Settings, clock: Clock) -> Result<Self, String> {
        let client = transport::client(settings)?;
        let door = Arc::new(door::Door::new(client));
        let options = ClientOptions {
            retry: RetryOptions::none(),
            transport: Some(Transport::new(door)),
            ..ClientOptions::default()
        };
        let (mut exchanges, mut tenants) = (BTreeMap::<_, Arc<dyn Exchange>>::new(), BTreeMap::new());
        for (name, identity) in &config.identities {
            match identity {
                Identity::Workload(workload) => {
                    let exchange = identity::Workload::new(workload, &config.cloud, options.clone());
                    exchanges.insert(name.clone(), Arc::new(exchange));
                    tenants.insert(name.clone(), workload.tenant.clone());
                }
            }
        }
        let tokens = tokens::Tokens::new(exchanges, clock);
        let expected = challenge::Expected::new(&config.cloud, tenants);
        let bearer = bearer::Bearer::new(tokens, expected, options);
        Ok(Self { vault: vault::Vault::new(bearer) })
    }

    /// One GET of a secret; the latest version if none is named.
    pub async fn secret(
        &self,
        identity: &IdentityName,
        vault: &VaultHost,
        name: &ObjectName,
        version: Option<&VersionId>,
    ) -> Result<Fetched, Failure> {
        self.vault.secret(identity, vault, name, version).await
    }
}

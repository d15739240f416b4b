//! Azure over the wire: signing in, vaults, workspaces. Each file imports only those before it in this order: roots,
//! resolve, transport, door, flight, answer, refusal, entra, tokens, challenge, bearer, greeting, identity, vault, workspace.
//!
//! Key Vault is asked through `azure_core`'s pipeline, but its checks are skipped and answers are classified here: the
//! SDK cannot parse the bodies of real errors, and its retries are not ours.

mod answer;
mod bearer;
mod challenge;
mod door;
mod entra;
mod flight;
mod greeting;
mod identity;
mod refusal;
mod resolve;
mod roots;
mod tokens;
mod transport;
mod vault;
mod workspace;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use azure_core::http::{ClientOptions, RetryOptions, Transport};
use rustls::pki_types::CertificateDer;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::config::Config;
use crate::failure::{Blame, Code, Failure, Kind};
use crate::moment::Clock;
use crate::ports::{Answer, Fetched, Minted, Need};
use crate::reference::{
    Collection, ConnectionName, IdentityName, ObjectName, Scope, Shelf, VaultHost, VersionId, Workspace,
};
use crate::secret::{Secret, SecretValue, Version};
use crate::survey::Survey;

pub use transport::Settings;

/// An attempt may be several requests, and each may have to wait for others: together they end in seconds as well, so
/// that nothing holds a place in flight for long. Longer than one request that hangs and is told of, and a second one
/// after it.
///
/// Each attempt is awaited where it is made: through a function of ours its future, of which there are a hundred at once,
/// would be there twice.
const WHOLE_ATTEMPT: Duration = Duration::from_secs(20);

/// Everything of Azure that the agent asks.
pub struct Azure {
    vault: vault::Vault,
    connections: workspace::Connections,
    tokens: Arc<tokens::Tokens>,
    roots: Arc<roots::LateRoots>,
    clock: Clock,
}

impl Azure {
    /// Builds the one transport and the credentials; asks nobody yet.
    pub fn new(config: &Config, settings: &Settings, clock: Clock) -> Result<Self, String> {
        let roots = transport::roots(settings.authorities.clone());
        let client = transport::client(settings, &roots)?;
        let door = Arc::new(door::Door::new(client, settings, &config.cloud));
        let options = ClientOptions {
            retry: RetryOptions::none(),
            transport: Some(Transport::new(door)),
            ..ClientOptions::default()
        };
        let (mut exchanges, mut tenants) = (BTreeMap::new(), BTreeMap::new());
        for (name, identity) in &config.identities {
            exchanges.insert(name.clone(), identity::exchange(identity, &config.cloud, &options, settings, &roots)?);
            if let Some(tenant) = identity.tenant() {
                tenants.insert(name.clone(), tenant.to_owned());
            }
        }
        let tokens = Arc::new(tokens::Tokens::new(exchanges, Arc::clone(&clock)));
        let bearer = Arc::new(bearer::Bearer::new(Arc::clone(&tokens), options));
        let expected = challenge::Expected::new(&config.cloud, tenants);
        let scope = expected.scope();
        let greetings = greeting::Greetings::new(expected, Arc::clone(&bearer));
        let vault = vault::Vault::new(Arc::clone(&bearer), greetings, scope, Arc::clone(&clock));
        let connections = workspace::Connections::new(bearer, &config.cloud, Arc::clone(&clock));
        Ok(Self { vault, connections, tokens, roots, clock })
    }

    /// Trusts these authorities, besides the system's, instead of those before, from the next handshake on.
    pub fn trust(&self, authorities: Vec<CertificateDer<'static>>) {
        self.roots.renew(authorities);
    }

    /// One object of a vault; the latest version if none is named.
    pub async fn vault(
        &self,
        identity: &IdentityName,
        vault: &VaultHost,
        collection: Collection,
        name: &ObjectName,
        version: Option<&VersionId>,
    ) -> Result<Fetched, Failure> {
        let attempt = self.vault.object(identity, vault, collection, name, version);
        timeout(WHOLE_ATTEMPT, attempt).await.unwrap_or_else(late)
    }

    /// The list of what stands on a shelf, for these and no further than so many pages.
    pub async fn survey(
        &self,
        shelf: &Shelf,
        wanted: &BTreeSet<ObjectName>,
        most_pages: u32,
    ) -> Result<Survey, Failure> {
        self.vault.survey(shelf, wanted, most_pages, WHOLE_ATTEMPT).await
    }

    /// One connection of a workspace, with its credentials, or word that it is as it was, where that will do.
    pub async fn connection(
        &self,
        identity: &IdentityName,
        workspace: &Workspace,
        name: &ConnectionName,
        need: Need,
    ) -> Result<Answer, Failure> {
        let attempt = self.connections.connection(identity, workspace, name, need);
        timeout(WHOLE_ATTEMPT, attempt).await.unwrap_or_else(late)
    }

    /// An access token for whoever asks for it now. One whose renewal fails is handed out until its end, as the platform's
    /// own services do: it says itself when that is.
    pub async fn mint(&self, identity: &IdentityName, scope: &Scope) -> Result<Minted, Failure> {
        let attempt = self.tokens.get(identity, scope.as_str());
        let token = timeout(WHOLE_ATTEMPT, attempt).await.unwrap_or_else(late)?;
        let value = SecretValue::new(token.value.expose().to_vec());
        Ok(Minted { value, expires: (self.clock)().wall_at(token.ends) })
    }

    /// An access token that is published, and so must last until the next one is.
    pub async fn token(&self, identity: &IdentityName, scope: &Scope) -> Result<Fetched, Failure> {
        let attempt = self.tokens.renewed(identity, scope.as_str());
        let token = timeout(WHOLE_ATTEMPT, attempt).await.unwrap_or_else(late)?;
        let value = SecretValue::new(token.value.expose().to_vec());
        let expires = Some((self.clock)().wall_at(token.ends));
        let secret = Secret::plain(Version::Unversioned, value);
        Ok(Fetched { secret, expires, renew_at: Some(token.renew_at), age: None, stamp: None, hint: None })
    }
}

fn late<T>(_: Elapsed) -> Result<T, Failure> {
    Err(Failure::new(Blame::Host, Kind::Outage, Code::new("timeout")).because("there was no answer in time"))
}

impl fmt::Debug for Azure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Azure").finish_non_exhaustive()
    }
}

//! Connections of Azure Machine Learning workspaces, through Azure Resource Manager.
//!
//! `listsecrets` spends the small bucket of writes (200, and 10 more a second, for a subscription and region), so a
//! connection that was read before is first looked at with a GET, where the identity may read: unless its
//! `lastModifiedAt` has moved, nothing else has (every PUT moves it).

mod refusal;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use azure_core::http::headers::Headers;
use azure_core::http::{Method, RawResponse, Url};
use serde::Deserialize;

use super::bearer::{Bearer, Service};
use crate::config::cloud::Cloud;
use crate::failure::{Blame, Code, Failure, Kind};
use crate::moment::Clock;
use crate::ports::{Answer, Fetched, Need};
use crate::reference::{ConnectionName, IdentityName, Workspace};
use crate::secret::{Secret, SecretValue, Version};

/// The first stable one that has `listsecrets`.
const API_VERSION: &str = "2024-04-01";
/// Whatever `lastModifiedAt` says, the values are read again after so long.
const READ_AGAIN: Duration = Duration::from_hours(12);

pub(super) struct Connections {
    bearer: Arc<Bearer>,
    resource_manager: Option<ResourceManager>,
    seen: Mutex<HashMap<Key, Seen>>,
    /// Who may use a workspace's connections, but not look at them: learnt, and asked again after as long.
    may_not_look: Mutex<HashMap<(IdentityName, Workspace), Instant>>,
    clock: Clock,
}

/// Where the resource manager is, and what its tokens are for.
struct ResourceManager {
    url: Url,
    scope: String,
}

type Key = (IdentityName, Workspace, ConnectionName);

/// What is remembered of a connection whose values were read.
struct Seen {
    /// `systemData.lastModifiedAt`, as it was written.
    modified: String,
    at: Instant,
}

/// The only member that is read here.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Connection {
    system_data: Option<SystemData>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct SystemData {
    last_modified_at: Option<String>,
}

impl Service for ResourceManager {
    fn scope(&self) -> &str {
        &self.scope
    }

    /// There is one resource manager, and the configuration names it: it is given no other token whatever it asks for.
    fn verify(&self, _: &Headers) -> Result<(), Failure> {
        Ok(())
    }

    fn failure(&self, response: &RawResponse) -> Failure {
        refusal::failure(response)
    }
}

impl Connections {
    pub(super) fn new(bearer: Arc<Bearer>, cloud: &Cloud, clock: Clock) -> Self {
        let parse = |(url, audience): (&String, &String)| {
            Some(ResourceManager { url: Url::parse(url).ok()?, scope: format!("{audience}/.default") })
        };
        let known = cloud.resource_manager.as_ref().zip(cloud.resource_manager_audience.as_ref());
        Self {
            bearer,
            resource_manager: known.and_then(parse),
            seen: Mutex::default(),
            may_not_look: Mutex::default(),
            clock,
        }
    }

    /// All of a connection, its credentials included, as the service's JSON; or word that it has not moved since,
    /// where that will do.
    pub(super) async fn connection(
        &self,
        identity: &IdentityName,
        workspace: &Workspace,
        name: &ConnectionName,
        need: Need,
    ) -> Result<Answer, Failure> {
        let nowhere = || Failure::new(Blame::Object, Kind::Misconfigured, Code::new("no-resource-manager"));
        let service = self.resource_manager.as_ref().ok_or_else(nowhere)?;
        let key = (identity.clone(), workspace.clone(), name.clone());
        let answer = self.read(service, &key, need).await;
        if answer.as_ref().is_err_and(|failure| failure.blame == Blame::Object) {
            // While it was refused its value may have been removed: that it has not moved since would not bring that back.
            self.remember(key, None);
        }
        answer
    }

    async fn read(&self, service: &ResourceManager, key: &Key, need: Need) -> Result<Answer, Failure> {
        if let Some(modified) = self.worth_a_look(key).filter(|_| need == Need::News) {
            match self.ask(service, key, Method::Get).await {
                Ok(response) if modified_at(response.body().as_ref()).as_ref() == Some(&modified) => {
                    return Ok(Answer::Unchanged);
                }
                Ok(_) => {}
                // `listsecrets` is a permission of its own: whoever may read the values need not be allowed to look.
                Err(failure) if (failure.blame, failure.kind) == (Blame::Object, Kind::Denied) => {
                    let now = (self.clock)().tick;
                    let mut may_not_look = self.may_not_look.lock().unwrap_or_else(PoisonError::into_inner);
                    may_not_look.insert((key.0.clone(), key.1.clone()), now);
                }
                Err(failure) => return Err(failure),
            }
        }
        let response = self.ask(service, key, Method::Post).await?;
        let body = response.body().as_ref();
        let value = SecretValue::new(body.to_vec());
        self.remember(key.clone(), modified_at(body));
        let secret = Secret::plain(Version::Unversioned, value);
        Ok(Answer::Fetched(Fetched { secret, expires: None, renew_at: None, age: None, stamp: None, hint: None }))
    }

    /// When the connection was last modified, if its values were read lately and a look is allowed.
    fn worth_a_look(&self, key: &Key) -> Option<String> {
        let now = (self.clock)().tick;
        let lately = |at: &Instant| now.saturating_duration_since(*at) < READ_AGAIN;
        let may_not_look = self.may_not_look.lock().unwrap_or_else(PoisonError::into_inner);
        if may_not_look.get(&(key.0.clone(), key.1.clone())).is_some_and(lately) {
            return None;
        }
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(key).filter(|seen| lately(&seen.at)).map(|seen| seen.modified.clone())
    }

    fn remember(&self, key: Key, modified: Option<String>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match modified {
            Some(modified) => seen.insert(key, Seen { modified, at: (self.clock)().tick }),
            None => seen.remove(&key),
        };
    }

    async fn ask(&self, service: &ResourceManager, key: &Key, method: Method) -> Result<RawResponse, Failure> {
        let (identity, workspace, name) = key;
        let mut url = service.url.clone();
        let cannot = || Failure::new(Blame::Object, Kind::Misconfigured, Code::new("bad-url"));
        let listsecrets = (method == Method::Post).then_some("listsecrets");
        url.path_segments_mut().map_err(|()| cannot())?.clear().extend(
            [
                "subscriptions",
                workspace.subscription(),
                "resourceGroups",
                workspace.resource_group(),
                "providers",
                "Microsoft.MachineLearningServices",
                "workspaces",
                workspace.name(),
                "connections",
                name.as_str(),
            ]
            .into_iter()
            .chain(listsecrets),
        );
        url.query_pairs_mut().append_pair("api-version", API_VERSION);
        let token = self.bearer.sign_in(identity, &service.scope).await?;
        self.bearer.send(service, identity, &token, (method, &url)).await
    }
}

fn modified_at(body: &[u8]) -> Option<String> {
    let connection: Connection = serde_json::from_slice(body).ok()?;
    connection.system_data?.last_modified_at.filter(|at| !at.is_empty())
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connections")
    }
}

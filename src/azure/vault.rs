//! Key Vault's data plane: one GET of one object, read leniently where it does not matter and strictly where it does; and
//! lists, page by page.

mod list;
mod read;

use std::sync::Arc;

use azure_core::http::headers::Headers;
use azure_core::http::{Method, RawResponse, Url};
use tokio::sync::Semaphore;

use super::answer;
use super::bearer::{Bearer, Service};
use super::greeting::Greetings;
use super::refusal;
use crate::failure::{Blame, Code, Failure, Kind};
use crate::ports::Fetched;
use crate::reference::{Collection, IdentityName, ObjectName, Shelf, VaultHost, VersionId};
use crate::survey::Survey;

/// Generally available since 2025 in every cloud that documents its versions, and no later member is needed.
const API_VERSION: &str = "7.6";
/// The first that converts a certificate's container (`outContentType`).
const CONVERTING: &str = "2025-07-01&outContentType=application/x-pem-file";
/// Containers that are opened at once: the few threads for blocking work are needed by name look-ups.
const OPENED_AT_ONCE: usize = 2;

#[derive(Debug)]
pub(super) struct Vault {
    bearer: Arc<Bearer>,
    greetings: Greetings,
    scope: String,
    openers: Semaphore,
}

/// One object of a vault, and as whom it is asked for.
struct Visit<'a> {
    of: &'a Vault,
    identity: &'a IdentityName,
    vault: &'a VaultHost,
}

impl Service for Visit<'_> {
    fn scope(&self) -> &str {
        &self.of.scope
    }

    fn verify(&self, headers: &Headers) -> Result<(), Failure> {
        self.of.greetings.verify(headers, self.identity, self.vault)
    }

    fn failure(&self, response: &RawResponse) -> Failure {
        refusal::failure(response)
    }
}

impl Vault {
    pub(super) fn new(bearer: Arc<Bearer>, greetings: Greetings, scope: String) -> Self {
        Self { bearer, greetings, scope, openers: Semaphore::new(OPENED_AT_ONCE) }
    }

    /// One GET of an object; the latest version if none is named. A certificate comes with its key and chain, through
    /// the secret of the same name and version.
    pub(super) async fn object(
        &self,
        identity: &IdentityName,
        vault: &VaultHost,
        collection: Collection,
        name: &ObjectName,
        version: Option<&VersionId>,
    ) -> Result<Fetched, Failure> {
        let visit = Visit { of: self, identity, vault };
        let asked = match collection {
            Collection::Secret | Collection::Certificate => Collection::Secret,
            Collection::Key => Collection::Key,
        };
        // Host, name and version were checked character by character; nothing here needs encoding.
        let path = version.map_or_else(String::new, |version| format!("/{}", version.as_str()));
        let path = format!("https://{vault}/{}/{}{path}", asked.segment(), name.as_str());
        let response = visit.get(&format!("{path}?api-version={API_VERSION}")).await?;
        let read_at = answer::date(response.headers());
        let mut fetched = match collection {
            Collection::Secret => read::secret(response.body().as_ref())?,
            Collection::Key => read::key(response.body().as_ref())?,
            Collection::Certificate => match self.opened(response).await? {
                read::Stored::Opened(fetched) => fetched,
                // Only the service can open it; the version is the one that was looked at.
                read::Stored::Closed { version, container, why } => {
                    let path = format!("https://{vault}/secrets/{}/{}", name.as_str(), version.as_str());
                    match visit.get(&format!("{path}?api-version={CONVERTING}")).await {
                        Ok(response) => match self.opened(response).await {
                            Ok(read::Stored::Opened(fetched)) => read::with_container(fetched, container),
                            Ok(read::Stored::Closed { .. }) | Err(_) => return Err(why),
                        },
                        Err(failure) => return Err(not_converted(failure, why)),
                    }
                }
            },
        };
        // A list shows the latest version. Who does not say what time it is has not said how old the value was.
        let shows = |now| version.is_none() && fetched.stamp.is_some_and(|stamp| stamp.is_settled(now));
        if !read_at.is_some_and(shows) {
            fetched.stamp = None;
        }
        Ok(fetched)
    }

    /// Reads a list into the survey, page after page, until its end or so many pages. What was read before a page fails
    /// stays read.
    pub(super) async fn survey(&self, shelf: &Shelf, most_pages: u32, survey: &mut Survey) -> Result<(), Failure> {
        let Shelf { identity, vault, collection } = shelf;
        let visit = Visit { of: self, identity, vault };
        let first = address(&format!("https://{vault}/{}?api-version={API_VERSION}", collection.segment()))?;
        let mut url = first.clone();
        while survey.pages < most_pages {
            let response = visit.ask(&url).await?;
            survey.pages = survey.pages.saturating_add(1);
            let page = list::Page::read(response.body().as_ref())?;
            page.show(*collection, survey);
            let Some(next) = page.next(&first, &url)? else {
                survey.is_whole = true;
                break;
            };
            url = next;
        }
        Ok(())
    }

    /// Opens a certificate beside the loop: a container may ask for seconds of key derivation, and nobody else waits for
    /// it.
    async fn opened(&self, response: RawResponse) -> Result<read::Stored, Failure> {
        let (_, _, body) = response.deconstruct();
        let ended = || Failure::new(Blame::Object, Kind::Outage, Code::new("ended"));
        let _permit = self.openers.acquire().await.map_err(|_| ended())?;
        tokio::task::spawn_blocking(move || read::certificate(body.as_ref())).await.unwrap_or_else(|_| Err(ended()))
    }
}

/// The service did not convert what keyferry cannot open. One that does not know how answers so, and what is wrong is
/// the container. One that has no time has said nothing of the container yet; nor does that count against others, whom
/// it may well serve.
fn not_converted(failure: Failure, why: Failure) -> Failure {
    match (failure.blame, failure.kind) {
        (Blame::Object, _) => why,
        (Blame::Host | Blame::Identity, Kind::Outage) => {
            Failure { detail: why.detail, ..failure.blamed_on(Blame::Object) }
        }
        (Blame::Host | Blame::Identity, _) => failure,
    }
}

impl Visit<'_> {
    async fn get(&self, url: &str) -> Result<RawResponse, Failure> {
        self.ask(&address(url)?).await
    }

    async fn ask(&self, url: &Url) -> Result<RawResponse, Failure> {
        let Self { of, identity, vault } = self;
        // While the token is made the vault's connection opens, and its challenge comes to be compared: a vault that
        // has not been heard, or asked for another's token when it was, gets none.
        let (token, greeting) =
            tokio::join!(of.bearer.sign_in(identity, &of.scope), of.greetings.greet(identity, vault, url));
        let token = token?;
        greeting?;
        of.bearer.send(self, identity, &token, (Method::Get, url)).await
    }
}

fn address(url: &str) -> Result<Url, Failure> {
    Url::parse(url).map_err(|_| Failure::new(Blame::Object, Kind::Misconfigured, Code::new("bad-url")))
}

//! Key Vault's data plane: one GET of one object, read leniently where it does not matter and strictly where it does; and
//! lists, page by page.

mod lenient;
mod list;
mod read;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use azure_core::http::headers::Headers;
use azure_core::http::{Method, RawResponse, Url};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::answer;
use super::bearer::{Bearer, Service};
use super::greeting::Greetings;
use super::refusal;
use crate::failure::{Blame, Code, Failure, Kind};
use crate::moment::{Clock, UnixTime};
use crate::ports::Fetched;
use crate::reference::{Collection, IdentityName, ObjectName, Shelf, VaultHost, VersionId};
use crate::survey::{End, Survey};

/// Generally available since 2025 in every cloud that documents its versions, and no later member is needed.
const API_VERSION: &str = "7.6";
/// The first that converts a certificate's container (`outContentType`).
const CONVERTING: &str = "2025-07-01&outContentType=application/x-pem-file";
/// Containers that are opened at once: the few threads for blocking work are needed by name look-ups.
const OPENED_AT_ONCE: usize = 2;
/// Whoever stands on a list waits for it: a page that comes later is not waited for, when one has come before.
const NEXT_PAGE: Duration = Duration::from_secs(5);

pub(super) struct Vault {
    bearer: Arc<Bearer>,
    greetings: Greetings,
    scope: String,
    openers: Semaphore,
    clock: Clock,
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
    pub(super) fn new(bearer: Arc<Bearer>, greetings: Greetings, scope: String, clock: Clock) -> Self {
        Self { bearer, greetings, scope, openers: Semaphore::new(OPENED_AT_ONCE), clock }
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
        let asked_at = (self.clock)();
        let response = visit.get(&format!("{path}?api-version={API_VERSION}")).await?;
        let took = (self.clock)().tick.saturating_duration_since(asked_at.tick);
        // The value was read before the answer was dated, but not before it was asked for.
        let answered_at = answer::date(response.headers());
        let read_at = answered_at.map(|date| before(date, took));
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
        fetched.age = fetched.stamp.and_then(|stamp| stamp.age(read_at?, answered_at?));
        // A list shows the latest version. Who does not say what time it is has not said how old the value was.
        let shows = |now| version.is_none() && fetched.stamp.is_some_and(|stamp| stamp.is_settled(now));
        if !read_at.is_some_and(shows) {
            fetched.stamp = None;
        }
        Ok(fetched)
    }

    /// Reads a list page after page, until its end, until all that is wanted was shown, or so many pages, and no longer
    /// than `within`. What was read stays read when a later page comes too late or is none: that is the list's own trouble.
    /// What is the host's or the identity's is theirs on any page.
    pub(super) async fn survey(
        &self,
        shelf: &Shelf,
        wanted: &BTreeSet<ObjectName>,
        most_pages: u32,
        within: Duration,
    ) -> Result<Survey, Failure> {
        let mut survey = Survey::of(wanted.clone());
        let outcome = timeout(within, self.read_on(shelf, most_pages, &mut survey)).await;
        let outcome = outcome.unwrap_or_else(|_| {
            let blame = if survey.pages > 0 { Blame::Object } else { Blame::Host };
            Err(late(blame))
        });
        survey.end = match outcome {
            Ok(end) => end,
            Err(failure) if failure.blame == Blame::Object && survey.pages > 0 => End::Broken(failure),
            Err(failure) => return Err(failure),
        };
        Ok(survey)
    }

    async fn read_on(&self, shelf: &Shelf, most_pages: u32, survey: &mut Survey) -> Result<End, Failure> {
        let Shelf { identity, vault, collection } = shelf;
        let visit = Visit { of: self, identity, vault };
        let first = address(&format!("https://{vault}/{}?api-version={API_VERSION}", collection.segment()))?;
        let mut url = first.clone();
        while survey.pages < most_pages {
            let response = if survey.pages == 0 {
                visit.ask(&url).await?
            } else {
                timeout(NEXT_PAGE, visit.ask(&url)).await.unwrap_or_else(|_| Err(late(Blame::Object)))?
            };
            let page = list::Page::read(response.body().as_ref())?;
            survey.pages = survey.pages.saturating_add(1);
            page.show(*collection, &first, survey);
            // A list that leads astray is none, also when nobody needs to follow it.
            let Some(next) = page.next(&first, &url)? else { return Ok(End::Whole) };
            if survey.is_enough() {
                return Ok(End::Enough);
            }
            url = next;
        }
        Ok(End::TooLong)
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

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").finish_non_exhaustive()
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

/// What was dated then was asked for so long before.
fn before(date: UnixTime, took: Duration) -> UnixTime {
    UnixTime::new(date.since_epoch().saturating_sub(took))
}

fn late(blame: Blame) -> Failure {
    Failure::new(blame, Kind::Outage, Code::new("timeout")).because("a page of the list did not come in time")
}

fn address(url: &str) -> Result<Url, Failure> {
    Url::parse(url).map_err(|_| Failure::new(Blame::Object, Kind::Misconfigured, Code::new("bad-url")))
}

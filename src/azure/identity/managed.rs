//! Managed identities: a service beside this machine gives their tokens. IMDS, App Service and Azure ML speak dialects
//! of one protocol; retry is the schedule's, also where their documents ask for it.

use std::sync::Arc;
use std::time::Duration;

use azure_core::http::{RawResponse, Url};
use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde_json::Value;

use super::expiry;
use super::nearby::Nearby;
use crate::azure::answer::retry_after;
use crate::azure::entra::{meaning_in, no_such_audience};
use crate::azure::tokens::{Exchange, Token};
use crate::azure::transport::{Settings, WHOLE_REQUEST};
use crate::config::identity::{IDENTITY_HEADER, MSI_SECRET, Platform, Which};
use crate::failure::{Blame, Code, Failure, Kind};
use crate::moment::{Clock, UnixTime};
use crate::secret::SecretValue;

/// How IMDS, Azure ML and two generations of App Service say that there is no such identity.
const NOT_FOUND: [&str; 3] = ["Identity not found", "proper Managed Identity", "Managed Identity found for"];

/// IMDS wants to be left alone at least so long after an error of its own.
const AFTER_AN_OUTAGE: Duration = Duration::from_secs(1);

/// Gets tokens of one managed identity.
#[derive(Debug)]
pub(super) struct Managed {
    platform: Platform,
    which: Which,
    secret: Option<Arc<SecretValue>>,
    client: Nearby,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_on: Option<Value>,
    expires_in: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Refused {
    error: Option<String>,
}

impl Managed {
    pub(super) fn new(managed: &crate::config::identity::Managed, settings: &Settings) -> Result<Self, String> {
        let variable = match managed.platform {
            Platform::Imds(_) => None,
            Platform::AppService(_) => Some(IDENTITY_HEADER),
            Platform::AzureMl(_) => Some(MSI_SECRET),
        };
        let secret = variable.and_then(|variable| settings.variables.get(variable)).cloned();
        let client = Nearby::new(&settings.metrics)?;
        Ok(Self { platform: managed.platform.clone(), which: managed.which.clone(), secret, client })
    }

    /// Whether there is an IMDS of Azure's. It is asked without the header that it wants, so that no token is made, and
    /// says so; other clouds' metadata services know no such path.
    pub(super) async fn is_there(&self, within: Duration) -> Result<(), Failure> {
        let response = self.client.get(&self.url("https://management.azure.com/.default")?, None, within).await?;
        match u16::from(response.status()) {
            400 | 410 | 429 | 500..=599 => Ok(()),
            status => Err(self.failure(Kind::Missing, &format!("http-{status}"))),
        }
    }

    fn url(&self, scope: &str) -> Result<Url, Failure> {
        let (endpoint, version) = match &self.platform {
            Platform::Imds(endpoint) => (endpoint, "2018-02-01"),
            Platform::AppService(endpoint) => (endpoint, "2019-08-01"),
            Platform::AzureMl(endpoint) => (endpoint, "2017-09-01"),
        };
        let malformed = |_| self.failure(Kind::Misconfigured, "endpoint-malformed");
        let mut url = Url::parse(endpoint.as_str()).map_err(malformed)?;
        // These services want a resource, and Azure ML's compares it with case: as the scope has it, host in lower case.
        let resource = scope.strip_suffix("/.default").unwrap_or(scope);
        let mut query = url.query_pairs_mut();
        query.append_pair("api-version", version).append_pair("resource", resource);
        match (&self.platform, &self.which) {
            (_, Which::System) => &mut query,
            (Platform::AzureMl(_), Which::Client(id) | Which::Object(id) | Which::Resource(id)) => {
                query.append_pair("clientid", id)
            }
            (_, Which::Client(id)) => query.append_pair("client_id", id),
            (_, Which::Object(id)) => query.append_pair("object_id", id),
            (Platform::Imds(_), Which::Resource(id)) => query.append_pair("msi_res_id", id),
            (Platform::AppService(_), Which::Resource(id)) => query.append_pair("mi_res_id", id),
        };
        drop(query);
        Ok(url)
    }

    fn header(&self) -> Result<(&'static str, HeaderValue), Failure> {
        let (name, variable) = match self.platform {
            Platform::Imds(_) => return Ok(("metadata", HeaderValue::from_static("true"))),
            Platform::AppService(_) => ("x-identity-header", IDENTITY_HEADER),
            Platform::AzureMl(_) => ("secret", MSI_SECRET),
        };
        let secret = self.secret.as_deref().map(SecretValue::expose).unwrap_or_default();
        let mut value = HeaderValue::from_bytes(secret).map_err(|_| {
            let malformed = self.failure(Kind::Misconfigured, "secret-malformed");
            malformed.because(format!("{variable} holds a line break or another byte that cannot stand in a header"))
        })?;
        value.set_sensitive(true);
        Ok((name, value))
    }

    /// A failure with a code that says which service it is about.
    fn failure(&self, kind: Kind, problem: &str) -> Failure {
        let service = match self.platform {
            Platform::Imds(_) => "imds",
            Platform::AppService(_) => "identity-endpoint",
            Platform::AzureMl(_) => "msi-endpoint",
        };
        Failure::new(Blame::Identity, kind, Code::new(&format!("{service}-{problem}")))
    }

    /// The service was not reached, or broke off: one code for all that, with the reason behind it.
    fn unreached(&self, failure: Failure) -> Failure {
        match failure.kind {
            Kind::Outage => {
                let detail = failure.detail.unwrap_or_default();
                self.failure(Kind::Outage, "unreachable").because(detail)
            }
            _ => failure,
        }
    }

    fn granted(&self, body: &[u8], now: UnixTime) -> Result<(SecretValue, Duration), Failure> {
        let unusable = |detail: &str| self.failure(Kind::Outage, "bad-answer").because(detail);
        let granted: Granted =
            serde_json::from_slice(body).map_err(|_| unusable("its answer holds no access token"))?;
        let life = expiry::life(granted.expires_on.as_ref(), granted.expires_in.as_ref(), now);
        let token = SecretValue::new(granted.access_token.into_bytes());
        // A token becomes part of a header.
        if token.expose().is_empty() || !token.expose().iter().all(u8::is_ascii_graphic) {
            return Err(unusable("its answer holds no access token"));
        }
        let life = life.ok_or_else(|| unusable("its token has ended already, or does not say when it ends"))?;
        Ok((token, life))
    }

    /// What an answer that is no 200 means: Microsoft's documents, and texts that were seen. None of them is repeated.
    fn refused(&self, response: &RawResponse) -> Failure {
        let (status, body) = (u16::from(response.status()), response.body().as_ref());
        let refused: Refused = serde_json::from_slice(body).unwrap_or_default();
        let text = std::str::from_utf8(body).unwrap_or_default();
        let says = |words: &str| text.contains(words);
        let failure = match status {
            _ if says("Invalid secret token header") => self.failure(Kind::Denied, "refuses-the-secret"),
            400 if NOT_FOUND.into_iter().any(says) => {
                let failure = Failure::new(Blame::Identity, Kind::Missing, Code::new("identity-not-found"));
                failure.because("no such managed identity is assigned here; a new one takes minutes to appear")
            }
            400 if says("Multiple user assigned identities exist") => {
                let failure = Failure::new(Blame::Identity, Kind::Misconfigured, Code::new("several-identities"));
                failure.because("several managed identities are assigned here, and none is chosen")
            }
            400 if refused.error.as_deref() == Some("invalid_resource") || says("AADSTS500011") => {
                no_such_audience(self.failure(Kind::Misconfigured, "invalid-resource").code)
            }
            // App Service and Azure ML pass Entra's word on with a status of their own.
            400 | 500 if let Some(failure) = meaning_in(text) => failure,
            400 => self.failure(Kind::Denied, "http-400"),
            401 | 403 if self.secret.is_some() => self.failure(Kind::Denied, "refuses-the-secret"),
            401 | 403 => self.failure(Kind::Denied, &format!("http-{status}")),
            404 | 410 if self.secret.is_none() => self.failure(Kind::Outage, "updating"),
            429 => self.failure(Kind::Throttled, "throttled"),
            status => self.failure(Kind::Outage, &format!("http-{status}")),
        };
        let least = (failure.kind == Kind::Outage).then_some(AFTER_AN_OUTAGE);
        Failure { after: retry_after(response.headers()).or(least), ..failure }
    }
}

#[async_trait::async_trait]
impl Exchange for Managed {
    async fn exchange(&self, scope: &str, clock: &Clock) -> Result<Token, Failure> {
        let answer = self.client.get(&self.url(scope)?, Some(self.header()?), WHOLE_REQUEST).await;
        let response = answer.map_err(|failure| self.unreached(failure))?;
        if u16::from(response.status()) != 200 {
            return Err(self.refused(&response));
        }
        let now = clock();
        let (token, life) = self.granted(response.body().as_ref(), now.wall)?;
        Ok(Token::new(token, life, now.tick))
    }
}

#[cfg(test)]
mod tests;

//! What a request for a token asks for: a pure look at its path, headers and query, in the two shapes that Azure SDKs know
//! (learn.microsoft.com: "How to use managed identities to acquire an access token", for virtual machines and for App
//! Service).

use hyper::header::{ALLOW, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};

use super::query::Query;
use crate::reference::Scope;
use crate::serve::door::IDENTITY_HEADER;
use crate::serve::guard::Refusal;

/// Which service is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// The instance metadata service of virtual machines.
    Imds,
    /// App Service's endpoint, which Container Apps have as well.
    AppService,
}

/// Whose tokens there are, and for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer<'a> {
    /// What tokens are given for.
    pub(super) scopes: &'a [Scope],
    /// The client id of the only identity there is, where it is known.
    pub(super) client: Option<&'a str>,
}

pub(super) const IMDS: &str = "/metadata/identity/oauth2/token";
pub(super) const APP_SERVICE: &str = "/msi/token";

/// Without it IMDS answers nobody: whoever lets others choose an address seldom lets them choose headers.
const METADATA: HeaderName = HeaderName::from_static("metadata");
/// The version of App Service's protocol with that header; those before it had another one.
const VERSION: &str = "2019-08-01";
const API_VERSION: &str = "api-version";
const RESOURCE: &str = "resource";
const CLIENT: &str = "client_id";
/// How an identity is named in either shape; of the last four, none is known here.
const SELECTORS: [&str; 5] = [CLIENT, "object_id", "principal_id", "mi_res_id", "msi_res_id"];

impl Shape {
    /// The one that is at the path. IMDS's may end in a slash: some add it.
    pub(super) fn of(path: &str) -> Option<Self> {
        match path {
            APP_SERVICE => Some(Self::AppService),
            _ if path.strip_suffix('/').unwrap_or(path) == IMDS => Some(Self::Imds),
            _ => None,
        }
    }

    /// What metrics call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Imds => "imds-token",
            Self::AppService => "app-service-token",
        }
    }

    /// Whether it is asked as its clients do, which nobody else does by accident.
    pub(super) fn check<B>(self, request: &Request<B>, door_wants_token: bool) -> Result<(), Refusal> {
        if *request.method() != Method::GET {
            let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "use GET here");
            return Err(refusal.with(ALLOW, HeaderValue::from_static("GET")));
        }
        match self {
            Self::Imds if door_wants_token => {
                let message = "callers are known by the token file, and a request to IMDS carries no token: set \
                               IDENTITY_ENDPOINT to this port's /msi/token, and IDENTITY_HEADER to what is in the file";
                Err(Refusal::new(StatusCode::FORBIDDEN, "unauthorized_client", message))
            }
            Self::Imds if only(request.headers(), &METADATA).is_none_or(|value| value != "true") => {
                Err(invalid("Required metadata header not specified"))
            }
            Self::AppService if only(request.headers(), &IDENTITY_HEADER).is_none_or(HeaderValue::is_empty) => {
                Err(invalid(
                    "the header X-IDENTITY-HEADER is missing: set IDENTITY_HEADER, to anything where callers are \
                             known by their uid",
                ))
            }
            Self::Imds | Self::AppService => Ok(()),
        }
    }

    /// The entry of the offer that the query means, or why none.
    pub(super) fn wanted<'a>(self, query: Option<&str>, offer: Offer<'a>) -> Result<&'a Scope, Refusal> {
        let known = [&[API_VERSION, RESOURCE], &SELECTORS[..]].concat();
        let query = Query::parse(query, &known).map_err(invalid)?;
        let missing = |name: &str| invalid(format!("Required query variable '{name}' is missing"));
        let version =
            query.get(API_VERSION).filter(|version| !version.is_empty()).ok_or_else(|| missing(API_VERSION))?;
        if self == Self::AppService && version != VERSION {
            return Err(invalid(format!("this 'api-version' is not known: use {VERSION}")));
        }
        let resource = query.get(RESOURCE).filter(|resource| !resource.is_empty()).ok_or_else(|| missing(RESOURCE))?;
        let is_ours = |client: &str| offer.client.is_some_and(|ours| ours.eq_ignore_ascii_case(client));
        if SELECTORS
            .iter()
            .filter_map(|name| Some((*name, query.get(name)?)))
            .any(|(name, id)| name != CLIENT || !is_ours(id))
        {
            // The first words are IMDS's own, which some SDKs look for.
            return Err(invalid("Identity not found: tokens here are those of keyferry's own identity; name none"));
        }
        // What goes to the other side is the entry, as the configuration has it: nothing of what a caller sent.
        let bare = resource.strip_suffix("/.default").or(resource.strip_suffix('/')).unwrap_or(resource);
        offer.scopes.iter().find(|scope| scope.resource() == bare).ok_or_else(|| {
            let message = "this 'resource' is not in keyferry's 'serve.tokens.scopes': no token is given for it";
            Refusal::new(StatusCode::BAD_REQUEST, "invalid_resource", message)
        })
    }
}

/// A header that must be there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "invalid_request", message)
}

#[cfg(test)]
mod tests;

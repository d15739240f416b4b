//! A vault's 401 challenge: it decides nothing, it is only compared. Audience and tenant are the configured ones; a
//! vault that asks for others gets no token at all.

use std::collections::BTreeMap;

use azure_core::http::headers::{HeaderName, Headers};

use crate::config::cloud::Cloud;
use crate::failure::{Blame, Code, Failure, Kind};
use crate::reference::{IdentityName, is_guid};

const WWW_AUTHENTICATE: HeaderName = HeaderName::from_static("www-authenticate");

/// What an honest vault of the configured cloud and tenant asks for.
#[derive(Debug)]
pub(super) struct Expected {
    audience: String,
    tenants: BTreeMap<IdentityName, String>,
}

impl Expected {
    pub(super) fn new(cloud: &Cloud, tenants: BTreeMap<IdentityName, String>) -> Self {
        Self { audience: cloud.vault_audience.clone(), tenants }
    }

    /// The scope of vault tokens.
    pub(super) fn scope(&self) -> String {
        format!("{}/.default", self.audience)
    }

    /// Compares a first answer's challenge, which must ask for our tokens.
    pub(super) fn hear(&self, headers: &Headers, identity: &IdentityName) -> Result<(), Failure> {
        if self.verify(headers, identity)? {
            return Ok(());
        }
        Err(Failure::new(Blame::Host, Kind::Outage, Code::new("no-challenge"))
            .because("the vault does not say which tokens it takes; none was sent"))
    }

    /// Compares an answer's challenge, which must not ask for other tokens than ours. Tells whether it asks for any.
    pub(super) fn verify(&self, headers: &Headers, identity: &IdentityName) -> Result<bool, Failure> {
        let challenges = headers.get_optional_str(&WWW_AUTHENTICATE).unwrap_or_default();
        let mut asks = false;
        for resource in parameters(challenges, "resource").chain(parameters(challenges, "scope")) {
            asks = true;
            let asked = resource.strip_suffix("/.default").unwrap_or(resource).trim_end_matches('/');
            if !asked.eq_ignore_ascii_case(&self.audience) {
                return Err(Failure::new(Blame::Host, Kind::Misconfigured, Code::new("other-audience")).because(
                    format!("the vault asks for tokens of another audience than {}; none was sent", self.audience),
                ));
            }
        }
        // A domain cannot be compared with the challenge's GUID.
        let Some(ours) = self.tenants.get(identity).filter(|tenant| is_guid(tenant)) else { return Ok(asks) };
        for theirs in parameters(challenges, "authorization").filter_map(tenant_of) {
            if !theirs.eq_ignore_ascii_case(ours) {
                return Err(Failure::new(Blame::Host, Kind::Misconfigured, Code::new("other-tenant"))
                    .because(format!("the vault belongs to another tenant than {ours}; no token was sent")));
            }
        }
        Ok(asks)
    }
}

/// A parameter of every challenge in the header (RFC 9110 §11.2), of whatever scheme, quoted or not, with blanks around
/// its '=' or without: one that asks for something else is enough.
fn parameters<'a>(challenges: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let mut quoted = false;
    let pieces = challenges.split(move |c| {
        quoted ^= c == '"';
        !quoted && matches!(c, ',' | '=')
    });
    let pieces: Vec<&str> = pieces.collect();
    let pairs: Vec<(&str, &str)> = pieces.iter().copied().zip(pieces.iter().copied().skip(1)).collect();
    pairs.into_iter().filter_map(move |(key, value)| {
        // Before a name may stand its scheme, and behind an unquoted value the next one's.
        let key = key.split_ascii_whitespace().next_back()?;
        let value = value.trim_start();
        let value = match value.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next()?,
            None => value.split_ascii_whitespace().next()?,
        };
        key.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// The first segment of the authority's path. The host is not looked at: it may be an alias of ours.
fn tenant_of(authority: &str) -> Option<&str> {
    authority.strip_prefix("https://")?.split('/').nth(1).filter(|tenant| !tenant.is_empty())
}

#[cfg(test)]
mod tests;

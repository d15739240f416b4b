//! A vault's 401 challenge: it decides nothing, it is only compared. Audience and tenant are the configured ones; a
//! vault that asks for others gets no token at all.

use std::collections::BTreeMap;

use azure_core::http::headers::{HeaderName, Headers};

use crate::config::cloud::Cloud;
use crate::failure::{Blame, Code, Failure, Kind};
use crate::reference::IdentityName;

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

    /// Compares an answer's challenge, if it has one.
    pub(super) fn verify(&self, headers: &Headers, identity: &IdentityName) -> Result<(), Failure> {
        let Some(challenges) = headers.get_optional_str(&WWW_AUTHENTICATE) else { return Ok(()) };
        for resource in parameters(challenges, "resource").chain(parameters(challenges, "scope")) {
            let asked = resource.strip_suffix("/.default").unwrap_or(resource).trim_end_matches('/');
            if !asked.eq_ignore_ascii_case(&self.audience) {
                return Err(Failure::new(Blame::Host, Kind::Misconfigured, Code::new("other-audience")).because(
                    format!("the vault asks for tokens of another audience than {}; none was sent", self.audience),
                ));
            }
        }
        let Some(ours) = self.tenants.get(identity).filter(|tenant| is_guid(tenant)) else { return Ok(()) };
        for theirs in parameters(challenges, "authorization").filter_map(tenant_of) {
            if !theirs.eq_ignore_ascii_case(ours) {
                return Err(Failure::new(Blame::Host, Kind::Misconfigured, Code::new("other-tenant"))
                    .because(format!("the vault belongs to another tenant than {ours}; no token was sent")));
            }
        }
        Ok(())
    }
}

/// A parameter of every challenge in the header (RFC 9110 §11.6.1), of whatever scheme, quoted or not: one that asks
/// for something else is enough.
fn parameters<'a>(challenges: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let mut quoted = false;
    let pieces = challenges.split(move |c| {
        quoted ^= c == '"';
        !quoted && matches!(c, ',' | ' ' | '\t')
    });
    pieces.filter_map(move |pair| {
        let (key, value) = pair.split_once('=')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim_matches('"'))
    })
}

/// The first segment of the authority's path. The host is not looked at: it may be an alias of ours.
fn tenant_of(authority: &str) -> Option<&str> {
    authority.strip_prefix("https://")?.split('/').nth(1).filter(|tenant| !tenant.is_empty())
}

/// Only a tenant written as a GUID can be compared with the challenge's; a domain cannot.
fn is_guid(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

#[cfg(test)]
mod tests;

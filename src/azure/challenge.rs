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
        let Some(challenge) = headers.get_optional_str(&WWW_AUTHENTICATE) else { return Ok(()) };
        if let Some(resource) = parameter(challenge, "resource").or_else(|| parameter(challenge, "scope")) {
            let asked = resource.strip_suffix("/.default").unwrap_or(resource).trim_end_matches('/');
            if !asked.eq_ignore_ascii_case(&self.audience) {
                return Err(Failure::new(Blame::Host, Kind::Misconfigured, Code::new("other-audience")).because(
                    format!("the vault asks for tokens of another audience than {}; none was sent", self.audience),
                ));
            }
        }
        let tenant = parameter(challenge, "authorization").and_then(tenant_of);
        let ours = self.tenants.get(identity).filter(|tenant| is_guid(tenant));
        match (tenant, ours) {
            (Some(theirs), Some(ours)) if !theirs.eq_ignore_ascii_case(ours) => {
                Err(Failure::new(Blame::Host, Kind::Misconfigured, Code::new("other-tenant"))
                    .because(format!("the vault belongs to another tenant than {ours}; no token was sent")))
            }
            _ => Ok(()),
        }
    }
}

/// A parameter of a Bearer challenge (RFC 9110 §11.2), quoted or not, after a comma or a blank.
fn parameter<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    let parameters = challenge.trim().strip_prefix("Bearer ")?;
    parameters.split([',', ' ']).find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
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

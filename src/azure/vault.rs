//! Key Vault's data plane: one GET of a secret, read leniently where it does not matter and strictly where it does.

use azure_core::http::Url;
use serde::Deserialize;
use serde_json::Value;

use super::bearer::Bearer;
use crate::failure::{Blame, Code, Failure, Kind};
use crate::moment::UnixTime;
use crate::ports::Fetched;
use crate::reference::{IdentityName, ObjectName, VaultHost, VersionId};
use crate::secret::{Secret, SecretValue, Version};

/// Generally available since 2025 in every cloud that documents its versions, and no later member is needed.
const API_VERSION: &str = "7.6";

#[derive(Debug)]
pub(super) struct Vault {
    bearer: Bearer,
}

/// A secret bundle; members that are not looked at are skipped, times may be anything.
#[derive(Deserialize)]
struct Bundle {
    value: Option<String>,
    id: Option<String>,
    #[serde(default)]
    attributes: Value,
}

impl Vault {
    pub(super) fn new(bearer: Bearer) -> Self {
        Self { bearer }
    }

    /// One GET of a secret; the latest version if none is named.
    pub(super) async fn secret(
        &self,
        identity: &IdentityName,
        vault: &VaultHost,
        name: &ObjectName,
        version: Option<&VersionId>,
    ) -> Result<Fetched, Failure> {
        // Host, name and version were checked character by character; nothing here needs encoding.
        let path = version.map_or_else(String::new, |version| format!("/{}", version.as_str()));
        let url = format!("https://{vault}/secrets/{}{path}?api-version={API_VERSION}", name.as_str());
        let bad_url = |_| Failure::new(Blame::Object, Kind::Misconfigured, Code::new("bad-url"));
        let url = Url::parse(&url).map_err(bad_url)?;
        let response = self.bearer.get(identity, vault, &url).await?;
        read(response.body().as_ref())
    }
}

fn read(body: &[u8]) -> Result<Fetched, Failure> {
    let unusable = |detail: &str| Failure::new(Blame::Object, Kind::Outage, Code::new("bad-answer")).because(detail);
    let bundle: Bundle = serde_json::from_slice(body).map_err(|_| unusable("the vault's answer is no secret"))?;
    let value = bundle.value.ok_or_else(|| unusable("the vault's answer has no value"))?;
    let version = bundle.id.as_deref().and_then(|id| id.rsplit('/').next()).and_then(|id| VersionId::parse(id).ok());
    let version = version.ok_or_else(|| unusable("the vault's answer names no version"))?;
    // `exp` informs; the vault serves expired secrets, and so do we. A number that is no time is no expiry.
    let expires = bundle.attributes.get("exp").and_then(Value::as_u64).and_then(UnixTime::from_seconds);
    let secret = Secret::plain(Version::Upstream(version.as_str().to_owned()), SecretValue::new(value.into_bytes()));
    Ok(Fetched { secret, expires })
}

#[cfg(test)]
mod tests;

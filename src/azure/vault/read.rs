//! What a vault's answers hold: bundles of secrets, certificates through their secrets, public keys.

use serde::Deserialize;

use super::lenient::{Attributes, Lenient};
use crate::certificate;
use crate::failure::{Blame, Code, Failure, Kind};
use crate::ports::{Fetched, Hint};
use crate::public_key::{self, Jwk};
use crate::reference::VersionId;
use crate::secret::{Part, Secret, SecretValue, Version};
use crate::survey::Stamp;

/// A secret bundle; members that are not looked at are skipped, times may be anything.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    value: Option<String>,
    id: Option<String>,
    content_type: Option<String>,
    /// There only when the secret belongs to a certificate.
    kid: Option<String>,
    managed: Option<bool>,
    #[serde(default)]
    attributes: Lenient<Attributes>,
}

/// A key bundle.
#[derive(Deserialize)]
struct KeyBundle {
    key: Option<Key>,
    #[serde(default)]
    attributes: Lenient<Attributes>,
}

#[derive(Deserialize)]
struct Key {
    kid: Option<String>,
    #[serde(flatten)]
    jwk: Jwk,
}

/// What is stored for a certificate.
pub(super) enum Stored {
    /// It could be opened.
    Opened(Fetched),
    /// Its container could not, for this reason; another one of the same version may be asked for.
    Closed { version: VersionId, container: Option<SecretValue>, why: Failure },
}

fn unusable(detail: &str) -> Failure {
    Failure::new(Blame::Object, Kind::Outage, Code::new("bad-answer")).because(detail)
}

impl Bundle {
    fn read(body: &[u8]) -> Result<Self, Failure> {
        serde_json::from_slice(body).map_err(|_| unusable("the vault's answer is no secret"))
    }

    fn version(&self) -> Result<VersionId, Failure> {
        version_in(self.id.as_deref())
    }

    fn take_value(&mut self) -> Result<SecretValue, Failure> {
        let value = self.value.take().ok_or_else(|| unusable("the vault's answer has no value"))?;
        Ok(SecretValue::new(value.into_bytes()))
    }
}

/// The last segment of an object's URL.
fn version_in(id: Option<&str>) -> Result<VersionId, Failure> {
    let version = id.and_then(|id| id.rsplit('/').next()).and_then(|id| VersionId::parse(id).ok());
    version.ok_or_else(|| unusable("the vault's answer names no version"))
}

/// A secret.
pub(super) fn secret(body: &[u8]) -> Result<Fetched, Failure> {
    let mut bundle = Bundle::read(body)?;
    let (value, version) = (bundle.take_value()?, bundle.version()?);
    let backs_certificate = bundle.managed == Some(true) && bundle.kid.is_some();
    Ok(Fetched {
        secret: Secret::plain(Version::Upstream(version.as_str().to_owned()), value),
        expires: bundle.attributes.get().and_then(Attributes::expiry),
        renew_at: None,
        age: None,
        stamp: bundle.attributes.get().and_then(Attributes::stamp),
        hint: backs_certificate.then_some(Hint::BacksCertificate),
    })
}

/// A certificate, through its secret.
pub(super) fn certificate(body: &[u8]) -> Result<Stored, Failure> {
    let mut bundle = Bundle::read(body)?;
    let (value, version) = (bundle.take_value()?, bundle.version()?);
    match certificate::open(&value, bundle.content_type.as_deref()) {
        Ok(opened) => {
            Ok(Stored::Opened(fetched(opened, &version, bundle.attributes.get().and_then(Attributes::stamp))))
        }
        Err(why) => {
            let failure = |code, why| Failure::new(Blame::Object, Kind::Content, Code::new(code)).because(why);
            let closed = match &bundle.kid {
                Some(_) => failure("no-certificate", why.to_string()),
                None => failure(
                    "plain-secret",
                    format!("of this name there is only a secret, and it is no certificate: {why}"),
                ),
            };
            if !why.is_of_the_container() {
                return Err(closed);
            }
            Ok(Stored::Closed { version, container: certificate::container(&value), why: closed })
        }
    }
}

fn fetched(opened: certificate::Certificate, version: &VersionId, stamp: Option<Stamp>) -> Fetched {
    let secret = Secret {
        version: Version::Upstream(version.as_str().to_owned()),
        parts: opened.parts,
        missing: opened.missing.into_iter().map(|(part, why)| (part, why.to_string())).collect(),
    };
    Fetched { secret, expires: Some(opened.not_after), renew_at: None, age: None, stamp, hint: None }
}

/// What the service converted, with the container that it converted: that one is `pfx`, and readable by others.
pub(super) fn with_container(mut fetched: Fetched, container: Option<SecretValue>) -> Fetched {
    let Secret { parts, missing, .. } = &mut fetched.secret;
    if let Some(container) = container.filter(|_| parts.contains_key(&Part::Key)) {
        parts.insert(Part::Pfx, container);
        missing.remove(&Part::Pfx);
    }
    fetched
}

/// A key's public half, as PEM.
pub(super) fn key(body: &[u8]) -> Result<Fetched, Failure> {
    let bundle: KeyBundle = serde_json::from_slice(body).map_err(|_| unusable("the vault's answer is no key"))?;
    let key = bundle.key.ok_or_else(|| unusable("the vault's answer has no key"))?;
    let version = version_in(key.kid.as_deref())?;
    let failure = |why: public_key::Unusable| {
        Failure::new(Blame::Object, Kind::Content, Code::new("no-public-key")).because(why.to_string())
    };
    let value = key.jwk.to_pem().map_err(failure)?;
    Ok(Fetched {
        secret: Secret::plain(Version::Upstream(version.as_str().to_owned()), value),
        expires: bundle.attributes.get().and_then(Attributes::expiry),
        renew_at: None,
        age: None,
        stamp: bundle.attributes.get().and_then(Attributes::stamp),
        hint: None,
    })
}

#[cfg(test)]
mod tests;

//! One secret, certificate or key.

use serde_json::Value;

use super::collection::Collection;
use super::object::{Object, Version};
use super::refusal::VaultRefusal;
use super::shape::{self, Frame};
use super::shelf::Shelf;
use crate::exchange::Arrived;
use crate::world::World;

/// Which version of what is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) collection: Collection,
    pub(crate) name: &'a str,
    /// None is the latest.
    pub(crate) version: Option<&'a str>,
}

impl Wanted<'_> {
    fn missing(&self) -> VaultRefusal {
        VaultRefusal::not_found(self.collection, self.name, self.version)
    }

    fn find<S: Object + Clone>(&self, shelf: &Shelf<S>) -> Result<Version<S>, VaultRefusal> {
        shelf.version(self.name, self.version).cloned().ok_or_else(|| self.missing())
    }
}

/// Gives the body that answers for it.
pub(crate) fn get(
    world: &World,
    arrived: &Arrived,
    vault: &str,
    wanted: Wanted<'_>,
    api_version: &str,
) -> Result<Value, VaultRefusal> {
    let base = world.vault_url(vault);
    let frame = Frame { base: &base, api_version };
    world.vaults.with(|vaults| {
        let vault = vaults.find(vault).ok_or_else(|| wanted.missing())?;
        match wanted.collection {
            Collection::Secrets => {
                let mut secret = wanted.find(&vault.secrets)?;
                refuse_disabled(&secret)?;
                if let Some(content_type) = arrived.parameter("outContentType") {
                    let certificate = vault.certificates.version(wanted.name, Some(&secret.id));
                    let certificate = certificate.map(|certificate| &certificate.spec);
                    world.settings.conversion.convert(&mut secret, certificate, &content_type, api_version)?;
                }
                Ok(shape::secret::bundle(&secret, frame))
            }
            Collection::Certificates => {
                let certificate = wanted.find(&vault.certificates)?;
                // One in creation is disabled too, and was seen to be read.
                if !certificate.spec.in_creation {
                    refuse_disabled(&certificate)?;
                }
                Ok(shape::certificate::bundle(&certificate, frame, wanted.version.is_none()))
            }
            Collection::Keys => {
                let key = wanted.find(&vault.keys)?;
                refuse_disabled(&key)?;
                Ok(shape::key::bundle(&key, frame))
            }
        }
    })
}

fn refuse_disabled<S: Object>(version: &Version<S>) -> Result<(), VaultRefusal> {
    let facts = version.spec.facts();
    if facts.enabled { Ok(()) } else { Err(VaultRefusal::disabled(facts.collection)) }
}

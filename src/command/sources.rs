//! All sources as one: each object goes to the edge that knows its place.

use std::collections::BTreeSet;

use crate::azure::Azure;
use crate::failure::Failure;
use crate::local;
use crate::ports::{Answer, Mint, Minted, Need, Source};
use crate::reference::{IdentityName, Object, ObjectName, Scope, Shelf};
use crate::survey::Survey;

#[derive(Debug)]
pub(super) struct Sources {
    pub(super) azure: Azure,
}

impl Source for Sources {
    async fn fetch(&self, object: &Object, need: Need) -> Result<Answer, Failure> {
        match object {
            Object::Vault { identity, vault, collection, name, version } => {
                self.azure.vault(identity, vault, *collection, name, version.as_ref()).await.map(Answer::Fetched)
            }
            Object::Connection { identity, workspace, name } => {
                self.azure.connection(identity, workspace, name, need).await
            }
            Object::Token { identity, scope } => self.azure.token(identity, scope).await.map(Answer::Fetched),
            Object::File(path) => local::read(path).map(Answer::Fetched),
        }
    }

    async fn survey(&self, shelf: &Shelf, wanted: &BTreeSet<ObjectName>, most_pages: u32) -> Result<Survey, Failure> {
        self.azure.survey(shelf, wanted, most_pages).await
    }
}

impl Mint for Sources {
    async fn mint(&self, identity: &IdentityName, scope: &Scope) -> Result<Minted, Failure> {
        self.azure.mint(identity, scope).await
    }
}

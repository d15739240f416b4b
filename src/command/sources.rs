//! All sources as one: each object goes to the edge that knows its place.

use crate::azure::Azure;
use crate::failure::{Blame, Code, Failure, Kind};
use crate::local;
use crate::ports::{Fetched, Source};
use crate::reference::{Collection, Object};

#[derive(Debug)]
pub(super) struct Sources {
    pub(super) azure: Azure,
}

impl Source for Sources {
    async fn fetch(&self, object: &Object) -> Result<Fetched, Failure> {
        match object {
            Object::Vault { identity, vault, collection: Collection::Secret, name, version } => {
                self.azure.secret(identity, vault, name, version.as_ref()).await
            }
            Object::Vault { .. } | Object::Connection { .. } | Object::Token { .. } => {
                Err(Failure::new(Blame::Object, Kind::Misconfigured, Code::new("not-supported")))
            }
            Object::File(path) => local::read(path),
        }
    }
}

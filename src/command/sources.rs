//! All sources as one: each object goes to the edge that knows its place.

use crate::azure::Azure;
use crate::failure::Failure;
use crate::local;
use crate::ports::{Fetched, Source};
use crate::reference::Object;

#[derive(Debug)]
pub(super) struct Sources {
    pub(super) azure: Azure,
}

impl Source for Sources {
    async fn fetch(&self, object: &Object) -> Result<Fetched, Failure> {
        match object {
            Object::Secret { identity, vault, name, version } => {
                self.azure.secret(identity, vault, name, version.as_ref()).await
            }
            Object::File(path) => local::read(path),
        }
    }
}

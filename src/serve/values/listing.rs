//! What there is, without any value. Pure.

use serde::Serialize;

use super::board::Shown;
use crate::config::serve::Visible;
use crate::moment::UnixTime;
use crate::reference::SecretName;
use crate::secret::Secret;
use crate::status::{View, rfc3339};

/// `GET /v1/secrets`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listing {
    /// The whole that is shown.
    generation: u64,
    secrets: Vec<Listed>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    name: String,
    version: String,
    /// The whole with which its value came.
    generation: u64,
    parts: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

impl Listing {
    /// Everything that the caller may see and that has a value.
    pub(super) fn new(shown: &Shown, view: &View, visible: &Visible, now: UnixTime) -> Self {
        let listed = |(name, secret): (&SecretName, &std::sync::Arc<Secret>)| {
            let known = view.status.names.get(name);
            Listed {
                name: name.to_string(),
                version: secret.version.to_string(),
                generation: shown.since(name).0,
                parts: secret.parts.keys().map(|part| part.name()).collect(),
                age_seconds: known.and_then(|known| known.changed).map(|changed| now.since(changed).as_secs()),
                expires: known.and_then(|known| known.expires).map(rfc3339),
            }
        };
        let secrets = shown.snapshot.secrets.iter().filter(|(name, _)| visible.shows(name)).map(listed).collect();
        Self { generation: shown.snapshot.generation.0, secrets }
    }
}

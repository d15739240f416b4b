//! A secret's version, as a test asks for it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::collection::Collection;
use super::object::{Facts, Object, enabled};

/// A version of a secret to put; `SecretSpec::new` gives a plain enabled one.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct SecretSpec {
    /// Name of the secret.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Content type, absent by default.
    #[serde(default)]
    pub content_type: Option<String>,
    /// Whether it can be read.
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// Expiry in Unix seconds, absent by default.
    #[serde(default)]
    pub exp: Option<i64>,
    /// Start of validity in Unix seconds, absent by default.
    #[serde(default)]
    pub nbf: Option<i64>,
    /// Tags, absent from answers if empty.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Backs a certificate: shown as managed and with a key id. `put_certificate` sees to it by itself.
    #[serde(default)]
    pub certificate: bool,
    /// Version id to use instead of a random one, for ties and orders.
    #[serde(default)]
    pub version: Option<String>,
    /// Creation time to use instead of now, in Unix seconds.
    #[serde(default)]
    pub created: Option<i64>,
}

impl SecretSpec {
    /// A plain enabled secret.
    pub fn new(name: &str, value: &str) -> Self {
        Self {
            name: name.to_owned(),
            value: value.to_owned(),
            content_type: None,
            enabled: true,
            exp: None,
            nbf: None,
            tags: BTreeMap::new(),
            certificate: false,
            version: None,
            created: None,
        }
    }
}

/// Shows everything but the value.
impl std::fmt::Debug for SecretSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretSpec").field("name", &self.name).field("enabled", &self.enabled).finish_non_exhaustive()
    }
}

impl Object for SecretSpec {
    fn facts(&self) -> Facts<'_> {
        Facts {
            collection: Collection::Secrets,
            name: &self.name,
            enabled: self.enabled,
            nbf: self.nbf,
            exp: self.exp,
            tags: &self.tags,
            version: self.version.as_deref(),
            created: self.created,
        }
    }
}

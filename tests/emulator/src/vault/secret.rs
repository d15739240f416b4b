//! A secret's version: what a test asks for, and what the vault keeps of it.

use std::collections::BTreeMap;

use serde::Deserialize;

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
    /// Backs a certificate: shown as managed and with a key id.
    #[serde(default)]
    pub certificate: bool,
    /// Version id to use instead of a random one, for ties and orders.
    #[serde(default)]
    pub version: Option<String>,
    /// Creation time to use instead of now, in Unix seconds.
    #[serde(default)]
    pub created: Option<i64>,
}

fn enabled() -> bool {
    true
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

/// A version as the vault keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecretVersion {
    pub(crate) spec: SecretSpec,
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) updated: i64,
}

/// Whether a name has only the letters and the length that the vault takes.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=127).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

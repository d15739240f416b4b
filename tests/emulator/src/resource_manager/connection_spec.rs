//! A workspace connection as a test asks for it.

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The categories the service was seen to spell its own way.
const CATEGORIES: &[&str] =
    &["AzureOpenAI", "CognitiveSearch", "CognitiveService", "CustomKeys", "ApiKey", "AIServices"];
/// The categories to whose metadata the service adds a version of its own.
const VERSIONED: &[&str] = &["AzureOpenAI", "CognitiveSearch", "CognitiveService"];

/// A connection to put; any kind of authentication is taken, also one that Azure does not know yet.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionSpec {
    /// Name of the connection.
    pub name: String,
    /// The kind of authentication, such as `ApiKey`.
    pub auth_type: String,
    /// The credentials as `listsecrets` shows them; none for kinds without, such as `AAD`.
    #[serde(default)]
    pub credentials: Option<Value>,
    /// The category, which says nothing about the credentials.
    #[serde(default = "custom_keys")]
    pub category: String,
    /// What is connected to.
    #[serde(default)]
    pub target: Option<String>,
    /// The group, by category if none is given.
    #[serde(default)]
    pub group: Option<String>,
    /// Anything, null by default.
    #[serde(default)]
    pub metadata: Value,
}

fn custom_keys() -> String {
    "CustomKeys".to_owned()
}

impl ConnectionSpec {
    /// A connection with credentials of any kind.
    pub fn new(name: &str, auth_type: &str, credentials: Value) -> Self {
        Self { credentials: Some(credentials), ..Self::without_credentials(name, auth_type) }
    }

    /// A connection of a kind that has no credentials, such as `AAD` and `None`.
    pub fn without_credentials(name: &str, auth_type: &str) -> Self {
        Self {
            name: name.to_owned(),
            auth_type: auth_type.to_owned(),
            credentials: None,
            category: custom_keys(),
            target: None,
            group: None,
            metadata: Value::Null,
        }
    }

    /// A connection with one key.
    pub fn api_key(name: &str, key: &str) -> Self {
        Self::new(name, "ApiKey", json!({"key": key}))
    }

    /// A connection with keys of any names.
    pub fn custom_keys(name: &str, keys: &[(&str, &str)]) -> Self {
        let keys: Map<String, Value> = keys.iter().map(|(name, key)| ((*name).to_owned(), (*key).into())).collect();
        Self::new(name, "CustomKeys", json!({"keys": keys}))
    }

    /// Does what the service does to a connection it is given.
    pub(crate) fn normalised(mut self) -> Self {
        let own = CATEGORIES.iter().find(|category| category.eq_ignore_ascii_case(&self.category));
        if let Some(own) = own {
            (*own).clone_into(&mut self.category);
        }
        if VERSIONED.contains(&self.category.as_str())
            && let Value::Object(metadata) = &mut self.metadata
        {
            metadata.entry("DeploymentApiVersion").or_insert_with(|| "2023-10-01-preview".into());
        }
        self
    }
}

/// Shows everything but the credentials.
impl std::fmt::Debug for ConnectionSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionSpec")
            .field("name", &self.name)
            .field("auth_type", &self.auth_type)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_has_its_own_spelling_and_adds_a_version() {
        let spec = ConnectionSpec {
            category: "AzureOpenAi".to_owned(),
            metadata: json!({"ApiVersion": null}),
            ..ConnectionSpec::api_key("a", "k")
        };
        let spec = spec.normalised();
        assert_eq!(spec.category, "AzureOpenAI");
        assert!(spec.metadata["DeploymentApiVersion"].is_string() && spec.metadata["ApiVersion"].is_null());
        let unknown = ConnectionSpec { category: "oTher".to_owned(), ..ConnectionSpec::api_key("a", "k") };
        assert_eq!((unknown.clone().normalised(), format!("{unknown:?}").contains("key")), (unknown, false));
    }
}

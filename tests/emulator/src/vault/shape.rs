//! The JSON of what a vault keeps: which members there are, and in which order.

pub(crate) mod certificate;
pub(crate) mod key;
pub(crate) mod secret;

use serde_json::{Map, Value, json};

use super::object::{Object, Version};

/// The api-version that does not tell the recoverable days yet.
const WITHOUT_DAYS: &str = "7.0";

/// What a shape depends on besides the object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    /// Base URL of the vault.
    pub(crate) base: &'a str,
    pub(crate) api_version: &'a str,
}

/// Members in the order they are put in.
#[derive(Default)]
struct Members(Map<String, Value>);

impl Members {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// A member that is absent rather than null.
    fn put_some(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    fn put_tags<S: Object>(&mut self, version: &Version<S>) {
        let tags = version.spec.facts().tags;
        if !tags.is_empty() {
            self.put("tags", json!(tags));
        }
    }

    /// What all attributes begin with.
    fn times<S: Object>(version: &Version<S>) -> Self {
        let facts = version.spec.facts();
        let mut members = Self::default();
        members.put("enabled", facts.enabled);
        members.put_some("nbf", facts.nbf);
        members.put_some("exp", facts.exp);
        members.put("created", version.created);
        members.put("updated", version.updated);
        members
    }

    fn attributes<S: Object>(version: &Version<S>, api_version: &str) -> Self {
        let mut members = Self::times(version);
        members.put("recoveryLevel", "CustomizedRecoverable+Purgeable");
        if api_version != WITHOUT_DAYS {
            members.put("recoverableDays", 7);
        }
        members
    }
}

impl From<Members> for Value {
    fn from(members: Members) -> Self {
        Self::Object(members.0)
    }
}

/// The identifier of an entry in a list: with the version only where versions are listed.
fn listed_identifier<S: Object>(version: &Version<S>, base: &str, with_version: bool) -> String {
    if with_version { version.identifier(base) } else { version.base_identifier(base) }
}

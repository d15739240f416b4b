//! The environment's variables: what each is made of, and what it is when the secrets are there.

use std::collections::BTreeMap;

use super::{Failure, Template, Values, text};
use crate::reference::SecretName;
use crate::secret::{Part, SecretValue};

/// What a variable holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variable {
    /// A secret's value, or a part of it.
    Secret {
        /// Its name.
        secret: SecretName,
        /// Which piece of it.
        part: Part,
    },
    /// A template with secrets' values put in.
    Template(Template),
}

/// The variables by name, each of which is a C identifier.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Variables(pub BTreeMap<String, Variable>);

impl Variables {
    /// The secrets that they are made of, and which part of each.
    pub fn uses(&self) -> impl Iterator<Item = (&SecretName, Part)> {
        self.0.values().flat_map(Variable::uses)
    }

    /// What they are. One whose secret has no value on purpose is not set.
    pub fn values(&self, values: &Values) -> Result<BTreeMap<&str, SecretValue>, Failure> {
        self.values_of(|_| true, values)
    }

    /// The same of those that are wanted.
    pub fn values_of(
        &self,
        is_wanted: impl Fn(&Variable) -> bool,
        values: &Values,
    ) -> Result<BTreeMap<&str, SecretValue>, Failure> {
        let (mut set, mut wrong) = (BTreeMap::new(), Vec::new());
        for (name, variable) in self.0.iter().filter(|(_, variable)| is_wanted(variable)) {
            match variable.value(name, values) {
                Ok(value) => set.extend(value.map(|value| (name.as_str(), value))),
                Err(Failure(reason)) => wrong.push(reason),
            }
        }
        if wrong.is_empty() { Ok(set) } else { Err(Failure(wrong.join("; "))) }
    }
}

impl Variable {
    /// Whether every shell and every Kubernetes takes this for a variable's name.
    pub fn may_be_called(name: &str) -> bool {
        let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        is_word && !name.is_empty() && !name.starts_with(|first: char| first.is_ascii_digit())
    }

    /// The secrets that it is made of, and which part of each.
    pub fn uses(&self) -> impl Iterator<Item = (&SecretName, Part)> {
        let (secret, template) = match self {
            Self::Secret { secret, part } => (Some((secret, *part)), None),
            Self::Template(template) => (None, Some(template)),
        };
        secret.into_iter().chain(template.into_iter().flat_map(Template::uses))
    }

    /// What it is, if it is set; `name` is for messages.
    pub fn value(&self, name: &str, values: &Values) -> Result<Option<SecretValue>, Failure> {
        match self {
            Self::Secret { secret, part } => {
                let value = text(secret, *part, values).map_err(|reason| Failure(format!("env.{name}: {reason}")))?;
                Ok(value.map(|value| SecretValue::new(value.into())))
            }
            Self::Template(template) => template.render(values).map(Some),
        }
    }
}

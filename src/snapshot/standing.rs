//! What one variable is in a whole: by itself, so that another one's trouble is none of its own.

use std::collections::BTreeSet;

use super::Snapshot;
use crate::reference::SecretName;
use crate::render::Variable;
use crate::secret::{SecretValue, Version};

/// What a variable is.
#[derive(Debug)]
pub enum Standing {
    /// It has this value.
    Set(SecretValue),
    /// It is made of what is optional and not there.
    Unset,
    /// This secret has no value yet.
    Awaited(SecretName),
    /// It cannot be made; why.
    Failed(String),
}

impl Snapshot {
    /// What the variable of this name is.
    pub fn standing(&self, name: &str, variable: &Variable) -> Standing {
        let is_lacking = |secret: &&SecretName| !self.secrets.contains_key(*secret) && !self.absent.contains(*secret);
        match variable.uses().map(|(secret, _)| secret).find(is_lacking) {
            Some(secret) if self.unknown.contains(secret) => Standing::Awaited(secret.clone()),
            Some(secret) => Standing::Failed(format!("{name}: the secret {secret} has no value any more")),
            None => match variable.value(name, &self.secrets) {
                Ok(Some(value)) => Standing::Set(value),
                Ok(None) => Standing::Unset,
                Err(failure) => Standing::Failed(failure.to_string()),
            },
        }
    }

    /// What goes into a variable beside a token, in editions; none if no token does. A token that is made anew is the same
    /// token for whoever asks whether anything has changed. `run` tells editions that a run counts from another run's.
    pub fn beside_token(&self, variable: &Variable, run: &str) -> Option<String> {
        let (tokens, others): (BTreeSet<_>, BTreeSet<_>) =
            variable.uses().map(|(secret, _)| secret).partition(|name| self.tokens.contains(*name));
        let edition = |name: &SecretName| match &self.secrets.get(name)?.version {
            Version::Upstream(version) => Some(format!("{name}={version}")),
            counted => Some(format!("{name}={run}{counted}")),
        };
        let editions = || others.into_iter().filter_map(edition).collect::<Vec<_>>().join(" ");
        (!tokens.is_empty()).then(editions)
    }
}

#[cfg(test)]
mod tests;

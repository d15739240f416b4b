//! References where anything else may stand as well: in a process's environment. Only a text that is a reference as a whole
//! and says so is one; a vault's bare address is left alone, because applications are given vaults' addresses for their own
//! use.

use super::Reference;
use super::wrapped::{self, BRACES};

impl Reference {
    /// The reference that a variable's value is, or what is wrong with it; none for any other value.
    pub fn marked(value: &str) -> Option<Result<Self, String>> {
        is_marked(value).then(|| Self::parse(value))
    }
}

fn is_marked(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    // Azure ML's own variables name models and datastores by 'azureml:' and 'azureml://' too.
    let is_connection = lower.strip_prefix("azureml://").is_some_and(|rest| {
        rest.starts_with("connections/") || rest.starts_with("subscriptions/") && rest.contains("/connections/")
    });
    let begins = |scheme: &str| lower.starts_with(scheme);
    is_connection
        || begins("keyvault:")
        || begins("entra:")
        || begins(BRACES)
        || wrapped::begins_app_service(value).is_some()
}

#[cfg(test)]
mod tests;

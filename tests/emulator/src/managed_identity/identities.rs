//! The managed identities assigned to whatever runs here.

use serde::Serialize;

use crate::{DEFAULT_TENANT, random};

/// The client id of the system-assigned identity that exists from the start.
pub const DEFAULT_SYSTEM_IDENTITY: &str = "5a5a5a5a-5a5a-4a5a-8a5a-5a5a5a5a5a5a";
/// The object id of the system-assigned identity that exists from the start.
pub const DEFAULT_SYSTEM_OBJECT: &str = "6a6a6a6a-6a6a-4a6a-8a6a-6a6a6a6a6a6a";

const SUBSCRIPTION: &str = "44444444-4444-4444-8444-444444444444";

/// A managed identity under its three names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ManagedIdentity {
    /// The tenant it is in.
    pub tenant: String,
    /// The client id.
    pub client_id: String,
    /// The object id, also called principal id.
    pub object_id: String,
    /// The resource id; empty for a system-assigned identity, which is no resource of its own.
    pub resource_id: String,
}

impl ManagedIdentity {
    /// The system-assigned identity that exists from the start.
    pub fn system_assigned() -> Self {
        Self {
            tenant: DEFAULT_TENANT.to_owned(),
            client_id: DEFAULT_SYSTEM_IDENTITY.to_owned(),
            object_id: DEFAULT_SYSTEM_OBJECT.to_owned(),
            resource_id: String::new(),
        }
    }

    /// A user-assigned identity of that name, with ids of its own.
    pub fn user_assigned(name: &str) -> Self {
        Self {
            tenant: DEFAULT_TENANT.to_owned(),
            client_id: random::guid(),
            object_id: random::guid(),
            resource_id: format!(
                "/subscriptions/{SUBSCRIPTION}/resourcegroups/demo/providers/Microsoft.ManagedIdentity/\
                 userAssignedIdentities/{name}"
            ),
        }
    }
}

/// By which of its names an identity is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SelectedBy {
    Client,
    Object,
    Resource,
}

/// An identity as a request names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selector {
    pub(crate) by: SelectedBy,
    pub(crate) value: String,
}

/// All identities assigned.
#[derive(Debug)]
pub(crate) struct Identities {
    pub(crate) system_assigned: Option<ManagedIdentity>,
    user_assigned: Vec<ManagedIdentity>,
}

impl Identities {
    pub(crate) fn with_system_assigned() -> Self {
        Self { system_assigned: Some(ManagedIdentity::system_assigned()), user_assigned: Vec::new() }
    }

    pub(crate) fn add(&mut self, identity: ManagedIdentity) {
        self.user_assigned.push(identity);
    }

    /// The only user-assigned identity, if there is exactly one.
    pub(crate) fn only_user_assigned(&self) -> Option<ManagedIdentity> {
        match self.user_assigned.as_slice() {
            [only] => Some(only.clone()),
            _ => None,
        }
    }

    pub(crate) fn has_several(&self) -> bool {
        self.user_assigned.len() > 1
    }

    /// The identity with that name, system-assigned or not.
    pub(crate) fn find(&self, selector: &Selector) -> Option<ManagedIdentity> {
        let name = |identity: &ManagedIdentity| match selector.by {
            SelectedBy::Client => identity.client_id.clone(),
            SelectedBy::Object => identity.object_id.clone(),
            SelectedBy::Resource => identity.resource_id.clone(),
        };
        let named = |identity: &&ManagedIdentity| name(identity).eq_ignore_ascii_case(&selector.value);
        self.system_assigned.iter().chain(&self.user_assigned).find(named).cloned()
    }

    /// The object id behind a client id.
    pub(crate) fn object_of(&self, client: &str) -> Option<String> {
        let selector = Selector { by: SelectedBy::Client, value: client.to_owned() };
        self.find(&selector).map(|identity| identity.object_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_found_by_each_of_its_names() {
        let mut identities = Identities::with_system_assigned();
        let app = ManagedIdentity::user_assigned("app");
        identities.add(app.clone());
        for (by, value) in [
            (SelectedBy::Client, app.client_id.to_uppercase()),
            (SelectedBy::Object, app.object_id.clone()),
            (SelectedBy::Resource, app.resource_id.to_lowercase()),
        ] {
            assert_eq!(identities.find(&Selector { by, value }), Some(app.clone()));
        }
        assert_eq!(identities.find(&Selector { by: SelectedBy::Object, value: app.client_id }), None);
    }
}

//! Where a workspace is: its subscription, its resource group and its name.

use serde::Deserialize;

/// The subscription of workspaces for which none is named.
pub const DEFAULT_SUBSCRIPTION: &str = "44444444-4444-4444-8444-444444444444";
/// The resource group of workspaces for which none is named.
pub const DEFAULT_RESOURCE_GROUP: &str = "demo";

/// The full name of a workspace; all its parts are compared without regard to case.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workspace {
    /// The subscription's id.
    #[serde(default = "subscription")]
    pub subscription: String,
    /// The resource group.
    #[serde(default = "resource_group")]
    pub resource_group: String,
    /// The name.
    pub name: String,
}

fn subscription() -> String {
    DEFAULT_SUBSCRIPTION.to_owned()
}

fn resource_group() -> String {
    DEFAULT_RESOURCE_GROUP.to_owned()
}

impl Workspace {
    /// The resource id.
    pub fn id(&self) -> String {
        format!(
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.MachineLearningServices/workspaces/{}",
            self.subscription, self.resource_group, self.name
        )
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        self.id().eq_ignore_ascii_case(&other.id())
    }
}

/// A workspace of the default subscription and resource group.
impl From<&str> for Workspace {
    fn from(name: &str) -> Self {
        Self { subscription: subscription(), resource_group: resource_group(), name: name.to_owned() }
    }
}

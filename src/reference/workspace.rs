//! An Azure Machine Learning workspace, by its place in Azure Resource Manager.

use std::fmt;

use super::names::{is_guid, shown};

/// A workspace. Resource Manager's names are compared without regard to case: kept in lower case, two spellings are one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Workspace {
    subscription: String,
    resource_group: String,
    name: String,
}

/// How the id of a workspace is written.
pub(super) const ID: &str = "/subscriptions/<subscription id>/resourceGroups/<group>/providers/\
                             Microsoft.MachineLearningServices/workspaces/<workspace>";

impl Workspace {
    /// Checks and takes the three names.
    pub fn new(subscription: &str, resource_group: &str, name: &str) -> Result<Self, String> {
        if !is_guid(subscription) {
            return Err(format!("'{}' is no subscription id: it is a GUID, not the name", shown(subscription)));
        }
        if !is_resource_group(resource_group) {
            return Err(format!(
                "'{}' is no resource group: 1 to 90 letters, digits, '-', '_', '.', '(' and ')', not ending with '.'",
                shown(resource_group)
            ));
        }
        if !is_resource(name) {
            return Err(format!(
                "'{}' is no workspace: letters, digits, '-' and '_', beginning with a letter or digit",
                shown(name)
            ));
        }
        Ok(Self {
            subscription: subscription.to_ascii_lowercase(),
            resource_group: resource_group.chars().map(lower).collect(),
            name: name.to_ascii_lowercase(),
        })
    }

    /// Reads a Resource Manager id, as `az ml workspace show --query id` prints it.
    pub fn parse_id(id: &str) -> Result<Self, String> {
        let parts: Vec<&str> = id.split('/').collect();
        let [before, subscriptions, subscription, groups, group, providers, provider, workspaces, name] = parts[..]
        else {
            return Err(format!("a workspace is written '{ID}'"));
        };
        let keywords = [
            (before, ""),
            (subscriptions, "subscriptions"),
            (groups, "resourceGroups"),
            (providers, "providers"),
            (provider, "Microsoft.MachineLearningServices"),
            (workspaces, "workspaces"),
        ];
        if !keywords.into_iter().all(|(written, keyword)| written.eq_ignore_ascii_case(keyword)) {
            return Err(format!("a workspace is written '{ID}'"));
        }
        Self::new(subscription, group, name)
    }

    /// The subscription's id: a GUID in lower case.
    pub fn subscription(&self) -> &str {
        &self.subscription
    }

    /// The resource group. It may hold letters of any script: a URL needs them percent-encoded.
    pub fn resource_group(&self) -> &str {
        &self.resource_group
    }

    /// The workspace's own name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subscription, resource_group, name } = self;
        write!(
            f,
            "/subscriptions/{subscription}/resourceGroups/{resource_group}/providers/\
             Microsoft.MachineLearningServices/workspaces/{name}"
        )
    }
}

fn is_resource_group(name: &str) -> bool {
    (1..=90).contains(&name.chars().count())
        && !name.ends_with('.')
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '(' | ')'))
}

/// The name of a workspace or connection. The documented limit of 33 characters is exceeded by real ones.
pub(super) fn is_resource(name: &str) -> bool {
    name.len() <= 255
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// In lower case, where that is one character; so what was valid stays valid.
fn lower(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

//! The audiences whose tokens open more than one application's data: vaults, the resource manager and the directory, in
//! every cloud. Whoever is given such a token can read every secret, or change who may.

use super::{Cloud, KNOWN, host_alone};

/// What a token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privileged {
    /// Every secret that the identity may read, past the list of who may see which.
    KeyVault,
    /// What the identity may do in its subscriptions.
    ResourceManager,
    /// The directory: users, groups, applications.
    Graph,
}

impl Privileged {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::KeyVault => "Azure Key Vault",
            Self::ResourceManager => "Azure Resource Manager",
            Self::Graph => "Microsoft Graph",
        }
    }
}

/// Names that are no cloud's own in [`KNOWN`]: of the service management API, whose tokens the resource manager takes as
/// well, of both graphs, and of the German cloud that was.
const HOSTS: [(&str, Privileged); 17] = [
    ("vault.microsoftazure.de", Privileged::KeyVault),
    ("managedhsm.microsoftazure.de", Privileged::KeyVault),
    ("management.core.windows.net", Privileged::ResourceManager),
    ("management.core.usgovcloudapi.net", Privileged::ResourceManager),
    ("management.core.chinacloudapi.cn", Privileged::ResourceManager),
    ("management.core.cloudapi.de", Privileged::ResourceManager),
    ("management.microsoftazure.de", Privileged::ResourceManager),
    ("graph.microsoft.com", Privileged::Graph),
    ("canary.graph.microsoft.com", Privileged::Graph),
    ("graph.microsoft.us", Privileged::Graph),
    ("dod-graph.microsoft.us", Privileged::Graph),
    ("microsoftgraph.chinacloudapi.cn", Privileged::Graph),
    ("graph.microsoft.de", Privileged::Graph),
    ("graph.windows.net", Privileged::Graph),
    ("graph.microsoftazure.us", Privileged::Graph),
    ("graph.chinacloudapi.cn", Privileged::Graph),
    ("graph.cloudapi.de", Privileged::Graph),
];

/// The same by the ids that these applications have in every tenant.
const IDS: [(&str, Privileged); 5] = [
    ("cfa8b339-82a2-471a-a3c9-0fc0be7a4093", Privileged::KeyVault),
    ("589d5083-6f11-4d30-a62a-a4b316a14abf", Privileged::KeyVault),
    ("797f4846-ba00-4fd7-ba43-dac1f8f63013", Privileged::ResourceManager),
    ("00000003-0000-0000-c000-000000000000", Privileged::Graph),
    // Azure AD Graph, which was before it.
    ("00000002-0000-0000-c000-000000000000", Privileged::Graph),
];

impl Cloud {
    /// What a token for the resource opens beyond one application's data, in this cloud or in one of Azure's.
    ///
    /// A host counts with every port, every path and every name below it: what a directory takes for the same resource
    /// is not for us to guess.
    pub fn privileged(&self, resource: &str) -> Option<Privileged> {
        let bare = resource.strip_prefix("api://").unwrap_or(resource);
        let id = bare.split('/').next().unwrap_or_default();
        if let Some((_, what)) = IDS.iter().find(|(known, _)| id.eq_ignore_ascii_case(known)) {
            return Some(*what);
        }
        let host = host_alone(resource).split('/').next().unwrap_or_default();
        let is = |theirs: &str| host == theirs || host.strip_suffix(theirs).is_some_and(|rest| rest.ends_with('.'));
        let own = [
            (Some(&self.vault_audience), Privileged::KeyVault),
            (self.resource_manager.as_ref(), Privileged::ResourceManager),
            (self.resource_manager_audience.as_ref(), Privileged::ResourceManager),
        ];
        // The audience of a cloud of one's own may be a domain above its hosts: what else is below it is not theirs.
        let own = own.into_iter().filter(|(url, _)| url.is_some_and(|url| host_alone(url) == host));
        let known = KNOWN.iter().flat_map(|known| {
            [
                (known.vault_suffix, Privileged::KeyVault),
                (known.hsm_suffix, Privileged::KeyVault),
                (known.resource_manager, Privileged::ResourceManager),
            ]
        });
        let vaults = [(self.vault_suffix.as_str(), Privileged::KeyVault)];
        let below = known.chain(HOSTS).chain(vaults).filter(|(theirs, _)| is(theirs));
        below.map(|(_, what)| what).chain(own.map(|(_, what)| what)).next()
    }
}

//! Azure's clouds: authority, vault suffix and audience of each (facts sheet §0), and the one place that makes a
//! [`VaultHost`], so that no token can be meant for another kind of host.

use crate::reference::VaultHost;

/// Where one cloud's services are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cloud {
    /// The Entra authority, `https://host[:port]`, without a trailing slash.
    pub authority: String,
    /// The DNS suffix of vaults, e.g. `vault.azure.net`.
    pub vault_suffix: String,
    /// The audience of vault tokens, `https://…`, without a trailing slash: with one the vault refuses the token (AKV10022).
    pub vault_audience: String,
    /// Whether the user defined it: then, and only then, vaults may have a port.
    pub custom: bool,
}

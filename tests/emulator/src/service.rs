//! The two services, which can be up or down apart.

use serde::{Deserialize, Serialize};

/// One of the two services the emulator plays, each with a listener of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// Entra's token endpoint.
    Entra,
    /// Key Vault.
    Vault,
}

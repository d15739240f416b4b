//! The services the emulator plays, which can be up or down apart.

use serde::{Deserialize, Serialize};

/// One of the services the emulator plays, each with a listener of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// Entra's token endpoint.
    Entra,
    /// Key Vault.
    Vault,
    /// The managed identity endpoint of a virtual machine or a node.
    Imds,
    /// The managed identity endpoint of App Service.
    AppService,
    /// The managed identity endpoint of Azure ML.
    AzureMl,
    /// The resource manager, with the connections of Azure ML's workspaces.
    ResourceManager,
    /// The token endpoint that AKS offers its pods in place of Entra's.
    TokenProxy,
    /// Azure OpenAI, which is called with tokens.
    #[serde(rename = "openai")]
    OpenAi,
}

impl Service {
    /// All of them, in the order of the listeners.
    pub const ALL: [Self; 8] = [
        Self::Entra,
        Self::Vault,
        Self::Imds,
        Self::AppService,
        Self::AzureMl,
        Self::ResourceManager,
        Self::TokenProxy,
        Self::OpenAi,
    ];

    /// Whether it speaks TLS; the managed identity endpoints are reached on the machine itself and do not.
    pub(crate) fn has_tls(self) -> bool {
        !self.is_managed_identity()
    }

    pub(crate) fn is_managed_identity(self) -> bool {
        matches!(self, Self::Imds | Self::AppService | Self::AzureMl)
    }
}

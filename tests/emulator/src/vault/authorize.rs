//! Whether a vault takes the token it is shown.

use super::refusal::VaultRefusal;
use crate::exchange::Arrived;
use crate::world::World;

/// Finds the client a good token stands for.
pub(crate) fn client(world: &World, arrived: &Arrived, vault: &str) -> Result<String, VaultRefusal> {
    let shown = arrived.bearer().ok_or(VaultRefusal::NoBearer)?;
    let token = world.access_tokens.with(|tokens| tokens.find(shown)).ok_or(VaultRefusal::UnknownToken)?;
    if token.revoked || world.clock.now() >= token.expires {
        return Err(VaultRefusal::TokenExpired);
    }
    let tenant = world.vaults.with(|vaults| vaults.find(vault).map(|vault| vault.tenant.clone())).unwrap_or_default();
    if !tenant.eq_ignore_ascii_case(&token.tenant) {
        return Err(VaultRefusal::InvalidIssuer { expected: tenant, found: token.tenant });
    }
    if token.audience != world.names.vault_audience {
        return Err(VaultRefusal::InvalidAudience { found: token.audience });
    }
    Ok(token.client)
}

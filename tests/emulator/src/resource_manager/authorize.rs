//! Whether the resource manager takes the token it is shown.

use hyper::header::AUTHORIZATION;

use super::refusal::ManagerRefusal;
use crate::DEFAULT_TENANT;
use crate::entra::bare;
use crate::exchange::Arrived;
use crate::world::World;

/// Finds the client a good token stands for.
pub(crate) fn client(world: &World, arrived: &Arrived) -> Result<String, ManagerRefusal> {
    if !arrived.has_header(AUTHORIZATION) {
        return Err(ManagerRefusal::NoBearer);
    }
    let shown = arrived.bearer().ok_or(ManagerRefusal::UnknownToken)?;
    let token = world.access_tokens.with(|tokens| tokens.find(shown)).ok_or(ManagerRefusal::UnknownToken)?;
    if token.revoked || world.clock.now() >= token.expires {
        return Err(ManagerRefusal::TokenExpired { expired: token.expires });
    }
    if !token.tenant.eq_ignore_ascii_case(DEFAULT_TENANT) {
        return Err(ManagerRefusal::InvalidIssuer { found: token.tenant });
    }
    if bare(&token.audience) != bare(&world.names.management_audience) {
        return Err(ManagerRefusal::InvalidAudience { found: token.audience });
    }
    Ok(token.client)
}

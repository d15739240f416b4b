//! The two documents some SDKs read before they ask for a token.

use hyper::StatusCode;
use serde_json::json;

use super::refusal::EntraRefusal;
use crate::answer::{self, Answer};
use crate::exchange::Arrived;
use crate::world::World;

/// A tenant's `OpenID` configuration.
pub(crate) fn openid(world: &World, arrived: &Arrived, tenant: &str) -> Answer {
    if !world.directory.with(|directory| directory.has_tenant(tenant)) {
        return EntraRefusal::unknown_tenant(tenant).answer(world, arrived);
    }
    let base = format!("{}{tenant}", world.authority());
    let document = json!({
        "token_endpoint": format!("{base}/oauth2/v2.0/token"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": format!("{base}/discovery/v2.0/keys"),
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": format!("{base}/v2.0"),
        "request_uri_parameter_supported": false,
        "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
        "device_authorization_endpoint": format!("{base}/oauth2/v2.0/devicecode"),
        "tenant_region_scope": null,
        "cloud_instance_name": world.authority_host(),
    });
    answer::json(StatusCode::OK, &document)
}

/// Which authority hosts are one and the same: here there is only one.
pub(crate) fn instance(world: &World, arrived: &Arrived) -> Answer {
    let asked = form_urlencoded::parse(arrived.query.as_bytes())
        .find(|(name, _)| name == "authorization_endpoint")
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default();
    let tenant = asked.split('/').nth(3).unwrap_or("common");
    let host = world.authority_host();
    let document = json!({
        "tenant_discovery_endpoint": format!("{}{tenant}/v2.0/.well-known/openid-configuration", world.authority()),
        "api-version": "1.1",
        "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
    });
    answer::json(StatusCode::OK, &document)
}

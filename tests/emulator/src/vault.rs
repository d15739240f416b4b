//! Key Vault: which paths it answers, in which order it checks, and the headers of all its answers.

mod authorize;
mod certificate;
mod collection;
mod conversion;
mod key;
mod leaf;
mod listing;
mod object;
mod permission;
mod reading;
mod refusal;
mod route;
mod secret;
mod shape;
mod shelf;
mod store;

use hyper::{Method, StatusCode};

pub use certificate::{CertificateSpec, Stored};
pub use collection::Collection;
pub use conversion::Conversion;
pub use key::{Jwk, KeySpec};
pub use permission::{Permission, Refusal};
pub use secret::SecretSpec;

pub(crate) use permission::{Rule, Rules};
pub(crate) use refusal::VaultRefusal;
pub(crate) use route::Route;
pub(crate) use store::{Vault, Vaults};

use self::reading::Wanted;
use crate::answer::{self, Answer};
use crate::exchange::Arrived;
use crate::world::World;

/// Gives the honest answer to a request.
pub(crate) fn answer(world: &World, arrived: &Arrived) -> Answer {
    let known = arrived.vault.as_deref().is_some_and(|name| world.vaults.with(|vaults| vaults.find(name).is_some()));
    let route = Route::of(&arrived.path);
    if !known {
        return answer::html(StatusCode::BAD_REQUEST);
    }
    if route == Route::Unknown {
        return answer::html(StatusCode::NOT_FOUND);
    }
    match considered(world, arrived, &route) {
        Ok(mut answer) => {
            dress(world, arrived, true, &mut answer);
            answer
        }
        Err(refusal) => refuse(world, arrived, &refusal),
    }
}

/// Gives a refusal the vault's shape and headers.
pub(crate) fn refuse(world: &World, arrived: &Arrived, refusal: &VaultRefusal) -> Answer {
    let mut answer = refusal.answer(world, arrived);
    dress(world, arrived, refusal.comes_after_authorization(), &mut answer);
    answer
}

/// Who is asking comes first, then how, then whether he may, then whether there is anything.
fn considered(world: &World, arrived: &Arrived, route: &Route<'_>) -> Result<Answer, VaultRefusal> {
    let vault = arrived.vault.as_deref().unwrap_or_default();
    let client = authorize::client(world, arrived, vault)?;
    let Some(version) = arrived.parameter("api-version").filter(|version| !version.is_empty()) else {
        return Err(VaultRefusal::bad_parameter("api-version must be specified"));
    };
    world.settings.conversion.admit(&version)?;
    if arrived.method != Method::GET {
        return Err(VaultRefusal::MethodNotAllowed);
    }
    if let Some(name) = route.name()
        && !object::is_name(name)
    {
        return Err(VaultRefusal::bad_parameter(&format!("The request URI contains an invalid name: {name}")));
    }
    let allowed = |permission, object| world.rules.with(|rules| rules.check(&client, vault, permission, object));
    match *route {
        Route::List { collection } => {
            allowed(Permission::list(collection), None)?;
            listing::list(world, arrived, vault, collection, None, &version)
        }
        Route::ListVersions { collection, name } => {
            allowed(Permission::list(collection), Some(name))?;
            listing::list(world, arrived, vault, collection, Some(name), &version)
        }
        Route::Get { collection, name, version: wanted } => {
            allowed(Permission::get(collection), Some(name))?;
            let wanted = Wanted { collection, name, version: wanted };
            let body = reading::get(world, arrived, vault, wanted, &version)?;
            Ok(answer::json(StatusCode::OK, &body))
        }
        Route::Unknown => Err(VaultRefusal::Failed(StatusCode::NOT_FOUND)),
    }
}

fn dress(world: &World, arrived: &Arrived, authorized: bool, answer: &mut Answer) {
    let headers = [
        ("Cache-Control", "no-cache"),
        ("Pragma", "no-cache"),
        ("Expires", "-1"),
        ("x-ms-keyvault-region", "westeurope"),
        ("x-ms-request-id", &arrived.trace),
        ("x-ms-keyvault-service-version", "1.9.3347.1"),
        ("x-ms-keyvault-network-info", "conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=InterNetwork;"),
        ("X-Content-Type-Options", "nosniff"),
        ("Strict-Transport-Security", "max-age=31536000;includeSubDomains"),
    ];
    for (name, value) in headers {
        answer::set(answer, name, value);
    }
    if let Some(id) = arrived.header("x-ms-client-request-id") {
        answer::set(answer, "x-ms-client-request-id", id);
    }
    if authorized {
        answer::set(answer, "x-ms-keyvault-rbac-assignment-id", "0123456789abcdef0123456789abcdef");
    }
    answer::set(answer, "Date", &world.date());
}

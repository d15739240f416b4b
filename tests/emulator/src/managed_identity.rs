//! Managed identities: who is assigned, and the three endpoints that hand out their tokens.

mod app_service;
mod azure_ml;
mod identities;
mod imds;

use hyper::StatusCode;

pub use identities::{DEFAULT_SYSTEM_IDENTITY, DEFAULT_SYSTEM_OBJECT, ManagedIdentity};

pub(crate) use identities::Identities;

use identities::{SelectedBy, Selector};

use crate::Service;
use crate::answer::{self, Answer};
use crate::exchange::Arrived;
use crate::world::World;

/// Path of a service's token endpoint.
pub(crate) fn path(service: Service) -> &'static str {
    match service {
        Service::AppService => "/msi/token",
        Service::AzureMl => "/MSI/auth",
        _ => "/metadata/identity/oauth2/token",
    }
}

/// Whether a path is the service's token endpoint; a slash at its end does not matter.
pub(crate) fn is_endpoint(service: Service, asked: &str) -> bool {
    asked.strip_suffix('/').unwrap_or(asked).eq_ignore_ascii_case(path(service))
}

/// Gives the honest answer to a request.
pub(crate) fn answer(world: &World, arrived: &Arrived) -> Answer {
    if !is_endpoint(arrived.service, &arrived.path) {
        return answer::html(StatusCode::NOT_FOUND);
    }
    let mut answer = match arrived.service {
        Service::AppService => app_service::answer(world, arrived),
        Service::AzureMl => azure_ml::answer(world, arrived),
        _ => imds::answer(world, arrived),
    };
    answer::set(&mut answer, "Date", &world.date());
    answer
}

/// The endpoint's own way to say that it failed.
pub(crate) fn failed(world: &World, arrived: &Arrived, status: StatusCode) -> Answer {
    let mut answer = match arrived.service {
        Service::AppService => app_service::failed(arrived, status),
        Service::AzureMl => azure_ml::failed(status),
        _ => imds::failed(status),
    };
    answer::set(&mut answer, "Date", &world.date());
    answer
}

/// A token that was issued, and what the endpoints tell about it.
#[derive(Debug)]
struct Issued {
    token: String,
    client_id: String,
    resource: String,
    not_before: i64,
    expires_in: i64,
}

impl Issued {
    fn expires_on(&self) -> i64 {
        self.not_before + self.expires_in
    }
}

/// Issues an identity's token for a resource.
fn issue(world: &World, arrived: &Arrived, identity: ManagedIdentity, resource: String) -> Issued {
    let (now, lifetime) = (world.clock.now(), world.token_lifetime(&resource));
    let (token, number) = world
        .access_tokens
        .with(|tokens| tokens.issue(&identity.tenant, &identity.client_id, &resource, now, lifetime));
    world.log.amend(arrived.number, |entry| {
        entry.token = Some(number);
        entry.client_id = Some(identity.client_id.clone());
    });
    Issued { token, client_id: identity.client_id, resource, not_before: now, expires_in: lifetime }
}

/// The identity that the query asks for, by those parameters that the endpoint knows; others it does not see.
fn selected(arrived: &Arrived, parameters: &[(&str, SelectedBy)]) -> Option<Selector> {
    parameters.iter().find_map(|(name, by)| {
        let value = parameter(arrived, name)?;
        Some(Selector { by: *by, value })
    })
}

/// A parameter of the query, unless it is missing or empty.
fn parameter(arrived: &Arrived, name: &str) -> Option<String> {
    arrived.parameter(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_endpoint_has_its_own_path() {
        assert!(is_endpoint(Service::Imds, "/metadata/identity/oauth2/token"));
        assert!(is_endpoint(Service::AzureMl, "/msi/auth/"));
        assert!(!is_endpoint(Service::AppService, "/metadata/identity/oauth2/token"));
    }
}

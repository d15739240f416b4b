//! The endpoint of virtual machines and nodes: everything in its answers is text.

use hyper::{Method, StatusCode};
use serde_json::json;

use super::{Issued, ManagedIdentity, SelectedBy, issue, parameter, selected};
use crate::answer::{self, Answer};
use crate::exchange::Arrived;
use crate::world::World;

const SELECTORS: &[(&str, SelectedBy)] =
    &[("client_id", SelectedBy::Client), ("object_id", SelectedBy::Object), ("msi_res_id", SelectedBy::Resource)];

#[derive(Debug)]
struct Refused {
    status: StatusCode,
    error: &'static str,
    description: String,
}

impl Refused {
    fn bad_request(description: &str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: "invalid_request", description: description.to_owned() }
    }
}

pub(super) fn answer(world: &World, arrived: &Arrived) -> Answer {
    match considered(world, arrived) {
        Ok(issued) => dressed(answer::json(
            StatusCode::OK,
            &json!({
                "access_token": issued.token,
                "client_id": issued.client_id,
                "expires_in": issued.expires_in.to_string(),
                "expires_on": issued.expires_on().to_string(),
                "ext_expires_in": issued.expires_in.to_string(),
                "not_before": issued.not_before.to_string(),
                "resource": issued.resource,
                "token_type": "Bearer",
            }),
        )),
        Err(refused) => refusal(&refused),
    }
}

pub(super) fn failed(status: StatusCode) -> Answer {
    let (error, description) = match status.as_u16() {
        404 => ("not_found", "IMDS endpoint is updating"),
        410 => ("gone", "IMDS is going through updates"),
        429 => ("too_many_requests", "Too many requests"),
        _ => ("unknown", "Failed to retrieve token from the Active directory."),
    };
    refusal(&Refused { status, error, description: description.to_owned() })
}

fn considered(world: &World, arrived: &Arrived) -> Result<Issued, Refused> {
    if arrived.method != Method::GET {
        let description = "Only GET is supported".to_owned();
        return Err(Refused { status: StatusCode::METHOD_NOT_ALLOWED, error: "method_not_allowed", description });
    }
    if arrived.header("metadata") != Some("true") {
        return Err(Refused::bad_request("Required metadata header not specified"));
    }
    let missing = |name: &str| Refused::bad_request(&format!("Required query variable '{name}' is missing"));
    parameter(arrived, "api-version").ok_or_else(|| missing("api-version"))?;
    let resource = parameter(arrived, "resource").ok_or_else(|| missing("resource"))?;
    let identity = identity(world, arrived)?;
    if !world.knows_audience(&resource) {
        let description = format!(
            "AADSTS500011: The resource principal named {resource} was not found in the tenant named {}.",
            identity.tenant
        );
        return Err(Refused { status: StatusCode::BAD_REQUEST, error: "invalid_resource", description });
    }
    Ok(issue(world, arrived, identity, resource))
}

/// The one named, else the system-assigned one, else the only other one.
fn identity(world: &World, arrived: &Arrived) -> Result<ManagedIdentity, Refused> {
    world.identities.with(|identities| {
        let found = match selected(arrived, SELECTORS) {
            Some(selector) => identities.find(&selector),
            None if identities.system_assigned.is_some() => identities.system_assigned.clone(),
            None if identities.has_several() => {
                return Err(Refused::bad_request(
                    "Multiple user assigned identities exist, please specify the clientId / resourceId of the \
                     identity in the token request",
                ));
            }
            None => identities.only_user_assigned(),
        };
        found.ok_or_else(|| Refused::bad_request("Identity not found"))
    })
}

fn refusal(refused: &Refused) -> Answer {
    let body = json!({"error": refused.error, "error_description": refused.description});
    dressed(answer::json(refused.status, &body))
}

fn dressed(mut answer: Answer) -> Answer {
    answer::set(&mut answer, "Server", "IMDS/150.870.65.1854");
    answer
}

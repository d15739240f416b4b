//! The endpoint of App Service: without a selector it means the system-assigned identity.

use hyper::{Method, StatusCode};
use serde_json::json;

use super::{Issued, SelectedBy, issue, parameter, selected};
use crate::answer::{self, Answer};
use crate::exchange::Arrived;
use crate::world::World;

const VERSION: &str = "2019-08-01";
const SELECTORS: &[(&str, SelectedBy)] = &[
    ("client_id", SelectedBy::Client),
    ("principal_id", SelectedBy::Object),
    ("object_id", SelectedBy::Object),
    ("mi_res_id", SelectedBy::Resource),
];

pub(super) fn answer(world: &World, arrived: &Arrived) -> Answer {
    match considered(world, arrived) {
        Ok(issued) => dressed(
            arrived,
            answer::json(
                StatusCode::OK,
                &json!({
                    "access_token": issued.token,
                    "expires_on": world.settings.expires_on.write(issued.expires_on()),
                    "resource": issued.resource,
                    "token_type": "Bearer",
                    "client_id": issued.client_id,
                }),
            ),
        ),
        Err((status, message)) => refusal(arrived, status, message),
    }
}

pub(super) fn failed(arrived: &Arrived, status: StatusCode) -> Answer {
    refusal(arrived, status, "An unexpected error occured while fetching the AAD Token.")
}

fn considered(world: &World, arrived: &Arrived) -> Result<Issued, (StatusCode, &'static str)> {
    if arrived.method != Method::GET {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "Only GET is supported."));
    }
    if arrived.header("x-identity-header") != Some(&world.identity_header) {
        return Err((StatusCode::UNAUTHORIZED, "The identity header is missing or invalid."));
    }
    if parameter(arrived, "api-version").as_deref() != Some(VERSION) {
        return Err((StatusCode::BAD_REQUEST, "The api-version is missing or not supported."));
    }
    let resource = parameter(arrived, "resource").ok_or((StatusCode::BAD_REQUEST, "The resource is missing."))?;
    let identity = world.identities.with(|identities| match selected(arrived, SELECTORS) {
        Some(selector) => identities.find(&selector),
        None => identities.system_assigned.clone(),
    });
    let identity = identity.ok_or((StatusCode::BAD_REQUEST, "Unable to load the proper Managed Identity."))?;
    if !world.knows_audience(&resource) {
        return Err((StatusCode::BAD_REQUEST, "AADSTS500011: The resource principal was not found in the tenant."));
    }
    Ok(issue(world, arrived, identity, resource))
}

fn refusal(arrived: &Arrived, status: StatusCode, message: &str) -> Answer {
    let body = json!({"statusCode": status.as_u16(), "message": message, "correlationId": arrived.correlation});
    dressed(arrived, answer::json(status, &body))
}

fn dressed(arrived: &Arrived, mut answer: Answer) -> Answer {
    answer::set(&mut answer, "Server", "Kestrel");
    answer::set(&mut answer, "X-CORRELATION-ID", &arrived.correlation);
    answer
}

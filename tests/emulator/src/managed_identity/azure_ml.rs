//! The endpoint of Azure ML: durations are numbers, and the case of the resource matters.

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Issued, SelectedBy, issue, parameter, selected};
use crate::answer::{self, Answer};
use crate::exchange::Arrived;
use crate::world::World;

const VERSION: &str = "2017-09-01";

#[derive(Debug)]
enum Refused {
    Secret,
    BadRequest(&'static str),
}

pub(super) fn answer(world: &World, arrived: &Arrived) -> Answer {
    match considered(world, arrived) {
        Ok(issued) => json(
            StatusCode::OK,
            &json!({
                "access_token": issued.token,
                "expires_in": issued.expires_in,
                "expires_on": issued.expires_on(),
                "resource": issued.resource,
                "token_type": "Bearer",
            }),
        ),
        Err(Refused::Secret) => answer::text(StatusCode::UNAUTHORIZED, "Invalid secret token header: ."),
        Err(Refused::BadRequest(message)) => {
            json(StatusCode::BAD_REQUEST, &json!({"error": "invalid_request", "error_description": message}))
        }
    }
}

pub(super) fn failed(status: StatusCode) -> Answer {
    answer::text(status, "SSO failure: unable to retrieve a token.")
}

fn considered(world: &World, arrived: &Arrived) -> Result<Issued, Refused> {
    if arrived.method != Method::GET {
        return Err(Refused::BadRequest("Only GET is supported"));
    }
    if arrived.header("secret") != Some(&world.msi_secret) {
        return Err(Refused::Secret);
    }
    // Samples work without a version, so its absence is no error.
    if parameter(arrived, "api-version").is_some_and(|version| version != VERSION) {
        return Err(Refused::BadRequest("api-version is not supported"));
    }
    let resource = parameter(arrived, "resource").ok_or(Refused::BadRequest("resource is missing"))?;
    let selector = selected(arrived, &[("clientid", SelectedBy::Client)]);
    if selector.is_none() && world.settings.azure_ml_needs_client_id {
        return Err(Refused::BadRequest("clientid is missing"));
    }
    let identity = world.identities.with(|identities| match selector {
        Some(selector) => identities.find(&selector),
        None => identities.system_assigned.clone().or_else(|| identities.only_user_assigned()),
    });
    let identity = identity.ok_or(Refused::BadRequest("Identity not found"))?;
    if !world.knows_audience(&resource) || resource.contains(|letter: char| letter.is_ascii_uppercase()) {
        return Err(Refused::BadRequest("AADSTS500011: The resource principal was not found in the tenant."));
    }
    Ok(issue(world, arrived, identity, resource))
}

/// Unlike the others it names no charset.
fn json(status: StatusCode, body: &Value) -> Answer {
    let mut answer = answer::json(status, body);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

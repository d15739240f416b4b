//! What a fault does to a request.

use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use serde_json::{Map, Value};

use crate::Service;
use crate::answer::{self, Answer, Body};
use crate::connection::Connection;
use crate::entra::{self, EntraRefusal};
use crate::exchange::{Arrived, honest};
use crate::fault::{Misbehaviour, Strike};
use crate::managed_identity;
use crate::openai;
use crate::resource_manager::{self, ManagerRefusal};
use crate::vault::{self, VaultRefusal};
use crate::world::World;

/// Answers as the fault says, or not at all.
pub(crate) async fn misbehave(
    world: &World,
    connection: &Arc<Connection>,
    arrived: &Arrived,
    strike: Strike,
) -> Answer {
    match strike.misbehaviour {
        Misbehaviour::Throttle { retry_after } => {
            let mut answer = failed(world, arrived, StatusCode::TOO_MANY_REQUESTS);
            if let Some(text) = retry_after {
                answer::set(&mut answer, "Retry-After", &text);
            }
            answer
        }
        Misbehaviour::Status { status } => failed(world, arrived, code(status)),
        Misbehaviour::HtmlBadGateway => answer::html(StatusCode::BAD_GATEWAY),
        Misbehaviour::Intercepted => {
            answer::text(StatusCode::INTERNAL_SERVER_ERROR, "failed to get the identity of the pod, retry later\n")
        }
        Misbehaviour::Slow { delay } => {
            tokio::time::sleep(delay).await;
            honest(world, arrived)
        }
        Misbehaviour::Hold => {
            strike.cleared.cancelled().await;
            honest(world, arrived)
        }
        Misbehaviour::NeverAnswer | Misbehaviour::NoTls => std::future::pending().await,
        Misbehaviour::CutBody => answer::cut(honest(world, arrived), connection),
        Misbehaviour::StalledBody => answer::stalled(honest(world, arrived)),
        Misbehaviour::Reset => {
            connection.reset();
            std::future::pending().await
        }
        Misbehaviour::Redirect { to } => {
            let mut answer = answer::bare(StatusCode::FOUND, Body::default());
            answer::set(&mut answer, "Location", &to);
            answer
        }
        Misbehaviour::Raw { status, headers, body } => {
            let mut answer = answer::bare(code(status), Body::whole(body));
            for (name, value) in headers {
                answer::set(&mut answer, &name, &value);
            }
            answer
        }
        Misbehaviour::Member { at, value } => edited(honest(world, arrived), &at, value),
        Misbehaviour::HugeBody { bytes } => {
            let mut answer = answer::bare(StatusCode::OK, Body::of_size(bytes));
            answer::set(&mut answer, CONTENT_TYPE.as_str(), "application/json; charset=utf-8");
            answer
        }
        Misbehaviour::SigningKeyUnresolved => vault::refuse(world, arrived, &VaultRefusal::SigningKeyUnresolved),
        Misbehaviour::Forbidden { refusal } => vault::refuse(world, arrived, &VaultRefusal::Forbidden(refusal)),
        Misbehaviour::EntraError { status, error, code: number, message } => {
            entra_error(world, arrived, &EntraRefusal { status: code(status), error, code: number, message })
        }
    }
}

/// A status as given; a number that HTTP does not know becomes 500.
fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The service's own way to say that it failed.
fn failed(world: &World, arrived: &Arrived, status: StatusCode) -> Answer {
    match (arrived.service, status) {
        (Service::Entra | Service::TokenProxy, StatusCode::TOO_MANY_REQUESTS) => {
            entra_error(world, arrived, &EntraRefusal::throttled())
        }
        (Service::Entra | Service::TokenProxy, _) => entra_error(world, arrived, &EntraRefusal::unavailable(status)),
        (Service::Vault, _) => vault::refuse(world, arrived, &VaultRefusal::Failed(status)),
        (Service::ResourceManager, _) => resource_manager::refuse(world, arrived, &ManagerRefusal::Failed(status)),
        (Service::OpenAi, _) => openai::failed(world, status),
        (Service::Imds | Service::AppService | Service::AzureMl, _) => managed_identity::failed(world, arrived, status),
    }
}

fn entra_error(world: &World, arrived: &Arrived, refusal: &EntraRefusal) -> Answer {
    let mut answer = refusal.answer(world, arrived);
    entra::dress(world, arrived, &mut answer);
    answer
}

/// Puts another value at a JSON pointer; an answer that is not JSON stays as it is.
fn edited(answer: Answer, at: &str, value: Value) -> Answer {
    let (parts, body) = answer.into_parts();
    let bytes = body.bytes();
    let changed = serde_json::from_slice::<Value>(&bytes).ok().map(|mut document| {
        put(&mut document, at, value);
        document.to_string().into()
    });
    Answer::from_parts(parts, Body::whole(changed.unwrap_or_else(|| Bytes::from(bytes))))
}

fn put(document: &mut Value, at: &str, value: Value) {
    let mut place = document;
    for key in at.split('/').skip(1) {
        place = match place {
            Value::Array(items) => match key.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
                Some(item) => item,
                None => return,
            },
            Value::Object(members) => members.entry(key).or_insert(Value::Null),
            other => {
                *other = Value::Object(Map::new());
                &mut other[key]
            }
        };
    }
    *place = value;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_member_is_replaced_or_added() {
        let mut document = json!({"attributes": {"exp": 1}, "value": [{"id": "a"}]});
        put(&mut document, "/attributes/exp", json!(-1));
        put(&mut document, "/value/0/id", json!("b"));
        put(&mut document, "/tags/k", json!("v"));
        put(&mut document, "/value/7/id", json!("nowhere"));
        assert_eq!(document, json!({"attributes": {"exp": -1}, "value": [{"id": "b"}], "tags": {"k": "v"}}));
    }
}

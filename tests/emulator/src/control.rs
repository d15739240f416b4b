//! The control port: plain HTTP with JSON, so that a person can drive the emulator with curl.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::answer::{self, Answer};
use crate::emulator::Stage;
use crate::{Assertion, Error, Fault, SecretSpec, Service};

/// What a request of the control port could not be given.
type Refused = (StatusCode, String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhichService {
    service: Service,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Skew {
    skew: i64,
}

/// Serves the control port and tells where it listens.
pub(crate) fn serve(socket: TcpListener, runtime: &Handle, stage: &Arc<Stage>) -> Result<SocketAddr, Error> {
    let address = socket.local_addr()?;
    socket.set_nonblocking(true)?;
    let _inside = runtime.enter();
    let socket = tokio::net::TcpListener::from_std(socket)?;
    let stage = stage.clone();
    runtime.spawn(async move {
        while let Ok((tcp, _)) = socket.accept().await {
            let stage = stage.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(stage.clone(), request));
                // A client that breaks off has nobody to be told.
                http1::Builder::new().serve_connection(TokioIo::new(tcp), service).await.unwrap_or_default();
            });
        }
    });
    Ok(address)
}

async fn answer(stage: Arc<Stage>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    // Stopping a listener waits for its connections, which no worker of the runtime may do.
    let outcome = tokio::task::spawn_blocking(move || obey(&stage, &head.method, head.uri.path(), &body)).await;
    let outcome = outcome.unwrap_or_else(|failed| Err((StatusCode::INTERNAL_SERVER_ERROR, failed.to_string())));
    Ok(match outcome {
        Ok(body) => answer::json(StatusCode::OK, &body),
        Err((status, message)) => answer::json(status, &json!({"error": message})),
    })
}

fn obey(stage: &Stage, method: &Method, path: &str, body: &Bytes) -> Result<Value, Refused> {
    let world = &stage.world;
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (method.as_str(), parts.as_slice()) {
        ("GET", ["requests"]) => Ok(json!(world.log.entries())),
        ("DELETE", ["requests"]) => {
            world.log.clear();
            Ok(json!({}))
        }
        ("GET", ["counters"]) => Ok(json!(stage.counters())),
        ("PUT", ["vaults", vault, "secrets", name]) => {
            let value = std::str::from_utf8(body).map_err(|wrong| (StatusCode::BAD_REQUEST, wrong.to_string()))?;
            Ok(json!({"version": world.put_secret(vault, SecretSpec::new(name, value))}))
        }
        ("POST", ["vaults", vault, "secrets"]) => {
            Ok(json!({"version": world.put_secret(vault, read::<SecretSpec>(body)?)}))
        }
        ("DELETE", ["vaults", vault, "secrets", name]) => {
            let deleted = world.vaults.with(|vaults| vaults.find_mut(vault).is_some_and(|vault| vault.delete(name)));
            Ok(json!({"deleted": deleted}))
        }
        ("POST", ["faults"]) => {
            let fault = read::<Fault>(body)?;
            Ok(json!({"id": world.faults.with(|faults| faults.install(fault))}))
        }
        ("DELETE", ["faults"]) => {
            world.faults.with(crate::fault::Faults::clear_all);
            Ok(json!({}))
        }
        ("POST", ["stop"]) => told(stage.stop(read::<WhichService>(body)?.service)),
        ("POST", ["start"]) => told(stage.start(read::<WhichService>(body)?.service)),
        ("POST", ["clock"]) => {
            world.clock.set_skew(read::<Skew>(body)?.skew);
            Ok(json!({"date": world.date()}))
        }
        ("POST", ["tokens", "federated"]) => {
            let assertion = if body.is_empty() { Assertion::default() } else { read(body)? };
            let token = world.cluster.mint(&assertion).map_err(internal)?;
            Ok(json!({"token": token}))
        }
        ("POST", ["tokens", "revoke"]) => {
            world.access_tokens.with(crate::entra::AccessTokens::revoke_all);
            Ok(json!({}))
        }
        _ => Err((StatusCode::NOT_FOUND, format!("no such thing to do: {method} {path}"))),
    }
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|wrong| (StatusCode::BAD_REQUEST, wrong.to_string()))
}

fn told(outcome: Result<(), Error>) -> Result<Value, Refused> {
    outcome.map(|()| json!({})).map_err(internal)
}

#[expect(clippy::needless_pass_by_value, reason = "it is the shape map_err wants")]
fn internal(error: Error) -> Refused {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

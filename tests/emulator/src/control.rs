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
use crate::world::World;
use crate::{
    Assertion, CertificateSpec, Collection, ConnectionSpec, DEFAULT_TENANT, Error, Fault, KeySpec, ManagedIdentity,
    SecretSpec, Service, Workspace, environment,
};

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lifetime {
    /// None is every audience that has no lifetime of its own.
    audience: Option<String>,
    seconds: i64,
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
        (_, ["vaults", vault, rest @ ..]) => furnish(world, method, path, vault, rest, body),
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
        (_, parts) => obey_further(world, method.as_str(), parts, body).unwrap_or_else(|| Err(unknown(method, path))),
    }
}

/// Puts something into a vault, or deletes it.
fn furnish(
    world: &World,
    method: &Method,
    path: &str,
    vault: &str,
    rest: &[&str],
    body: &Bytes,
) -> Result<Value, Refused> {
    let put = |spec: SecretSpec| world.in_vault(vault, |vault, now| vault.secrets.put(spec, now));
    let version = match (method.as_str(), rest) {
        ("PUT", ["secrets", name]) => put(SecretSpec::new(name, text(body)?)),
        ("POST", ["secrets"]) => put(read(body)?),
        ("PUT", ["certificates", name]) => {
            let spec = certificate(name, body)?;
            world.in_vault(vault, |vault, now| vault.put_certificate(&spec, now))
        }
        ("PUT", ["keys", name]) => {
            let spec = KeySpec { name: (*name).to_owned(), ..read(body)? };
            world.in_vault(vault, |vault, now| vault.keys.put(spec, now))
        }
        ("DELETE", [collection, name]) => {
            let collection = Collection::of(collection).ok_or_else(|| unknown(method, path))?;
            let deleted = world.in_known_vault(vault, |vault, _| match collection {
                Collection::Secrets => vault.secrets.delete(name),
                Collection::Certificates => vault.delete_certificate(name),
                Collection::Keys => vault.keys.delete(name),
            });
            return Ok(json!({"deleted": deleted}));
        }
        _ => return Err(unknown(method, path)),
    };
    Ok(json!({"version": version}))
}

fn certificate(name: &str, body: &Bytes) -> Result<CertificateSpec, Refused> {
    let spec = CertificateSpec { name: name.to_owned(), ..read(body)? };
    let no_leaf =
        || (StatusCode::BAD_REQUEST, "there is no leaf: give leaf_der, or a certificate in the PEM".to_owned());
    spec.completed().ok_or_else(no_leaf)
}

fn unknown(method: &Method, path: &str) -> Refused {
    (StatusCode::NOT_FOUND, format!("no such thing to do: {method} {path}"))
}

/// Obeys what is about connections and identities, if it is.
fn obey_further(world: &World, method: &str, parts: &[&str], body: &Bytes) -> Option<Result<Value, Refused>> {
    Some(match (method, parts) {
        ("PUT", ["workspaces", workspace, "connections", name]) => text(body).map(|key| {
            world.put_connection(&Workspace::from(*workspace), ConnectionSpec::api_key(name, key));
            json!({})
        }),
        ("POST", ["workspaces", workspace, "connections"]) => read::<ConnectionSpec>(body).map(|spec| {
            world.put_connection(&Workspace::from(*workspace), spec);
            json!({})
        }),
        ("DELETE", ["workspaces", workspace, "connections", name]) => {
            let workspace = Workspace::from(*workspace);
            let deleted = world
                .workspaces
                .with(|workspaces| workspaces.find_mut(&workspace).is_some_and(|workspace| workspace.delete(name)));
            Ok(json!({"deleted": deleted}))
        }
        ("GET", ["environments"]) => Ok(json!({
            "imds": environment::imds(world),
            "app_service": environment::app_service(world),
            "azure_ml": environment::azure_ml(world),
            "token_proxy": environment::token_proxy_with_ca(world),
        })),
        ("PUT", ["identities", name]) => {
            let identity = ManagedIdentity::user_assigned(name);
            world.trust(&identity.client_id);
            world.identities.with(|identities| identities.add(identity.clone()));
            Ok(json!(identity))
        }
        ("PUT", ["clients", client, "secret"]) => text(body).map(|secret| {
            world.directory.with(|directory| directory.add_secret(DEFAULT_TENANT, client, secret));
            json!({})
        }),
        ("POST", ["clients", client, "certificate"]) => {
            world.make_certificate(DEFAULT_TENANT, client).map(|pem| json!({"pem": pem})).map_err(internal)
        }
        ("PUT", ["clients", client, "trust"]) => {
            world.trust(client);
            Ok(json!({}))
        }
        ("POST", ["tokens", "lifetime"]) => read::<Lifetime>(body).map(|lifetime| {
            match lifetime.audience {
                Some(audience) => world.set_token_lifetime_for(&audience, lifetime.seconds),
                None => world.set_token_lifetime(lifetime.seconds),
            }
            json!({})
        }),
        ("POST", ["token-proxy", "ca"]) => {
            world.renew_token_proxy_ca().map(|pem| json!({"pem": pem})).map_err(internal)
        }
        _ => return None,
    })
}

fn text(body: &Bytes) -> Result<&str, Refused> {
    std::str::from_utf8(body).map_err(|wrong| (StatusCode::BAD_REQUEST, wrong.to_string()))
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

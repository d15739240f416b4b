//! One request from its arrival to its answer: taken down, delayed, hit by a fault or answered honestly.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{ACCEPT_ENCODING, AUTHORIZATION, HOST, HeaderName, USER_AGENT};
use hyper::{HeaderMap, Method, Request, StatusCode, Version};

use crate::answer::{self, Answer};
use crate::connection::Connection;
use crate::entra::{self, Endpoint, TokenRequest};
use crate::fault::{Hit, HitRequest};
use crate::log::Logged;
use crate::managed_identity;
use crate::misbehave::misbehave;
use crate::openai;
use crate::resource_manager;
use crate::vault::{self, Route};
use crate::world::World;
use crate::{Names, Operation, Service, random};

/// A request that was read in full.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// Number in the log.
    pub(crate) number: u64,
    pub(crate) service: Service,
    /// The vault that the host names, known or not.
    pub(crate) vault: Option<String>,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The service's own id of the request.
    pub(crate) trace: String,
    /// The correlation id, for a client that sends none.
    pub(crate) correlation: String,
}

impl Arrived {
    /// A header that is plain text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn has_header(&self, name: HeaderName) -> bool {
        self.headers.contains_key(name)
    }

    /// Whether the client takes gzip.
    fn offers_gzip(&self) -> bool {
        let takes = |coding: &str| coding.split(';').next().is_some_and(|name| name.trim() == "gzip");
        self.header(ACCEPT_ENCODING.as_str()).is_some_and(|offered| offered.split(',').any(takes))
    }

    /// The bearer token, if one was sent.
    pub(crate) fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.header(AUTHORIZATION.as_str())?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token)
    }

    /// The parameters of the query, decoded.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.into_owned())
    }

    fn operation(&self) -> Operation {
        match self.service {
            service if matches!(Endpoint::at(service, &self.path), Endpoint::Token { .. }) => Operation::Token,
            service if service.is_managed_identity() && managed_identity::is_endpoint(service, &self.path) => {
                Operation::Token
            }
            Service::Vault => Route::of(&self.path).operation(),
            Service::ResourceManager => {
                resource_manager::Route::of(&self.path).map_or(Operation::Other, |route| route.operation())
            }
            _ => Operation::Other,
        }
    }

    /// What a front end rejects before the service sees it.
    fn is_malformed(&self) -> bool {
        let readable = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~$()".contains(&byte);
        !self.path.bytes().all(readable) || self.headers.values().any(|value| value.to_str().is_err())
    }

    async fn read(names: &Names, connection: &Connection, request: Request<Incoming>) -> Self {
        let (head, body) = request.into_parts();
        // A body that breaks off is as good as an empty one: the client is gone.
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let host = head.uri.host().map(str::to_owned).or_else(|| {
            let host = head.headers.get(HOST)?.to_str().ok()?;
            Some(host.split(':').next().unwrap_or_default().to_owned())
        });
        Self {
            number: 0,
            service: connection.service,
            vault: host.as_deref().and_then(|host| names.vault_in(host)),
            method: head.method,
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers,
            body,
            trace: random::guid(),
            correlation: random::guid(),
        }
    }
}

/// Answers one request; whatever happens to it is in the log.
pub(crate) async fn exchange(
    world: Arc<World>,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let _in_flight = world.log.enter();
    let http = if request.version() == Version::HTTP_2 { "2" } else { "1.1" };
    let mut arrived = Arrived::read(&world.names, &connection, request).await;
    arrived.number = world.log.add(entry(&world, &connection, &arrived, http));
    if !world.settings.latency.is_zero() {
        tokio::time::sleep(world.settings.latency).await;
    }
    let struck = world.faults.with(|faults| {
        let route = match arrived.service {
            Service::Vault => Route::of(&arrived.path),
            _ => Route::Unknown,
        };
        let managed =
            (arrived.service == Service::ResourceManager).then(|| resource_manager::Route::of(&arrived.path)).flatten();
        let request = HitRequest {
            operation: arrived.operation(),
            collection: route.collection(),
            name: route.name(),
            workspace: managed.as_ref().map(|route| route.workspace().name.as_str()),
            connection: managed.as_ref().and_then(resource_manager::Route::connection),
            bearer: arrived.bearer().is_some(),
        };
        faults.strike(&Hit { service: arrived.service, vault: arrived.vault.as_deref(), request: Some(request) })
    });
    let answer = match struck {
        None => honest(&world, &arrived),
        Some(strike) => {
            world.log.amend(arrived.number, |entry| entry.fault = Some(strike.id));
            misbehave(&world, &connection, &arrived, strike).await
        }
    };
    let answer = if arrived.offers_gzip() { answer::gzip(answer) } else { answer };
    world.log.amend(arrived.number, |entry| entry.status = Some(answer.status().as_u16()));
    Ok(answer)
}

/// The answer the service would give.
pub(crate) fn honest(world: &World, arrived: &Arrived) -> Answer {
    if arrived.is_malformed() {
        return answer::html(StatusCode::BAD_REQUEST);
    }
    match arrived.service {
        Service::Entra | Service::TokenProxy => entra::answer(world, arrived),
        Service::Vault => vault::answer(world, arrived),
        Service::ResourceManager => resource_manager::answer(world, arrived),
        Service::OpenAi => openai::answer(world, arrived),
        Service::Imds | Service::AppService | Service::AzureMl => managed_identity::answer(world, arrived),
    }
}

fn entry(world: &World, connection: &Connection, arrived: &Arrived, http: &'static str) -> Logged {
    let form =
        matches!(arrived.service, Service::Entra | Service::TokenProxy).then(|| TokenRequest::read(&arrived.body));
    let audience = match &form {
        Some(form) => form.get("scope").map(str::to_owned),
        None if arrived.service.is_managed_identity() => arrived.parameter("resource"),
        None => None,
    };
    let shown = arrived.bearer().and_then(|token| world.access_tokens.with(|tokens| tokens.find(token)));
    Logged {
        number: 0,
        service: arrived.service,
        vault: arrived.vault.clone(),
        method: arrived.method.to_string(),
        path: arrived.path.clone(),
        query: arrived.query.clone(),
        status: None,
        http,
        connection: connection.number,
        bearer: arrived.bearer().is_some(),
        token: shown.map(|token| token.number),
        tenant: match Endpoint::at(arrived.service, &arrived.path) {
            Endpoint::Token { tenant } => Some(tenant),
            _ => None,
        },
        client_id: form.as_ref().and_then(|form| form.get("client_id").map(str::to_owned)),
        audience,
        assertion: form.as_ref().and_then(TokenRequest::assertion_digest),
        user_agent: arrived.header(USER_AGENT.as_str()).map(str::to_owned),
        fault: None,
        at: world.log.since_start(),
    }
}

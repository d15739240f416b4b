//! The resource manager with Azure ML's workspace connections: the order of its checks, and the headers of its answers.

mod authorize;
mod bucket;
mod connection_spec;
mod permission;
mod refusal;
mod route;
mod shape;
mod store;
mod workspace;

use hyper::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use hyper::{Method, StatusCode};
use serde_json::json;

pub use bucket::Bucket;
pub use connection_spec::ConnectionSpec;
pub use permission::ConnectionPermission;
pub use workspace::{DEFAULT_RESOURCE_GROUP, DEFAULT_SUBSCRIPTION, Workspace};

pub(crate) use bucket::Buckets;
pub(crate) use permission::{ConnectionRule, ConnectionRules};
pub(crate) use refusal::ManagerRefusal;
pub(crate) use route::Route;
pub(crate) use store::Workspaces;

use bucket::Spent;

use crate::answer::{self, Answer};
use crate::exchange::Arrived;
use crate::world::World;

/// The api-version before which nobody is told who changed a connection, nor its secrets.
const FULL: &str = "2023-06-01-preview";
/// The oldest api-version.
const OLDEST: &str = "2022-01-01-preview";

/// Gives the honest answer to a request.
pub(crate) fn answer(world: &World, arrived: &Arrived) -> Answer {
    if arrived.method == Method::POST && !arrived.has_header(CONTENT_LENGTH) && !arrived.has_header(TRANSFER_ENCODING) {
        return answer::html(StatusCode::LENGTH_REQUIRED);
    }
    let mut spent = None;
    let mut answer = match considered(world, arrived, &mut spent) {
        Ok(mut answer) => {
            dress(world, arrived, "standard", &mut answer);
            answer
        }
        Err(refusal) => refuse(world, arrived, &refusal),
    };
    if let Some(Spent { counter, remaining }) = spent {
        answer::set(&mut answer, counter, &remaining.to_string());
    }
    answer
}

/// Gives a refusal the resource manager's shape and headers.
pub(crate) fn refuse(world: &World, arrived: &Arrived, refusal: &ManagerRefusal) -> Answer {
    let mut answer = refusal.answer(world, arrived);
    dress(world, arrived, "error", &mut answer);
    answer
}

/// Who is asking comes first, then how and how often, then whether he may, then whether there is anything.
fn considered(world: &World, arrived: &Arrived, spent: &mut Option<Spent>) -> Result<Answer, ManagerRefusal> {
    let client = authorize::client(world, arrived)?;
    let version = arrived.parameter("api-version").filter(|version| !version.is_empty());
    let version = version.ok_or(ManagerRefusal::NoApiVersion)?;
    let route = Route::of(&arrived.path).ok_or(ManagerRefusal::NoSuchRoute)?;
    let method = if route.wants_secrets() { Method::POST } else { Method::GET };
    if arrived.method != method {
        return Err(ManagerRefusal::MethodNotAllowed);
    }
    let oldest = if route.wants_secrets() { FULL } else { OLDEST };
    if version.as_str() < oldest {
        return Err(ManagerRefusal::BadApiVersion { version });
    }
    let subscription = &route.workspace().subscription;
    *spent = Some(world.buckets.with(|buckets| {
        let bucket = if route.wants_secrets() { world.settings.write_bucket } else { world.settings.read_bucket };
        buckets.spend(bucket, route.wants_secrets(), subscription, &client, world.log.since_start())
    })?);
    let permission = if route.wants_secrets() { ConnectionPermission::ListSecrets } else { ConnectionPermission::Read };
    if !world.connection_rules.with(|rules| rules.allow(&client, route.workspace(), permission, route.connection())) {
        return Err(ManagerRefusal::Forbidden { client, permission });
    }
    world.workspaces.with(|workspaces| {
        let found = workspaces.find(route.workspace());
        let workspace = found.ok_or_else(|| ManagerRefusal::NoWorkspace(route.workspace().clone()))?;
        let shown = |connection, secrets| {
            shape::connection(workspace.id(), connection, secrets, version.as_str() >= FULL)
        };
        let body = match route.connection() {
            None => {
                let wanted = |connection: &&store::Connection| {
                    let same = |name, had: &str| {
                        arrived.parameter(name).is_none_or(|wanted| wanted.eq_ignore_ascii_case(had))
                    };
                    same("category", &connection.spec.category)
                        && same("target", connection.spec.target.as_deref().unwrap_or_default())
                };
                json!({"value": workspace.connections().filter(wanted).map(|one| shown(one, false)).collect::<Vec<_>>()})
            }
            Some(name) => {
                let found = workspace.connection(name);
                let connection = found.ok_or_else(|| ManagerRefusal::NoConnection { name: name.to_owned() })?;
                shown(connection, route.wants_secrets())
            }
        };
        Ok(answer::json(StatusCode::OK, &body))
    })
}

fn dress(world: &World, arrived: &Arrived, kind: &str, answer: &mut Answer) {
    let routing = format!("WESTEUROPE:20260101T000000Z:{}", arrived.trace);
    let headers = [
        ("Cache-Control", "no-cache"),
        ("Pragma", "no-cache"),
        ("Expires", "-1"),
        ("x-ms-correlation-request-id", &arrived.correlation),
        ("x-ms-routing-request-id", &routing),
        ("x-ms-response-type", kind),
        ("x-request-time", "0.087"),
        ("x-aml-cluster", "vienna-westeurope-01"),
        ("Request-Context", "appId=cid-v1:emulator"),
        ("X-Content-Type-Options", "nosniff"),
        ("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),
        ("X-Cache", "CONFIG_NOCACHE"),
    ];
    for (name, value) in headers {
        answer::set(answer, name, value);
    }
    answer::set(answer, "Date", &world.date());
    answer::allow_gzip(answer);
}

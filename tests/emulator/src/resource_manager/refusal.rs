//! The resource manager's errors: its own, and those of Azure ML behind it.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::permission::ConnectionPermission;
use super::route::Route;
use super::workspace::Workspace;
use crate::answer::{self, Answer};
use crate::exchange::Arrived;
use crate::world::World;
use crate::{DEFAULT_TENANT, clock};

/// The object id of every app.
const OBJECT_ID: &str = "33333333-3333-4333-8333-333333333333";

/// An error of the resource manager's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ManagerRefusal {
    NoBearer,
    UnknownToken,
    TokenExpired { expired: i64 },
    InvalidAudience { found: String },
    InvalidIssuer { found: String },
    NoApiVersion,
    BadApiVersion { version: String },
    NoSuchRoute,
    MethodNotAllowed,
    Throttled { write: bool, retry_after: u64 },
    Forbidden { client: String, permission: ConnectionPermission },
    NoWorkspace(Workspace),
    NoConnection { name: String },
    Failed(StatusCode),
}

impl ManagerRefusal {
    /// The error as it goes out.
    pub(crate) fn answer(&self, world: &World, arrived: &Arrived) -> Answer {
        let status = self.status();
        let body = match self {
            Self::NoConnection { name } => no_connection(world, arrived, name),
            _ => json!({"error": {"code": self.code(world), "message": self.message(world, arrived)}}),
        };
        let mut answer = answer::json(status, &body);
        if !matches!(self, Self::NoConnection { .. } | Self::Failed(_)) {
            answer::set(&mut answer, "x-ms-failure-cause", "gateway");
        }
        if status == StatusCode::UNAUTHORIZED {
            let challenge = format!(
                "Bearer authorization_uri=\"{}{DEFAULT_TENANT}\", error=\"invalid_token\", \
                 error_description=\"The authentication failed.\"",
                world.authority()
            );
            answer::set(&mut answer, "WWW-Authenticate", &challenge);
        }
        if let Self::Throttled { retry_after, .. } = self {
            answer::set(&mut answer, "Retry-After", &retry_after.to_string());
        }
        answer
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NoBearer
            | Self::UnknownToken
            | Self::TokenExpired { .. }
            | Self::InvalidAudience { .. }
            | Self::InvalidIssuer { .. } => StatusCode::UNAUTHORIZED,
            Self::NoApiVersion | Self::BadApiVersion { .. } => StatusCode::BAD_REQUEST,
            Self::NoSuchRoute | Self::NoWorkspace(_) | Self::NoConnection { .. } => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Throttled { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Forbidden { .. } => StatusCode::FORBIDDEN,
            Self::Failed(status) => *status,
        }
    }

    fn code(&self, world: &World) -> &'static str {
        match self {
            Self::NoBearer => "AuthenticationFailed",
            Self::UnknownToken | Self::Failed(StatusCode::UNAUTHORIZED) => "InvalidAuthenticationToken",
            Self::TokenExpired { .. } => "ExpiredAuthenticationToken",
            Self::InvalidAudience { .. } => "InvalidAuthenticationTokenAudience",
            Self::InvalidIssuer { .. } => "InvalidAuthenticationTokenTenant",
            Self::NoApiVersion => "MissingApiVersionParameter",
            Self::BadApiVersion { .. } => "NoRegisteredProviderFound",
            Self::MethodNotAllowed => "HttpMethodNotAllowed",
            Self::NoWorkspace(workspace) if lacks_subscription(world, workspace) => "SubscriptionNotFound",
            Self::NoWorkspace(_) => "ResourceNotFound",
            Self::NoConnection { .. } => "UserError",
            Self::Throttled { .. } | Self::Failed(StatusCode::TOO_MANY_REQUESTS) => "SubscriptionRequestsThrottled",
            Self::Forbidden { .. } | Self::Failed(StatusCode::FORBIDDEN) => "AuthorizationFailed",
            Self::NoSuchRoute | Self::Failed(StatusCode::NOT_FOUND) => "NotFound",
            Self::Failed(StatusCode::SERVICE_UNAVAILABLE) => "ServiceUnavailable",
            Self::Failed(StatusCode::GATEWAY_TIMEOUT) => "GatewayTimeout",
            Self::Failed(_) => "InternalServerError",
        }
    }

    fn message(&self, world: &World, arrived: &Arrived) -> String {
        let audience = &world.names.management_audience;
        match self {
            Self::NoBearer => "Authentication failed. The 'Authorization' header is missing.".to_owned(),
            Self::UnknownToken => "The access token is invalid.".to_owned(),
            Self::TokenExpired { expired } => format!(
                "The access token expiry UTC time '{}' is earlier than current UTC time '{}'.",
                clock::entra_timestamp(*expired),
                clock::entra_timestamp(world.clock.now())
            ),
            Self::InvalidAudience { found } => format!(
                "The access token has been obtained for wrong audience or resource '{found}'. It should exactly match \
                 with one of the allowed audiences '{audience}','{}'.",
                crate::entra::bare(audience)
            ),
            Self::InvalidIssuer { found } => format!(
                "The access token is from the wrong issuer 'https://sts.windows.net/{found}/'. It must match the \
                 tenant 'https://sts.windows.net/{DEFAULT_TENANT}/' associated with this subscription."
            ),
            Self::NoApiVersion => {
                "The api-version query parameter (?api-version=) is required for all requests.".to_owned()
            }
            Self::BadApiVersion { version } => format!(
                "No registered resource provider found for location 'westeurope' and API version '{version}' for type \
                 'workspaces/connections'."
            ),
            Self::MethodNotAllowed => format!("The HTTP method '{}' is not supported here.", arrived.method),
            Self::NoSuchRoute => "The resource namespace or type is not known.".to_owned(),
            Self::Throttled { write, retry_after } => throttled(world, arrived, *write, &retry_after.to_string()),
            Self::Forbidden { client, permission } => forbidden(world, arrived, client, *permission),
            Self::NoWorkspace(workspace) if lacks_subscription(world, workspace) => {
                format!("The subscription '{}' could not be found.", workspace.subscription)
            }
            Self::NoWorkspace(workspace) => format!(
                "The Resource 'Microsoft.MachineLearningServices/workspaces/{}' under resource group '{}' was not \
                 found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
                workspace.name, workspace.resource_group
            ),
            Self::Failed(StatusCode::TOO_MANY_REQUESTS) => throttled(world, arrived, true, "5"),
            Self::Failed(StatusCode::FORBIDDEN) => {
                forbidden(world, arrived, &client_of(world, arrived), ConnectionPermission::ListSecrets)
            }
            Self::NoConnection { .. } | Self::Failed(_) => "The request could not be served.".to_owned(),
        }
    }
}

fn lacks_subscription(world: &World, workspace: &Workspace) -> bool {
    !world.workspaces.with(|workspaces| workspaces.has_subscription(&workspace.subscription))
}

fn client_of(world: &World, arrived: &Arrived) -> String {
    let token = arrived.bearer().and_then(|shown| world.access_tokens.with(|tokens| tokens.find(shown)));
    token.map(|token| token.client).unwrap_or_default()
}

fn throttled(world: &World, arrived: &Arrived, write: bool, seconds: &str) -> String {
    let kind = if write { "write" } else { "read" };
    let subscription = Route::of(&arrived.path).map(|route| route.workspace().subscription.clone()).unwrap_or_default();
    format!(
        "Number of '{kind}' requests for subscription '{subscription}' actor '{}' exceeded. Please try again after \
         '{seconds}' seconds after additional tokens are available.",
        client_of(world, arrived)
    )
}

fn forbidden(world: &World, arrived: &Arrived, client: &str, permission: ConnectionPermission) -> String {
    let object = world.identities.with(|identities| identities.object_of(client));
    let scope = Route::of(&arrived.path).map(|route| {
        let workspace = route.workspace().id();
        route.connection().map_or_else(|| workspace.clone(), |name| format!("{workspace}/connections/{name}"))
    });
    format!(
        "The client '{client}' with object id '{}' does not have authorization to perform action '{}' over scope '{}' \
         or the scope is invalid. If access was recently granted, please refresh your credentials.",
        object.as_deref().unwrap_or(OBJECT_ID),
        permission.action(),
        scope.unwrap_or_default()
    )
}

/// An error of Azure ML's own, which looks different from those of the resource manager.
fn no_connection(world: &World, arrived: &Arrived, name: &str) -> Value {
    json!({
        "error": {
            "code": "UserError",
            "severity": null,
            "message": format!("Connection {name} can't be found in this workspace"),
            "messageFormat": null,
            "messageParameters": null,
            "referenceCode": null,
            "detailsUri": null,
            "target": null,
            "details": [],
            "innerError": {"code": "NotFoundError", "innerError": null},
            "debugInfo": null,
            "additionalInfo": null,
        },
        "correlation": {"operation": arrived.correlation.replace('-', ""), "request": &arrived.trace[..8]},
        "environment": "westeurope",
        "location": "westeurope",
        "time": clock::arm_time(world.clock.now_in_ticks()).replace('Z', "+00:00"),
        "componentName": "account-rp",
        "statusCode": 404,
    })
}

//! Entra's errors: their numbers, texts, statuses and the shape they come in.

use hyper::StatusCode;
use serde_json::json;

use crate::answer::{self, Answer};
use crate::clock;
use crate::exchange::Arrived;
use crate::world::World;

/// An error of Entra's before it is dated and traced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntraRefusal {
    pub(crate) status: StatusCode,
    pub(crate) error: String,
    pub(crate) code: u64,
    pub(crate) message: String,
}

impl EntraRefusal {
    fn new(status: StatusCode, error: &str, code: u64, message: impl Into<String>) -> Self {
        Self { status, error: error.to_owned(), code, message: message.into() }
    }

    fn invalid_client(code: u64, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_client", code, message)
    }

    fn invalid_request(code: u64, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", code, message)
    }

    pub(crate) fn unknown_tenant(tenant: &str) -> Self {
        let message = format!(
            "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into \
             the correct cloud. Check with your subscription administrator, this may happen if there are no active \
             subscriptions for the tenant."
        );
        Self::new(StatusCode::BAD_REQUEST, "invalid_tenant", 90002, message)
    }

    pub(crate) fn unknown_app(client: &str, tenant: &str) -> Self {
        let message = format!(
            "Application with identifier '{client}' was not found in the directory '{tenant}'. This can happen if \
             the application has not been installed by the administrator of the tenant or consented to by any user \
             in the tenant. You may have sent your authentication request to the wrong tenant."
        );
        Self::new(StatusCode::BAD_REQUEST, "unauthorized_client", 700_016, message)
    }

    pub(crate) fn missing_parameter(name: &str) -> Self {
        let message = format!("The request body must contain the following parameter: '{name}'.");
        Self::invalid_request(900_144, message)
    }

    pub(crate) fn unsupported_grant(grant: &str) -> Self {
        let message = format!("The app requested an unsupported grant type '{grant}'.");
        Self::new(StatusCode::BAD_REQUEST, "unsupported_grant_type", 70003, message)
    }

    pub(crate) fn no_credential() -> Self {
        let message = "'client_assertion', 'client_secret' or 'request' is required for the \
                       'client_credentials' grant type.";
        Self::invalid_client(7_000_216, message)
    }

    pub(crate) fn invalid_scope(scope: &str) -> Self {
        let message = format!(
            "The provided request must include a 'scope' input parameter. The provided value for the input \
             parameter 'scope' is not valid. The scope {scope} is not valid."
        );
        Self::new(StatusCode::BAD_REQUEST, "invalid_scope", 70011, message)
    }

    pub(crate) fn malformed_assertion() -> Self {
        Self::invalid_request(50027, "JWT token is invalid or malformed.")
    }

    pub(crate) fn bad_signature() -> Self {
        Self::invalid_client(700_027, "Client assertion failed signature validation.")
    }

    pub(crate) fn unpublished_key() -> Self {
        let message = "Client assertion failed signature validation. [Reason - The key was not found.]";
        Self::invalid_client(700_027, message)
    }

    pub(crate) fn unregistered_certificate() -> Self {
        let message = "The certificate with identifier used to sign the client assertion is not registered on \
                       application. [Reason - The key was not found.]";
        Self::invalid_client(700_027, message)
    }

    pub(crate) fn another_client() -> Self {
        Self::invalid_client(700_021, "Client assertion application identifier doesn't match 'client_id' parameter.")
    }

    pub(crate) fn another_endpoint() -> Self {
        Self::invalid_client(700_023, "Client assertion audience claim does not match Realm issuer.")
    }

    pub(crate) fn wrong_secret(client: &str) -> Self {
        let message = format!(
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, \
             not the client secret ID, for a secret added to app '{client}'."
        );
        Self::invalid_client(7_000_215, message)
    }

    pub(crate) fn unknown_resource(resource: &str, tenant: &str) -> Self {
        let message = format!(
            "The resource principal named {resource} was not found in the tenant named {tenant}. This can happen if \
             the application has not been installed by the administrator of the tenant or consented to by any user in \
             the tenant. You might have sent your authentication request to the wrong tenant."
        );
        Self::new(StatusCode::BAD_REQUEST, "invalid_resource", 500_011, message)
    }

    pub(crate) fn several_resources(scope: &str) -> Self {
        let message = format!("The provided value for scope {scope} is not valid: it names more than one resource.");
        Self::new(StatusCode::BAD_REQUEST, "invalid_scope", 700_022, message)
    }

    pub(crate) fn no_match(code: u64, what: &str, value: &str) -> Self {
        let case = match code {
            7_002_138 => {
                " The subject matches with case-insensitive comparison, but not with case-sensitive comparison."
            }
            _ => "",
        };
        let message = format!(
            "No matching federated identity record found for presented assertion {what} '{value}'.{case} Check your \
             federated identity credential Subject, Audience and Issuer against the presented assertion. \
             https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
        );
        Self::invalid_client(code, message)
    }

    pub(crate) fn outside_its_time(now: i64, from: i64, until: i64) -> Self {
        let message = format!(
            "Client assertion is not within its valid time range. Current time: {}, assertion valid from {}, expiry \
             time of assertion {}. Review the documentation at \
             https://learn.microsoft.com/entra/identity-platform/certificate-credentials.",
            clock::entra_in_text(now),
            clock::entra_in_text(from),
            clock::entra_in_text(until)
        );
        Self::invalid_client(700_024, message)
    }

    pub(crate) fn throttled() -> Self {
        let message = "Tenant is being throttled: the server is terminating the request because it exceeded the \
                       limit of requests.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", 90055, message)
    }

    pub(crate) fn unavailable(status: StatusCode) -> Self {
        let message = "The service is temporarily unavailable. Please retry later.";
        Self::new(status, "temporarily_unavailable", 90033, message)
    }

    /// The error as it goes out.
    pub(crate) fn answer(&self, world: &World, arrived: &Arrived) -> Answer {
        let correlation = arrived.header("client-request-id").unwrap_or(&arrived.correlation);
        let timestamp = clock::entra_timestamp(world.clock.now());
        let parts = [
            format!("AADSTS{}: {}", self.code, self.message),
            format!("Trace ID: {}", arrived.trace),
            format!("Correlation ID: {correlation}"),
            format!("Timestamp: {timestamp}"),
        ];
        let body = json!({
            "error": self.error,
            "error_description": parts.join(if world.settings.line_breaks { "\r\n" } else { " " }),
            "error_codes": [self.code],
            "timestamp": timestamp,
            "trace_id": arrived.trace,
            "correlation_id": correlation,
            "error_uri": format!("{}error?code={}", world.authority(), self.code),
        });
        answer::json(self.status, &body)
    }
}

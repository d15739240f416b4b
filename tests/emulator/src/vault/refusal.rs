//! The vault's errors: statuses, codes, inner codes and texts, and the challenge of a 401.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::collection::Collection;
use super::permission::Refusal;
use super::route::Route;
use crate::Operation;
use crate::answer::{self, Answer};
use crate::exchange::Arrived;
use crate::world::World;

const OBJECT_ID: &str = "33333333-3333-4333-8333-333333333333";
const SUBSCRIPTION: &str = "44444444-4444-4444-8444-444444444444";

/// An error of the vault's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum VaultRefusal {
    NoBearer,
    UnknownToken,
    TokenExpired,
    InvalidAudience { found: String },
    InvalidIssuer { expected: String, found: String },
    SigningKeyUnresolved,
    Forbidden(Refusal),
    NotFound { collection: Collection, name: String },
    BadParameter { message: String },
    MethodNotAllowed,
    Failed(StatusCode),
}

impl VaultRefusal {
    pub(crate) fn not_found(collection: Collection, name: &str, version: Option<&str>) -> Self {
        let name = version.map_or_else(|| name.to_owned(), |version| format!("{name}/{version}"));
        Self::NotFound { collection, name }
    }

    pub(crate) fn disabled(collection: Collection) -> Self {
        Self::Forbidden(Refusal::disabled(collection))
    }

    pub(crate) fn bad_parameter(message: &str) -> Self {
        Self::BadParameter { message: message.to_owned() }
    }

    /// Whether a role assignment was found before this was said; only then is it named in a header.
    pub(crate) fn comes_after_authorization(&self) -> bool {
        matches!(
            self,
            Self::Forbidden(Refusal::SecretDisabled | Refusal::CertificateDisabled | Refusal::KeyDisabled)
                | Self::NotFound { .. }
        )
    }

    /// The error as it goes out.
    pub(crate) fn answer(&self, world: &World, arrived: &Arrived) -> Answer {
        let status = self.status();
        let mut error = json!({"code": self.code(), "message": self.message(world, arrived)});
        if let Self::Forbidden(refusal) = self {
            error["innererror"] = json!({"code": format!("{refusal:?}")});
        }
        let mut answer = answer::json(status, &json!({"error": error}));
        if status == StatusCode::UNAUTHORIZED {
            let challenge = format!(
                "Bearer authorization=\"{}{}\", resource=\"{}\"",
                world.authority(),
                tenant_of(world, arrived),
                world.names.vault_audience
            );
            answer::set(&mut answer, "WWW-Authenticate", &challenge);
        }
        answer
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NoBearer
            | Self::UnknownToken
            | Self::TokenExpired
            | Self::InvalidAudience { .. }
            | Self::InvalidIssuer { .. }
            | Self::SigningKeyUnresolved => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::BadParameter { .. } => StatusCode::BAD_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Failed(status) => *status,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Forbidden(_) => "Forbidden",
            Self::NotFound { collection: Collection::Secrets, .. } => "SecretNotFound",
            Self::NotFound { collection: Collection::Certificates, .. } => "CertificateNotFound",
            Self::NotFound { collection: Collection::Keys, .. } => "KeyNotFound",
            Self::BadParameter { .. } => "BadParameter",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::Failed(StatusCode::TOO_MANY_REQUESTS) => "Throttled",
            Self::Failed(StatusCode::SERVICE_UNAVAILABLE) => "ServiceUnavailable",
            Self::Failed(_) => "InternalServerError",
            _ => "Unauthorized",
        }
    }

    fn message(&self, world: &World, arrived: &Arrived) -> Value {
        let text = match self {
            Self::NoBearer => "AKV10000: Request is missing a Bearer, PoP, or MTLS_POP token.".to_owned(),
            // From memory: a token the service cannot read at all was not among the recordings.
            Self::UnknownToken => "[BearerReadAccessTokenFailed] Error validating token: 'S2S17001'.".to_owned(),
            Self::TokenExpired => "[TokenExpired] Error validating token: 'S2S12086'.".to_owned(),
            Self::InvalidAudience { found } => {
                format!("AKV10022: Invalid audience. Expected {}, found: {found}.", world.names.vault_audience)
            }
            Self::InvalidIssuer { expected, found } => format!(
                "AKV10032: Invalid issuer. Expected one of https://sts.windows.net/{expected}/, \
                 found https://sts.windows.net/{found}/."
            ),
            Self::SigningKeyUnresolved => {
                let header = arrived.bearer().and_then(|token| token.split('.').next()).unwrap_or_default();
                format!(
                    "AKV10046: Unable to resolve the key used for signature validation. \
                     EncodedJwtHeader: '{header}'."
                )
            }
            Self::Forbidden(refusal) => forbidden(*refusal, world, arrived),
            Self::NotFound { collection, name } => {
                let kind = collection.singular();
                format!(
                    "A {kind} with (name/id) {name} was not found in this key vault. If you recently deleted this \
                     {kind} you may be able to recover it using the correct recovery command. For help resolving \
                     this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"
                )
            }
            Self::BadParameter { message } => message.clone(),
            Self::MethodNotAllowed => "The requested resource does not support this method.".to_owned(),
            Self::Failed(StatusCode::TOO_MANY_REQUESTS) => {
                "Request was not processed because too many requests were received. Reason: \
                 VaultRequestTypeLimitReached"
                    .to_owned()
            }
            Self::Failed(_) => "The service cannot process the request now.".to_owned(),
        };
        Value::from(text)
    }
}

/// The texts of a 403, which hold everything that must not get into a log.
fn forbidden(refusal: Refusal, world: &World, arrived: &Arrived) -> String {
    let route = Route::of(&arrived.path);
    let vault = arrived.vault.as_deref().unwrap_or_default();
    let tenant = tenant_of(world, arrived);
    let shown = arrived.bearer().and_then(|token| world.access_tokens.with(|tokens| tokens.find(token)));
    let client = shown.map(|token| token.client).unwrap_or_default();
    let caller = format!("appid={client};oid={OBJECT_ID};iss=https://sts.windows.net/{tenant}/");
    let place = format!("{vault};location=westeurope");
    let collection = route.collection().unwrap_or(Collection::Secrets).plural();
    let disabled = |kind: Collection| format!("Operation get is not allowed on a disabled {}.", kind.singular());
    match refusal {
        Refusal::SecretDisabled => disabled(Collection::Secrets),
        Refusal::CertificateDisabled => disabled(Collection::Certificates),
        Refusal::KeyDisabled => disabled(Collection::Keys),
        Refusal::ForbiddenByRbac => {
            // Only of secrets is the metadata apart from the value.
            let action = match (route.collection(), route.operation()) {
                (Some(Collection::Certificates | Collection::Keys), _) => "read",
                (_, Operation::Get) => "getSecret/action",
                _ => "readMetadata/action",
            };
            let object = route.name().map(|name| format!("/{collection}/{name}")).unwrap_or_default();
            format!(
                "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or \
                 role definitions were changed recently, please observe propagation time.\r\nCaller: {caller}\r\n\
                 Action: 'Microsoft.KeyVault/vaults/{collection}/{action}'\r\nResource: \
                 '/subscriptions/{SUBSCRIPTION}/resourcegroups/demo/providers/microsoft.keyvault/vaults/{vault}\
                 {object}'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: \
                 'DeniedWithNoValidRBAC' \r\nVault: {place}\r\n"
            )
        }
        Refusal::AccessDenied => {
            let permission = match route.operation() {
                Operation::Get => "get",
                _ => "list",
            };
            format!(
                "The user, group or application '{caller}' does not have {collection} {permission} permission on key \
                 vault '{place}'. For help resolving this issue, please see \
                 https://go.microsoft.com/fwlink/?linkid=2125287"
            )
        }
        Refusal::ForbiddenByFirewall => format!(
            "Client address is not authorized and caller is not a trusted service.\r\nClient address: 127.0.0.1\r\n\
             Caller: {caller}\r\nVault: {place}"
        ),
        Refusal::ForbiddenByConnection => format!(
            "Public network access is disabled and request is not from a trusted service nor via an approved private \
             link.\r\nCaller: {caller}\r\nVault: {place}"
        ),
    }
}

fn tenant_of(world: &World, arrived: &Arrived) -> String {
    let vault = arrived.vault.as_deref().unwrap_or_default();
    world.vaults.with(|vaults| vaults.find(vault).map(|vault| vault.tenant.clone())).unwrap_or_default()
}

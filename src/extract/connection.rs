//! Cuts a member out of a workspace connection, as `listsecrets` gives it (Azure Resource Manager, Azure Machine
//! Learning, 2024-04-01): every member may be missing or null, and new authentication types come without notice.

use serde_json::{Map, Value};

use crate::reference::{Member, encoded};
use crate::secret::SecretValue;

/// Why a connection has no such member. Says nothing of the content. Names stand as in a reference, percent-encoded:
/// they may hold anything, line breaks too.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is no JSON object with `properties`.
    #[error("the answer is no connection")]
    NoConnection,
    /// It has no credentials at all, and by its authentication type never will.
    #[error(
        "the connection signs in with Microsoft Entra ({0}), so it has no credentials: use a token, \
         'entra:<scope>', as whoever is allowed there"
    )]
    Entra(&'static str),
    /// It has no credentials at all.
    #[error("the connection has no credentials")]
    NoCredentials,
    /// It has others.
    #[error("the connection has no credential '{name}'; {known}")]
    NoSuchCredential { name: String, known: &'static str },
    /// The credential is there, without a value.
    #[error("the connection's credential '{0}' is null")]
    NullCredential(String),
    /// Metadata of another name, or none.
    #[error("the connection has no metadata '{0}'")]
    NoSuchMetadata(String),
    /// No address.
    #[error("the connection has no target")]
    NoTarget,
}

/// The credentials that each authentication type can have; of one that is not known here, whatever it has can be asked for.
const KNOWN: [(&str, &str); 10] = [
    ("ApiKey", "an ApiKey connection can have 'key'"),
    ("AccountKey", "an AccountKey connection can have 'key'"),
    ("CustomKeys", "a CustomKeys connection can have those that were given to it, by their own names; case counts"),
    ("UsernamePassword", "a UsernamePassword connection can have 'username', 'password' and 'securityToken'"),
    ("PAT", "a PAT connection can have 'pat'"),
    ("SAS", "a SAS connection can have 'sas'"),
    ("AccessKey", "an AccessKey connection can have 'accessKeyId' and 'secretAccessKey'"),
    ("ServicePrincipal", "a ServicePrincipal connection can have 'clientId', 'clientSecret' and 'tenantId'"),
    ("ManagedIdentity", "a ManagedIdentity connection can have 'clientId' and 'resourceId'"),
    (
        "OAuth2",
        "an OAuth2 connection can have 'authUrl', 'clientId', 'clientSecret', 'developerToken', 'password', \
         'refreshToken', 'tenantId' and 'username'",
    ),
];
const OTHER: &str = "its credentials are the members of 'credentials' in the whole connection; case counts";

/// The member's bytes: a string's text, or any other value's JSON; the whole connection as it came.
pub(super) fn member(connection: &SecretValue, member: &Member) -> Result<SecretValue, Unusable> {
    let json: Value = serde_json::from_slice(connection.expose()).map_err(|_| Unusable::NoConnection)?;
    let properties = json.get("properties").and_then(Value::as_object).ok_or(Unusable::NoConnection)?;
    let bytes = match member {
        Member::Whole => connection.expose().to_vec(),
        Member::Target => bytes_of(properties.get("target")).ok_or(Unusable::NoTarget)?,
        Member::Metadata(key) => {
            let value = properties.get("metadata").and_then(|metadata| metadata.get(key));
            bytes_of(value).ok_or_else(|| Unusable::NoSuchMetadata(encoded(key)))?
        }
        Member::Credential(name) => credential(properties, name)?,
    };
    Ok(SecretValue::new(bytes))
}

/// By the authentication type and the credentials' shape; never by the category, which says nothing of either.
fn credential(properties: &Map<String, Value>, name: &str) -> Result<Vec<u8>, Unusable> {
    let auth_type = properties.get("authType").and_then(Value::as_str).unwrap_or_default();
    let Some(credentials) = properties.get("credentials").and_then(Value::as_object) else {
        return Err(match auth_type.to_ascii_lowercase().as_str() {
            "aad" => Unusable::Entra("AAD"),
            "managedidentity" => Unusable::Entra("ManagedIdentity"),
            _ => Unusable::NoCredentials,
        });
    };
    // The names of custom keys are one level further down; the reference leaves that level out.
    let keys = credentials.get("keys").and_then(Value::as_object);
    let found = keys.and_then(|keys| keys.get(name)).or_else(|| credentials.get(name));
    match found {
        Some(Value::Null) => Err(Unusable::NullCredential(encoded(name))),
        found => bytes_of(found).ok_or_else(|| {
            let known = KNOWN.iter().find(|(known, _)| known.eq_ignore_ascii_case(auth_type));
            Unusable::NoSuchCredential { name: encoded(name), known: known.map_or(OTHER, |(_, names)| names) }
        }),
    }
}

fn bytes_of(value: Option<&Value>) -> Option<Vec<u8>> {
    match value? {
        Value::Null => None,
        Value::String(text) => Some(text.clone().into_bytes()),
        other => Some(other.to_string().into_bytes()),
    }
}

#[cfg(test)]
mod tests;

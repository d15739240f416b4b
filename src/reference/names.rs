//! Names that become part of URLs and paths: checked here, because nothing downstream encodes or doubts them.

use std::fmt;
use std::sync::Arc;

use super::workspace::is_resource;

/// The name a secret has in the configuration: what status, logs and hooks call it, and its default file name.
///
/// 1 to 253 characters of `A-Z a-z 0-9 - _ .`, beginning with a letter, a digit or `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(Arc<str>);

impl SecretName {
    /// Checks and takes a name.
    pub fn parse(name: &str) -> Result<Self, String> {
        let ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 253 {
            return Err("a secret's name has 1 to 253 characters".to_owned());
        }
        if name.starts_with(['-', '.']) || !name.chars().all(ok) {
            return Err(
                "a secret's name has only letters, digits, '-', '_' and '.', and begins with none of '-' and '.'; \
                        to give its file another name use 'file:'"
                    .to_owned(),
            );
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of an object in a vault: 1 to 127 characters of `0-9 A-Z a-z -` (Key Vault REST API, object identifiers).
/// Compared without regard to case, as the service does; kept in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName(String);

impl ObjectName {
    /// Checks and takes a name.
    pub fn parse(name: &str) -> Result<Self, String> {
        if name.is_empty() || name.len() > 127 || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(format!("'{}' is no Key Vault object name: 1 to 127 letters, digits and hyphens", shown(name)));
        }
        Ok(Self(name.to_ascii_lowercase()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The version of an object in a vault: 32 hexadecimal digits, kept in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionId(String);

impl VersionId {
    /// Checks and takes a version.
    pub fn parse(version: &str) -> Result<Self, String> {
        if version.len() != 32 || !version.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(format!(
                "'{}' is no Key Vault version: it has 32 hexadecimal digits, this has {} characters; without one it is \
                 the latest",
                shown(version),
                version.chars().count()
            ));
        }
        Ok(Self(version.to_ascii_lowercase()))
    }

    /// The version as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of an identity in the plan: which credential signs in. `default`, or the alias of the vault it is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityName(pub String);

impl fmt::Display for IdentityName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A vault's host: one DNS label and the cloud's vault suffix, lower case, with its port when that is not 443.
/// Only the configuration's cloud makes one, so that no request can go to another kind of host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VaultHost(pub String);

impl fmt::Display for VaultHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a workspace connection. Resource Manager compares it without regard to case; kept in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionName(String);

impl ConnectionName {
    /// Checks and takes a name.
    pub fn parse(name: &str) -> Result<Self, String> {
        if !is_resource(name) {
            return Err(format!(
                "'{}' is no connection: letters, digits, '-' and '_', beginning with a letter or digit",
                shown(name)
            ));
        }
        Ok(Self(name.to_ascii_lowercase()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConnectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks the host of a URL: DNS characters, and a port from 1 to 65535 if any; no user, no address in brackets.
pub fn parse_host(text: &str) -> Result<String, String> {
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    if name.len() > 253 || !name.split('.').all(label) {
        return Err(format!("'{}' is no host name", shown(text)));
    }
    let name = name.to_ascii_lowercase();
    match port {
        None | Some("443") => Ok(name),
        Some(port) => match port.parse::<u16>() {
            Ok(number) if number > 0 && number.to_string() == port => Ok(format!("{name}:{number}")),
            _ => Err(format!("'{}' has no valid port", shown(text))),
        },
    }
}

/// Checks a vault's alias: 1 to 63 of `a-z 0-9 -`, beginning with a letter. Kept apart from host names by its lack of dots.
pub fn parse_alias(alias: &str) -> Result<String, String> {
    let ok = alias.len() <= 63
        && alias.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
        && alias.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if ok {
        return Ok(alias.to_owned());
    }
    if alias.contains('.') {
        return Err(format!("'{}' looks like a host: put 'https://' before it", shown(alias)));
    }
    Err(format!("'{}' is no alias of a vault: a letter, then letters, digits, '-' and '_'", shown(alias)))
}

/// A piece of the user's text, short and printable, for a message.
pub(super) fn shown(text: &str) -> String {
    if text.contains('@') {
        // A user and a password stand before one.
        return "…@…".to_owned();
    }
    let mut short: String = text.chars().take(60).flat_map(char::escape_default).collect();
    if text.chars().nth(60).is_some() {
        short.push('…');
    }
    short
}

/// Whether it is five groups of hexadecimal digits, as Azure writes ids.
pub fn is_guid(text: &str) -> bool {
    let mut parts = text.split('-').map(|part| (part.len(), part.bytes().all(|b| b.is_ascii_hexdigit())));
    [8, 4, 4, 4, 12].into_iter().all(|length| parts.next() == Some((length, true))) && parts.next().is_none()
}

/// A name that may hold anything, percent-encoded but for letters, digits, `-`, `.`, `_` and `~`.
pub fn encoded(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_alphanumeric() || matches!(c, '-' | '.' | '_' | '~') {
            text.push(c);
        } else {
            let mut bytes = [0; 4];
            text.extend(c.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")));
        }
    }
    text
}

//! References: one string that says where a secret is, in every spelling, and the objects that are fetched for them.
//!
//! Names are validated here, because they end up in URL paths that nothing downstream encodes.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

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
            return Err(format!("'{}' is no Key Vault version: 32 hexadecimal digits", shown(version)));
        }
        Ok(Self(version.to_ascii_lowercase()))
    }

    /// The version as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which vault a reference means, before the configuration's aliases and cloud are known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum VaultName {
    /// A name from `vaults:`.
    Alias(String),
    /// `https://` host, lower case, with its port when that is not 443.
    Host(String),
}

/// What the user wrote, understood: every spelling comes in, one canonical form goes out by `Display`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// A Key Vault secret.
    Secret {
        /// The vault.
        vault: VaultName,
        /// The secret.
        name: ObjectName,
        /// One version for ever, or the latest.
        version: Option<VersionId>,
    },
    /// A local file, by absolute path.
    File(PathBuf),
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

/// The unit of fetching: one GET of one thing, and as whom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// A Key Vault secret.
    Secret {
        /// Who signs in.
        identity: IdentityName,
        /// The vault.
        vault: VaultHost,
        /// The secret.
        name: ObjectName,
        /// One version, or the latest.
        version: Option<VersionId>,
    },
    /// A local file.
    File(PathBuf),
}

/// What many objects stand behind: when it is shut, none of them is asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gate {
    /// Signing in as this identity.
    Identity(IdentityName),
    /// Reaching this host.
    Host(VaultHost),
}

impl Object {
    /// The gates in front of it, the one that is passed first first.
    pub fn gates(&self) -> Vec<Gate> {
        match self {
            Self::Secret { identity, vault, .. } => vec![Gate::Identity(identity.clone()), Gate::Host(vault.clone())],
            Self::File(_) => Vec::new(),
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret { vault, name, version, .. } => {
                write_secret(f, &format_args!("https://{vault}"), name, version.as_ref())
            }
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret { vault: VaultName::Alias(alias), name, version } => {
                write_secret(f, alias, name, version.as_ref())
            }
            Self::Secret { vault: VaultName::Host(host), name, version } => {
                write_secret(f, &format_args!("https://{host}"), name, version.as_ref())
            }
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

fn write_secret(
    f: &mut fmt::Formatter<'_>,
    vault: &dyn fmt::Display,
    name: &ObjectName,
    version: Option<&VersionId>,
) -> fmt::Result {
    write!(f, "keyvault:{vault}/secrets/{}", name.as_str())?;
    version.map_or(Ok(()), |version| write!(f, "/{}", version.as_str()))
}

const FORMS: &str = "write 'keyvault:https://<vault>.vault.azure.net/secrets/<name>', 'keyvault:<alias>/secrets/<name>' \
                     with an alias from 'vaults:', each with '/<version>' for one version, or 'file:/absolute/path'";

impl Reference {
    /// Understands a reference as written in the configuration or on the command line.
    ///
    /// The error is a sentence with the right form. It repeats nothing of a text that begins with no known scheme:
    /// people paste the secret itself where the reference belongs.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("keyvault:") {
            return Self::parse_vault_path(rest);
        }
        if text.starts_with("https://") {
            return Self::parse_vault_path(text);
        }
        if let Some(path) = text.strip_prefix("file:") {
            return parse_file(path);
        }
        let lower = text.to_ascii_lowercase();
        if let Some(scheme) = ["keyvault:", "file:", "https:"].into_iter().find(|scheme| lower.starts_with(scheme)) {
            return Err(format!("the scheme is written in lower case and whole: '{scheme}'; {FORMS}"));
        }
        if lower.starts_with("http://") {
            return Err(format!("a vault is asked over https only; {FORMS}"));
        }
        Err(format!(
            "this is no reference to a secret (it is not shown here, in case it is the secret itself); {FORMS}"
        ))
    }

    fn parse_vault_path(text: &str) -> Result<Self, String> {
        let (vault, path) = if let Some(rest) = text.strip_prefix("https://") {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            (VaultName::Host(parse_host(host)?), path)
        } else {
            let (alias, path) = text.split_once('/').unwrap_or((text, ""));
            (VaultName::Alias(parse_alias(alias)?), path)
        };
        let mut segments = path.split('/');
        match segments.next() {
            Some("secrets") => {}
            Some(kind @ ("certificates" | "keys")) => {
                return Err(format!("'{kind}' of a vault are not supported yet, only 'secrets'; {FORMS}"));
            }
            _ => return Err(format!("after the vault comes '/secrets/<name>'; {FORMS}")),
        }
        let name = segments.next().filter(|name| !name.is_empty());
        let name = ObjectName::parse(name.ok_or_else(|| format!("the secret's name is missing; {FORMS}"))?)?;
        let version = match segments.next() {
            None => None,
            Some("") => return Err(format!("a reference does not end with '/'; {FORMS}")),
            Some(version) => Some(VersionId::parse(version)?),
        };
        if segments.next().is_some() {
            return Err(format!("there is more after the version; {FORMS}"));
        }
        Ok(Self::Secret { vault, name, version })
    }
}

fn parse_file(path: &str) -> Result<Reference, String> {
    if !path.starts_with('/') {
        return Err("a file is named by its absolute path: 'file:/path'".to_owned());
    }
    if path.contains('\0') {
        return Err("a path cannot hold a NUL character".to_owned());
    }
    Ok(Reference::File(PathBuf::from(path)))
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
        return Err(format!("'{}' looks like a host: put 'https://' before it; {FORMS}", shown(alias)));
    }
    Err(format!("'{}' is no alias of a vault: a letter, then letters, digits, '-' and '_'; {FORMS}", shown(alias)))
}

/// A piece of the user's text, short and printable, for a message.
fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(60).flat_map(char::escape_default).collect();
    if text.chars().nth(60).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests;

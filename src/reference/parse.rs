//! From what people write to a [`Reference`].

use std::path::PathBuf;

use super::names::{parse_alias, parse_host};
use super::{Collection, ObjectName, Reference, VaultName, VersionId};

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
            (VaultName::Alias(parse_alias(alias).map_err(|error| format!("{error}; {FORMS}"))?), path)
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
        Ok(Self::Vault { vault, collection: Collection::Secret, name, version })
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

//! Key Vault's objects: `https://<host>/<collection>/<name>[/<version>]`, and the same behind an alias.

use super::names::{parse_alias, parse_host, shown};
use super::{Collection, ObjectName, Reference, VaultName, VersionId};

pub(super) const FORMS: &str = "write 'keyvault:https://<vault>.vault.azure.net/secrets/<name>', or \
                                'keyvault:<alias>/secrets/<name>' with an alias from 'vaults:'; there are 'secrets', \
                                'certificates' and 'keys', each with '/<version>' for one version";

/// What follows `keyvault:`, or a whole `https://…`.
pub(super) fn parse(text: &str) -> Result<Reference, String> {
    if let Some(hint) = text.strip_prefix("https://").and_then(other_site) {
        return Err(hint.to_owned());
    }
    if text.contains('@') {
        // What is before it could be a password.
        return Err(format!("there is no user and no '@' in a vault's reference (it is not shown here); {FORMS}"));
    }
    let (vault, path) = if let Some(rest) = text.strip_prefix("https://") {
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        (VaultName::Host(parse_host(host).map_err(form)?), path)
    } else {
        no_address(text)?;
        let (alias, path) = text.split_once('/').unwrap_or((text, ""));
        (VaultName::Alias(parse_alias(alias).map_err(form)?), path)
    };
    if path.contains(['?', '#']) {
        return Err(form("a reference ends with the name or version: remove what begins with '?' or '#'"));
    }
    let mut segments = path.split('/');
    let collection = collection(segments.next().unwrap_or_default(), &vault)?;
    let name = segments.next().filter(|name| !name.is_empty());
    let name = ObjectName::parse(name.ok_or_else(|| format!("the {}'s name is missing; {FORMS}", one(collection)))?)?;
    let version = match segments.next() {
        None => None,
        Some("") => return Err(form("a reference does not end with '/'")),
        Some(version) => Some(VersionId::parse(version)?),
    };
    if segments.next().is_some() {
        return Err(form("there is more after the version"));
    }
    Ok(Reference::Vault { vault, collection, name, version })
}

fn form(reason: impl std::fmt::Display) -> String {
    format!("{reason}; {FORMS}")
}

/// An object's URL is compared without regard to case.
fn collection(segment: &str, vault: &VaultName) -> Result<Collection, String> {
    let all = [Collection::Secret, Collection::Certificate, Collection::Key];
    if let Some(collection) = all.into_iter().find(|known| segment.eq_ignore_ascii_case(known.segment())) {
        return Ok(collection);
    }
    let plural = match segment.to_ascii_lowercase().as_str() {
        "secret" => "secrets",
        "certificate" | "cert" | "certs" => "certificates",
        "key" => "keys",
        _ => {
            let example = match vault {
                VaultName::Alias(alias) if ObjectName::parse(segment).is_ok() => {
                    format!(", such as 'keyvault:{alias}/secrets/{}'", shown(segment))
                }
                _ => String::new(),
            };
            return Err(form(format!("after the vault comes '/secrets/<name>'{example}")));
        }
    };
    Err(form(format!("it is called '{plural}', not '{}'", shown(segment))))
}

fn one(collection: Collection) -> &'static str {
    match collection {
        Collection::Secret => "secret",
        Collection::Certificate => "certificate",
        Collection::Key => "key",
    }
}

/// What looks like an address where an alias is expected.
fn no_address(text: &str) -> Result<(), String> {
    let lower = text.to_ascii_lowercase();
    let hint = if text.is_empty() {
        "the vault is missing"
    } else if lower.starts_with("https:") {
        "an address begins with 'https://', in lower case and with two '/'"
    } else if lower.starts_with("http:") {
        "a vault is asked over https only"
    } else if lower.starts_with('/') {
        "after 'keyvault:' comes no '/', but 'https://' or an alias"
    } else if lower.starts_with("keyvault:") {
        "'keyvault:' is there twice"
    } else {
        return Ok(());
    };
    Err(form(hint))
}

/// Addresses that people copy from their browser, and what they are looking for.
fn other_site(address: &str) -> Option<&'static str> {
    let address = address.to_ascii_lowercase();
    let host = address.split(['/', '?', '#']).next().unwrap_or_default();
    let is = |site: &str| host == site || host.strip_suffix(site).is_some_and(|rest| rest.ends_with('.'));
    if ["portal.azure.com", "portal.azure.us", "portal.azure.cn"].into_iter().any(is) {
        return Some(
            "this is a page of the portal: copy the 'Secret Identifier' that it shows, \
             'https://<vault>.vault.azure.net/secrets/<name>/<version>'",
        );
    }
    if address.ends_with("/.default") {
        return Some("a token is written 'entra:' and its scope: 'entra:https://cognitiveservices.azure.com/.default'");
    }
    ["ml.azure.com", "ml.azure.us", "ai.azure.com", "management.azure.com"].into_iter().any(is).then_some(
        "a workspace's connection is not named by the address of a page: write 'azureml://connections/<connection>'",
    )
}

//! References in the wrappers of other products: Azure ML's `${{…}}` and App Service's `@Microsoft.KeyVault(…)`.

use super::names::{parse_host, shown};
use super::{Collection, ObjectName, Reference, VaultName, VersionId, vault};

/// How Azure ML's secret injection begins.
pub(super) const BRACES: &str = "${{";
const APP_SERVICE: &str = "@Microsoft.KeyVault";
pub(super) const APP_SERVICE_FORMS: &str = "write '@Microsoft.KeyVault(SecretUri=https://<vault>.vault.azure.net/secrets/<name>)' or \
     '@Microsoft.KeyVault(VaultName=<vault>;SecretName=<name>)', there with ';SecretVersion=<version>' for one version";

/// What follows `${{`.
pub(super) fn braces(text: &str) -> Result<Reference, String> {
    const FORMS: &str = "write '${{keyvault:https://…}}' or '${{azureml://…}}'";
    let Some(inner) = text.strip_suffix("}}") else {
        return Err(format!("what begins with '${{{{' ends with '}}}}'; {FORMS}"));
    };
    let inner = inner.trim();
    if inner.starts_with("keyvault:") || inner.starts_with("azureml:") {
        return Reference::parse(inner);
    }
    Err(format!(
        "in '${{{{…}}}}' stands a reference to a vault or a connection; {FORMS}, and others without the braces"
    ))
}

/// What follows App Service's beginning, if it is there. Its case is nobody's concern.
pub(super) fn begins_app_service(text: &str) -> Option<&str> {
    let (beginning, rest) = text.split_at_checked(APP_SERVICE.len())?;
    beginning.eq_ignore_ascii_case(APP_SERVICE).then_some(rest)
}

/// `(SecretUri=…)` or `(VaultName=…;SecretName=…[;SecretVersion=…])`.
pub(super) fn app_service(text: &str) -> Result<Reference, String> {
    let inner = text.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
    let inner = inner.ok_or_else(|| form("what it says stands in one pair of brackets"))?;
    let (mut uri, mut vault, mut name, mut version) = (None, None, None, None);
    for part in inner.split(';') {
        let (key, value) = part.split_once('=').ok_or_else(|| form("between ';' stand a key, '=' and a value"))?;
        let place = match key.trim().to_ascii_lowercase().as_str() {
            "secreturi" => &mut uri,
            "vaultname" => &mut vault,
            "secretname" => &mut name,
            "secretversion" => &mut version,
            _ => return Err(form("there is a key that App Service does not know")),
        };
        if place.replace(value.trim()).is_some() {
            return Err(form("a key is there twice"));
        }
    }
    match (uri, vault, name, version) {
        (Some(uri), None, None, None) => by_uri(uri),
        (None, Some(vault), Some(name), version) => Ok(Reference::Vault {
            vault: VaultName::Short(parse_label(vault)?),
            collection: Collection::Secret,
            name: ObjectName::parse(name)?,
            version: version.map(VersionId::parse).transpose()?,
        }),
        _ => Err(form("it names SecretUri alone, or VaultName and SecretName")),
    }
}

fn form(reason: &str) -> String {
    format!("{reason}; {APP_SERVICE_FORMS}")
}

fn by_uri(uri: &str) -> Result<Reference, String> {
    if !uri.starts_with("https://") {
        return Err(form("SecretUri begins with 'https://'"));
    }
    // A '/' where the version would follow is the documented form for "the latest".
    let unversioned = uri.strip_suffix('/').filter(|uri| uri.split('/').count() == 5);
    match vault::parse(unversioned.unwrap_or(uri))? {
        reference @ Reference::Vault { collection: Collection::Secret, .. } => Ok(reference),
        _ => Err("App Service refers to secrets only: write 'keyvault:https://…' for certificates and keys".to_owned()),
    }
}

/// A vault's name as a part of its host.
fn parse_label(label: &str) -> Result<String, String> {
    if label.contains('.') {
        return Err(form("VaultName is the first part of the vault's host, without dots"));
    }
    match parse_host(label) {
        Ok(name) if !label.contains(':') => Ok(name),
        _ => Err(form(&format!("'{}' is no vault's name", shown(label)))),
    }
}

//! From what people write to a [`Reference`], by its beginning; and what they probably meant when it is none.
//!
//! An error is a sentence with the right form. It repeats nothing of a text that begins with no known scheme: people
//! paste the secret itself where the reference belongs.

use std::path::PathBuf;

use super::{Reference, Scope, connection, vault, wrapped};

const SCHEMES: [&str; 5] = ["keyvault:", "azureml:", "entra:", "file:", "https:"];
const FORMS: &str = "a reference begins with 'keyvault:', 'azureml://', 'entra:' or 'file:', such as \
                     'keyvault:https://<vault>.vault.azure.net/secrets/<name>'";

impl Reference {
    /// Understands a reference as written in the configuration or on the command line.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("keyvault:") {
            return vault::parse(rest);
        }
        if text.starts_with("https://") {
            return vault::parse(text);
        }
        if let Some(rest) = text.strip_prefix("azureml:") {
            return connection::parse(rest);
        }
        if let Some(scope) = text.strip_prefix("entra:") {
            return token(scope);
        }
        if let Some(path) = text.strip_prefix("file:") {
            return file(path);
        }
        if let Some(inner) = text.strip_prefix(wrapped::BRACES) {
            return wrapped::braces(inner);
        }
        if let Some(inner) = wrapped::begins_app_service(text) {
            return wrapped::app_service(inner);
        }
        if let Some(nearly) = nearly(text) {
            return Err(nearly);
        }
        let what = "this is no reference to a secret (it is not shown here, in case it is the secret itself)";
        Err(match meant(text) {
            Some(hint) => format!("{what}; {hint}"),
            None => format!("{what}; {FORMS}"),
        })
    }
}

fn token(scope: &str) -> Result<Reference, String> {
    if scope.starts_with("//") {
        return Err("after 'entra:' comes the scope itself, without '//': \
                    'entra:https://cognitiveservices.azure.com/.default'"
            .to_owned());
    }
    Scope::parse(scope).map(|scope| Reference::Token { scope })
}

/// `file:/path`, or the URL `file:///path`.
fn file(path: &str) -> Result<Reference, String> {
    let path = match path.strip_prefix("//") {
        Some(rest) if !rest.starts_with('/') => {
            return Err("'file://' names a host, and files are local: write 'file:/path'".to_owned());
        }
        Some(rest) => rest,
        None => path,
    };
    if !path.starts_with('/') {
        return Err("a file is named by its absolute path: 'file:/path'".to_owned());
    }
    if path.contains('\0') {
        return Err("a path cannot hold a NUL character".to_owned());
    }
    // It stands in messages as it is.
    if path.contains(char::is_control) {
        return Err("a path cannot hold a line break or another control character".to_owned());
    }
    Ok(Reference::File(PathBuf::from(format!("/{}", path.trim_start_matches('/')))))
}

/// A scheme that is known, in another case, or cut short.
fn nearly(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("http:") {
        return Some(format!("a vault is asked over https only; {}", vault::FORMS));
    }
    let scheme = SCHEMES.into_iter().find(|scheme| lower.starts_with(scheme))?;
    Some(match scheme {
        "https:" => format!("an address begins with 'https://', in lower case and with two '/'; {}", vault::FORMS),
        _ => format!("the scheme is written in lower case: '{scheme}'"),
    })
}

/// What a text that begins like no reference was probably meant to be.
fn meant(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    let begins = |beginnings: &[&str]| beginnings.iter().any(|beginning| lower.starts_with(beginning));
    let hint = if lower.trim() != lower && is_near(lower.trim()) {
        "there are blanks around it: remove them"
    } else if begins(&["{{", "${", "$(", "$keyvault", "$azureml", "{keyvault", "{azureml"]) {
        "a reference in braces begins with '$' and two of them: '${{keyvault:https://…}}' or '${{azureml://…}}'"
    } else if begins(&["microsoft.keyvault", "@keyvault", "@microsoft.", "keyvault("]) {
        wrapped::APP_SERVICE_FORMS
    } else if begins(&["kv:", "akv:", "vault:", "key-vault:", "key_vault:", "keyvaultref:", "keyvault"]) {
        vault::FORMS
    } else if begins(&["/subscriptions/", "subscriptions/", "connections/", "connection/", "aml:", "azureml"]) {
        connection::FORMS
    } else if begins(&["api://", "aad:", "token:", "scope:", "entra"]) || lower.ends_with(".default") {
        "a token is written 'entra:' and its scope: 'entra:https://cognitiveservices.azure.com/.default'"
    } else if begins(&["/", "./", "../", "~/"]) {
        "a file is named by its absolute path: 'file:/path'"
    } else if let Some(at) = ["/secrets/", "/certificates/", "/keys/"].iter().find_map(|part| lower.find(part)) {
        if lower.get(..at).is_some_and(|vault| vault.contains('.')) {
            "'https://' is missing before the vault's host: 'https://<vault>.vault.azure.net/secrets/<name>'"
        } else {
            "'keyvault:' is missing before the vault's alias: 'keyvault:<alias>/secrets/<name>'"
        }
    } else {
        return None;
    };
    Some(hint)
}

/// Whether a text begins like a reference, in whatever case.
fn is_near(lower: &str) -> bool {
    SCHEMES.iter().any(|scheme| lower.starts_with(scheme))
        || lower.starts_with(wrapped::BRACES)
        || lower.starts_with('@')
}

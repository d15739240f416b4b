//! What an access token is asked for.

use std::fmt;

use super::names::{is_guid, parse_host, shown};

/// All that one resource allows: `https://host/.default`, `api://…/.default` or `<guid>/.default`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(String);

const FORMS: &str = "a token's scope is one resource and '/.default': 'https://cognitiveservices.azure.com/.default', \
                     'api://<application>/.default' or '<application id>/.default'";
const DEFAULT: &str = "/.default";

impl Scope {
    /// Checks and takes a scope.
    pub fn parse(scope: &str) -> Result<Self, String> {
        if scope.is_empty() {
            return Err(format!("the scope is missing; {FORMS}"));
        }
        if scope.split([' ', '\t', ',']).filter(|part| !part.is_empty()).count() > 1 {
            return Err(format!("a token is for one resource, these are several scopes; {FORMS}"));
        }
        if scope.contains(char::is_whitespace) {
            return Err(format!("there are no blanks in a scope; {FORMS}"));
        }
        if let Some(resource) = scope.strip_suffix(DEFAULT).filter(|resource| !resource.ends_with('/')) {
            return resource_of(resource).map(|resource| Self(format!("{resource}{DEFAULT}")));
        }
        Err(nearly(scope))
    }

    /// The scope as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The resource that the token is for: the scope without `/.default`.
    pub fn resource(&self) -> &str {
        self.0.strip_suffix(DEFAULT).unwrap_or(&self.0)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is wrong with a scope that does not end as it should, and what it was probably meant to be.
fn nearly(scope: &str) -> String {
    let bare = scope.trim_end_matches('/');
    let (without, reason) = match bare.len().checked_sub(".default".len()).and_then(|at| bare.split_at_checked(at)) {
        Some((resource, ".default")) if scope.ends_with('/') => (resource, "there is a '/' after '.default'"),
        Some((resource, ".default")) if resource.ends_with('/') => {
            (resource, "there is a '/' too many before '.default'")
        }
        Some((resource, ".default")) => (resource, "a '/' is missing before '.default'"),
        Some((resource, end)) if end.eq_ignore_ascii_case(".default") => (resource, "'.default' is in lower case"),
        _ => (bare, "the scope does not end with '/.default'"),
    };
    match resource_of(without.trim_end_matches('/')) {
        Ok(resource) => format!("{reason}: write '{}{DEFAULT}'", shown(resource_alone(&resource))),
        Err(wrong) => wrong,
    }
}

/// Without a permission such as `User.Read`, which only a person consents to.
fn resource_alone(resource: &str) -> &str {
    match resource.rsplit_once('/') {
        Some((before, last)) if !before.ends_with('/') && (last.contains('.') || last == "user_impersonation") => {
            before
        }
        _ => resource,
    }
}

/// The resource, with its host in lower case.
fn resource_of(resource: &str) -> Result<String, String> {
    if is_guid(resource) {
        return Ok(resource.to_ascii_lowercase());
    }
    if let Some(rest) = resource.strip_prefix("https://") {
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = parse_host(host).map_err(|_| format!("there is no host's name after 'https://'; {FORMS}"))?;
        return if is_path(path) { Ok(format!("https://{host}{path}")) } else { Err(odd(path)) };
    }
    if let Some(rest) = resource.strip_prefix("api://") {
        return if is_path(&format!("/{rest}")) { Ok(resource.to_owned()) } else { Err(odd(rest)) };
    }
    if resource.starts_with("http://") {
        return Err(format!("a resource's address begins with 'https://'; {FORMS}"));
    }
    if resource.contains('.') && parse_host(resource).is_ok() {
        return Err(format!("'https://' is missing: write 'https://{}{DEFAULT}'", shown(resource)));
    }
    Err(format!("'{}' is no resource; {FORMS}", shown(resource)))
}

fn odd(path: &str) -> String {
    format!(
        "'{}' is no path of a resource: letters, digits, '-', '.', '_' and '~' between single '/'; {FORMS}",
        shown(path)
    )
}

/// Nothing, or segments that no URL parser changes.
fn is_path(path: &str) -> bool {
    let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    let segment = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(ok);
    path.is_empty() || path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(segment))
}

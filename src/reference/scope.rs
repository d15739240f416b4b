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
        if scope.contains('@') {
            // It could be a password that stands before it.
            return Err(format!("a scope has no '@'; {FORMS}"));
        }
        let several = scope.split([' ', ',', '\t', '\n', '+']).filter(|part| !part.is_empty()).count() > 1;
        if several {
            return Err(format!("a token is for one resource, these are several scopes; {FORMS}"));
        }
        if scope.contains(char::is_whitespace) {
            return Err(format!("a scope has no blanks; {FORMS}"));
        }
        let Some(resource) = scope.strip_suffix(DEFAULT) else { return Err(Self::without_default(scope)) };
        if resource.ends_with('/') && !resource.ends_with("//") {
            let right = resource.trim_end_matches('/');
            return Err(format!("there is a '/' too many before '.default': write '{}{DEFAULT}'", shown(right)));
        }
        resource_of(resource).map(|resource| Self(format!("{resource}{DEFAULT}")))
    }

    fn without_default(scope: &str) -> String {
        let resource = scope.trim_end_matches('/');
        if resource.to_ascii_lowercase().ends_with(DEFAULT) {
            return format!("a scope ends with '{DEFAULT}', in lower case and without a '/' after it; {FORMS}");
        }
        match resource_of(resource) {
            Ok(resource) => format!("the scope does not end with '{DEFAULT}': write '{}{DEFAULT}'", shown(&resource)),
            Err(_) => format!("'{}' is no scope; {FORMS}", shown(scope)),
        }
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

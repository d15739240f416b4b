//! The paths of the vault.

use crate::Operation;

/// What a path of the vault is for; names are as sent, not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    List,
    ListVersions { name: &'a str },
    Get { name: &'a str, version: Option<&'a str> },
    Unknown,
}

impl<'a> Route<'a> {
    /// Reads a path; one slash at its end means nothing.
    pub(crate) fn of(path: &'a str) -> Self {
        let path = path.strip_suffix('/').unwrap_or(path);
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match parts.as_slice() {
            [secrets] if is(secrets, "secrets") => Self::List,
            [secrets, name] if is(secrets, "secrets") => Self::Get { name, version: None },
            [secrets, name, last] if is(secrets, "secrets") && is(last, "versions") => Self::ListVersions { name },
            [secrets, name, version] if is(secrets, "secrets") => Self::Get { name, version: Some(version) },
            _ => Self::Unknown,
        }
    }

    pub(crate) fn secret(&self) -> Option<&'a str> {
        match *self {
            Self::ListVersions { name } | Self::Get { name, .. } => Some(name),
            Self::List | Self::Unknown => None,
        }
    }

    pub(crate) fn operation(&self) -> Operation {
        match self {
            Self::List => Operation::List,
            Self::ListVersions { .. } => Operation::ListVersions,
            Self::Get { .. } => Operation::Get,
            Self::Unknown => Operation::Other,
        }
    }
}

fn is(part: &str, word: &str) -> bool {
    part.eq_ignore_ascii_case(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_operations() {
        let cases = [
            ("/secrets", Route::List),
            ("/secrets/", Route::List),
            ("/secrets/a", Route::Get { name: "a", version: None }),
            ("/secrets/a/", Route::Get { name: "a", version: None }),
            ("/secrets/a/0f", Route::Get { name: "a", version: Some("0f") }),
            ("/secrets/a/versions", Route::ListVersions { name: "a" }),
            ("/keys/a", Route::Unknown),
            ("/", Route::Unknown),
            ("/secrets/a/b/c", Route::Unknown),
        ];
        for (path, route) in cases {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }
}

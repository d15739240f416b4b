//! The paths of the vault.

use super::collection::Collection;
use crate::Operation;

/// What a path of the vault is for; names are as sent, not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    List { collection: Collection },
    ListVersions { collection: Collection, name: &'a str },
    Get { collection: Collection, name: &'a str, version: Option<&'a str> },
    Unknown,
}

impl<'a> Route<'a> {
    /// Reads a path; one slash at its end means nothing.
    pub(crate) fn of(path: &'a str) -> Self {
        let path = path.strip_suffix('/').unwrap_or(path);
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let Some((collection, parts)) = parts.split_first() else { return Self::Unknown };
        let Some(collection) = Collection::of(collection) else { return Self::Unknown };
        match *parts {
            [] => Self::List { collection },
            [name] => Self::Get { collection, name, version: None },
            [name, last] if is(last, "versions") => Self::ListVersions { collection, name },
            // They exist, but not here.
            [_, "policy" | "pending"] if collection == Collection::Certificates => Self::Unknown,
            [name, version] => Self::Get { collection, name, version: Some(version) },
            _ => Self::Unknown,
        }
    }

    pub(crate) fn collection(&self) -> Option<Collection> {
        match *self {
            Self::List { collection } | Self::ListVersions { collection, .. } | Self::Get { collection, .. } => {
                Some(collection)
            }
            Self::Unknown => None,
        }
    }

    pub(crate) fn name(&self) -> Option<&'a str> {
        match *self {
            Self::ListVersions { name, .. } | Self::Get { name, .. } => Some(name),
            Self::List { .. } | Self::Unknown => None,
        }
    }

    pub(crate) fn operation(&self) -> Operation {
        match self {
            Self::List { .. } => Operation::List,
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
        let (secrets, certificates, keys) = (Collection::Secrets, Collection::Certificates, Collection::Keys);
        let get = |collection, version| Route::Get { collection, name: "a", version };
        let cases = [
            ("/secrets", Route::List { collection: secrets }),
            ("/secrets/", Route::List { collection: secrets }),
            ("/secrets/a", get(secrets, None)),
            ("/secrets/a/", get(secrets, None)),
            ("/secrets/a/0f", get(secrets, Some("0f"))),
            ("/Secrets/a/Versions", Route::ListVersions { collection: secrets, name: "a" }),
            ("/certificates", Route::List { collection: certificates }),
            ("/certificates/a/0f", get(certificates, Some("0f"))),
            ("/certificates/a/policy", Route::Unknown),
            ("/keys/a", get(keys, None)),
            ("/keys/a/versions", Route::ListVersions { collection: keys, name: "a" }),
            ("/deletedsecrets/a", Route::Unknown),
            ("/", Route::Unknown),
            ("/secrets/a/b/c", Route::Unknown),
        ];
        for (path, route) in cases {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }
}

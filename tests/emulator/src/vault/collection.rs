//! The three collections of a vault, and how each of them is called.

use serde::{Deserialize, Serialize};

/// A collection of a vault: the first part of its paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Collection {
    /// Values, those behind certificates included.
    Secrets,
    /// Certificates, their public part only.
    Certificates,
    /// Public keys, those behind certificates included.
    Keys,
}

impl Collection {
    const ALL: [Self; 3] = [Self::Secrets, Self::Certificates, Self::Keys];

    /// Reads the first part of a path.
    pub(crate) fn of(part: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|collection| collection.plural().eq_ignore_ascii_case(part))
    }

    /// Its name in paths and permissions.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Secrets => "secrets",
            Self::Certificates => "certificates",
            Self::Keys => "keys",
        }
    }

    /// The name of one thing in it, as messages have it.
    pub(crate) fn singular(self) -> &'static str {
        match self {
            Self::Secrets => "secret",
            Self::Certificates => "certificate",
            Self::Keys => "key",
        }
    }
}

//! The one carrier of secret bytes, and what is fetched as a whole: a secret, its parts and its version.
//!
//! Knows how to keep bytes from leaking by accident. Must not know where they come from or go to.

use std::collections::BTreeMap;
use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// Secret bytes. The only way to them is [`SecretValue::expose`].
///
/// Boxed, so that the buffer cannot grow and leave a copy behind; wiped when dropped. There is deliberately no
/// `Clone`, `Display`, `Serialize`, `Deref` or `PartialEq`, and `Debug` shows nothing, not even the length.
pub struct SecretValue(Zeroizing<Box<[u8]>>);

impl SecretValue {
    /// Takes the bytes over and wipes the buffer they came in.
    pub fn new(mut bytes: Vec<u8>) -> Self {
        let boxed: Box<[u8]> = bytes.as_slice().into();
        bytes.zeroize();
        Self(Zeroizing::new(boxed))
    }

    /// The bytes. Every call site is a place where a leak could happen: keep the borrow short.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether both hold the same bytes, in a time that depends on the lengths only.
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(..)")
    }
}

/// Which piece of a secret: a plain secret has one, [`Part::Value`]; a certificate has the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The whole value.
    Value,
    /// The certificate and the intermediates above it: what a server shows.
    Fullchain,
    /// The certificate alone.
    Leaf,
    /// The intermediates alone.
    Chain,
    /// The private key.
    Key,
    /// The private key, the certificate and the intermediates, in one file that cannot be torn.
    Bundle,
    /// The topmost authority that is known.
    Ca,
    /// All of it, as PKCS#12.
    Pfx,
}

impl Part {
    /// The parts of a certificate, in the order in which they are listed to people.
    pub const OF_CERTIFICATE: [Self; 7] =
        [Self::Fullchain, Self::Leaf, Self::Chain, Self::Key, Self::Bundle, Self::Ca, Self::Pfx];

    /// The part of a certificate that the configuration calls so.
    pub fn named(name: &str) -> Option<Self> {
        Self::OF_CERTIFICATE.into_iter().find(|part| part.name() == name)
    }

    /// What the configuration and messages call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Fullchain => "fullchain",
            Self::Leaf => "leaf",
            Self::Chain => "chain",
            Self::Key => "key",
            Self::Bundle => "bundle",
            Self::Ca => "ca",
            Self::Pfx => "pfx",
        }
    }
}

/// Which edition of a secret this is, as the place it came from names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Version {
    /// The source's own version, e.g. Key Vault's 32 hexadecimal digits.
    Upstream(String),
    /// The source has no versions: a local file, a connection, a token.
    Unversioned,
    /// The how manieth different value this process has seen, where the source has no versions. A digest would be one
    /// too, but also something to check guesses against.
    Edition(u64),
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upstream(version) => f.write_str(version),
            Self::Unversioned => f.write_str("-"),
            Self::Edition(number) => write!(f, "#{number}"),
        }
    }
}

/// One secret: all its parts, of one version, from one fetch.
#[derive(Debug)]
pub struct Secret {
    /// The edition all parts are of.
    pub version: Version,
    /// The pieces by name.
    pub parts: BTreeMap<Part, SecretValue>,
    /// Why there are no others, for those that somebody may ask for. No content.
    pub missing: BTreeMap<Part, String>,
}

impl Secret {
    /// A secret of one part.
    pub fn plain(version: Version, value: SecretValue) -> Self {
        Self { version, parts: BTreeMap::from([(Part::Value, value)]), missing: BTreeMap::new() }
    }

    /// The bytes of one part.
    pub fn part(&self, part: Part) -> Option<&SecretValue> {
        self.parts.get(&part)
    }

    /// Whether a reader would see the same bytes. The version is not content: a new version with the old bytes
    /// changes nothing for anybody.
    pub fn same_content(&self, other: &Self) -> bool {
        self.parts.len() == other.parts.len()
            && self.parts.iter().all(|(part, value)| other.parts.get(part).is_some_and(|theirs| value.ct_eq(theirs)))
    }
}

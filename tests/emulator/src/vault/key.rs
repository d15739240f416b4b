//! A key's version, as a test asks for it: the public half, since the vault never shows more.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::collection::Collection;
use super::leaf;
use super::object::{Facts, Object, enabled};

/// A version of a key to put; `KeySpec::new` gives an enabled one that software keeps.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySpec {
    /// Name of the key.
    #[serde(default)]
    pub name: String,
    /// The public key.
    pub key: Jwk,
    /// Whether it can be read.
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// Expiry in Unix seconds, absent by default.
    #[serde(default)]
    pub exp: Option<i64>,
    /// Start of validity in Unix seconds, absent by default.
    #[serde(default)]
    pub nbf: Option<i64>,
    /// Tags, absent from answers if empty.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Backs a certificate: shown as managed. `put_certificate` sees to it by itself.
    #[serde(default)]
    pub certificate: bool,
    /// Version id to use instead of a random one, for ties and orders.
    #[serde(default)]
    pub version: Option<String>,
    /// Creation time to use instead of now, in Unix seconds.
    #[serde(default)]
    pub created: Option<i64>,
}

impl KeySpec {
    /// A plain enabled key.
    pub fn new(name: &str, key: Jwk) -> Self {
        Self {
            name: name.to_owned(),
            key,
            enabled: true,
            exp: None,
            nbf: None,
            tags: BTreeMap::new(),
            certificate: false,
            version: None,
            created: None,
        }
    }
}

impl Object for KeySpec {
    fn facts(&self) -> Facts<'_> {
        Facts {
            collection: Collection::Keys,
            name: &self.name,
            enabled: self.enabled,
            nbf: self.nbf,
            exp: self.exp,
            tags: &self.tags,
            version: self.version.as_deref(),
            created: self.created,
        }
    }
}

/// A public key in the members of a JWK; the vault adds the `kid`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jwk {
    /// `RSA`, `EC`, `RSA-HSM` or `EC-HSM`.
    pub kty: String,
    /// What the key may be used for; the vault's defaults if empty.
    #[serde(default)]
    pub key_ops: Vec<String>,
    /// Modulus of an RSA key, base64url.
    pub n: Option<String>,
    /// Exponent of an RSA key, base64url.
    pub e: Option<String>,
    /// Curve of an EC key: `P-256`, `P-384` or `P-521`.
    pub crv: Option<String>,
    /// First coordinate of an EC key, base64url.
    pub x: Option<String>,
    /// Second coordinate of an EC key, base64url.
    pub y: Option<String>,
}

impl Jwk {
    /// An RSA key of a base64url modulus and exponent.
    pub fn rsa(n: &str, e: &str) -> Self {
        Self { kty: "RSA".to_owned(), n: Some(n.to_owned()), e: Some(e.to_owned()), ..Self::default() }
    }

    /// An EC key of a curve and two base64url coordinates.
    pub fn ec(crv: &str, x: &str, y: &str) -> Self {
        let (crv, x, y) = (Some(crv.to_owned()), Some(x.to_owned()), Some(y.to_owned()));
        Self { kty: "EC".to_owned(), crv, x, y, ..Self::default() }
    }

    /// Reads a DER public key, as `openssl pkey -pubout -outform der` writes it; none if it is of no kind the vault has.
    pub fn from_spki(der: &[u8]) -> Option<Self> {
        leaf::public_key(der)
    }

    /// The same key kept by an HSM.
    pub fn in_hsm(mut self) -> Self {
        self.kty.push_str("-HSM");
        self
    }

    pub(crate) fn is_in_hsm(&self) -> bool {
        self.kty.ends_with("-HSM")
    }
}

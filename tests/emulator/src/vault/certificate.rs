//! A certificate's version, as a test asks for it, and what the vault makes of it.
//!
//! The material is ready-made, by a real CA tool: the vault reads the leaf and never opens a PFX.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Deserializer};

use super::collection::Collection;
use super::key::{Jwk, KeySpec};
use super::leaf;
use super::object::{Facts, Object, enabled};
use super::secret::SecretSpec;

/// Content type of a secret that holds a PFX.
pub(crate) const PKCS12: &str = "application/x-pkcs12";
/// Content type of a secret that holds PEM.
pub(crate) const PEM: &str = "application/x-pem-file";

/// The value of the secret behind a certificate.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stored {
    /// PEM text: the PKCS#8 key first, then the certificates.
    Pem(String),
    /// A PFX without a password.
    Pfx {
        /// The file in standard base64, on one line.
        base64: String,
        /// What the service's own conversion to PEM would give.
        #[serde(default)]
        pem: Option<String>,
    },
}

impl Stored {
    fn pem(&self) -> Option<&str> {
        match self {
            Self::Pem(pem) => Some(pem),
            Self::Pfx { pem, .. } => pem.as_deref(),
        }
    }

    pub(crate) fn content_type(&self) -> &'static str {
        match self {
            Self::Pem(_) => PEM,
            Self::Pfx { .. } => PKCS12,
        }
    }
}

/// Shows how it is stored, never what.
impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pem(_) => "Pem",
            Self::Pfx { .. } => "Pfx",
        })
    }
}

/// A version of a certificate to put; `CertificateSpec::new` gives an enabled and exportable one.
///
/// A certificate that is not exportable is asked for with `exportable: false` *and* without a private key in `stored`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateSpec {
    /// Name of the certificate, and of the secret and the key behind it.
    #[serde(default)]
    pub name: String,
    /// The value of the secret behind it.
    pub stored: Stored,
    /// The leaf; if empty, the first certificate of the PEM in `stored`. Standard base64 in JSON.
    #[serde(default, deserialize_with = "base64")]
    pub leaf_der: Vec<u8>,
    /// Whether it, its secret and its key can be read.
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// Expiry in Unix seconds; the leaf's own by default.
    #[serde(default)]
    pub exp: Option<i64>,
    /// Start of validity in Unix seconds; the leaf's own by default.
    #[serde(default)]
    pub nbf: Option<i64>,
    /// Whether the policy lets the private key out.
    #[serde(default = "enabled")]
    pub exportable: bool,
    /// The public key; the leaf's own by default.
    #[serde(default)]
    pub key: Option<Jwk>,
    /// Still being issued: disabled, without a leaf, and nothing behind it yet.
    #[serde(default)]
    pub in_creation: bool,
    /// Tags, absent from answers if empty.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Version id to use instead of a random one, for ties and orders.
    #[serde(default)]
    pub version: Option<String>,
    /// Creation time to use instead of now, in Unix seconds.
    #[serde(default)]
    pub created: Option<i64>,
}

fn base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    STANDARD.decode(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

impl CertificateSpec {
    /// An enabled and exportable certificate whose leaf, times and key are read from the PEM.
    pub fn new(name: &str, stored: Stored) -> Self {
        Self {
            name: name.to_owned(),
            stored,
            leaf_der: Vec::new(),
            enabled: true,
            exp: None,
            nbf: None,
            exportable: true,
            key: None,
            in_creation: false,
            tags: BTreeMap::new(),
            version: None,
            created: None,
        }
    }

    /// Fills in what can be read from the material; none if there is no leaf in it, unless it is still to come.
    pub(crate) fn completed(mut self) -> Option<Self> {
        if self.in_creation && self.stored.pem().is_none_or(str::is_empty) {
            return Some(self);
        }
        if self.leaf_der.is_empty() {
            self.leaf_der = CertificateDer::from_pem_slice(self.stored.pem()?.as_bytes()).ok()?.to_vec();
        }
        let leaf = leaf::read(&self.leaf_der)?;
        self.nbf = self.nbf.or(Some(leaf.nbf));
        self.exp = self.exp.or(Some(leaf.exp));
        self.key = self.key.or(leaf.key);
        Some(self)
    }

    /// The secret behind a version of it.
    pub(crate) fn secret(&self, id: &str) -> SecretSpec {
        let value = match &self.stored {
            Stored::Pem(pem) => pem,
            Stored::Pfx { base64, .. } => base64,
        };
        SecretSpec {
            content_type: Some(self.stored.content_type().to_owned()),
            enabled: self.enabled,
            exp: self.exp,
            nbf: self.nbf,
            tags: self.tags.clone(),
            certificate: true,
            version: Some(id.to_owned()),
            created: self.created,
            ..SecretSpec::new(&self.name, value)
        }
    }

    /// The key behind a version of it, if it is of a kind the vault has.
    pub(crate) fn backing_key(&self, id: &str) -> Option<KeySpec> {
        Some(KeySpec {
            enabled: self.enabled,
            exp: self.exp,
            nbf: self.nbf,
            tags: self.tags.clone(),
            certificate: true,
            version: Some(id.to_owned()),
            created: self.created,
            ..KeySpec::new(&self.name, self.key.clone()?)
        })
    }
}

impl Object for CertificateSpec {
    fn facts(&self) -> Facts<'_> {
        Facts {
            collection: Collection::Certificates,
            name: &self.name,
            enabled: self.enabled && !self.in_creation,
            nbf: self.nbf,
            exp: self.exp,
            tags: &self.tags,
            version: self.version.as_deref(),
            created: self.created,
        }
    }
}

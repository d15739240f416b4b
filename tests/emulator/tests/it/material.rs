//! Certificates from a real CA tool, in the forms a vault stores.

use base64::{Engine, engine::general_purpose::STANDARD};
use keyferry_emulator::{CertificateSpec, Stored};
use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm, date_time_ymd};

/// 2024-01-01 and 2034-01-01.
pub(crate) const VALID: (i64, i64) = (1_704_067_200, 2_019_686_400);

/// A key with its certificate.
pub(crate) struct Issued {
    pub(crate) leaf_der: Vec<u8>,
    /// The key, then the certificate.
    pub(crate) pem: String,
}

impl Issued {
    pub(crate) fn new() -> Self {
        Self::with(&rcgen::PKCS_ECDSA_P256_SHA256)
    }

    pub(crate) fn with(algorithm: &'static SignatureAlgorithm) -> Self {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let mut params = CertificateParams::new(["tls.localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2024, 1, 1);
        params.not_after = date_time_ymd(2034, 1, 1);
        let certificate = params.self_signed(&key).unwrap();
        let pem = format!("{}{}", key.serialize_pem(), certificate.pem());
        Self { leaf_der: certificate.der().to_vec(), pem }
    }

    pub(crate) fn as_pem(&self, name: &str) -> CertificateSpec {
        CertificateSpec::new(name, Stored::Pem(self.pem.clone()))
    }

    /// A PFX whose conversion is known; the vault does not open it, so any bytes will do.
    pub(crate) fn as_pfx(&self, name: &str) -> CertificateSpec {
        CertificateSpec::new(name, Stored::Pfx { base64: pfx(), pem: Some(self.pem.clone()) })
    }
}

pub(crate) fn pfx() -> String {
    STANDARD.encode([0x30; 70])
}

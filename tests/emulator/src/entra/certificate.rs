//! Certificates that stand for clients, and the assertions signed with their keys.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use webpki::EndEntityCert;
use webpki::aws_lc_rs::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256_LEGACY_KEY};

use super::jwt::Jwt;
use super::refusal::EntraRefusal;
use crate::Error;

/// A certificate that an app has registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientCertificate(CertificateDer<'static>);

impl ClientCertificate {
    /// Reads the first certificate of a PEM file, which may hold its key too.
    pub(crate) fn read(pem: &str) -> Result<Self, Error> {
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes())?;
        EndEntityCert::try_from(&certificate)?;
        Ok(Self(certificate))
    }

    /// Makes a key and a certificate for it; gives both in PEM, the key first.
    pub(crate) fn make(client: &str) -> Result<(Self, String), Error> {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256)?;
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, client);
        let certificate = parameters.self_signed(&key)?;
        let pem = format!("{}{}", key.serialize_pem(), certificate.pem());
        Ok((Self(certificate.der().clone()), pem))
    }

    /// Whether an assertion names this certificate by one of its two thumbprints.
    fn is_named_by(&self, jwt: &Jwt<'_>) -> bool {
        let thumbprint = |algorithm| URL_SAFE_NO_PAD.encode(digest(algorithm, &self.0).as_ref());
        match (jwt.header["x5t#S256"].as_str(), jwt.header["x5t"].as_str()) {
            (Some(named), _) => named.trim_end_matches('=') == thumbprint(&SHA256),
            (None, Some(named)) => named.trim_end_matches('=') == thumbprint(&SHA1_FOR_LEGACY_USE_ONLY),
            (None, None) => false,
        }
    }

    fn has_signed(&self, jwt: &Jwt<'_>) -> bool {
        let algorithm: &dyn SignatureVerificationAlgorithm = match jwt.header["alg"].as_str() {
            Some("RS256") => RSA_PKCS1_2048_8192_SHA256,
            Some("PS256") => RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
            _ => return false,
        };
        EndEntityCert::try_from(&self.0).is_ok_and(|certificate| {
            certificate.verify_signature(algorithm, jwt.signed.as_bytes(), &jwt.signature).is_ok()
        })
    }
}

/// Makes all the checks of an assertion that a client has signed itself.
pub(crate) fn check(
    jwt: &Jwt<'_>,
    certificates: &[ClientCertificate],
    client: &str,
    endpoint: &str,
    now: i64,
) -> Result<(), EntraRefusal> {
    let Some(certificate) = certificates.iter().find(|certificate| certificate.is_named_by(jwt)) else {
        return Err(EntraRefusal::unregistered_certificate());
    };
    if !certificate.has_signed(jwt) {
        return Err(EntraRefusal::bad_signature());
    }
    if !jwt.claims["sub"].as_str().is_some_and(|subject| subject.eq_ignore_ascii_case(client)) {
        return Err(EntraRefusal::another_client());
    }
    if !jwt.audiences().iter().any(|audience| audience == endpoint) {
        return Err(EntraRefusal::another_endpoint());
    }
    let from = jwt.time("nbf").unwrap_or(i64::MIN);
    let until = jwt.time("exp").ok_or_else(EntraRefusal::malformed_assertion)?;
    if now < from || now >= until {
        return Err(EntraRefusal::outside_its_time(now, from.max(0), until));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_reads_back_from_the_file_it_comes_in() {
        let (certificate, pem) = ClientCertificate::make("client").unwrap();
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----"));
        assert_eq!(ClientCertificate::read(&pem).unwrap(), certificate);
        assert!(ClientCertificate::read("no certificate").is_err());
    }
}

//! An application's certificate: an assertion signed with its key is exchanged for a token (learn.microsoft.com,
//! "Microsoft identity platform application authentication certificate credentials").

use std::path::PathBuf;

use azure_core::Error;
use azure_core::error::ErrorKind;
use azure_core::http::{ClientMethodOptions, ClientOptions};
use azure_identity::{ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, Signer};
use rustls::{SignatureAlgorithm, SignatureScheme};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::file::Kept;
use super::grant;
use crate::azure::tokens::{Exchange, Token};
use crate::config::cloud::Cloud;
use crate::config::identity::ClientCertificate;
use crate::failure::{Blame, Code, Failure, Kind};
use crate::moment::{Clock, UnixTime};
use crate::secret::SecretValue;

/// An assertion is used once, at once; this allows for clocks that differ.
const LIFE_SECONDS: u64 = 600;

/// Signs in with the certificate of one client.
#[derive(Debug)]
pub(super) struct Certificate {
    tenant: String,
    client: String,
    file: PathBuf,
    audience: String,
    options: ClientOptions,
}

impl Certificate {
    pub(super) fn new(certificate: &ClientCertificate, cloud: &Cloud, options: &ClientOptions) -> Self {
        let ClientCertificate { tenant, client, file } = certificate.clone();
        let audience = format!("{}/{tenant}/oauth2/v2.0/token", cloud.authority);
        Self { tenant, client, file, audience, options: grant::at_authority(options, cloud) }
    }

    /// The file is read anew: a renewed certificate is used at once.
    fn assertion(&self, now: UnixTime) -> Result<String, Failure> {
        let file = Kept { code: "certificate", called: "certificate file", path: &self.file };
        let pem = file.read()?;
        let (certificate, signer) = parse(&file, pem.expose())?;
        let failed = || Failure::new(Blame::Identity, Kind::Outage, Code::new("certificate-signing"));
        let mut id = [0; 16];
        aws_lc_rs::default_provider().secure_random.fill(&mut id).map_err(|_| failed())?;
        let now = now.since_epoch().as_secs();
        let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(&certificate));
        let header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint});
        let claims = json!({
            "aud": self.audience, "iss": self.client, "sub": self.client, "jti": hex::encode(id),
            "nbf": now, "iat": now, "exp": now.saturating_add(LIFE_SECONDS),
        });
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = signer.sign(signed.as_bytes()).map_err(|_| failed())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// The certificate of the key, among all that the file holds, and what signs with the key.
fn parse(file: &Kept<'_>, pem: &[u8]) -> Result<(CertificateDer<'static>, Box<dyn Signer>), Failure> {
    let unusable = |problem: &str, detail: &str| file.failure(Kind::Denied, problem, detail);
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        let is_encrypted = pem.windows(9).any(|window| window == b"ENCRYPTED");
        if is_encrypted {
            unusable("encrypted", "holds a key under a password, which is not supported")
        } else {
            unusable("without-key", "holds no private key in PEM (-----BEGIN PRIVATE KEY-----)")
        }
    })?;
    let key = aws_lc_rs::sign::any_supported_type(&key)
        .map_err(|_| unusable("without-key", "holds a private key that cannot be read"))?;
    if key.algorithm() != SignatureAlgorithm::RSA {
        return Err(unusable("not-rsa", "holds a key that is not RSA, and Entra takes no other"));
    }
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect();
    if certificates.is_empty() {
        return Err(unusable("malformed", "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)"));
    }
    let signer = key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]);
    let mut matching = certificates.into_iter().map(|certificate| CertifiedKey::new(vec![certificate], key.clone()));
    let certificate = matching.find(|pair| pair.keys_match().is_ok()).and_then(|pair| pair.cert.into_iter().next());
    certificate.zip(signer).ok_or_else(|| unusable("of-another-key", "holds no certificate of its private key"))
}

#[async_trait::async_trait]
impl Exchange for Certificate {
    async fn exchange(&self, scope: &str, clock: &Clock) -> Result<Token, Failure> {
        let assertion = Assertion(SecretValue::new(self.assertion(clock().wall)?.into_bytes()));
        let credential = ClientAssertionCredential::new(
            self.tenant.clone(),
            self.client.clone(),
            assertion,
            Some(ClientAssertionCredentialOptions { client_options: grant::read_by_us(&self.options, clock) }),
        );
        grant::token(credential, scope, clock).await
    }
}

/// A signed assertion, as the SDK wants it.
#[derive(Debug)]
struct Assertion(SecretValue);

#[async_trait::async_trait]
impl ClientAssertion for Assertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        String::from_utf8(self.0.expose().to_vec()).map_err(|_| Error::with_message(ErrorKind::Credential, "no text"))
    }
}

#[cfg(test)]
mod tests;

//! Federated tokens: the cluster that signs them, and how Entra reads one that it is shown.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Value, json};

use super::directory::{DEFAULT_AUDIENCE, DEFAULT_ISSUER, DEFAULT_SUBJECT};
use super::jwt::Jwt;
use super::refusal::EntraRefusal;
use crate::{Error, clock, random};

const KEY_ID: &str = "emulator-cluster-key";

/// A federated token to mint; the default is one the default app accepts for an hour.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Assertion {
    /// The service account.
    pub subject: String,
    /// The cluster's issuer.
    pub issuer: String,
    /// Whom the token is for.
    pub audience: String,
    /// Seconds from the true time to the token's issue; negative is in the past.
    pub issued_at: i64,
    /// Seconds from issue to expiry.
    pub lifetime: i64,
    /// Sign with a key that the issuer does not publish.
    pub foreign_key: bool,
}

impl Default for Assertion {
    fn default() -> Self {
        Self {
            subject: DEFAULT_SUBJECT.to_owned(),
            issuer: DEFAULT_ISSUER.to_owned(),
            audience: DEFAULT_AUDIENCE.to_owned(),
            issued_at: 0,
            lifetime: 3600,
            foreign_key: false,
        }
    }
}

/// What a well-formed federated token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) audiences: Vec<String>,
    pub(crate) not_before: i64,
    pub(crate) expires: i64,
}

/// The Kubernetes cluster whose tokens Entra trusts, with a key of its own.
#[derive(Debug)]
pub(crate) struct Cluster {
    key: EcdsaKeyPair,
    foreign: EcdsaKeyPair,
}

impl Cluster {
    pub(crate) fn new() -> Result<Self, Error> {
        let key = || EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        Ok(Self { key: key()?, foreign: key()? })
    }

    /// Mints a token shaped like a projected service account token.
    pub(crate) fn mint(&self, assertion: &Assertion) -> Result<String, Error> {
        let issued = clock::true_now() + assertion.issued_at;
        let mut parts = assertion.subject.split(':').skip(2);
        let (namespace, account) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let header = json!({"alg": "ES256", "kid": KEY_ID, "typ": "JWT"});
        let claims = json!({
            "aud": [assertion.audience],
            "exp": issued + assertion.lifetime,
            "iat": issued,
            "iss": assertion.issuer,
            "jti": random::guid(),
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": account}},
            "nbf": issued,
            "sub": assertion.subject,
        });
        let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encoded(&header), encoded(&claims));
        let key = if assertion.foreign_key { &self.foreign } else { &self.key };
        let signature = key.sign(&SystemRandom::new(), signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Checks that the cluster has signed a token.
    pub(crate) fn verify(&self, jwt: &Jwt<'_>) -> Result<(), EntraRefusal> {
        if jwt.header["alg"] != "ES256" {
            return Err(EntraRefusal::malformed_assertion());
        }
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.key.public_key().as_ref())
            .verify(jwt.signed.as_bytes(), &jwt.signature)
            .map_err(|_| EntraRefusal::bad_signature())
    }
}

impl Claims {
    /// Reads the claims; whether they are true is for the issuer's keys to say.
    pub(crate) fn of(jwt: &Jwt<'_>) -> Option<Self> {
        let text = |name: &str| jwt.claims[name].as_str().map(str::to_owned);
        Some(Self {
            issuer: text("iss")?,
            subject: text("sub")?,
            audiences: jwt.audiences(),
            not_before: jwt.time("nbf")?,
            expires: jwt.time("exp")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_token_reads_back() {
        let cluster = Cluster::new().unwrap();
        let token = cluster.mint(&Assertion { lifetime: 600, issued_at: -60, ..Default::default() }).unwrap();
        let jwt = Jwt::read(&token).unwrap();
        cluster.verify(&jwt).unwrap();
        let claims = Claims::of(&jwt).unwrap();
        assert_eq!(claims.subject, DEFAULT_SUBJECT);
        assert_eq!(claims.expires - claims.not_before, 600);
    }

    #[test]
    fn a_foreign_key_and_a_changed_token_do_not_verify() {
        let cluster = Cluster::new().unwrap();
        let foreign = cluster.mint(&Assertion { foreign_key: true, ..Default::default() }).unwrap();
        assert_eq!(cluster.verify(&Jwt::read(&foreign).unwrap()), Err(EntraRefusal::bad_signature()));
    }

    #[test]
    fn a_line_break_behind_the_token_is_malformed() {
        let cluster = Cluster::new().unwrap();
        let token = cluster.mint(&Assertion::default()).unwrap();
        for wrong in [format!("{token}\n"), format!(" {token}"), String::new(), "a.b".to_owned()] {
            assert!(Jwt::read(&wrong).is_none(), "{wrong:?}");
        }
    }
}

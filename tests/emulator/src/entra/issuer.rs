//! Issuers other than the emulator's own cluster, and the keys that they publish.

use std::collections::HashMap;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use super::jwt::Jwt;
use super::refusal::EntraRefusal;
use crate::Error;

/// The RSA keys of an issuer, as its JWKS holds them.
#[derive(Debug)]
pub(crate) struct IssuerKeys(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: String,
    public: RsaPublicKeyComponents<Vec<u8>>,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

/// A key of any type; the members are those of RSA.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl IssuerKeys {
    /// Reads a JWKS; keys of other types are passed over.
    pub(crate) fn read(jwks: &str) -> Result<Self, Error> {
        let jwks: Jwks = serde_json::from_str(jwks).map_err(Error::NotJwks)?;
        let of_rsa = jwks.keys.into_iter().filter(|key| key.kty == "RSA");
        let keys = of_rsa.map(Key::of).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(Error::NoRsaKey);
        }
        Ok(Self(keys))
    }

    /// Checks that one of the keys, the one that the token names, has signed it.
    fn verify(&self, jwt: &Jwt<'_>) -> Result<(), EntraRefusal> {
        if jwt.header["alg"] != "RS256" {
            return Err(EntraRefusal::malformed_assertion());
        }
        let key = self.0.iter().find(|key| jwt.header["kid"] == key.id.as_str());
        let key = key.ok_or_else(EntraRefusal::unpublished_key)?;
        key.public
            .verify(&RSA_PKCS1_2048_8192_SHA256, jwt.signed.as_bytes(), &jwt.signature)
            .map_err(|_| EntraRefusal::bad_signature())
    }
}

impl Key {
    fn of(key: Jwk) -> Result<Self, Error> {
        let id = key.kid.ok_or(Error::BadRsaKey { id: String::new() })?;
        let bad = || Error::BadRsaKey { id: id.clone() };
        let decoded = |member: Option<String>| URL_SAFE_NO_PAD.decode(member?).ok();
        let (n, e) = (decoded(key.n).ok_or_else(bad)?, decoded(key.e).ok_or_else(bad)?);
        let public = RsaPublicKeyComponents { n, e };
        // Only to see that it is a key.
        let _: PublicKeyX509Der<'_> = public.as_der().map_err(|_| bad())?;
        Ok(Self { id, public })
    }
}

/// The issuers whose keys are known, by their URLs.
#[derive(Debug, Default)]
pub(crate) struct Issuers(HashMap<String, IssuerKeys>);

impl Issuers {
    /// Trusts an issuer's keys, in place of those it had before.
    pub(crate) fn trust(&mut self, issuer: &str, keys: IssuerKeys) {
        self.0.insert(issuer.to_owned(), keys);
    }

    /// Checks the signature of a token by the keys of the issuer; nothing if the issuer is not one of these.
    pub(crate) fn verify(&self, issuer: &str, jwt: &Jwt<'_>) -> Option<Result<(), EntraRefusal>> {
        self.0.get(issuer).map(|keys| keys.verify(jwt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error of a JWKS with these keys.
    fn error(keys: &str) -> String {
        IssuerKeys::read(&format!(r#"{{"keys": [{keys}]}}"#)).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_jwks_with_an_rsa_key_is_refused() {
        assert_eq!(IssuerKeys::read("kind: Pod").unwrap_err().to_string().split(':').next(), Some("not a JWKS"));
        assert!(matches!(IssuerKeys::read(r#"{"kty": "RSA"}"#), Err(Error::NotJwks(_))));
        assert_eq!(error(""), "the JWKS has no RSA key");
        assert_eq!(error(r#"{"kty": "EC", "kid": "a", "crv": "P-256", "x": "eA", "y": "eQ"}"#), error(""));
        let bad = "the JWKS has a bad RSA key, with the kid 'a': it needs kid, n and e, the last two in base64url";
        for key in [
            r#"{"kty": "RSA", "kid": "a"}"#,
            r#"{"kty": "RSA", "kid": "a", "n": "+", "e": "AQAB"}"#,
            r#"{"kty": "RSA", "kid": "a", "n": "", "e": "AQAB"}"#,
        ] {
            assert_eq!(error(key), bad, "{key}");
        }
    }
}

//! Private keys: one form for all of them, PKCS#8, and the public key that belongs to each.

use aws_lc_rs::agreement::{self, Algorithm};
use zeroize::Zeroizing;

use super::x509::PublicKey;
use crate::der::{self, INTEGER, Malformed, NULL, OCTET_STRING, OID, Reader, SEQUENCE, context};
use crate::secret::SecretValue;

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

/// The curves whose points can be computed, by their object identifiers.
const CURVES: [(&[u8], &Algorithm); 3] = [
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07], &agreement::ECDH_P256),
    (&[0x2b, 0x81, 0x04, 0x00, 0x22], &agreement::ECDH_P384),
    (&[0x2b, 0x81, 0x04, 0x00, 0x23], &agreement::ECDH_P521),
];

/// Why a private key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadKey {
    /// It is not what its encoding says.
    Damaged,
    /// It is of no kind that is known here.
    Kind,
}

impl From<Malformed> for BadKey {
    fn from(_: Malformed) -> Self {
        Self::Damaged
    }
}

/// A private key.
#[derive(Debug)]
pub(super) struct PrivateKey {
    /// PKCS#8, version 1, without attributes: what every reader of keys understands.
    pub(super) pkcs8: SecretValue,
    /// What the certificate must carry.
    pub(super) public_key: PublicKey,
}

impl PrivateKey {
    /// Reads PKCS#8, of either version and with attributes, which Key Vault appends to the keys that it makes.
    pub(super) fn read(der: &[u8]) -> Result<Self, BadKey> {
        let mut info = Reader::only(der, SEQUENCE)?.inside();
        info.take(INTEGER)?;
        let algorithm = info.take(SEQUENCE)?;
        let key = info.octets()?;
        let mut parameters = algorithm.inside();
        let id = parameters.take(OID)?.body;
        let public_key = match id {
            RSA | RSA_PSS => PublicKey { algorithm: id.to_vec(), curve: None, bits: rsa_public_key(&key)? },
            EC => {
                let curve = parameters.take_if(OID)?.ok_or(BadKey::Kind)?;
                PublicKey { algorithm: id.to_vec(), curve: Some(curve.body.to_vec()), bits: point(curve.body, &key)? }
            }
            _ => return Err(BadKey::Kind),
        };
        let key = der::wrap(OCTET_STRING, &[&key]);
        let mut pkcs8 = der::wrap(SEQUENCE, &[&der::unsigned(&[0]), algorithm.whole, &key]);
        Ok(Self { pkcs8: SecretValue::new(std::mem::take(&mut pkcs8)), public_key })
    }

    /// Reads PKCS#1, which holds RSA keys.
    pub(super) fn read_pkcs1(der: &[u8]) -> Result<Self, BadKey> {
        Self::read(&pkcs8(&[&der::wrap(OID, &[RSA]), &der::wrap(NULL, &[])], der))
    }

    /// Reads SEC 1, which holds keys on a curve that it names.
    pub(super) fn read_sec1(der: &[u8]) -> Result<Self, BadKey> {
        let mut key = Reader::only(der, SEQUENCE)?.inside();
        key.take(INTEGER)?;
        key.take(OCTET_STRING)?;
        let curve = key.enter(context(0))?.take(OID)?.whole;
        Self::read(&pkcs8(&[&der::wrap(OID, &[EC]), curve], der))
    }
}

fn pkcs8(algorithm: &[&[u8]], key: &[u8]) -> Zeroizing<Vec<u8>> {
    let algorithm = der::wrap(SEQUENCE, algorithm);
    der::wrap(SEQUENCE, &[&der::unsigned(&[0]), &algorithm, &der::wrap(OCTET_STRING, &[key])])
}

/// `RSAPublicKey` of an `RSAPrivateKey`: the first two numbers of it.
fn rsa_public_key(key: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut numbers = Reader::only(key, SEQUENCE)?.inside();
    numbers.take(INTEGER)?;
    let (modulus, exponent) = (numbers.take(INTEGER)?, numbers.take(INTEGER)?);
    Ok(der::wrap(SEQUENCE, &[modulus.whole, exponent.whole]).to_vec())
}

/// The point that belongs to an `ECPrivateKey`: computed, or on a curve that is not known here the one it comes with.
fn point(curve: &[u8], key: &[u8]) -> Result<Vec<u8>, BadKey> {
    let mut fields = Reader::only(key, SEQUENCE)?.inside();
    fields.take(INTEGER)?;
    fields.take(OCTET_STRING)?;
    let Some((_, algorithm)) = CURVES.iter().find(|(oid, _)| *oid == curve) else {
        fields.take_if(context(0))?;
        return fields.take_if(context(1))?.map_or(Err(BadKey::Kind), |point| Ok(point.inside().bits()?.to_vec()));
    };
    // Names the curve for a key that leaves it to what is around it.
    let named = pkcs8(&[&der::wrap(OID, &[EC]), &der::wrap(OID, &[curve])], key);
    let private = agreement::PrivateKey::from_private_key_der(algorithm, &named).map_err(|_| BadKey::Damaged)?;
    let public = private.compute_public_key().map_err(|_| BadKey::Damaged)?;
    Ok(public.as_ref().to_vec())
}

//! Turns a key as Key Vault shows it, a JWK, into the PEM that everybody reads.
//!
//! Pure. Only public members are read: the vault has no others to give.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::der::{self, BIT_STRING, NULL, OID, SEQUENCE};
use crate::pem::{self, Kind};
use crate::secret::SecretValue;

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

/// The curves of Key Vault: name, object identifier, bytes of a coordinate.
const CURVES: [(&str, &[u8], usize); 4] = [
    ("P-256", &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07], 32),
    ("P-384", &[0x2b, 0x81, 0x04, 0x00, 0x22], 48),
    ("P-521", &[0x2b, 0x81, 0x04, 0x00, 0x23], 66),
    ("P-256K", &[0x2b, 0x81, 0x04, 0x00, 0x0a], 32),
];

/// More digits than the largest RSA key that anybody uses.
const MOST_RSA_BYTES: usize = 16_384 / 8;

/// A JSON web key (RFC 7517), as far as it is public.
#[derive(Debug, Deserialize)]
pub struct Jwk {
    kty: String,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// Why there is no public key to be had. Says nothing of the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Only the vault has it.
    #[error("the key is symmetric (oct): it has no public half, and the vault does not give it away")]
    Symmetric,
    /// Neither RSA nor on a curve.
    #[error("the key's type is none that keyferry knows: it writes RSA, RSA-HSM, EC and EC-HSM keys")]
    Kind,
    /// An unknown curve.
    #[error("the key's curve is none that keyferry knows: it writes P-256, P-384, P-521 and P-256K")]
    Curve,
    /// A number is missing, is not base64url, or has a size that such a key does not have.
    #[error("the key's '{0}' is missing or is no number of such a key")]
    Number(&'static str),
}

impl Jwk {
    /// The key as PEM (`PUBLIC KEY`): what `openssl pkey -pubin` and every library reads.
    pub fn to_pem(&self) -> Result<SecretValue, Unusable> {
        let (algorithm, key) = match self.kty.as_str() {
            "RSA" | "RSA-HSM" => self.rsa()?,
            "EC" | "EC-HSM" => self.ec()?,
            "oct" | "oct-HSM" => return Err(Unusable::Symmetric),
            _ => return Err(Unusable::Kind),
        };
        let bits = der::wrap(BIT_STRING, &[&[0], &key]);
        let mut text = Zeroizing::new(Vec::new());
        pem::write(&mut text, Kind::PublicKey, &der::wrap(SEQUENCE, &[&algorithm, &bits]));
        Ok(SecretValue::new(std::mem::take(&mut text)))
    }

    fn rsa(&self) -> Result<Parts, Unusable> {
        let (modulus, exponent) = (number("n", self.n.as_deref())?, number("e", self.e.as_deref())?);
        for (name, digits) in [("n", &modulus), ("e", &exponent)] {
            if digits.is_empty() || digits.len() > MOST_RSA_BYTES {
                return Err(Unusable::Number(name));
            }
        }
        let key = der::wrap(SEQUENCE, &[&der::unsigned(&modulus), &der::unsigned(&exponent)]);
        Ok((der::wrap(SEQUENCE, &[&der::wrap(OID, &[RSA]), &der::wrap(NULL, &[])]), key))
    }

    fn ec(&self) -> Result<Parts, Unusable> {
        let curve = CURVES.iter().find(|(name, ..)| self.crv.as_deref() == Some(name));
        let (_, id, size) = *curve.ok_or(Unusable::Curve)?;
        // A point that is not compressed.
        let mut point = Zeroizing::new(vec![4]);
        for (name, text) in [("x", &self.x), ("y", &self.y)] {
            let digits = number(name, text.as_deref())?;
            let zeros = size.checked_sub(digits.len()).ok_or(Unusable::Number(name))?;
            point.extend(std::iter::repeat_n(0, zeros));
            point.extend(digits);
        }
        Ok((der::wrap(SEQUENCE, &[&der::wrap(OID, &[EC]), &der::wrap(OID, &[id])]), point))
    }
}

/// The algorithm's identifier, and the key itself.
type Parts = (Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>);

/// The digits of a number, without zeros before it.
fn number(name: &'static str, text: Option<&str>) -> Result<Vec<u8>, Unusable> {
    let text = text.ok_or(Unusable::Number(name))?;
    let digits = URL_SAFE_NO_PAD.decode(text).map_err(|_| Unusable::Number(name))?;
    Ok(digits.into_iter().skip_while(|digit| *digit == 0).collect())
}

#[cfg(test)]
mod tests;

//! Turns what Key Vault stores for a certificate, PEM or PKCS#12, into the parts that people use.
//!
//! Pure, and safe with whatever it is given: no recursion, bounded work. Its errors name what is wrong, never a value.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::moment::UnixTime;
use crate::pem::{self, Kind};
use crate::secret::{Part, SecretValue};
use chain::Chain;
use key::{BadKey, PrivateKey};
use x509::X509;

mod chain;
mod cipher;
mod key;
mod pkcs12;
mod x509;

/// More certificates than any chain has, in one stored value.
const MOST_CERTIFICATES: usize = 256;
/// More keys than any renewal leaves behind.
const MOST_KEYS: usize = 16;

/// A certificate, opened. Every part of [`Part::OF_CERTIFICATE`] is either in `parts` or in `missing`.
#[derive(Debug)]
pub struct Certificate {
    /// The pieces that there are.
    pub parts: BTreeMap<Part, SecretValue>,
    /// Why the others are not there.
    pub missing: BTreeMap<Part, Missing>,
    /// When the leaf ends.
    pub not_after: UnixTime,
}

/// Why a certificate lacks a part, while others can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// No private key is stored.
    #[error(
        "the vault gives no private key for this certificate, so there is no {}: its policy is not exportable, as for \
         every key in an HSM; take fullchain, leaf, chain or ca, or renew it with exportable: true in its policy", .0.name()
    )]
    Key(Part),
    /// It is stored as PEM.
    #[error(
        "the certificate is stored as PEM, so there is no pfx: take bundle, or renew it with the content type \
         application/x-pkcs12 in its policy"
    )]
    Pfx,
    /// Only the leaf is stored.
    #[error(
        "the vault stores no issuer of this certificate, so there is no ca: import it together with its chain, or take \
         the issuer's certificate from elsewhere"
    )]
    Ca,
}

/// Why a stored value is no certificate that can be used. Says nothing of the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// What is stored as PEM is none.
    #[error("the stored certificate is said to be PEM, but has no whole PEM block")]
    Pem,
    /// What is not PEM must be base64.
    #[error("the stored certificate is neither PEM nor base64 of PKCS#12")]
    Neither,
    /// Not the structure that RFC 7292 describes.
    #[error("the PKCS#12 container of the certificate is damaged")]
    Container,
    /// The container's checksum or padding is wrong.
    #[error(
        "the PKCS#12 container of the certificate is damaged or has a password: Key Vault stores containers without; \
         import the certificate again with `az keyvault certificate import --password`"
    )]
    Password,
    /// The container uses what is not known here.
    #[error(
        "the PKCS#12 container of the certificate uses {0}, which keyferry does not read: renew or import it again \
         with the content type application/x-pem-file in its policy"
    )]
    Unsupported(&'static str),
    /// The container asks for too many rounds.
    #[error(
        "the PKCS#12 container of the certificate asks for more rounds of key derivation than keyferry is willing to \
         spend: renew or import it again with the content type application/x-pem-file in its policy"
    )]
    Effort,
    /// A certificate is no X.509.
    #[error("a stored certificate is damaged: it is not X.509 in DER")]
    Certificate,
    /// A private key is none.
    #[error("the stored private key is damaged")]
    Key,
    /// A key of another kind.
    #[error("the stored private key is neither an RSA key nor one on a curve that keyferry knows")]
    KeyKind,
    /// A passphrase protects the key.
    #[error("the stored private key has a passphrase: import the certificate again with a key that has none")]
    EncryptedKey,
    /// No certificate.
    #[error("no certificate is stored in this value")]
    Empty,
    /// More than any chain has.
    #[error("more certificates or keys are stored in one value than any chain has")]
    TooMany,
    /// The key is another certificate's.
    #[error("the stored private key belongs to none of the stored certificates: import both again, from one source")]
    Mismatch,
}

impl Unusable {
    /// Whether the value may be fine and only its container is a trouble: the vault may then be asked to convert it
    /// to PEM, with `outContentType`.
    pub fn is_of_the_container(&self) -> bool {
        matches!(self, Self::Container | Self::Password | Self::Unsupported(_) | Self::Effort)
    }

    /// An algorithm or a content type, by its object identifier.
    fn unsupported(id: &[u8]) -> Self {
        const PKCS12_PBE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01];
        let name = match (id, id.strip_prefix(PKCS12_PBE)) {
            (_, Some([1 | 2])) => "RC4",
            (_, Some([4])) => "Triple DES with two keys",
            (_, Some([5])) => "RC2 of 128 bits",
            (_, Some([6])) => "RC2 of 40 bits",
            ([0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0e], _) => "PBMAC1",
            ([0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x04, 0x0b], _) => "scrypt",
            ([0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02], _) => "a signature",
            ([0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03], _) => "encryption for a public key",
            ([0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05], _) => "MD5",
            _ => "an uncommon algorithm",
        };
        Self::Unsupported(name)
    }
}

/// Opens what the vault stores for a certificate: its secret's value and content type. What the value is decides; the
/// content type, which the vault does not change when it converts, only says what is wrong with one that is neither.
pub fn open(stored: &SecretValue, content_type: Option<&str>) -> Result<Certificate, Unusable> {
    let text = stored.expose();
    let is_said_to_be_pem = content_type.is_some_and(|said| said.eq_ignore_ascii_case("application/x-pem-file"));
    let stored = if pem::is_pem(text) {
        Stored::from_pem(text)?
    } else if is_said_to_be_pem {
        return Err(Unusable::Pem);
    } else {
        Stored::from_pkcs12(text)?
    };
    let (key, chain) = pair(stored.keys, stored.certificates)?;
    Ok(parts(key.as_ref(), &chain, stored.pfx))
}

/// The PKCS#12 container that the vault stores, unopened.
pub fn container(stored: &SecretValue) -> Option<SecretValue> {
    unpacked(stored.expose())
}

fn unpacked(text: &[u8]) -> Option<SecretValue> {
    let packed: Zeroizing<Vec<u8>> =
        Zeroizing::new(text.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect());
    STANDARD.decode(packed.as_slice()).ok().map(SecretValue::new)
}

/// What a value holds, read but not sorted.
#[derive(Default)]
struct Stored {
    keys: Vec<PrivateKey>,
    certificates: Vec<X509>,
    pfx: Option<SecretValue>,
}

impl Stored {
    fn from_pem(text: &[u8]) -> Result<Self, Unusable> {
        if pem::is_encrypted(text) {
            return Err(Unusable::EncryptedKey);
        }
        let mut stored = Self::default();
        for (kind, block) in pem::blocks(text).map_err(|_| Unusable::Pem)? {
            match kind {
                Kind::Certificate => stored.add_certificate(block.expose())?,
                Kind::PrivateKey => stored.add_key(PrivateKey::read(block.expose()))?,
                Kind::RsaPrivateKey => stored.add_key(PrivateKey::read_pkcs1(block.expose()))?,
                Kind::EcPrivateKey => stored.add_key(PrivateKey::read_sec1(block.expose()))?,
                Kind::PublicKey => {}
            }
        }
        Ok(stored)
    }

    fn from_pkcs12(text: &[u8]) -> Result<Self, Unusable> {
        let pfx = unpacked(text).ok_or(Unusable::Neither)?;
        if !pkcs12::is_pkcs12(pfx.expose()) {
            return Err(Unusable::Neither);
        }
        let contents = pkcs12::open(pfx.expose())?;
        let mut stored = Self { pfx: Some(pfx), ..Self::default() };
        for certificate in contents.certificates {
            stored.add_certificate(&certificate)?;
        }
        for key in contents.keys {
            stored.add_key(PrivateKey::read(key.expose()))?;
        }
        Ok(stored)
    }

    /// One that is stored twice counts once.
    fn add_certificate(&mut self, der: &[u8]) -> Result<(), Unusable> {
        let certificate = X509::read(der).map_err(|_| Unusable::Certificate)?;
        if !self.certificates.contains(&certificate) {
            self.certificates.push(certificate);
        }
        if self.certificates.len() > MOST_CERTIFICATES { Err(Unusable::TooMany) } else { Ok(()) }
    }

    fn add_key(&mut self, key: Result<PrivateKey, BadKey>) -> Result<(), Unusable> {
        self.keys.push(key.map_err(|bad| match bad {
            BadKey::Damaged => Unusable::Key,
            BadKey::Kind => Unusable::KeyKind,
        })?);
        if self.keys.len() > MOST_KEYS { Err(Unusable::TooMany) } else { Ok(()) }
    }
}

/// The first key that belongs to a certificate, and that one's chain.
fn pair(keys: Vec<PrivateKey>, certificates: Vec<X509>) -> Result<(Option<PrivateKey>, Chain), Unusable> {
    if certificates.is_empty() {
        return Err(Unusable::Empty);
    }
    if keys.is_empty() {
        return Ok((None, Chain::without_key(certificates).ok_or(Unusable::Empty)?));
    }
    let fits = |key: &PrivateKey| certificates.iter().any(|certificate| certificate.public_key == key.public_key);
    let key = keys.into_iter().find(fits).ok_or(Unusable::Mismatch)?;
    let chain = Chain::of_key(&key.public_key, certificates).ok_or(Unusable::Mismatch)?;
    Ok((Some(key), chain))
}

/// Writes the parts. The root is in none but `ca`: whoever verifies has it already or must not take it from the
/// server, and certbot and cert-manager leave it out too. A leaf that has issued itself is its own authority.
fn parts(key: Option<&PrivateKey>, chain: &Chain, mut pfx: Option<SecretValue>) -> Certificate {
    let mut certificate =
        Certificate { parts: BTreeMap::new(), missing: BTreeMap::new(), not_after: chain.leaf.not_after };
    let server = || std::iter::once(&chain.leaf).chain(&chain.intermediates);
    for part in Part::OF_CERTIFICATE {
        let no_key = Missing::Key(part);
        let made = match part {
            Part::Fullchain => Ok(text(None, server())),
            Part::Leaf => Ok(text(None, [&chain.leaf])),
            Part::Chain => Ok(text(None, &chain.intermediates)),
            Part::Key => key.ok_or(no_key).map(|key| text(Some(key), [])),
            Part::Bundle => key.ok_or(no_key).map(|key| text(Some(key), server())),
            Part::Ca => chain.authority().ok_or(Missing::Ca).map(|authority| text(None, [authority])),
            Part::Pfx => key.ok_or(no_key).and_then(|_| pfx.take().ok_or(Missing::Pfx)),
            Part::Value => continue,
        };
        match made {
            Ok(value) => drop(certificate.parts.insert(part, value)),
            Err(missing) => drop(certificate.missing.insert(part, missing)),
        }
    }
    certificate
}

fn text<'a>(key: Option<&PrivateKey>, certificates: impl IntoIterator<Item = &'a X509>) -> SecretValue {
    let mut text = Zeroizing::new(Vec::new());
    if let Some(key) = key {
        pem::write(&mut text, Kind::PrivateKey, key.pkcs8.expose());
    }
    for certificate in certificates {
        pem::write(&mut text, Kind::Certificate, &certificate.der);
    }
    SecretValue::new(std::mem::take(&mut text))
}

#[cfg(test)]
mod tests;

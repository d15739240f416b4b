//! Opens a PKCS#12 container (RFC 7292) that no password protects, as Key Vault stores them.
//!
//! What is inside is as secret as what is around it: the encryption is a formality, and the checksum finds damage, not
//! forgery. Both cost what the container asks for, so that the asking is bounded.

use zeroize::Zeroizing;

use super::Unusable;
use super::cipher::{Effort, Mac, Password, Scheme};
use crate::der::{INTEGER, Malformed, OID, Reader, SEQUENCE, context};
use crate::secret::SecretValue;

/// `pkcs7`: 1.2.840.113549.1.7
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const ENCRYPTED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x06];
/// `bagtypes`: 1.2.840.113549.1.12.10.1
const KEY_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x01];
const SHROUDED_KEY_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x02];
const CERTIFICATE_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x03];
const X509_CERTIFICATE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x16, 0x01];

impl From<Malformed> for Unusable {
    fn from(_: Malformed) -> Self {
        Self::Container
    }
}

/// What a container holds, in its order.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// PKCS#8.
    pub(super) keys: Vec<SecretValue>,
    /// X.509, DER.
    pub(super) certificates: Vec<Vec<u8>>,
}

/// Whether the bytes begin as a container does: an element, and in it the version 3.
pub(super) fn is_pkcs12(bytes: &[u8]) -> bool {
    let mut reader = Reader::new(bytes);
    reader.enter(SEQUENCE).is_ok_and(|mut pfx| pfx.number() == Ok(3))
}

/// Opens a container.
pub(super) fn open(bytes: &[u8]) -> Result<Contents, Unusable> {
    // Some tools put line ends or zeros after it.
    let mut pfx = Reader::new(bytes).enter(SEQUENCE)?;
    if pfx.number()? != 3 {
        return Err(Unusable::Container);
    }
    let (kind, mut content) = content_info(&mut pfx)?;
    if kind != DATA {
        return Err(Unusable::unsupported(kind));
    }
    let safes = content.octets()?;
    let mut effort = Effort::default();
    let password = if pfx.is_at_end() { None } else { Some(check(&mut pfx, &safes, &mut effort)?) };
    let mut opener = Opener { password, effort, contents: Contents::default() };
    let mut infos = Reader::only(&safes, SEQUENCE)?.inside();
    while !infos.is_at_end() {
        let (kind, mut content) = content_info(&mut infos)?;
        match kind {
            DATA => opener.take_bags(&content.octets()?)?,
            ENCRYPTED_DATA => {
                let mut encrypted = content.enter(SEQUENCE)?;
                encrypted.take(INTEGER)?;
                let mut info = encrypted.enter(SEQUENCE)?;
                info.take(OID)?;
                let scheme = Scheme::read(info.enter(SEQUENCE)?)?;
                // Implicitly tagged: an OCTET STRING under another tag, whole or in pieces.
                let bags = opener.decrypt(&scheme, &info.next()?.octets()?)?;
                opener.take_bags(&bags)?;
            }
            _ => return Err(Unusable::unsupported(kind)),
        }
    }
    Ok(opener.contents)
}

/// The kind of the next content, and a reader of what it holds.
fn content_info<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8], Reader<'a>), Malformed> {
    let mut info = reader.enter(SEQUENCE)?;
    Ok((info.take(OID)?.body, info.enter(context(0))?))
}

/// Checks the container's checksum: that it is whole, and which of the two ways to have no password it was made with.
fn check(pfx: &mut Reader<'_>, safes: &[u8], effort: &mut Effort) -> Result<Password, Unusable> {
    let mac = Mac::read(pfx.enter(SEQUENCE)?)?;
    for password in Password::BOTH {
        if mac.fits(password, safes, effort)? {
            return Ok(password);
        }
    }
    Err(Unusable::Password)
}

/// The container while it is opened.
struct Opener {
    password: Option<Password>,
    effort: Effort,
    contents: Contents,
}

impl Opener {
    fn decrypt(&mut self, scheme: &Scheme<'_>, bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unusable> {
        let passwords = self.password.map_or(Password::BOTH.to_vec(), |password| vec![password]);
        for password in passwords {
            if let Some(plain) = scheme.decrypt(password, bytes, &mut self.effort)? {
                // A wrong key gives good padding once in 256 times, but hardly ever a whole element.
                if Reader::only(&plain, SEQUENCE).is_ok() {
                    return Ok(plain);
                }
            }
        }
        Err(Unusable::Password)
    }

    fn take_bags(&mut self, bags: &[u8]) -> Result<(), Unusable> {
        let mut bags = Reader::only(bags, SEQUENCE)?.inside();
        while !bags.is_at_end() {
            let mut bag = bags.enter(SEQUENCE)?;
            let kind = bag.take(OID)?.body;
            let mut value = bag.enter(context(0))?;
            match kind {
                KEY_BAG => self.contents.keys.push(SecretValue::new(value.take(SEQUENCE)?.whole.to_vec())),
                SHROUDED_KEY_BAG => {
                    let mut shrouded = value.enter(SEQUENCE)?;
                    let scheme = Scheme::read(shrouded.enter(SEQUENCE)?)?;
                    let mut plain = self.decrypt(&scheme, &shrouded.octets()?)?;
                    self.contents.keys.push(SecretValue::new(std::mem::take(&mut plain)));
                }
                CERTIFICATE_BAG => {
                    let mut certificate = value.enter(SEQUENCE)?;
                    if certificate.take(OID)?.body == X509_CERTIFICATE {
                        let der = certificate.enter(context(0))?.octets()?.into_owned();
                        self.contents.certificates.push(der);
                    }
                }
                // Revocation lists, passwords and bags in bags: nothing that a certificate is made of.
                _ => {}
            }
        }
        Ok(())
    }
}

//! PEM: base64 between two lines, as RFC 7468 and everybody's tools write it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::{PemObject as _, SectionKind};
use zeroize::Zeroizing;

use crate::secret::SecretValue;

/// What a block is, by its label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `CERTIFICATE`
    Certificate,
    /// `PRIVATE KEY`: PKCS#8
    PrivateKey,
    /// `RSA PRIVATE KEY`: PKCS#1
    RsaPrivateKey,
    /// `EC PRIVATE KEY`: SEC 1
    EcPrivateKey,
    /// `PUBLIC KEY`: the subject's public key info of X.509
    PublicKey,
}

/// A block was begun that does not end, or does not hold base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Kind {
    fn label(self) -> &'static str {
        match self {
            Self::Certificate => "CERTIFICATE",
            Self::PrivateKey => "PRIVATE KEY",
            Self::RsaPrivateKey => "RSA PRIVATE KEY",
            Self::EcPrivateKey => "EC PRIVATE KEY",
            Self::PublicKey => "PUBLIC KEY",
        }
    }
}

/// Whether the text has a block of any kind.
pub(crate) fn is_pem(text: &[u8]) -> bool {
    contains(text, b"-----BEGIN ")
}

/// Whether the text has a private key that a passphrase protects, in either of the two ways there are.
pub(crate) fn is_encrypted(text: &[u8]) -> bool {
    contains(text, b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || contains(text, b"Proc-Type: 4,ENCRYPTED")
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window.first() == wanted.first() && window == wanted)
}

/// The blocks of a text, in their order; text around them and blocks of other kinds are passed over.
pub(crate) fn blocks(text: &[u8]) -> Result<Vec<(Kind, SecretValue)>, Malformed> {
    let mut blocks = Vec::new();
    for block in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
        // The error would quote the text.
        let (kind, der) = block.map_err(|_| Malformed)?;
        let kind = match kind {
            SectionKind::Certificate => Kind::Certificate,
            SectionKind::PrivateKey => Kind::PrivateKey,
            SectionKind::RsaPrivateKey => Kind::RsaPrivateKey,
            SectionKind::EcPrivateKey => Kind::EcPrivateKey,
            SectionKind::PublicKey => Kind::PublicKey,
            _ => continue,
        };
        blocks.push((kind, SecretValue::new(der)));
    }
    Ok(blocks)
}

/// Adds one block: 64 columns, `\n` at every line's end.
pub(crate) fn write(text: &mut Zeroizing<Vec<u8>>, kind: Kind, der: &[u8]) {
    const COLUMNS: usize = 64;
    let base64 = Zeroizing::new(STANDARD.encode(der));
    let label = kind.label();
    // All at once, so that no buffer with half of a key is left behind.
    text.reserve(base64.len() + base64.len() / COLUMNS + 2 * label.len() + 40);
    text.extend_from_slice(format!("-----BEGIN {label}-----\n").as_bytes());
    for line in base64.as_bytes().chunks(COLUMNS) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(format!("-----END {label}-----\n").as_bytes());
}

#[cfg(test)]
mod tests;

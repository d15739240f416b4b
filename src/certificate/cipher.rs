//! The encryptions and checksums that PKCS#12 containers are made with: PBES1 with Triple DES (what Windows and Key
//! Vault write), PBES2 with AES (what OpenSSL 3 writes), and the key derivation of RFC 7292, appendix B.

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{AES_128, AES_192, AES_256, Algorithm, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{digest, hmac, pbkdf2};
use zeroize::Zeroizing;

use super::Unusable;
use crate::der::{INTEGER, OCTET_STRING, OID, Reader, SEQUENCE};

const PBE_SHA1_3DES: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x03];
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];

/// A cipher.
struct Cipher {
    id: &'static [u8],
    algorithm: &'static Algorithm,
    key_len: usize,
}

/// A digest, as containers are summed up with it.
struct Digest {
    id: &'static [u8],
    algorithm: &'static digest::Algorithm,
    hmac: hmac::Algorithm,
}

/// What PBKDF2 is made with, and how many bytes it gives at a time.
struct Prf {
    id: &'static [u8],
    algorithm: pbkdf2::Algorithm,
    len: usize,
}

#[expect(deprecated, reason = "what Key Vault encrypts its containers with")]
static TRIPLE_DES: Cipher = Cipher {
    id: &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 0x07],
    algorithm: &aws_lc_rs::cipher::DES_EDE3_FOR_LEGACY_USE_ONLY,
    key_len: 24,
};

static CIPHERS: [&Cipher; 4] = [
    &TRIPLE_DES,
    &Cipher { id: &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x02], algorithm: &AES_128, key_len: 16 },
    &Cipher { id: &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x16], algorithm: &AES_192, key_len: 24 },
    &Cipher { id: &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a], algorithm: &AES_256, key_len: 32 },
];

static DIGESTS: [Digest; 4] = [
    Digest {
        id: &[0x2b, 0x0e, 0x03, 0x02, 0x1a],
        algorithm: &digest::SHA1_FOR_LEGACY_USE_ONLY,
        hmac: hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
    },
    Digest {
        id: &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01],
        algorithm: &digest::SHA256,
        hmac: hmac::HMAC_SHA256,
    },
    Digest {
        id: &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02],
        algorithm: &digest::SHA384,
        hmac: hmac::HMAC_SHA384,
    },
    Digest {
        id: &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03],
        algorithm: &digest::SHA512,
        hmac: hmac::HMAC_SHA512,
    },
];

/// The default of PBKDF2.
const HMAC_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x07];

static PRFS: [Prf; 4] = [
    Prf { id: HMAC_SHA1, algorithm: pbkdf2::PBKDF2_HMAC_SHA1, len: 20 },
    Prf { id: &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x09], algorithm: pbkdf2::PBKDF2_HMAC_SHA256, len: 32 },
    Prf { id: &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x0a], algorithm: pbkdf2::PBKDF2_HMAC_SHA384, len: 48 },
    Prf { id: &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x0b], algorithm: pbkdf2::PBKDF2_HMAC_SHA512, len: 64 },
];

/// How much work a container may still ask for, in rounds of a digest: three derivations of the 600,000 rounds that
/// are advised to people with passwords fit in; what fits takes a second or two.
#[derive(Debug)]
pub(super) struct Effort(u32);

impl Default for Effort {
    fn default() -> Self {
        Self(4_000_000)
    }
}

impl Effort {
    /// Takes the rounds of one derivation of `blocks` blocks from what is left.
    fn spend(&mut self, iterations: u32, blocks: usize) -> Result<NonZeroU32, Unusable> {
        let blocks = u32::try_from(blocks).map_err(|_| Unusable::Effort)?;
        let rounds = iterations.checked_mul(blocks).ok_or(Unusable::Effort)?;
        self.0 = self.0.checked_sub(rounds).ok_or(Unusable::Effort)?;
        NonZeroU32::new(iterations).ok_or(Unusable::Container)
    }
}

/// The two ways in which tools write that there is no password.
#[derive(Debug, Clone, Copy)]
pub(super) enum Password {
    /// An empty text: in UTF-16 with its end.
    Empty,
    /// No text at all.
    Absent,
}

impl Password {
    pub(super) const BOTH: [Self; 2] = [Self::Empty, Self::Absent];

    /// As the derivation of RFC 7292 wants it.
    fn utf16(self) -> &'static [u8] {
        match self {
            Self::Empty => &[0, 0],
            Self::Absent => &[],
        }
    }
}

/// What a derivation is for: RFC 7292, appendix B.3.
#[derive(Clone, Copy)]
enum Purpose {
    Key = 1,
    Iv = 2,
    Mac = 3,
}

/// The checksum of a container.
pub(super) struct Mac<'a> {
    digest: &'static Digest,
    sum: &'a [u8],
    salt: &'a [u8],
    iterations: u32,
}

impl<'a> Mac<'a> {
    pub(super) fn read(mut mac: Reader<'a>) -> Result<Self, Unusable> {
        let mut info = mac.enter(SEQUENCE)?;
        let algorithm = info.enter(SEQUENCE)?.take(OID)?.body;
        let digest = DIGESTS.iter().find(|known| known.id == algorithm).ok_or(Unusable::unsupported(algorithm))?;
        let sum = info.take(OCTET_STRING)?.body;
        let salt = mac.take(OCTET_STRING)?.body;
        let iterations = if mac.is_at_end() { 1 } else { mac.number()? };
        Ok(Self { digest, sum, salt, iterations })
    }

    /// Whether the bytes are those that were summed up with this password.
    pub(super) fn fits(&self, password: Password, bytes: &[u8], effort: &mut Effort) -> Result<bool, Unusable> {
        let mut key = Zeroizing::new(vec![0; self.digest.algorithm.output_len()]);
        derive(self.digest.algorithm, Purpose::Mac, password, self.salt, self.iterations, &mut key, effort)?;
        Ok(hmac::verify(&hmac::Key::new(self.digest.hmac, &key), bytes, self.sum).is_ok())
    }
}

/// How something is encrypted: a cipher in CBC mode, and where its key and first block come from.
pub(super) struct Scheme<'a> {
    cipher: &'static Cipher,
    derivation: Derivation<'a>,
    salt: &'a [u8],
    iterations: u32,
}

enum Derivation<'a> {
    /// Both from a digest of the password: PBES1.
    Digest,
    /// The key from PBKDF2, the first block as it is given: PBES2.
    Pbkdf2 { prf: &'static Prf, iv: &'a [u8] },
}

impl<'a> Scheme<'a> {
    /// Reads what is inside an `AlgorithmIdentifier`.
    pub(super) fn read(mut algorithm: Reader<'a>) -> Result<Self, Unusable> {
        let id = algorithm.take(OID)?.body;
        match id {
            PBE_SHA1_3DES => {
                let mut parameters = algorithm.enter(SEQUENCE)?;
                let (salt, iterations) = (parameters.take(OCTET_STRING)?.body, parameters.number()?);
                Ok(Self { cipher: &TRIPLE_DES, derivation: Derivation::Digest, salt, iterations })
            }
            PBES2 => {
                let mut parameters = algorithm.enter(SEQUENCE)?;
                let (mut derivation, mut encryption) = (parameters.enter(SEQUENCE)?, parameters.enter(SEQUENCE)?);
                let (kdf, cipher) = (derivation.take(OID)?.body, encryption.take(OID)?.body);
                if kdf != PBKDF2 {
                    return Err(Unusable::unsupported(kdf));
                }
                let cipher = CIPHERS.iter().find(|known| known.id == cipher).ok_or(Unusable::unsupported(cipher))?;
                let iv = encryption.take(OCTET_STRING)?.body;
                let mut parameters = derivation.enter(SEQUENCE)?;
                let (salt, iterations) = (parameters.take(OCTET_STRING)?.body, parameters.number()?);
                parameters.take_if(INTEGER)?; // the key's length, which the cipher knows
                let prf = if parameters.is_at_end() { HMAC_SHA1 } else { parameters.enter(SEQUENCE)?.take(OID)?.body };
                let prf = PRFS.iter().find(|known| known.id == prf).ok_or(Unusable::unsupported(prf))?;
                Ok(Self { cipher, derivation: Derivation::Pbkdf2 { prf, iv }, salt, iterations })
            }
            _ => Err(Unusable::unsupported(id)),
        }
    }

    /// What was encrypted; none when this password does not open it.
    pub(super) fn decrypt(
        &self,
        password: Password,
        bytes: &[u8],
        effort: &mut Effort,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Unusable> {
        let Self { cipher, derivation, salt, iterations } = self;
        let mut key = Zeroizing::new(vec![0; cipher.key_len]);
        let mut first = vec![0; cipher.algorithm.block_len()];
        match derivation {
            Derivation::Digest => {
                let sha1 = &digest::SHA1_FOR_LEGACY_USE_ONLY;
                derive(sha1, Purpose::Key, password, salt, *iterations, &mut key, effort)?;
                derive(sha1, Purpose::Iv, password, salt, *iterations, &mut first, effort)?;
            }
            Derivation::Pbkdf2 { prf, iv } => {
                let iterations = effort.spend(*iterations, key.len().div_ceil(prf.len))?;
                // Here both ways to have no password are the same.
                pbkdf2::derive(prf.algorithm, iterations, salt, &[], &mut key);
                first = iv.to_vec();
            }
        }
        let mut plain = Zeroizing::new(bytes.to_vec());
        Ok(decrypt(cipher.algorithm, &key, &first, &mut plain).map(|length| {
            plain.truncate(length);
            plain
        }))
    }
}

/// Decrypts in place; gives the length without the padding, which must be right.
fn decrypt(cipher: &'static Algorithm, key: &[u8], first: &[u8], bytes: &mut [u8]) -> Option<usize> {
    let context = if cipher.block_len() == 8 {
        DecryptionContext::Iv64(FixedLength::try_from(first).ok()?)
    } else {
        DecryptionContext::Iv128(FixedLength::try_from(first).ok()?)
    };
    let key = DecryptingKey::cbc(UnboundCipherKey::new(cipher, key).ok()?).ok()?;
    let plain = key.decrypt(bytes, context).ok()?;
    let padding = *plain.last()?;
    let length = plain.len().checked_sub(usize::from(padding))?;
    let is_right = (1..=cipher.block_len()).contains(&usize::from(padding));
    (is_right && plain.iter().skip(length).all(|byte| *byte == padding)).then_some(length)
}

/// The derivation of RFC 7292, appendix B.2; the capital letters are the text's.
fn derive(
    digest: &'static digest::Algorithm,
    purpose: Purpose,
    password: Password,
    salt: &[u8],
    iterations: u32,
    out: &mut [u8],
    effort: &mut Effort,
) -> Result<(), Unusable> {
    let (digest_len, block_len) = (digest.output_len(), digest.block_len());
    let iterations = effort.spend(iterations, out.len().div_ceil(digest_len))?;
    let fill = |text: &[u8]| -> Vec<u8> {
        let length = text.len().div_ceil(block_len).saturating_mul(block_len);
        text.iter().copied().cycle().take(length).collect()
    };
    let diversifier = vec![purpose as u8; block_len]; // D
    let mut input = Zeroizing::new([fill(salt), fill(password.utf16())].concat()); // I
    for piece in out.chunks_mut(digest_len) {
        let mut hashed = digest::digest(digest, &[diversifier.as_slice(), input.as_slice()].concat()); // A
        for _ in 1..iterations.get() {
            hashed = digest::digest(digest, hashed.as_ref());
        }
        piece.iter_mut().zip(hashed.as_ref()).for_each(|(byte, hashed)| *byte = *hashed);
        let summand: Vec<u8> = hashed.as_ref().iter().copied().cycle().take(block_len).collect(); // B
        for block in input.chunks_mut(block_len) {
            // Both numbers and one, in as many bytes as before: what does not fit is lost.
            let mut carry = 1_u16;
            for (byte, other) in block.iter_mut().zip(&summand).rev() {
                let [high, low] = (u16::from(*byte) + u16::from(*other) + carry).to_be_bytes();
                (*byte, carry) = (low, u16::from(high));
            }
        }
    }
    Ok(())
}

//! What the vault reads from a leaf: its validity and its public key, by a reader of DER that knows no more than that.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use time::{Date, Month};

use super::key::Jwk;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]`, which holds the version of a certificate.
const EXPLICIT_0: u8 = 0xa0;

const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const CURVES: [(&[u8], &str); 3] = [
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07], "P-256"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x22], "P-384"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x23], "P-521"),
];

/// What the vault takes from a certificate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) nbf: i64,
    pub(crate) exp: i64,
    /// None for a kind of key that the vault has not.
    pub(crate) key: Option<Jwk>,
}

/// Reads a certificate.
pub(crate) fn read(der: &[u8]) -> Option<Leaf> {
    let mut signed = Der(Der(der).expect(SEQUENCE)?);
    let mut certificate = Der(signed.expect(SEQUENCE)?);
    if certificate.0.first() == Some(&EXPLICIT_0) {
        certificate.next()?;
    }
    certificate.expect(INTEGER)?;
    for _signature_and_issuer in 0..2 {
        certificate.expect(SEQUENCE)?;
    }
    let mut validity = Der(certificate.expect(SEQUENCE)?);
    let (nbf, exp) = (validity.time()?, validity.time()?);
    certificate.expect(SEQUENCE)?;
    Some(Leaf { nbf, exp, key: public_key(certificate.0) })
}

/// Reads a `SubjectPublicKeyInfo`; whatever follows it is ignored.
pub(crate) fn public_key(der: &[u8]) -> Option<Jwk> {
    let mut info = Der(Der(der).expect(SEQUENCE)?);
    let mut algorithm = Der(info.expect(SEQUENCE)?);
    let kind = algorithm.expect(OID)?;
    let bits = info.expect(BIT_STRING)?.strip_prefix(&[0])?;
    let base64url = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    if kind == RSA_ENCRYPTION {
        let mut numbers = Der(Der(bits).expect(SEQUENCE)?);
        let mut number = || numbers.expect(INTEGER).map(|bytes| bytes.strip_prefix(&[0]).unwrap_or(bytes));
        return Some(Jwk::rsa(&base64url(number()?), &base64url(number()?)));
    }
    if kind == EC_PUBLIC_KEY {
        let curve = algorithm.expect(OID)?;
        let (_, name) = CURVES.iter().find(|(oid, _)| *oid == curve)?;
        // 4 is an uncompressed point.
        let point = bits.strip_prefix(&[4])?;
        let (x, y) = point.split_at(point.len() / 2);
        return Some(Jwk::ec(name, &base64url(x), &base64url(y)));
    }
    None
}

/// Values one after the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Takes the next value: its tag and its content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        let (length, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let append = |sum: usize, digit: &u8| sum.checked_mul(256)?.checked_add(usize::from(*digit));
            (digits.iter().try_fold(0, append)?, rest)
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn expect(&mut self, wanted: u8) -> Option<&'a [u8]> {
        self.next().filter(|(tag, _)| *tag == wanted).map(|(_, content)| content)
    }

    /// Takes a time, in Unix seconds.
    fn time(&mut self) -> Option<i64> {
        let (tag, text) = self.next()?;
        let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
        let (year, rest) = match tag {
            UTC_TIME => {
                let (year, rest) = text.split_at_checked(2)?;
                let year: i32 = year.parse().ok()?;
                (if year < 50 { 2000 + year } else { 1900 + year }, rest)
            }
            GENERALIZED_TIME => {
                let (year, rest) = text.split_at_checked(4)?;
                (year.parse().ok()?, rest)
            }
            _ => return None,
        };
        let part = |at: usize| rest.get(at..at + 2)?.parse::<u8>().ok();
        let date = Date::from_calendar_date(year, Month::try_from(part(0)?).ok()?, part(2)?).ok()?;
        let time = date.with_hms(part(4)?, part(6)?, part(8)?).ok()?;
        Some(time.assume_utc().unix_timestamp())
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PublicKeyData, date_time_ymd};

    use super::*;

    fn issue(key: &KeyPair, until: i32) -> Leaf {
        let mut params = CertificateParams::new(["leaf.localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2024, 2, 29);
        params.not_after = date_time_ymd(until, 1, 2);
        read(params.self_signed(key).unwrap().der()).unwrap()
    }

    #[test]
    fn both_spellings_of_a_time_are_read() {
        let key = KeyPair::generate().unwrap();
        let leaf = issue(&key, 2049);
        assert_eq!((leaf.nbf, leaf.exp), (1_709_164_800, 2_493_158_400));
        assert_eq!(issue(&key, 2051).exp, 2_556_230_400);
    }

    #[test]
    fn the_keys_that_the_vault_has_are_read() {
        for (algorithm, crv, size) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, "P-256", 32),
            (&rcgen::PKCS_ECDSA_P384_SHA384, "P-384", 48),
            (&rcgen::PKCS_ECDSA_P521_SHA512, "P-521", 66),
        ] {
            let pair = KeyPair::generate_for(algorithm).unwrap();
            let key = issue(&pair, 2030).key.unwrap();
            assert_eq!((key.kty.as_str(), key.crv.as_deref()), ("EC", Some(crv)));
            let bytes = |text: Option<String>| URL_SAFE_NO_PAD.decode(text.unwrap()).unwrap();
            let (x, y) = (bytes(key.x), bytes(key.y));
            assert_eq!((x.len(), y.len()), (size, size));
            assert_eq!([&[4], x.as_slice(), y.as_slice()].concat(), pair.der_bytes());
            assert_eq!(Jwk::from_spki(&pair.subject_public_key_info()).and_then(|key| key.crv).as_deref(), Some(crv));
        }
        let rsa = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let key = issue(&rsa, 2030).key.unwrap();
        assert_eq!((key.kty.as_str(), key.e.as_deref()), ("RSA", Some("AQAB")));
        assert_eq!(URL_SAFE_NO_PAD.decode(key.n.unwrap()).unwrap().len(), 256);
        assert_eq!(issue(&KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap(), 2030).key, None);
    }

    #[test]
    fn what_is_no_certificate_is_none() {
        for wrong in [&b""[..], b"\x30", b"\x30\x02\x30\x00", b"\x30\x89", b"0123456789"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}

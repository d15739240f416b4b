//! What must be known of an X.509 certificate to sort it: whose it is, who issued it, its key and its days.
//!
//! Verifies nothing: the certificate comes from a vault that is trusted, and whoever is shown it verifies it.

use std::time::SystemTime;

use crate::der::{BIT_STRING, INTEGER, Malformed, OCTET_STRING, OID, Reader, SEQUENCE, context};
use crate::moment::UnixTime;

const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 0x0e];
const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 0x23];

const BOOLEAN: u8 = 0x01;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `keyIdentifier [0]` of an authority key identifier.
const KEY_ID: u8 = 0x80;

/// A public key as certificates carry it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PublicKey {
    /// The algorithm's object identifier.
    pub(super) algorithm: Vec<u8>,
    /// The curve's, for a key on a curve.
    pub(super) curve: Option<Vec<u8>>,
    /// The key itself: `RSAPublicKey` or the point.
    pub(super) bits: Vec<u8>,
}

/// A certificate and what it is sorted by. All of it is public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct X509 {
    pub(super) der: Vec<u8>,
    pub(super) public_key: PublicKey,
    pub(super) not_after: UnixTime,
    pub(super) is_ca: bool,
    subject: Vec<u8>,
    issuer: Vec<u8>,
    subject_key_id: Option<Vec<u8>>,
    authority_key_id: Option<Vec<u8>>,
}

impl X509 {
    /// Reads one certificate; nothing may follow it.
    pub(super) fn read(der: &[u8]) -> Result<Self, Malformed> {
        let mut certificate = Reader::only(der, SEQUENCE)?.inside();
        let mut tbs = certificate.enter(SEQUENCE)?;
        tbs.take_if(context(0))?; // version
        tbs.take(INTEGER)?; // serial number
        tbs.take(SEQUENCE)?; // signature algorithm
        let issuer = tbs.take(SEQUENCE)?.whole.to_vec();
        let mut validity = tbs.enter(SEQUENCE)?;
        let _not_before = time(&mut validity)?;
        let not_after = time(&mut validity)?;
        let subject = tbs.take(SEQUENCE)?.whole.to_vec();
        let public_key = PublicKey::read(&mut tbs.enter(SEQUENCE)?)?;
        let mut read = Self {
            der: der.to_vec(),
            public_key,
            not_after,
            is_ca: false,
            subject,
            issuer,
            subject_key_id: None,
            authority_key_id: None,
        };
        while !tbs.is_at_end() {
            let element = tbs.next()?;
            if element.tag == context(3) {
                read.read_extensions(element.inside().enter(SEQUENCE)?)?;
            }
        }
        certificate.take(SEQUENCE)?;
        certificate.take(BIT_STRING)?;
        Ok(read)
    }

    fn read_extensions(&mut self, mut extensions: Reader<'_>) -> Result<(), Malformed> {
        while !extensions.is_at_end() {
            let mut extension = extensions.enter(SEQUENCE)?;
            let id = extension.take(OID)?.body;
            extension.take_if(BOOLEAN)?; // critical
            let value = extension.take(OCTET_STRING)?.body;
            match id {
                BASIC_CONSTRAINTS => {
                    let ca = Reader::only(value, SEQUENCE)?.inside().take_if(BOOLEAN)?;
                    self.is_ca = ca.is_some_and(|ca| ca.body != [0]);
                }
                SUBJECT_KEY_ID => self.subject_key_id = Some(Reader::only(value, OCTET_STRING)?.body.to_vec()),
                AUTHORITY_KEY_ID => {
                    let key_id = Reader::only(value, SEQUENCE)?.inside().take_if(KEY_ID)?;
                    self.authority_key_id = key_id.map(|key_id| key_id.body.to_vec());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether it says that it has issued itself: nothing is above it.
    pub(super) fn is_self_issued(&self) -> bool {
        self.names_as_issuer(self)
    }

    /// Whether `other` may have issued this: its name is the issuer's and, where both say so, its key too.
    pub(super) fn names_as_issuer(&self, other: &Self) -> bool {
        let key_fits = match (&self.authority_key_id, &other.subject_key_id) {
            (Some(wanted), Some(theirs)) => wanted == theirs,
            _ => true,
        };
        self.issuer == other.subject && key_fits
    }
}

impl PublicKey {
    /// Reads what is inside a `SubjectPublicKeyInfo`.
    fn read(info: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut algorithm = info.enter(SEQUENCE)?;
        let id = algorithm.take(OID)?.body.to_vec();
        let curve = if algorithm.is_at_end() { None } else { algorithm.take_if(OID)?.map(|oid| oid.body.to_vec()) };
        Ok(Self { algorithm: id, curve, bits: info.bits()?.to_vec() })
    }
}

/// The next element, a time in one of the two forms that RFC 5280 §4.1.2.5 knows. A time before 1970 counts as 1970:
/// it is long past either way.
fn time(reader: &mut Reader<'_>) -> Result<UnixTime, Malformed> {
    let element = reader.next()?;
    let digits = element.body.strip_suffix(b"Z").ok_or(Malformed)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed);
    }
    let digits = str::from_utf8(digits).map_err(|_| Malformed)?;
    let (century, rest) = match (element.tag, digits.len()) {
        (UTC_TIME, 12) if digits < "5" => ("20", digits),
        (UTC_TIME, 12) => ("19", digits),
        (GENERALIZED_TIME, 14) => digits.split_at(2),
        _ => return Err(Malformed),
    };
    // Ten digits and two: year, month, day, hour, minute, second.
    let (year, rest) = rest.split_at(2);
    let pairs: Vec<&str> = (0..5).filter_map(|pair| rest.get(2 * pair..2 * pair + 2)).collect();
    let [month, day, hour, minute, second] = pairs[..] else { return Err(Malformed) };
    if (century, year) < ("19", "70") {
        return Ok(UnixTime::new(std::time::Duration::ZERO));
    }
    let text = format!("{century}{year}-{month}-{day}T{hour}:{minute}:{second}Z");
    let time = humantime::parse_rfc3339(&text).map_err(|_| Malformed)?;
    time.duration_since(SystemTime::UNIX_EPOCH).map(UnixTime::new).map_err(|_| Malformed)
}

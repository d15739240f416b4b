//! ASN.1 in its basic and distinguished encodings: as much of it as certificates and keys need.
//!
//! Reads without recursion, allocation or trust in a length: whatever it is given, the work is linear in the bytes.
//! Knows encodings, not what is encoded.

use std::borrow::Cow;

use zeroize::Zeroizing;

/// Tags that keys, certificates and containers are made of.
pub(crate) const INTEGER: u8 = 0x02;
/// See [`INTEGER`].
pub(crate) const BIT_STRING: u8 = 0x03;
/// See [`INTEGER`].
pub(crate) const OCTET_STRING: u8 = 0x04;
/// See [`INTEGER`].
pub(crate) const NULL: u8 = 0x05;
/// See [`INTEGER`].
pub(crate) const OID: u8 = 0x06;
/// See [`INTEGER`].
pub(crate) const SEQUENCE: u8 = 0x30;

/// The bit of a tag that says that elements are inside.
const CONSTRUCTED: u8 = 0x20;
/// The tag bits that announce a tag of several bytes; nothing here has one.
const LONG_TAG: u8 = 0x1f;

/// A tag of its own kind, with elements inside: `[number]`.
pub(crate) const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// The bytes are not what the encoding allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// One element.
#[derive(Clone, Copy)]
pub(crate) struct Element<'a> {
    /// What it is.
    pub(crate) tag: u8,
    /// What it holds.
    pub(crate) body: &'a [u8],
    /// All of it, with tag and length.
    pub(crate) whole: &'a [u8],
}

/// Reads one element after the other.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

/// What a tag and a length announce.
struct Head {
    tag: u8,
    /// The length of tag and length themselves.
    size: usize,
    /// None: until the end mark.
    length: Option<usize>,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from the beginning.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The only element of `bytes`: nothing may follow it.
    pub(crate) fn only(bytes: &'a [u8], tag: u8) -> Result<Element<'a>, Malformed> {
        let mut reader = Self::new(bytes);
        let element = reader.take(tag)?;
        if reader.is_at_end() { Ok(element) } else { Err(Malformed) }
    }

    /// Whether nothing is left.
    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next element, whatever it is.
    pub(crate) fn next(&mut self) -> Result<Element<'a>, Malformed> {
        let Head { tag, size, length } = head(self.rest)?;
        let (length, mark) = match length {
            Some(length) => (length, 0),
            None => (until_the_end_mark(self.rest.get(size..).ok_or(Malformed)?)?, 2),
        };
        let end = size.checked_add(length).ok_or(Malformed)?;
        let body = self.rest.get(size..end).ok_or(Malformed)?;
        let (whole, rest) = self.rest.split_at_checked(end.saturating_add(mark)).ok_or(Malformed)?;
        self.rest = rest;
        Ok(Element { tag, body, whole })
    }

    /// The next element, which must be of this kind.
    pub(crate) fn take(&mut self, tag: u8) -> Result<Element<'a>, Malformed> {
        let element = self.next()?;
        if element.tag == tag { Ok(element) } else { Err(Malformed) }
    }

    /// The next element if it is of this kind.
    pub(crate) fn take_if(&mut self, tag: u8) -> Result<Option<Element<'a>>, Malformed> {
        if self.rest.first() == Some(&tag) { self.next().map(Some) } else { Ok(None) }
    }

    /// The elements inside the next one, which must be of this kind.
    pub(crate) fn enter(&mut self, tag: u8) -> Result<Self, Malformed> {
        self.take(tag).map(|element| element.inside())
    }

    /// The next element as a number that a count can be.
    pub(crate) fn number(&mut self) -> Result<u32, Malformed> {
        let body = self.take(INTEGER)?.body;
        if body.is_empty() || body.len() > 5 || body.first().is_some_and(|first| first & 0x80 != 0) {
            return Err(Malformed);
        }
        let number = body.iter().fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
        u32::try_from(number).map_err(|_| Malformed)
    }

    /// The bytes of the next element, an OCTET STRING, whole or in pieces.
    pub(crate) fn octets(&mut self) -> Result<Cow<'a, [u8]>, Malformed> {
        let element = self.next()?;
        if element.tag & !CONSTRUCTED == OCTET_STRING { element.octets() } else { Err(Malformed) }
    }

    /// The bytes of the next element, a BIT STRING of whole bytes.
    pub(crate) fn bits(&mut self) -> Result<&'a [u8], Malformed> {
        match self.take(BIT_STRING)?.body.split_first() {
            Some((0, bytes)) => Ok(bytes),
            _ => Err(Malformed),
        }
    }
}

impl<'a> Element<'a> {
    /// The elements inside.
    pub(crate) fn inside(&self) -> Reader<'a> {
        Reader::new(self.body)
    }

    /// The bytes of an OCTET STRING that comes whole or in pieces, whatever tag stands for it.
    pub(crate) fn octets(&self) -> Result<Cow<'a, [u8]>, Malformed> {
        if self.tag & CONSTRUCTED == 0 {
            return Ok(Cow::Borrowed(self.body));
        }
        let mut whole = Vec::with_capacity(self.body.len());
        let mut pieces = self.inside();
        while !pieces.is_at_end() {
            whole.extend_from_slice(pieces.take(OCTET_STRING)?.body);
        }
        Ok(Cow::Owned(whole))
    }
}

fn head(bytes: &[u8]) -> Result<Head, Malformed> {
    let [tag, first, rest @ ..] = bytes else { return Err(Malformed) };
    if tag & LONG_TAG == LONG_TAG {
        return Err(Malformed);
    }
    match *first {
        0x80 if tag & CONSTRUCTED != 0 => Ok(Head { tag: *tag, size: 2, length: None }),
        0..0x80 => Ok(Head { tag: *tag, size: 2, length: Some(usize::from(*first)) }),
        0x81..=0x84 => {
            let count = usize::from(first & 0x7f);
            let digits = rest.get(..count).ok_or(Malformed)?;
            let length = digits.iter().fold(0_u32, |length, &byte| length << 8 | u32::from(byte));
            Ok(Head { tag: *tag, size: 2 + count, length: Some(usize::try_from(length).map_err(|_| Malformed)?) })
        }
        _ => Err(Malformed),
    }
}

/// How many bytes there are before the mark that ends an element of unknown length. Elements inside it may be of
/// unknown length too, as deep as they like: they are counted, not called.
fn until_the_end_mark(bytes: &[u8]) -> Result<usize, Malformed> {
    let (mut at, mut open) = (0_usize, 1_usize);
    loop {
        let rest = bytes.get(at..).ok_or(Malformed)?;
        if rest.starts_with(&[0, 0]) {
            open -= 1;
            if open == 0 {
                return Ok(at);
            }
            at += 2;
            continue;
        }
        let head = head(rest)?;
        at = at.checked_add(head.size).ok_or(Malformed)?;
        match head.length {
            Some(length) => at = at.checked_add(length).ok_or(Malformed)?,
            None => open += 1,
        }
    }
}

/// An element of this kind around these pieces, which may be secret.
pub(crate) fn wrap(tag: u8, pieces: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    let mut whole = Zeroizing::new(Vec::with_capacity(length.saturating_add(10)));
    whole.push(tag);
    if length < 0x80 {
        whole.extend(u8::try_from(length));
    } else {
        let digits: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|digit| *digit == 0).collect();
        whole.extend(u8::try_from(digits.len()).map(|count| 0x80 | count));
        whole.extend_from_slice(&digits);
    }
    for piece in pieces {
        whole.extend_from_slice(piece);
    }
    whole
}

/// An INTEGER of these digits, most significant first.
pub(crate) fn unsigned(digits: &[u8]) -> Zeroizing<Vec<u8>> {
    let zeros = digits.iter().take_while(|digit| **digit == 0).count();
    let digits = digits.get(zeros..).unwrap_or_default();
    let sign: &[u8] = if digits.first().is_none_or(|first| first & 0x80 != 0) { &[0] } else { &[] };
    wrap(INTEGER, &[sign, digits])
}

#[cfg(test)]
mod tests;

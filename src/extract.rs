//! Cuts a secret's value out of what was fetched: a member of a connection, a property of a JSON object, decoded, and
//! checked to be what its readers expect.
//!
//! Pure. Its errors name what is wrong with the content, never the content.

mod connection;

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use rustls::pki_types::pem::{PemObject as _, SectionKind};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::reference::{Collection, Member, Reference};
use crate::secret::{Part, Secret, SecretValue};

/// How a name's value is cut from an object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cut {
    /// The parts of a certificate that are wanted; none for what has but one value.
    pub parts: BTreeSet<Part>,
    /// The member of a workspace connection that is wanted; none where it is no connection.
    pub member: Option<Member>,
    /// The member of a JSON object that is wanted, by its exact name; none for the whole value.
    pub property: Option<String>,
    /// How the text is decoded into bytes; none to take it as it is.
    pub decode: Option<Decode>,
    /// What the value must be in the end; none to take whatever comes.
    pub expect: Option<Expect>,
}

/// What a value must be, so that a new version that is not it does not replace the last good one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// At least one byte that is not white space.
    NonEmpty,
    /// One JSON value (RFC 8259).
    Json,
    /// At least one certificate, key, request or revocation list, each as a whole PEM block (RFC 7468).
    Pem,
}

/// How text is turned into bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decode {
    /// RFC 4648 §4, with or without padding; white space is skipped.
    Base64,
    /// RFC 4648 §8, either case; white space is skipped.
    Hex,
}

/// Why nothing could be cut out. Says nothing of the content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// `property` was asked for.
    #[error("the value is no JSON object, so it has no property '{0}'")]
    NotAnObject(String),
    /// `property` was asked for.
    #[error("the JSON object has no property '{0}'")]
    NoSuchProperty(String),
    /// `property` was asked for.
    #[error("the property '{0}' is null")]
    Null(String),
    /// `decode` was asked for.
    #[error("the value is not valid base64 (RFC 4648 §4)")]
    NotBase64,
    /// `decode` was asked for.
    #[error("the value is not valid hexadecimal (RFC 4648 §8)")]
    NotHex,
    /// There is no plain value in what was fetched.
    #[error("there is no plain value")]
    NoValue,
    /// A part of a certificate was asked for.
    #[error("{0}")]
    NoPart(String),
    /// A member of a connection was asked for.
    #[error(transparent)]
    Connection(#[from] connection::Unusable),
    /// `expect: nonEmpty`
    #[error("the value is empty, and 'expect' wants it not to be")]
    Empty,
    /// `expect: json`
    #[error("the value is not JSON, and 'expect' wants it to be")]
    NotJson,
    /// `expect: pem`
    #[error("the value is not PEM, and 'expect' wants it to be")]
    NotPem,
}

impl Unusable {
    /// The failure's code: what `expect` refuses is the configuration's word against the content's.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty | Self::NotJson | Self::NotPem => "unexpected",
            _ => "unusable",
        }
    }
}

impl Cut {
    /// What a reference by itself says of how its value is cut out, if these parts are wanted; of a certificate of which
    /// none is wanted in a file it is key and chain in one.
    pub fn of(reference: &Reference, parts: impl Iterator<Item = Part>) -> Self {
        match reference {
            Reference::Vault { collection: Collection::Certificate, .. } => {
                let parts: BTreeSet<Part> = parts.collect();
                let parts = if parts.is_empty() { BTreeSet::from([Part::Bundle]) } else { parts };
                Self { parts, ..Self::default() }
            }
            Reference::Connection { member, .. } => Self { member: Some(member.clone()), ..Self::default() },
            Reference::Vault { .. } | Reference::Token { .. } | Reference::File(_) => Self::default(),
        }
    }

    /// Cuts the value, or a certificate's parts, out of a fetched secret; the version stays.
    pub fn apply(&self, secret: &Secret) -> Result<Secret, Unusable> {
        if !self.parts.is_empty() {
            return self.take_parts(secret);
        }
        let whole = secret.part(Part::Value).ok_or(Unusable::NoValue)?;
        let mut bytes = match &self.member {
            Some(member) => connection::member(whole, member)?,
            None => SecretValue::new(whole.expose().to_vec()),
        };
        if let Some(property) = &self.property {
            bytes = member(bytes.expose(), property)?;
        }
        if let Some(decode) = self.decode {
            bytes = decode.apply(&bytes)?;
        }
        if let Some(expect) = self.expect {
            expect.check(&bytes)?;
        }
        Ok(Secret::plain(secret.version.clone(), bytes))
    }

    fn take_parts(&self, secret: &Secret) -> Result<Secret, Unusable> {
        let take = |part: &Part| {
            let missing = || secret.missing.get(part).cloned().map_or(Unusable::NoValue, Unusable::NoPart);
            let value = secret.part(*part).ok_or_else(missing)?;
            Ok((*part, SecretValue::new(value.expose().to_vec())))
        };
        let parts = self.parts.iter().map(take).collect::<Result<BTreeMap<_, _>, Unusable>>()?;
        Ok(Secret { version: secret.version.clone(), parts, missing: BTreeMap::new() })
    }
}

impl Expect {
    fn check(self, value: &SecretValue) -> Result<(), Unusable> {
        let value = value.expose();
        let (is_it, error) = match self {
            Self::NonEmpty => (value.iter().any(|byte| !byte.is_ascii_whitespace()), Unusable::Empty),
            Self::Json => (serde_json::from_slice::<serde::de::IgnoredAny>(value).is_ok(), Unusable::NotJson),
            Self::Pem => (is_pem(value), Unusable::NotPem),
        };
        if is_it { Ok(()) } else { Err(error) }
    }
}

fn is_pem(value: &[u8]) -> bool {
    let blocks: Result<Vec<_>, _> = <(SectionKind, Vec<u8>)>::pem_slice_iter(value).collect();
    blocks.is_ok_and(|blocks| !blocks.is_empty())
}

/// A member of a JSON object: a string's text, or any other value's JSON.
fn member(json: &[u8], property: &str) -> Result<SecretValue, Unusable> {
    let not_an_object = || Unusable::NotAnObject(property.to_owned());
    let Ok(Value::Object(mut members)) = serde_json::from_slice(json) else { return Err(not_an_object()) };
    let text = match members.remove(property) {
        None => return Err(Unusable::NoSuchProperty(property.to_owned())),
        Some(Value::Null) => return Err(Unusable::Null(property.to_owned())),
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
    };
    Ok(SecretValue::new(text.into_bytes()))
}

impl Decode {
    fn apply(self, text: &SecretValue) -> Result<SecretValue, Unusable> {
        let packed: Zeroizing<Vec<u8>> =
            Zeroizing::new(text.expose().iter().copied().filter(|b| !b.is_ascii_whitespace()).collect());
        let bytes = match self {
            Self::Base64 => BASE64.decode(packed.as_slice()).map_err(|_| Unusable::NotBase64)?,
            Self::Hex => hex::decode(packed.as_slice()).map_err(|_| Unusable::NotHex)?,
        };
        Ok(SecretValue::new(bytes))
    }
}

/// With or without padding; nothing else is forgiven.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests;

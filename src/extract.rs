//! Cuts a secret's value out of what was fetched: a member of a JSON object, decoded.
//!
//! Pure. Its errors name what is wrong with the content, never the content.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::secret::{Part, Secret, SecretValue};

/// How a name's value is cut from an object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cut {
    /// The member of a JSON object that is wanted, by its exact name; none for the whole value.
    pub property: Option<String>,
    /// How the text is decoded into bytes; none to take it as it is.
    pub decode: Option<Decode>,
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
}

impl Cut {
    /// Cuts the value out of a fetched secret; the version stays.
    pub fn apply(&self, secret: &Secret) -> Result<Secret, Unusable> {
        let whole = secret.part(Part::Value).ok_or(Unusable::NoValue)?;
        let mut bytes = match &self.property {
            Some(property) => member(whole.expose(), property)?,
            None => SecretValue::new(whole.expose().to_vec()),
        };
        if let Some(decode) = self.decode {
            bytes = decode.apply(&bytes)?;
        }
        Ok(Secret::plain(secret.version.clone(), bytes))
    }
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

//! Cuts a secret's value out of what was fetched: a member of a JSON object, decoded.
//!
//! Pure. Its errors name what is wrong with the content, never the content.

use serde_json::Value;

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

//! A signed token in its parts, before anything in it is believed.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

/// A token that is well formed and no more.
#[derive(Debug)]
pub(crate) struct Jwt<'a> {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    /// The text that is signed.
    pub(crate) signed: &'a str,
    pub(crate) signature: Vec<u8>,
}

impl<'a> Jwt<'a> {
    /// Reads a token; blanks or a line break around it make it malformed, as they do in Azure.
    pub(crate) fn read(token: &'a str) -> Option<Self> {
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, signature] = parts.as_slice() else { return None };
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let object = |part: &str| serde_json::from_slice(&decoded(part)?).ok();
        Some(Self {
            header: object(header)?,
            claims: object(claims)?,
            signed: &token[..header.len() + 1 + claims.len()],
            signature: decoded(signature)?,
        })
    }

    /// A time in Unix seconds, which a client may also write with a fraction.
    pub(crate) fn time(&self, name: &str) -> Option<i64> {
        let value = &self.claims[name];
        #[expect(clippy::cast_possible_truncation, reason = "a fraction of a second does not matter here")]
        value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64))
    }

    /// The audiences, of which a token may have one or several.
    pub(crate) fn audiences(&self) -> Vec<String> {
        match &self.claims["aud"] {
            Value::String(one) => vec![one.clone()],
            Value::Array(several) => several.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect(),
            _ => Vec::new(),
        }
    }
}

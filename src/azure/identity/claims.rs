//! What a federated token says of itself (RFC 7519 §4.1), for whoever compares it with a federated credential. Nothing is
//! believed for it: that is Entra's to verify.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// Longer than any cluster's issuer or subject.
const LONGEST: usize = 256;

/// What Entra's code is about, as the token has it: names, which give nobody anything without the signature.
pub(super) fn told(token: &str, code: &str) -> Option<String> {
    let (claim, called) = match code {
        "AADSTS700211" => ("iss", "issuer"),
        "AADSTS700212" => ("aud", "audience"),
        "AADSTS70021" | "AADSTS700213" | "AADSTS7002137" | "AADSTS7002138" => ("sub", "subject"),
        _ => return None,
    };
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Map<String, Value> = serde_json::from_slice(&payload).ok()?;
    let value = match claims.get(claim)? {
        // An audience may be a list (RFC 7519 §4.1.3).
        Value::Array(several) => several.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?.join(", "),
        one => one.as_str()?.to_owned(),
    };
    let is_plain = value.len() <= LONGEST && value.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    is_plain.then(|| format!("the token's {called} is '{value}'"))
}

#[cfg(test)]
mod tests;

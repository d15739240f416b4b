//! What a federated token says of itself (RFC 7519 §4.1), for whoever compares it with a federated credential. Nothing is
//! believed for it: that is Entra's to verify.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::failure::has_id;

/// A subject is at most 22 and 63 and 254 letters long.
const LONGEST: usize = 512;

/// A claim, and what messages call it.
type Claim = (&'static str, &'static str);
const ISSUER: Claim = ("iss", "issuer");
const AUDIENCE: Claim = ("aud", "audience");
const SUBJECT: Claim = ("sub", "subject");

/// What Entra's code is about.
pub(super) fn about(code: &str) -> &'static [Claim] {
    match code {
        "AADSTS700211" => &[ISSUER],
        "AADSTS700212" => &[AUDIENCE],
        "AADSTS700213" | "AADSTS7002137" | "AADSTS7002138" => &[SUBJECT],
        "AADSTS70021" => &[ISSUER, SUBJECT, AUDIENCE],
        _ => &[],
    }
}

/// These claims as the token has them: names, which give nobody anything without the signature; none with an id in it, such as
/// the tenant's in the issuer of AKS.
pub(super) fn told(token: &[u8], about: &[Claim]) -> Option<String> {
    let payload = URL_SAFE_NO_PAD.decode(token.split(|byte| *byte == b'.').nth(1)?).ok()?;
    let claims: Map<String, Value> = serde_json::from_slice(&payload).ok()?;
    let tell = |(claim, called): &Claim| Some(format!("the token's {called} is '{}'", plain(claims.get(*claim)?)?));
    let told: Vec<String> = about.iter().filter_map(tell).collect();
    (!told.is_empty()).then(|| told.join(", "))
}

fn plain(claim: &Value) -> Option<String> {
    let value = match claim {
        // An audience may be a list (RFC 7519 §4.1.3).
        Value::Array(several) => several.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?.join(", "),
        one => one.as_str()?.to_owned(),
    };
    let is_plain = value.len() <= LONGEST && value.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    (is_plain && !has_id(&value)).then_some(value)
}

#[cfg(test)]
mod tests;

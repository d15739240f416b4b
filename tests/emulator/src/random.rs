//! Random identifiers in the spellings Azure uses.

use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // The kernel's generator does not fail on any system this runs on; zeros would still be valid text.
    rand::fill(&mut bytes).unwrap_or_default();
    bytes
}

/// Spells bytes as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

/// A version id of the vault: 32 hex digits.
pub(crate) fn version() -> String {
    hex(&bytes::<16>())
}

/// A dashed GUID.
pub(crate) fn guid() -> String {
    let hex = version();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Base64url text of `N` random bytes, as a signature looks.
pub(crate) fn base64url<const N: usize>() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<N>())
}

//! Variables as text, written down in one go: whatever is made of their values is made of pieces of them, so that no
//! copy of a value lies about besides the one that is wanted.

use std::collections::BTreeMap;

use crate::secret::SecretValue;

pub(super) const NUL: &str = "a value with a NUL character cannot be the value of a variable";

/// What is written of one variable, piece by piece.
pub(super) type Line<'v> = Vec<&'v str>;

/// What is made of each variable, in the order of their names, and why nothing can be made of the others.
pub(super) fn each<'v, T>(
    variables: &'v BTreeMap<&'v str, SecretValue>,
    make: impl Fn(&'v str, &'v str) -> Result<T, &'static str>,
) -> (Vec<T>, Vec<String>) {
    let (mut made, mut wrong) = (Vec::new(), Vec::new());
    for (name, value) in variables {
        let text = std::str::from_utf8(value.expose()).map_err(|_| "the value is not UTF-8 text");
        match text.and_then(|text| make(name, text)) {
            Ok(one) => made.push(one),
            Err(reason) => wrong.push(format!("env.{name}: {reason}")),
        }
    }
    (made, wrong)
}

/// The lines, one after the other.
pub(super) fn whole(lines: &[Line<'_>]) -> SecretValue {
    // As long as it will get, so that growing leaves no copy behind.
    let mut all = Vec::with_capacity(lines.iter().flatten().map(|piece| piece.len()).sum());
    for piece in lines.iter().flatten() {
        all.extend_from_slice(piece.as_bytes());
    }
    SecretValue::new(all)
}

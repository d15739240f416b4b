//! The environment, read once and passed on as a value.
#![expect(clippy::disallowed_methods, reason = "this is where the environment is read")]

use std::collections::BTreeMap;

/// The names of all variables, whatever they hold.
pub fn variables() -> impl Iterator<Item = std::ffi::OsString> {
    std::env::vars_os().map(|(name, _)| name)
}

/// Every variable that has a value. Of what is not UTF-8 the odd bytes are replaced, so that whoever needs the value finds
/// it wrong, and not missing.
pub fn environment() -> BTreeMap<String, String> {
    let variables = std::env::vars_os().filter(|(_, value)| !value.is_empty());
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    variables.map(|(name, value)| (text(name), text(value))).collect()
}

//! The environment, read once and passed on as a value.
#![expect(clippy::disallowed_methods, reason = "this is where the environment is read")]

use std::collections::BTreeMap;
use std::ffi::OsString;

/// The names of all variables, whatever they hold.
pub fn variables() -> impl Iterator<Item = OsString> {
    inherited().map(|(name, _)| name)
}

/// What another process would be given, unless that is told otherwise.
pub(super) fn inherited() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os()
}

/// Every variable that has a value. Of what is not UTF-8 the odd bytes are replaced, so that whoever needs the value finds
/// it wrong, and not missing.
pub fn environment() -> BTreeMap<String, String> {
    let variables = inherited().filter(|(_, value)| !value.is_empty());
    let text = |text: OsString| text.to_string_lossy().into_owned();
    variables.map(|(name, value)| (text(name), text(value))).collect()
}

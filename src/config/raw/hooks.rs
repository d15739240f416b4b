//! Hooks as written.

use serde::Deserialize;

use super::RawSignalName;

#[derive(Debug, Default, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    default,
    expecting = "a mapping such as {signal: {process: nginx, signal: SIGHUP}}"
)]
pub(in crate::config) struct RawHook {
    pub(in crate::config) secrets: Option<Vec<String>>,
    pub(in crate::config) signal: Option<RawSignal>,
    pub(in crate::config) http: Option<RawHttp>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    default,
    expecting = "a mapping such as {process: nginx, signal: SIGHUP}"
)]
pub(in crate::config) struct RawSignal {
    pub(in crate::config) process: Option<String>,
    pub(in crate::config) pid_file: Option<String>,
    pub(in crate::config) signal: Option<RawSignalName>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    default,
    expecting = "a mapping such as {url: http://127.0.0.1:8080/-/reload}"
)]
pub(in crate::config) struct RawHttp {
    pub(in crate::config) url: Option<String>,
}

//! How a process is kept, as written.

use serde::Deserialize;

use super::{RawDuration, RawSignalName};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "a mapping such as {onChange: restart}")]
pub(in crate::config) struct RawExec {
    pub(in crate::config) on_change: Option<RawSignalName>,
    pub(in crate::config) grace_period: Option<RawDuration>,
    pub(in crate::config) token_scopes: Option<Vec<String>>,
}

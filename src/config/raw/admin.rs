//! The admin endpoint as written.

use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "a mapping such as {listen: \":8211\"}")]
pub(in crate::config) struct RawAdmin {
    pub(in crate::config) listen: Option<String>,
    pub(in crate::config) secret_names_in_metrics: Option<bool>,
}

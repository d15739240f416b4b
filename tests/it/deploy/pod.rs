//! What pods are asked for, whoever has made them.

use std::collections::BTreeMap;
use std::path::Path;

use keyferry::config::{Settings, load};
use serde_json::Value;

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// By volume: where a container mounts it, and whether to read alone.
pub(super) fn mounts(container: &Value) -> BTreeMap<&str, (&str, bool)> {
    let mounts = list(&container["volumeMounts"]).iter();
    mounts.map(|mount| (text(&mount["name"]), (text(&mount["mountPath"]), mount["readOnly"] == true))).collect()
}

/// The configuration is valid beside what the webhook of workload identity sets, and no other file.
pub(crate) fn assert_loads(name: &str, config: &str) {
    let environment = BTreeMap::from(
        [
            ("AZURE_CLIENT_ID", "11111111-1111-1111-1111-111111111111"),
            ("AZURE_TENANT_ID", "22222222-2222-2222-2222-222222222222"),
            ("AZURE_FEDERATED_TOKEN_FILE", "/var/run/secrets/azure/tokens/azure-identity-token"),
            ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let (name, text, read) = (name.to_owned(), config.to_owned(), |_: &Path| Err(String::new()));
    let settings = Settings { name, text, environment: &environment, allow_custom_cloud: false, read };
    if let Err(problems) = load(&settings) {
        panic!("{problems}");
    }
}

//! Identities as written.

use serde::Deserialize;
use serde::de::Deserializer;

/// One of them; the kind of an identity is chosen by its key.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "a mapping such as {workload: {}}")]
pub(in crate::config) struct RawIdentity {
    #[serde(deserialize_with = "present")]
    pub(in crate::config) workload: Option<RawWorkload>,
    #[serde(deserialize_with = "present")]
    pub(in crate::config) managed: Option<RawManaged>,
    #[serde(deserialize_with = "present")]
    pub(in crate::config) client_secret: Option<RawClientSecret>,
    #[serde(deserialize_with = "present")]
    pub(in crate::config) client_certificate: Option<RawClientCertificate>,
    #[serde(deserialize_with = "present")]
    pub(in crate::config) azure_cli: Option<RawAzureCli>,
}

/// Nothing after a kind means that the variables say everything.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "a mapping")]
pub(in crate::config) struct RawWorkload {
    pub(in crate::config) client_id: Option<String>,
    pub(in crate::config) tenant_id: Option<String>,
    pub(in crate::config) token_file: Option<String>,
}

#[expect(clippy::struct_field_names, reason = "they are called so in the file")]
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "a mapping")]
pub(in crate::config) struct RawManaged {
    pub(in crate::config) client_id: Option<String>,
    pub(in crate::config) object_id: Option<String>,
    pub(in crate::config) resource_id: Option<String>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "a mapping")]
pub(in crate::config) struct RawClientSecret {
    pub(in crate::config) tenant_id: Option<String>,
    pub(in crate::config) client_id: Option<String>,
    pub(in crate::config) secret_file: Option<String>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "a mapping")]
pub(in crate::config) struct RawClientCertificate {
    pub(in crate::config) tenant_id: Option<String>,
    pub(in crate::config) client_id: Option<String>,
    pub(in crate::config) certificate_file: Option<String>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "a mapping")]
pub(in crate::config) struct RawAzureCli {
    pub(in crate::config) tenant_id: Option<String>,
}

//! The local endpoints as written.

use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    default,
    expecting = "a mapping such as {socket: {path: /run/keyferry-api/api.sock}}"
)]
pub(in crate::config) struct RawServe {
    pub(in crate::config) socket: Option<RawSocket>,
    pub(in crate::config) http: Option<RawHttpEndpoint>,
    pub(in crate::config) tokens: Option<RawTokens>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    default,
    expecting = "a mapping such as {path: /run/keyferry-api/api.sock, allow: [{uid: 1000}]}"
)]
pub(in crate::config) struct RawSocket {
    pub(in crate::config) path: Option<String>,
    pub(in crate::config) allow: Option<Vec<RawCaller>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    default,
    expecting = "a mapping such as {listen: 127.0.0.1:8210, allow: [{uid: 1000}]}"
)]
pub(in crate::config) struct RawHttpEndpoint {
    pub(in crate::config) listen: Option<String>,
    pub(in crate::config) allow: Option<Vec<RawCaller>>,
    pub(in crate::config) token_file: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    default,
    expecting = "a mapping such as {listen: 127.0.0.1:8212, scopes: [https://cognitiveservices.azure.com/.default]}"
)]
pub(in crate::config) struct RawTokens {
    pub(in crate::config) listen: Option<String>,
    pub(in crate::config) allow: Option<Vec<RawCaller>>,
    pub(in crate::config) token_file: Option<String>,
    pub(in crate::config) scopes: Option<Vec<String>>,
    pub(in crate::config) allow_privileged_audience: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "a mapping such as {uid: 1000}")]
pub(in crate::config) struct RawCaller {
    pub(in crate::config) uid: Option<u32>,
    pub(in crate::config) secrets: Option<Vec<String>>,
}

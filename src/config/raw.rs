//! The configuration as written: every key that may stand in the file, nothing checked yet.

mod admin;
mod exec;
mod hooks;
mod identity;
mod serve;

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

pub(super) use admin::RawAdmin;
pub(super) use exec::RawExec;
pub(super) use hooks::{RawHook, RawSignal};
pub(super) use identity::{RawAzureCli, RawClientCertificate, RawClientSecret, RawIdentity, RawManaged, RawWorkload};
pub(super) use serve::{RawCaller, RawHttpEndpoint, RawServe, RawSocket, RawTokens};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "a mapping")]
pub(super) struct Raw {
    pub(super) identity: Option<RawIdentity>,
    pub(super) vaults: BTreeMap<String, RawVault>,
    pub(super) workspace: Option<String>,
    pub(super) cloud: Option<RawCloud>,
    pub(super) tls: RawTls,
    pub(super) startup: RawStartup,
    pub(super) secrets: BTreeMap<String, RawSecret>,
    pub(super) env: BTreeMap<String, RawVariable>,
    pub(super) files: RawFiles,
    pub(super) templates: Option<Vec<RawTemplate>>,
    pub(super) allow_disk: Option<bool>,
    pub(super) refresh: RawRefresh,
    pub(super) stale: RawStale,
    pub(super) on_revoked: Option<RawOnRevoked>,
    pub(super) on_change: Option<Vec<RawHook>>,
    pub(super) exec: RawExec,
    pub(super) serve: RawServe,
    pub(super) admin: Option<RawAdmin>,
    pub(super) reload_config: Option<bool>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum RawOnRevoked {
    Keep,
    Remove,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "a mapping such as {url: https://…}")]
pub(super) struct RawVault {
    pub(super) url: Option<String>,
    pub(super) standby: Option<String>,
    pub(super) identity: Option<RawIdentity>,
}

#[derive(Debug)]
pub(super) enum RawCloud {
    Named(String),
    Custom(RawCustomCloud),
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "a mapping")]
pub(super) struct RawCustomCloud {
    pub(super) authority_host: Option<String>,
    pub(super) vault_suffix: Option<String>,
    pub(super) vault_audience: Option<String>,
    pub(super) resource_manager: Option<String>,
    pub(super) resource_manager_audience: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "a mapping such as {caFile: /path}")]
pub(super) struct RawTls {
    pub(super) ca_file: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "a mapping such as {timeout: 5m}")]
pub(super) struct RawStartup {
    pub(super) timeout: Option<RawDuration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "a mapping such as {interval: 15m}")]
pub(super) struct RawRefresh {
    pub(super) interval: Option<RawDuration>,
    pub(super) connection_interval: Option<RawDuration>,
    pub(super) settle: Option<RawDuration>,
    pub(super) list: Option<RawList>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum RawList {
    Auto,
    Never,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "a mapping such as {after: 24h}")]
pub(super) struct RawStale {
    pub(super) after: Option<RawDuration>,
    pub(super) fail_readiness: Option<bool>,
}

#[derive(Debug)]
pub(super) enum RawSecret {
    Short(String),
    Long(Box<RawLongSecret>),
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "a mapping")]
pub(super) struct RawLongSecret {
    pub(super) from: Option<String>,
    pub(super) property: Option<String>,
    pub(super) decode: Option<RawDecode>,
    pub(super) expect: Option<RawExpect>,
    pub(super) parts: Option<RawParts>,
    pub(super) file: Option<RawFile>,
    pub(super) refresh: Option<RawDuration>,
    pub(super) optional: Option<bool>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum RawDecode {
    Base64,
    Hex,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum RawExpect {
    NonEmpty,
    Json,
    Pem,
}

/// The parts of a certificate, and the file of each.
#[derive(Debug, Default, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    default,
    expecting = "a mapping such as {fullchain: tls.crt, key: tls.key}"
)]
pub(super) struct RawParts {
    pub(super) fullchain: Option<String>,
    pub(super) leaf: Option<String>,
    pub(super) chain: Option<String>,
    pub(super) key: Option<String>,
    pub(super) bundle: Option<String>,
    pub(super) ca: Option<String>,
    pub(super) pfx: Option<String>,
}

/// A file's name, or none for `false`.
#[derive(Debug)]
pub(super) struct RawFile(pub(super) Option<String>);

/// Text such as `15m`; a number without a unit is not guessed at.
#[derive(Debug)]
pub(super) struct RawDuration(pub(super) String);

/// A quoted octal number: YAML 1.2 reads an unquoted 0440 as four hundred and forty.
#[derive(Debug)]
pub(super) struct RawMode(pub(super) String);

/// A signal by its name: what its number means is not the same everywhere.
#[derive(Debug)]
pub(super) struct RawSignalName(pub(super) String);

/// One mapping or a list of them, each with its step in the path.
#[derive(Debug, Default)]
pub(super) struct RawFiles {
    pub(super) list: bool,
    pub(super) directories: Vec<RawDirectory>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "a mapping such as {dir: /run/keyferry}")]
pub(super) struct RawDirectory {
    pub(super) dir: Option<String>,
    pub(super) include: Option<Vec<String>>,
    pub(super) mode: Option<RawMode>,
    pub(super) group: Option<u32>,
    pub(super) env_file: Option<String>,
}

/// What a variable holds: a secret, or a part of one; or a template.
#[derive(Debug, Default, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    default,
    expecting = "a mapping such as {secret: db-password}, or {template: …}"
)]
pub(super) struct RawVariable {
    pub(super) secret: Option<String>,
    pub(super) part: Option<String>,
    pub(super) template: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    default,
    expecting = "a mapping such as {dir: /run/keyferry, destination: app.conf, source: /etc/keyferry/app.conf.j2}"
)]
pub(super) struct RawTemplate {
    pub(super) dir: Option<String>,
    pub(super) destination: Option<String>,
    pub(super) source: Option<String>,
    pub(super) contents: Option<String>,
    pub(super) mode: Option<RawMode>,
}

/// What a value that has a short and a long form is made of.
trait Forms<'de>: Sized {
    const EXPECTED: &'static str;
    fn from_nothing() -> Option<Self> {
        None
    }
    fn from_text(_: &str) -> Option<Self> {
        None
    }
    fn from_bool(_: bool) -> Option<Self> {
        None
    }
    fn from_number() -> Option<&'static str> {
        None
    }
    fn from_map<A: MapAccess<'de>>(_: A) -> Option<Result<Self, A::Error>> {
        None
    }
    fn from_list<A: SeqAccess<'de>>(_: A) -> Option<Result<Self, A::Error>> {
        None
    }
}

struct FormsVisitor<T>(std::marker::PhantomData<T>);

impl<'de, T: Forms<'de>> Visitor<'de> for FormsVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_unit<E: de::Error>(self) -> Result<T, E> {
        T::from_nothing().ok_or_else(|| E::invalid_type(de::Unexpected::Unit, &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text).ok_or_else(|| E::invalid_type(de::Unexpected::Str(""), &self))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<T, E> {
        T::from_bool(value).ok_or_else(|| E::invalid_type(de::Unexpected::Bool(value), &self))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<T, E> {
        Err(match T::from_number() {
            Some(message) => E::custom(message),
            None => E::invalid_type(de::Unexpected::Unsigned(value), &self),
        })
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<T, E> {
        self.visit_u64(0)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<T, E> {
        self.visit_u64(0)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::from_map(map).unwrap_or_else(|| Err(de::Error::invalid_type(de::Unexpected::Map, &self)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        T::from_list(list).unwrap_or_else(|| Err(de::Error::invalid_type(de::Unexpected::Seq, &self)))
    }
}

macro_rules! by_forms {
    ($($type:ty),*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(FormsVisitor::<Self>(std::marker::PhantomData))
            }
        }
    )*};
}

by_forms!(RawCloud, RawSecret, RawFile, RawDuration, RawMode, RawSignalName, RawFiles);

impl<'de> Forms<'de> for RawCloud {
    const EXPECTED: &'static str = "public, usGovernment, china, or a mapping with authorityHost and vaultSuffix";

    fn from_text(text: &str) -> Option<Self> {
        Some(Self::Named(text.to_owned()))
    }

    fn from_map<A: MapAccess<'de>>(map: A) -> Option<Result<Self, A::Error>> {
        Some(Deserialize::deserialize(MapAccessDeserializer::new(map)).map(Self::Custom))
    }
}

impl<'de> Forms<'de> for RawSecret {
    const EXPECTED: &'static str = "a reference, or a mapping with 'from'";

    fn from_text(text: &str) -> Option<Self> {
        Some(Self::Short(text.to_owned()))
    }

    fn from_map<A: MapAccess<'de>>(map: A) -> Option<Result<Self, A::Error>> {
        Some(Deserialize::deserialize(MapAccessDeserializer::new(map)).map(Box::new).map(Self::Long))
    }
}

impl Forms<'_> for RawFile {
    const EXPECTED: &'static str = "a relative path, or false for no file";

    fn from_text(text: &str) -> Option<Self> {
        Some(Self(Some(text.to_owned())))
    }

    fn from_bool(wanted: bool) -> Option<Self> {
        (!wanted).then_some(Self(None))
    }
}

impl Forms<'_> for RawDuration {
    const EXPECTED: &'static str = "a duration such as 15m";

    fn from_text(text: &str) -> Option<Self> {
        Some(Self(text.to_owned()))
    }

    fn from_number() -> Option<&'static str> {
        Some("a duration needs its unit, such as 30s, 15m or 1h")
    }
}

impl Forms<'_> for RawMode {
    const EXPECTED: &'static str = "a quoted octal mode such as \"0440\"";

    fn from_text(text: &str) -> Option<Self> {
        Some(Self(text.to_owned()))
    }

    fn from_number() -> Option<&'static str> {
        Some("a mode must be quoted, because YAML reads it as a decimal number otherwise: write \"0440\"")
    }
}

impl Forms<'_> for RawSignalName {
    const EXPECTED: &'static str = "the name of a signal such as SIGHUP";

    fn from_text(text: &str) -> Option<Self> {
        Some(Self(text.to_owned()))
    }
}

impl<'de> Forms<'de> for RawFiles {
    const EXPECTED: &'static str = "a mapping with 'dir', or a list of them";

    fn from_nothing() -> Option<Self> {
        Some(Self::default())
    }

    fn from_map<A: MapAccess<'de>>(map: A) -> Option<Result<Self, A::Error>> {
        let directory = Deserialize::deserialize(MapAccessDeserializer::new(map));
        Some(directory.map(|directory| Self { list: false, directories: vec![directory] }))
    }

    fn from_list<A: SeqAccess<'de>>(list: A) -> Option<Result<Self, A::Error>> {
        let directories = Deserialize::deserialize(SeqAccessDeserializer::new(list));
        Some(directories.map(|directories| Self { list: true, directories }))
    }
}

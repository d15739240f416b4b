//! From the configuration as written to the configuration as meant, with every problem at once.
//!
//! Pure: the text and the environment are arguments. What was cut out as wrong is not complained of a second time.

mod files;
mod identity;
mod secrets;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize as _;

use super::cloud::{Cloud, CustomProblem};
use super::node::{Problem, Tree};
use super::raw::{Raw, RawCloud, RawCustomCloud, RawDuration, RawVault};
use super::{Config, DEFAULT_IDENTITY, Identity, Refresh, Vault};
use crate::reference::{IdentityName, parse_alias, parse_host};

/// What there is to validate.
#[derive(Debug)]
pub struct Settings<'a> {
    /// What the text is called in messages: the file, or the variable it is from.
    pub name: String,
    /// The configuration, YAML.
    pub text: String,
    /// The environment.
    pub environment: &'a BTreeMap<String, String>,
    /// Whether whoever starts the process agrees to a cloud that the configuration defines.
    pub allow_custom_cloud: bool,
}

/// Every problem, in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// What the text is called.
    pub name: String,
    /// The problems.
    pub list: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Problem { place, message } in &self.list {
            writeln!(f, "{}:{}:{}: {message}", self.name, place.line, place.column)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Reads a configuration, or finds everything that is wrong with it.
pub fn load(settings: &Settings<'_>) -> Result<Config, Problems> {
    let mut problems = Vec::new();
    let config = Tree::parse(&settings.text, &mut problems).and_then(|mut tree| {
        let raw = read(&mut tree, &mut problems)?;
        Some(Checker { tree, settings, problems: &mut problems }.config(&raw))
    });
    problems.sort();
    problems.dedup();
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(Problems { name: settings.name.clone(), list: problems }),
    }
}

/// serde stops at the first error: it is noted, the smallest entry around it cut out, and the rest read again.
fn read(tree: &mut Tree, problems: &mut Vec<Problem>) -> Option<Raw> {
    loop {
        let error = match Raw::deserialize(&tree.root) {
            Ok(raw) => return Some(raw),
            Err(error) => error,
        };
        let Some((path, place)) = error.id.and_then(|id| tree.cut(id)) else {
            problems.push(Problem { place: tree.root.place, message: error.message });
            return None;
        };
        problems.push(Problem { place, message: format!("{}: {}", joined(&path), error.message) });
    }
}

/// A path as people write it; keys are the user's text and are shown escaped.
fn joined<T: AsRef<str>>(path: &[T]) -> String {
    let escaped = |step: &T| step.as_ref().chars().take(80).flat_map(char::escape_default).collect::<String>();
    path.iter().map(escaped).collect::<Vec<_>>().join(".")
}

struct Checker<'a> {
    tree: Tree,
    settings: &'a Settings<'a>,
    problems: &'a mut Vec<Problem>,
}

impl Checker<'_> {
    fn config(&mut self, raw: &Raw) -> Config {
        let cloud = self.cloud(raw.cloud.as_ref());
        let (default, no_identity) = self.default_identity(raw.identity.as_ref());
        let mut identities = BTreeMap::new();
        if let Some(workload) = default {
            identities.insert(IdentityName(DEFAULT_IDENTITY.to_owned()), Identity::Workload(workload));
        }
        let vaults = self.vaults(&raw.vaults, &cloud, &mut identities);
        let refresh = Refresh {
            interval: self.duration(&["refresh", "interval"], raw.refresh.interval.as_ref(), &INTERVAL),
            settle: self.duration(&["refresh", "settle"], raw.refresh.settle.as_ref(), &SETTLE),
        };
        let mut config = Config {
            cloud,
            identities,
            no_identity,
            vaults,
            ca_file: raw.tls.ca_file.as_ref().and_then(|path| self.absolute(&["tls", "caFile"], path)),
            startup_timeout: self.duration(&["startup", "timeout"], raw.startup.timeout.as_ref(), &STARTUP),
            secrets: BTreeMap::new(),
            files: Vec::new(),
            refresh,
        };
        config.secrets = self.secrets(raw, &config);
        config.files = self.files(raw, &config.secrets);
        config
    }

    /// Notes a problem with the value at the path, unless it, or what it stands in, was cut out for another.
    fn problem(&mut self, path: &[&str], message: impl fmt::Display) {
        if !self.tree.was_cut(path) {
            let message = format!("{}: {message}", joined(path));
            self.problems.push(Problem { place: self.tree.place(path), message });
        }
    }

    /// The value, or a problem.
    fn take<T>(&mut self, path: &[&str], result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.problem(path, message)).ok()
    }

    fn cloud(&mut self, raw: Option<&RawCloud>) -> Cloud {
        // What is wrong is noted; the rest is checked as if nothing had been said.
        let fallback = Cloud::public;
        let authority = self.settings.environment.get("AZURE_AUTHORITY_HOST").filter(|host| !host.is_empty()).cloned();
        match raw {
            Some(RawCloud::Custom(custom)) => self.custom_cloud(custom, authority.as_deref()).unwrap_or_else(fallback),
            Some(RawCloud::Named(name)) => {
                let Some(cloud) = Cloud::named(name) else {
                    self.problem(
                        &["cloud"],
                        "expected public, usGovernment, china, or a mapping with authorityHost and vaultSuffix",
                    );
                    return fallback();
                };
                if let Some(authority) = authority.filter(|host| Cloud::of_authority(host).as_ref() != Some(&cloud)) {
                    let message = format!(
                        "this cloud's authority is {}, but AZURE_AUTHORITY_HOST is {authority}: \
                                           change the one that is wrong",
                        cloud.authority
                    );
                    self.problem(&["cloud"], message);
                }
                cloud
            }
            None => match authority {
                None => fallback(),
                Some(authority) => Cloud::of_authority(&authority).unwrap_or_else(|| {
                    let message = format!(
                        "AZURE_AUTHORITY_HOST is {authority}, which is the authority of no known cloud: \
                                           describe it with 'cloud: {{vaultSuffix: …}}'"
                    );
                    self.problem(&["cloud"], message);
                    fallback()
                }),
            },
        }
    }

    fn custom_cloud(&mut self, raw: &RawCustomCloud, environment: Option<&str>) -> Option<Cloud> {
        if !self.settings.allow_custom_cloud {
            self.problem(
                &["cloud"],
                "a cloud of one's own must be agreed to, because its authority receives the pod's federated token: start \
                 keyferry with --allow-custom-cloud, or with KEYFERRY_ALLOW_CUSTOM_CLOUD=1 in the pod's environment",
            );
        }
        let Some(suffix) = &raw.vault_suffix else {
            self.problem(&["cloud", "vaultSuffix"], "a cloud of one's own needs the DNS suffix of its vaults");
            return None;
        };
        let Some(authority) = raw.authority_host.as_deref().or(environment) else {
            self.problem(
                &["cloud", "authorityHost"],
                "a cloud of one's own needs its authority, here or in AZURE_AUTHORITY_HOST",
            );
            return None;
        };
        match Cloud::custom(authority, suffix, raw.vault_audience.as_deref()) {
            Ok(cloud) => return Some(cloud),
            Err(CustomProblem::Authority(message)) => self.problem(&["cloud", "authorityHost"], message),
            Err(CustomProblem::Suffix(message)) => self.problem(&["cloud", "vaultSuffix"], message),
            Err(CustomProblem::Audience(message)) => self.problem(&["cloud", "vaultAudience"], message),
        }
        None
    }

    fn vaults(
        &mut self,
        raw: &BTreeMap<String, RawVault>,
        cloud: &Cloud,
        identities: &mut BTreeMap<IdentityName, Identity>,
    ) -> BTreeMap<String, Vault> {
        let mut vaults = BTreeMap::new();
        for (alias, vault) in raw {
            let path = ["vaults", alias.as_str()];
            self.take(&path, parse_alias(alias));
            if alias == DEFAULT_IDENTITY {
                self.problem(&path, "the alias 'default' is taken: choose another");
            }
            let identity = match &vault.identity {
                None => IdentityName(DEFAULT_IDENTITY.to_owned()),
                Some(identity) => {
                    let name = IdentityName(alias.clone());
                    if let Some(workload) = self.own_identity(alias, identity) {
                        identities.insert(name.clone(), Identity::Workload(workload));
                    }
                    name
                }
            };
            let Some(url) = &vault.url else {
                self.problem(
                    &[&path[..], &["url"]].concat(),
                    "a vault needs its url, such as https://contoso.vault.azure.net",
                );
                continue;
            };
            let path = [&path[..], &["url"]].concat();
            if let Some(host) = self.take(&path, vault_url(url, cloud)) {
                vaults.insert(alias.clone(), Vault { host, identity });
            }
        }
        vaults
    }

    fn duration(&mut self, path: &[&str], raw: Option<&RawDuration>, bounds: &Bounds) -> Duration {
        let Some(RawDuration(text)) = raw else { return bounds.default };
        let Ok(duration) = humantime::parse_duration(text) else {
            self.problem(path, "expected a duration such as 30s, 15m or 1h");
            return bounds.default;
        };
        if !(bounds.least..=bounds.most).contains(&duration) {
            let [least, most] = [bounds.least, bounds.most].map(humantime::format_duration);
            self.problem(path, format!("expected a duration from {least} to {most}"));
        }
        duration
    }

    fn absolute(&mut self, path: &[&str], text: &str) -> Option<std::path::PathBuf> {
        if !text.starts_with('/') || text.contains('\0') {
            self.problem(path, "expected an absolute path");
            return None;
        }
        Some(text.into())
    }
}

struct Bounds {
    least: Duration,
    most: Duration,
    default: Duration,
}

const DAY: Duration = Duration::from_hours(24);
const INTERVAL: Bounds =
    Bounds { least: Duration::from_secs(1), most: DAY.saturating_mul(7), default: Duration::from_mins(15) };
const SETTLE: Bounds = Bounds { least: Duration::ZERO, most: Duration::from_mins(1), default: Duration::from_secs(2) };
const STARTUP: Bounds = Bounds { least: Duration::from_secs(1), most: DAY, default: Duration::from_mins(5) };

fn vault_url(url: &str, cloud: &Cloud) -> Result<crate::reference::VaultHost, String> {
    let rest = url.strip_prefix("https://").ok_or("a vault's url is written 'https://<vault>.<suffix>'")?;
    let host = rest.strip_suffix('/').unwrap_or(rest);
    if host.contains('/') {
        return Err("a vault's url has no path: the reference names the secret".to_owned());
    }
    cloud.vault_host(&parse_host(host)?)
}

#[cfg(test)]
mod tests;

//! Which cloud it is: the configuration's word, or the authority that the environment names.

use super::Checker;
use crate::config::cloud::{Cloud, Custom, CustomProblem};
use crate::config::raw::{RawCloud, RawCustomCloud};

const AUTHORITY: &str = "AZURE_AUTHORITY_HOST";

impl Checker<'_> {
    /// The cloud; none when something is wrong with it, which is noted.
    pub(super) fn cloud(&mut self, raw: Option<&RawCloud>) -> Option<Cloud> {
        let path = ["cloud"];
        let environment = self.settings.environment.get(AUTHORITY).filter(|host| !host.is_empty());
        match (raw, environment) {
            (Some(RawCloud::Custom(custom)), environment) => self.custom_cloud(custom, environment.map(String::as_str)),
            (Some(RawCloud::Named(name)), environment) => {
                let known = "expected public, usGovernment, china, or a mapping with authorityHost and vaultSuffix";
                let cloud = self.take(&path, Cloud::named(name).ok_or_else(|| known.to_owned()))?;
                let Some(environment) = environment else { return Some(cloud) };
                if Cloud::of_authority(environment).as_ref() == Some(&cloud) {
                    return Some(cloud);
                }
                let message = format!(
                    "the authority of this cloud is {}, but {AUTHORITY} names another: change the one that is wrong",
                    cloud.authority
                );
                self.problem(&path, message);
                None
            }
            (None, _) if self.tree.was_cut(&path) => None,
            (None, None) => Some(Cloud::public()),
            (None, Some(environment)) => {
                let unknown = format!(
                    "{AUTHORITY} is the authority of no known cloud{}: correct it ({}), or describe the cloud with \
                     'cloud: {{vaultSuffix: …}}'",
                    shown_authority(environment),
                    Cloud::authorities().collect::<Vec<_>>().join(", ")
                );
                self.take(&path, Cloud::of_authority(environment).ok_or(unknown))
            }
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
        let own = raw.authority_host.as_deref();
        let authority = own.or(environment);
        if authority.is_none() {
            let message = format!("a cloud of one's own needs its authority, here or in {AUTHORITY}");
            self.problem(&["cloud", "authorityHost"], message);
        }
        if raw.vault_suffix.is_none() {
            self.problem(&["cloud", "vaultSuffix"], "a cloud of one's own needs the DNS suffix of its vaults");
        }
        let custom = Cloud::custom(&Custom {
            authority: authority?,
            vault_suffix: raw.vault_suffix.as_deref()?,
            vault_audience: raw.vault_audience.as_deref(),
            resource_manager: raw.resource_manager.as_deref(),
            resource_manager_audience: raw.resource_manager_audience.as_deref(),
        });
        for problem in custom.as_ref().err().into_iter().flatten() {
            match problem {
                CustomProblem::Authority(message) if own.is_some() => {
                    self.problem(&["cloud", "authorityHost"], message);
                }
                CustomProblem::Authority(message) => self.problem(&["cloud"], format!("{AUTHORITY}: {message}")),
                CustomProblem::Suffix(message) => self.problem(&["cloud", "vaultSuffix"], message),
                CustomProblem::Audience(message) => self.problem(&["cloud", "vaultAudience"], message),
                CustomProblem::ResourceManager(message) => self.problem(&["cloud", "resourceManager"], message),
                CustomProblem::ResourceManagerAudience(message) => {
                    self.problem(&["cloud", "resourceManagerAudience"], message);
                }
            }
        }
        custom.ok()
    }
}

/// What an authority's variable says, for a message: an address alone, for anything else may be a pasted secret.
fn shown_authority(value: &str) -> String {
    let is_host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'/');
    match value.split_once("://") {
        Some(("https" | "http", rest)) if rest.contains('.') && rest.len() <= 80 && rest.bytes().all(is_host) => {
            format!(" (it is '{value}')")
        }
        Some(_) | None => " (it is no 'https://<host>', and not shown here)".to_owned(),
    }
}

//! What of a changed configuration can be had without a restart: the secrets, which of them each directory shows and each
//! hook hears of, what is made of them, the rhythm and what is stale by it. Who signs in, where vaults and directories are, whom hooks tell, is built once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::hooks::OnChange;
use super::{Config, DEFAULT_IDENTITY, Directory, RenderedFile, SecretConfig};
use crate::reference::{IdentityName, SecretName};

/// A configuration that a running agent can go on with.
#[derive(Debug, PartialEq, Eq)]
pub struct Live {
    /// The running one, with what may change.
    pub config: Config,
    /// The keys at the top of the file whose changes wait for a restart.
    pub waiting: Vec<&'static str>,
}

impl Config {
    /// Goes on with what may change of another configuration; or says, a line each, which of its secrets need what may not.
    pub fn live(&self, new: Self) -> Result<Live, Vec<String>> {
        let waiting = self.waiting(&new);
        let secrets = if waiting.is_empty() { new.secrets } else { self.resolve(new.secrets)? };
        let same_places = !waiting.contains(&"files") && !waiting.contains(&"allowDisk");
        let files = if same_places { new.files } else { self.places(&new.files, &secrets) };
        let on_change = if waiting.contains(&"onChange") {
            let known =
                |hook: &OnChange| hook.secrets.iter().filter(|name| secrets.contains_key(*name)).cloned().collect();
            self.on_change.iter().map(|hook| OnChange { secrets: known(hook), ..hook.clone() }).collect()
        } else {
            new.on_change
        };
        let (env, template_files) = (new.env, new.template_files);
        let (refresh, stale) = (new.refresh, new.stale);
        let config = Self { secrets, env, files, refresh, stale, on_change, template_files, ..self.clone() };
        Ok(Live { config, waiting })
    }

    fn waiting(&self, new: &Self) -> Vec<&'static str> {
        let default = |config: &Self| config.identities.get(&IdentityName(DEFAULT_IDENTITY.to_owned())).cloned();
        let others = |config: &Self| {
            let others = config.identities.iter().filter(|(name, _)| name.0 != DEFAULT_IDENTITY);
            others.map(|(name, identity)| (name.clone(), identity.clone())).collect::<BTreeMap<_, _>>()
        };
        let place = |directory: &Directory| (directory.dir.clone(), directory.mode, directory.group);
        let action = |hook: &OnChange| hook.action.clone();
        let on_disk = |config: &Self| config.files.iter().any(|directory| directory.allow_disk);
        let differs = [
            ("identity", default(self) != default(new)),
            ("vaults", self.vaults != new.vaults || others(self) != others(new)),
            ("workspace", self.workspace != new.workspace),
            ("cloud", self.cloud != new.cloud),
            ("tls", self.ca_file != new.ca_file),
            ("files", !self.files.iter().map(place).eq(new.files.iter().map(place))),
            ("allowDisk", on_disk(self) != on_disk(new)),
            ("onChange", !self.on_change.iter().map(action).eq(new.on_change.iter().map(action))),
            ("onRevoked", self.on_revoked != new.on_revoked),
            ("reloadConfig", self.reload != new.reload),
        ];
        differs.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
    }

    /// The secrets, where this configuration's vaults and identities have them.
    fn resolve(
        &self,
        secrets: BTreeMap<SecretName, SecretConfig>,
    ) -> Result<BTreeMap<SecretName, SecretConfig>, Vec<String>> {
        let mut wrong = Vec::new();
        let mut resolved = BTreeMap::new();
        for (name, secret) in secrets {
            match self.object(&secret.reference) {
                Ok(object) => {
                    let standby = self.standby(&secret.reference);
                    resolved.insert(name, SecretConfig { object, standby, ..secret });
                }
                Err(reason) => wrong.push(format!("secret {name} ({}): {reason}", secret.reference)),
            }
        }
        if wrong.is_empty() { Ok(resolved) } else { Err(wrong) }
    }

    /// This configuration's directories, each with the secrets that the new one shows there.
    fn places(&self, new: &[Directory], secrets: &BTreeMap<SecretName, SecretConfig>) -> Vec<Directory> {
        let place = |own: &Directory| {
            let shown = new.iter().find(|directory| directory.dir == own.dir).unwrap_or(own);
            let include = shown.include.iter().filter(|name| secrets.contains_key(*name)).cloned().collect();
            // The directory's own mode holds for what is rendered into it, too.
            let narrow = |(path, file): (&PathBuf, &RenderedFile)| {
                (path.clone(), RenderedFile { mode: file.mode & own.mode, ..file.clone() })
            };
            Directory { include, rendered: shown.rendered.iter().map(narrow).collect(), ..own.clone() }
        };
        self.files.iter().map(place).collect()
    }
}

#[cfg(test)]
mod tests;

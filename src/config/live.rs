//! What of a changed configuration can be had without a restart: the secrets, which of them each directory shows and
//! each hook hears of, what is made of them, the rhythm and what is stale by it. Who signs in, where vaults and
//! directories are, whom hooks tell, is built once.

use std::collections::BTreeMap;

use super::collisions::{self, Secrets};
use super::hooks::OnChange;
use super::serve::Serve;
use super::{Config, DEFAULT_IDENTITY, Directory, SecretConfig};
use crate::reference::{IdentityName, SecretName};
use crate::secret::Part;

/// A configuration that a running agent can go on with.
#[derive(Debug, PartialEq, Eq)]
pub struct Live {
    /// The running one, with what may change.
    pub config: Config,
    /// The keys at the top of the file whose changes wait for a restart.
    pub waiting: Vec<&'static str>,
}

impl Config {
    /// Goes on with what may change of another configuration; or says, a line each, what of it needs what may not.
    pub fn live(&self, new: Self) -> Result<Live, Vec<String>> {
        let waiting = self.waiting(&new);
        let secrets = if waiting.is_empty() { new.secrets } else { self.resolve(new.secrets)? };
        let same_places = !waiting.contains(&"files") && !waiting.contains(&"allowDisk");
        let files = if same_places { new.files } else { self.places(&new.files, &secrets)? };
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
        let serve = |config: &Self| Serve { allow_disk: false, ..config.serve.clone() };
        let differs = [
            ("identity", default(self) != default(new)),
            ("vaults", self.vaults != new.vaults || others(self) != others(new)),
            ("workspace", self.workspace != new.workspace),
            ("cloud", self.cloud != new.cloud),
            ("tls", self.ca_file != new.ca_file),
            ("files", !self.files.iter().map(place).eq(new.files.iter().map(place))),
            ("allowDisk", self.serve.allow_disk != new.serve.allow_disk),
            ("onChange", !self.on_change.iter().map(action).eq(new.on_change.iter().map(action))),
            ("onRevoked", self.on_revoked != new.on_revoked),
            ("serve", serve(self) != serve(new)),
            ("admin", self.admin != new.admin),
            ("reloadConfig", self.reload != new.reload),
        ];
        differs.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
    }

    /// The secrets, where this configuration's vaults and identities have them.
    fn resolve(&self, secrets: Secrets) -> Result<Secrets, Vec<String>> {
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

    /// This configuration's directories, each with the secrets that the new one shows there, and what it makes of them.
    /// What was checked of each configuration is checked again of what they are together.
    fn places(&self, new: &[Directory], secrets: &Secrets) -> Result<Vec<Directory>, Vec<String>> {
        let place = |own: &Directory| {
            let shown = new.iter().find(|directory| directory.dir == own.dir).unwrap_or(own);
            let include = shown.include.iter().filter(|name| secrets.contains_key(*name)).cloned().collect();
            Directory { include, rendered: shown.rendered.clone(), ..own.clone() }
        };
        let mut places: Vec<Directory> = self.files.iter().map(place).collect();
        let wrong: Vec<String> = places.iter().flat_map(|directory| impossible(directory, secrets)).collect();
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let shown: Vec<(Vec<SecretName>, u32)> =
            places.iter().map(|directory| (directory.include.clone(), directory.mode)).collect();
        for directory in &mut places {
            let own = directory.mode;
            for file in directory.rendered.values_mut() {
                let secrets = file.recipe.secrets();
                // As wide as the directories are that run, and not as the new configuration would have them.
                let publish_it =
                    |(include, _): &&(Vec<SecretName>, u32)| include.iter().any(|name| secrets.contains(name));
                file.mode &= shown.iter().filter(publish_it).fold(own, |mode, (_, other)| mode & other);
            }
        }
        Ok(places)
    }
}

/// Why a directory cannot show what it is to show until the restart.
fn impossible(directory: &Directory, secrets: &Secrets) -> Vec<String> {
    let mut wrong = collisions::of_secrets(&directory.include, secrets);
    let mut checked = Directory { rendered: BTreeMap::new(), ..directory.clone() };
    for (path, file) in &directory.rendered {
        let shown = path.display();
        wrong.extend(collisions::neighbour(path, &checked, secrets).map(|problem| format!("{shown}: {problem}")));
        for (secret, part) in file.recipe.uses() {
            let has_it = |secret: &SecretConfig| match part {
                Part::Value => secret.cut.parts.is_empty(),
                part => secret.cut.parts.contains(&part),
            };
            if !secrets.get(secret).is_some_and(has_it) {
                wrong.push(format!("{shown} is made of the secret '{secret}' ({}), which is gone", part.name()));
            }
        }
        checked.rendered.insert(path.clone(), file.clone());
    }
    let dir = directory.dir.display();
    let until = "changes of the directories themselves wait for a restart";
    wrong.into_iter().map(|problem| format!("{dir}: {problem}; {until}")).collect()
}

#[cfg(test)]
mod tests;

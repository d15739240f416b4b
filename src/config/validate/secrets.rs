//! What is fetched.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::{Checker, INTERVAL};
use crate::config::raw::{Raw, RawDecode, RawFile, RawLongSecret, RawSecret};
use crate::config::{Config, SecretConfig, needs_default};
use crate::extract::{Cut, Decode};
use crate::reference::{Object, Reference, SecretName, VaultName};

impl Checker<'_> {
    pub(super) fn secrets(
        &mut self,
        raw: &Raw,
        config: &Config,
        hosts_checked: bool,
    ) -> BTreeMap<SecretName, SecretConfig> {
        let mut secrets = BTreeMap::new();
        for (name, secret) in &raw.secrets {
            let parsed = SecretName::parse(name);
            if let Err(message) = &parsed {
                self.key_problem(&["secrets", name], message);
            }
            let short;
            let (long, from) = match secret {
                RawSecret::Short(from) => {
                    short = RawLongSecret { from: Some(from.clone()), ..RawLongSecret::default() };
                    (&short, &["secrets", name][..])
                }
                RawSecret::Long(long) => (long, &["secrets", name, "from"][..]),
            };
            let object = self.object(from, long, raw, config, hosts_checked);
            let meant = self.secret(name, long, object, config);
            if let (Ok(name), Some(meant)) = (parsed, meant) {
                secrets.insert(name, meant);
            }
        }
        secrets
    }

    /// What the reference means; none when something is wrong with it or with its vault or workspace, which is noted there.
    fn object(
        &mut self,
        path: &[&str],
        raw: &RawLongSecret,
        all: &Raw,
        config: &Config,
        hosts_checked: bool,
    ) -> Option<(Reference, Object)> {
        let Some(text) = &raw.from else {
            self.problem(path, "'from' is missing: the reference to the secret");
            return None;
        };
        let reference = self.take(path, Reference::parse(text))?;
        let told_elsewhere = match &reference {
            Reference::Vault { vault: VaultName::Alias(alias), .. } => {
                let mentioned = all.vaults.contains_key(alias) || self.tree.was_cut(&["vaults", alias]);
                mentioned && !config.vaults.contains_key(alias)
            }
            Reference::Vault { .. } => !hosts_checked,
            Reference::Connection { workspace, .. } => {
                let mentioned = all.workspace.is_some() || self.tree.was_cut(&["workspace"]);
                let no_manager = self.tree.was_cut(&["cloud", "resourceManager"]);
                !hosts_checked || no_manager || workspace.is_none() && mentioned && config.workspace.is_none()
            }
            Reference::Token { .. } | Reference::File(_) => false,
        };
        let object = if told_elsewhere { None } else { self.take(path, config.locate(&reference)) };
        Some((reference, object?))
    }

    /// That nobody can sign in is said once, and only when a secret needs it.
    pub(super) fn need_identity(&mut self, config: &Config) {
        let Some(reason) = &config.no_identity else { return };
        let mut needing = config.secrets.iter().filter(|(_, secret)| needs_default(&secret.object));
        if let Some((first, _)) = needing.next() {
            let others = match needing.count() {
                0 => String::new(),
                1 => " and one other secret".to_owned(),
                more => format!(" and {more} other secrets"),
            };
            self.problem(&["identity"], format!("{reason}; needed by '{first}'{others}"));
        }
    }

    fn secret(
        &mut self,
        name: &str,
        raw: &RawLongSecret,
        object: Option<(Reference, Object)>,
        config: &Config,
    ) -> Option<SecretConfig> {
        let member = |member| ["secrets", name, member];
        if raw.property.as_deref() == Some("") {
            self.problem(&member("property"), "expected the name of a member of the JSON object");
        }
        let file = match &raw.file {
            None if self.tree.was_cut(&member("file")) => None,
            None => Some(Some(PathBuf::from(name))),
            Some(RawFile(None)) => Some(None),
            Some(RawFile(Some(file))) => self.take(&member("file"), check_file(file)).map(Some),
        };
        let refresh = match &raw.refresh {
            None => config.refresh.interval,
            own => self.duration(&member("refresh"), own.as_ref(), &INTERVAL),
        };
        let decode = raw.decode.map(|decode| match decode {
            RawDecode::Base64 => Decode::Base64,
            RawDecode::Hex => Decode::Hex,
        });
        let cut = Cut { property: raw.property.clone(), decode };
        let (reference, object) = object?;
        Some(SecretConfig { reference, object, cut, file: file?, refresh, optional: raw.optional.unwrap_or_default() })
    }
}

/// A file's name stays inside its directory and cannot be taken for one of our own entries, which begin with two dots.
fn check_file(file: &str) -> Result<PathBuf, String> {
    let wrong = |reason: &str| Err(reason.to_owned());
    let path = Path::new(file);
    if file.is_empty() {
        return wrong("a file's name is not empty; for no file write false");
    }
    if file.contains('\0') {
        return wrong("a file's name cannot hold a NUL character");
    }
    if file.starts_with('/') {
        return wrong("a file's name is relative to the directory: remove the '/' at its beginning");
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return wrong("a file cannot leave the directory: remove '..'");
    }
    if file.starts_with("..") {
        return wrong("a file's name cannot begin with '..': such names are keyferry's own");
    }
    if file.split('/').any(|part| part.is_empty() || part == ".") {
        return wrong("a file's name has no empty or '.' parts");
    }
    if file.split('/').any(|part| part.len() > 255) {
        return wrong("each part of a file's name has at most 255 bytes");
    }
    // The directory's own path and the generation's name come before it, and a path has at most 4096 bytes.
    if file.len() > 2048 {
        return wrong("a file's name has at most 2048 bytes");
    }
    Ok(path.to_owned())
}

//! What is fetched.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::{Checker, INTERVAL};
use crate::config::raw::{Raw, RawDecode, RawFile, RawLongSecret, RawSecret};
use crate::config::{Config, SecretConfig};
use crate::extract::{Cut, Decode};
use crate::reference::{Reference, SecretName};

impl Checker<'_> {
    pub(super) fn secrets(&mut self, raw: &Raw, config: &Config) -> BTreeMap<SecretName, SecretConfig> {
        let mut secrets = BTreeMap::new();
        for (name, secret) in &raw.secrets {
            let parsed = self.take(&["secrets", name], SecretName::parse(name));
            let meant = match secret {
                RawSecret::Short(from) => {
                    let long = RawLongSecret { from: Some(from.clone()), ..RawLongSecret::default() };
                    self.secret(name, &["secrets", name], &long, config)
                }
                RawSecret::Long(long) => self.secret(name, &["secrets", name, "from"], long, config),
            };
            if let (Some(name), Some(meant)) = (parsed, meant) {
                secrets.insert(name, meant);
            }
        }
        secrets
    }

    fn secret(&mut self, name: &str, from: &[&str], raw: &RawLongSecret, config: &Config) -> Option<SecretConfig> {
        let path = ["secrets", name];
        let member = |member| [path[0], path[1], member];
        if raw.property.as_deref() == Some("") {
            self.problem(&member("property"), "expected the name of a member of the JSON object");
        }
        let file = match &raw.file {
            None => Some(Some(PathBuf::from(name))).filter(|_| check_file(name).is_ok()),
            Some(RawFile(None)) => Some(None),
            Some(RawFile(Some(file))) => self.take(&member("file"), check_file(file)).map(Some),
        };
        let general = config.refresh.interval;
        let refresh = match &raw.refresh {
            None => general,
            own => self.duration(&member("refresh"), own.as_ref(), &INTERVAL),
        };
        let Some(text) = &raw.from else {
            self.problem(from, "'from' is missing: the reference to the secret");
            return None;
        };
        let reference = self.take(from, Reference::parse(text))?;
        let object = self.take(from, config.object(&reference))?;
        let decode = raw.decode.map(|decode| match decode {
            RawDecode::Base64 => Decode::Base64,
            RawDecode::Hex => Decode::Hex,
        });
        let cut = Cut { property: raw.property.clone(), decode };
        Some(SecretConfig { reference, object, cut, file: file?, refresh, optional: raw.optional })
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

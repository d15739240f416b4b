//! Where it is published.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::Checker;
use crate::config::raw::{Raw, RawDirectory, RawMode};
use crate::config::{Directory, SecretConfig};
use crate::reference::SecretName;

type Secrets = BTreeMap<SecretName, SecretConfig>;

impl Checker<'_> {
    pub(super) fn files(&mut self, raw: &Raw, secrets: &Secrets) -> Vec<Directory> {
        let mut directories: Vec<Directory> = Vec::new();
        for (number, directory) in raw.files.directories.iter().enumerate() {
            let number = number.to_string();
            let path: Vec<&str> = if raw.files.list { vec!["files", &number] } else { vec!["files"] };
            let Some(directory) = self.directory(&path, directory, raw, secrets) else { continue };
            if let Some(other) = directories.iter().find(|other| nested(&other.dir, &directory.dir)) {
                let message = format!(
                    "{} is, or is inside, a directory that is listed already or the other way round",
                    other.dir.display()
                );
                self.problem(&[&path[..], &["dir"]].concat(), message);
            }
            directories.push(directory);
        }
        directories
    }

    fn directory(&mut self, path: &[&str], raw: &RawDirectory, all: &Raw, secrets: &Secrets) -> Option<Directory> {
        let at = |member| [path, &[member]].concat();
        let mode = match &raw.mode {
            Some(RawMode(mode)) => self.take(&at("mode"), check_mode(mode)),
            None => Some(if raw.group.is_some() { 0o440 } else { 0o400 }),
        };
        if raw.group == Some(u32::MAX) {
            self.problem(&at("group"), "this number means 'no group' to the kernel");
        }
        let include = match &raw.include {
            None => secrets.iter().filter(|(_, secret)| secret.file.is_some()).map(|(name, _)| name.clone()).collect(),
            Some(names) => self.include(&at("include"), names, all, secrets),
        };
        self.collisions(path, &include, secrets);
        let Some(dir) = &raw.dir else {
            self.problem(&at("dir"), "'dir' is missing: the directory to publish in");
            return None;
        };
        let dir = self.take(&at("dir"), check_dir(dir));
        Some(Directory { dir: dir?, include, mode: mode?, group: raw.group, allow_disk: all.allow_disk })
    }

    fn include(&mut self, path: &[&str], names: &[String], all: &Raw, secrets: &Secrets) -> Vec<SecretName> {
        let mut include = Vec::new();
        for (number, name) in names.iter().enumerate() {
            let number = number.to_string();
            let path = [path, &[number.as_str()]].concat();
            let known = SecretName::parse(name).ok().and_then(|name| secrets.get_key_value(&name));
            match known {
                Some((name, _)) if include.contains(name) => self.problem(&path, format!("'{name}' is included twice")),
                Some((name, SecretConfig { file: None, .. })) => {
                    self.problem(&path, format!("'{name}' has 'file: false': give it a file, or do not include it"));
                }
                Some((name, _)) => include.push(name.clone()),
                // One that is there, but wrong, is complained of where it stands.
                None if all.secrets.contains_key(name) || self.tree.was_cut(&["secrets", name]) => {}
                None => self.problem(&path, "there is no secret of this name in 'secrets:'"),
            }
        }
        include
    }

    /// Two secrets cannot be one file, nor one a file and the other a directory of that name.
    fn collisions(&mut self, path: &[&str], include: &[SecretName], secrets: &Secrets) {
        let mut taken: BTreeMap<PathBuf, &SecretName> = BTreeMap::new();
        for name in include {
            let Some(file) = secrets.get(name).and_then(|secret| secret.file.clone()) else { continue };
            let clash =
                taken.iter().find(|(other, _)| nested(other, &file)).map(|(other, owner)| (other.clone(), *owner));
            if let Some((other, owner)) = clash {
                let message = if other == file {
                    format!("the secrets '{owner}' and '{name}' have the same file '{}'", file.display())
                } else {
                    format!(
                        "the file '{}' of '{owner}' and the file '{}' of '{name}' cannot both be: one is the other's directory",
                        other.display(),
                        file.display()
                    )
                };
                self.problem(path, format!("{message}; give one another name with 'file:'"));
            }
            taken.insert(file, name);
        }
    }
}

/// Whether one is the other, or inside it.
fn nested(a: &Path, b: &Path) -> bool {
    a.starts_with(b) || b.starts_with(a)
}

fn check_dir(dir: &str) -> Result<PathBuf, String> {
    let path = Path::new(dir);
    if !path.is_absolute() || dir.contains('\0') {
        return Err("expected an absolute path".to_owned());
    }
    if path.components().any(|part| part == Component::ParentDir) || dir.split('/').any(|part| part == ".") {
        return Err("expected a path without '.' and '..'".to_owned());
    }
    if path == Path::new("/") {
        return Err("the root directory cannot be published in".to_owned());
    }
    Ok(path.components().collect())
}

fn check_mode(mode: &str) -> Result<u32, String> {
    let digits = (3..=4).contains(&mode.len()) && mode.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let number = u32::from_str_radix(mode, 8).ok().filter(|_| digits);
    let number = number.ok_or("expected a quoted octal mode such as \"0440\"")?;
    if number & 0o007 != 0 {
        return Err("a secret's file is not for the world: the last digit must be 0".to_owned());
    }
    if number & 0o020 != 0 {
        return Err("a secret's file is not written by its group: the third digit must be 0, 1, 4 or 5".to_owned());
    }
    if number & 0o7000 != 0 {
        return Err(
            "setuid, setgid and sticky mean nothing good on a secret's file: the first digit must be 0".to_owned()
        );
    }
    if number & 0o400 == 0 {
        return Err("keyferry itself must be able to read its files: the second digit must be 4 to 7".to_owned());
    }
    Ok(number)
}

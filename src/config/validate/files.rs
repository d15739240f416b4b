//! Where it is published.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Checker, absolute, joined};
use crate::config::Directory;
use crate::config::collisions::{self, Secrets};
use crate::config::raw::{Raw, RawDirectory, RawMode};
use crate::reference::SecretName;

impl Checker<'_> {
    pub(super) fn files(&mut self, raw: &Raw, secrets: &Secrets) -> Vec<Directory> {
        let mut directories = Vec::new();
        let mut dirs: Vec<(String, PathBuf)> = Vec::new();
        for (number, directory) in raw.files.directories.iter().enumerate() {
            let number = number.to_string();
            let path: Vec<&str> = if raw.files.list { vec!["files", &number] } else { vec!["files"] };
            let dir_path = [&path[..], &["dir"]].concat();
            let dir = if let Some(dir) = &directory.dir {
                self.take(&dir_path, check_dir(dir))
            } else {
                self.problem(&dir_path, "'dir' is missing: the directory to publish in");
                None
            };
            if let Some(dir) = &dir {
                let relation = dirs.iter().find_map(|(label, other)| Some((label, relation(dir, other)?)));
                if let Some((label, relation)) = relation {
                    self.problem(&dir_path, format!("this directory {relation} that of {label}: choose another"));
                }
                dirs.push((joined(&self.tree.find(&path).0), dir.clone()));
            }
            directories.extend(self.directory(&path, directory, dir, raw, secrets));
        }
        directories
    }

    fn directory(
        &mut self,
        path: &[&str],
        raw: &RawDirectory,
        dir: Option<PathBuf>,
        all: &Raw,
        secrets: &Secrets,
    ) -> Option<Directory> {
        let at = |member| [path, &[member]].concat();
        let mode = match &raw.mode {
            Some(RawMode(mode)) => self.take(&at("mode"), check_mode(mode)),
            None => Some(if raw.group.is_some() { 0o440 } else { 0o400 }),
        };
        if raw.group == Some(u32::MAX) {
            self.problem(&at("group"), "this number means 'no group' to the kernel: choose another");
        }
        let include = match &raw.include {
            None if self.tree.was_cut(&self.tree.find(&at("include")).0) => Vec::new(),
            None => {
                secrets.iter().filter(|(_, secret)| !secret.files.is_empty()).map(|(name, _)| name.clone()).collect()
            }
            Some(names) => self.include(&at("include"), names, all, secrets),
        };
        for problem in collisions::of_secrets(&include, secrets) {
            self.problem(path, format!("{problem}: give one another name with 'file:' or 'parts:'"));
        }
        let allow_disk = all.allow_disk.unwrap_or_default();
        let rendered = BTreeMap::new();
        Some(Directory { dir: dir?, include, mode: mode?, group: raw.group, allow_disk, rendered })
    }

    fn include(&mut self, path: &[&str], names: &[String], all: &Raw, secrets: &Secrets) -> Vec<SecretName> {
        let named = self.named(path, names, "included", all, secrets);
        let has_file = |(number, name): (usize, SecretName)| {
            if secrets.get(&name).is_some_and(|secret| secret.files.is_empty()) {
                let number = number.to_string();
                let path = [path, &[number.as_str()]].concat();
                self.problem(&path, format!("'{name}' has 'file: false': give it a file, or do not include it"));
                return None;
            }
            Some(name)
        };
        named.into_iter().filter_map(has_file).collect()
    }
}

/// What the first directory is to the second, when they are not apart.
fn relation(dir: &Path, other: &Path) -> Option<&'static str> {
    match (dir.starts_with(other), other.starts_with(dir)) {
        (true, true) => Some("is"),
        (true, false) => Some("lies in"),
        (false, true) => Some("holds"),
        (false, false) => None,
    }
}

pub(super) fn check_dir(dir: &str) -> Result<PathBuf, String> {
    let path = absolute(dir)?;
    if dir.split('/').any(|part| matches!(part, "." | "..")) {
        return Err("expected a path without '.' and '..'".to_owned());
    }
    if path == Path::new("/") {
        return Err("the root directory cannot be published in".to_owned());
    }
    // Without the slashes that say nothing.
    Ok(path.components().collect())
}

pub(super) fn check_mode(mode: &str) -> Result<u32, String> {
    let digits = (3..=4).contains(&mode.len()) && mode.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let number = u32::from_str_radix(mode, 8).ok().filter(|_| digits);
    let number = number.ok_or("expected a quoted octal mode such as \"0440\"")?;
    let rules = [
        (number & 0o007 != 0, "a secret's file is not for the world: the last digit must be 0"),
        (
            number & 0o020 != 0,
            "a secret's file is not written by its group: the last digit but one must be 0, 1, 4 or 5",
        ),
        (number & 0o400 == 0, "keyferry itself must be able to read its files: the owner's digit must be 4 to 7"),
        (number & 0o7000 != 0, "setuid, setgid and sticky are not for a secret's file: the first digit must be 0"),
    ];
    let broken: Vec<&str> = rules.into_iter().filter_map(|(broken, rule)| broken.then_some(rule)).collect();
    if !broken.is_empty() {
        return Err(broken.join("; "));
    }
    Ok(number)
}

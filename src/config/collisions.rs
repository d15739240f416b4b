//! Files of one directory that would be in each other's way: two with one path, or one that lies in another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Directory, SecretConfig};
use crate::reference::SecretName;
use crate::render::Recipe;

pub(super) type Secrets = BTreeMap<SecretName, SecretConfig>;

/// Two secrets, or two parts of one, cannot be one file, nor one a file and the other a directory of that name.
pub(super) fn of_secrets(include: &[SecretName], secrets: &Secrets) -> Vec<String> {
    let mut found = Vec::new();
    let mut taken: BTreeMap<PathBuf, &SecretName> = BTreeMap::new();
    let files = |name| secrets.get(name).into_iter().flat_map(|secret| secret.files.values().cloned());
    for (name, file) in include.iter().flat_map(|name| files(name).map(move |file| (name, file))) {
        let within = file.ancestors().find_map(|above| Some((*taken.get(above)?, above == file)));
        let around = || taken.range(file.clone()..).next().filter(|(other, _)| other.starts_with(&file));
        found.push(match within {
            Some((other, true)) if other == name => format!("two parts of '{name}' have the same file"),
            Some((other, true)) => format!("the secrets '{other}' and '{name}' have the same file"),
            Some((other, false)) => lies_in(name, other),
            None => {
                if let Some((_, other)) = around() {
                    lies_in(other, name)
                } else {
                    taken.insert(file, name);
                    continue;
                }
            }
        });
    }
    found
}

fn lies_in(inner: &SecretName, outer: &SecretName) -> String {
    if inner == outer {
        format!("the file of one part of '{inner}' lies in that of another")
    } else {
        format!("the file of '{inner}' lies in the file of '{outer}'")
    }
}

/// What else has this file in the directory, or lies in its way.
pub(super) fn neighbour(file: &Path, directory: &Directory, secrets: &Secrets) -> Option<String> {
    let files = |name| secrets.get(name).into_iter().flat_map(|secret| secret.files.values());
    let plain =
        directory.include.iter().flat_map(|name| files(name).map(move |file| (file, format!("the secret '{name}'"))));
    let rendered = directory.rendered.iter().map(|(file, other)| match &*other.recipe {
        Recipe::Template(_) => (file, "another template".to_owned()),
        Recipe::EnvFile(_) => (file, "the directory's 'envFile'".to_owned()),
    });
    plain.chain(rendered).find_map(|(other, whose)| match (file.starts_with(other), other.starts_with(file)) {
        (true, true) => Some(format!("this is the file of {whose} as well")),
        (true, false) => Some(format!("this lies in the file of {whose}")),
        (false, true) => Some(format!("the file of {whose} lies in this one")),
        (false, false) => None,
    })
}

//! Which variables of a process are references, and what that makes of the configuration. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Ended;
use crate::config::{Config, SecretConfig};
use crate::exit::Exit;
use crate::extract::Cut;
use crate::reference::{Object, Reference, SecretName};
use crate::render::{Variable, Variables};
use crate::secret::Part;

/// The configuration with nothing to do but to make the variables: those of its `env` and those that are references, as far
/// as they are wanted; or everything that is wrong with them, a line each. `bounded` says that somebody has written the
/// configuration: then variables name nothing that it does not.
pub(super) fn resolve(
    mut config: Config,
    environment: &BTreeMap<String, String>,
    (only, bounded): (&BTreeSet<String>, bool),
) -> Result<Config, Ended> {
    let References { mut variables, found, wrong } = references(&config, environment, (only, bounded));
    let wrong: Vec<String> = wrong.into_iter().map(|(name, reason)| format!("the variable {name}: {reason}")).collect();
    let own = config.env.0.iter().filter(|(name, _)| is_wanted(name, only));
    variables.extend(own.map(|(name, it)| (name.clone(), it.clone())));
    // What is wrong with one that is nearly a reference is told above.
    let is_told = |name: &String| environment.get(name).and_then(|value| Reference::marked(value)).is_some();
    let unknown = only.iter().filter(|name| !variables.contains_key(*name) && !is_told(name));
    let unknown: Vec<String> = unknown.map(|name| not_wanted(name, environment.contains_key(name))).collect();
    if !wrong.is_empty() || !unknown.is_empty() {
        let exit = if wrong.is_empty() { Exit::Usage } else { Exit::Config };
        return Err(Ended { exit, lines: [wrong, unknown].concat() });
    }
    config.env = Arc::new(Variables(variables));
    let used: BTreeSet<SecretName> = config.env.uses().map(|(name, _)| name.clone()).collect();
    config.secrets.retain(|name, _| used.contains(name));
    config.secrets.extend(found);
    config.files.clear();
    config.on_change.clear();
    Ok(config)
}

/// The configuration with all that variables of the environment refer to besides, and what is wrong with which of them.
pub(super) fn with_references(
    mut config: Config,
    environment: &BTreeMap<String, String>,
    bounded: bool,
) -> (Config, Vec<(String, String)>) {
    let References { mut variables, found, wrong } = references(&config, environment, (&BTreeSet::new(), bounded));
    variables.extend(config.env.0.clone());
    config.env = Arc::new(Variables(variables));
    config.secrets.extend(found);
    (config, wrong)
}

/// What variables refer to.
struct References {
    /// The variables that are references.
    variables: BTreeMap<String, Variable>,
    /// What they are made of.
    found: BTreeMap<SecretName, SecretConfig>,
    /// Those that are nearly so, and why they are not.
    wrong: Vec<(String, String)>,
}

fn references(
    config: &Config,
    environment: &BTreeMap<String, String>,
    (only, bounded): (&BTreeSet<String>, bool),
) -> References {
    let mut references = References { variables: BTreeMap::new(), found: BTreeMap::new(), wrong: Vec::new() };
    for (name, value) in environment.iter().filter(|(name, _)| is_wanted(name, only)) {
        let Some(reference) = Reference::marked(value) else { continue };
        let mut wrong = |reason: String| references.wrong.push((name.clone(), reason));
        if config.env.0.contains_key(name) {
            wrong("it is a reference, and in 'env' of the configuration: keep one".to_owned());
            continue;
        }
        match reference.and_then(|reference| secret(name, reference, config, bounded)) {
            Ok((secret, _)) if references.found.contains_key(&secret) => {
                wrong("another one is called nearly so: give it another name".to_owned());
            }
            Ok((secret, fetched)) => {
                let variable = Variable::Secret { secret: secret.clone(), part: part(&fetched) };
                references.variables.insert(name.clone(), variable);
                references.found.insert(secret, fetched);
            }
            Err(reason) => wrong(reason),
        }
    }
    references
}

/// What is wrong with a name of `--only` that no variable with a value has.
fn not_wanted(name: &str, is_set: bool) -> String {
    let why = if is_set {
        "whose value is no reference (a vault's own address needs 'keyvault:' before it), and which"
    } else {
        "which has no value here, and"
    };
    format!("--only names '{name}', {why} is not in 'env' of the configuration")
}

/// Whether `--only` lets the variable have a value: all, if it names none.
pub(super) fn is_wanted(name: &str, only: &BTreeSet<String>) -> bool {
    only.is_empty() || only.contains(name)
}

/// What a command whose variables come from an agent must not have: nobody here could fetch what they refer to.
pub(super) fn nothing(environment: &BTreeMap<String, String>, only: &BTreeSet<String>) -> Result<(), Ended> {
    let wanted = environment.iter().filter(|(name, _)| is_wanted(name, only));
    let wrong: Vec<String> = wanted
        .filter_map(|(name, value)| {
            let is = if Reference::marked(value)?.is_ok() { "is" } else { "is nearly" };
            Some(format!(
                "the variable {name} {is} a reference, and with --from all values come from the agent: write it into the \
                 agent's configuration, in 'secrets' and 'env'"
            ))
        })
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(Ended { exit: Exit::Config, lines: wrong }) }
}

fn secret(
    variable: &str,
    reference: Reference,
    config: &Config,
    bounded: bool,
) -> Result<(SecretName, SecretConfig), String> {
    let object = config.object(&reference)?;
    if bounded {
        within_bounds(&object, config)?;
    }
    // A variable may be called what no secret may.
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fit: String = variable.chars().map(|c| if is_fit(c) { c } else { '-' }).collect();
    let name = SecretName::parse(&format!("env.{fit}"))?;
    if config.secrets.contains_key(&name) {
        return Err(format!("the configuration has a secret '{name}' already: give that another name"));
    }
    let standby = config.standby(&reference);
    let cut = Cut::of(&reference, std::iter::empty());
    let (files, refresh) = (BTreeMap::new(), config.refresh.interval);
    Ok((name, SecretConfig { reference, object, standby, cut, files, refresh, optional: false }))
}

/// Of a certificate its key and chain.
fn part(secret: &SecretConfig) -> Part {
    if secret.cut.parts.is_empty() { Part::Value } else { Part::Bundle }
}

/// What the configuration does not name, a variable must not either: whoever sets variables may be another than who has
/// written it.
fn within_bounds(object: &Object, config: &Config) -> Result<(), String> {
    match object {
        Object::Vault { vault, .. } if !config.vaults.values().any(|known| known.host == *vault) => Err(format!(
            "its vault, {vault}, is none of 'vaults' in the configuration: add it there, '<alias>: {{url: https://{vault}}}'"
        )),
        Object::Connection { workspace, .. } if config.workspace.as_ref() != Some(workspace) => {
            Err("its workspace is not the configuration's 'workspace'".to_owned())
        }
        Object::Token { scope, .. } if !config.exec.token_scopes.contains(scope) => {
            Err(format!("its scope is none of 'exec.tokenScopes' in the configuration: add '{scope}' there"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;

//! From the configuration to what is to be done: names and how each is cut from which object, objects and how often
//! each is asked for, layouts and which files they show.
//!
//! Pure: the same configuration gives the same plan.

mod cost;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, Directory, List};
use crate::extract::Cut;
use crate::reference::{Object, Reference, SecretName};
use crate::render::{Recipe, Variables};
use crate::secret::Part;

pub use cost::{Daily, daily};

/// Directory → relative path of the file → what it holds.
pub type Layouts = BTreeMap<PathBuf, BTreeMap<PathBuf, Content>>;

/// What one file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A secret's value, or a part of it, as it is.
    Secret {
        /// The name of the secret.
        secret: SecretName,
        /// Which piece of it.
        part: Part,
    },
    /// What is made of several.
    Rendered {
        /// How it is made.
        recipe: Arc<Recipe>,
        /// The file's mode.
        mode: u32,
    },
}

/// Everything that is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// What is asked for, and how often: the shortest interval that any of its names wants.
    pub objects: BTreeMap<Object, Duration>,
    /// Those of the objects that are asked for only while another one is unavailable and its names have no value.
    pub standbys: BTreeSet<Object>,
    /// Whether a vault's list may be asked in place of its objects.
    pub list: List,
    /// The names, and what each is made of.
    pub names: BTreeMap<SecretName, Wanted>,
    /// Which directory shows what.
    pub layouts: Arc<Layouts>,
    /// The variables that are served.
    pub env: Arc<Variables>,
    /// Of every hook, the names whose change it wants to hear of; in the order of the configuration.
    pub hooks: Vec<BTreeSet<SecretName>>,
}

impl Content {
    /// The secrets that it holds, or is made of.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretName> {
        let (one, several) = match self {
            Self::Secret { secret, .. } => (Some(secret), None),
            Self::Rendered { recipe, .. } => (None, Some(recipe.secrets())),
        };
        one.into_iter().chain(several.into_iter().flatten())
    }
}

impl Plan {
    /// The names that the directory shows, as they are or in what is made of them.
    pub fn shown_in(&self, dir: &Path) -> BTreeSet<SecretName> {
        let contents = self.layouts.get(dir).into_iter().flat_map(BTreeMap::values);
        contents.flat_map(Content::secrets).cloned().collect()
    }
}

/// One name that is to have a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The canonical form of what the user wrote.
    pub reference: Reference,
    /// What is fetched for it.
    pub object: Object,
    /// What is fetched instead, while there is no value and the object is unavailable.
    pub standby: Option<Object>,
    /// How it is cut from that.
    pub cut: Cut,
    /// Whether readiness waits for it.
    pub required: bool,
}

/// Makes the plan.
pub fn plan(config: &Config) -> Plan {
    let mut objects: BTreeMap<Object, Duration> = BTreeMap::new();
    let mut names = BTreeMap::new();
    for (name, secret) in &config.secrets {
        for object in [&secret.object].into_iter().chain(&secret.standby) {
            let interval = objects.entry(object.clone()).or_insert(secret.refresh);
            *interval = secret.refresh.min(*interval);
        }
        let (reference, object, standby) = (secret.reference.clone(), secret.object.clone(), secret.standby.clone());
        let cut = secret.cut.clone();
        names.insert(name.clone(), Wanted { reference, object, standby, cut, required: !secret.optional });
    }
    // A vault that stands by for one alias may be asked by another for itself.
    let standbys = names.values().filter_map(|wanted| wanted.standby.clone());
    let standbys = standbys.filter(|standby| names.values().all(|wanted| wanted.object != *standby)).collect();
    let layout = |directory: &Directory| {
        let files = |name: &SecretName| {
            let files = config.secrets.get(name).map(|secret| secret.files.clone()).unwrap_or_default();
            let secret = name.clone();
            files.into_iter().map(move |(part, path)| (path, Content::Secret { secret: secret.clone(), part }))
        };
        let rendered = directory.rendered.iter();
        let rendered = rendered.map(|(path, file)| {
            (path.clone(), Content::Rendered { recipe: Arc::clone(&file.recipe), mode: file.mode })
        });
        (directory.dir.clone(), directory.include.iter().flat_map(files).chain(rendered).collect())
    };
    let layouts = Arc::new(config.files.iter().map(layout).collect());
    let hooks = config.on_change.iter().map(|entry| entry.secrets.clone()).collect();
    Plan { objects, standbys, list: config.refresh.list, names, layouts, env: Arc::clone(&config.env), hooks }
}

#[cfg(test)]
mod tests;

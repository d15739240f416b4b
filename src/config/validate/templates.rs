//! The files that are made of several secrets: templates and env files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{check_dir, check_mode};
use super::secrets::check_file;
use super::{Checker, absolute};
use crate::config::collisions::{self, Secrets};
use crate::config::raw::{Raw, RawMode, RawTemplate};
use crate::config::{Config, Directory, RenderedFile};
use crate::reference::SecretName;
use crate::render::{Escape, Recipe, Template};
use crate::secret::Part;

impl Checker<'_> {
    /// Puts them into their directories, and sees to it that what they are made of is fetched.
    pub(super) fn rendered(&mut self, raw: &Raw, config: &mut Config) {
        let mut recipes: Vec<Arc<Recipe>> = Vec::new();
        for (number, directory) in raw.files.directories.iter().enumerate() {
            let Some(file) = &directory.env_file else { continue };
            let number = number.to_string();
            let path: &[&str] = if raw.files.list { &["files", &number, "envFile"] } else { &["files", "envFile"] };
            let file = self.take(path, check_file(file));
            let dir = directory.dir.as_deref().and_then(|dir| check_dir(dir).ok());
            let (Some(file), Some(dir)) = (file, dir) else { continue };
            let recipe = Arc::new(Recipe::EnvFile(Arc::clone(&config.env)));
            self.put(path, config, &dir, file, &recipe, None);
        }
        for (number, template) in raw.templates.iter().flatten().enumerate() {
            recipes.extend(self.one_template(&number.to_string(), template, raw, config));
        }
        let mut wanted: BTreeMap<&SecretName, BTreeSet<Part>> = BTreeMap::new();
        let templates = recipes.iter().filter_map(|recipe| match &**recipe {
            Recipe::Template(template) => Some(template),
            Recipe::EnvFile(_) => None,
        });
        for (secret, part) in templates.flat_map(Template::uses).chain(config.env.uses()) {
            wanted.entry(secret).or_default().insert(part);
        }
        for (secret, parts) in wanted {
            let Some(secret) = config.secrets.get_mut(secret).filter(|secret| !secret.cut.parts.is_empty()) else {
                continue;
            };
            secret.cut.parts = secret.files.keys().copied().chain(parts).collect();
        }
    }

    fn one_template(&mut self, number: &str, raw: &RawTemplate, all: &Raw, config: &mut Config) -> Option<Arc<Recipe>> {
        let at = |member| ["templates", number, member];
        let dir = self.needed(&at("dir"), raw.dir.as_deref(), check_dir, "one of the directories in 'files:'");
        let dir = dir.filter(|dir| self.is_published(&at("dir"), dir, all));
        let destination =
            self.needed(&at("destination"), raw.destination.as_deref(), check_file, "the file's name in the directory");
        let mode = raw.mode.as_ref().map(|RawMode(mode)| self.take(&at("mode"), check_mode(mode)));
        let escape = destination.as_deref().map_or(Escape::None, Escape::of);
        let template = self.text(number, raw, escape, all, &config.secrets);
        let recipe = Arc::new(Recipe::Template(template?));
        self.put(&["templates", number], config, &dir?, destination?, &recipe, mode.unwrap_or_default());
        Some(recipe)
    }

    /// A path that has to be there.
    fn needed(
        &mut self,
        path: &[&str],
        text: Option<&str>,
        check: fn(&str) -> Result<PathBuf, String>,
        what: &str,
    ) -> Option<PathBuf> {
        if let Some(text) = text {
            return self.take(path, check(text));
        }
        let member = path.last().copied().unwrap_or_default();
        self.problem(path, format!("'{member}' is missing: {what}"));
        None
    }

    /// The template itself, from the configuration or from its file.
    fn text(
        &mut self,
        number: &str,
        raw: &RawTemplate,
        escape: Escape,
        all: &Raw,
        secrets: &Secrets,
    ) -> Option<Template> {
        let at = |member| ["templates", number, member];
        match (&raw.source, &raw.contents) {
            (Some(_), Some(_)) => {
                self.problem(&["templates", number], "it has a 'source' or 'contents', not both: leave one out");
                None
            }
            (None, None) => {
                if !self.is_cut(&at("source")) && !self.is_cut(&at("contents")) {
                    let message = "'source' is missing, the file of the template, or 'contents', its text";
                    self.problem(&["templates", number], message);
                }
                None
            }
            (None, Some(text)) => self.template(&at("contents"), None, text, escape, all, secrets),
            (Some(source), None) => {
                let file = self.take(&at("source"), absolute(source))?;
                let text = (self.settings.read)(&file);
                let text = text.map_err(|reason| format!("this file cannot be read: {reason}"));
                let text = self.take(&at("source"), text)?;
                self.template(&at("source"), Some(source), &text, escape, all, secrets)
            }
        }
    }

    /// Whether the directory is one of those that are published. One that is, but wrong, is complained of where it stands.
    fn is_published(&mut self, path: &[&str], dir: &Path, all: &Raw) -> bool {
        let mut dirs = all.files.directories.iter().filter_map(|other| check_dir(other.dir.as_deref()?).ok());
        let known = dirs.any(|other| other == dir) || self.tree.was_cut_within(&["files"]);
        if !known {
            self.problem(path, "this is none of the directories in 'files:': add it there, or choose one of them");
        }
        known
    }

    /// Puts a file into its directory, if it has room for it there.
    fn put(
        &mut self,
        path: &[&str],
        config: &mut Config,
        dir: &Path,
        file: PathBuf,
        recipe: &Arc<Recipe>,
        mode: Option<u32>,
    ) {
        let Some(position) = config.files.iter().position(|directory| directory.dir == dir) else { return };
        let Some(directory) = config.files.get(position) else { return };
        if let Some(problem) = collisions::neighbour(&file, directory, &config.secrets) {
            self.problem(path, format!("{problem}: choose another name"));
            return;
        }
        let secrets = recipe.secrets();
        let publish_it = |other: &&Directory| other.include.iter().any(|name| secrets.contains(name));
        let strictest = config.files.iter().filter(publish_it).fold(directory.mode, |mode, other| mode & other.mode);
        let mode = mode.unwrap_or(strictest);
        if mode & !strictest != 0 {
            let at = [path, &["mode"]].concat();
            let message = format!(
                "this is wider than \"{strictest:04o}\": it lets in no more than the directories that publish what is in it"
            );
            self.problem(&at, message);
        }
        if let Some(directory) = config.files.get_mut(position) {
            directory.rendered.insert(file, RenderedFile { recipe: Arc::clone(recipe), mode });
        }
    }
}

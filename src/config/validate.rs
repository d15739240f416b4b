//! From the configuration as written to the configuration as meant, with every problem at once.
//!
//! Pure: the text, the environment and what reads templates' files are arguments. What was cut out as wrong is not
//! complained of a second time.

mod admin;
mod cloud;
mod detect;
mod env;
mod exec;
mod files;
mod hooks;
mod identity;
mod secrets;
mod serve;
mod templates;
mod vaults;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize as _;

use super::cloud::Cloud;
use super::de::shown_key;
use super::exec::Exec;
use super::node::{Place, Problem, Tree};
use super::raw::{Raw, RawDuration, RawList, RawOnRevoked};
use super::serve::Serve;
use super::{Config, DEFAULT_IDENTITY, List, OnRevoked, Refresh, Stale};
use crate::reference::{IdentityName, Workspace};

/// More than anybody mends at once. A text that is something else altogether is given up on here.
const MOST_PROBLEMS: usize = 100;

/// What there is to validate.
#[derive(Debug)]
pub struct Settings<'a> {
    /// What the text is called in messages: the file, or the variable it is from.
    pub name: String,
    /// The configuration, YAML.
    pub text: String,
    /// The environment.
    pub environment: &'a BTreeMap<String, String>,
    /// Whether whoever starts the process agrees to a cloud that the configuration defines.
    pub allow_custom_cloud: bool,
    /// Reads the file of a template, or says why it cannot be read.
    pub read: fn(&Path) -> Result<String, String>,
}

/// Every problem, in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// What the text is called.
    pub name: String,
    /// The problems.
    pub list: Vec<Problem>,
    /// The files that templates were to be read from, as far as the text could be read: one of them may be what is wrong.
    pub template_files: BTreeSet<PathBuf>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Problem { place, message } in &self.list {
            writeln!(f, "{}:{}:{}: {message}", self.name, place.line, place.column)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Reads a configuration, or finds everything that is wrong with it.
pub fn load(settings: &Settings<'_>) -> Result<Config, Problems> {
    let mut problems = Vec::new();
    let config = begin(settings, &mut problems).map(|(mut checker, raw)| checker.config(&raw));
    let template_files = config.as_ref().map(|config| config.template_files.clone()).unwrap_or_default();
    end(settings, config, problems).map_err(|problems| Problems { template_files, ..problems })
}

/// The same of what counts for a process whose variables an agent beside it makes: how it is kept, and how long a start is
/// tried. What the rest means is looked at by the agent, whose files and consent need not be here.
pub fn load_kept(settings: &Settings<'_>) -> Result<(Exec, Duration), Problems> {
    let mut problems = Vec::new();
    let kept = begin(settings, &mut problems).map(|(mut checker, raw)| (checker.exec(&raw), checker.startup(&raw)));
    end(settings, kept, problems)
}

/// What is written, as far as it can be read, and who says what it means.
fn begin<'a>(settings: &'a Settings<'a>, problems: &'a mut Vec<Problem>) -> Option<(Checker<'a>, Raw)> {
    let mut tree = Tree::parse(&settings.text, problems)?;
    let raw = read(&mut tree, problems)?;
    Some((Checker { tree, settings, problems }, raw))
}

/// What is meant, if nothing is wrong with it.
fn end<T>(settings: &Settings<'_>, meant: Option<T>, mut list: Vec<Problem>) -> Result<T, Problems> {
    list.sort();
    list.dedup();
    match meant {
        Some(meant) if list.is_empty() => Ok(meant),
        _ => Err(Problems { name: settings.name.clone(), list, template_files: BTreeSet::new() }),
    }
}

/// serde stops at the first error: it is noted, the smallest entry around it cut out, and the rest read again.
fn read(tree: &mut Tree, problems: &mut Vec<Problem>) -> Option<Raw> {
    loop {
        let error = match Raw::deserialize(&tree.root) {
            Ok(raw) => return Some(raw),
            Err(error) => error,
        };
        let Some((path, place)) = error.id.and_then(|id| tree.cut(id)) else {
            problems.push(Problem { place: tree.root.place, message: error.message });
            return None;
        };
        if let Some((meant, (_, above))) = error.meant.zip(path.split_last()) {
            tree.excuse([above, &[meant.to_owned()]].concat());
        }
        problems.push(Problem { place, message: format!("{}: {}", joined(&path), error.message) });
        if problems.len() >= MOST_PROBLEMS {
            let message = format!("there are more than {MOST_PROBLEMS} problems: these are the first that were found");
            problems.push(Problem { place: tree.root.place, message });
            return None;
        }
    }
}

/// A path as people write it; keys are the user's text and are shown escaped.
fn joined<T: AsRef<str>>(path: &[T]) -> String {
    path.iter().map(|step| shown_key(step.as_ref())).collect::<Vec<_>>().join(".")
}

struct Checker<'a> {
    tree: Tree,
    settings: &'a Settings<'a>,
    problems: &'a mut Vec<Problem>,
}

impl Checker<'_> {
    fn config(&mut self, raw: &Raw) -> Config {
        let known_cloud = self.cloud(raw.cloud.as_ref());
        let default = self.default_identity(raw.identity.as_ref());
        let mut identities = BTreeMap::new();
        if let Some(identity) = default.identity {
            identities.insert(IdentityName(DEFAULT_IDENTITY.to_owned()), identity);
        }
        let vaults = self.vaults(&raw.vaults, known_cloud.as_ref(), &mut identities);
        // What is wrong with the cloud was noted. That hosts do not fit another one's suffix would be news to nobody.
        let hosts_checked = known_cloud.is_some();
        let refresh = Refresh {
            interval: self.duration(&["refresh", "interval"], raw.refresh.interval.as_ref(), &INTERVAL),
            connection_interval: self.duration(
                &["refresh", "connectionInterval"],
                raw.refresh.connection_interval.as_ref(),
                &CONNECTION_INTERVAL,
            ),
            settle: self.duration(&["refresh", "settle"], raw.refresh.settle.as_ref(), &SETTLE),
            list: match raw.refresh.list {
                None | Some(RawList::Auto) => List::Auto,
                Some(RawList::Never) => List::Never,
            },
        };
        let mut config = Config {
            cloud: known_cloud.unwrap_or_else(Cloud::public),
            identities,
            identity_because: default.because,
            no_identity: default.none,
            vaults,
            workspace: raw.workspace.as_ref().and_then(|id| self.take(&["workspace"], Workspace::parse_id(id))),
            ca_file: raw.tls.ca_file.as_ref().and_then(|path| self.absolute(&["tls", "caFile"], path)),
            startup_timeout: self.startup(raw),
            secrets: BTreeMap::new(),
            env: Arc::default(),
            files: Vec::new(),
            refresh,
            stale: Stale {
                after: self.duration(&["stale", "after"], raw.stale.after.as_ref(), &STALE),
                fail_readiness: raw.stale.fail_readiness.unwrap_or_default(),
            },
            on_revoked: match raw.on_revoked {
                None | Some(RawOnRevoked::Keep) => OnRevoked::Keep,
                Some(RawOnRevoked::Remove) => OnRevoked::Remove,
            },
            on_change: Vec::new(),
            exec: self.exec(raw),
            serve: Serve::default(),
            admin: self.admin(raw),
            reload: raw.reload_config.unwrap_or_default(),
            template_files: raw
                .templates
                .iter()
                .flatten()
                .filter_map(|template| template.source.as_ref().filter(|source| absolute(source).is_ok()))
                .map(PathBuf::from)
                .collect(),
        };
        config.secrets = self.secrets(raw, &config, hosts_checked);
        self.stale(raw, &mut config);
        self.need_identity(raw, &config);
        config.env = Arc::new(self.env(raw, &config.secrets));
        config.files = self.files(raw, &config.secrets);
        self.rendered(raw, &mut config);
        config.on_change = self.on_change(raw, &config.secrets);
        config.serve = self.serve(raw, &config);
        config
    }

    fn startup(&mut self, raw: &Raw) -> Duration {
        self.duration(&["startup", "timeout"], raw.startup.timeout.as_ref(), &STARTUP)
    }

    /// What is looked at less often than that would be stale between two looks.
    fn stale(&mut self, raw: &Raw, config: &mut Config) {
        let Some((name, interval)) =
            config.secrets.iter().map(|(name, secret)| (name, secret.refresh)).max_by_key(|one| one.1)
        else {
            return;
        };
        if raw.stale.after.is_none() {
            config.stale.after = config.stale.after.max(interval.saturating_mul(2));
        } else if config.stale.after <= interval {
            let interval = humantime::format_duration(interval);
            self.problem(
                &["stale", "after"],
                format!("expected more than {interval}, the interval in which '{name}' is looked at"),
            );
        }
    }

    /// Notes a problem with the value at the path, unless it, or what it stands in, was cut out for another.
    fn problem(&mut self, path: &[&str], message: impl fmt::Display) {
        let (path, place) = self.tree.find(path);
        self.note(&path, place, message);
    }

    /// Notes a problem with the last key of the path.
    fn key_problem(&mut self, path: &[&str], message: impl fmt::Display) {
        let (written, place) = self.tree.find(path);
        self.note(&written, self.tree.key_place(path).unwrap_or(place), message);
    }

    fn note(&mut self, path: &[String], place: Place, message: impl fmt::Display) {
        if !self.tree.was_cut(path) {
            self.problems.push(Problem { place, message: format!("{}: {message}", joined(path)) });
        }
    }

    /// Whether what should stand at the path was cut out for a problem of its own.
    fn is_cut(&self, path: &[&str]) -> bool {
        self.tree.was_cut(&self.tree.find(path).0)
    }

    /// The value, or a problem.
    fn take<T>(&mut self, path: &[&str], result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.problem(path, message)).ok()
    }

    fn duration(&mut self, path: &[&str], raw: Option<&RawDuration>, bounds: &Bounds) -> Duration {
        let Some(RawDuration(text)) = raw else { return bounds.default };
        let Ok(duration) = humantime::parse_duration(text) else {
            self.problem(path, "expected a duration such as 30s, 15m or 1h");
            return bounds.default;
        };
        if !(bounds.least..=bounds.most).contains(&duration) {
            let [least, most] = [bounds.least, bounds.most].map(humantime::format_duration);
            self.problem(path, format!("expected a duration from {least} to {most}"));
        }
        duration
    }

    fn absolute(&mut self, path: &[&str], text: &str) -> Option<PathBuf> {
        self.take(path, absolute(text))
    }
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    if !text.starts_with('/') {
        return Err("expected an absolute path".to_owned());
    }
    if text.contains('\0') {
        return Err(NUL.to_owned());
    }
    // It stands in messages as it is.
    if text.contains(char::is_control) {
        return Err("a path cannot hold a line break or another control character".to_owned());
    }
    Ok(text.into())
}

const NUL: &str = "a path cannot hold a NUL character";

struct Bounds {
    least: Duration,
    most: Duration,
    default: Duration,
}

const DAY: Duration = Duration::from_hours(24);
const INTERVAL: Bounds =
    Bounds { least: Duration::from_secs(1), most: DAY.saturating_mul(7), default: Duration::from_mins(15) };
const CONNECTION_INTERVAL: Bounds = Bounds { default: Duration::from_hours(1), ..INTERVAL };
const SETTLE: Bounds = Bounds { least: Duration::ZERO, most: Duration::from_mins(1), default: Duration::from_secs(2) };
const STALE: Bounds = Bounds { least: Duration::from_mins(1), most: DAY.saturating_mul(90), default: DAY };
const STARTUP: Bounds = Bounds { least: Duration::from_secs(1), most: DAY, default: Duration::from_mins(5) };

#[cfg(test)]
mod tests;

//! What is done when secrets change.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checker, absolute};
use crate::config::SecretConfig;
use crate::config::hooks::{Action, OnChange, ProcessName, Signal, Whom};
use crate::config::nearby::Loopback;
use crate::config::raw::{Raw, RawHook, RawSignal, RawSignalName};
use crate::reference::SecretName;

type Secrets = BTreeMap<SecretName, SecretConfig>;

impl Checker<'_> {
    pub(super) fn on_change(&mut self, raw: &Raw, secrets: &Secrets) -> Vec<OnChange> {
        let mut entries = Vec::new();
        for (number, entry) in raw.on_change.iter().flatten().enumerate() {
            let path = ["onChange", &number.to_string()];
            let wanted = self.wanted(&[&path[..], &["secrets"]].concat(), entry, raw, secrets);
            entries.extend(self.action(&path, entry).map(|action| OnChange { secrets: wanted, action }));
        }
        entries
    }

    fn wanted(&mut self, path: &[&str], entry: &RawHook, raw: &Raw, secrets: &Secrets) -> BTreeSet<SecretName> {
        match &entry.secrets {
            None => secrets.keys().cloned().collect(),
            Some(names) => {
                if names.is_empty() {
                    self.problem(path, "no secret is named: name some, or leave 'secrets' out for all of them");
                }
                self.named(path, names, "named", raw, secrets).into_iter().map(|(_, name)| name).collect()
            }
        }
    }

    fn action(&mut self, path: &[&str], entry: &RawHook) -> Option<Action> {
        let at = |member| [path, &[member]].concat();
        match (&entry.signal, &entry.http) {
            (Some(signal), None) => self.signal(&at("signal"), signal),
            (None, Some(http)) => {
                let path = [path, &["http", "url"]].concat();
                let Some(url) = &http.url else {
                    self.problem(&path, "'url' is missing: where it is told, such as http://127.0.0.1:8080/-/reload");
                    return None;
                };
                self.take(&path, Loopback::parse(url)).map(Action::Post)
            }
            (Some(_), Some(_)) => {
                self.problem(
                    path,
                    "an entry does one thing: keep 'signal' or 'http', and give the other its own entry",
                );
                None
            }
            (None, None) => {
                // Not said where it was probably cut out.
                let (written, _) = self.tree.find(path);
                if !self.tree.was_cut_within(&written.iter().map(String::as_str).collect::<Vec<_>>()) {
                    self.problem(
                        path,
                        "what to do is missing: 'signal: {process: nginx, signal: SIGHUP}' or \
                         'http: {url: http://127.0.0.1:8080/-/reload}'",
                    );
                }
                None
            }
        }
    }

    fn signal(&mut self, path: &[&str], raw: &RawSignal) -> Option<Action> {
        let at = |member| [path, &[member]].concat();
        let whom = match (&raw.process, &raw.pid_file) {
            (Some(name), None) => self.take(&at("process"), ProcessName::parse(name)).map(Whom::Process),
            (None, Some(file)) => self.take(&at("pidFile"), absolute(file)).map(Whom::PidFile),
            (Some(_), Some(_)) => {
                self.problem(path, "a process is found in one way: keep 'process' or 'pidFile'");
                None
            }
            (None, None) => {
                if !["process", "pidFile"].iter().any(|member| self.tree.was_cut(&self.tree.find(&at(member)).0)) {
                    self.problem(path, "'process' is missing: who is signalled, by its name, or by 'pidFile'");
                }
                None
            }
        };
        // None is taken for granted: what makes one process read its files again ends another.
        let signal = if let Some(RawSignalName(name)) = &raw.signal {
            self.take(&at("signal"), Signal::parse(name))
        } else {
            self.problem(&at("signal"), "'signal' is missing: the one that makes it read its files, such as SIGHUP");
            None
        };
        Some(Action::Signal(whom?, signal?))
    }
}

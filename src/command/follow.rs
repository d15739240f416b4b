//! What `run` follows while its loop turns: signals, edits of the configuration, and the local files that it names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use tokio::sync::mpsc::Sender;

use super::sources::Sources;
use super::start::Rejected;
use super::{Ended, start};
use crate::agent::{Event, Revised};
use crate::cli::Global;
use crate::config::{Config, Live};
use crate::plan::plan;
use crate::process::{Signal, Signals};
use crate::reference::Object;
use crate::watch::Watch;

pub(super) struct Follower<'a> {
    config: Config,
    /// Where the configuration was read from; none for what is in a variable.
    file: Option<PathBuf>,
    /// The files of the templates of the last attempt, be it one that was rejected for want of them.
    attempted: BTreeSet<PathBuf>,
    watch: Watch,
    global: &'a Global,
    environment: &'a BTreeMap<String, String>,
}

impl<'a> Follower<'a> {
    /// Watches what the configuration names, from now on.
    pub(super) fn new(
        config: Config,
        file: Option<PathBuf>,
        (global, environment): (&'a Global, &'a BTreeMap<String, String>),
    ) -> Self {
        let (attempted, watch) = (BTreeSet::new(), Watch::begin());
        let mut follower = Self { config, file, attempted, watch, global, environment };
        follower.watch.follow(follower.watched());
        follower
    }

    /// Until a signal says stop, or nobody listens any more.
    pub(super) async fn follow(mut self, mut signals: Signals, source: &Sources, tell: Sender<Event>) {
        let mut events: Vec<Event> = self.catch_up().into_iter().collect();
        loop {
            for event in events {
                if tell.send(event).await.is_err() {
                    return;
                }
            }
            events = tokio::select! {
                signal = signals.next() => match signal {
                    Signal::Stop => {
                        tracing::info!("signal received: stopping");
                        drop(tell.send(Event::Stop).await);
                        return;
                    }
                    Signal::Refresh => {
                        tracing::info!("signal received: reading the configuration again and refreshing");
                        self.reload().into_iter().chain([Event::Refresh]).collect()
                    }
                },
                changed = self.watch.changed() => self.look(changed, source),
            };
        }
    }

    /// The files whose changes count: the token file is none, it is read for every exchange.
    fn watched(&self) -> BTreeSet<PathBuf> {
        let references = self.config.secrets.values().filter_map(|secret| match &secret.object {
            Object::File(path) => Some(path),
            _ => None,
        });
        self.configuration().chain(&self.config.ca_file).chain(references).cloned().collect()
    }

    /// The files of the configuration, if their edits are followed.
    fn configuration(&self) -> impl Iterator<Item = &PathBuf> {
        let files = self.file.iter().chain(&self.config.template_files).chain(&self.attempted);
        files.filter(|_| self.config.reload)
    }

    /// What was edited between the reading at the start and the first look.
    fn catch_up(&mut self) -> Option<Event> {
        if self.config.reload { self.reload() } else { None }
    }

    fn look(&mut self, changed: BTreeSet<PathBuf>, source: &Sources) -> Vec<Event> {
        if self.config.ca_file.as_ref().is_some_and(|file| changed.contains(file)) {
            self.trust(source);
        }
        let is_edited = self.configuration().any(|file| changed.contains(file));
        let revised = if is_edited { self.reload() } else { None };
        let objects = Event::Changed(changed.into_iter().map(Object::File).collect());
        revised.into_iter().chain([objects]).collect()
    }

    fn trust(&self, source: &Sources) {
        match start::authorities(&self.config) {
            Ok(authorities) => {
                tracing::info!("tls.caFile has changed: {} of its authorities are trusted", authorities.len());
                source.azure.trust(authorities);
            }
            Err(Ended { lines, .. }) => {
                let why = lines.join("; ");
                tracing::error!("tls.caFile has changed and cannot be used, who was trusted is: {why}");
            }
        }
    }

    /// Goes on with what the configuration says now, as far as that can be had without a restart.
    fn reload(&mut self) -> Option<Event> {
        let new = match self.read() {
            Ok(new) => new,
            Err(Rejected { ended, .. }) => return rejected(&ended.lines),
        };
        let Live { config, waiting } = match self.config.live(new) {
            Ok(live) => live,
            Err(lines) => return rejected(&lines),
        };
        if !waiting.is_empty() {
            let waiting = waiting.join("', '");
            tracing::warn!("changes of '{waiting}' in the configuration have no effect until keyferry is restarted");
        }
        if config == self.config {
            return None;
        }
        let revised = Revised { plan: plan(&config), settle: config.refresh.settle, stale: config.stale };
        self.config = config;
        self.watch.follow(self.watched());
        Some(Event::Revised(Box::new(revised)))
    }

    /// Reads the configuration; and once more where its templates are in files that nobody has watched: an edit between the
    /// reading and the first look would be lost.
    fn read(&mut self) -> Result<Config, Rejected> {
        let new = self.attempt();
        let before = self.watched();
        self.attempted = match &new {
            Ok(new) => new.template_files.clone(),
            Err(rejected) => rejected.template_files.clone(),
        };
        let watched = self.watched();
        let is_more = !watched.is_subset(&before);
        self.watch.follow(watched);
        if is_more { self.attempt() } else { new }
    }

    fn attempt(&self) -> Result<Config, Rejected> {
        start::configuration(self.global, self.environment).map(|(config, _)| config)
    }
}

fn rejected(lines: &[String]) -> Option<Event> {
    for line in lines {
        tracing::error!("{line}");
    }
    tracing::error!("the configuration has changed and cannot be used: the one before goes on");
    None
}

#[cfg(test)]
mod tests;

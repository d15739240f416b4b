//! What `run` follows while its loop turns: signals, edits of the configuration, and the local files that it names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc::Sender;

use super::sources::Sources;
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
    source: Arc<Sources>,
    tell: Sender<Event>,
    watch: Watch,
    global: &'a Global,
    environment: &'a BTreeMap<String, String>,
}

impl<'a> Follower<'a> {
    pub(super) fn new(
        config: Config,
        file: Option<PathBuf>,
        source: Arc<Sources>,
        tell: Sender<Event>,
        (global, environment): (&'a Global, &'a BTreeMap<String, String>),
    ) -> Self {
        Self { config, file, source, tell, watch: Watch::begin(), global, environment }
    }

    /// Until a signal says stop, or nobody listens any more.
    pub(super) async fn follow(mut self, mut signals: Signals) {
        self.watch.follow(self.watched());
        loop {
            let event = tokio::select! {
                signal = signals.next() => match signal {
                    Signal::Stop => {
                        tracing::info!("signal received: stopping");
                        drop(self.tell.send(Event::Stop).await);
                        return;
                    }
                    Signal::Refresh => {
                        tracing::info!("signal received: reading the configuration again and refreshing");
                        self.reload().await;
                        Some(Event::Refresh)
                    }
                },
                changed = self.watch.changed() => self.look(changed).await,
            };
            if let Some(event) = event
                && self.tell.send(event).await.is_err()
            {
                return;
            }
        }
    }

    /// The files whose changes count: the token file is none, it is read for every exchange.
    fn watched(&self) -> BTreeSet<PathBuf> {
        let configuration = self.file.iter().chain(&self.config.template_files).filter(|_| self.config.reload);
        let references = self.config.secrets.values().filter_map(|secret| match &secret.object {
            Object::File(path) => Some(path),
            _ => None,
        });
        configuration.chain(&self.config.ca_file).chain(references).cloned().collect()
    }

    async fn look(&mut self, changed: BTreeSet<PathBuf>) -> Option<Event> {
        if self.config.ca_file.as_ref().is_some_and(|file| changed.contains(file)) {
            self.trust();
        }
        let mut configuration = self.file.iter().chain(&self.config.template_files);
        if self.config.reload && configuration.any(|file| changed.contains(file)) {
            self.reload().await;
        }
        let objects: Vec<Object> = changed.into_iter().map(Object::File).collect();
        (!objects.is_empty()).then_some(Event::Changed(objects))
    }

    fn trust(&self) {
        match start::authorities(&self.config) {
            Ok(authorities) => {
                tracing::info!("tls.caFile has changed: {} of its authorities are trusted", authorities.len());
                self.source.azure.trust(authorities);
            }
            Err(Ended { lines, .. }) => {
                let why = lines.join("; ");
                tracing::error!("tls.caFile has changed and cannot be used, who was trusted is: {why}");
            }
        }
    }

    /// Goes on with what the configuration says now, as far as that can be had without a restart.
    async fn reload(&mut self) {
        let new = match start::configuration(self.global, self.environment) {
            Ok((new, _)) => new,
            Err(Ended { lines, .. }) => return rejected(&lines),
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
            return;
        }
        let revised = Revised { plan: plan(&config), settle: config.refresh.settle, stale: config.stale };
        self.config = config;
        self.watch.follow(self.watched());
        drop(self.tell.send(Event::Revised(Box::new(revised))).await);
    }
}

fn rejected(lines: &[String]) {
    for line in lines {
        tracing::error!("{line}");
    }
    tracing::error!("the configuration has changed and cannot be used: the one before goes on");
}

//! The command while it runs: signals are passed on, its end is taken, and a rotation of what is in its environment restarts
//! or tells it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::watch;
use tokio::time::sleep;

use super::Wanted;
use crate::agent::few;
use crate::command::Ended;
use crate::config::Config;
use crate::config::exec::OnRotation;
use crate::process::{Child, End, Heard, Relay, of as kernel};
use crate::reference::{Reference, SecretName};
use crate::secret::Secret;
use crate::snapshot::Snapshot;

/// Between two starts at least: whoever rotates often does not keep it from working.
const APART: Duration = Duration::from_secs(10);

/// Whether a signal ends a process that has not begun.
pub(super) fn ends(signal: Signal) -> bool {
    [Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP].contains(&signal)
}

/// The command, running.
pub(super) struct Keeper<'a> {
    child: Child,
    wanted: &'a Wanted<'a>,
}

/// What its environment is made of: of tokens nothing, because a refreshed token alone is no reason to restart anything.
type Held = BTreeMap<SecretName, Arc<Secret>>;

impl<'a> Keeper<'a> {
    pub(super) fn start(mut command: Command, wanted: &'a Wanted<'a>) -> Result<Self, Ended> {
        let child = Child::start(&mut command, wanted.cores).map_err(|error| wanted.not_started(&error))?;
        Ok(Self { child, wanted })
    }

    /// Until it ends.
    pub(super) async fn wait(&self, relay: &mut Relay) -> End {
        loop {
            if let Some(end) = self.hear(relay).await {
                return end;
            }
        }
    }

    async fn hear(&self, relay: &mut Relay) -> Option<End> {
        match relay.next().await {
            Heard::Signal(signal) => {
                self.child.pass(signal);
                None
            }
            Heard::Child => self.child.reap(),
        }
    }

    /// Until it ends by itself, with what is newest; `started` is what it was started with.
    pub(super) async fn follow(
        mut self,
        relay: &mut Relay,
        (started, mut newest): (Arc<Snapshot>, watch::Receiver<Option<Arc<Snapshot>>>),
        (config, on_change): (&Config, OnRotation),
    ) -> Result<End, Ended> {
        let mut held = held_in(config, &started);
        let mut apart = Box::pin(sleep(APART));
        loop {
            tokio::select! {
                // What ends by itself is not taken for ended by a rotation.
                biased;
                end = self.hear(relay) => match end {
                    Some(end) => return Ok(end),
                    None => continue,
                },
                changed = newest.changed() => if changed.is_err() { return Ok(self.wait(relay).await) },
            }
            let Some(now) = newest.borrow_and_update().clone() else { continue };
            let changed = difference(&held, &held_in(config, &now));
            if changed.is_empty() {
                continue;
            }
            let names = few(&changed.iter().map(SecretName::as_str).collect::<Vec<_>>());
            match on_change {
                OnRotation::None => {}
                OnRotation::Signal(signal) => {
                    tracing::info!("changed: {names}; the command gets {signal}");
                    self.child.signal(kernel(signal));
                    held = held_in(config, &now);
                }
                OnRotation::Restart => {
                    tokio::select! {
                        biased;
                        end = self.wait(relay) => return Ok(end),
                        () = &mut apart => {}
                    }
                    let now = newest.borrow_and_update().clone().unwrap_or(now);
                    // Made before anything is ended: what cannot be started with takes nothing away that runs.
                    let command = match self.wanted.command(config, &now.secrets) {
                        Ok(command) => command,
                        Err(Ended { lines, .. }) => {
                            tracing::error!(
                                "changed: {names}; the command goes on with what it has: {}",
                                lines.join("; ")
                            );
                            continue;
                        }
                    };
                    tracing::info!("changed: {names}; the command is started again with the new values");
                    if let Some(end) = self.end(relay, config.exec.grace).await {
                        return Ok(end);
                    }
                    self = Self::start(command, self.wanted)?;
                    apart = Box::pin(sleep(APART));
                    held = held_in(config, &now);
                    // What has come while it ended is the next change.
                    newest.mark_changed();
                }
            }
        }
    }

    /// Ends it, and what it leaves behind; how it ended, if it did so by itself, or somebody else wanted that too.
    async fn end(&self, relay: &mut Relay, grace: Duration) -> Option<End> {
        if let Some(end) = self.child.reap() {
            return Some(end);
        }
        self.child.signal(Signal::TERM);
        let (mut asked, mut killed, mut late) = (false, false, Box::pin(sleep(grace)));
        loop {
            tokio::select! {
                biased;
                heard = relay.next() => match heard {
                    Heard::Signal(signal) => {
                        // Whoever ends this process gives it a time of its own.
                        asked |= [Signal::TERM, Signal::INT, Signal::QUIT].contains(&signal);
                        self.child.pass(signal);
                    }
                    Heard::Child => if let Some(end) = self.child.reap() {
                        self.child.sweep();
                        return asked.then_some(end);
                    },
                },
                () = &mut late, if !asked && !killed => {
                    self.child.signal(Signal::KILL);
                    killed = true;
                }
            }
        }
    }
}

fn held_in(config: &Config, snapshot: &Snapshot) -> Held {
    let is_token = |name: &SecretName| {
        config.secrets.get(name).is_some_and(|secret| matches!(secret.reference, Reference::Token { .. }))
    };
    snapshot
        .secrets
        .iter()
        .filter(|(name, _)| !is_token(name))
        .map(|(name, secret)| (name.clone(), Arc::clone(secret)))
        .collect()
}

/// The names whose values are not what they were.
fn difference(before: &Held, now: &Held) -> BTreeSet<SecretName> {
    let differs = |name: &&SecretName| match (before.get(*name), now.get(*name)) {
        (Some(before), Some(now)) => !before.same_content(now),
        (before, now) => before.is_some() != now.is_some(),
    };
    before.keys().chain(now.keys()).filter(differs).cloned().collect()
}

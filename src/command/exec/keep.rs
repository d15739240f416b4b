//! The command while it runs: signals are passed on, its end is taken, and a rotation of what is in its environment restarts
//! or tells it.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::Wanted;
use crate::command::Ended;
use crate::config::Config;
use crate::config::exec::OnRotation;
use crate::process::{Child, End, Heard, Relay};
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
                self.child.signal(signal);
                None
            }
            Heard::Child => self.child.reap(),
        }
    }

    /// Until it ends by itself, with what is newest.
    pub(super) async fn follow(
        mut self,
        relay: &mut Relay,
        mut newest: watch::Receiver<Option<Arc<Snapshot>>>,
        (config, on_change): (&Config, OnRotation),
    ) -> Result<End, Ended> {
        let mut held = held(config, newest.borrow_and_update().as_deref());
        let mut apart = Box::pin(sleep(APART));
        loop {
            tokio::select! {
                end = self.hear(relay) => match end {
                    Some(end) => return Ok(end),
                    None => continue,
                },
                changed = newest.changed() => if changed.is_err() { return Ok(self.wait(relay).await) },
            }
            let now = self::held(config, newest.borrow_and_update().as_deref());
            let changed = changed(&held, &now);
            if changed.is_empty() {
                continue;
            }
            let names = crate::agent::few(&changed);
            held = match on_change {
                OnRotation::None => now,
                OnRotation::Signal(signal) => {
                    tracing::info!("changed: {names}; the command gets {signal}");
                    self.child.signal(crate::process::of(signal));
                    now
                }
                OnRotation::Restart => {
                    // What ends meanwhile has ended by itself.
                    tokio::select! {
                        end = self.wait(relay) => return Ok(end),
                        () = &mut apart => {}
                    }
                    tracing::info!("changed: {names}; the command is started again with the new values");
                    if let Some(end) = self.end(relay, config.exec.grace).await {
                        return Ok(end);
                    }
                    // What has come while it ended is in it too.
                    let newest = newest.borrow_and_update().clone();
                    let values = newest.as_ref().map(|snapshot| &snapshot.secrets);
                    self = Self::start(self.wanted.command(config, values.unwrap_or(&BTreeMap::new()))?, self.wanted)?;
                    apart = Box::pin(sleep(APART));
                    self::held(config, newest.as_deref())
                }
            };
        }
    }

    /// Ends it; how it ended, if somebody else wanted that too.
    async fn end(&self, relay: &mut Relay, grace: Duration) -> Option<End> {
        self.child.signal(Signal::TERM);
        let mut asked = false;
        let ended = async {
            loop {
                match relay.next().await {
                    Heard::Signal(signal) => {
                        asked |= ends(signal);
                        self.child.signal(signal);
                    }
                    Heard::Child => {
                        if let Some(end) = self.child.reap() {
                            return end;
                        }
                    }
                }
            }
        };
        let end = if let Ok(end) = timeout(grace, ended).await {
            end
        } else {
            self.child.signal(Signal::KILL);
            self.wait(relay).await
        };
        asked.then_some(end)
    }
}

fn held(config: &Config, snapshot: Option<&Snapshot>) -> Held {
    let is_token = |name: &SecretName| {
        config.secrets.get(name).is_some_and(|secret| matches!(secret.reference, Reference::Token { .. }))
    };
    let secrets = snapshot.into_iter().flat_map(|snapshot| &snapshot.secrets);
    secrets.filter(|(name, _)| !is_token(name)).map(|(name, secret)| (name.clone(), Arc::clone(secret))).collect()
}

/// The names whose values are not what they were.
fn changed<'a>(before: &'a Held, now: &'a Held) -> Vec<&'a str> {
    let differs = |name: &&SecretName| match (before.get(*name), now.get(*name)) {
        (Some(before), Some(now)) => !before.same_content(now),
        (before, now) => before.is_some() != now.is_some(),
    };
    let mut names: Vec<&str> = before.keys().chain(now.keys()).filter(differs).map(SecretName::as_str).collect();
    names.sort_unstable();
    names.dedup();
    names
}

//! The command while it runs: signals are passed on, its end is taken, and a rotation of what is in its environment restarts
//! or tells it.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::watch;
use tokio::time::sleep;

use super::given::Given;
use super::{Told, Wanted, not_started};
use crate::agent::few;
use crate::command::Ended;
use crate::config::exec::OnRotation;
use crate::exit::Exit;
use crate::process::{Child, End, Heard, Relay, fits, is_there, of as kernel};

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

impl<'a> Keeper<'a> {
    pub(super) fn start(mut command: Command, wanted: &'a Wanted<'a>) -> Result<Self, Ended> {
        let child = Child::start(&mut command, wanted.cores).map_err(|error| not_started(&command, &error))?;
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

    /// Until it ends by itself, with what is newest; `held` is what it was started with.
    pub(super) async fn follow(
        mut self,
        relay: &mut Relay,
        (mut held, mut newest): (Arc<Given>, watch::Receiver<Told>),
        (on_change, grace): (OnRotation, Duration),
    ) -> Result<End, Ended> {
        let mut apart = Box::pin(sleep(APART));
        let mut missing = None;
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
            let Some((now, changed)) = news(&mut newest, &held) else { continue };
            match on_change {
                OnRotation::None => {}
                OnRotation::Signal(signal) => {
                    tracing::info!("changed: {changed}; the command gets {signal}");
                    self.child.signal(kernel(signal));
                    held = now;
                }
                OnRotation::Restart => {
                    tokio::select! {
                        biased;
                        end = self.wait(relay) => return Ok(end),
                        () = &mut apart => {}
                    }
                    let Some((now, changed)) = news(&mut newest, &held) else {
                        missing = None;
                        continue;
                    };
                    // Made before anything is ended: what cannot be started with takes nothing away that runs.
                    let command = match self.wanted.command(&now).and_then(fitting) {
                        Ok(command) => command,
                        Err(ended) => {
                            goes_on(&ended.lines.join("; "));
                            continue;
                        }
                    };
                    if let Err(reason) = is_there(&command) {
                        // Other values do not bring it back, but whoever is replacing it may be done soon.
                        if missing.as_ref() != Some(&reason) {
                            goes_on(&format!("{reason}; it is looked for every {} seconds", APART.as_secs()));
                        }
                        missing = Some(reason);
                        apart = Box::pin(sleep(APART));
                        newest.mark_changed();
                        continue;
                    }
                    missing = None;
                    tracing::info!("changed: {changed}; the command is started again with the new values");
                    if let Some(end) = self.end(relay, grace).await {
                        return Ok(end);
                    }
                    self = Self::start(command, self.wanted)?;
                    apart = Box::pin(sleep(APART));
                    held = now;
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

/// What is given now, and the names of what is not as it was; nothing, if all is, or not all can be made.
fn news(newest: &mut watch::Receiver<Told>, held: &Given) -> Option<(Arc<Given>, String)> {
    match newest.borrow_and_update().as_ref()? {
        Ok(now) => {
            let names: Vec<&str> = held.difference(now).into_iter().collect();
            (!names.is_empty()).then(|| (Arc::clone(now), few(&names)))
        }
        Err(ended) => {
            goes_on(&ended.lines.join("; "));
            None
        }
    }
}

/// The command, if the kernel would take its arguments and variables.
fn fitting(command: Command) -> Result<Command, Ended> {
    fits(&command).map(|()| command).map_err(|reason| Ended::new(Exit::Content, reason))
}

fn goes_on(because: &str) {
    tracing::error!("the command goes on with what it has: {because}");
}

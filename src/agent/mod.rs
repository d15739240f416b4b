//! The loop: start what is due, merge what came, publish, tell, sleep until the earliest next wake or an event.
//!
//! Knows the ports and the pure floors. Must not know Azure, files or signals. `init` is this loop until everything is
//! there or the deadline; `run` is this loop until it is told to stop.

mod arrival;
mod hook;
mod lists;
mod publish;
mod revise;
mod settle;
mod tell;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::config::{Identity, OnRevoked, Stale};
use crate::failure::Failure;
use crate::metrics::Metrics;
use crate::moment::{Clock, Moment};
use crate::plan::Plan;
use crate::ports::{Answer, Hook, Sink, Source};
use crate::reference::{IdentityName, Object, SecretName};
use crate::rollout::{Hooks, Rollout};
use crate::schedule::{Schedule, SurveyTicket, Ticket};
use crate::snapshot::{Holdings, Snapshot};
use crate::status::{Status, View};
use crate::survey::Survey;

pub use revise::Revised;

pub(crate) use tell::few;

/// What the outside tells the loop.
#[derive(Debug)]
pub enum Event {
    /// Somebody wants everything fresh now.
    Refresh,
    /// These are not what they were, if anybody asks for them.
    Changed(Vec<Object>),
    /// Somebody wants to know whether the loop turns.
    Pulse(oneshot::Sender<()>),
    /// Go on with another plan.
    Revised(Box<Revised>),
    /// Finish what is being published, and end.
    Stop,
}

/// What the loop is made of.
pub struct Parts<S> {
    /// What is to be done.
    pub plan: Plan,
    /// How the identities sign in, for messages.
    pub identities: BTreeMap<IdentityName, Identity>,
    /// How long a change waits for others of its set.
    pub settle: Duration,
    /// When a value that is not confirmed counts as stale.
    pub stale: Stale,
    /// What becomes of a value when access to it is taken away for good.
    pub on_revoked: OnRevoked,
    /// Where secrets come from.
    pub source: Arc<S>,
    /// Where they go.
    pub sinks: Vec<Box<dyn Sink>>,
    /// Whom to tell, one for each of the plan's.
    pub hooks: Vec<Arc<dyn Hook>>,
    /// What decides the slots, from the pod's identity.
    pub seed: u64,
    /// What tells the time.
    pub clock: Clock,
    /// Where it counts what it does.
    pub metrics: Metrics,
}

/// The loop's state.
pub struct Agent<S> {
    plan: Plan,
    names: Readers,
    standby_for: Readers,
    on_revoked: OnRevoked,
    identities: BTreeMap<IdentityName, Identity>,
    schedule: Schedule,
    holdings: Holdings,
    snapshot: Option<Arc<Snapshot>>,
    rollout: Rollout,
    settle: Duration,
    /// While a set that is being written is waited for.
    window: Option<settle::Window>,
    status: Status,
    source: Arc<S>,
    sinks: Vec<Box<dyn Sink>>,
    hooks: Vec<Arc<dyn Hook>>,
    /// What the hooks have yet to be told.
    pending: Hooks,
    clock: Clock,
    metrics: Metrics,
    view: watch::Sender<View>,
    /// Holdings moved since the last merge.
    moved: bool,
    /// Status changed since the last view.
    news: bool,
    /// Something was in flight in the last turn: a cycle is under way.
    busy: bool,
    /// How long something new in a revised plan is waited for.
    patience: Option<Instant>,
    /// When the last view was shown.
    shown: Instant,
}

/// What was under way and has ended, and when it began.
enum Outcome {
    Object(Ticket, Instant, Result<Answer, Failure>),
    List(SurveyTicket, Instant, Result<Survey, Failure>),
}

impl<S: Source> Agent<S> {
    /// Ready to run; everything is due at once.
    pub fn new(parts: Parts<S>) -> Self {
        let Parts { plan, identities, settle, stale, on_revoked, source, sinks, hooks, seed, clock, metrics } = parts;
        let (names, standby_for) = readers(&plan);
        let status = Status::new(
            &plan,
            sinks.iter().map(|sink| sink.name().to_owned()),
            hooks.iter().map(|hook| (hook.name().to_owned(), hook.kind())),
            (clock().wall, stale),
        );
        let holds = sinks.iter().map(|sink| sink.shows(&plan));
        let pending = Hooks::new(holds, plan.hooks.iter().cloned(), settle);
        let view = watch::Sender::new(View { snapshot: None, status: Arc::new(status.clone()) });
        Self {
            schedule: Schedule::new(&plan, seed, clock()),
            rollout: Rollout::new(sinks.len(), settle),
            settle,
            window: None,
            holdings: Holdings::default(),
            snapshot: None,
            // Even of nothing a whole can be made: then what an earlier run has left goes away.
            moved: true,
            news: false,
            busy: false,
            patience: None,
            shown: clock().tick,
            plan,
            names,
            standby_for,
            on_revoked,
            identities,
            status,
            source,
            sinks,
            hooks,
            pending,
            clock,
            metrics,
            view,
        }
    }

    /// Where what is known can be followed.
    pub fn view(&self) -> watch::Receiver<View> {
        self.view.subscribe()
    }

    /// Runs until told to stop, or until nobody can tell anything any more.
    pub async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        let mut under_way: JoinSet<Outcome> = JoinSet::new();
        let mut hooks: JoinSet<hook::Told> = JoinSet::new();
        loop {
            let now = (self.clock)();
            self.look_at_others(now.tick);
            for ticket in self.schedule.take_surveys(now.tick) {
                let source = Arc::clone(&self.source);
                under_way.spawn(async move {
                    let result = source.survey(ticket.shelf(), ticket.wanted(), ticket.most_pages()).await;
                    Outcome::List(ticket, now.tick, result)
                });
            }
            for ticket in self.schedule.take_due(now.tick) {
                let (source, need) = (Arc::clone(&self.source), self.need(&ticket));
                under_way.spawn(async move {
                    let result = source.fetch(ticket.object(), need).await;
                    Outcome::Object(ticket, now.tick, result)
                });
            }
            self.lose_patience(now.tick);
            self.merge(now);
            // What follows from a list has been taken by now: nothing in flight is nothing left to do. After the merge, so
            // that what is new may settle: the look at what is there does not make it hurry.
            let busy = !self.schedule.is_quiet();
            if std::mem::replace(&mut self.busy, busy) && !busy {
                self.cycle_is_over(now);
            }
            self.publish(now);
            self.run_hooks(now, &mut hooks);
            self.show(now);
            let sweeps = self.sinks.iter().filter_map(|sink| sink.sweep_due());
            let wakes = [self.schedule.next_wake(now.tick), self.rollout.next_wake(), self.pending.next_wake()];
            let wake = wakes.into_iter().flatten().chain(sweeps).chain(self.show_due()).chain(self.patience).min();
            tokio::select! {
                Some(done) = under_way.join_next() => {
                    self.finish(done);
                    // Whatever else has come meanwhile costs no turn of its own.
                    while let Some(done) = under_way.try_join_next() {
                        self.finish(done);
                    }
                }
                Some(done) = hooks.join_next() => self.hook_ended(done),
                event = events.recv() => match event {
                    Some(Event::Refresh) => self.schedule.refresh_now((self.clock)().tick),
                    Some(Event::Changed(objects)) => self.changed(&objects),
                    // Whoever asked may have gone.
                    Some(Event::Pulse(answer)) => drop(answer.send(())),
                    Some(Event::Revised(revised)) => self.revise(*revised),
                    Some(Event::Stop) | None => break,
                },
                () = until(wake) => {}
            }
        }
        // Fetches only read: what is under way can be dropped. So can hooks: whoever is told may have ended already, and
        // must not be waited for. What came is published now, whoever else was waited for; but a plan that was revised is not
        // torn: what belongs together in it has not come yet, and what is shown is whole.
        drop(hooks);
        if self.snapshot.is_none() {
            self.give_up_waiting();
        }
        let now = (self.clock)();
        self.merge(now);
        self.rollout.hurry(now.tick);
        self.publish(now);
        self.tell_view(now);
    }

    fn cycle_is_over(&mut self, now: Moment) {
        let next = self.schedule.next_wake(now.tick).map(|wake| wake.saturating_duration_since(now.tick));
        tracing::debug!(?next, "everything that was due has been asked for");
        self.rollout.recheck(now.tick);
    }
}

/// The names that are cut from each object, and those that it stands by for.
type Readers = BTreeMap<Object, Vec<SecretName>>;

fn readers(plan: &Plan) -> (Readers, Readers) {
    let (mut names, mut standby_for) = (Readers::new(), Readers::new());
    for (name, wanted) in &plan.names {
        names.entry(wanted.object.clone()).or_default().push(name.clone());
        if let Some(standby) = &wanted.standby {
            standby_for.entry(standby.clone()).or_default().push(name.clone());
        }
    }
    (names, standby_for)
}

/// Sleeps until then; for ever when there is no then.
async fn until(wake: Option<Instant>) {
    match wake {
        Some(wake) => sleep_until(wake.into()).await,
        None => std::future::pending().await,
    }
}

impl<S> fmt::Debug for Agent<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for Parts<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

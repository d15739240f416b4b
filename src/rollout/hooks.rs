//! After a publish: which hook is to be run with which names, in the shape of the rollout: what is due comes out,
//! outcomes go in, "when next?" is a value.
//!
//! A change waits until every directory that shows the name shows the change. One hook's trouble holds no other back, and
//! no publish. What could not be told is told with whatever changes next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::retry_after;
use crate::moment::later;
use crate::ports::Change;
use crate::reference::SecretName;
use crate::snapshot::Generation;

/// The hooks, and what each has yet to be told.
#[derive(Debug)]
pub struct Hooks {
    settle: Duration,
    sinks: Vec<Shelf>,
    states: Vec<State>,
}

/// One sink, as a hook sees it.
#[derive(Debug)]
struct Shelf {
    holds: BTreeSet<SecretName>,
    shows: Option<Generation>,
}

#[derive(Debug)]
struct State {
    wants: BTreeSet<SecretName>,
    /// What it has yet to be told, and not before when.
    pending: BTreeMap<SecretName, News>,
    due: Option<Instant>,
    /// What it is being told.
    running: Option<Arc<Change>>,
    failures: u32,
}

/// What is known of a name's change.
#[derive(Debug, Clone, Copy)]
struct News {
    since: Generation,
    /// Whether it is one. What an earlier run has published is not known until a sink compares it.
    certain: bool,
}

impl Hooks {
    /// For sinks that hold these names, and hooks that want to hear of these, both in their order. `settle` is how long a
    /// change waits for others of its set.
    pub fn new(
        sinks: impl IntoIterator<Item = BTreeSet<SecretName>>,
        hooks: impl IntoIterator<Item = BTreeSet<SecretName>>,
        settle: Duration,
    ) -> Self {
        let sinks = sinks.into_iter().map(|holds| Shelf { holds, shows: None }).collect();
        let state = |wants| State { wants, pending: BTreeMap::new(), due: None, running: None, failures: 0 };
        Self { settle, sinks, states: hooks.into_iter().map(state).collect() }
    }

    /// The sinks hold other names, and the hooks, the same ones, want to hear of others.
    pub fn replan(
        &mut self,
        sinks: impl IntoIterator<Item = BTreeSet<SecretName>>,
        hooks: impl IntoIterator<Item = BTreeSet<SecretName>>,
        settle: Duration,
    ) {
        self.settle = settle;
        for (shelf, holds) in self.sinks.iter_mut().zip(sinks) {
            shelf.holds = holds;
        }
        for (hook, wants) in self.states.iter_mut().zip(hooks) {
            hook.pending.retain(|name, _| wants.contains(name));
            if hook.pending.is_empty() {
                hook.due = None;
            }
            hook.wants = wants;
        }
    }

    /// There is a new whole, and not the first. These names changed in it; the values of `first_heard_of` are the first of
    /// this run, and no change where a sink finds that an earlier run has published the same.
    pub fn changed(
        &mut self,
        generation: Generation,
        changed: &BTreeSet<SecretName>,
        first_heard_of: &BTreeSet<SecretName>,
        now: Instant,
    ) {
        for hook in &mut self.states {
            let mut news = false;
            for name in hook.wants.iter().filter(|name| changed.contains(*name) || first_heard_of.contains(*name)) {
                let is_shown = self.sinks.iter().any(|sink| sink.holds.contains(name));
                let before = hook.pending.get(name).is_some_and(|news| news.certain);
                let certain = before || !first_heard_of.contains(name) || !is_shown;
                hook.pending.insert(name.clone(), News { since: generation, certain });
                news = true;
            }
            if news {
                // One that comes while another settles does not wait anew; what was to be tried again waits no longer.
                let settles = later(now, self.settle);
                hook.due = Some(hook.due.filter(|_| hook.failures == 0).unwrap_or(settles).min(settles));
                hook.failures = 0;
            }
        }
    }

    /// A sink shows a whole; its files of these names are not what they were.
    pub fn shown(&mut self, sink: usize, generation: Generation, differing: &BTreeSet<SecretName>) {
        let Some(shelf) = self.sinks.get_mut(sink) else { return };
        shelf.shows = Some(generation);
        for hook in &mut self.states {
            for (name, news) in &mut hook.pending {
                news.certain |= differing.contains(name);
            }
            // Where all who show it have found it as it was, nothing has changed.
            hook.pending.retain(|name, news| news.certain || !is_shown(&self.sinks, name, *news));
            if hook.pending.is_empty() {
                hook.due = None;
            }
        }
    }

    /// The hooks that are to be run now, and what they are told. None is run twice at a time.
    pub fn take_due(&mut self, now: Instant) -> Vec<(usize, Arc<Change>)> {
        let mut due = Vec::new();
        for (number, hook) in self.states.iter_mut().enumerate() {
            if hook.ready_at(&self.sinks).is_none_or(|at| at > now) {
                continue;
            }
            let pending = std::mem::take(&mut hook.pending);
            let Some(generation) = pending.values().map(|news| news.since).max() else { continue };
            let change = Arc::new(Change { generation, names: pending.into_keys().collect() });
            hook.due = None;
            hook.running = Some(Arc::clone(&change));
            due.push((number, change));
        }
        due
    }

    /// The hook was told.
    pub fn succeeded(&mut self, hook: usize) {
        if let Some(hook) = self.states.get_mut(hook) {
            (hook.running, hook.failures) = (None, 0);
        }
    }

    /// The hook could not be told: it is tried again, later and later, up to once a minute; with what has changed
    /// meanwhile, if something has.
    pub fn failed(&mut self, hook: usize, now: Instant) {
        let Some(hook) = self.states.get_mut(hook) else { return };
        let Some(change) = hook.running.take() else { return };
        for name in &change.names {
            hook.pending.entry(name.clone()).or_insert(News { since: change.generation, certain: true }).certain = true;
        }
        if hook.due.is_none() {
            hook.due = Some(later(now, retry_after(hook.failures)));
            hook.failures = hook.failures.saturating_add(1);
        }
    }

    /// When [`Hooks::take_due`] will have something; what waits for a sink or a hook that runs waits without waking.
    pub fn next_wake(&self) -> Option<Instant> {
        self.states.iter().filter_map(|hook| hook.ready_at(&self.sinks)).min()
    }
}

impl State {
    /// When it may be run; none while it runs, has nothing to tell, or readers cannot see all of it.
    fn ready_at(&self, sinks: &[Shelf]) -> Option<Instant> {
        let all_shown = self.pending.iter().all(|(name, news)| is_shown(sinks, name, *news));
        self.due.filter(|_| self.running.is_none() && all_shown)
    }
}

/// Whether every sink that holds the name shows its change.
fn is_shown(sinks: &[Shelf], name: &SecretName, news: News) -> bool {
    let mut holding = sinks.iter().filter(|sink| sink.holds.contains(name));
    holding.all(|sink| sink.shows.is_some_and(|shows| shows >= news.since))
}

#[cfg(test)]
mod tests;

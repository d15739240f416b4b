//! After a publish: which hook is to be run with which names, in the shape of the rollout: what is due comes out,
//! outcomes go in, "when next?" is a value.
//!
//! A change waits until every directory that shows the name shows the change; one directory's trouble holds back its own
//! names alone. One hook's trouble holds no other back, and no publish. What could not be told is told with whatever
//! changes next.

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
    /// What it has yet to be told.
    pending: BTreeMap<SecretName, News>,
    /// What it is being told.
    running: Option<Arc<Change>>,
    /// Whether something has changed since.
    news: bool,
    failures: u32,
}

/// What is known of a name's change.
#[derive(Debug, Clone, Copy)]
struct News {
    since: Generation,
    /// Whether it is one. What an earlier run has published is not known until a sink compares it.
    certain: bool,
    /// Not before this.
    due: Instant,
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
        let state = |wants| State { wants, pending: BTreeMap::new(), running: None, news: false, failures: 0 };
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
        let settles = later(now, self.settle);
        for hook in &mut self.states {
            // One that comes while another settles does not wait anew; what was to be tried again waits no longer.
            let settling =
                hook.pending.values().map(|news| news.due).filter(|due| hook.failures == 0 && *due > now).min();
            let due = settling.unwrap_or(settles).min(settles);
            let mut has_changed = false;
            for name in hook.wants.iter().filter(|name| changed.contains(*name) || first_heard_of.contains(*name)) {
                let is_shown = self.sinks.iter().any(|sink| sink.holds.contains(name));
                let before = hook.pending.get(name).is_some_and(|news| news.certain);
                let certain = before || !first_heard_of.contains(name) || !is_shown;
                hook.pending.insert(name.clone(), News { since: generation, certain, due });
                has_changed = true;
            }
            if has_changed {
                if hook.failures > 0 {
                    hook.pending.values_mut().for_each(|news| news.due = due);
                }
                (hook.news, hook.failures) = (true, 0);
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
        }
    }

    /// The hooks that are to be run now, and what they are told: what readers can see. None is run twice at a time.
    pub fn take_due(&mut self, now: Instant) -> Vec<(usize, Arc<Change>)> {
        let mut due = Vec::new();
        for (number, hook) in self.states.iter_mut().enumerate() {
            if hook.ready_at(&self.sinks).is_none_or(|at| at > now) {
                continue;
            }
            let ready = |name: &SecretName, news: &mut News| news.due <= now && is_shown(&self.sinks, name, *news);
            let ready: BTreeMap<_, _> = hook.pending.extract_if(.., ready).collect();
            let Some(generation) = ready.values().map(|news| news.since).max() else { continue };
            let change = Arc::new(Change { generation, names: ready.into_keys().collect() });
            hook.news = false;
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
        let due = if hook.news {
            hook.pending.values().map(|news| news.due).max().unwrap_or(now)
        } else {
            let retry = later(now, retry_after(hook.failures));
            hook.failures = hook.failures.saturating_add(1);
            hook.pending.values_mut().for_each(|news| news.due = news.due.max(retry));
            retry
        };
        // A plan that came meanwhile may want some of them no more.
        for name in change.names.iter().filter(|name| hook.wants.contains(*name)) {
            let again = News { since: change.generation, certain: true, due };
            hook.pending.entry(name.clone()).or_insert(again).certain = true;
        }
    }

    /// When [`Hooks::take_due`] will have something; what waits for a sink or a hook that runs waits without waking.
    pub fn next_wake(&self) -> Option<Instant> {
        self.states.iter().filter_map(|hook| hook.ready_at(&self.sinks)).min()
    }
}

impl State {
    /// When it may be run; none while it runs, or has nothing to tell that readers can see.
    fn ready_at(&self, sinks: &[Shelf]) -> Option<Instant> {
        let shown = self.pending.iter().filter(|(name, news)| is_shown(sinks, name, **news));
        shown.map(|(_, news)| news.due).min().filter(|_| self.running.is_none())
    }
}

/// Whether every sink that holds the name shows its change.
fn is_shown(sinks: &[Shelf], name: &SecretName, news: News) -> bool {
    let mut holding = sinks.iter().filter(|sink| sink.holds.contains(name));
    holding.all(|sink| sink.shows.is_some_and(|shows| shows >= news.since))
}

#[cfg(test)]
mod tests;

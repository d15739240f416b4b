//! From a merged snapshot to the world, the same shape as the schedule: what is due comes out, outcomes go in, "when
//! next?" is a value. Each sink has its own retry; one sink's trouble holds no other back.

mod hooks;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::moment::later;
use crate::snapshot::Snapshot;

pub use hooks::Hooks;

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// What is to be published where, and when.
#[derive(Debug)]
pub struct Rollout {
    settle: Duration,
    snapshot: Option<Arc<Snapshot>>,
    targets: Vec<Target>,
}

#[derive(Debug, Default, Clone)]
struct Target {
    due: Option<Instant>,
    failures: u32,
}

impl Rollout {
    /// For so many sinks. `settle` is how long a change waits for others of its set; the first whole does not wait.
    pub fn new(sinks: usize, settle: Duration) -> Self {
        Self { settle, snapshot: None, targets: vec![Target::default(); sinks] }
    }

    /// How long changes wait from now on.
    pub fn settle(&mut self, settle: Duration) {
        self.settle = settle;
    }

    /// There is a new whole. One that arrives while another still settles replaces it, and does not wait anew.
    pub fn offer(&mut self, snapshot: Arc<Snapshot>, now: Instant) {
        let wait = if self.snapshot.is_none() { Duration::ZERO } else { self.settle };
        self.snapshot = Some(snapshot);
        for target in &mut self.targets {
            target.due = Some(target.due.unwrap_or_else(|| later(now, wait)));
        }
    }

    /// Others of a set that is being written are looked at before then: what settles waits for them.
    pub fn await_others(&mut self, until: Instant, now: Instant) {
        for due in self.targets.iter_mut().filter_map(|target| target.due.as_mut()).filter(|due| **due > now) {
            *due = until.max(*due);
        }
    }

    /// A refresh cycle is over: let every sink see whether somebody has changed its files.
    pub fn recheck(&mut self, now: Instant) {
        if self.snapshot.is_none() {
            return;
        }
        for target in &mut self.targets {
            target.due.get_or_insert(now);
        }
    }

    /// The sinks that are to publish now, and what.
    pub fn take_due(&mut self, now: Instant) -> Vec<(usize, Arc<Snapshot>)> {
        let Some(snapshot) = &self.snapshot else { return Vec::new() };
        let mut due = Vec::new();
        for (number, target) in self.targets.iter_mut().enumerate() {
            if target.due.is_some_and(|at| at <= now) {
                target.due = None;
                due.push((number, Arc::clone(snapshot)));
            }
        }
        due
    }

    /// The sink shows the snapshot.
    pub fn succeeded(&mut self, sink: usize) {
        if let Some(target) = self.targets.get_mut(sink) {
            target.failures = 0;
        }
    }

    /// The sink could not: it is asked again, later and later, up to once a minute.
    pub fn failed(&mut self, sink: usize, now: Instant) {
        if let Some(target) = self.targets.get_mut(sink) {
            target.due = Some(later(now, retry_after(target.failures)));
            target.failures = target.failures.saturating_add(1);
        }
    }

    /// It is the last chance: what still settles is due now.
    pub fn hurry(&mut self, now: Instant) {
        for due in self.targets.iter_mut().filter_map(|target| target.due.as_mut()) {
            *due = now.min(*due);
        }
    }

    /// When [`Rollout::take_due`] will have something.
    pub fn next_wake(&self) -> Option<Instant> {
        self.snapshot.as_ref()?;
        self.targets.iter().filter_map(|target| target.due).min()
    }
}

/// How long it waits after so many failures before.
fn retry_after(failures: u32) -> Duration {
    FIRST_RETRY.saturating_mul(1 << failures.min(16)).min(LONGEST_RETRY)
}

#[cfg(test)]
mod tests;

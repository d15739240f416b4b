//! Another plan under the turning loop: what stays is kept with all that is known of it, what is new or made otherwise is
//! asked for now, what is gone is forgotten.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::{Agent, readers};
use crate::config::Stale;
use crate::moment::later;
use crate::plan::Plan;
use crate::ports::Source;
use crate::reference::{Object, SecretName};

/// How long everything else waits for what is new in a plan.
const PATIENCE: Duration = Duration::from_secs(10);

/// What may change while the loop turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revised {
    /// What is to be done from now on.
    pub plan: Plan,
    /// How long a change waits for others of its set.
    pub settle: Duration,
    /// When a value counts as stale.
    pub stale: Stale,
}

/// The names in which two plans differ.
struct Differences {
    added: BTreeSet<SecretName>,
    /// From another object, or cut otherwise: what is held is still the old.
    changed: BTreeSet<SecretName>,
    removed: BTreeSet<SecretName>,
}

impl Differences {
    fn between(old: &Plan, new: &Plan) -> Self {
        let among = |plan: &Plan, pick: &dyn Fn(&SecretName) -> bool| {
            plan.names.keys().filter(|name| pick(name)).cloned().collect::<BTreeSet<_>>()
        };
        let is_made_otherwise = |name: &SecretName| {
            old.names.get(name).zip(new.names.get(name)).is_some_and(|(old, new)| {
                (&old.object, &old.standby, &old.cut) != (&new.object, &new.standby, &new.cut)
            })
        };
        Self {
            added: among(new, &|name| !old.names.contains_key(name)),
            changed: among(new, &is_made_otherwise),
            removed: among(old, &|name| !new.names.contains_key(name)),
        }
    }
}

impl<S: Source> Agent<S> {
    /// Goes on with another plan. Until everything new in it has been heard of, for better or worse, but for [`PATIENCE`]
    /// at most, nothing is published: what belongs together in it comes together.
    pub(super) fn revise(&mut self, Revised { plan, settle, stale }: Revised) {
        let now = (self.clock)();
        let differences = Differences::between(&self.plan, &plan);
        (self.names, self.standby_for) = readers(&plan);
        self.plan = plan;
        self.schedule.replan(&self.plan, now);
        self.rollout.settle(settle);
        self.settle = settle;
        let holds = self.sinks.iter().map(|sink| sink.shows(&self.plan));
        self.pending.replan(holds, self.plan.hooks.iter().cloned(), settle);
        self.status.replan(&self.plan, &differences.changed);
        self.status.stale = stale;
        self.holdings.retain(|name| self.plan.names.contains_key(name));
        let awaited = differences.added.iter().chain(&differences.changed);
        for name in awaited {
            self.holdings.expect(name);
            if let Some(wanted) = self.plan.names.get(name) {
                self.schedule.want(&wanted.object, now.tick);
            }
        }
        (self.moved, self.news) = (true, true);
        self.patience = Some(later(now.tick, PATIENCE));
        super::tell::revised(&differences.added, &differences.changed, &differences.removed);
    }

    /// What hangs, or waits behind a shut gate, holds nobody back any longer.
    pub(super) fn lose_patience(&mut self, now: Instant) {
        if self.patience.take_if(|until| *until <= now).is_some() {
            self.give_up_waiting();
        }
    }

    /// Somebody knows that these are not what they were.
    pub(super) fn changed(&mut self, objects: &[Object]) {
        let now = (self.clock)();
        for object in objects {
            self.schedule.want(object, now.tick);
        }
    }
}

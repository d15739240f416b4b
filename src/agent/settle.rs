//! What the loop does when something changed a moment ago: others of its set may still be in the middle of being written,
//! so they are looked at once more before the window ends, and published together.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::Agent;
use crate::moment::{Moment, later};
use crate::ports::Source;
use crate::reference::{Object, SecretName};

/// A settle window in which others are looked at. They have its last quarter to be answered before it ends.
#[derive(Debug)]
pub(super) struct Window {
    look: Instant,
    end: Instant,
    /// Whom to look at.
    others: BTreeSet<Object>,
    /// Who has come changed, or was looked at before.
    seen: BTreeSet<Object>,
}

impl Window {
    fn begin(seen: BTreeSet<Object>, now: Instant, settle: Duration) -> Self {
        Self { look: later(now, settle.mul_f64(0.75)), end: later(now, settle), others: BTreeSet::new(), seen }
    }
}

impl<S: Source> Agent<S> {
    /// A name has another value than before, which had been its source's for so long when it was read. What changed long
    /// ago has no company that is still on its way; of what does not say nothing is known.
    pub(super) fn changed_just_now(&mut self, name: &SecretName, age: Option<Duration>, now: Moment) {
        let is_recent = age.is_some_and(|age| age < self.settle);
        let Some(wanted) = self.plan.names.get(name).filter(|_| is_recent) else { return };
        let (object, mut beside) = (wanted.object.clone(), self.shown_beside(name, &wanted.object));
        let window = self.window.take().filter(|window| now.tick < window.end);
        let mut window = window.unwrap_or_else(|| Window::begin(BTreeSet::new(), now.tick, self.settle));
        // Whoever comes by a look brings no other look at those who had theirs: so it ends.
        beside.retain(|other| !window.seen.contains(other) && !window.others.contains(other));
        if !beside.is_empty() {
            if now.tick >= window.look {
                window.seen.append(&mut window.others);
                window = Window::begin(window.seen, now.tick, self.settle);
            }
            window.others.append(&mut beside);
            self.rollout.await_others(window.end, now.tick);
        }
        window.others.remove(&object);
        window.seen.insert(object);
        self.window = Some(window);
    }

    /// Whoever is to be looked at is due in time: also who was in flight when the window began, and was read before it.
    pub(super) fn look_at_others(&mut self, now: Instant) {
        if let Some(window) = self.window.as_ref().filter(|window| now < window.look) {
            self.schedule.look_again(&window.others, window.look);
        }
    }

    /// The objects of other names that a sink shows beside this one. A version is what it is for ever.
    fn shown_beside(&self, name: &SecretName, own: &Object) -> BTreeSet<Object> {
        let shown = self.sinks.iter().map(|sink| sink.shows(&self.plan));
        let beside = shown.filter(|names| names.contains(name)).flatten();
        let objects = beside.filter_map(|name| self.plan.names.get(&name)).map(|wanted| &wanted.object);
        let may_change = |object: &&Object| !matches!(object, Object::Vault { version: Some(_), .. });
        objects.filter(|object| *object != own).filter(may_change).cloned().collect()
    }
}

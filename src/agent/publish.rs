//! What the loop does with what it holds: into the next snapshot, out to the sinks, into the view.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Agent;
use super::hook::differing;
use crate::metrics::Shown;
use crate::moment::{Moment, later};
use crate::plan::Content;
use crate::ports::{Published, SinkError, Source};
use crate::snapshot::{Merged, Snapshot, merge};
use crate::status::{Given, Origin, View};

/// A look at everything costs time for every name; between two of them at least this passes while objects come in.
const SHOWN_EVERY: Duration = Duration::from_millis(100);

impl<S: Source> Agent<S> {
    /// Nobody is waited for any more: what has not been heard of counts as unknown.
    pub(super) fn give_up_waiting(&mut self) {
        for name in self.plan.names.keys() {
            self.moved |= self.holdings.failed(name);
        }
    }

    pub(super) fn merge(&mut self, now: Moment) {
        if !std::mem::take(&mut self.moved) {
            return;
        }
        if let Merged::Advanced { next, changed } = merge(&self.plan, &self.holdings, self.snapshot.as_deref()) {
            super::tell::rendered(self.snapshot.as_deref(), &next);
            self.rollout.offer(Arc::clone(&next), now.tick);
            if let Some(previous) = &self.snapshot {
                let first_heard_of = previous.unknown.difference(&next.unknown).cloned().collect();
                self.pending.changed(next.generation, &changed, &first_heard_of, now.tick);
            }
            self.snapshot = Some(next);
            self.news = true;
        }
    }

    pub(super) fn publish(&mut self, now: Moment) {
        for sink in &mut self.sinks {
            if sink.sweep_due().is_some_and(|due| due <= now.tick)
                && let Err(error) = sink.sweep(now.tick)
            {
                tracing::warn!(dir = sink.name(), "what was published before cannot be removed: {error}");
            }
        }
        for (number, snapshot) in self.rollout.take_due(now.tick) {
            let Some(sink) = self.sinks.get_mut(number) else { continue };
            let name = sink.name().to_owned();
            let result = sink.publish(&snapshot, now.tick);
            self.news = true;
            match result {
                Ok(published) => {
                    self.rollout.succeeded(number);
                    self.metrics.published(kind_of(&published));
                    self.pending.shown(number, snapshot.generation, &differing(&snapshot, &name, &published));
                    self.shown(&name, &published, &snapshot);
                }
                Err(error) => {
                    self.rollout.failed(number, now.tick);
                    self.metrics.published(Shown::Failed);
                    self.not_shown(&name, error);
                }
            }
        }
    }

    fn shown(&mut self, sink: &str, published: &Published, snapshot: &Snapshot) {
        self.adopt_kept(sink, published, snapshot);
        let Some(status) = self.status.sinks.get_mut(sink) else { return };
        super::tell::published(sink, status, published);
        status.kept.clone_from(&published.kept);
        status.generation = Some(published.generation);
        status.shows = Some(snapshot.generation);
        status.failure = None;
    }

    fn not_shown(&mut self, sink: &str, error: SinkError) {
        let Some(status) = self.status.sinks.get_mut(sink) else { return };
        if status.failure.as_ref() != Some(&error) {
            super::tell::not_published(&error);
        }
        status.failure = Some(error);
    }

    /// A name of which nothing is known, but whose file of an earlier run is still there, has a value: an old one.
    fn adopt_kept(&mut self, sink: &str, published: &Published, snapshot: &Snapshot) {
        let Some(layout) = snapshot.layouts.get(Path::new(sink)) else { return };
        for content in published.kept.iter().filter_map(|path| layout.get(path)) {
            // What an earlier run made of several values is no value of any of them.
            if let Content::Secret { secret, .. } = content
                && let Some(status) = self.status.names.get_mut(secret)
                && status.origin == Origin::None
            {
                (status.origin, status.given) = (Origin::Adopted, Given::Before);
            }
        }
    }

    /// Shows what is known, when a cycle is over or a while after the last time; not once per object.
    pub(super) fn show(&mut self, now: Moment) {
        if self.show_due().is_some_and(|due| self.schedule.is_quiet() || due <= now.tick) {
            self.tell_view(now);
        }
    }

    /// When there will be something to show at the latest.
    pub(super) fn show_due(&self) -> Option<Instant> {
        self.news.then(|| later(self.shown, SHOWN_EVERY))
    }

    pub(super) fn tell_view(&mut self, now: Moment) {
        self.news = false;
        self.shown = now.tick;
        for (object, due) in self.schedule.due() {
            for name in self.names.get(object).into_iter().flatten() {
                if let Some(status) = self.status.names.get_mut(name) {
                    status.next = due.map(|due| now.wall_at(due));
                }
            }
        }
        self.tell_stale(now.wall);
        let is_whole = self.snapshot.as_deref().is_some_and(|snapshot| self.status.is_complete(snapshot));
        self.status.ready |= is_whole;
        self.view.send_replace(View { snapshot: self.snapshot.clone(), status: Arc::new(self.status.clone()) });
    }
}

/// A look at what is there already is a publish as well, and changes nothing.
fn kind_of(published: &Published) -> Shown {
    let Published { changed, removed, repaired, .. } = published;
    let nothing = changed.is_empty() && removed.is_empty() && repaired.is_empty();
    if nothing { Shown::Unchanged } else { Shown::Changed }
}

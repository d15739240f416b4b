//! What the loop does with what came back: into the holdings, into the next snapshot, out to the sinks, into the status.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinError;

use super::{Agent, Outcome};
use crate::failure::{Blame, Code, Failure, Kind};
use crate::moment::{Moment, later};
use crate::ports::{Fetched, Published, SinkError, Source};
use crate::reference::SecretName;
use crate::schedule::Ticket;
use crate::snapshot::{Merged, merge};
use crate::status::{NameStatus, Origin, View};

/// A look at everything costs time for every name; between two of them at least this passes while objects come in.
const SHOWN_EVERY: Duration = Duration::from_millis(100);

impl<S: Source> Agent<S> {
    pub(super) fn finish(&mut self, done: Result<Outcome, JoinError>) {
        // A fetch that panicked has ended the process in the panic hook; one that was cancelled asks for nothing.
        let Ok((ticket, result)) = done else { return };
        self.news = true;
        match result {
            Ok(fetched) => self.came(&ticket, &fetched),
            Err(failure) => self.did_not_come(&ticket, &failure),
        }
    }

    fn came(&mut self, ticket: &Ticket, fetched: &Fetched) {
        let now = (self.clock)();
        let mut unusable = None;
        for name in self.names_of(ticket) {
            let Some(wanted) = self.plan.names.get(&name) else { continue };
            match wanted.cut.apply(&fetched.secret) {
                Ok(secret) => {
                    self.moved |= self.holdings.hold(&name, secret);
                    self.note(&name, |status| {
                        status.origin = Origin::Fetched;
                        status.version = Some(fetched.secret.version.clone());
                        status.checked = Some(now.wall);
                        status.expires = fetched.expires;
                    });
                    self.tell_mended(&name);
                }
                Err(error) => {
                    let failure =
                        Failure::new(Blame::Object, Kind::Content, Code::new("unusable")).because(error.to_string());
                    self.moved |= self.holdings.failed(&name);
                    self.tell_failed(&name, &failure);
                    unusable = Some(failure);
                }
            }
        }
        let changes = match unusable {
            None => self.schedule.succeeded(ticket, fetched.expires, now),
            Some(failure) => self.schedule.failed(ticket, &failure, now),
        };
        self.tell_gates(changes);
    }

    fn did_not_come(&mut self, ticket: &Ticket, failure: &Failure) {
        let now = (self.clock)();
        let not_there = failure.blame == Blame::Object && matches!(failure.kind, Kind::Missing | Kind::Disabled);
        let mut expected = not_there;
        for name in self.names_of(ticket) {
            let required = self.plan.names.get(&name).is_none_or(|wanted| wanted.required);
            if not_there && !required && self.holdings.value(&name).is_none() {
                self.moved |= self.holdings.absent(&name);
                self.tell_absent(&name, failure);
                self.note(&name, |status| {
                    status.origin = Origin::Absent;
                    status.checked = Some(now.wall);
                });
            } else {
                expected = false;
                self.moved |= self.holdings.failed(&name);
                self.tell_failed(&name, failure);
            }
        }
        let changes = if expected {
            self.schedule.succeeded(ticket, None, now)
        } else {
            self.schedule.failed(ticket, failure, now)
        };
        self.tell_gates(changes);
    }

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
        if let Merged::Advanced { next, .. } = merge(&self.plan, &self.holdings, self.snapshot.as_deref()) {
            self.rollout.offer(Arc::clone(&next), now.tick);
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
                    self.shown(&name, &published, snapshot.generation);
                }
                Err(error) => {
                    self.rollout.failed(number, now.tick);
                    self.not_shown(&name, error);
                }
            }
        }
    }

    fn shown(&mut self, sink: &str, published: &Published, generation: crate::snapshot::Generation) {
        self.adopt_kept(sink, published);
        let Some(status) = self.status.sinks.get_mut(sink) else { return };
        super::tell::published(sink, status, published);
        status.kept.clone_from(&published.kept);
        status.generation = Some(published.generation);
        status.shows = Some(generation);
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
    fn adopt_kept(&mut self, sink: &str, published: &Published) {
        let Some(layout) = self.plan.layouts.get(Path::new(sink)) else { return };
        for content in published.kept.iter().filter_map(|path| layout.get(path)) {
            if let Some(status) = self.status.names.get_mut(&content.secret)
                && status.origin == Origin::None
            {
                status.origin = Origin::Adopted;
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
        self.view.send_replace(View { snapshot: self.snapshot.clone(), status: Arc::new(self.status.clone()) });
    }

    pub(super) fn note(&mut self, name: &SecretName, change: impl FnOnce(&mut NameStatus)) {
        if let Some(status) = self.status.names.get_mut(name) {
            change(status);
        }
    }

    fn names_of(&self, ticket: &Ticket) -> Vec<SecretName> {
        self.names.get(ticket.object()).cloned().unwrap_or_default()
    }
}

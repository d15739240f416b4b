//! What the loop does with what came back: cut for each of its names, into the holdings, into the status; and what it
//! does when nothing came.

use std::time::Duration;

use tokio::task::JoinError;

use super::{Agent, Outcome};
use crate::config::OnRevoked;
use crate::failure::{Blame, Code, Failure, Kind};
use crate::metrics::{Asked, Brought};
use crate::moment::Moment;
use crate::ports::{Answer, Fetched, Need, Source};
use crate::reference::{Object, SecretName};
use crate::schedule::Ticket;
use crate::secret::Version;
use crate::status::{Given, NameStatus, Origin};

/// Access that was taken away stays away for so long before anybody believes it: roles take minutes to propagate, and
/// a secret that is being replaced is missing for moments.
const REVOKED_AFTER: Duration = Duration::from_mins(10);

impl<S: Source> Agent<S> {
    /// Whether word that it is unchanged will do for an object: not for a name that has nothing of it yet, be it that the
    /// name is new, that it was cut otherwise until now, or that its value was taken away.
    pub(super) fn need(&self, ticket: &Ticket) -> Need {
        let all_have_it = self.names_of(ticket).iter().all(|name| self.holdings.is_current(name));
        if all_have_it && !ticket.wants_value() { Need::News } else { Need::Value }
    }

    pub(super) fn finish(&mut self, done: Result<Outcome, JoinError>) {
        // A fetch that panicked has ended the process in the panic hook; one that was cancelled asks for nothing.
        let Ok(outcome) = done else { return };
        self.news = true;
        let now = (self.clock)();
        match outcome {
            Outcome::Object(ticket, began, result) => {
                let brought = match result {
                    Ok(Answer::Fetched(fetched)) => self.came(&ticket, &fetched, now),
                    Ok(Answer::Unchanged) => self.is_unchanged(&ticket, now),
                    Err(failure) => self.did_not_come(&ticket, &failure, now),
                };
                let took = now.tick.saturating_duration_since(began);
                self.metrics.fetched(Asked::Object(ticket.object()), brought, took);
            }
            Outcome::List(ticket, began, result) => {
                let brought = self.was_surveyed(&ticket, &result, now);
                self.metrics.fetched(Asked::List, brought, now.tick.saturating_duration_since(began));
            }
        }
    }

    fn came(&mut self, ticket: &Ticket, fetched: &Fetched, now: Moment) -> Brought {
        let mut unusable = None;
        for name in self.names_of(ticket) {
            match self.take(&name, fetched, Origin::Fetched, now) {
                Ok(()) => self.tell_mended(&name, |_| true),
                Err(failure) => {
                    self.tell_failed(&name, &failure);
                    unusable = Some(failure);
                }
            }
            self.let_standby_rest(&name);
        }
        for name in self.lacking_it(ticket) {
            if let Err(failure) = self.take(&name, fetched, Origin::Standby, now) {
                self.tell_standby_failed(&name, &failure);
                unusable = Some(failure);
            } else {
                self.tell_standby(&name);
            }
        }
        let brought = unusable.as_ref().map_or(Brought::Value, |failure| Brought::Trouble(failure.kind));
        let changes = match (unusable, fetched.renew_at) {
            (Some(failure), _) => self.schedule.failed(ticket, &failure, now),
            (None, _) if self.plan.standbys.contains(ticket.object()) => self.schedule.stood_by(ticket, now),
            (None, Some(renew_at)) => self.schedule.made(ticket, renew_at, now),
            (None, None) => self.schedule.came(ticket, (fetched.expires, fetched.stamp), now),
        };
        self.tell_gates(changes);
        brought
    }

    /// Cuts what came for a name, and holds it; what cannot be used replaces nothing.
    fn take(&mut self, name: &SecretName, fetched: &Fetched, origin: Origin, now: Moment) -> Result<(), Failure> {
        let Some(wanted) = self.plan.names.get(name) else { return Ok(()) };
        let secret = match wanted.cut.apply(&fetched.secret) {
            Ok(secret) => secret,
            Err(error) => {
                self.moved |= self.holdings.failed(name);
                let failure = Failure::new(Blame::Object, Kind::Content, Code::new(error.code()));
                return Err(failure.because(error.to_string()));
            }
        };
        let before = self.holdings.edition(name);
        self.moved |= self.holdings.hold(name, secret);
        let is_new = self.holdings.edition(name) != before;
        if before > 0 && is_new {
            self.changed_just_now(name, fetched.age, now);
        }
        let version = match &fetched.secret.version {
            Version::Unversioned => Version::Edition(self.holdings.edition(name)),
            version => version.clone(),
        };
        tracing::debug!(secret = %name, version = %version, "secret {name} was fetched: version {version}");
        self.tell_of(name, fetched, now);
        self.note(name, |status| {
            status.origin = origin;
            status.version = Some(version);
            status.checked = Some(now.wall);
            // What was taken away and is given back has been there for no longer.
            status.changed = status.changed.filter(|_| !is_new).or(Some(now.wall));
            status.renew_at = fetched.renew_at.map(|at| now.wall_at(at));
            status.expires = fetched.expires;
            (status.given, status.refused, status.revoked) = (Given::Before, None, false);
        });
        Ok(())
    }

    /// What was fetched last is what there is; what was wrong with its content still is.
    fn is_unchanged(&mut self, ticket: &Ticket, now: Moment) -> Brought {
        let changes = match self.stays(ticket.object(), now) {
            None => self.schedule.succeeded(ticket, None, now),
            Some(failure) => self.schedule.failed(ticket, &failure, now),
        };
        self.tell_gates(changes);
        Brought::Unchanged
    }

    /// The object is what it was: so are those of its names that have something of it. To the others, which a reload has
    /// brought meanwhile, it says nothing. What is still wrong with one of them, if anything is.
    pub(super) fn stays(&mut self, object: &Object, now: Moment) -> Option<Failure> {
        let is_of_content = |failure: &Failure| (failure.blame, failure.kind) == (Blame::Object, Kind::Content);
        let mut unusable = None;
        for name in self.names.get(object).cloned().unwrap_or_default() {
            if !self.holdings.is_current(&name) {
                unusable = unusable.or_else(|| Some(Failure::new(Blame::Object, Kind::Content, Code::new("unread"))));
                continue;
            }
            self.note(&name, |status| {
                status.checked = Some(now.wall);
                (status.refused, status.revoked) = (None, false);
            });
            tracing::debug!(secret = %name, "secret {name} is unchanged");
            self.tell_mended(&name, |failure| !is_of_content(failure));
            unusable = self.status.names.get(&name).and_then(|status| status.failure.clone()).or(unusable);
        }
        unusable
    }

    fn did_not_come(&mut self, ticket: &Ticket, failure: &Failure, now: Moment) -> Brought {
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
                self.heard_of(&name, failure, now);
                self.refused(&name, failure, now);
                self.tell_failed(&name, failure);
            }
        }
        let lacking_it = self.lacking_it(ticket);
        for name in &lacking_it {
            expected = false;
            self.moved |= self.holdings.failed(name);
            self.tell_standby_failed(name, failure);
        }
        let changes = if expected {
            self.schedule.succeeded(ticket, None, now)
        } else {
            self.schedule.failed(ticket, failure, now)
        };
        if lacking_it.is_empty() && self.plan.standbys.contains(ticket.object()) {
            // Meanwhile its names have values.
            self.schedule.rest(ticket.object());
        }
        self.tell_gates(changes);
        Brought::Trouble(failure.kind)
    }

    /// For worse, this time: unless a standby is asked now, which may know better.
    pub(super) fn heard_of(&mut self, name: &SecretName, failure: &Failure, now: Moment) {
        let unavailable = matches!(failure.kind, Kind::Outage | Kind::Throttled) && failure.blame != Blame::Identity;
        let standby = self.plan.names.get(name).and_then(|wanted| wanted.standby.as_ref());
        let standby = standby.filter(|_| unavailable && self.holdings.value(name).is_none());
        if !standby.is_some_and(|standby| self.schedule.awaken(standby, now.tick)) {
            self.moved |= self.holdings.failed(name);
        }
    }

    fn let_standby_rest(&mut self, name: &SecretName) {
        if let Some(standby) = self.plan.names.get(name).and_then(|wanted| wanted.standby.as_ref())
            && self.plan.standbys.contains(standby)
            && self.standby_for.get(standby).is_none_or(|names| names.iter().all(|name| self.has_value(name)))
        {
            self.schedule.rest(standby);
        }
    }

    /// A value that the source does not give any more. Once that has lasted, it is access that was taken away for good,
    /// and no outage: the user has said what is to become of the value. A source that has never given one, because a
    /// reload has just named it, takes nothing away.
    fn refused(&mut self, name: &SecretName, failure: &Failure, now: Moment) {
        let is_refusal = matches!(failure.kind, Kind::Denied | Kind::Missing | Kind::Disabled);
        let Some(status) = self.status.names.get_mut(name) else { return };
        if failure.blame != Blame::Object || !is_refusal || status.given == Given::NotYet {
            return;
        }
        let since = *status.refused.get_or_insert(now.tick);
        if status.revoked || now.tick.saturating_duration_since(since) < REVOKED_AFTER {
            return;
        }
        status.revoked = true;
        if self.on_revoked == OnRevoked::Remove {
            (status.origin, status.version) = (Origin::None, None);
            (status.expires, status.changed) = (None, None);
            self.moved |= self.holdings.revoke(name);
        }
        self.tell_revoked(name, failure);
    }

    /// The names that the object would stand in for, and that have no value.
    fn lacking_it(&self, ticket: &Ticket) -> Vec<SecretName> {
        let names = self.standby_for.get(ticket.object()).into_iter().flatten();
        names.filter(|name| !self.has_value(name)).cloned().collect()
    }

    fn has_value(&self, name: &SecretName) -> bool {
        self.holdings.value(name).is_some()
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

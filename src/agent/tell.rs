//! What the loop logs: one line per change of state, readable alone, with what to do.

use super::Agent;
use crate::advice;
use crate::failure::{Blame, Failure};
use crate::ports::{Published, SinkError, Source};
use crate::reference::{Gate, SecretName};
use crate::schedule::GateChange;
use crate::status::SinkStatus;

impl<S: Source> Agent<S> {
    /// A name's attempt failed: said once, until it is another failure. What a whole host or identity is to blame for
    /// is said once by its gate.
    pub(super) fn tell_failed(&mut self, name: &SecretName, failure: &Failure) {
        let Some(status) = self.status.names.get_mut(name) else { return };
        let known = status.failure.as_ref().is_some_and(|before| before.same_trouble(failure));
        status.failure = Some(failure.clone());
        if known || failure.blame != Blame::Object {
            return;
        }
        let Some(wanted) = self.plan.names.get(name) else { return };
        let advice = advice::on(failure, &wanted.object, &self.identities);
        let kept = if self.holdings.value(name).is_some() { "; the last good value stays" } else { "" };
        tracing::warn!(
            secret = %name, reference = %wanted.reference, code = %failure.code,
            "secret {name} ({}) cannot be fetched: {failure}; {advice}{kept}", wanted.reference
        );
    }

    pub(super) fn tell_mended(&mut self, name: &SecretName) {
        let Some(status) = self.status.names.get_mut(name) else { return };
        if status.failure.take().is_some_and(|failure| failure.blame == Blame::Object) {
            tracing::info!(secret = %name, "secret {name} is fetched again");
        }
    }

    pub(super) fn tell_absent(&mut self, name: &SecretName, failure: &Failure) {
        let Some(status) = self.status.names.get_mut(name) else { return };
        if status.failure.is_none() {
            tracing::info!(secret = %name, code = %failure.code, "optional secret {name} is not there: {failure}");
        }
        status.failure = Some(failure.clone());
    }

    pub(super) fn tell_gates(&mut self, changes: Vec<GateChange>) {
        for change in changes {
            match change {
                GateChange::Shut { gate, failure } => {
                    self.tell_shut(&gate, &failure);
                    self.hear_of_those_behind(&gate, &failure);
                }
                GateChange::Opened { gate, after } => {
                    let seconds = after.as_secs();
                    tracing::info!(after_seconds = seconds, "{} works again, after {seconds} s", what(&gate));
                }
            }
        }
    }

    /// Whoever waits behind a shut gate has been heard of: more of them than are ever in flight must not keep the first
    /// whole waiting until it opens. Those in flight are heard of by themselves.
    fn hear_of_those_behind(&mut self, gate: &Gate, failure: &Failure) {
        let waiting = self.schedule.due().filter(|(object, due)| due.is_some() && object.gates().contains(gate));
        for name in waiting.filter_map(|(object, _)| self.names.get(object)).flatten() {
            if self.holdings.failed(name) {
                self.moved = true;
                if let Some(status) = self.status.names.get_mut(name) {
                    status.failure = Some(failure.clone());
                }
            }
        }
    }

    fn tell_shut(&self, gate: &Gate, failure: &Failure) {
        let behind = self.names.iter().filter(|(object, _)| object.gates().contains(gate));
        let names: Vec<&str> = behind.clone().flat_map(|(_, names)| names).map(SecretName::as_str).collect();
        let Some(object) = behind.map(|(object, _)| object).next() else { return };
        let advice = advice::on(failure, object, &self.identities);
        tracing::warn!(
            code = %failure.code, secrets = names.len(),
            "{} failed: {failure}; {advice}; held back, what is published stays: {}", what(gate), few(&names)
        );
    }
}

fn what(gate: &Gate) -> String {
    match gate {
        Gate::Identity(identity) => format!("signing in with identity '{identity}'"),
        Gate::Host(host) => host.to_string(),
    }
}

/// The first few names, and how many more there are.
fn few(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// A sink shows the snapshot.
pub(super) fn published(sink: &str, before: &SinkStatus, published: &Published) {
    for repair in &published.repaired {
        tracing::warn!(dir = sink, "{sink} was changed by someone else and put right: {repair}");
    }
    let generation = published.generation;
    if !published.changed.is_empty() {
        let changed: Vec<_> = published.changed.iter().filter_map(|path| path.to_str()).collect();
        tracing::info!(
            dir = sink,
            generation,
            changed = changed.len(),
            "published generation {generation} in {sink}: {}",
            few(&changed)
        );
    } else if before.failure.is_some() {
        tracing::info!(dir = sink, generation, "{sink} can be published to again");
    }
    if published.kept.iter().any(|file| !before.kept.contains(file)) {
        let kept: Vec<_> = published.kept.iter().filter_map(|path| path.to_str()).collect();
        let count = kept.len();
        tracing::info!(
            dir = sink,
            kept = count,
            "{count} files of an earlier run stay in {sink} until their secrets come: {}",
            few(&kept)
        );
    }
}

/// A sink could not.
pub(super) fn not_published(error: &SinkError) {
    tracing::error!(path = %error.path.display(), "{error}; what was published before stays, trying again");
}

//! What the loop logs: one line per change of state, readable alone, with what to do.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::Agent;
use crate::advice;
use crate::config::OnRevoked;
use crate::failure::{Blame, Failure};
use crate::moment::{Moment, UnixTime};
use crate::ports::{Change, Fetched, Hint, HookError, Published, SinkError, Source};
use crate::reference::{Gate, Object, SecretName};
use crate::schedule::GateChange;
use crate::snapshot::{Made, Snapshot};
use crate::status::{HookStatus, SinkStatus, Status};

impl<S: Source> Agent<S> {
    /// A name's attempt failed: said once, until it is another failure. What a whole host or identity is to blame for
    /// is said once by its gate.
    pub(super) fn tell_failed(&mut self, name: &SecretName, failure: &Failure) {
        let Some(status) = self.status.names.get_mut(name) else { return };
        let known = status.failure.as_ref().is_some_and(|before| {
            // That it is this secret's own trouble is known already.
            let own = failure.clone().blamed_on(before.blame);
            before.same_trouble(failure) || before.blame == Blame::Object && before.same_trouble(&own)
        });
        if known {
            return;
        }
        status.failure = Some(failure.clone());
        if failure.blame != Blame::Object {
            return;
        }
        let Some(wanted) = self.plan.names.get(name) else { return };
        let told = advice::told(failure, &wanted.object, &self.identities);
        let kept = if self.holdings.value(name).is_some() { "; the last good value stays" } else { "" };
        tracing::warn!(
            secret = %name, reference = %wanted.reference, code = %failure.code,
            "secret {name} ({}) cannot be fetched: {told}{kept}", wanted.reference
        );
    }

    /// What failed before does not any more, if it was such a failure.
    pub(super) fn tell_mended(&mut self, name: &SecretName, is_mended: impl FnOnce(&mut Failure) -> bool) {
        let Some(status) = self.status.names.get_mut(name) else { return };
        status.standby_failure = None;
        if status.failure.take_if(is_mended).is_some_and(|failure| failure.blame == Blame::Object) {
            tracing::info!(secret = %name, "secret {name} is fetched again");
        }
    }

    /// What whoever asked for it should know of what came; said once.
    pub(super) fn tell_of(&mut self, name: &SecretName, fetched: &Fetched, now: Moment) {
        let Some(status) = self.status.names.get_mut(name) else { return };
        if fetched.hint == Some(Hint::BacksCertificate) && status.hint != fetched.hint {
            let reference = &status.reference;
            tracing::warn!(secret = %name, "secret {name} ({reference}) {}", advice::backs_certificate(reference));
        }
        status.hint = fetched.hint;
        if let Some(expires) =
            fetched.expires.filter(|expires| *expires <= now.wall && status.expires != Some(*expires))
        {
            let reference = &status.reference;
            tracing::warn!(secret = %name, "secret {name} ({reference}) {}", advice::expired(expires, now.wall));
        }
    }

    /// The standby has given the value that the source could not.
    pub(super) fn tell_standby(&mut self, name: &SecretName) {
        let standby = self.plan.names.get(name).and_then(|wanted| wanted.standby.as_ref());
        if let (Some(standby), Some(status)) = (standby, self.status.names.get_mut(name)) {
            status.standby_failure = None;
            tracing::warn!(
                secret = %name, "secret {name} comes from its standby, {standby}, because {} is unavailable", status.reference
            );
        }
    }

    /// Neither could the standby: said once, until it is another failure.
    pub(super) fn tell_standby_failed(&mut self, name: &SecretName, failure: &Failure) {
        let wanted = self.plan.names.get(name).and_then(|wanted| wanted.standby.as_ref());
        let (Some(standby), Some(status)) = (wanted, self.status.names.get_mut(name)) else { return };
        let known = status.standby_failure.as_ref().is_some_and(|before| before.same_trouble(failure));
        status.standby_failure = Some(failure.clone());
        if known || failure.blame != Blame::Object {
            return;
        }
        let told = advice::told(failure, standby, &self.identities);
        tracing::warn!(
            secret = %name, code = %failure.code,
            "secret {name} cannot be fetched from its standby, {standby}, either: {told}"
        );
    }

    /// Names whose values have not been confirmed for long, or are again: said once for all of one look. Nothing wakes up
    /// for it: where nothing happens nothing can become stale, and what fails is tried again.
    pub(super) fn tell_stale(&mut self, now: UnixTime) {
        let Status { names, stale: limit, began, .. } = &mut self.status;
        let (mut stale, mut fresh) = (Vec::new(), Vec::new());
        for (name, status) in names {
            let is_stale = status.is_stale(*limit, *began, now);
            if std::mem::replace(&mut status.stale, is_stale) != is_stale {
                if is_stale { stale.push(name.as_str()) } else { fresh.push(name.as_str()) }
            }
        }
        if !stale.is_empty() {
            let (count, after) = (stale.len(), humantime::format_duration(limit.after));
            tracing::warn!(
                secrets = count,
                "stale: no answer has confirmed the values of {} for {after}; they stay",
                few(&stale)
            );
        }
        if !fresh.is_empty() {
            tracing::info!(secrets = fresh.len(), "no longer stale: {}", few(&fresh));
        }
    }

    /// Access was taken away for good.
    pub(super) fn tell_revoked(&self, name: &SecretName, failure: &Failure) {
        let what = match self.on_revoked {
            OnRevoked::Keep => "the last good value stays (onRevoked: keep)",
            OnRevoked::Remove => "its value is removed (onRevoked: remove)",
        };
        tracing::warn!(
            secret = %name, code = %failure.code,
            "secret {name} counts as revoked, because it has been refused for ten minutes: {failure}; {what}"
        );
    }

    pub(super) fn tell_absent(&mut self, name: &SecretName, failure: &Failure) {
        let Some(status) = self.status.names.get_mut(name) else { return };
        if !status.failure.as_ref().is_some_and(|before| before.same_trouble(failure)) {
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
                GateChange::Alone { object, failure } => {
                    for name in self.names.get(&object).cloned().unwrap_or_default() {
                        self.tell_failed(&name, &failure.clone().blamed_on(Blame::Object));
                    }
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
        let objects: Vec<Object> = waiting.map(|(object, _)| object.clone()).collect();
        let now = (self.clock)();
        for object in &objects {
            for name in self.names.get(object).cloned().unwrap_or_default() {
                self.heard_of(&name, failure, now);
                self.note(&name, |status| status.failure = status.failure.take().or_else(|| Some(failure.clone())));
            }
            for name in self.standby_for.get(object).into_iter().flatten() {
                self.moved |= self.holdings.failed(name);
            }
        }
    }

    fn tell_shut(&self, gate: &Gate, failure: &Failure) {
        let is_behind = |(object, _): &(&Object, &Vec<SecretName>)| object.gates().contains(gate);
        let sources: Vec<_> = self.names.iter().filter(is_behind).collect();
        let (behind, consequence) = if sources.is_empty() {
            (self.standby_for.iter().filter(is_behind).collect(), "it stands by for")
        } else {
            (sources, "tried again one at a time, what is published stays")
        };
        let Some((object, _)) = behind.first() else { return };
        let names: Vec<&str> = behind.iter().flat_map(|(_, names)| *names).map(SecretName::as_str).collect();
        let told = advice::told(failure, object, &self.identities);
        tracing::warn!(
            code = %failure.code, secrets = names.len(),
            "{} failed: {told}; {consequence}: {}", what(gate), few(&names)
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
pub(crate) fn few(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Files that could not be made of their secrets, and those that can be again: said once, until it is another failure.
pub(super) fn rendered(before: Option<&Snapshot>, now: &Snapshot) {
    for (path, file) in &now.rendered {
        let known = before.and_then(|before| before.rendered.get(path)).and_then(|file| file.failure.as_ref());
        let shown = path.display();
        match &file.failure {
            Some(failure) if known != Some(failure) => {
                let kept = match file.made {
                    Made::Bytes(_) => "its last good content stays",
                    Made::AsItIs => "what an earlier run published of it stays",
                    Made::Nothing => "there is no such file until it can be",
                };
                tracing::warn!(path = %shown, "{shown} cannot be rendered: {failure}; {kept}");
            }
            None if known.is_some() => tracing::info!(path = %shown, "{shown} is rendered again"),
            _ => {}
        }
    }
}

/// A sink shows the snapshot.
pub(super) fn published(sink: &str, before: &SinkStatus, published: &Published) {
    for repair in &published.repaired {
        tracing::warn!(dir = sink, "{sink} was not as keyferry had left it: {repair}");
    }
    for left in &published.left {
        tracing::warn!(dir = sink, "something stays in {sink}: {left}");
    }
    for aside in &published.aside {
        tracing::warn!(dir = sink, "{aside}");
    }
    let generation = published.generation;
    let names = |paths: &'_ [PathBuf]| few(&paths.iter().filter_map(|path| path.to_str()).collect::<Vec<_>>());
    let what = match (&published.changed[..], &published.removed[..]) {
        ([], []) => None,
        (changed, []) => Some(names(changed)),
        ([], removed) => Some(format!("removed {}", names(removed))),
        (changed, removed) => Some(format!("{}; removed {}", names(changed), names(removed))),
    };
    if let Some(what) = what {
        let (changed, removed) = (published.changed.len(), published.removed.len());
        tracing::info!(dir = sink, generation, changed, removed, "published generation {generation} in {sink}: {what}");
    } else if before.failure.is_some() {
        tracing::info!(dir = sink, generation, "{sink} can be published to again");
    }
    if published.kept.iter().any(|file| !before.kept.contains(file)) {
        let kept: Vec<_> = published.kept.iter().filter_map(|path| path.to_str()).collect();
        let count = kept.len();
        let (files, stay) = if count == 1 { ("file", "stays") } else { ("files", "stay") };
        let kept = few(&kept);
        tracing::info!(
            dir = sink,
            kept = count,
            "{count} {files} of an earlier run {stay} in {sink} until there is something newer: {kept}"
        );
    }
}

/// A sink could not.
pub(super) fn not_published(error: &SinkError) {
    tracing::error!(path = %error.path.display(), "{error}; what was published before stays, trying again");
}

/// A hook was told of a change, or could not be: said once, until it is another reason.
pub(super) fn told(before: &HookStatus, change: &Change, result: &Result<(), HookError>) {
    let (hook, generation) = (&before.name, change.generation);
    let names: Vec<&str> = change.names.iter().map(SecretName::as_str).collect();
    let names = few(&names);
    match (result, &before.failure) {
        (Ok(()), None) => tracing::info!(hook, %generation, "hook done: {hook}; changed: {names}"),
        (Ok(()), Some(_)) => tracing::info!(hook, %generation, "hook works again: {hook}; changed: {names}"),
        (Err(error), before) if before.as_ref() != Some(error) => {
            tracing::warn!(hook, %generation, "hook failed: {hook}: {error}; trying again, what is published stays");
        }
        (Err(_), _) => {}
    }
}

/// The plan is another one.
pub(super) fn revised(added: &BTreeSet<SecretName>, changed: &BTreeSet<SecretName>, removed: &BTreeSet<SecretName>) {
    let part = |what, names: &BTreeSet<SecretName>| {
        let names: Vec<&str> = names.iter().map(SecretName::as_str).collect();
        (!names.is_empty()).then(|| format!("{what} {}", few(&names)))
    };
    let parts = [part("added", added), part("changed", changed), part("removed", removed)];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let secrets = if parts.is_empty() { "the secrets are the same".to_owned() } else { parts.join("; ") };
    tracing::info!("the configuration has changed: {secrets}");
}

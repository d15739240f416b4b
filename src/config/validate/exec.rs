//! How a process that keyferry starts is kept.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Bounds, Checker};
use crate::config::exec::{Exec, OnRotation};
use crate::config::raw::{Raw, RawSignalName};
use crate::reference::Scope;

const GRACE: Bounds = Bounds { least: Duration::ZERO, most: Duration::from_hours(1), default: Duration::from_secs(10) };

impl Checker<'_> {
    pub(super) fn exec(&mut self, raw: &Raw) -> Exec {
        let on_change = raw.exec.on_change.as_ref();
        let on_change =
            on_change.and_then(|RawSignalName(text)| self.take(&["exec", "onChange"], OnRotation::parse(text)));
        let grace = self.duration(&["exec", "gracePeriod"], raw.exec.grace_period.as_ref(), &GRACE);
        let mut token_scopes = BTreeSet::new();
        for (number, scope) in raw.exec.token_scopes.iter().flatten().enumerate() {
            let number = number.to_string();
            token_scopes.extend(self.take(&["exec", "tokenScopes", &number], Scope::parse(scope)));
        }
        Exec { on_change: on_change.unwrap_or_default(), grace, token_scopes }
    }
}

//! The variables that a command is given, and whether it should have others. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::Ended;
use crate::exit::Exit;
use crate::secret::SecretValue;
use crate::snapshot::{Snapshot, Standing};

/// Variables, of one whole. What has no value is taken away: it is made of what is optional and not there.
#[derive(Debug, Default)]
pub(super) struct Given(pub(super) BTreeMap<String, One>);

/// One variable.
#[derive(Debug)]
pub(super) struct One {
    /// Its value, if it has one.
    pub(super) value: Option<SecretValue>,
    /// Of what a token goes into: the editions of what else does.
    pub(super) token: Option<String>,
}

impl One {
    /// Whether it is as good as it was. A refreshed token alone is no reason to restart anything, so that the value of what
    /// one goes into says nothing.
    fn is_as(&self, before: &Self) -> bool {
        match (&self.value, &before.value) {
            (Some(now), Some(then)) => match (&self.token, &before.token) {
                (Some(now), Some(then)) => now == then,
                _ => now.ct_eq(then),
            },
            (now, then) => now.is_none() && then.is_none(),
        }
    }
}

impl Given {
    /// The variables of a whole, or why they cannot be made.
    pub(super) fn of(snapshot: &Snapshot) -> Result<Self, Ended> {
        let (mut given, mut wrong) = (BTreeMap::new(), Vec::new());
        for (name, variable) in &snapshot.env.0 {
            let token = snapshot.beside_token(variable, "");
            let value = match snapshot.standing(name, variable) {
                Standing::Set(value) => Some(value),
                Standing::Unset => None,
                Standing::Awaited(secret) => {
                    wrong.push(format!("{name}: the secret {secret} has no value yet"));
                    continue;
                }
                Standing::Failed(reason) => {
                    wrong.push(reason);
                    continue;
                }
            };
            given.insert(name.clone(), One { value, token });
        }
        if wrong.is_empty() { Ok(Self(given)) } else { Err(Ended { exit: Exit::Content, lines: wrong }) }
    }

    /// The variables that are not as they were.
    pub(super) fn difference<'a>(&'a self, now: &'a Self) -> BTreeSet<&'a str> {
        const NONE: &One = &One { value: None, token: None };
        let is_other = |name: &&String| {
            let one = |given: &'a Self| given.0.get(*name).unwrap_or(NONE);
            !one(now).is_as(one(self))
        };
        self.0.keys().chain(now.0.keys()).filter(is_other).map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests;

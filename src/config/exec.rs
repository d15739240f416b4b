//! How a process that keyferry starts is kept: what becomes of it on a rotation, and what its variables may name.

use std::collections::BTreeSet;
use std::time::Duration;

use super::hooks::Signal;
use crate::reference::Scope;

/// Everything about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exec {
    /// What is done when a value in its environment has changed.
    pub on_change: OnRotation,
    /// How long it may take to end before it is killed.
    pub grace: Duration,
    /// What tokens its variables may ask for.
    pub token_scopes: BTreeSet<Scope>,
}

/// What is done when a value in the environment of a running process has changed, which nobody can do there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnRotation {
    /// Nothing: the next start has it.
    #[default]
    None,
    /// It is ended, and started again with the new values.
    Restart,
    /// It is told.
    Signal(Signal),
}

impl OnRotation {
    /// Reads `none`, `restart` or a signal's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "restart" => Ok(Self::Restart),
            name => Signal::parse(name)
                .map(Self::Signal)
                .map_err(|_| "expected none, restart, or the name of a signal such as SIGHUP".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;

//! What is done when secrets change.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use super::nearby::Loopback;
use crate::reference::SecretName;

/// One entry of `onChange`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnChange {
    /// The secrets whose change it wants to hear of.
    pub secrets: BTreeSet<SecretName>,
    /// What is done then.
    pub action: Action,
}

/// How an application is told that its secrets have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// By a signal.
    Signal(Whom, Signal),
    /// By a POST.
    Post(Loopback),
}

/// Who is signalled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// Every process of this name whose parent is not of this name.
    Process(ProcessName),
    /// The process whose number this file holds.
    PidFile(PathBuf),
}

/// A process's name as `pidof` takes it: what the kernel calls it, or the last part of the path it was started by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessName(String);

impl ProcessName {
    /// Checks a name.
    pub fn parse(name: &str) -> Result<Self, String> {
        if name.is_empty() || name.len() > 255 || name.contains('/') || name.chars().any(char::is_control) {
            return Err("expected a process's name as pidof takes it, such as nginx: no path, no arguments".to_owned());
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The signals by which processes are told to read their files again, or to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP.
    Hangup,
    /// SIGINT.
    Interrupt,
    /// SIGQUIT.
    Quit,
    /// SIGTERM.
    Terminate,
    /// SIGUSR1.
    User1,
    /// SIGUSR2.
    User2,
    /// SIGWINCH.
    WindowChange,
}

impl Signal {
    const ALL: [Self; 7] =
        [Self::Hangup, Self::Interrupt, Self::Quit, Self::Terminate, Self::User1, Self::User2, Self::WindowChange];

    /// By its name, with or without `SIG`.
    pub fn parse(name: &str) -> Result<Self, String> {
        let is_named = |signal: &Self| {
            let known = signal.name();
            name.eq_ignore_ascii_case(known) || known.strip_prefix("SIG").is_some_and(|s| name.eq_ignore_ascii_case(s))
        };
        Self::ALL.into_iter().find(is_named).ok_or_else(|| {
            "expected the name of a signal: SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2 or SIGWINCH".to_owned()
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hangup => "SIGHUP",
            Self::Interrupt => "SIGINT",
            Self::Quit => "SIGQUIT",
            Self::Terminate => "SIGTERM",
            Self::User1 => "SIGUSR1",
            Self::User2 => "SIGUSR2",
            Self::WindowChange => "SIGWINCH",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;

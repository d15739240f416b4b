//! How the process ends: sysexits' codes, named. `main` is the one place that uses them.

use crate::failure::{Blame, Failure, Kind};

/// An exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// As the process did that was started.
    Child(u8),
    /// All went well.
    Ok,
    /// The command line is wrong.
    Usage,
    /// Content cannot be rendered: a property that is not there, a wrong encoding.
    Content,
    /// A source was unavailable until the deadline.
    Unavailable,
    /// A bug.
    Bug,
    /// A directory cannot be published to.
    CannotWrite,
    /// The identity or its permissions do not suffice.
    Denied,
    /// The configuration is wrong.
    Config,
}

impl Exit {
    /// The code as a number.
    pub fn code(self) -> u8 {
        match self {
            Self::Child(code) => code,
            Self::Ok => 0,
            Self::Usage => 64,
            Self::Content => 65,
            Self::Unavailable => 69,
            Self::Bug => 70,
            Self::CannotWrite => 73,
            Self::Denied => 77,
            Self::Config => 78,
        }
    }

    /// What a failure that did not mend ends with.
    pub fn of(failure: &Failure) -> Self {
        match (failure.blame, failure.kind) {
            (_, Kind::Outage | Kind::Throttled) => Self::Unavailable,
            (Blame::Identity, _) | (_, Kind::Denied) => Self::Denied,
            (_, Kind::Missing | Kind::Disabled) => Self::Unavailable,
            (_, Kind::Content) => Self::Content,
            (_, Kind::Misconfigured) => Self::Config,
        }
    }

    /// Of several, the one to end with: what a person must mend comes before what mends by itself.
    pub fn worst(exits: impl Iterator<Item = Self>) -> Option<Self> {
        let rank = |exit: &Self| match exit {
            Self::Config => 5,
            Self::Denied => 4,
            Self::Content => 3,
            Self::CannotWrite => 2,
            Self::Unavailable => 1,
            Self::Ok | Self::Usage | Self::Bug | Self::Child(_) => 0,
        };
        exits.max_by_key(rank)
    }
}

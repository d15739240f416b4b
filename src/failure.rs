//! The only classification of failures in the program. Who is held back follows from the blame; retry, exit code,
//! advice and log line follow from blame and kind together.
//!
//! A failure never holds an upstream's message: Azure's name tenants, objects and addresses. Codes only.

use std::fmt;
use std::time::Duration;

use crate::reference::is_guid;

/// The letters of an id: a tenant's, an object's, a subscription's.
const ID: usize = 36;

/// Who is to blame, and so who is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Blame {
    /// This object alone.
    Object,
    /// The host: everything on it.
    Host,
    /// Signing in: everything that this identity fetches.
    Identity,
}

/// What kind of trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// No answer, or one that says it is the service's own fault: mends by itself.
    Outage,
    /// Asked too often.
    Throttled,
    /// Not allowed: mends when somebody grants it, and grants take minutes to propagate.
    Denied,
    /// It is not there.
    Missing,
    /// It is there and switched off.
    Disabled,
    /// What came back is not what was asked for: a property that is not there, a wrong encoding.
    Content,
    /// Cannot mend without a change of the configuration or the environment.
    Misconfigured,
}

impl Kind {
    /// Whether waiting may help.
    pub fn may_mend(self) -> bool {
        self != Self::Misconfigured
    }
}

/// One failed attempt, classified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Who is to blame.
    pub blame: Blame,
    /// What kind of trouble it is.
    pub kind: Kind,
    /// How long the service asked to be left alone.
    pub after: Option<Duration>,
    /// The service's code (`ForbiddenByRbac`, `AADSTS700213`) or ours (`timeout`), for people to search for.
    pub code: Code,
    /// More, in our own words; never anything an upstream sent.
    pub detail: Option<String>,
}

impl Failure {
    /// A failure without detail.
    pub fn new(blame: Blame, kind: Kind, code: Code) -> Self {
        Self { blame, kind, after: None, code, detail: None }
    }

    /// The same, explained.
    pub fn because(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// The same, with another to blame.
    pub fn blamed_on(self, blame: Blame) -> Self {
        Self { blame, ..self }
    }

    /// Whether it is the same trouble as another: nothing new to tell anybody.
    pub fn same_trouble(&self, other: &Self) -> bool {
        self.blame == other.blame && self.kind == other.kind && self.code == other.code && self.detail == other.detail
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Outage => "unavailable",
            Kind::Throttled => "throttled",
            Kind::Denied => "denied",
            Kind::Missing => "missing",
            Kind::Disabled => "disabled",
            Kind::Content => "unusable content",
            Kind::Misconfigured => "misconfigured",
        };
        write!(f, "{kind} ({})", self.code)?;
        self.detail.as_ref().map_or(Ok(()), |detail| write!(f, ": {detail}"))
    }
}

impl std::error::Error for Failure {}

/// Whether an id stands anywhere in it: a tenant's, an object's, a subscription's.
pub fn has_id(text: &str) -> bool {
    (0..text.len()).any(|at| text.get(at..at.saturating_add(ID)).is_some_and(is_guid))
}

/// A short code that is safe to show: at most 64 letters, digits and `-`, `_`, `.`, and no id among them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(String);

impl Code {
    /// Takes a code as a service sent it; what is not a code becomes `unknown`, so that no text slips through.
    pub fn new(code: &str) -> Self {
        let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if code.is_empty() || code.len() > 64 || !code.bytes().all(ok) || has_id(code) {
            return Self("unknown".to_owned());
        }
        Self(code.to_owned())
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;

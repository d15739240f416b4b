//! What the loop asks of the outside, as traits: the edges implement them, the loop knows nothing else of them.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::moment::UnixTime;
use crate::plan::Plan;
use crate::reference::{IdentityName, Object, ObjectName, Scope, SecretName, Shelf};
use crate::secret::{Secret, SecretValue};
use crate::snapshot::{Generation, Snapshot};
use crate::survey::{Stamp, Survey};

/// Where secrets come from.
pub trait Source: Send + Sync + 'static {
    /// Asks for one object, once: no retry of its own. Who needs the value itself is never answered [`Answer::Unchanged`].
    fn fetch(&self, object: &Object, need: Need) -> impl Future<Output = Result<Answer, Failure>> + Send;

    /// Reads the list of a shelf once, for these and until all were shown, no further than so many pages. A failure that
    /// blames an object is the list's own: the objects on it may be had all the same.
    fn survey(
        &self,
        shelf: &Shelf,
        wanted: &BTreeSet<ObjectName>,
        most_pages: u32,
    ) -> impl Future<Output = Result<Survey, Failure>> + Send;
}

/// What whoever asks for an object can do with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The object itself: some name has nothing of it yet, or somebody wants it read again.
    Value,
    /// Word that it is what it was when it was fetched last will do.
    News,
}

/// What asking for an object brought.
#[derive(Debug)]
pub enum Answer {
    /// The object.
    Fetched(Fetched),
    /// Word that it is what it was when it was fetched last.
    Unchanged,
}

/// One object as it came.
#[derive(Debug)]
pub struct Fetched {
    /// The value.
    pub secret: Secret,
    /// When it stops being good, if its source says so. No content: a change of it alone moves no generation.
    pub expires: Option<UnixTime>,
    /// When it is to be made anew; none for what is looked at in every interval.
    pub renew_at: Option<Instant>,
    /// How long before it was read it had been changed, at the least; none where its source does not say.
    pub age: Option<Duration>,
    /// What its shelf's list shows of it while it is what it is now; none where another change could go unseen there.
    pub stamp: Option<Stamp>,
    /// What whoever asked for it should know.
    pub hint: Option<Hint>,
}

/// Something that is not wrong, but probably not what was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// The secret holds a certificate: its container's bytes, as they are stored.
    BacksCertificate,
}

/// Who makes access tokens for the callers of the endpoint for tokens.
pub trait Mint: Send + Sync + 'static {
    /// A token that lasts, for what the scope says: the one that is there until its end is near, or a new one from one
    /// exchange for all who wait. No retry of its own.
    fn mint(&self, identity: &IdentityName, scope: &Scope) -> impl Future<Output = Result<Minted, Failure>> + Send;
}

/// An access token to hand out.
#[derive(Debug)]
pub struct Minted {
    /// The token.
    pub value: SecretValue,
    /// When it stops being good.
    pub expires: UnixTime,
}

/// Where snapshots are published: a directory.
///
/// Synchronous: a publish on tmpfs is a few hundred microseconds.
pub trait Sink: Send {
    /// What messages call it: the directory's path.
    fn name(&self) -> &str;

    /// The names of the plan that readers see here, as they are or in what is made of them: they belong together.
    fn shows(&self, plan: &Plan) -> BTreeSet<SecretName> {
        plan.shown_in(Path::new(self.name()))
    }

    /// Tries, without changing anything a reader could see, whether publishing can work here.
    fn check(&mut self) -> Result<(), SinkError>;

    /// Makes the outside show the snapshot: wholly or not at all. Calling it again with the same snapshot changes
    /// nothing, except that it puts right what somebody else has changed meanwhile.
    ///
    /// A failure takes nothing away that was published; the next call with the same snapshot tries again.
    fn publish(&mut self, snapshot: &Arc<Snapshot>, now: Instant) -> Result<Published, SinkError>;

    /// When [`Sink::sweep`] is next due: what was published before outlives its successor a little, for readers that
    /// are in the middle of it. None if there is nothing to be swept.
    fn sweep_due(&self) -> Option<Instant>;

    /// Removes what was published before, if its time has come.
    fn sweep(&mut self, now: Instant) -> Result<(), SinkError>;
}

/// What a publish did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Published {
    /// The number of the sink's own generation that is shown now.
    pub generation: u64,
    /// The files that are new, or whose content, mode or group changed.
    pub changed: Vec<PathBuf>,
    /// The files that are not there any more.
    pub removed: Vec<PathBuf>,
    /// Files of an earlier run that stay, because nothing newer is known of their secrets.
    pub kept: Vec<PathBuf>,
    /// What somebody else had changed in our files and was put right, a sentence each, without any content.
    pub repaired: Vec<String>,
    /// What should have been removed and could not be, a sentence each.
    pub left: Vec<String>,
    /// What stood at our names before anything of ours did, and where it is now, a sentence each.
    pub aside: Vec<String>,
}

/// Why a sink cannot publish: what, where and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkError {
    /// The path it is about.
    pub path: PathBuf,
    /// The reason, lower case, no full stop.
    pub reason: String,
    /// What to do, lower case, no full stop.
    pub fix: String,
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot publish to {}: {}; {}", self.path.display(), self.reason, self.fix)
    }
}

impl std::error::Error for SinkError {}

/// Whether the loop turns, for whoever asks from outside.
pub trait Pulse: Send + Sync + 'static {
    /// Answers within seconds.
    fn beats(&self) -> impl Future<Output = bool> + Send;
}

/// What has everything fetched anew, for whoever asks from outside.
pub trait Refresh: Send + Sync + 'static {
    /// Sees to it that everything is asked for now.
    fn refresh(&self) -> impl Future<Output = ()> + Send;
}

/// Whom to tell that secrets have changed, once readers can see it.
pub trait Hook: Send + Sync + 'static {
    /// What messages call it: how, and whom.
    fn name(&self) -> &str;

    /// How it tells, in a word for a label: `signal`, `http`.
    fn kind(&self) -> &'static str;

    /// Looks whether it could tell now, and tells nobody. What only a person can mend is an error. It may take as long as a
    /// look at every process takes.
    fn check(&self) -> Result<Reach, HookError>;

    /// Tells of a change, once: no retry of its own. It ends within seconds, whatever the other side does.
    fn run(&self, change: Arc<Change>) -> Pin<Box<dyn Future<Output = Result<(), HookError>> + Send + '_>>;
}

/// Whether whom a hook tells is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// It is, and could be told now.
    Now,
    /// It is not, which an application that has yet to start is not either.
    NotYet(HookError),
    /// To tell is the only way to know.
    Unknown,
}

/// What has changed: names, never values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The whole that brought it; of several that have not been told of yet, the newest.
    pub generation: Generation,
    /// The secrets that came, went or changed, of those that the hook wants to hear of.
    pub names: BTreeSet<SecretName>,
}

/// Why nobody could be told, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookError {
    /// The reason, lower case, no full stop.
    pub reason: String,
    /// What to do, lower case, no full stop.
    pub fix: String,
}

impl HookError {
    /// With a reason and what to do about it.
    pub fn new(reason: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { reason: reason.into(), fix: fix.into() }
    }
}

impl fmt::Display for HookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.reason, self.fix)
    }
}

impl std::error::Error for HookError {}

//! A loop in paused time, with a source that follows a script and a sink that remembers.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing_subscriber::layer::SubscriberExt as _;

use super::super::*;
use crate::extract::Cut;
use crate::failure::{Blame, Code, Kind};
use crate::moment::{Moment, UnixTime};
use crate::plan::{Content, Wanted};
use crate::ports::{Change, Fetched, HookError, Need, Published, Reach, SinkError};
use crate::reference::{Collection, ObjectName, Reference, Shelf as VaultShelf, VaultHost};
use crate::secret::{Part, Secret, SecretValue, Version};
use crate::survey::Stamp;

pub(super) const INTERVAL: Duration = Duration::from_mins(15);
pub(super) const SETTLE: Duration = Duration::from_secs(2);

pub(super) const STALE: Stale = Stale { after: Duration::from_hours(24), fail_readiness: true };

pub(super) fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// What the source does when it is asked; the last step is repeated for ever.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Gives(&'static str),
    /// The same, but it has expired.
    GivesExpired(&'static str),
    /// The same, to be made anew after so long.
    GivesToken(&'static str, Duration),
    /// The same, and a list shows that it was changed then.
    GivesChanged(&'static str, u64),
    /// The same, and it was changed so long before.
    GivesAged(&'static str, Duration),
    Unchanged,
    /// The value, but where that will do word that it is unchanged.
    Looks(&'static str),
    Fails(Failure),
    Takes(Duration, Box<Step>),
}

pub(super) fn fails(blame: Blame, kind: Kind, code: &str) -> Step {
    Step::Fails(Failure::new(blame, kind, Code::new(code)))
}

pub(super) fn takes(duration: Duration, step: Step) -> Step {
    Step::Takes(duration, Box::new(step))
}

/// What a dead vault looks like.
pub(super) fn times_out() -> Step {
    takes(seconds(10.0), fails(Blame::Host, Kind::Outage, "timeout"))
}

#[derive(Debug, Default)]
pub(super) struct Script {
    steps: Mutex<BTreeMap<Object, VecDeque<Step>>>,
    asked: Mutex<Vec<(Object, Need)>>,
    /// What each reading of the list shows: names, and when each was changed. Nobody may read it without any.
    lists: Mutex<VecDeque<Vec<(&'static str, u64)>>>,
    listed: AtomicUsize,
}

fn stamp(seconds: u64) -> Stamp {
    Stamp { created: None, updated: UnixTime::from_seconds(seconds).unwrap(), expires: None }
}

impl Source for Script {
    async fn fetch(&self, object: &Object, need: Need) -> Result<Answer, Failure> {
        self.asked.lock().unwrap().push((object.clone(), need));
        let mut step = {
            let mut steps = self.steps.lock().unwrap();
            let steps = steps.get_mut(object).unwrap();
            if steps.len() > 1 { steps.pop_front().unwrap() } else { steps.front().unwrap().clone() }
        };
        loop {
            let value = match step {
                Step::Looks(_) if need == Need::News => return Ok(Answer::Unchanged),
                Step::Gives(value)
                | Step::Looks(value)
                | Step::GivesExpired(value)
                | Step::GivesToken(value, _)
                | Step::GivesChanged(value, _)
                | Step::GivesAged(value, _) => value,
                Step::Unchanged => {
                    assert_eq!(need, Need::News, "the value itself is needed");
                    return Ok(Answer::Unchanged);
                }
                Step::Fails(failure) => return Err(failure),
                Step::Takes(duration, next) => {
                    sleep(duration).await;
                    step = *next;
                    continue;
                }
            };
            let secret = Secret::plain(Version::Unversioned, SecretValue::new(value.as_bytes().to_vec()));
            let mut fetched = Fetched { secret, expires: None, renew_at: None, age: None, stamp: None, hint: None };
            match step {
                Step::GivesToken(_, lasts) => {
                    fetched.renew_at = Some((tokio::time::Instant::now() + lasts).into_std());
                }
                Step::GivesExpired(_) => fetched.expires = UnixTime::from_seconds(1_600_000_000),
                Step::GivesChanged(_, at) => fetched.stamp = Some(stamp(at)),
                Step::GivesAged(_, age) => fetched.age = Some(age),
                _ => {}
            }
            return Ok(Answer::Fetched(fetched));
        }
    }

    async fn survey(&self, _: &VaultShelf, wanted: &BTreeSet<ObjectName>, _: u32) -> Result<Survey, Failure> {
        self.listed.fetch_add(1, Ordering::SeqCst);
        let shown = self.lists.lock().unwrap().pop_front();
        let shown = shown.ok_or(Failure::new(Blame::Object, Kind::Denied, Code::new("ForbiddenByRbac")))?;
        let mut survey = Survey::of(wanted.clone());
        survey.pages = 1;
        for (name, at) in shown {
            survey.show(ObjectName::parse(name).unwrap(), Some(stamp(at)));
        }
        Ok(survey)
    }
}

/// What was published, and when.
pub(super) type Shown = Arc<Mutex<Vec<(Duration, BTreeMap<String, String>)>>>;

#[derive(Debug)]
pub(super) struct Shelf {
    name: String,
    begun: tokio::time::Instant,
    shown: Shown,
    attempts: Arc<AtomicUsize>,
    /// So many attempts fail.
    failing: Arc<AtomicUsize>,
}

/// Another directory, which publishes and is not looked at.
struct Elsewhere(String);

impl Sink for Elsewhere {
    fn name(&self) -> &str {
        &self.0
    }

    fn check(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn publish(&mut self, _: &Arc<Snapshot>, _: Instant) -> Result<Published, SinkError> {
        Ok(Published::default())
    }

    fn sweep_due(&self) -> Option<Instant> {
        None
    }

    fn sweep(&mut self, _: Instant) -> Result<(), SinkError> {
        Ok(())
    }
}

impl Sink for Shelf {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn publish(&mut self, snapshot: &Arc<Snapshot>, _now: Instant) -> Result<Published, SinkError> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        if self.failing.load(Ordering::SeqCst) > 0 {
            self.failing.fetch_sub(1, Ordering::SeqCst);
            let (path, reason, fix) = (PathBuf::from(&self.name), "it is full".to_owned(), "make room".to_owned());
            return Err(SinkError { path, reason, fix });
        }
        let text = |secret: &Secret| String::from_utf8(secret.part(Part::Value).unwrap().expose().to_vec()).unwrap();
        let values: BTreeMap<String, String> =
            snapshot.secrets.iter().map(|(name, secret)| (name.to_string(), text(secret))).collect();
        let mut shown = self.shown.lock().unwrap();
        let before = shown.last().map(|(_, last)| last.clone()).unwrap_or_default();
        let differing = values.iter().filter(|(name, value)| before.get(*name) != Some(value));
        let changed: Vec<PathBuf> = differing.map(|(name, _)| name.into()).collect();
        if shown.is_empty() || before != values {
            shown.push((self.begun.elapsed(), values));
        }
        Ok(Published { generation: shown.len() as u64, changed, ..Published::default() })
    }

    fn sweep_due(&self) -> Option<Instant> {
        None
    }

    fn sweep(&mut self, _now: Instant) -> Result<(), SinkError> {
        Ok(())
    }
}

/// What a hook was told, and when.
pub(super) type Heard = Arc<Mutex<Vec<(Duration, Change)>>>;

/// What a hook does when it is run; after the last of them it succeeds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Turn {
    Fails(&'static str),
    Takes(Duration),
}

/// A hook that follows a script and remembers.
#[derive(Debug)]
struct Ear {
    begun: tokio::time::Instant,
    turns: Mutex<VecDeque<Turn>>,
    heard: Heard,
}

/// Such a hook, and what it will have heard.
pub(super) fn ear(turns: impl Into<VecDeque<Turn>>) -> (Arc<dyn Hook>, Heard) {
    let heard = Heard::default();
    let begun = tokio::time::Instant::now();
    (Arc::new(Ear { begun, turns: Mutex::new(turns.into()), heard: Arc::clone(&heard) }), heard)
}

impl Hook for Ear {
    fn name(&self) -> &'static str {
        "the ear"
    }

    fn kind(&self) -> &'static str {
        "http"
    }

    fn check(&self) -> Result<Reach, HookError> {
        Ok(Reach::Unknown)
    }

    fn run(&self, change: Arc<Change>) -> Pin<Box<dyn Future<Output = Result<(), HookError>> + Send + '_>> {
        self.heard.lock().unwrap().push((self.begun.elapsed(), (*change).clone()));
        let turn = self.turns.lock().unwrap().pop_front();
        Box::pin(async move {
            match turn {
                Some(Turn::Fails(reason)) => Err(HookError { reason: reason.to_owned(), fix: "mend it".to_owned() }),
                Some(Turn::Takes(duration)) => {
                    sleep(duration).await;
                    Ok(())
                }
                None => Ok(()),
            }
        })
    }
}

/// What was logged on this thread.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        struct Message(String);
        impl tracing::field::Visit for Message {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
                if field.name() == "message" {
                    self.0 = format!("{value:?}");
                }
            }
        }
        if *event.metadata().level() > tracing::Level::INFO {
            return;
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        self.0.lock().unwrap().push(message.0);
    }
}

/// A running loop.
pub(super) struct Stage {
    pub(super) begun: tokio::time::Instant,
    /// What it began with.
    pub(super) plan: Plan,
    source: Arc<Script>,
    shown: Shown,
    pub(super) attempts: Arc<AtomicUsize>,
    /// So many publishes fail from now on.
    pub(super) failing: Arc<AtomicUsize>,
    /// How often somebody looked at the clock: each turn of the loop does.
    pub(super) looks: Arc<AtomicUsize>,
    pub(super) view: watch::Receiver<View>,
    pub(super) tell: mpsc::Sender<Event>,
    pub(super) task: JoinHandle<()>,
    pub(super) lines: Lines,
    pub(super) metrics: Metrics,
    _logging: tracing::subscriber::DefaultGuard,
}

impl Stage {
    /// Names are `vault.secret`.
    pub(super) fn begin(scripts: Vec<(String, Vec<Step>)>, failing: usize) -> Self {
        Self::with(scripts, failing, |_| {}, OnRevoked::Keep)
    }

    /// The same, with hooks that want to hear of these names.
    pub(super) fn with_hooks(
        scripts: Vec<(String, Vec<Step>)>,
        failing: usize,
        hooks: Vec<(&[&str], Arc<dyn Hook>)>,
    ) -> Self {
        let wants = |names: &[&str]| names.iter().map(|name| SecretName::parse(name).unwrap()).collect();
        let wanted = hooks.iter().map(|(names, _)| wants(names)).collect();
        let hooks = hooks.into_iter().map(|(_, hook)| hook).collect();
        Self::of(scripts, failing, |plan| plan.hooks = wanted, OnRevoked::Keep, hooks)
    }

    /// The same, with a plan that is changed before it begins.
    pub(super) fn with(
        scripts: Vec<(String, Vec<Step>)>,
        failing: usize,
        change: impl FnOnce(&mut Plan),
        on_revoked: OnRevoked,
    ) -> Self {
        Self::of(scripts, failing, change, on_revoked, Vec::new())
    }

    fn of(
        scripts: Vec<(String, Vec<Step>)>,
        failing: usize,
        change: impl FnOnce(&mut Plan),
        on_revoked: OnRevoked,
        hooks: Vec<Arc<dyn Hook>>,
    ) -> Self {
        let lines = Lines::default();
        let logging = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
        let begun = tokio::time::Instant::now();
        let mut plan = Plan::default();
        let (source, mut files) = (Arc::new(Script::default()), BTreeMap::new());
        for (name, steps) in scripts {
            let object = object(&name);
            let reference = Reference::parse(&object.to_string()).unwrap();
            plan.objects.insert(object.clone(), INTERVAL);
            source.steps.lock().unwrap().insert(object.clone(), steps.into());
            let secret = SecretName::parse(&name).unwrap();
            files.insert(name.into(), Content::Secret { secret: secret.clone(), part: Part::Value });
            plan.names.insert(secret, Wanted { reference, object, standby: None, cut: Cut::default(), required: true });
        }
        plan.layouts = Arc::new(BTreeMap::from([("/dir".into(), files)]));
        change(&mut plan);
        let (shown, attempts) = (Shown::default(), Arc::<AtomicUsize>::default());
        let failing = Arc::new(AtomicUsize::new(failing));
        let shelf = Shelf {
            name: "/dir".to_owned(),
            begun,
            shown: Arc::clone(&shown),
            attempts: Arc::clone(&attempts),
            failing: Arc::clone(&failing),
        };
        let others = plan.layouts.keys().map(|dir| dir.display().to_string()).filter(|dir| *dir != shelf.name);
        let others: Vec<Box<dyn Sink>> = others.map(|dir| -> Box<dyn Sink> { Box::new(Elsewhere(dir)) }).collect();
        let looks = Arc::<AtomicUsize>::default();
        let looked = Arc::clone(&looks);
        let clock: Clock = Arc::new(move || {
            looked.fetch_add(1, Ordering::SeqCst);
            let tick = tokio::time::Instant::now().into_std();
            Moment { tick, wall: wall(begun.elapsed()) }
        });
        let metrics = Metrics::new([7; 16]);
        let agent = Agent::new(Parts {
            plan: plan.clone(),
            identities: BTreeMap::new(),
            settle: SETTLE,
            stale: STALE,
            on_revoked,
            source: Arc::clone(&source),
            sinks: std::iter::once(Box::new(shelf) as Box<dyn Sink>).chain(others).collect(),
            hooks,
            seed: 1,
            clock,
            metrics: metrics.clone(),
        });
        let (tell, events) = mpsc::channel(1);
        let view = agent.view();
        let task = tokio::spawn(agent.run(events));
        Self {
            begun,
            plan,
            source,
            shown,
            attempts,
            failing,
            looks,
            view,
            tell,
            task,
            lines,
            metrics,
            _logging: logging,
        }
    }

    pub(super) fn shown(&self) -> Vec<(Duration, BTreeMap<String, String>)> {
        self.shown.lock().unwrap().clone()
    }

    /// The values that are shown now, in the order of their names.
    pub(super) fn values(&self) -> Vec<String> {
        self.shown().last().map(|(_, values)| values.values().cloned().collect()).unwrap_or_default()
    }

    pub(super) fn asked(&self, name: &str) -> usize {
        let object = object(name);
        self.source.asked.lock().unwrap().iter().filter(|(asked, _)| *asked == object).count()
    }

    /// How often its value was asked for, where word that it is unchanged would not have done.
    pub(super) fn read(&self, name: &str) -> usize {
        let whole = (object(name), Need::Value);
        self.source.asked.lock().unwrap().iter().filter(|asked| **asked == whole).count()
    }

    /// What the next readings of the list show.
    pub(super) fn lists(&self, lists: impl IntoIterator<Item = Vec<(&'static str, u64)>>) {
        self.source.lists.lock().unwrap().extend(lists);
    }

    pub(super) fn listed(&self) -> usize {
        self.source.listed.load(Ordering::SeqCst)
    }

    /// The line of a series; none while it has not been counted.
    pub(super) fn series(&self, begin: &str) -> Option<String> {
        let now = wall(self.begun.elapsed());
        let text = self.metrics.exposition(&self.view.borrow(), true, now).unwrap();
        text.lines().find_map(|line| line.strip_prefix(begin)).map(|value| value.trim().to_owned())
    }

    pub(super) fn lines_with(&self, piece: &str) -> usize {
        self.lines.0.lock().unwrap().iter().filter(|line| line.contains(piece)).count()
    }

    pub(super) async fn stop(self) -> Shown {
        let begun = tokio::time::Instant::now();
        self.tell.send(Event::Stop).await.unwrap();
        self.task.await.unwrap();
        assert!(begun.elapsed() < seconds(0.01), "nothing is waited for");
        self.shown
    }
}

/// What the wall clock shows so long after the beginning.
pub(super) fn wall(elapsed: Duration) -> UnixTime {
    UnixTime::from_seconds(1_700_000_000).unwrap().after(elapsed)
}

pub(super) fn object(name: &str) -> Object {
    let (vault, secret) = name.split_once('.').unwrap();
    Object::Vault {
        collection: Collection::Secret,
        identity: IdentityName("default".to_owned()),
        vault: VaultHost(format!("{vault}.vault.azure.net")),
        name: ObjectName::parse(secret).unwrap(),
        version: None,
    }
}

pub(super) fn one(name: &str, steps: impl Into<Vec<Step>>) -> (String, Vec<Step>) {
    (name.to_owned(), steps.into())
}

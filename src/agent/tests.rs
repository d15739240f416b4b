//! The loop in paused time, with a source that follows a script and a sink that remembers.
#![expect(clippy::disallowed_methods, reason = "paused time is asked of the runtime")]

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use crate::extract::Cut;
use crate::failure::{Blame, Code, Kind};
use crate::moment::{Moment, UnixTime};
use crate::plan::{Content, Wanted};
use crate::ports::{Published, SinkError};
use crate::reference::{Collection, ObjectName, Reference, VaultHost};
use crate::secret::{Part, Secret, SecretValue, Version};

const INTERVAL: Duration = Duration::from_mins(15);
const SETTLE: Duration = Duration::from_secs(2);

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// What the source does when it is asked; the last step is repeated for ever.
#[derive(Debug, Clone)]
enum Step {
    Gives(&'static str),
    Fails(Failure),
    Takes(Duration, Box<Step>),
}

fn fails(blame: Blame, kind: Kind, code: &str) -> Step {
    Step::Fails(Failure::new(blame, kind, Code::new(code)))
}

fn takes(duration: Duration, step: Step) -> Step {
    Step::Takes(duration, Box::new(step))
}

/// What a dead vault looks like.
fn times_out() -> Step {
    takes(seconds(10.0), fails(Blame::Host, Kind::Outage, "timeout"))
}

#[derive(Debug, Default)]
struct Script {
    steps: Mutex<BTreeMap<Object, VecDeque<Step>>>,
    asked: Mutex<Vec<Object>>,
}

impl Source for Script {
    async fn fetch(&self, object: &Object) -> Result<Fetched, Failure> {
        self.asked.lock().unwrap().push(object.clone());
        let mut step = {
            let mut steps = self.steps.lock().unwrap();
            let steps = steps.get_mut(object).unwrap();
            if steps.len() > 1 { steps.pop_front().unwrap() } else { steps.front().unwrap().clone() }
        };
        loop {
            match step {
                Step::Gives(value) => {
                    let secret = Secret::plain(Version::Unversioned, SecretValue::new(value.as_bytes().to_vec()));
                    return Ok(Fetched { secret, expires: None });
                }
                Step::Fails(failure) => return Err(failure),
                Step::Takes(duration, next) => {
                    sleep(duration).await;
                    step = *next;
                }
            }
        }
    }
}

/// What was published, and when.
type Shown = Arc<Mutex<Vec<(Duration, BTreeMap<String, String>)>>>;

#[derive(Debug)]
struct Shelf {
    name: String,
    begun: tokio::time::Instant,
    shown: Shown,
    attempts: Arc<AtomicUsize>,
    /// So many attempts fail.
    failing: usize,
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
        if self.failing > 0 {
            self.failing -= 1;
            let (path, reason, fix) = (PathBuf::from(&self.name), "it is full".to_owned(), "make room".to_owned());
            return Err(SinkError { path, reason, fix });
        }
        let text = |secret: &Secret| String::from_utf8(secret.part(Part::Value).unwrap().expose().to_vec()).unwrap();
        let values: BTreeMap<String, String> =
            snapshot.secrets.iter().map(|(name, secret)| (name.to_string(), text(secret))).collect();
        let mut shown = self.shown.lock().unwrap();
        let mut changed = Vec::new();
        if shown.last().is_none_or(|(_, last)| *last != values) {
            changed.extend(values.keys().map(PathBuf::from));
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

/// What was logged on this thread.
#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

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
        let mut message = Message(String::new());
        event.record(&mut message);
        self.0.lock().unwrap().push(message.0);
    }
}

/// A running loop.
struct Stage {
    source: Arc<Script>,
    shown: Shown,
    attempts: Arc<AtomicUsize>,
    view: watch::Receiver<View>,
    tell: mpsc::Sender<Event>,
    task: JoinHandle<()>,
    lines: Lines,
    _logging: tracing::subscriber::DefaultGuard,
}

impl Stage {
    /// Names are `vault.secret`.
    fn begin(scripts: Vec<(String, Vec<Step>)>, failing: usize) -> Self {
        let lines = Lines::default();
        let logging = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
        let begun = tokio::time::Instant::now();
        let mut plan = Plan { objects: BTreeMap::new(), names: BTreeMap::new(), layouts: Arc::default() };
        let (source, mut files) = (Arc::new(Script::default()), BTreeMap::new());
        for (name, steps) in scripts {
            let object = object(&name);
            let reference = Reference::parse(&object.to_string()).unwrap();
            plan.objects.insert(object.clone(), INTERVAL);
            source.steps.lock().unwrap().insert(object.clone(), steps.into());
            let secret = SecretName::parse(&name).unwrap();
            files.insert(name.into(), Content { secret: secret.clone(), part: Part::Value });
            plan.names.insert(secret, Wanted { reference, object, cut: Cut::default(), required: true });
        }
        plan.layouts = Arc::new(BTreeMap::from([("/dir".into(), files)]));
        let (shown, attempts) = (Shown::default(), Arc::<AtomicUsize>::default());
        let shelf = Shelf {
            name: "/dir".to_owned(),
            begun,
            shown: Arc::clone(&shown),
            attempts: Arc::clone(&attempts),
            failing,
        };
        let clock: Clock = Arc::new(move || Moment {
            tick: tokio::time::Instant::now().into_std(),
            wall: UnixTime::from_seconds(1_700_000_000).unwrap().after(begun.elapsed()),
        });
        let agent = Agent::new(Parts {
            plan,
            identities: BTreeMap::new(),
            settle: SETTLE,
            source: Arc::clone(&source),
            sinks: vec![Box::new(shelf)],
            seed: 1,
            clock,
        });
        let (tell, events) = mpsc::channel(1);
        let view = agent.view();
        let task = tokio::spawn(agent.run(events));
        Self { source, shown, attempts, view, tell, task, lines, _logging: logging }
    }

    fn shown(&self) -> Vec<(Duration, BTreeMap<String, String>)> {
        self.shown.lock().unwrap().clone()
    }

    /// The values that are shown now, in the order of their names.
    fn values(&self) -> Vec<String> {
        self.shown().last().map(|(_, values)| values.values().cloned().collect()).unwrap_or_default()
    }

    fn asked(&self, name: &str) -> usize {
        let object = object(name);
        self.source.asked.lock().unwrap().iter().filter(|asked| **asked == object).count()
    }

    fn lines_with(&self, piece: &str) -> usize {
        self.lines.0.lock().unwrap().iter().filter(|line| line.contains(piece)).count()
    }

    async fn stop(self) -> Shown {
        let begun = tokio::time::Instant::now();
        self.tell.send(Event::Stop).await.unwrap();
        self.task.await.unwrap();
        assert!(begun.elapsed() < seconds(0.01), "nothing is waited for");
        self.shown
    }
}

fn object(name: &str) -> Object {
    let (vault, secret) = name.split_once('.').unwrap();
    Object::Vault {
        collection: Collection::Secret,
        identity: IdentityName("default".to_owned()),
        vault: VaultHost(format!("{vault}.vault.azure.net")),
        name: ObjectName::parse(secret).unwrap(),
        version: None,
    }
}

fn one(name: &str, steps: impl Into<Vec<Step>>) -> (String, Vec<Step>) {
    (name.to_owned(), steps.into())
}

#[tokio::test(start_paused = true)]
async fn the_first_whole_waits_for_everyone_once_and_then_shows_what_there_is() {
    let stage = Stage::begin(
        vec![
            one("dead.a", [times_out()]),
            one("well.a", [Step::Gives("1"), Step::Gives("2")]),
            one("well.b", [Step::Gives("b")]),
        ],
        0,
    );
    sleep(seconds(9.9)).await;
    assert_eq!(stage.shown(), []);
    sleep(seconds(0.2)).await;
    assert_eq!(stage.values(), ["1", "b"], "a time limit later at most");
    // From then on the dead one's attempts hold nobody back.
    sleep(INTERVAL + seconds(5.0)).await;
    assert_eq!(stage.values(), ["2", "b"]);
    assert!(stage.asked("dead.a") > 10);
    assert_eq!(stage.lines_with("vault dead.vault.azure.net failed"), 1);
}

#[tokio::test(start_paused = true)]
async fn who_waits_behind_a_shut_gate_has_been_heard_of() {
    // More than are ever in flight: the last fifty are not asked before the gate shuts.
    let dead = (0..150).map(|number| one(&format!("dead.s{number}"), [times_out()]));
    let stage = Stage::begin(dead.chain([one("well.a", [Step::Gives("1")])]).collect(), 0);
    sleep(seconds(12.0)).await;
    assert_eq!(stage.values(), ["1"]);
    let view = stage.view.borrow().clone();
    assert!(view.status.unfetched().all(|(_, status)| status.failure.is_some()), "and the reason is known for each");
    assert_eq!(stage.lines_with("failed"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_has_come_is_known_though_others_hang() {
    let stage = Stage::begin(vec![one("dead.a", [times_out()]), one("well.a", [Step::Gives("1")])], 0);
    sleep(seconds(2.0)).await;
    let view = stage.view.borrow().clone();
    let unfetched: Vec<String> = view.status.unfetched().map(|(name, _)| name.to_string()).collect();
    assert_eq!(unfetched, ["dead.a"]);
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_published_when_it_comes() {
    let slow = takes(seconds(7.0), Step::Gives("late"));
    let dead = fails(Blame::Host, Kind::Outage, "refused");
    let stage = Stage::begin(vec![one("a.a", [dead, slow]), one("b.a", [Step::Gives("1")])], 0);
    sleep(seconds(0.1)).await;
    assert_eq!(stage.values(), ["1"]);
    sleep(seconds(1.2 + 7.0 + 2.1)).await;
    assert_eq!(stage.values(), ["late", "1"]);
    let when = stage.shown()[1].0;
    assert!(when >= seconds(0.8 + 7.0 + 2.0), "a change settles: {when:?}");
    assert_eq!(stage.lines_with("works again"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failing_sink_is_asked_again_and_nothing_is_lost() {
    let stage = Stage::begin(vec![one("a.a", [Step::Gives("1"), Step::Gives("2")])], 4);
    sleep(seconds(0.5)).await;
    stage.tell.send(Event::Refresh).await.unwrap();
    // Tries at 0, 1, 3, 7 and 15 s.
    sleep(seconds(14.0)).await;
    assert_eq!((stage.values().len(), stage.attempts.load(Ordering::SeqCst)), (0, 4));
    assert!(!stage.view.borrow().is_published());
    sleep(seconds(2.0)).await;
    assert_eq!(stage.values(), ["2"], "the newest, not the first");
    assert_eq!(stage.shown().len(), 1);
    assert!(stage.view.borrow().is_published());
    assert_eq!(stage.lines_with("it is full"), 1);
    assert_eq!(stage.lines_with("published generation 1"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_wish_for_freshness_is_granted_at_once() {
    let stage = Stage::begin(vec![one("a.a", [Step::Gives("1"), Step::Gives("2")])], 0);
    sleep(seconds(10.0)).await;
    assert_eq!(stage.asked("a.a"), 1);
    stage.tell.send(Event::Refresh).await.unwrap();
    sleep(seconds(0.01)).await;
    assert_eq!(stage.asked("a.a"), 2);
    sleep(SETTLE).await;
    assert_eq!(stage.values(), ["2"]);
}

#[tokio::test(start_paused = true)]
async fn two_changes_of_one_moment_are_one_generation() {
    let late = takes(seconds(1.5), Step::Gives("b2"));
    let stage = Stage::begin(
        vec![one("a.a", [Step::Gives("a1"), Step::Gives("a2")]), one("a.b", [Step::Gives("b1"), late])],
        0,
    );
    sleep(seconds(1.0)).await;
    stage.tell.send(Event::Refresh).await.unwrap();
    sleep(seconds(3.0)).await;
    let shown: Vec<Vec<String>> = stage.shown().into_iter().map(|(_, values)| values.into_values().collect()).collect();
    assert_eq!(shown, [["a1", "b1"], ["a2", "b2"]]);
}

#[tokio::test(start_paused = true)]
async fn the_end_publishes_what_settles_and_waits_for_nobody() {
    let stage = Stage::begin(
        vec![one("a.a", [Step::Gives("1"), Step::Gives("2")]), one("b.a", [Step::Gives("b"), times_out()])],
        0,
    );
    sleep(seconds(1.0)).await;
    stage.tell.send(Event::Refresh).await.unwrap();
    sleep(seconds(0.5)).await;
    assert_eq!(stage.values(), ["1", "b"], "it settles");
    let shown = stage.stop().await;
    let last: Vec<String> = shown.lock().unwrap().last().unwrap().1.values().cloned().collect();
    assert_eq!(last, ["2", "b"]);
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_nobody_can_tell_it_anything_any_more() {
    let Stage { tell, task, .. } = Stage::begin(vec![one("a.a", [times_out()])], 0);
    sleep(seconds(1.0)).await;
    drop(tell);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_trouble_is_one_line_and_its_end_is_one_line() {
    let denied = || fails(Blame::Object, Kind::Denied, "ForbiddenByRbac");
    let missing = || fails(Blame::Object, Kind::Missing, "SecretNotFound");
    let stage = Stage::begin(
        vec![
            one("a.a", [denied(), denied(), denied(), missing(), missing(), Step::Gives("1")]),
            one("a.b", [Step::Gives("2")]),
        ],
        0,
    );
    sleep(Duration::from_mins(10)).await;
    assert_eq!(stage.values(), ["1", "2"]);
    assert_eq!(stage.lines_with("secret a.a (keyvault:https://a.vault.azure.net/secrets/a) cannot be fetched"), 2);
    assert_eq!(stage.lines_with("secret a.a is fetched again"), 1);
    assert_eq!(stage.lines_with("secret a.b"), 0, "nothing was wrong with it: {:?}", stage.lines);
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_fifty_is_one_line_and_its_end_is_one_line() {
    let steps = || [Step::Gives("1"), fails(Blame::Host, Kind::Outage, "refused"), Step::Gives("1")];
    let stage = Stage::begin((0..50).map(|number| one(&format!("a.s{number}"), steps())).collect(), 0);
    sleep(seconds(1.0)).await;
    stage.tell.send(Event::Refresh).await.unwrap();
    sleep(Duration::from_mins(2)).await;
    assert_eq!(stage.lines_with("failed"), 1);
    assert_eq!(stage.lines_with("works again"), 1);
    assert_eq!(stage.shown().len(), 1, "nothing has changed");
}

#[tokio::test(start_paused = true)]
async fn half_an_outage_is_not_a_line_per_answer() {
    // Every other one of a wave is refused; those that went through with it are no proof that it is over.
    let scripts = (0..50).map(|number| {
        let refused = takes(seconds(0.01 * f64::from(number)), fails(Blame::Host, Kind::Outage, "http-503"));
        let answered = takes(seconds(0.01 * f64::from(number)), Step::Gives("1"));
        let second = if number % 2 == 0 { refused } else { answered };
        one(&format!("a.s{number}"), [Step::Gives("1"), second, Step::Gives("1")])
    });
    let stage = Stage::begin(scripts.collect(), 0);
    sleep(seconds(1.0)).await;
    stage.tell.send(Event::Refresh).await.unwrap();
    sleep(Duration::from_mins(1)).await;
    assert_eq!(stage.lines_with("failed"), 1, "{:?}", stage.lines);
    assert_eq!(stage.lines_with("works again"), 1);
}

#[tokio::test(start_paused = true)]
async fn one_secret_that_the_vault_fails_on_holds_the_others_back_for_moments_only() {
    let sick = fails(Blame::Host, Kind::Outage, "http-500");
    let stage = Stage::begin(
        vec![one("a.sick", [sick]), one("a.well", [Step::Gives("1"), Step::Gives("2"), Step::Gives("3")])],
        0,
    );
    // By now the sick one is tried once a minute only.
    sleep(seconds(250.0)).await;
    let tried = stage.asked("a.sick");
    assert!((7..=12).contains(&tried), "{tried}");
    stage.tell.send(Event::Refresh).await.unwrap();
    sleep(seconds(1.3)).await;
    assert_eq!(stage.asked("a.well"), 2, "nobody else has ever failed there");
    sleep(seconds(0.1 + 30.0)).await;
    stage.tell.send(Event::Refresh).await.unwrap();
    sleep(seconds(1.3)).await;
    assert_eq!(stage.asked("a.well"), 3);
}

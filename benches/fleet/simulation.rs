//! A fleet in simulated time: each pod is the real schedule, driven as the agent's loop drives it, against one vault.
//!
//! Nothing sleeps and nothing is sent: a queue of events gives every pod its turn when something of its own has come, or when
//! its schedule wants to be woken. The same numbers come out of every run.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use keyferry::config::{Settings, load};
use keyferry::failure::{Failure, Kind};
use keyferry::moment::{Moment, UnixTime};
use keyferry::plan::{Plan, plan};
use keyferry::reference::{Object, Shelf};
use keyferry::schedule::{Schedule, SurveyTicket, Ticket};
use keyferry::survey::{Stamp, Survey};

use super::vault::{Vault, WINDOW};

/// How often each pod looks at its secrets.
pub const INTERVAL: Duration = Duration::from_mins(15);
/// What a request takes.
const LATENCY: Duration = Duration::from_millis(20);
/// How many entries a page of a list has.
const PAGE: u32 = 25;

/// How many there are of everything.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// How many pods.
    pub pods: usize,
    /// How many secrets each wants, all the same.
    pub secrets: usize,
    /// How many there are in the vault.
    pub in_vault: u32,
    /// Whether the vault's list may be read.
    pub list: bool,
}

/// What became of the requests of one window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// The vault has answered.
    pub answered: usize,
    /// It has refused to.
    pub refused: usize,
    /// It was down.
    pub failed: usize,
}

impl Count {
    /// All that were sent.
    pub fn sent(&self) -> usize {
        self.answered + self.refused + self.failed
    }
}

/// The pods, the vault, and the time.
pub struct Fleet {
    begin: Moment,
    now: Duration,
    pods: Vec<Pod>,
    /// What the pods ask.
    pub vault: Vault,
    in_vault: u32,
    shown: Survey,
    stamp: Stamp,
    numbers: BTreeMap<Object, usize>,
    queue: BinaryHeap<Reverse<Event>>,
    queued: u64,
    /// Of all pods together, what they lack.
    lacking: usize,
    /// A count for each window since the beginning.
    pub curve: Vec<Count>,
}

struct Pod {
    schedule: Schedule,
    wake: Option<Duration>,
    /// Which objects it has not heard of since it should have: a bit each.
    lacks: u64,
}

struct Event {
    at: Duration,
    number: u64,
    pod: usize,
    what: What,
}

enum What {
    Wake,
    Came(Ticket, Result<(), Failure>),
    /// So many pages of the list have been read, the last with this result.
    Page(SurveyTicket, u32, Result<(), Failure>),
}

/// The plan of a pod, out of a configuration as people write it.
fn plan_of(size: Size) -> Plan {
    let list = if size.list { "auto" } else { "never" };
    let mut text = format!(
        "identity: {{azureCli: {{}}}}\nvaults: {{main: {{url: https://contoso.vault.azure.net}}}}\n\
         refresh: {{interval: 15m, list: {list}}}\nfiles: {{dir: /run/keyferry}}\nsecrets:\n"
    );
    for number in 0..size.secrets {
        writeln!(text, "  s{number}: keyvault:main/secrets/s{number}").expect("a text grows");
    }
    let environment = BTreeMap::new();
    let settings = Settings {
        name: "fleet".to_owned(),
        text,
        environment: &environment,
        allow_custom_cloud: false,
        read: |_| Err(String::new()),
    };
    plan(&load(&settings).expect("a configuration"))
}

/// `SplitMix64`: the seeds of the pods, and when each starts.
fn chance(number: u64) -> u64 {
    let mut value = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

impl Fleet {
    /// All start within a second, with nothing.
    pub fn start(size: Size, vault: Vault, tick: Instant) -> Self {
        let plan = plan_of(size);
        let wall = UnixTime::from_seconds(1_700_000_000).expect("a time");
        let begin = Moment { tick, wall };
        let updated = UnixTime::from_seconds(1_600_000_000).expect("a time");
        let stamp = Stamp { created: Some(updated), updated, expires: None };
        let names = || plan.objects.keys().filter_map(Shelf::of).map(|(_, name)| name.clone());
        let mut shown = Survey::of(names().collect());
        for name in names() {
            shown.show(name, Some(stamp));
        }
        let numbers: BTreeMap<Object, usize> = plan.objects.keys().cloned().zip(0..).collect();
        let lacks = u64::MAX >> (u64::BITS as usize - numbers.len());
        let mut fleet = Self {
            begin,
            now: Duration::ZERO,
            pods: Vec::new(),
            vault,
            in_vault: size.in_vault,
            shown,
            stamp,
            numbers,
            queue: BinaryHeap::new(),
            queued: 0,
            lacking: size.pods * size.secrets,
            curve: Vec::new(),
        };
        for number in 0..size.pods {
            let seed = chance(number as u64 + 1);
            let at = Duration::from_micros(chance(seed) % 1_000_000);
            let schedule = Schedule::new(&plan, seed, fleet.moment(at));
            fleet.pods.push(Pod { schedule, wake: Some(at), lacks });
            fleet.queue(at, number, What::Wake);
        }
        fleet
    }

    /// A fleet that has everything, after two rounds: every pod has found its slot, and knows how long the list is.
    pub fn start_whole(size: Size, vault: Vault, tick: Instant) -> Self {
        let mut fleet = Self::start(size, Vault::without_limit(), tick);
        fleet.pass(INTERVAL * 2);
        assert_eq!(fleet.lacking, 0, "nobody was refused");
        fleet.vault = vault;
        fleet
    }

    /// Lets time pass, until then.
    pub fn pass(&mut self, until: Duration) {
        while self.queue.peek().is_some_and(|Reverse(event)| event.at <= until) {
            self.turn();
        }
        self.now = until;
    }

    /// Lets time pass until no pod lacks anything, or until then. When that was.
    pub fn pass_until_whole(&mut self, until: Duration) -> Option<Duration> {
        while self.lacking > 0 && self.queue.peek().is_some_and(|Reverse(event)| event.at <= until) {
            self.turn();
        }
        (self.lacking == 0).then_some(self.now)
    }

    /// Whatever is due by now is lacking until it was heard of. How much that is.
    pub fn lacks_what_is_due(&mut self) -> usize {
        let now = self.moment(self.now).tick;
        for pod in &mut self.pods {
            let due = pod.schedule.due().filter(|(_, due)| due.is_none_or(|due| due <= now));
            pod.lacks = due.fold(0, |lacks, (object, _)| lacks | 1 << self.numbers[object]);
        }
        self.lacking = self.pods.iter().map(|pod| pod.lacks.count_ones() as usize).sum();
        self.lacking
    }

    fn moment(&self, at: Duration) -> Moment {
        Moment { tick: self.begin.tick + at, wall: self.begin.wall.after(at) }
    }

    fn queue(&mut self, at: Duration, pod: usize, what: What) {
        self.queued += 1;
        self.queue.push(Reverse(Event { at, number: self.queued, pod, what }));
    }

    /// What comes next in time happens, and its pod has a turn of its loop.
    fn turn(&mut self) {
        let Some(Reverse(Event { at, pod: number, what, .. })) = self.queue.pop() else { return };
        self.now = at;
        let now = self.moment(at);
        match what {
            What::Wake if self.pods[number].wake == Some(at) => self.pods[number].wake = None,
            // It has found another time since.
            What::Wake => return,
            What::Came(ticket, result) => {
                let pod = &mut self.pods[number];
                match result {
                    Ok(()) => {
                        pod.schedule.came(&ticket, (None, Some(self.stamp)), now);
                        self.heard_of(number, ticket.object());
                    }
                    Err(failure) => drop(pod.schedule.failed(&ticket, &failure, now)),
                }
            }
            What::Page(ticket, pages, result) => {
                let all = self.in_vault.div_ceil(PAGE);
                if result.is_ok() && pages < all.min(ticket.most_pages()) {
                    let result = self.ask(at);
                    return self.queue(at + LATENCY, number, What::Page(ticket, pages + 1, result));
                }
                // Of a list that is cut, what is wanted was not among the first.
                let mut survey = if pages == all { self.shown.clone() } else { Survey::default() };
                survey.pages = pages;
                let surveyed = self.pods[number].schedule.surveyed(&ticket, &result.map(|()| survey), now);
                for object in &surveyed.unchanged {
                    self.heard_of(number, object);
                }
            }
        }
        self.act(number, now, at);
    }

    /// As the agent's loop does: lists, objects, then sleep.
    fn act(&mut self, number: usize, now: Moment, at: Duration) {
        for ticket in self.pods[number].schedule.take_surveys(now.tick) {
            let result = self.ask(at);
            self.queue(at + LATENCY, number, What::Page(ticket, 1, result));
        }
        for ticket in self.pods[number].schedule.take_due(now.tick) {
            let result = self.ask(at);
            self.queue(at + LATENCY, number, What::Came(ticket, result));
        }
        let wake = self.pods[number].schedule.next_wake(now.tick).map(|wake| wake - self.begin.tick);
        if wake != self.pods[number].wake {
            self.pods[number].wake = wake;
            if let Some(wake) = wake {
                self.queue(wake, number, What::Wake);
            }
        }
    }

    fn ask(&mut self, at: Duration) -> Result<(), Failure> {
        let result = self.vault.ask(at);
        let window = usize::try_from(at.as_millis() / WINDOW.as_millis()).expect("a short time");
        if self.curve.len() <= window {
            self.curve.resize(window + 1, Count::default());
        }
        let count = &mut self.curve[window];
        match &result {
            Ok(()) => count.answered += 1,
            Err(failure) if failure.kind == Kind::Throttled => count.refused += 1,
            Err(_) => count.failed += 1,
        }
        result
    }

    fn heard_of(&mut self, pod: usize, object: &Object) {
        let (pod, bit) = (&mut self.pods[pod], 1 << self.numbers[object]);
        if pod.lacks & bit != 0 {
            pod.lacks &= !bit;
            self.lacking -= 1;
        }
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

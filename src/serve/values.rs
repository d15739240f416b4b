//! Values, on a socket and on loopback TCP: the variables, the secrets, what changes, and what is known. Who asks is
//! looked at first (`door`), what is asked for then (`route`), and what is answered follows from the two and from what
//! is shown (`board`).

mod board;
mod env;
mod listing;
mod route;
mod secret;
mod variables;
mod watch;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::{Request, Response, StatusCode};
use tokio::sync::{Notify, watch as following};
use tokio::time::{Instant, sleep, sleep_until};

use super::answer::{answer, json, refused};
use super::body::{Body, stream};
use super::door::{Caller, Door};
use super::guard::{self, Refusal};
use super::listen::{Answers, End, Limits, Listener};
use super::slots::{Most, Share, Slots};
use crate::config::serve::Visible;
use crate::metrics::Metrics;
use crate::moment::{Clock, later};
use crate::ports::Refresh;
use crate::status::{Report, View};
use board::{Board, Shown};
use route::{Asked, Wish};
use secret::{Found, Tags};
use watch::{Watcher, events};

pub use board::Publisher;

/// Whoever waits for a change holds a connection, and may do so for as long as it likes to watch.
const CONNECTIONS: usize = 512;
/// Those of them who wait or watch: to the others of the same user something is left.
const WAITING: usize = 256;
/// Everything is fetched anew no more often, whoever asks.
const REFRESHED_AGAIN: Duration = Duration::from_secs(10);

/// What is served, for all endpoints of a run.
pub struct Values {
    board: Board,
    view: following::Receiver<View>,
    clock: Clock,
    metrics: Metrics,
    /// What tags and events' ids begin with: random, so that no other run's are taken for this one's.
    run: Arc<str>,
    waiting: Arc<Slots>,
    /// Somebody wants everything fetched anew.
    wanted: Notify,
    stopped: following::Receiver<()>,
}

/// One endpoint: what is served, and to whom.
struct Endpoint {
    values: Arc<Values>,
    door: Door,
}

impl Values {
    /// What the publisher is told is shown to so many users, until nobody holds the other end of `stopped`.
    pub fn new(
        publisher: &Publisher,
        (run, users): ([u8; 16], usize),
        (view, clock, metrics): (following::Receiver<View>, Clock, Metrics),
        stopped: following::Receiver<()>,
    ) -> Self {
        let (board, run) = (publisher.board(), hex::encode(run).into());
        let (waiting, wanted) = (Slots::new(Most::shared(WAITING, users)), Notify::new());
        Self { board, view, clock, metrics, run, waiting, wanted, stopped }
    }

    /// Answers at a port or a socket to whom its door lets in.
    pub async fn serve(self: Arc<Self>, listener: Listener, door: Door) {
        let stopped = self.stopped.clone();
        let limits = Limits { connections: Most::shared(CONNECTIONS, door.users()), lifetime: None };
        listener.serve(Arc::new(Endpoint { values: self, door }), limits, stopped).await;
    }

    /// Has everything fetched anew when somebody wants that; who asks soon after another waits until that while is over.
    pub async fn refresh(&self, loop_: &impl Refresh) {
        let mut stopped = self.stopped.clone();
        let turns = async {
            loop {
                self.wanted.notified().await;
                loop_.refresh().await;
                sleep(REFRESHED_AGAIN).await;
            }
        };
        tokio::select! {
            () = turns => {}
            _ = stopped.changed() => {}
        }
    }

    async fn give(
        &self,
        asked: Asked,
        visible: &Visible,
        share: Share,
        headers: &HeaderMap,
    ) -> Result<Response<Body>, Refusal> {
        match asked {
            Asked::Env(syntax) => env::env(self.shown().as_deref(), visible, syntax),
            Asked::Variables => variables::variables(self.shown().as_deref(), visible, &self.run),
            Asked::Secrets => {
                let shown = self.shown().ok_or_else(unready)?;
                let view = self.view.borrow();
                Ok(json(StatusCode::OK, &listing::Listing::new(&shown, &view, visible, (self.clock)().wall)))
            }
            Asked::Secret(wish) => {
                let tags = Tags { run: &self.run, json: wish.json, headers };
                let found = match wish.wait {
                    None => secret::find(&wish, self.shown().as_deref(), visible)?,
                    Some(wait) => {
                        let _slot = self.waiting.take(share).ok_or_else(too_many)?;
                        // Boxed: what every request is moved about with stays small.
                        Box::pin(self.another(&wish, visible, &tags, wait)).await?
                    }
                };
                Ok(found.answer(&wish, &tags))
            }
            Asked::Watch => {
                let watcher = Watcher {
                    board: self.board.clone(),
                    run: Arc::clone(&self.run),
                    visible: visible.clone(),
                    at: watch::at(headers, &self.run),
                    _slot: self.waiting.take(share).ok_or_else(too_many)?,
                    stopped: self.stopped.clone(),
                };
                Ok(answer(StatusCode::OK, HeaderValue::from_static("text/event-stream"), stream(events(watcher))))
            }
            Asked::Refresh => {
                self.wanted.notify_one();
                Ok(json(StatusCode::ACCEPTED, &serde_json::json!({"refresh": "requested"})))
            }
            Asked::Status => {
                let view = self.view.borrow();
                let all = *visible == Visible::All;
                let report = Report::new(&view, (self.clock)().wall, |name| visible.shows(name), all);
                Ok(json(StatusCode::OK, &report))
            }
        }
    }

    /// The value, when there is one and it is another than the caller knows; at the latest when it does not want to wait any
    /// longer, or everything ends. Who knows none has the first at once: so that none is missed between two requests.
    async fn another(&self, wish: &Wish, visible: &Visible, tags: &Tags<'_>, wait: Duration) -> Result<Found, Refusal> {
        let (mut board, mut stopped) = (self.board.clone(), self.stopped.clone());
        let mut until = pin!(sleep_until(Instant::from_std(later((self.clock)().tick, wait))));
        let look = |board: &mut Board| secret::find(wish, board.borrow_and_update().as_deref(), visible);
        // What is optional and not there is not found, and may be there soon.
        let may_come = visible.shows(&wish.name) && self.view.borrow().status.names.contains_key(&wish.name);
        let mut found = look(&mut board);
        loop {
            let is_news = match &found {
                Ok(found) => !tags.include(found.since),
                // What has no value yet may get one; what cannot be had by asking longer is said at once.
                Err(refusal) => refusal.status != StatusCode::SERVICE_UNAVAILABLE && !may_come,
            };
            if is_news {
                return found;
            }
            tokio::select! {
                changed = board.changed() => if changed.is_err() { return found },
                () = &mut until => return found,
                _ = stopped.changed() => return found,
            }
            found = look(&mut board);
        }
    }

    fn shown(&self) -> Option<Arc<Shown>> {
        self.board.borrow().clone()
    }
}

/// There is no value yet; there may be one soon.
fn unready() -> Refusal {
    let message = "there is no value yet: ask again; keyferry's log says why";
    let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "NoValueYet", message);
    refusal.with(RETRY_AFTER, HeaderValue::from_static("1"))
}

fn too_many() -> Refusal {
    let message = "this user waits for changes on as many connections as its share is: end some";
    let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "TooManyWaiting", message);
    refusal.with(RETRY_AFTER, HeaderValue::from_static("1"))
}

impl Answers for Endpoint {
    type Caller = Caller;

    async fn meet(&self, end: End<'_>) -> (Caller, Share) {
        self.door.meet(end).await
    }

    async fn answer(&self, request: Request<Incoming>, caller: &Caller) -> Response<Body> {
        let name = route::name(request.uri().path());
        let given = match self.admit(&request, caller) {
            Ok((asked, visible)) => self.values.give(asked, visible, self.door.share(caller), request.headers()).await,
            Err(refusal) => Err(refusal),
        };
        let response = given.unwrap_or_else(|refusal| refused(refusal, caller.as_ref().ok().copied()));
        self.values.metrics.answered(name, response.status().as_u16());
        response
    }
}

impl Endpoint {
    /// What is asked for, and what whoever asks may see.
    fn admit(&self, request: &Request<Incoming>, caller: &Caller) -> Result<(Asked, &Visible), Refusal> {
        guard::check(request)?;
        guard::check_meant(request.headers())?;
        let visible = self.door.admit(caller, request.headers());
        let asked = || route::asked(request.method(), request.uri(), request.headers());
        match visible {
            Ok(visible) => Ok((asked()?, visible)),
            // What `keyferry status` and `refresh` ask, whoever else may call; no value.
            Err(refusal) if self.door.is_own(caller) => match asked() {
                Ok(asked @ (Asked::Status | Asked::Refresh)) => Ok((asked, &Visible::All)),
                _ => Err(refusal),
            },
            Err(refusal) => Err(refusal),
        }
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Values").finish_non_exhaustive()
    }
}

//! One vault with Azure's limit, as far as a fleet notices it: it answers, refuses or is down.
//!
//! Azure gives a number, 4,000 transactions of one vault in 10 seconds, and does not say how it counts, nor whether a refusal
//! says when to come again: each of the ways that are known from elsewhere is a [`Counting`].

use std::collections::VecDeque;
use std::time::Duration;

use keyferry::failure::{Blame, Code, Failure, Kind};

/// The window of the limit, and of the curve.
pub const WINDOW: Duration = Duration::from_secs(10);

/// How requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counting {
    /// Windows one after the other; so many pass in each. What is refused may be counted or not, it is the same.
    Windows,
    /// No span of a window's length lets more pass; what is refused is not counted.
    Sliding,
    /// The same, and what is refused counts: while all ask faster than the limit, nobody is answered.
    SlidingWithRefused,
}

/// The vault.
#[derive(Debug)]
pub struct Vault {
    limit: usize,
    counting: Counting,
    /// Whether a refusal says when to come again.
    tells_when: bool,
    /// Down until then.
    down_until: Duration,
    /// When what counts came; of windows, only what is in the present one.
    counted: VecDeque<Duration>,
}

impl Vault {
    /// With a limit for each window.
    pub fn new(limit: usize, counting: Counting, tells_when: bool) -> Self {
        Self { limit, counting, tells_when, down_until: Duration::ZERO, counted: VecDeque::new() }
    }

    /// One that refuses nobody.
    pub fn without_limit() -> Self {
        Self::new(usize::MAX, Counting::Windows, false)
    }

    /// It answers nobody until then.
    pub fn fail_until(&mut self, end: Duration) {
        self.down_until = end;
    }

    /// Somebody asks now.
    pub fn ask(&mut self, now: Duration) -> Result<(), Failure> {
        if now < self.down_until {
            return Err(Failure::new(Blame::Host, Kind::Outage, Code::new("http-503")));
        }
        let window = |at: Duration| at.as_millis() / WINDOW.as_millis();
        let is_over = |at: Duration| match self.counting {
            Counting::Windows => window(at) < window(now),
            Counting::Sliding | Counting::SlidingWithRefused => at + WINDOW <= now,
        };
        while self.counted.front().is_some_and(|at| is_over(*at)) {
            self.counted.pop_front();
        }
        let passes = self.counted.len() < self.limit;
        if passes || self.counting == Counting::SlidingWithRefused {
            self.counted.push_back(now);
        }
        if passes { Ok(()) } else { Err(self.refusal(now)) }
    }

    fn refusal(&self, now: Duration) -> Failure {
        let seconds = match self.counting {
            Counting::Windows => WINDOW.as_secs() - now.as_secs() % WINDOW.as_secs(),
            Counting::Sliding | Counting::SlidingWithRefused => WINDOW.as_secs(),
        };
        let after = self.tells_when.then_some(Duration::from_secs(seconds));
        Failure { after, ..Failure::new(Blame::Host, Kind::Throttled, Code::new("Throttled")) }
    }
}

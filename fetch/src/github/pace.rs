//! Spending a budget of points evenly over its window: a token bucket, whose rate follows what each answer says is left.
//!
//! The bucket fills at the rate that would use up the points left, but for a reserve, exactly at the end of the window;
//! it holds a tenth of a window's points, so that a small run need not wait at all.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// The window of GitHub's budget.
const WINDOW: Duration = Duration::from_hours(1);

/// The points of a window, until an answer says it.
const POINTS: f64 = 5_000.0;

/// Share of a window's points that may be spent at once.
const BURST: f64 = 0.1;

/// Share of a window's points that is left to others who use the same token.
const RESERVE: f64 = 0.05;

/// Two answers that name the end of one window differ by less.
const SAME_WINDOW: Duration = Duration::from_secs(30);

/// Both the end of a window and the time of an answer come in whole seconds.
const ROUNDED: Duration = Duration::from_secs(1);

/// How long is slept without a look at what other answers said meanwhile.
const LOOK: Duration = Duration::from_secs(1);

/// What an answer says of the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// Points that the answer cost.
    pub(super) cost: u64,
    /// Points of a window.
    pub(super) limit: u64,
    /// Points left of this one.
    pub(super) remaining: u64,
    /// How long this one lasts yet.
    pub(super) until_reset: Duration,
}

/// The points that one token may spend.
#[derive(Debug)]
pub(super) struct Budget {
    state: Mutex<State>,
    /// Those who wait for points do so one after the other.
    queue: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    /// Points that may be spent at once.
    tokens: f64,
    filled_at: Instant,
    window: Window,
    /// Points that a request is expected to cost.
    cost: f64,
    /// Until when GitHub has told us to ask for nothing.
    paused_until: Option<Instant>,
    /// Whether GitHub counts points at all.
    counts: bool,
    /// What the last answer said is left.
    left: Option<u64>,
    /// How long a window lasts, as far as answers tell.
    length: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    limit: f64,
    remaining: f64,
    reset: Instant,
    /// Whether no answer has told of this one yet.
    guessed: bool,
}

impl Budget {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let state = State {
            tokens: POINTS * BURST,
            filled_at: now,
            window: Window { limit: POINTS, remaining: POINTS, reset: now + WINDOW, guessed: true },
            cost: 1.0,
            paused_until: None,
            counts: true,
            left: None,
            length: Duration::ZERO,
        };
        Self { state: Mutex::new(state), queue: tokio::sync::Mutex::default() }
    }

    /// Waits until a request may be made, and takes its points. Tells how long that was.
    pub(super) async fn take(&self) -> Duration {
        let begun = Instant::now();
        let _turn = self.queue.lock().await;
        loop {
            let now = Instant::now();
            let Some(at) = self.lock().take(now) else { return now - begun };
            sleep_until(at.min(now + LOOK)).await;
        }
    }

    /// Waits as long as GitHub has told to, for a request that costs no points. Tells how long that was.
    pub(super) async fn wait(&self) -> Duration {
        let begun = Instant::now();
        loop {
            let now = Instant::now();
            let Some(until) = self.lock().pause(now) else { return now - begun };
            sleep_until(until.min(now + LOOK)).await;
        }
    }

    /// What an answer says of the budget; nothing where GitHub counts no points.
    pub(super) fn settle(&self, seen: Option<Seen>) {
        self.lock().settle(seen, Instant::now());
    }

    /// GitHub has told to ask for nothing so long.
    pub(super) fn pause(&self, time: Duration) {
        let mut state = self.lock();
        let until = Instant::now() + time;
        state.paused_until = Some(state.paused_until.map_or(until, |already| already.max(until)));
    }

    /// How long the window lasts yet.
    pub(super) fn until_reset(&self) -> Duration {
        self.lock().window.reset.saturating_duration_since(Instant::now())
    }

    /// How long GitHub has told to ask for nothing.
    pub(super) fn paused(&self) -> Option<Duration> {
        let now = Instant::now();
        self.lock().pause(now).map(|until| until - now)
    }

    /// Points left, as the last answer says; nothing where none said.
    pub(super) fn left(&self) -> Option<u64> {
        self.lock().left
    }

    /// How long it takes to have so many points, beside those that may be spent at once.
    pub(super) fn time_for(&self, points: u64) -> Duration {
        let mut state = self.lock();
        state.fill(Instant::now());
        if !state.counts {
            return Duration::ZERO;
        }
        let lacking = points as f64 - state.tokens;
        let rate = state.rate().max(state.window.limit * (1.0 - RESERVE) / WINDOW.as_secs_f64());
        Duration::try_from_secs_f64((lacking / rate).max(0.0)).unwrap_or(Duration::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes the points of a request; or says when to try again.
    fn take(&mut self, now: Instant) -> Option<Instant> {
        if let Some(until) = self.pause(now) {
            return Some(until);
        }
        self.fill(now);
        if !self.counts {
            return None;
        }
        // A request that costs more than a full bucket holds must not wait for ever.
        let cost = self.cost.min(self.capacity()).max(1.0);
        if self.tokens >= cost {
            self.tokens -= cost;
            return None;
        }
        let rate = self.rate();
        let enough = Duration::try_from_secs_f64((cost - self.tokens) / rate).ok();
        Some(enough.map_or(self.window.reset, |enough| (now + enough).min(self.window.reset)))
    }

    /// The end of a pause that is not over.
    fn pause(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|until| *until > now)
    }

    fn fill(&mut self, now: Instant) {
        if now >= self.window.reset {
            let limit = self.window.limit;
            // How long this one lasts, the next answer tells; as at the beginning, some may be asked before.
            self.tokens = self.capacity();
            let length = if self.length.is_zero() { WINDOW } else { self.length };
            self.window = Window { limit, remaining: limit, reset: now + length, guessed: true };
        }
        let gained = now.saturating_duration_since(self.filled_at).as_secs_f64() * self.rate();
        self.filled_at = now;
        self.tokens = (self.tokens + gained).min(self.capacity()).min(self.spendable());
    }

    fn settle(&mut self, seen: Option<Seen>, now: Instant) {
        self.counts = seen.is_some();
        self.left = seen.map(|seen| seen.remaining);
        let Some(seen) = seen else { return };
        self.fill(now);
        let expected = self.cost.min(self.capacity()).max(1.0);
        self.tokens -= seen.cost as f64 - expected;
        self.cost = seen.cost as f64;

        self.length = self.length.max(seen.until_reset);
        let (limit, remaining) = (seen.limit as f64, seen.remaining as f64);
        let (reset, known) = (now + seen.until_reset + ROUNDED, self.window);
        let apart = reset.saturating_duration_since(known.reset).max(known.reset.saturating_duration_since(reset));
        if !known.guessed && apart < SAME_WINDOW.min(self.length / 3) {
            // Answers overtake each other.
            self.window = Window { limit, remaining: remaining.min(known.remaining), ..known };
            self.left = Some(self.window.remaining as u64);
        } else if known.guessed || reset > known.reset {
            self.window = Window { limit, remaining, reset, guessed: false };
        }
        self.tokens = self.tokens.min(self.capacity()).min(self.spendable());
    }

    fn capacity(&self) -> f64 {
        (self.window.limit * BURST).max(1.0)
    }

    /// What is left but for the reserve.
    fn spendable(&self) -> f64 {
        (self.window.remaining - self.window.limit * RESERVE).max(0.0)
    }

    /// Points a second. The last second of a window is as good as its end.
    fn rate(&self) -> f64 {
        let left = self.window.reset.saturating_duration_since(self.filled_at).as_secs_f64();
        self.spendable() / left.max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(remaining: u64, until_reset: u64) -> Seen {
        Seen { cost: 1, limit: 5_000, remaining, until_reset: Duration::from_secs(until_reset) }
    }

    /// A GitHub that counts: each request costs a point until the window's end.
    async fn spend(budget: &Budget, requests: u64, mut left: u64, until_reset: u64) -> Duration {
        let begun = Instant::now();
        for _ in 0..requests {
            budget.take().await;
            left -= 1;
            let gone = begun.elapsed().as_secs();
            budget.settle(Some(seen(left, until_reset - gone)));
        }
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_run_does_not_wait() {
        let budget = Budget::new();
        assert!(spend(&budget, 400, 5_000, 3_600).await < Duration::from_secs(1));
        assert_eq!(budget.left(), Some(4_600));
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_run_spends_evenly_and_leaves_a_reserve() {
        let budget = Budget::new();
        let time = spend(&budget, 4_700, 5_000, 3_600).await;
        assert!(time > Duration::from_mins(55) && time < Duration::from_hours(1), "{time:?}");
        // The next one would touch the reserve, and waits for the next window.
        let left = 3_600 - time.as_secs();
        budget.settle(Some(seen(250, left)));
        let waited = budget.take().await.as_secs();
        assert!((left..left + 5).contains(&waited), "{waited} of {left}");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_asked_during_a_pause() {
        let budget = Budget::new();
        budget.pause(Duration::from_secs(90));
        budget.pause(Duration::from_secs(30));
        assert_eq!(budget.paused(), Some(Duration::from_secs(90)));
        assert_eq!(budget.take().await, Duration::from_secs(90));
        assert_eq!(budget.wait().await, Duration::ZERO);
        assert_eq!(budget.paused(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_used_up_comes_back_at_the_end_of_the_window() {
        let budget = Budget::new();
        budget.settle(Some(seen(10, 120)));
        let waited = budget.take().await;
        assert!(waited >= Duration::from_secs(119) && waited <= Duration::from_secs(122), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn answers_that_overtake_each_other_count_once() {
        let budget = Budget::new();
        budget.settle(Some(seen(4_000, 1_000)));
        budget.settle(Some(seen(4_005, 1_002)));
        assert_eq!(budget.left(), Some(4_000));
        budget.settle(Some(seen(4_999, 3_600)));
        assert_eq!(budget.left(), Some(4_999));
        // A late answer of the window before.
        budget.settle(Some(seen(10, 900)));
        assert_eq!(budget.take().await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_github_that_counts_nothing_is_asked_freely() {
        let budget = Budget::new();
        budget.settle(None);
        for _ in 0..10_000 {
            assert_eq!(budget.take().await, Duration::ZERO);
        }
        assert_eq!((budget.left(), budget.time_for(1_000_000)), (None, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_costs_more_than_the_bucket_holds_is_made() {
        let budget = Budget::new();
        budget.settle(Some(Seen { cost: 40, limit: 100, ..seen(90, 600) }));
        assert!(budget.take().await < Duration::from_mins(10));
    }
}

//! How long something that fails is tried again, and how long to wait between tries: longer each time, never as long as
//! somebody else, and never for nothing.

use std::time::Duration;

use prowl_platform::Backoff;
use tokio::time::{Instant, sleep};

/// How far apart tries are.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));

/// The longest wait before a smaller question: it is likely to be answered.
const LONGEST_BREATH: Duration = Duration::from_secs(3);

/// The tries of one thing. A success gives all of the patience back.
#[derive(Debug)]
pub(super) struct Patience {
    whole: Duration,
    /// When the tries began that have not succeeded since.
    since: Option<Instant>,
    backoff: Backoff,
}

impl Patience {
    pub(super) fn new(whole: Duration) -> Self {
        Self { whole, since: None, backoff: BACKOFF }
    }

    pub(super) fn succeeded(&mut self) {
        self.since = None;
        self.backoff = BACKOFF;
    }

    /// When the tries began that have not succeeded since.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// A time that was waited because GitHub said so does not count.
    pub(super) fn excuse(&mut self, waited: Duration) {
        self.since = self.since.map(|since| since + waited);
    }

    /// Waits before something else is tried in place of what failed.
    pub(super) async fn breathe(&mut self) {
        self.since.get_or_insert_with(Instant::now);
        sleep(self.backoff.pause().min(LONGEST_BREATH)).await;
    }

    /// Waits until it is time for another try, at least as long as is asked for; `false` if there is to be none.
    pub(super) async fn wait(&mut self, asked: Duration) -> bool {
        let spent = self.since.get_or_insert_with(Instant::now).elapsed();
        let pause = asked.saturating_add(self.backoff.pause());
        if spent.saturating_add(pause) > self.whole {
            return false;
        }
        sleep(pause).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tries_are_bounded_in_time_and_number() {
        let mut patience = Patience::new(Duration::from_mins(30));
        let (begun, mut tries) = (Instant::now(), 0);
        while patience.wait(Duration::ZERO).await {
            tries += 1;
        }
        assert!(begun.elapsed() <= Duration::from_mins(30), "{:?}", begun.elapsed());
        assert!((60..140).contains(&tries), "{tries}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_or_an_excuse_gives_patience_back() {
        let mut patience = Patience::new(Duration::from_mins(1));
        while patience.wait(Duration::from_secs(5)).await {}
        patience.excuse(Duration::from_mins(1));
        assert!(patience.wait(Duration::from_secs(5)).await);
        while patience.wait(Duration::from_secs(5)).await {}
        patience.succeeded();
        assert!(patience.wait(Duration::from_secs(5)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_for_is_waited_at_least() {
        let mut patience = Patience::new(Duration::from_mins(5));
        let begun = Instant::now();
        assert!(patience.wait(Duration::from_secs(100)).await);
        assert!(begun.elapsed() >= Duration::from_secs(100) && begun.elapsed() < Duration::from_secs(101));
        assert!(!patience.wait(Duration::from_secs(400)).await);
    }
}

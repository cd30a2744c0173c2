//! When to try again what has failed.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::refusal::{Again, Failure};
use crate::Backoff;

/// How far apart tries are.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));

/// The tries of one thing, until a moment.
#[derive(Debug)]
pub struct Tries {
    backoff: Backoff,
    until: Instant,
}

impl Tries {
    /// None so far.
    pub fn new(until: Instant) -> Self {
        Self { backoff: BACKOFF, until }
    }

    /// Waits until it is time for the next try.
    ///
    /// # Errors
    /// The failure, where there is to be no other try.
    pub async fn after(&mut self, failure: Failure) -> Result<(), Failure> {
        let left = self.until.saturating_duration_since(Instant::now());
        sleep(self.pause_of(failure, left)?).await;
        Ok(())
    }

    fn pause_of(&mut self, failure: Failure, left: Duration) -> Result<Duration, Failure> {
        let own = self.backoff.pause();
        let pause = match failure.again {
            Again::Never => return Err(failure),
            Again::Soon => own,
            Again::After(asked) => asked.saturating_add(own),
        };
        if pause < left {
            return Ok(pause);
        }
        let error = format!("{}; there is no time to try again in {pause:.0?}", failure.error);
        Err(Failure { error, again: Again::Never, kind: failure.kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::github::Kind;

    #[test]
    fn it_is_tried_while_there_is_time() {
        let tries = || Tries::new(Instant::now());
        let busy = |again| Failure { error: "busy".to_owned(), again, kind: Kind::Server };
        let minute = Duration::from_mins(1);
        let (mut each, mut count, mut left) = (tries(), 0, minute);
        while let Ok(pause) = each.pause_of(busy(Again::Soon), left) {
            (left, count) = (left.saturating_sub(pause), count + 1);
        }
        assert!((6..=9).contains(&count), "{count}");
        let asked = |seconds| busy(Again::After(Duration::from_secs(seconds)));
        let pause = tries().pause_of(asked(20), minute).unwrap();
        assert!((Duration::from_secs(20)..Duration::from_secs(21)).contains(&pause), "{pause:?}");
        let late = tries().pause_of(asked(3_000), minute).unwrap_err();
        assert!(
            late.error.starts_with("busy; ") && late.again == Again::Never && late.kind == Kind::Server,
            "{late:?}"
        );
        assert!(tries().pause_of(asked(u64::MAX), minute).is_err());
        assert_eq!(tries().pause_of(busy(Again::Never), minute).unwrap_err().error, "busy");
    }
}

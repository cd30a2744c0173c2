//! How long to wait before something that failed is tried again.

use std::time::Duration;

/// Pauses that double from try to try, up to the longest. Each is drawn from the upper half of its length: all that failed at
/// one moment shall not come back at one moment.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    /// The pauses, of which the first is at most so long.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { next: first, longest }
    }

    /// How long to wait before the next try.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next.mul_f64(rand::random_range(0.5..1.0));
        self.next = (self.next * 2).min(self.longest);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_differ() {
        let second = Duration::from_secs(1);
        let pauses = || {
            let mut backoff = Backoff::new(second, 5 * second);
            std::array::from_fn::<Duration, 5, _>(|_| backoff.pause())
        };
        let found = pauses();
        for (pause, most) in found.iter().zip([1_u32, 2, 4, 5, 5]) {
            assert!((most * second / 2..=most * second).contains(pause), "{found:?}");
        }
        assert_ne!(found, pauses());
    }
}

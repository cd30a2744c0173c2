//! The points and requests that an account has in a window of time.

use std::time::{Duration, Instant};

/// What an account may spend, as GitHub says it in `x-ratelimit-limit`, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Points of a window.
    pub points: u64,
    /// How long a window lasts, in whole seconds.
    pub window: Duration,
}

impl Default for Limit {
    /// GitHub's own.
    fn default() -> Self {
        Self { points: 5_000, window: Duration::from_hours(1) }
    }
}

/// What one account has spent of one resource.
#[derive(Debug, Default)]
pub(super) struct Budget {
    pub(super) used: u64,
    /// When the window ends, by the clock of the world.
    pub(super) reset: i64,
    /// When the account was told that nothing is left.
    pub(super) told: Option<Instant>,
}

impl Budget {
    /// Begins a new window, where the last is over.
    pub(super) fn turn(&mut self, limit: Limit, now: i64) {
        if now >= self.reset {
            *self = Self { used: 0, reset: now + limit.window.as_secs() as i64, told: None };
        }
    }

    /// What is left of the window.
    pub(super) fn remaining(&self, limit: Limit) -> u64 {
        limit.points.saturating_sub(self.used)
    }

    /// Nothing is left for so many seconds.
    pub(super) fn exhaust(&mut self, limit: Limit, now: i64, seconds: u64) {
        *self = Self { used: limit.points, reset: now + seconds as i64, told: None };
    }
}

/// Until when an account was told to be silent, by either kind of limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silence {
    pub(super) until: Instant,
    /// The status that tells of it.
    pub(super) status: u16,
}

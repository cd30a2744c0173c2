//! What a run has asked of GitHub so far.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

/// Requests, points and waiting.
#[derive(Debug)]
pub(super) struct Spent {
    /// Requests by API.
    pub(super) graphql: AtomicU64,
    pub(super) rest: AtomicU64,
    /// Those that came to nothing, by the reason.
    pub(super) limited: AtomicU64,
    pub(super) too_much: AtomicU64,
    pub(super) passing: AtomicU64,
    pub(super) points: AtomicU64,
    /// Milliseconds that somebody waited for points, or since GitHub said so.
    pub(super) waited: AtomicU64,
    /// When GitHub answered last.
    answered: Mutex<Instant>,
}

impl Spent {
    pub(super) fn new() -> Self {
        let none = || AtomicU64::new(0);
        Self {
            graphql: none(),
            rest: none(),
            limited: none(),
            too_much: none(),
            passing: none(),
            points: none(),
            waited: none(),
            answered: Mutex::new(Instant::now()),
        }
    }

    /// Somebody waited for points, or since GitHub said so.
    pub(super) fn wait(&self, waited: Duration) {
        self.waited.fetch_add(waited.as_millis() as u64, Relaxed);
    }

    /// An answer came, and cost so much.
    pub(super) fn answer(&self, points: u64) {
        self.points.fetch_add(points, Relaxed);
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// When the last answer came; the beginning, where none did.
    pub(super) fn answered_at(&self) -> Instant {
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All requests.
    pub(super) fn requests(&self) -> u64 {
        self.graphql.load(Relaxed) + self.rest.load(Relaxed)
    }
}

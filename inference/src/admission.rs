//! Who may come in: a bound on the requests that are in the house at one time, over both ports.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use tokio::sync::Semaphore;

use crate::{config::Limits, error::Error};

/// The bound, shared by both ports. A request takes a place when its head arrives and leaves it with its answer, so
/// the bodies in memory are bounded too. Health and readiness are not behind it: a full server is not a dead one.
#[derive(Clone, Debug)]
pub struct Gate {
    places: Arc<Semaphore>,
    limit: usize,
    request_time: Duration,
}

impl Gate {
    /// A gate with all of its places free.
    pub fn new(limits: &Limits) -> Self {
        Self {
            places: Arc::new(Semaphore::new(limits.in_flight)),
            limit: limits.in_flight,
            request_time: limits.request_time,
        }
    }

    /// How many requests are in the house.
    pub fn in_flight(&self) -> usize {
        self.limit - self.places.available_permits()
    }

    /// Answers the request while holding a place; refuses at once where there is none.
    async fn pass(&self, request: Request, next: Next) -> Result<Response, Error> {
        let _place = self.places.try_acquire().map_err(|_| Error::Busy { limit: self.limit })?;
        tokio::time::timeout(self.request_time, next.run(request))
            .await
            .map_err(|_| Error::TooSlow { limit: self.request_time })
    }
}

/// A gate and how a refusal looks on this port.
#[derive(Clone, Debug)]
pub struct Door {
    /// The gate behind it.
    pub gate: Gate,
    /// Makes the answer of a refusal.
    pub refuse: fn(Error) -> Response,
}

/// The middleware: `axum::middleware::from_fn_with_state(door, admit)`.
pub async fn admit(State(door): State<Door>, request: Request, next: Next) -> Response {
    door.gate.pass(request, next).await.unwrap_or_else(door.refuse)
}

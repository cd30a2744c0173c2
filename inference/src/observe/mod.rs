//! What the service tells of itself: figures for Prometheus, the last answers, and how far what is scored has drifted from
//! what the model has learnt from.
//!
//! An answer is told to one [`Observer`], which costs it a few counters. What takes more, the spread of the features and the
//! list of answers, is done for so many a second and passed over for the rest; what a second model makes of it is found out elsewhere.

mod comparison;
mod drift;
mod metrics;
mod recent;
mod shadow;

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, TryLockError},
    time::SystemTime,
};

use prowl_proto::v1;

use self::{
    drift::{Drift, Drifts},
    metrics::Metrics,
    recent::Recent,
};
pub(crate) use self::{metrics::Method, shadow::Shadow};
use crate::{
    config::Shadowing,
    engine::{Answer, Engine},
};

/// Cheap to clone; every clone sees the same.
#[derive(Clone)]
pub(crate) struct Observer {
    shared: Arc<Shared>,
}

struct Shared {
    metrics: Metrics,
    drift: Drift,
    recent: Recent,
    shadow: Option<Shadow>,
}

/// How full the house is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct House {
    /// Requests in it.
    pub(crate) in_flight: usize,
    /// Most that may be.
    pub(crate) limit: usize,
    /// Requests that wait before it.
    pub(crate) waiting: usize,
}

impl Observer {
    /// One that has seen nothing yet.
    ///
    /// # Errors
    /// The thread of the shadow cannot be started.
    pub(crate) fn new(shadowing: Option<Shadowing>) -> io::Result<Self> {
        let metrics = Metrics::new();
        let shadow = shadowing.map(|shadowing| Shadow::start(shadowing, metrics.registry())).transpose()?;
        let shared = Shared { metrics, drift: Drift::default(), recent: Recent::default(), shadow };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Counts an answer of `engine`, and gives what the caller gets of it.
    pub(crate) fn answered(&self, engine: &Engine, answer: Answer) -> v1::ScoreResponse {
        self.shared.metrics.answered(&answer.response);
        self.shared.recent.keep(&answer);
        let Answer { response, vector, is_past, .. } = answer;
        if response.band() != v1::Band::Unspecified {
            // What a history counts of later days looks like drift, and is none.
            if !is_past {
                self.shared.drift.count(engine, &vector.values);
            }
            if let Some(shadow) = &self.shared.shadow {
                shadow.offer(engine, &response, vector);
            }
        }
        response
    }

    /// Counts of calls, by method and outcome.
    pub(crate) fn calls(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// The last answers, the newest first.
    pub(crate) fn recent(&self) -> recent::Told {
        self.shared.recent.tell()
    }

    /// How far the features have moved, the farthest first.
    pub(crate) fn drift(&self, engine: &Engine) -> Drifts {
        self.shared.drift.tell(engine)
    }

    /// The second model, where one is asked for.
    pub(crate) fn shadow(&self) -> Option<&Shadow> {
        self.shared.shadow.as_ref()
    }

    /// All figures in Prometheus' text form.
    pub(crate) fn text(&self, engine: Option<&Engine>, house: House) -> String {
        if let Some(engine) = engine {
            self.shared.metrics.engine(engine, &self.shared.drift.tell(engine), SystemTime::now());
        }
        if let Some(shadow) = &self.shared.shadow {
            shadow.export();
        }
        self.shared.metrics.text(house)
    }
}

/// What a lock guards, unless somebody else holds it: nobody who answers a call waits.
fn at_hand<T>(guarded: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match guarded.try_lock() {
        Ok(held) => Some(held),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

//! Whether the server is ready, told the same way on both ports.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use arc_swap::ArcSwapOption;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{engine::Engine, error::Error};

/// The services whose health is reported: the server as a whole, and those that score.
const SERVICES: [&str; 3] = ["", "prowl.v1.Scoring", "inference.GRPCInferenceService"];

/// Where the server stands between its start and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The model is being loaded.
    Loading,
    /// Requests are answered.
    Ready,
    /// It is about to end; requests are still answered, but new ones should go elsewhere.
    Draining,
}

/// The engine, once there is one, and what is said of it.
#[derive(Clone, Debug)]
pub(crate) struct Readiness {
    shared: Arc<Shared>,
    health: HealthReporter,
}

#[derive(Debug, Default)]
struct Shared {
    engine: ArcSwapOption<Engine>,
    draining: AtomicBool,
}

impl Readiness {
    /// Not ready yet; `health` says so from now on.
    pub(crate) async fn new(health: HealthReporter) -> Self {
        let readiness = Self { shared: Arc::default(), health };
        readiness.report(ServingStatus::NotServing).await;
        readiness
    }

    /// Lets requests in, or has those that come from now on answered by another engine. Those in flight are answered by the one
    /// that they began with.
    pub(crate) async fn serve(&self, engine: Engine) {
        let first = self.shared.engine.swap(Some(Arc::new(engine))).is_none();
        if first && !self.shared.draining.load(Ordering::Acquire) {
            self.report(ServingStatus::Serving).await;
        }
    }

    /// Says that new requests should go elsewhere.
    pub(crate) async fn drain(&self) {
        self.shared.draining.store(true, Ordering::Release);
        self.report(ServingStatus::NotServing).await;
    }

    /// Ends the streams of those who watch the health, which would keep their connections open for ever.
    pub(crate) async fn forget(&self) {
        for service in SERVICES {
            self.health.clone().clear_service_status(service).await;
        }
    }

    /// Where the server stands.
    pub(crate) fn phase(&self) -> Phase {
        if self.shared.draining.load(Ordering::Acquire) {
            Phase::Draining
        } else if self.shared.engine.load().is_some() {
            Phase::Ready
        } else {
            Phase::Loading
        }
    }

    /// What answers a request: it stays, whatever is served from now on.
    ///
    /// # Errors
    /// [`Error::NotReady`] before a model is loaded.
    pub(crate) fn engine(&self) -> Result<Arc<Engine>, Error> {
        self.shared.engine.load_full().ok_or(Error::NotReady)
    }

    async fn report(&self, status: ServingStatus) {
        for service in SERVICES {
            self.health.set_service_status(service, status).await;
        }
    }
}

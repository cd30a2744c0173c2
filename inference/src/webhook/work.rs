//! What is done for one delivery: its pull request is scored, and where GitHub may be asked, with its files and for a check run.

use std::{sync::Arc, time::Duration};

use prowl_platform::github::Failure;
use serde_json::{Map, Value};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::{
    check_run::Output,
    delivery::Delivery,
    github::{GitHub, Put, Session},
    queue::Queue,
};
use crate::{engine::Asked, error::Error, observe::Observer, readiness::Readiness, scorer::Scorer};

/// Works on what waits.
pub(super) struct Worker {
    pub(super) queue: Arc<Queue>,
    pub(super) github: GitHub,
    pub(super) readiness: Readiness,
    pub(super) scorer: Scorer,
    pub(super) observer: Observer,
    /// How long one delivery may take, with all that is tried again.
    pub(super) patience: Duration,
}

impl Worker {
    /// Works until no more come.
    pub(super) async fn run(self: Arc<Self>) {
        while let Some(delivery) = self.queue.next().await {
            let (worker, given) = (Arc::clone(&self), Arc::clone(&delivery));
            // In a task of its own, so that not even a panic keeps the next one from being worked on.
            let work = AbortOnDropHandle::new(tokio::spawn(async move { worker.work(&given).await }));
            let put = work.await.unwrap_or_else(|panic| Err(panic.to_string()));
            self.queue.done(&delivery, put.is_err());
            let Delivery { name, id, request_id, .. } = &*delivery;
            match put {
                Ok(None) => {
                    self.observer.calls().check_run("none");
                    tracing::debug!(pull_request = %name, delivery = id, request_id, "scored");
                }
                Ok(Some(put)) => {
                    self.observer.calls().check_run(put.as_str());
                    tracing::debug!(pull_request = %name, delivery = id, request_id, check_run = put.as_str(), "checked");
                }
                Err(error) => {
                    self.observer.calls().check_run("failed");
                    let said = "a delivery of GitHub's came to nothing: deliver it again once the cause is mended";
                    tracing::warn!(pull_request = %name, delivery = id, request_id, error, "{said}");
                }
            }
        }
    }

    /// What became of the check run; `None` where none is asked for.
    async fn work(&self, delivery: &Delivery) -> Result<Option<Put>, String> {
        let until = Instant::now() + self.patience;
        let told = |error: Error| error.to_string();
        let session = self.github.session(delivery, until).await.map_err(|failure| failure.to_string())?;
        let Some(session) = session else {
            self.score(delivery.document.get().to_owned()).await.map_err(told)?;
            return Ok(None);
        };
        let failed = |failure: Failure| session.explain(&failure);
        let document = with_files(delivery, &session).await.map_err(failed)?;
        let output = self.score(document).await.map_err(told)?;
        session.put(&output).await.map(Some).map_err(failed)
    }

    async fn score(&self, document: String) -> Result<Output, Error> {
        let engine = self.readiness.engine()?;
        let response = self.scorer.score(&engine, Asked::Json(document.into())).await?;
        Ok(Output::of(&response, &engine.known_to()))
    }
}

/// The pull request with its files, which a delivery does not hold.
async fn with_files(delivery: &Delivery, session: &Session<'_>) -> Result<String, Failure> {
    let files = session.files().await?;
    let unreadable = |error: serde_json::Error| Failure::lasting(error.to_string());
    let mut document: Map<String, Value> = serde_json::from_str(delivery.document.get()).map_err(unreadable)?;
    document.insert("files".to_owned(), serde_json::to_value(files).map_err(unreadable)?);
    serde_json::to_string(&document).map_err(unreadable)
}

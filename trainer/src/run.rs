//! The whole of `prowl-trainer train`: reads a run, learns, publishes.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use prowl_model::{Details, Model, digest};
use prowl_platform::{Draft, Folder, Input, Kind, Store, shutdown};
use serde_json::json;
use tracing::{Instrument, info_span};

use crate::args::TrainConfig;
use crate::progress::Progress;
use crate::report::Report;
use crate::{Dataset, Origin, Settings, TrainError, learn, onnx, profiles, read};

/// A model that was published.
#[derive(Debug)]
pub struct Published {
    /// Its folder.
    pub folder: Folder,
    /// The model.
    pub model: Model,
    /// Hexadecimal SHA-256 of the model file.
    pub digest: String,
    /// Seconds that it took.
    pub seconds: f64,
}

impl Published {
    /// The figures.
    pub fn report(&self) -> Report<'_> {
        Report::new(&self.model, self.folder.url().to_string(), self.digest.clone(), self.seconds)
    }
}

/// Trains a model and publishes it. SIGTERM and SIGINT end it within a step of the work; then, as after any error,
/// nothing of it stays in the store.
///
/// # Errors
/// See [`TrainError`].
#[tracing::instrument(skip_all)]
pub async fn train(config: &TrainConfig) -> Result<Published, TrainError> {
    let start = Instant::now();
    let signal = shutdown::signal();
    let store = Store::connect(&config.store).await?;
    let run = store.folder(Kind::Features, &config.features).await?;
    // A store that cannot be written is found out before the work, not after it.
    let mut draft = store.draft(Kind::Models).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let made = tokio::select! {
        made = make(&run, &config.settings, &mut draft, Arc::clone(&stop)) => made,
        name = signal => {
            tracing::warn!(signal = name, "stopping");
            stop.store(true, Ordering::Relaxed);
            Err(TrainError::Stopped)
        }
    };
    let (model, bytes) = match made {
        Ok(made) => made,
        Err(error) => {
            draft.discard().await;
            return Err(error);
        }
    };
    let digest = digest(&bytes);
    let metadata = model.metadata();
    let inputs = vec![Input {
        kind: Kind::Features.to_string(),
        name: run.name().to_owned(),
        digest: Some(run.digest().to_owned()),
    }];
    let training = &metadata.training;
    let counts = BTreeMap::from([
        ("training".to_owned(), training.rows),
        ("validation".to_owned(), training.validation_rows),
        ("test".to_owned(), training.test_rows),
    ]);
    let details = Details {
        features_digest: metadata.features_digest.clone(),
        metrics: metadata.metrics.clone(),
        model_digest: digest.clone(),
        settings: json!(config.settings),
    };
    let folder = draft.publish(inputs, counts, json!(details)).instrument(info_span!("publish")).await?;
    Ok(Published { folder, model, digest, seconds: start.elapsed().as_secs_f64() })
}

/// Reads and learns, and writes the model and its profiles into the draft.
async fn make(
    run: &Folder,
    settings: &Settings,
    draft: &mut Draft,
    stop: Arc<AtomicBool>,
) -> Result<(Model, Bytes), TrainError> {
    let data = read::read(run).instrument(info_span!("read")).await?;
    let origin =
        Origin { run: run.name().to_owned(), run_digest: run.digest().to_owned(), version: draft.name().to_owned() };
    let model = learn_until(data, settings.clone(), origin, stop).await?;
    let bytes = Bytes::from(model.to_bytes()?);
    draft.put(prowl_model::FILE_NAME, bytes.clone()).await?;
    draft.put(onnx::FILE_NAME, Bytes::from(onnx::to_bytes(&model))).await?;
    profiles::copy(run, draft).await?;
    Ok((model, bytes))
}

/// Learns on a thread of its own, so that a signal is heard. The thread looks at `stop` after each step.
async fn learn_until(
    data: Dataset,
    settings: Settings,
    origin: Origin,
    stop: Arc<AtomicBool>,
) -> Result<Model, TrainError> {
    let span = info_span!("learn");
    let learning = tokio::task::spawn_blocking(move || {
        let _learning = span.entered();
        let mut progress = Progress::new(&settings);
        let learnt = learn(&data, &settings, origin, &mut |step| {
            progress.show(step);
            if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        progress.finish();
        learnt
    });
    learning.await.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))
}

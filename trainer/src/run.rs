//! The whole of `prowl-trainer train`: reads a run, learns, publishes.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use prowl_model::{Details, Model, digest};
use prowl_platform::{Draft, Folder, Input, Kind, Manifest, Secrets, Store, shutdown};
use serde_json::json;
use tracing::{Instrument, info_span};

use crate::args::TrainConfig;
use crate::backtest::{self, Backtest};
use crate::feedback::Feedback;
use crate::findings::{Course, Findings};
use crate::mlflow::{self, Beginning, Ended, Logged, Losses, MlflowError, Product, Tracker};
use crate::progress::Progress;
use crate::report::Report;
use crate::{Dataset, Origin, TrainError, card, learn, onnx, page, panel, profiles, read};

/// A model that was published.
#[derive(Debug)]
pub struct Published {
    /// Its folder.
    pub folder: Folder,
    /// The model.
    pub model: Model,
    /// Hexadecimal SHA-256 of the model file.
    pub digest: String,
    /// The backtest that came before it, if one did.
    pub backtest: Option<Backtest>,
    /// Seconds that it took.
    pub seconds: f64,
    /// What MLflow has of it, or why it has not; none where it was not to be logged.
    pub mlflow: Option<Result<Logged, MlflowError>>,
}

impl Published {
    /// The figures.
    pub fn report(&self) -> Report<'_> {
        Report::new(&self.model, self.folder.url().to_string(), self.digest.clone(), self.seconds)
    }
}

/// What came of a training.
#[derive(Debug)]
pub enum Trained {
    /// A model.
    Published(Box<Published>),
    /// Nothing: the store has such a model, in this folder.
    NothingNew(Box<Folder>),
    /// Nothing: the store has no features yet.
    NothingYet,
}

/// Trains a model and publishes it. SIGTERM and SIGINT end it within a step of the work; then, as after any error,
/// nothing of it stays in the store.
///
/// # Errors
/// See [`TrainError`].
#[tracing::instrument(skip_all)]
pub async fn train(config: &TrainConfig) -> Result<Trained, TrainError> {
    let start = Instant::now();
    let mut signal = pin!(shutdown::signal());
    let prepared = tokio::select! {
        prepared = prepare(config) => prepared?,
        name = &mut signal => return Err(stopping(name)),
    };
    let Prepared { secrets, store, run } = match prepared {
        Ok(prepared) => prepared,
        Err(nothing) => return Ok(nothing),
    };
    // A store that cannot be written is found out before the work, not after it. A signal waits for this call: cut off, it
    // would leave a folder of which nobody knows.
    let draft = store.draft(Kind::Models).await?;
    let tracked = tokio::select! {
        tracked = track(config, &secrets, &run, draft.name()) => tracked,
        name = &mut signal => Err(stopping(name)),
    };
    let tracker = match tracked {
        Ok(tracker) => tracker,
        Err(error) => {
            draft.discard().await;
            return Err(error);
        }
    };
    let losses = tracker.as_ref().and_then(|tracker| Some(tracker.as_ref().ok()?.losses()));
    let mut made = publish(&store, &run, config, draft, losses, signal).await;
    let seconds = start.elapsed().as_secs_f64();
    let logged = match tracker {
        None => None,
        Some(Err(error)) => Some(Err(error)),
        Some(Ok(tracker)) => {
            let ended = match &made {
                Ok(made) => {
                    Ended::Published(Box::new(Product::new(&made.folder, made.model.metadata(), &made.digest).await))
                }
                Err(TrainError::Stopped) => Ended::Killed,
                Err(error) => Ended::Failed(error.to_string()),
            };
            Some(tracker.finish(ended, shutdown::signal()).instrument(info_span!("mlflow")).await)
        }
    };
    let required = config.mlflow.as_ref().is_some_and(|tracking| tracking.required);
    if let Some(Err(error)) = &logged
        && !(required && made.is_ok())
    {
        tracing::warn!("MLflow does not have all of this training: {error}");
    }
    if let Ok(made) = &mut made {
        made.mlflow = logged;
        made.seconds = seconds;
    }
    made.map(|made| Trained::Published(Box::new(made)))
}

/// What a training starts from.
struct Prepared {
    secrets: Secrets,
    store: Store,
    run: Folder,
}

/// Opens the store and finds the run; or gives what came of the training where there is nothing to train.
async fn prepare(config: &TrainConfig) -> Result<Result<Prepared, Trained>, TrainError> {
    let secrets = Secrets::open(&[&Store::SECRETS[..], &mlflow::SECRETS].concat()).await?;
    let store = Store::open(&config.store, &secrets)?;
    let run = match store.folder(Kind::Features, &config.features).await {
        // A clock starts this before the first features are there, and a failure each hour would be a false alarm.
        Err(error) if config.if_new && config.features == "latest" && error.is_nothing_yet() => {
            return Ok(Err(Trained::NothingYet));
        }
        found => found?,
    };
    if config.if_new
        && let Some(same) = same(&store, &run, config, &secrets).await?
    {
        return Ok(Err(Trained::NothingNew(Box::new(same))));
    }
    Ok(Ok(Prepared { secrets, store, run }))
}

/// The newest model that was made of the same, with the same settings, if MLflow has it, too, as far as it is to.
async fn same(
    store: &Store,
    run: &Folder,
    config: &TrainConfig,
    secrets: &Secrets,
) -> Result<Option<Folder>, TrainError> {
    let inputs = inputs(run, &Feedback::of(store).await?);
    let settings = json!(config.settings);
    let is_same = |model: &Folder| {
        let Manifest { inputs: made_of, details, .. } = model.manifest();
        *made_of == inputs && details.get("settings") == Some(&settings)
    };
    let Some(model) = store.newest(Kind::Models, is_same).await? else { return Ok(None) };
    let Some(tracking) = &config.mlflow else { return Ok(Some(model)) };
    Ok(match mlflow::has(tracking, secrets, model.name()).await {
        None | Some(Ok(true)) => Some(model),
        Some(Ok(false)) => None,
        Some(Err(error)) if tracking.required => return Err(TrainError::Mlflow(error)),
        Some(Err(error)) => {
            tracing::warn!("whether MLflow has the model {} cannot be told: {error}", model.name());
            Some(model)
        }
    })
}

/// What a model is made of, as its manifest tells it.
fn inputs(run: &Folder, feedback: &Feedback) -> Vec<Input> {
    let (name, digest) = (run.name().to_owned(), Some(run.digest().to_owned()));
    let run = Input { kind: Kind::Features.to_string(), name, digest };
    [run].into_iter().chain(feedback.input()).collect()
}

fn stopping(signal: &str) -> TrainError {
    tracing::warn!(signal, "stopping");
    TrainError::Stopped
}

/// Begins to log a training to MLflow, where there is one and it is wanted. That it cannot be used is an error only where
/// it has to be.
async fn track(
    config: &TrainConfig,
    secrets: &Secrets,
    run: &Folder,
    version: &str,
) -> Result<Option<Result<Tracker, MlflowError>>, TrainError> {
    let Some(tracking) = config.mlflow.clone() else { return Ok(None) };
    let required = tracking.required;
    if required {
        secrets.need(mlflow::SECRETS[0])?;
    }
    let beginning = Beginning::new(version, config.store.as_url().as_str(), run, &config.settings, &tracking);
    match Tracker::start(tracking, secrets, beginning).await {
        Some(Err(error)) if required => Err(TrainError::Mlflow(error)),
        started => Ok(started),
    }
}

/// Makes a model, until there is a signal, and publishes it.
async fn publish(
    store: &Store,
    run: &Folder,
    config: &TrainConfig,
    mut draft: Draft,
    losses: Option<Losses>,
    signal: impl Future<Output = &'static str>,
) -> Result<Published, TrainError> {
    let stop = Arc::new(AtomicBool::new(false));
    let made = tokio::select! {
        made = make(store, run, config, &mut draft, losses, Arc::clone(&stop)) => made,
        name = signal => {
            stop.store(true, Ordering::Relaxed);
            Err(stopping(name))
        }
    };
    let (model, digest, backtest, feedback) = match made {
        Ok(made) => made,
        Err(error) => {
            draft.discard().await;
            return Err(error);
        }
    };
    let metadata = model.metadata();
    let training = &metadata.training;
    let counts = BTreeMap::from([
        ("training".to_owned(), training.rows),
        ("validation".to_owned(), training.validation_rows),
        ("test".to_owned(), training.test_rows),
        ("feedback".to_owned(), feedback.rows),
    ]);
    let details = Details {
        features_digest: metadata.features_digest.clone(),
        metrics: metadata.metrics.clone(),
        model_digest: digest.clone(),
        settings: json!(config.settings),
    };
    let folder =
        draft.publish(inputs(run, &feedback), counts, json!(details)).instrument(info_span!("publish")).await?;
    Ok(Published { folder, model, digest, backtest, seconds: 0.0, mlflow: None })
}

/// Reads and learns, and writes the model, its profiles and what there is to say of it into the draft. Gives the model,
/// the digest of its file, the backtest if there was one, and what reviewers said.
async fn make(
    store: &Store,
    run: &Folder,
    config: &TrainConfig,
    draft: &mut Draft,
    losses: Option<Losses>,
    stop: Arc<AtomicBool>,
) -> Result<(Model, String, Option<Backtest>, Feedback), TrainError> {
    let mut feedback = Feedback::of(store).await?;
    let mut progress = Progress::of_parts(&config.settings);
    progress.tick("reading the features");
    let data = read::read(run, config.settings.most_rows, &mut feedback).instrument(info_span!("read")).await?;
    progress.finish();
    let last = last_model(store, &data.features_digest).await;
    let origin =
        Origin { run: run.name().to_owned(), run_digest: run.digest().to_owned(), version: draft.name().to_owned() };
    let learnt = learn_until(data, last, config, origin, losses, stop).await?;
    draft.put(prowl_model::FILE_NAME, learnt.bytes).await?;
    draft.put(onnx::FILE_NAME, Bytes::from(onnx::to_bytes(&learnt.model))).await?;
    profiles::copy(run, draft).await?;
    draft.put(panel::FILE_NAME, learnt.panel.into()).await?;
    draft.put(page::FILE_NAME, learnt.report.into()).await?;
    draft.put(card::FILE_NAME, learnt.card.into()).await?;
    Ok((learnt.model, learnt.digest, learnt.backtest, feedback))
}

/// The newest published model that reads these features, or why there is none. A training does not need it: what is wrong
/// with it is no error here.
async fn last_model(store: &Store, features_digest: &str) -> Result<Model, String> {
    let reads_them = |folder: &Folder| {
        let digest = folder.manifest().details.get("features_digest").and_then(serde_json::Value::as_str);
        digest == Some(features_digest)
    };
    let unusable = |name: &str, error: &dyn std::fmt::Display| {
        tracing::warn!("the report cannot compare with the last model{name}: {error}");
        format!("the last model{name} cannot be used")
    };
    let newest = store.newest(Kind::Models, reads_them).await.map_err(|error| unusable("", &error))?;
    let folder = newest.ok_or_else(|| "the store has no earlier model that reads the same features".to_owned())?;
    let name = format!(" {}", folder.name());
    let bytes = folder.read(prowl_model::FILE_NAME).await.map_err(|error| unusable(&name, &error))?;
    let model = Model::from_bytes(&bytes).map_err(|error| unusable(&name, &error))?;
    // The manifest is only its word.
    let metadata = model.metadata();
    if metadata.features_digest == features_digest {
        Ok(model)
    } else {
        Err(unusable(&name, &"it reads other features"))
    }
}

/// A model, and the files about it.
struct Learnt {
    model: Model,
    /// The model file, and the hexadecimal SHA-256 of it.
    bytes: Bytes,
    digest: String,
    panel: Vec<u8>,
    report: String,
    card: String,
    backtest: Option<Backtest>,
}

/// Learns on a thread of its own, so that a signal is heard. The thread looks at `stop` after each step.
async fn learn_until(
    data: Dataset,
    last: Result<Model, String>,
    config: &TrainConfig,
    origin: Origin,
    losses: Option<Losses>,
    stop: Arc<AtomicBool>,
) -> Result<Learnt, TrainError> {
    let span = info_span!("learn");
    let settings = config.settings.clone();
    let learning = tokio::task::spawn_blocking(move || {
        let _learning = span.entered();
        let watch = || if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        let backtest = settings
            .backtest
            .then(|| backtest::shown(&data, origin.run.clone(), backtest::FOLDS, &settings, &mut || watch()))
            .transpose()?;
        let (mut progress, mut course) = (Progress::of_parts(&settings), Course::default());
        let model = learn(&data, &settings, origin, &mut |step| {
            progress.show(step);
            course.add(step);
            if let Some(losses) = &losses {
                losses.add(step);
            }
            watch()
        });
        progress.finish();
        let mut parts = model?.into_parts();
        parts.metadata.metrics.extend(backtest.iter().flat_map(Backtest::metrics));
        let model = Model::from_parts(parts)?;
        let bytes = Bytes::from(model.to_bytes()?);
        let digest = digest(&bytes);
        progress.tick("report");
        let findings = info_span!("report")
            .in_scope(|| Findings::of(&data, &model, digest.clone(), &settings, course, last, &watch))?;
        let (report, card) = (page::page(&findings), card::card(&findings));
        let panel = panel::to_bytes(&data, &model)?;
        progress.finish();
        Ok(Learnt { model, bytes, digest, panel, report, card, backtest })
    });
    learning.await.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))
}

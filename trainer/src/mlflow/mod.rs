//! Makes a training visible in MLflow: a run with settings, losses and figures, and the model as a version in the registry.
//!
//! The training never waits for MLflow, and what becomes of MLflow changes nothing of the model: calls are made beside the
//! work, are tried again, and have a bound. A version is registered only once all of its files are there.

mod address;
mod api;
mod batch;
mod client;
mod error;
mod facts;
mod losses;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use prowl_platform::Secrets;
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use self::address::Address;
use self::api::{Run, Status};
use self::batch::{Batch, Tag};
use self::client::Client;
use self::losses::Waiting;
pub use error::MlflowError;
pub(crate) use facts::{Beginning, Product};
pub(crate) use losses::Losses;

/// The secrets that lead to MLflow. The second may be missing.
pub(crate) const SECRETS: [&str; 2] = [address::URI, address::TOKEN];

/// What the alias of the newest version is.
const ALIAS: &str = "candidate";
/// Where the model's files lie among the artifacts of its run.
const DIRECTORY: &str = "model";
/// What is said of a registered model that is new.
const ABOUT: &str = "Tells how unusual a pull request is, what kind of change it is, and why. Made by prowl-trainer.";
/// Losses are collected for so long before they are sent.
const PACE: Duration = Duration::from_secs(1);
/// Losses of one call.
const LOSSES: usize = 1000;
/// How long MLflow has when the program was told to end: a supervisor kills it soon.
const KILLED_PATIENCE: Duration = Duration::from_secs(5);
/// How long it has at least for the last call, which says how the run ended.
const LAST_PATIENCE: Duration = Duration::from_secs(3);

/// How a training is logged.
#[derive(Clone, Debug)]
pub struct Tracking {
    /// Name of the experiment.
    pub experiment: String,
    /// Name of the registered model.
    pub model: String,
    /// Whether a training is a failure that MLflow does not have.
    pub required: bool,
    /// How long the end of a training waits for MLflow.
    pub patience: Duration,
    /// The commit that the program was built from, where whoever builds or starts it says so.
    pub commit: Option<String>,
    /// Who trains.
    pub user: Option<String>,
    /// Whether MLflow's own `MLFLOW_TRACKING_URI` is set, which is not looked at.
    pub tracking_uri: bool,
}

/// How a training ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// With a model.
    Published(Box<Product>),
    /// With an error, which is told.
    Failed(String),
    /// By a signal.
    Killed,
}

/// What MLflow has of a training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Logged {
    /// Id of the run.
    pub run: String,
    /// Where a person looks at it.
    pub url: String,
    /// Name of the registered model.
    pub model: String,
    /// Its version; none where there is no model.
    pub version: Option<String>,
}

/// A training that is logged while it goes on.
#[derive(Debug)]
pub(crate) struct Tracker {
    client: Arc<Client>,
    losses: Losses,
    end: oneshot::Sender<Ended>,
    task: JoinHandle<Result<Logged, MlflowError>>,
    patience: Duration,
}

/// Whether MLflow has the model that the store calls `version`; none where there is no `mlflow_uri`.
///
/// # Errors
/// The secrets cannot be used, or MLflow does not answer within the patience of a training's end.
pub(crate) async fn has(tracking: &Tracking, secrets: &Secrets, version: &str) -> Option<Result<bool, MlflowError>> {
    let asked = async |address: Result<Address, MlflowError>| {
        let client = Client::new(address?)?;
        client.end_within(tracking.patience);
        client.has_model_version(&tracking.model, version).await
    };
    Some(asked(Address::of(secrets)?).await)
}

impl Tracker {
    /// Begins a run; none where there is no `mlflow_uri`. Where MLflow is required, it is waited for, and else begun with
    /// beside the work.
    ///
    /// # Errors
    /// The secrets cannot be used, or MLflow is required and does not do it.
    pub(crate) async fn start(
        tracking: Tracking,
        secrets: &Secrets,
        beginning: Beginning,
    ) -> Option<Result<Self, MlflowError>> {
        let Some(address) = Address::of(secrets) else {
            if tracking.tracking_uri && secrets.version().is_none() {
                tracing::info!("MLFLOW_TRACKING_URI is not looked at: to log this training to MLflow, set MLFLOW_URI");
            }
            return None;
        };
        Some(match address {
            Ok(address) => Self::start_at(address, tracking, beginning).await,
            Err(error) => Err(error),
        })
    }

    async fn start_at(address: Address, tracking: Tracking, beginning: Beginning) -> Result<Self, MlflowError> {
        let patience = tracking.patience;
        let client = Arc::new(Client::new(address)?);
        let log = Log { client: Arc::clone(&client), tracking, beginning };
        let mut begun = None;
        if log.tracking.required {
            client.end_within(patience);
            let run = log.begin().await?;
            if let Err(error) = client.artifacts(&run, &log.tracking.experiment) {
                if let Err(open) = client.end_run(&run, Status::Failed, now()).await {
                    tracing::warn!("MLflow goes on showing run {} as running: {open}", run.id);
                }
                return Err(error);
            }
            client.end_never();
            begun = Some(run);
        }
        let (losses, waiting) = losses::channel();
        let (end, ended) = oneshot::channel();
        let task = tokio::spawn(async move { log.follow(begun, waiting, ended).await });
        Ok(Self { client, losses, end, task, patience })
    }

    /// Where the losses of epochs go. All that it gives have to be dropped before [`Tracker::finish`].
    pub(crate) fn losses(&self) -> Losses {
        self.losses.clone()
    }

    /// Logs how the training ended, and all that is still to be logged. `hurry` cuts it short.
    ///
    /// # Errors
    /// MLflow does not have all of it.
    pub(crate) async fn finish(self, ended: Ended, hurry: impl Future) -> Result<Logged, MlflowError> {
        let Self { client, losses, end, mut task, patience } = self;
        let patience = if matches!(ended, Ended::Killed) { patience.min(KILLED_PATIENCE) } else { patience };
        client.end_within(patience);
        drop(losses);
        // Whoever does not take it has ended with an error.
        let _ = end.send(ended);
        let mut hurried = false;
        let mut hurry = pin!(hurry);
        let logged = loop {
            tokio::select! {
                logged = &mut task => break logged,
                _ = &mut hurry, if !hurried => {
                    hurried = true;
                    client.end_within(Duration::ZERO);
                }
            }
        };
        let logged = logged.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()));
        match logged {
            Err(_) if hurried => Err(MlflowError::Stopped { host: client.address().host() }),
            logged => logged,
        }
    }
}

/// The side that talks to MLflow.
struct Log {
    client: Arc<Client>,
    tracking: Tracking,
    beginning: Beginning,
}

impl Log {
    async fn begin(&self) -> Result<Run, MlflowError> {
        let experiment = self.client.experiment(&self.tracking.experiment).await?;
        let Beginning { version, .. } = &self.beginning;
        let run = self.client.create_run(&experiment, version, now(), self.beginning.tags()).await?;
        tracing::info!("MLflow shows this training at {}", self.client.address().page(&run.experiment, &run.id));
        Ok(run)
    }

    /// From the beginning of the run, if it was not begun, to its end.
    async fn follow(
        self,
        begun: Option<Run>,
        waiting: Waiting,
        ended: oneshot::Receiver<Ended>,
    ) -> Result<Logged, MlflowError> {
        let run = match begun {
            Some(run) => run,
            None => self.begin().await?,
        };
        let while_it_ran = self.log_losses(&run, waiting).await;
        // Nobody tells the end of a training that panicked.
        let ended = ended.await.unwrap_or(Ended::Killed);
        let (status, version) = match (&ended, while_it_ran) {
            (Ended::Published(product), Ok(())) => (Status::Finished, self.publish(&run, product).await.map(Some)),
            (Ended::Published(_), Err(error)) => (Status::Finished, Err(error)),
            (Ended::Failed(error), logged) => {
                let tags = Batch { tags: vec![Tag::new("prowl.error", error)], ..Batch::default() };
                let logged = match logged {
                    Ok(()) => self.client.log(&run, &tags).await,
                    failed => failed,
                };
                (Status::Failed, logged.map(|()| None))
            }
            (Ended::Killed, logged) => (Status::Killed, logged.map(|()| None)),
        };
        // However it went so far, how the run ended is worth another try.
        if version.is_err() {
            self.client.end_within(LAST_PATIENCE);
        }
        let closed = self.client.end_run(&run, status, now()).await;
        let version = version?;
        closed?;
        let url = self.client.address().page(&run.experiment, &run.id);
        Ok(Logged { run: run.id, url, model: self.tracking.model, version })
    }

    /// Logs settings and data, and then losses, as they come, until no more will come.
    async fn log_losses(&self, run: &Run, mut waiting: Waiting) -> Result<(), MlflowError> {
        for batch in self.beginning.params().split() {
            self.client.log(run, &batch).await?;
        }
        self.client.log_dataset(run, self.beginning.dataset()).await?;
        loop {
            let mut metrics = Vec::new();
            if waiting.metrics.recv_many(&mut metrics, LOSSES).await == 0 {
                break;
            }
            self.client.log(run, &Batch { metrics, ..Batch::default() }).await?;
            self.client.pause(PACE).await;
        }
        let lost = waiting.lost.load(Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!("{lost} losses of epochs are not in MLflow: it was away, or too slow for them");
        }
        Ok(())
    }

    /// Logs the figures and stores the files; then, when all are there, registers them. Gives the version.
    async fn publish(&self, run: &Run, product: &Product) -> Result<String, MlflowError> {
        let Self { client, tracking: Tracking { experiment, model, .. }, .. } = self;
        let (batch, left_out) = product.batch(now());
        if !left_out.is_empty() {
            tracing::warn!("left out of MLflow, since these metrics are no finite numbers: {}", left_out.join(", "));
        }
        for batch in batch.split() {
            client.log(run, &batch).await?;
        }
        let files = product.folder.files("").map(|entry| entry.path.as_str());
        let artifacts = client.artifacts(run, experiment)?;
        for file in files.chain(["manifest.json"]) {
            let at = artifacts.iter().copied().chain([DIRECTORY]).chain(file.split('/'));
            client.upload(at, &product.folder, file).await?;
        }
        client.registered_model(model, ABOUT).await?;
        let version = client.model_version(run, DIRECTORY, model, &product.description, &product.tags).await?;
        client.alias(model, ALIAS, &version).await?;
        Ok(version)
    }
}

/// Milliseconds since 1970 UTC.
fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

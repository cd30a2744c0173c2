//! From a published folder to an engine: nothing is trusted before it is verified.

use std::{sync::mpsc, thread, time::Instant};

use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use prowl_features::Profiles;
use prowl_model::{ArtifactError, Model};
use prowl_platform::{Folder, Kind, Manifest, Store};
use serde_json::json;

use crate::{
    engine::{Engine, Past},
    error::Error,
};

const PROFILES: &str = "profiles.parquet";

/// Rows of profiles that are decoded at a time, and how many such batches may wait.
const ROWS: usize = 8_192;
const BATCHES: usize = 2;

/// Why a model cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store has no such model, or it is not the one that was published.
    #[error(transparent)]
    Store(#[from] prowl_platform::Error),
    /// The model file cannot be used.
    #[error("cannot serve {folder}: {fault}")]
    Artifact {
        /// URL of the model's folder.
        folder: String,
        /// What is wrong with it. It stands in the sentence, so it is no source: who prints the chain would say it twice.
        fault: ArtifactError,
    },
    /// The folder lies under another name than it was published under, so that its name would not tell which model it is.
    #[error(
        "cannot serve {folder}: it was published as {name}, and a published folder keeps its name: give it that name \
         again, or serve the original with --model {name}"
    )]
    Renamed {
        /// URL of the folder as it is found.
        folder: String,
        /// What its manifest calls it.
        name: String,
    },
    /// The manifest and the model beside it contradict each other.
    #[error(
        "cannot serve {folder}: `details.{field}` of its manifest.json is not that of {}, so it was changed after it was \
         published; train the model again with `prowl-trainer train`",
        prowl_model::FILE_NAME
    )]
    Manifest {
        /// URL of the model's folder.
        folder: String,
        /// The field below `details`.
        field: &'static str,
    },
    /// The model reads other features than this program computes.
    #[error(
        "cannot serve {folder}: it reads the features {theirs} and this program computes {ours}: train a model on a \
         features run of this version, or run the version that trained it"
    )]
    Features {
        /// URL of the model's folder.
        folder: String,
        /// Digest of the model's list of features.
        theirs: String,
        /// Digest of this program's list of features.
        ours: String,
    },
    /// The profiles cannot be used.
    #[error("cannot serve {folder}: {file} is damaged: {reason}; make the folder again")]
    Profiles {
        /// URL of the model's folder.
        folder: String,
        /// The file that holds them.
        file: String,
        /// What is wrong with them.
        reason: String,
    },
    /// The model is whole, and still gives no number.
    #[error("cannot serve {folder}: {fault}; train the model again with `prowl-trainer train`")]
    WarmUp {
        /// URL of the model's folder.
        folder: String,
        /// What the first scores gave.
        fault: Error,
    },
}

/// Reads the model `name` (or `latest`) from the store, verifies every byte of it, and warms it up.
///
/// # Errors
/// [`LoadError`]: each names the folder and says what to do.
pub async fn load(store: &Store, name: &str, reasons: usize) -> Result<Engine, LoadError> {
    load_folder(&store.folder(Kind::Models, name).await?, reasons).await
}

/// The same with a folder that was found.
///
/// # Errors
/// [`LoadError`].
pub(crate) async fn load_folder(folder: &Folder, reasons: usize) -> Result<Engine, LoadError> {
    read(folder, true, reasons).await
}

/// The same without histories and reasons: one that judges what another has looked up.
///
/// # Errors
/// [`LoadError`].
pub(crate) async fn load_shadow(folder: &Folder) -> Result<Engine, LoadError> {
    read(folder, false, 0).await
}

/// Reads the model of a folder, with or without its histories.
#[tracing::instrument(name = "load", skip_all)]
async fn read(folder: &Folder, histories: bool, reasons: usize) -> Result<Engine, LoadError> {
    let began = Instant::now();
    if folder.manifest().name != folder.name() {
        let (folder, name) = (folder.url().to_string(), folder.manifest().name.clone());
        return Err(LoadError::Renamed { folder, name });
    }
    let judging = async {
        let artifact = folder.read(prowl_model::FILE_NAME).await?;
        let (url, manifest) = (folder.url().to_string(), folder.manifest().clone());
        aside(move || read_model(&url, &manifest, &artifact)).await
    };
    let remembering = async {
        if !histories {
            return Ok(Profiles::default());
        }
        let bytes = folder.read(PROFILES).await?;
        let read = aside(move || {
            let mut profiles = Profiles::default();
            read_profiles(bytes, &mut profiles).map(|()| profiles)
        });
        read.await.map_err(|reason| LoadError::Profiles {
            folder: folder.url().to_string(),
            file: PROFILES.to_owned(),
            reason,
        })
    };
    // Each takes a while, so that they are read side by side.
    let ((model, digest), profiles) = tokio::try_join!(judging, remembering)?;
    let past = Past { run: model.metadata().training.run.clone(), profiles };
    let name = folder.name().to_owned();
    let engine = aside(move || {
        let engine = Engine::new(model, name, digest, past, reasons);
        engine.warm_up().map(|()| engine)
    });
    let engine = engine.await.map_err(|fault| LoadError::WarmUp { folder: folder.url().to_string(), fault })?;
    tracing::info!(
        model = folder.name(),
        digest = engine.id().digest,
        repositories = engine.past().profiles.len(),
        milliseconds = began.elapsed().as_millis() as u64,
        "model loaded"
    );
    Ok(engine)
}

/// Works on another thread: minutes of it for a large store would otherwise keep one from answering health checks.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

/// Reads what a features run knows of the past.
///
/// # Errors
/// [`LoadError::Store`] or [`LoadError::Profiles`].
#[tracing::instrument(skip_all)]
pub(crate) async fn load_past(run: &Folder) -> Result<Past, LoadError> {
    let mut profiles = Profiles::default();
    let names: Vec<String> = run.files("profiles/part-").map(|entry| entry.path.clone()).collect();
    for name in names {
        let part = run.read(&name).await?;
        let read = aside(move || {
            let mut profiles = profiles;
            read_profiles(part, &mut profiles).map(|()| profiles)
        })
        .await;
        let folder = run.url().to_string();
        profiles = read.map_err(|reason| LoadError::Profiles { folder, file: name.clone(), reason })?;
    }
    Ok(Past { run: run.name().to_owned(), profiles })
}

/// The model, and the digest of its file.
fn read_model(folder: &str, manifest: &Manifest, artifact: &[u8]) -> Result<(Model, String), LoadError> {
    let model =
        Model::from_bytes(artifact).map_err(|fault| LoadError::Artifact { folder: folder.to_owned(), fault })?;
    let digest = prowl_model::digest(artifact);
    agree(manifest, &model, &digest).map_err(|field| LoadError::Manifest { folder: folder.to_owned(), field })?;
    let (theirs, ours) = (&model.metadata().features_digest, prowl_features::digest());
    if *theirs != ours {
        return Err(LoadError::Features { folder: folder.to_owned(), theirs: theirs.clone(), ours });
    }
    Ok((model, digest))
}

/// What the manifest says of the model must be what the model says; the error is the first field that is not.
fn agree(manifest: &Manifest, model: &Model, digest: &str) -> Result<(), &'static str> {
    let metadata = model.metadata();
    let stated = [
        ("features_digest", json!(metadata.features_digest)),
        ("metrics", json!(metadata.metrics)),
        ("model_digest", json!(digest)),
    ];
    match stated.iter().find(|(field, value)| manifest.details[field] != *value) {
        Some((field, _)) => Err(*field),
        None => Ok(()),
    }
}

/// Adds one file of profiles to those that were read. While some rows are added the next are decoded.
fn read_profiles(bytes: Bytes, profiles: &mut Profiles) -> Result<(), String> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
        .and_then(|builder| builder.with_batch_size(ROWS).build())
        .map_err(|error| error.to_string())?;
    let (decoded, batches) = mpsc::sync_channel(BATCHES);
    thread::scope(|scope| {
        let decoding = thread::Builder::new().spawn_scoped(scope, move || {
            for batch in reader {
                // Nobody takes more of a file that cannot be used.
                if decoded.send(batch).is_err() {
                    break;
                }
            }
        });
        decoding.map_err(|error| error.to_string())?;
        for batch in batches {
            let batch = batch.map_err(|error| error.to_string())?;
            prowl_features::push_batch(profiles, &batch).map_err(|error| error.to_string())?;
        }
        Ok(())
    })
}

//! Why there is no model.

/// What keeps the trainer from making a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The features run is too small.
    #[error(
        "the features run holds too few pull requests to learn what is usual: {found}, and it takes {needed}; export more \
         and run prowl-preprocess again"
    )]
    TooFewRows {
        /// Rows of the run.
        found: usize,
        /// Rows that are needed.
        needed: usize,
    },
    /// No feature is known for any pull request of the training slice.
    #[error(
        "no feature is known for any of the {rows} pull requests of the training slice: is this the right features run?"
    )]
    NothingKnown {
        /// Rows of the training slice.
        rows: usize,
    },
    /// The loss became infinite or no number.
    #[error("the loss is no number any more in epoch {epoch}: lower --learning-rate")]
    Diverged {
        /// The epoch.
        epoch: usize,
    },
    /// The caller broke off.
    #[error("training was stopped before it was done: no model was written")]
    Stopped,
    /// A file of the features run is not what a features run holds.
    #[error("{file} of the features run is not usable: {problem}; make the run again with prowl-preprocess")]
    File {
        /// Path within the run.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// The parts of a run were made from different lists of features.
    #[error(
        "{file} holds features {found}, and {other} says {expected}: files of different versions were mixed; make the run \
         again with prowl-preprocess"
    )]
    MixedFeatures {
        /// Path within the run.
        file: String,
        /// Digest of the file.
        found: String,
        /// What was read before it.
        other: String,
        /// Digest that was read before.
        expected: String,
    },
    /// What was learnt makes no model.
    #[error(transparent)]
    Artifact(#[from] prowl_model::ArtifactError),
    /// MLflow is required, and was found to be of no use before the work.
    #[error("nothing was trained, since --require-mlflow is given: {0}")]
    Mlflow(crate::mlflow::MlflowError),
    /// MLflow is required, and does not have the model.
    #[error(
        "the model is published at {url} and stays there, but MLflow does not have it, which --require-mlflow asks for"
    )]
    NotLogged {
        /// The model.
        url: String,
        /// Why not.
        source: crate::mlflow::MlflowError,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] prowl_platform::Error),
}

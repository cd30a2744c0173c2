//! `panel.json`: some of the newest pull requests as feature vectors, and what the model makes of each. By it the gate of a new
//! version sees whether a service gives, to the bit, what the model gave when it was trained.

use prowl_model::{Model, Vector};
use serde::Serialize;

use crate::{Dataset, TrainError};

/// Name of the file in the folder of a model.
pub(crate) const FILE_NAME: &str = "panel.json";

/// How many there are, and of how many of the newest they are taken.
const ROWS: usize = 64;
const NEWEST: usize = 4_096;

#[derive(Serialize)]
struct Panel<'a> {
    /// What the columns of `features` are.
    features_digest: &'a str,
    rows: Vec<Row<'a>>,
}

/// One of them; null where unknown. In JSON, the shortest digits that lead back to the same float32.
#[derive(Serialize)]
struct Row<'a> {
    repository: &'a str,
    features: Vec<Option<f32>>,
    score: f32,
    percentile: f32,
    risk: Option<f32>,
}

/// The text of the file. A vector by itself has no words, so none are judged here.
///
/// # Errors
/// The model reads other features than those of the data.
pub(crate) fn to_bytes(data: &Dataset, model: &Model) -> Result<Vec<u8>, TrainError> {
    let churn = data.features.iter().position(|feature| feature.name == "churn");
    // A service judges none of which it knows no size.
    let has_size = |row: &usize| churn.is_none_or(|churn| data.row(*row)[churn].is_finite());
    let newest: Vec<usize> = data.by_time().iter().rev().take(NEWEST).copied().filter(has_size).collect();
    let step = newest.len().div_ceil(ROWS).max(1);
    let chosen: Vec<usize> = newest.into_iter().step_by(step).collect();
    let vectors = chosen.iter().map(|row| Vector {
        values: data.row(*row),
        tokens: &[],
        kind_tokens: &[],
        repository: Some(data.repository(*row)),
    });
    let scores = model
        .score_all(&vectors.collect::<Vec<_>>())
        .map_err(|error| TrainError::File { file: "the list of features".to_owned(), problem: error.to_string() })?;
    let rows = chosen.iter().zip(scores).map(|(row, score)| Row {
        repository: data.repository(*row),
        features: data.row(*row).iter().map(|value| Some(*value).filter(|value| value.is_finite())).collect(),
        score: score.anomaly,
        percentile: score.percentile,
        risk: score.risk,
    });
    let panel = Panel { features_digest: &data.features_digest, rows: rows.collect() };
    Ok(serde_json::to_vec(&panel).expect("texts and numbers have a form in JSON"))
}

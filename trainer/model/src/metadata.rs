//! What a model says of itself: the JSON under the key `prowl` of the model file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Band, ClusterInfo, RiskInfo};

/// The newest layout of the model file that this version writes and reads.
pub const SCHEMA: u32 = 4;

/// Where more than so many times the share that [`Bands`] call unusual is so among newer rows, what is usual has changed.
pub const DRIFTED: f64 = 2.0;

/// What a model is, what it reads and what it was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Where the bands begin.
    pub bands: Bands,
    /// The categories that the head predicts, in the order of [`Score::categories`](crate::Score::categories); empty
    /// without a head.
    pub categories: Vec<String>,
    /// Groups of pull requests that declare no category, the largest first; empty where none were found.
    #[serde(default)]
    pub clusters: Vec<ClusterInfo>,
    /// What the model reads, in the order of the feature vector.
    pub features: Vec<FeatureInfo>,
    /// Hexadecimal SHA-256 of the list of features; a vector made by another list must not be scored.
    pub features_digest: String,
    /// What was measured in training, by name.
    pub metrics: BTreeMap<String, f64>,
    /// Heads that this model has not, by name (`category`, `clusters`, `risk`), each with the reason.
    pub missing_heads: BTreeMap<String, String>,
    /// Repositories that have percentiles of their own, in order.
    pub repositories: Vec<String>,
    /// What the risk head says of itself; `None` without a head.
    #[serde(default)]
    pub risk: Option<RiskInfo>,
    /// Layout of the file.
    pub schema: u32,
    /// What it was trained on.
    pub training: Training,
    /// Name of the model's folder in the store, a UTC time such as `20261124T214500Z`.
    pub version: String,
}

/// One input of the model, as the features run describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureInfo {
    /// What it is, in one sentence.
    pub about: String,
    /// What it is about, for example `size`.
    pub group: String,
    /// What becomes of a missing source.
    pub missing: String,
    /// Its name, unique.
    pub name: String,
    /// The field that it is read from.
    pub source: String,
    /// What it is measured in.
    pub unit: String,
}

/// What a model was trained on. Times are milliseconds since 1970, UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Training {
    /// When the first pull request of the training slice was opened.
    pub from: i64,
    /// When the newest pull request was opened that the final fit knows, the last of the validation slice; `None` in
    /// models of earlier versions.
    #[serde(default)]
    pub known_to: Option<i64>,
    /// Pull requests of the run that were left out because they are older than those of the training slice.
    pub older_rows: u64,
    /// Pull requests in the training slice.
    pub rows: u64,
    /// Name of the features run.
    pub run: String,
    /// Digest of the features run's manifest.
    pub run_digest: String,
    /// Seed of every random choice.
    pub seed: u64,
    /// Pull requests in the test slice, which no part of the model has seen.
    pub test_rows: u64,
    /// When the last pull request of the training slice was opened.
    pub to: i64,
    /// The most unusual rows of both slices, which the final network has not learnt from.
    pub trimmed_rows: u64,
    /// Pull requests in the validation slice, which gives the percentiles: by a first fit, on the training slice alone. The
    /// final one is on both slices.
    pub validation_rows: u64,
}

/// Percentiles of the anomaly score, 0 to 100, at which the bands begin: a score that reaches one is in the band.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bands {
    /// From here on unusual.
    pub unusual: f32,
    /// From here on very unusual.
    pub very_unusual: f32,
}

impl Default for Bands {
    fn default() -> Self {
        Self { unusual: 95.0, very_unusual: 99.0 }
    }
}

impl Bands {
    /// The band of a percentile.
    pub fn of(&self, percentile: f32) -> Band {
        if percentile >= self.very_unusual {
            Band::VeryUnusual
        } else if percentile >= self.unusual {
            Band::Unusual
        } else {
            Band::Routine
        }
    }
}

/// What the manifest of a model's folder says under `details`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Details {
    /// [`Metadata::features_digest`].
    pub features_digest: String,
    /// [`Metadata::metrics`].
    pub metrics: BTreeMap<String, f64>,
    /// [`digest`](crate::digest()) of the model file.
    pub model_digest: String,
    /// What was chosen of the training, in the trainer's own names.
    pub settings: serde_json::Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_models_do_not_say_up_to_when_they_know() {
        let mut training = serde_json::to_value(crate::fixture::parts().metadata.training).unwrap();
        assert_eq!(training.as_object_mut().unwrap().remove("known_to"), Some(3.into()));
        let training: Training = serde_json::from_value(training).unwrap();
        assert_eq!((training.to, training.known_to), (2, None));
    }

    #[test]
    fn bands_begin_where_they_say() {
        let bands = Bands::default();
        let at = |percentile| bands.of(percentile);
        assert_eq!([at(0.0), at(94.99)], [Band::Routine; 2]);
        assert_eq!([at(95.0), at(98.99)], [Band::Unusual; 2]);
        assert_eq!([at(99.0), at(99.99)], [Band::VeryUnusual; 2]);
    }
}

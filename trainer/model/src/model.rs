//! The model as a whole: from a vector to an answer.

use crate::score::{Band, Contribution, Input, InputError, Score, Usual};
use crate::{ArtifactError, CategoryHead, Metadata, Network, Percentiles, Scaler, Surprise, Text, TextVector};

/// What a model is made of. The network's inputs are the scaled features, in order, and then the dimensions of the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// What the model says of itself.
    pub metadata: Metadata,
    /// From raw values to inputs.
    pub scaler: Scaler,
    /// From tokens to inputs.
    pub text: Text,
    /// Reconstructs the inputs.
    pub network: Network,
    /// What an error of the reconstruction means.
    pub surprise: Surprise,
    /// What an anomaly score means.
    pub percentiles: Percentiles,
    /// Tells the category, where there were enough declared ones to learn from.
    pub category: Option<CategoryHead>,
}

/// A model that was checked and can score.
#[derive(Clone, Debug, PartialEq)]
pub struct Model(Parts);

impl Model {
    /// Puts a model together.
    ///
    /// # Errors
    /// The parts do not fit each other.
    pub fn from_parts(parts: Parts) -> Result<Self, ArtifactError> {
        let Parts { metadata, scaler, text, network, surprise, percentiles, category } = &parts;
        let features = metadata.features.len();
        scaler.check(features)?;
        text.check()?;
        let inputs = features + text.dimensions();
        network.check(inputs)?;
        surprise.check(inputs)?;
        percentiles.check()?;
        let Metadata { bands, categories, .. } = metadata;
        if let Some(head) = category {
            head.check(categories.len(), features, text.buckets())?;
        }
        let heads = categories.is_empty() == category.is_none();
        ArtifactError::unless(heads, "category", || format!("the metadata names {} categories", categories.len()))?;
        let ordered = 0.0 <= bands.unusual && bands.unusual <= bands.high_risk && bands.high_risk <= 100.0;
        ArtifactError::unless(ordered, "bands", || format!("{} and {} are no percentiles", bands.unusual, bands.high_risk))?;
        Ok(Self(parts))
    }

    /// What the model is made of.
    pub fn parts(&self) -> &Parts {
        &self.0
    }

    /// What the model says of itself.
    pub fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    /// Scores one vector: `values` in the order of [`Metadata::features`], NaN (or infinite) where unknown, and the
    /// hashed tokens of the text in any order. Takes microseconds; the same input gives the same bits.
    ///
    /// # Errors
    /// The vector has another length than the model's list of features.
    pub fn score(&self, values: &[f32], tokens: &[u32]) -> Result<Score, InputError> {
        let Parts { metadata, scaler, text, network, surprise, percentiles, category } = &self.0;
        let features = metadata.features.len();
        if values.len() != features {
            let digest = metadata.features_digest.clone();
            return Err(InputError { found: values.len(), expected: features, digest });
        }
        let inputs = Inputs::of(scaler, text, values, tokens);
        let reconstruction = network.reconstruct(&inputs.scaled);
        let parts = surprise.of_all(&inputs, &reconstruction);
        let anomaly: f32 = parts.iter().sum();

        let share = |part: f32| if anomaly > 0.0 { part / anomaly } else { 0.0 };
        let mut contributions = Vec::with_capacity(features + 1);
        for (index, column) in scaler.columns.iter().enumerate() {
            contributions.push(Contribution {
                input: Input::Feature(index),
                value: if values[index].is_finite() { values[index] } else { f32::NAN },
                expected: column.unscale(reconstruction[index]),
                usual: if column.known { column.usual } else { Usual::UNKNOWN },
                share: share(parts[index]),
            });
        }
        contributions.push(Contribution {
            input: Input::Text,
            value: f32::NAN,
            expected: f32::NAN,
            usual: Usual::UNKNOWN,
            share: share(parts[features..].iter().sum()),
        });
        // Stable, so that equal shares stay in the order of the vector.
        contributions.sort_by(|a, b| b.share.total_cmp(&a.share));

        let percentile = percentiles.of_score(anomaly);
        Ok(Score {
            anomaly,
            percentile,
            band: metadata.bands.of(percentile),
            risk: None,
            categories: category
                .as_ref()
                .map_or_else(Vec::new, |head| head.probabilities(&inputs.scaled[..features], &inputs.words)),
            contributions,
        })
    }
}

impl crate::Bands {
    /// The band of a percentile.
    pub fn of(&self, percentile: f32) -> Band {
        if percentile >= self.high_risk {
            Band::HighRisk
        } else if percentile >= self.unusual {
            Band::Unusual
        } else {
            Band::Routine
        }
    }
}

/// One vector as the network reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Inputs {
    /// Scaled features, then the dimensions of the text; 0 where unknown.
    pub scaled: Vec<f32>,
    /// Which of them are known; an error counts only for these.
    pub known: Vec<bool>,
    /// The words, for the category head.
    pub words: TextVector,
}

impl Inputs {
    /// Scales one vector.
    pub fn of(scaler: &Scaler, text: &Text, values: &[f32], tokens: &[u32]) -> Self {
        let inputs = scaler.columns.len() + text.dimensions();
        let (mut scaled, mut known) = (Vec::with_capacity(inputs), Vec::with_capacity(inputs));
        for (column, &value) in scaler.columns.iter().zip(values) {
            let value = column.scale(value);
            scaled.push(value.unwrap_or(0.0));
            known.push(value.is_some());
        }
        let words = text.vector(tokens);
        match text.project(&words) {
            Some(dimensions) => scaled.extend(dimensions),
            None => scaled.resize(inputs, 0.0),
        }
        known.resize(inputs, !words.is_empty());
        Self { scaled, known, words }
    }
}

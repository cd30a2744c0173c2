//! How surprising the error of an input is.

use ndarray::Array1;

use crate::ArtifactError;
use crate::model::Inputs;
use crate::tensors::{Reader, Writer};

/// What is usual for the error of each input, and how much each counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Surprise {
    /// Root of the mean squared error of each input over the validation slice, above 0; shape (inputs).
    pub usual_error: Array1<f32>,
    /// How much each input counts in the anomaly score, at least 0; shape (inputs).
    pub weight: Array1<f32>,
}

impl Surprise {
    /// Surprise of one input in nats: `ln(1 + (error / usual error)²)`, the negative log-likelihood of a Cauchy
    /// distribution but for a constant. By Chebyshev's inequality an error of z times the usual one has at most the
    /// probability 1 / z², whatever the distribution; so a flag that is raised once in a hundred and a size that is
    /// reached once in a hundred surprise alike, and one wild input cannot outweigh all others.
    #[inline]
    pub fn of(&self, input: usize, error: f32) -> f32 {
        let ratio = error / self.usual_error[input];
        libm::log1pf(ratio * ratio)
    }

    /// The parts of the anomaly score, one an input, 0 where unknown: each surprise times the input's weight, over the
    /// weight of all known inputs. Their sum is the anomaly score, a weighted mean of surprises.
    pub fn of_all(&self, inputs: &Inputs, reconstruction: &[f32]) -> Vec<f32> {
        let known_weight: f32 = inputs.known.iter().zip(&self.weight).map(|(&known, &w)| if known { w } else { 0.0 }).sum();
        let part = |input: usize| {
            if !inputs.known[input] || known_weight <= 0.0 {
                return 0.0;
            }
            self.of(input, inputs.scaled[input] - reconstruction[input]) * self.weight[input] / known_weight
        };
        (0..inputs.scaled.len()).map(part).collect()
    }

    pub(crate) fn write(&self, tensors: &mut Writer) {
        tensors.vector("surprise.usual_error", &self.usual_error);
        tensors.vector("surprise.weight", &self.weight);
    }

    pub(crate) fn read(tensors: &Reader<'_>) -> Result<Self, ArtifactError> {
        Ok(Self {
            usual_error: tensors.vector("surprise.usual_error")?,
            weight: tensors.vector("surprise.weight")?,
        })
    }

    pub(crate) fn check(&self, inputs: usize) -> Result<(), ArtifactError> {
        let fits = self.usual_error.len() == inputs && self.weight.len() == inputs;
        ArtifactError::unless(fits, "surprise", || format!("it should have {inputs} values each"))?;
        let sound = self.usual_error.iter().all(|&error| error > 0.0) && self.weight.iter().all(|&weight| weight >= 0.0);
        ArtifactError::unless(sound, "surprise", || "an error is not above 0, or a weight below 0".to_owned())
    }
}

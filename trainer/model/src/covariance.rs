//! What each input should be beside all others, if they go together as in most rows.
//!
//! In a normal distribution with the precision matrix P, an input differs from what all others say of it by
//! `(P y)ᵢ / Pᵢᵢ`, with the variance `1 / Pᵢᵢ`, where y is the difference from the centre (Lauritzen, "Graphical models",
//! 1996). So a vector whose every value is ordinary stands out where two of them do not go together.

use ndarray::{Array1, Array2};

use crate::ArtifactError;
use crate::product::add_products;
use crate::surprise::opinion_on;
use crate::tensors::{Reader, Writer};
use crate::views::{Opinion, View};

/// Centre and relations of most rows, and how far inputs usually differ from what the others say.
#[derive(Clone, Debug, PartialEq)]
pub struct Covariance {
    /// Shape (inputs).
    pub centre: Array1<f32>,
    /// `Pᵢⱼ / Pᵢᵢ` in row j and column i: what the difference of j from the centre adds to that of i from what all others
    /// say of it; 1 on the diagonal; shape (inputs, inputs).
    pub relations: Array2<f32>,
    /// Root of the mean squared difference of each input, above 0; shape (inputs).
    pub error: Array1<f32>,
}

impl Covariance {
    /// How far each input of some vectors is from what all others say of it. What is unknown is taken to lie in the centre.
    pub fn differences<'a>(&self, vectors: impl Iterator<Item = (&'a [f32], &'a [bool])>) -> Vec<f32> {
        let mut from_centre = Vec::with_capacity(self.centre.len());
        for (scaled, known) in vectors {
            let inputs = scaled.iter().zip(known).zip(&self.centre);
            from_centre.extend(inputs.map(|((value, known), centre)| if *known { value - centre } else { 0.0 }));
        }
        let mut differences = vec![0.0; from_centre.len()];
        add_products(&mut differences, &from_centre, &self.relations);
        differences
    }

    /// [`Covariance::opinions`] of one vector.
    pub fn opinion(&self, view: &View<'_>) -> Opinion {
        self.opinions(std::slice::from_ref(view)).pop().expect("one vector, one opinion")
    }

    /// Of each vector the root of the weighted mean of the squared surprises over the known inputs, as of the network's
    /// errors.
    pub fn opinions(&self, views: &[View<'_>]) -> Vec<Opinion> {
        let differences = self.differences(views.iter().map(|view| (view.scaled, view.known)));
        let in_errors = |differences: &[f32]| differences.iter().zip(&self.error).map(|(d, error)| d / error).collect();
        let vectors = differences.chunks_exact(self.error.len().max(1)).zip(views);
        vectors.map(|(differences, view)| opinion_on(in_errors(differences), &view.weights)).collect()
    }

    pub(crate) fn write(&self, tensors: &mut Writer) {
        tensors.vector("covariance.centre", &self.centre);
        tensors.matrix("covariance.relations", &self.relations);
        tensors.vector("covariance.error", &self.error);
    }

    pub(crate) fn read(tensors: &Reader<'_>) -> Result<Self, ArtifactError> {
        Ok(Self {
            centre: tensors.vector("covariance.centre")?,
            relations: tensors.matrix("covariance.relations")?,
            error: tensors.vector("covariance.error")?,
        })
    }

    pub(crate) fn check(&self, inputs: usize) -> Result<(), ArtifactError> {
        let shapes = (self.centre.len(), self.relations.dim(), self.error.len());
        ArtifactError::unless(shapes == (inputs, (inputs, inputs), inputs), "covariance", || {
            format!("its shapes do not fit {inputs} inputs")
        })?;
        ArtifactError::unless(self.error.iter().all(|&error| error > 0.0), "covariance.error", || {
            "one is not above 0".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::views::tests::view;

    /// Two inputs of the variance 1 and the correlation 0.8, and one beside them.
    fn pair() -> Covariance {
        Covariance {
            centre: array![1.0, 0.0, 0.0],
            relations: array![[1.0, -0.8, 0.0], [-0.8, 1.0, 0.0], [0.0, 0.0, 1.0]],
            error: array![0.6, 0.6, 1.0],
        }
    }

    #[test]
    fn what_goes_together_is_no_surprise_and_what_does_not_is_one() {
        let all = [true; 3];
        let differences = pair().differences(std::iter::once((&[3.0, 1.6, 0.0][..], &all[..])));
        assert!((differences[0] - 0.72).abs() < 1e-6 && differences[1].abs() < 1e-6, "{differences:?}");
        let [together, apart] = [1.6, -1.6].map(|second| pair().opinion(&view(&[3.0, second, 0.0], &all)));
        assert!(apart.score > 2.0 * together.score, "{apart:?} {together:?}");
        assert_eq!(apart.shares[2], 0.0);
        assert!((apart.shares.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_unknown_lies_in_the_centre_and_is_not_judged() {
        let opinion = pair().opinion(&view(&[3.0, 9.0, 0.0], &[true, false, true]));
        assert_eq!(opinion.shares, [1.0, 0.0, 0.0]);
        // Half of the weight, and 2 / 0.6 usual errors off.
        let expected = (0.5 * (1.0 + (2.0_f32 / 0.6).powi(2)).ln().powi(2)).sqrt();
        assert!((opinion.score - expected).abs() < 1e-5, "{opinion:?}");
    }
}

//! The category head: multinomial logistic regression on what tells the kind of a change and on scaled features.

use ndarray::{Array1, Array2};

use crate::product::{add_product, add_rows};
use crate::tensors::{Reader, Writer};
use crate::{ArtifactError, tf_idf};

/// Weights of the classes, in the order of [`Metadata::categories`](crate::Metadata::categories).
#[derive(Clone, Debug, PartialEq)]
pub struct CategoryHead {
    /// Inverse document frequency of each bucket of tokens, at least 0; shape (buckets).
    pub idf: Array1<f32>,
    /// Of each bucket of the tokens' tf-idf vector; shape (buckets, classes).
    pub tokens: Array2<f32>,
    /// Of each scaled feature, unknown ones counting 0; shape (features, classes).
    pub features: Array2<f32>,
    /// Shape (classes).
    pub bias: Array1<f32>,
}

impl CategoryHead {
    /// Probability of each class: the softmax of [`CategoryHead::logits`].
    pub fn probabilities(&self, features: &[f32], kind_tokens: &[u32]) -> Vec<f32> {
        let mut logits = self.logits(features, kind_tokens);
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for logit in &mut logits {
            *logit = libm::expf(*logit - largest);
        }
        let sum: f32 = logits.iter().sum();
        for share in &mut logits {
            *share /= sum;
        }
        logits
    }

    /// `bias + features · weights + tf-idf(tokens) · weights` of each class. The tokens are those of
    /// [`Vector::kind_tokens`](crate::Vector::kind_tokens).
    pub fn logits(&self, features: &[f32], kind_tokens: &[u32]) -> Vec<f32> {
        let mut logits = self.bias.to_vec();
        add_product(&mut logits, features, &self.features);
        add_rows(&mut logits, &tf_idf(&self.idf, kind_tokens), &self.tokens);
        logits
    }

    pub(crate) fn write(&self, tensors: &mut Writer) {
        tensors.vector("category.idf", &self.idf);
        tensors.matrix("category.tokens", &self.tokens);
        tensors.matrix("category.features", &self.features);
        tensors.vector("category.bias", &self.bias);
    }

    pub(crate) fn read(tensors: &Reader<'_>) -> Result<Self, ArtifactError> {
        Ok(Self {
            idf: tensors.vector("category.idf")?,
            tokens: tensors.matrix("category.tokens")?,
            features: tensors.matrix("category.features")?,
            bias: tensors.vector("category.bias")?,
        })
    }

    pub(crate) fn check(&self, classes: usize, features: usize) -> Result<(), ArtifactError> {
        let buckets = self.idf.len();
        let fits = self.bias.len() == classes
            && buckets > 0
            && self.tokens.dim() == (buckets, classes)
            && self.features.dim() == (features, classes);
        ArtifactError::unless(fits, "category", || {
            format!("its shapes do not fit {classes} classes, {features} features and {buckets} buckets")
        })?;
        ArtifactError::unless(self.idf.iter().all(|&idf| idf >= 0.0), "category.idf", || {
            "a weight is below 0".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn probabilities_are_those_worked_out_by_hand() {
        let head = CategoryHead {
            idf: array![0.0, 1.5, 2.0],
            tokens: array![[0.0, 0.0], [3.0, -1.0], [0.0, 0.0]],
            features: array![[9.0, 9.0], [1.0, 2.0]],
            bias: array![0.5, 0.0],
        };
        let ratio = |features: &[f32], tokens: &[u32]| {
            let shares = head.probabilities(features, tokens);
            assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{shares:?}");
            (shares[0] / shares[1]).ln()
        };
        assert!((ratio(&[0.0, 0.0], &[]) - 0.5).abs() < 1e-5, "the bias");
        assert!((ratio(&[0.0, 2.0], &[]) + 1.5).abs() < 1e-5, "0.5 + 2·1 - 2·2");
        // Weights 1.5 and 2, so that the first is 0.6 of the length; the token of bucket 0 is not known.
        assert!((ratio(&[0.0, 2.0], &[1, 5, 3]) - 0.9).abs() < 1e-5, "and 0.6·3 + 0.6·1");
        let far = CategoryHead { bias: array![2000.0, -2000.0], ..head.clone() };
        assert_eq!(far.probabilities(&[0.0, 0.0], &[]), [1.0, 0.0]);
    }

    #[test]
    fn weights_that_do_not_fit_are_refused() {
        let refused = |change: fn(&mut CategoryHead)| {
            let (tokens, features) = (Array2::zeros((2, 3)), Array2::zeros((4, 3)));
            let mut head = CategoryHead { idf: array![0.0, 1.5], tokens, features, bias: Array1::zeros(3) };
            head.check(3, 4).unwrap();
            change(&mut head);
            head.check(3, 4).unwrap_err().to_string()
        };
        assert!(refused(|head| head.bias = Array1::zeros(2)).contains("3 classes"));
        assert!(refused(|head| head.tokens = Array2::zeros((3, 3))).contains("2 buckets"));
        assert!(refused(|head| head.features = Array2::zeros((3, 3))).contains("4 features"));
        let without_buckets = |head: &mut CategoryHead| {
            (head.idf, head.tokens) = (Array1::zeros(0), Array2::zeros((0, 3)));
        };
        assert!(refused(without_buckets).contains("0 buckets"));
        assert!(refused(|head| head.idf[0] = -1.0).contains("category.idf"));
    }
}

//! From hashed tokens to a short dense vector: hashing trick, inverse document frequency, truncated SVD.
//!
//! Latent semantic analysis (Deerwester et al., "Indexing by latent semantic analysis", 1990) on hashed features
//! (Weinberger et al., "Feature hashing for large scale multitask learning", 2009).

use ndarray::{Array1, Array2};

use crate::ArtifactError;
use crate::product::add_rows;
use crate::scaler::CLIP;
use crate::tensors::{Reader, Writer};

/// Weights of buckets and their projection.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// Inverse document frequency of each bucket, at least 0; shape (buckets). A bucket without a document has 0.
    pub idf: Array1<f32>,
    /// Right singular vectors of the training slice's matrix; shape (buckets, dimensions). May have no dimension.
    pub components: Array2<f32>,
    /// Mean of each dimension over the training slice; shape (dimensions).
    pub centre: Array1<f32>,
    /// Spread of each dimension over the training slice, above 0; shape (dimensions).
    pub spread: Array1<f32>,
}

/// A text as (bucket, weight), sorted by bucket, of Euclidean length 1; empty where nothing in it is known.
pub type TextVector = Vec<(u32, f32)>;

impl Text {
    /// Number of inputs that a text adds to the network.
    pub fn dimensions(&self) -> usize {
        self.components.ncols()
    }

    /// Number of buckets that tokens are hashed into.
    pub fn buckets(&self) -> usize {
        self.idf.len()
    }

    /// The tf-idf vector of a text.
    pub fn vector(&self, tokens: &[u32]) -> TextVector {
        tf_idf(&self.idf, tokens)
    }

    /// Scaled inputs of the network for a text vector, cut off as the features are; `None` for an empty text.
    pub fn project(&self, vector: &[(u32, f32)]) -> Option<Vec<f32>> {
        if vector.is_empty() {
            return None;
        }
        let mut sums = vec![0.0; self.dimensions()];
        add_rows(&mut sums, vector, &self.components);
        for ((sum, centre), spread) in sums.iter_mut().zip(&self.centre).zip(&self.spread) {
            *sum = ((*sum - centre) / spread).clamp(-CLIP, CLIP);
        }
        Some(sums)
    }

    pub(crate) fn write(&self, tensors: &mut Writer) {
        tensors.vector("text.idf", &self.idf);
        tensors.matrix("text.components", &self.components);
        tensors.vector("text.centre", &self.centre);
        tensors.vector("text.spread", &self.spread);
    }

    pub(crate) fn read(tensors: &Reader<'_>) -> Result<Self, ArtifactError> {
        Ok(Self {
            idf: tensors.vector("text.idf")?,
            components: tensors.matrix("text.components")?,
            centre: tensors.vector("text.centre")?,
            spread: tensors.vector("text.spread")?,
        })
    }

    pub(crate) fn check(&self) -> Result<(), ArtifactError> {
        let (buckets, dimensions) = (self.idf.len(), self.dimensions());
        let fits = buckets > 0
            && u32::try_from(buckets).is_ok()
            && self.components.nrows() == buckets
            && self.centre.len() == dimensions
            && self.spread.len() == dimensions;
        ArtifactError::unless(fits, "text", || {
            format!("its shapes do not fit {buckets} buckets, {dimensions} dimensions")
        })?;
        ArtifactError::unless(self.idf.iter().all(|&idf| idf >= 0.0), "text.idf", || "a weight is below 0".to_owned())?;
        ArtifactError::unless(self.spread.iter().all(|&spread| spread > 0.0), "text.spread", || {
            "one is not above 0".to_owned()
        })
    }
}

/// The tf-idf vector of hashed tokens. Each token counts once; tokens that share a bucket add up.
pub fn tf_idf(idf: &Array1<f32>, tokens: &[u32]) -> TextVector {
    let buckets = idf.len() as u32;
    let mut places: Vec<u32> = tokens.iter().map(|token| token % buckets).collect();
    places.sort_unstable();
    let mut vector: TextVector = Vec::with_capacity(places.len());
    for place in places {
        let weight = idf[place as usize];
        match vector.last_mut() {
            Some((last, sum)) if *last == place => *sum += weight,
            _ if weight > 0.0 => vector.push((place, weight)),
            _ => {}
        }
    }
    let length = vector.iter().map(|(_, weight)| weight * weight).sum::<f32>().sqrt();
    for (_, weight) in &mut vector {
        *weight /= length;
    }
    vector
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn text() -> Text {
        Text {
            idf: array![2.0, 1.0, 0.0, 4.0],
            components: array![[1.0, 0.0], [0.0, 1.0], [9.0, 9.0], [1.0, 1.0]],
            centre: array![0.5, 0.0],
            spread: array![0.5, 1.0],
        }
    }

    #[test]
    fn a_vector_is_of_length_one_and_sorted() {
        // Buckets 3, 0, 1 and, by 5, 1 again: both count.
        let vector = text().vector(&[3, 4, 1, 5]);
        let length = (2.0_f32 * 2.0 + 2.0 * 2.0 + 4.0 * 4.0).sqrt();
        assert_eq!(vector, [(0, 2.0 / length), (1, 2.0 / length), (3, 4.0 / length)]);
    }

    #[test]
    fn words_that_training_never_saw_say_nothing() {
        assert_eq!(text().vector(&[2, 6]), []);
        assert_eq!(text().vector(&[]), []);
        assert_eq!(text().project(&[]), None);
        assert_eq!(text().vector(&[2, 1]), [(1, 1.0)]);
    }

    #[test]
    fn a_projection_is_scaled_and_cut_off() {
        assert_eq!(text().project(&[(0, 0.6), (1, 0.8)]), Some(vec![(0.6 - 0.5) / 0.5, 0.8]));
        assert_eq!(text().project(&[(0, 1e6)]), Some(vec![CLIP, 0.0]));
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        assert_eq!((text().buckets(), text().dimensions()), (4, 2));
        let refused = |change: fn(&mut Text)| {
            let mut text = text();
            text.check().unwrap();
            change(&mut text);
            text.check().unwrap_err().to_string()
        };
        assert!(refused(|text| text.components = Array2::zeros((3, 2))).contains("4 buckets"));
        assert!(refused(|text| text.centre = array![0.5]).contains("2 dimensions"));
        assert!(refused(|text| text.spread = array![0.5]).contains("2 dimensions"));
        let without_buckets = |text: &mut Text| (text.idf, text.components) = (Array1::zeros(0), Array2::zeros((0, 2)));
        assert!(refused(without_buckets).contains("0 buckets"));
        assert!(refused(|text| text.idf[2] = -1.0).contains("text.idf"));
        assert!(refused(|text| text.spread[1] = 0.0).contains("text.spread"));
    }
}

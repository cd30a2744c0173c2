//! Groups of pull requests that no declaration describes: those that the network's narrowest layer puts near each other.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::ArtifactError;
use crate::tensors::{Reader, Writer};

/// Where groups lie, by the code that the network gives a pull request.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// Middles of the groups; shape (clusters, code).
    pub centres: Array2<f32>,
    /// How far the members of each lie from its middle: quantiles in equal steps from the nearest to the farthest; shape
    /// (clusters, at least 2).
    pub distances: Array2<f32>,
}

/// What a cluster is like, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterInfo {
    /// Its members that are nearest to the middle, as `owner/name#number`.
    pub examples: Vec<String>,
    /// In what the features of its members differ most from those of all, the most first.
    pub features: Vec<String>,
    /// A few of the words, and a feature where these tell little.
    pub name: String,
    /// Members among the pull requests that it was found in.
    pub rows: u64,
    /// Words that titles of its members have far more often than others, the most typical first.
    pub words: Vec<String>,
}

/// The cluster of a pull request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Membership {
    /// Its place in [`Metadata::clusters`](crate::Metadata::clusters).
    pub cluster: usize,
    /// Share of the members that are as far from the middle, or farther, 0 to 1.
    pub farther: f32,
}

/// The nearest of these middles to a code, of several the first, and the squared distance to it; shape (clusters, code).
pub fn nearest(centres: &Array2<f32>, code: &[f32]) -> (usize, f64) {
    let distances = centres.outer_iter().map(|centre| squared_distance(centre, code)).enumerate();
    distances.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, 0.0))
}

/// The squared distance between two codes.
pub fn squared_distance<'a>(one: impl IntoIterator<Item = &'a f32>, other: &[f32]) -> f64 {
    one.into_iter().zip(other).map(|(one, other)| f64::from(other - one).powi(2)).sum()
}

impl Clusters {
    /// The cluster whose middle is nearest to a code; of several the first.
    pub fn nearest(&self, code: &[f32]) -> Membership {
        let (cluster, squared) = nearest(&self.centres, code);
        Membership { cluster, farther: self.farther(cluster, squared.sqrt() as f32) }
    }

    /// Share of the members of a cluster that are at this distance or farther.
    fn farther(&self, cluster: usize, distance: f32) -> f32 {
        let quantiles = self.distances.row(cluster);
        let nearer = quantiles.iter().filter(|&&quantile| quantile < distance).count();
        if nearer == 0 {
            return 1.0;
        }
        if nearer == quantiles.len() {
            return 0.0;
        }
        let (low, high) = (quantiles[nearer - 1], quantiles[nearer]);
        let steps = (nearer - 1) as f32 + (distance - low) / (high - low);
        1.0 - steps / (quantiles.len() - 1) as f32
    }

    pub(crate) fn write(&self, tensors: &mut Writer) {
        tensors.matrix("clusters.centres", &self.centres);
        tensors.matrix("clusters.distances", &self.distances);
    }

    pub(crate) fn read(tensors: &Reader<'_>) -> Result<Self, ArtifactError> {
        Ok(Self { centres: tensors.matrix("clusters.centres")?, distances: tensors.matrix("clusters.distances")? })
    }

    pub(crate) fn check(&self, clusters: usize, code: usize) -> Result<(), ArtifactError> {
        ArtifactError::unless(clusters > 0 && self.centres.dim() == (clusters, code), "clusters.centres", || {
            format!("its shape is {:?}, for {clusters} clusters of codes of {code} numbers", self.centres.dim())
        })?;
        let (rows, steps) = self.distances.dim();
        let ascend = |row: ndarray::ArrayView1<'_, f32>| {
            row[0] >= 0.0 && row.iter().is_sorted() && row.iter().all(|d| d.is_finite())
        };
        let sound = rows == clusters && steps >= 2 && self.distances.outer_iter().all(ascend);
        ArtifactError::unless(sound, "clusters.distances", || {
            format!("they are no ascending distances of each of {clusters} clusters")
        })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn clusters() -> Clusters {
        Clusters { centres: array![[0.0, 0.0], [3.0, 4.0]], distances: array![[1.0, 2.0, 4.0], [0.0, 0.0, 1.0]] }
    }

    #[test]
    fn a_code_belongs_to_the_nearest_middle() {
        let of = |code: [f32; 2]| clusters().nearest(&code);
        let in_first = |farther| Membership { cluster: 0, farther };
        assert_eq!([of([0.0, 0.5]), of([0.0, 1.0])], [in_first(1.0); 2], "none is nearer");
        assert_eq!(of([-1.5, 0.0]), in_first(0.75), "half the way to the middle one");
        assert_eq!(of([0.0, -2.0]), in_first(0.5));
        assert_eq!([of([-4.0, 0.0]), of([-9.0, 0.0])], [in_first(0.0); 2]);
        assert_eq!(of([3.0, 4.0]), Membership { cluster: 1, farther: 1.0 });
        assert_eq!(of([3.0, 4.5]), Membership { cluster: 1, farther: 0.25 }, "two of the three lie in the middle");
        assert_eq!(of([1.5, 2.0]).cluster, 0, "as far from both");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |change: &dyn Fn(&mut Clusters)| {
            let mut clusters = clusters();
            clusters.check(2, 2).unwrap();
            change(&mut clusters);
            clusters.check(2, 2).unwrap_err().to_string()
        };
        assert!(refused(&|clusters| clusters.centres = array![[0.0], [1.0]]).contains("clusters.centres"));
        assert!(refused(&|clusters| clusters.centres = array![[0.0, 1.0]]).contains("clusters.centres"));
        assert!(refused(&|clusters| clusters.distances = array![[0.0, 1.0]]).contains("clusters.distances"));
        assert!(refused(&|clusters| clusters.distances = array![[0.0], [1.0]]).contains("clusters.distances"));
        assert!(refused(&|clusters| clusters.distances[[1, 2]] = -1.0).contains("ascending"));
        assert!(refused(&|clusters| clusters.distances[[0, 0]] = -1.0).contains("ascending"));
        let none = Clusters { centres: Array2::zeros((0, 2)), distances: Array2::zeros((0, 3)) };
        assert!(none.check(0, 2).unwrap_err().to_string().contains("clusters.centres"));
    }
}

//! How far a vector lies from its nearest neighbours among a few that were drawn at random.
//!
//! The nearest of a small sample tells whether a vector lies where most do, the nearest of a larger one whether it lies
//! near any. Both are means over many samples (Sugiyama and Borgwardt, "Rapid distance-based outlier detection via
//! sampling", 2013; Bandaragoda et al., "Isolation-based anomaly detection using nearest-neighbor ensembles", 2018). A few
//! odd rows in training seldom come into a small sample, so even those that lie close together stand out.

use ndarray::Array2;

use crate::ArtifactError;
use crate::tensors::{Reader, Writer};
use crate::views::{Opinion, View};

/// Points of a large sample.
pub const LARGE: usize = 64;

/// Points of a small sample: an eighth of a large one.
pub const SMALL: usize = 8;

/// The samples, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbours {
    /// Scaled vectors, 0 where unknown; shape (a multiple of [`LARGE`], inputs). Each run of [`LARGE`] is a large sample,
    /// and each run of [`SMALL`] a small one.
    pub points: Array2<f32>,
}

impl Neighbours {
    /// Mean distance to the nearest of a small sample, and to the nearest of a large one.
    ///
    /// The distance is the weighted mean of the absolute differences over the known inputs: unlike a square, it lets no
    /// single wild input outweigh all others. A point at the distance 0 is passed over, since it is the vector itself,
    /// where that was learnt from.
    pub fn opinions(&self, view: &View<'_>) -> [Opinion; 2] {
        let distances: Vec<f32> =
            self.points.outer_iter().map(|point| distance(view, point.as_slice().unwrap_or(&[]))).collect();
        [SMALL, LARGE].map(|size| self.opinion(view, &distances, size))
    }

    fn opinion(&self, view: &View<'_>, distances: &[f32], size: usize) -> Opinion {
        let mut parts = vec![0.0; view.scaled.len()];
        let (mut sum, mut samples) = (0.0, 0_usize);
        for (sample, distances) in distances.chunks(size).enumerate() {
            samples += 1;
            let others = distances.iter().enumerate().filter(|(_, distance)| **distance > 0.0);
            let Some((place, distance)) = others.min_by(|a, b| a.1.total_cmp(b.1)) else { continue };
            sum += distance;
            let point = self.points.row(sample * size + place);
            let point = point.as_slice().unwrap_or(&[]);
            for (((part, &value), &point), &weight) in parts.iter_mut().zip(view.scaled).zip(point).zip(&view.weights) {
                *part += weight * (value - point).abs();
            }
        }
        Opinion::new(libm::log1pf(sum / samples.max(1) as f32), parts)
    }

    pub(crate) fn write(&self, tensors: &mut Writer) {
        tensors.matrix("neighbours", &self.points);
    }

    pub(crate) fn read(tensors: &Reader<'_>) -> Result<Self, ArtifactError> {
        Ok(Self { points: tensors.matrix("neighbours")? })
    }

    pub(crate) fn check(&self, inputs: usize) -> Result<(), ArtifactError> {
        let (rows, columns) = self.points.dim();
        ArtifactError::unless(
            rows > 0 && rows.is_multiple_of(LARGE) && columns == inputs && self.points.is_standard_layout(),
            "neighbours",
            || format!("it has {rows} points of {columns} values and should have a multiple of {LARGE}, of {inputs}"),
        )
    }
}

/// Values that are summed side by side.
const LANES: usize = 8;

/// Weighted mean of the absolute differences. In lanes, so that the sum has one fixed order and wide registers serve.
fn distance(view: &View<'_>, point: &[f32]) -> f32 {
    let (values, values_rest) = view.scaled.as_chunks::<LANES>();
    let (points, points_rest) = point.as_chunks::<LANES>();
    let (weights, weights_rest) = view.weights.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for ((value, point), weight) in values.iter().zip(points).zip(weights) {
        for lane in 0..LANES {
            sums[lane] += weight[lane] * (value[lane] - point[lane]).abs();
        }
    }
    for (lane, ((value, point), weight)) in values_rest.iter().zip(points_rest).zip(weights_rest).enumerate() {
        sums[lane] += weight * (value - point).abs();
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Numbers;
    use crate::views::tests::view;

    fn sample(points: &[f32]) -> Neighbours {
        let points =
            Array2::from_shape_fn((LARGE, 2), |(row, column)| if column == 0 { points[row / SMALL] } else { 5.0 });
        Neighbours { points }
    }

    #[test]
    fn the_nearest_of_each_sample_counts() {
        let neighbours = sample(&[1.0, 2.0, 3.0, 4.0, -1.0, -2.0, -3.0, -4.0]);
        let [small, large] = neighbours.opinions(&view(&[0.5, 5.0], &[true; 2]));
        // Half of each distance, since both inputs count alike.
        let mean = [0.5, 1.5, 2.5, 3.5, 1.5, 2.5, 3.5, 4.5].iter().sum::<f32>() / 8.0 / 2.0;
        assert!((small.score - mean.ln_1p()).abs() < 1e-6, "{small:?}");
        assert!((large.score - 0.25_f32.ln_1p()).abs() < 1e-6, "{large:?}");
        assert_eq!((small.shares, large.shares), (vec![1.0, 0.0], vec![1.0, 0.0]));
    }

    #[test]
    fn the_vector_itself_is_no_neighbour() {
        let neighbours = sample(&[0.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]);
        let [_, large] = neighbours.opinions(&view(&[0.0, 5.0], &[true; 2]));
        assert!((large.score - 1.0_f32.ln_1p()).abs() < 1e-6, "{large:?}");
        let alone = sample(&[0.0; 8]).opinions(&view(&[0.0, 5.0], &[true; 2]));
        assert!(alone.iter().all(|opinion| opinion.score == 0.0), "{alone:?}");
    }

    #[test]
    fn the_unknown_is_passed_over() {
        let neighbours = sample(&[1.0; 8]);
        let [small, _] = neighbours.opinions(&view(&[0.0, 0.0], &[true, false]));
        assert!((small.score - 1.0_f32.ln_1p()).abs() < 1e-6 && small.shares == [1.0, 0.0], "{small:?}");
    }

    #[test]
    fn lanes_sum_what_a_loop_sums() {
        let mut numbers = Numbers::new(2);
        for length in [1, 7, 8, 9, 31] {
            let (a, b) = (numbers.vector(length).to_vec(), numbers.vector(length).to_vec());
            let plain = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).sum::<f32>() / length as f32;
            let known = vec![true; length];
            assert!((distance(&view(&a, &known), &b) - plain).abs() < 1e-6, "{length}");
        }
    }
}

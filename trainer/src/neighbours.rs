//! Draws the samples whose nearest points judge how far a row lies from others.

use ndarray::{Array2, ArrayView2};
use prowl_model::{LARGE, Neighbours};
use rand::rngs::ChaCha8Rng;
use rand::seq::index;

/// Large samples.
const SAMPLES: usize = 16;

/// Samples of these rows, NaN where unknown; shape (rows, inputs), at least one row. A sample holds no row twice, as far as
/// there are enough.
pub(crate) fn fit(rows: ArrayView2<'_, f32>, random: &mut ChaCha8Rng) -> Neighbours {
    let mut points = Array2::zeros((SAMPLES * LARGE, rows.ncols()));
    for mut sample in points.axis_chunks_iter_mut(ndarray::Axis(0), LARGE) {
        let drawn = index::sample(random, rows.nrows(), LARGE.min(rows.nrows())).into_vec();
        for (mut point, row) in sample.outer_iter_mut().zip(drawn.into_iter().cycle()) {
            point.assign(&rows.row(row).mapv(|value| if value.is_nan() { 0.0 } else { value }));
        }
    }
    Neighbours { points }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_sample_holds_no_row_twice() {
        let rows = Array2::from_shape_fn((70, 2), |(row, column)| if column == 0 { row as f32 } else { f32::NAN });
        let points = fit(rows.view(), &mut ChaCha8Rng::seed_from_u64(1)).points;
        assert_eq!(points.dim(), (SAMPLES * LARGE, 2));
        assert!(points.column(1).iter().all(|&value| value == 0.0));
        for sample in points.axis_chunks_iter(ndarray::Axis(0), LARGE) {
            let mut drawn: Vec<i32> = sample.column(0).iter().map(|&value| value as i32).collect();
            drawn.sort_unstable();
            drawn.dedup();
            assert_eq!(drawn.len(), LARGE);
        }
    }

    #[test]
    fn a_few_rows_fill_the_samples() {
        let points = fit(Array2::from_elem((1, 1), 7.0).view(), &mut ChaCha8Rng::seed_from_u64(1)).points;
        assert!(points.iter().all(|&value| value == 7.0));
    }
}

//! Fits centre and covariance of most rows, whatever the rest of them are.

use std::ops::Range;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use prowl_model::Covariance;

/// Share of the rows, those that lie nearest to the centre, that say what goes together. Up to a quarter may be of any
/// other kind, also one that lies close together.
const CENTRAL: f64 = 0.75;

/// What is added to each variance, as a share of it: inputs that nearly follow from others would else be asked for more
/// digits than they have.
const RIDGE: f64 = 0.2;

/// Rows that are looked at, at most, evenly spread.
const ROWS: usize = 20_000;

/// Rounds at most; it seldom takes ten.
const ROUNDS: usize = 20;

/// The covariance of the central rows; shape (rows, inputs), NaN where unknown. The errors are 1: they are measured after.
///
/// The concentration steps of Rousseeuw and Van Driessen, "A fast algorithm for the minimum covariance determinant
/// estimator" (1999), from one start, the rows that lie nearest to the medians of the inputs one by one.
pub(crate) fn fit(rows: ArrayView2<'_, f32>) -> Covariance {
    let step = rows.nrows().div_ceil(ROWS).max(1);
    let places: Vec<usize> = (0..rows.nrows()).step_by(step).collect();
    let rows = rows.select(Axis(0), &places).mapv(|value| if value.is_nan() { 0.0 } else { f64::from(value) });
    let central = ((rows.nrows() as f64 * CENTRAL).ceil() as usize).clamp(1, rows.nrows());
    // Scaled inputs have their medians at 0.
    let mut kept = nearest(rows.map_axis(Axis(1), |row| row.mapv(f64::abs).sum()), central);
    let (mut centre, mut precision) = moments(&rows.select(Axis(0), &kept));
    for _ in 0..ROUNDS {
        let away = &rows - &centre;
        let next = nearest((&away.dot(&precision) * &away).sum_axis(Axis(1)), central);
        if next == kept {
            break;
        }
        kept = next;
        (centre, precision) = moments(&rows.select(Axis(0), &kept));
    }
    let relations =
        Array2::from_shape_fn(precision.dim(), |(from, to)| (precision[[to, from]] / precision[[to, to]]) as f32);
    Covariance { centre: centre.mapv(|value| value as f32), relations, error: Array1::ones(rows.ncols()) }
}

/// Places of the rows with the smallest distances, in order.
fn nearest(distances: Array1<f64>, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..distances.len()).collect();
    order.sort_by(|&a, &b| distances[a].total_cmp(&distances[b]));
    order.truncate(count);
    order.sort_unstable();
    order
}

/// Mean, and inverse of the covariance matrix with its ridge.
fn moments(rows: &Array2<f64>) -> (Array1<f64>, Array2<f64>) {
    let (count, inputs) = (rows.nrows() as f64, rows.ncols());
    let centre = rows.sum_axis(Axis(0)) / count;
    let away = rows - &centre;
    let mut covariance = away.t().dot(&away) / count;
    let mean = covariance.diag().sum() / inputs.max(1) as f64;
    // An input that does not vary in these rows is given a little of what the others vary.
    let least = 0.01 * mean + 1e-9;
    covariance.diag_mut().mapv_inplace(|variance| variance + RIDGE * variance.max(least));
    (centre, inverse(covariance))
}

/// Inverse of a symmetric, positive definite matrix, by Cholesky's decomposition.
fn inverse(mut matrix: Array2<f64>) -> Array2<f64> {
    let size = matrix.nrows();
    // The lower triangle L of matrix = L Lᵀ, in place.
    for column in 0..size {
        for row in column..size {
            let product = product(matrix.row(row), matrix.row(column), 0..column);
            let rest = matrix[[row, column]] - product;
            matrix[[row, column]] =
                if row == column { rest.max(f64::MIN_POSITIVE).sqrt() } else { rest / matrix[[column, column]] };
        }
    }
    // The columns of L⁻¹ are the rows of its transpose here.
    let mut transposed = Array2::<f64>::zeros((size, size));
    for column in 0..size {
        transposed[[column, column]] = 1.0 / matrix[[column, column]];
        for row in column + 1..size {
            let product = product(matrix.row(row), transposed.row(column), column..row);
            transposed[[column, row]] = -product / matrix[[row, row]];
        }
    }
    transposed.dot(&transposed.t())
}

/// Inner product over a range of places.
fn product(a: ArrayView1<'_, f64>, b: ArrayView1<'_, f64>, places: Range<usize>) -> f64 {
    places.map(|place| a[place] * b[place]).sum()
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::ChaCha8Rng};
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    fn noise(rows: usize, inputs: usize) -> Array2<f32> {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        Array2::from_shape_simple_fn((rows, inputs), || StandardNormal.sample(&mut random))
    }

    #[test]
    fn an_inverse_undoes_its_matrix() {
        let factor = noise(12, 7).mapv(f64::from);
        let matrix = factor.t().dot(&factor);
        let product = matrix.dot(&inverse(matrix.clone())) - Array2::<f64>::eye(7);
        assert!(product.iter().all(|value| value.abs() < 1e-9), "{product}");
    }

    /// A fifth of the rows lies elsewhere, close together, and goes together in another way.
    #[test]
    fn a_crowd_of_others_does_not_change_what_goes_together() {
        let mut rows = noise(1000, 3);
        for (number, mut row) in rows.outer_iter_mut().enumerate() {
            row[1] = row[0] + 0.1 * row[1];
            if number.is_multiple_of(5) {
                (row[0], row[1]) = (4.0 + 0.1 * row[0], -4.0 - 0.1 * row[0]);
            }
        }
        let covariance = fit(rows.view());
        assert!(covariance.centre.iter().all(|centre| centre.abs() < 0.2), "{}", covariance.centre);
        assert!(covariance.relations[[1, 0]] < -0.5, "one follows the other: {}", covariance.relations);
        assert!((covariance.relations[[2, 0]]).abs() < 0.1 && covariance.relations[[0, 0]] == 1.0);
    }

    #[test]
    fn constants_the_unknown_and_a_single_row_are_no_trouble() {
        let mut rows = noise(30, 4);
        rows.column_mut(1).fill(f32::NAN);
        rows.column_mut(2).fill(10.0);
        for rows in [rows.view(), rows.view().split_at(Axis(0), 1).0, Array2::from_elem((5, 2), 1.0).view()] {
            let covariance = fit(rows);
            assert!(covariance.centre.iter().chain(&covariance.relations).all(|value| value.is_finite()));
            assert!(covariance.relations.diag().iter().all(|&value| value == 1.0));
        }
    }
}

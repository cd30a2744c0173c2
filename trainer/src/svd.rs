//! Truncated singular value decomposition of a sparse matrix, randomized.

use ndarray::{Array1, Array2, Axis};
use prowl_model::TextVector;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// More directions than wanted, so that the last wanted ones are caught as well.
const OVERSAMPLING: usize = 8;

/// Passes over the matrix; each sharpens the gap between kept and dropped directions.
const POWER_ITERATIONS: usize = 4;

/// The leading right singular vectors of a sparse matrix with these rows, as columns; shape (`columns`, at most
/// `dimensions`). Fewer come back where the matrix has a smaller rank. Each vector's largest entry is positive.
///
/// Randomized subspace iteration (Halko, Martinsson and Tropp, "Finding structure with randomness", 2011, algorithm 4.4)
/// on the columns' side, then a Rayleigh-Ritz step in the small subspace.
pub(crate) fn right_vectors(
    rows: &[TextVector],
    columns: usize,
    dimensions: usize,
    random: &mut ChaCha8Rng,
) -> Array2<f32> {
    let width = (dimensions + OVERSAMPLING).min(rows.len()).min(columns);
    let mut basis = Array2::from_shape_simple_fn((columns, width), || StandardNormal.sample(random));
    orthonormalise(&mut basis);
    for _ in 0..POWER_ITERATIONS {
        basis = transposed_times(rows, columns, &times(rows, &basis));
        orthonormalise(&mut basis);
    }
    let image = times(rows, &basis);
    let (values, vectors) = symmetric_eigen(image.t().dot(&image));
    // Eigenvalues are squares of singular values; what is left of none is rounding.
    let largest = values.first().copied().unwrap_or(0.0);
    let rank = values.iter().take(dimensions).filter(|&&value| value > 1e-10 * largest).count();
    let (leading, _) = vectors.view().split_at(Axis(1), rank);
    let mut right = basis.dot(&leading);
    for mut vector in right.axis_iter_mut(Axis(1)) {
        let peak =
            vector.iter().copied().fold(0.0, |peak: f64, value| if value.abs() > peak.abs() { value } else { peak });
        vector *= peak.signum();
    }
    right.mapv(|value| value as f32).as_standard_layout().into_owned()
}

/// `rows · dense`; shape (rows, width).
fn times(rows: &[TextVector], dense: &Array2<f64>) -> Array2<f64> {
    let mut product = Array2::zeros((rows.len(), dense.ncols()));
    for (row, mut sums) in rows.iter().zip(product.outer_iter_mut()) {
        for &(column, value) in row {
            sums.scaled_add(f64::from(value), &dense.row(column as usize));
        }
    }
    product
}

/// `rowsᵀ · dense`; shape (columns, width).
fn transposed_times(rows: &[TextVector], columns: usize, dense: &Array2<f64>) -> Array2<f64> {
    let mut product = Array2::zeros((columns, dense.ncols()));
    for (row, values) in rows.iter().zip(dense.outer_iter()) {
        for &(column, value) in row {
            product.row_mut(column as usize).scaled_add(f64::from(value), &values);
        }
    }
    product
}

/// Makes the columns orthonormal by the modified Gram-Schmidt process, run twice against cancellation. A column that
/// depends on earlier ones becomes 0.
fn orthonormalise(matrix: &mut Array2<f64>) {
    let mut columns: Vec<Array1<f64>> = matrix.axis_iter(Axis(1)).map(|column| column.to_owned()).collect();
    for index in 0..columns.len() {
        let (done, rest) = columns.split_at_mut(index);
        let column = &mut rest[0];
        let before = column.dot(column).sqrt();
        for earlier in done.iter().chain(done.iter()) {
            let along = earlier.dot(column);
            column.scaled_add(-along, earlier);
        }
        let length = column.dot(column).sqrt();
        let independent = length > 1e-10 * before;
        *column *= if independent { 1.0 / length } else { 0.0 };
    }
    for (mut place, column) in matrix.axis_iter_mut(Axis(1)).zip(&columns) {
        place.assign(column);
    }
}

/// Eigenvalues, descending, and eigenvectors, as columns, of a symmetric matrix, by cyclic Jacobi rotations (Golub and
/// Van Loan, "Matrix computations", 8.5).
fn symmetric_eigen(mut matrix: Array2<f64>) -> (Vec<f64>, Array2<f64>) {
    let size = matrix.nrows();
    let mut vectors = Array2::<f64>::eye(size);
    let total: f64 = matrix.iter().map(|value| value * value).sum();
    // Each sweep squares what is left off the diagonal; a dozen is more than enough for any size here.
    for _ in 0..40 {
        let mut rest = 0.0;
        for p in 0..size {
            for q in p + 1..size {
                let off = matrix[[p, q]];
                rest += off * off;
                if off == 0.0 {
                    continue;
                }
                let theta = (matrix[[q, q]] - matrix[[p, p]]) / (2.0 * off);
                let tangent = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let cosine = 1.0 / tangent.hypot(1.0);
                let sine = tangent * cosine;
                for k in 0..size {
                    let (kp, kq) = (matrix[[k, p]], matrix[[k, q]]);
                    matrix[[k, p]] = cosine * kp - sine * kq;
                    matrix[[k, q]] = sine * kp + cosine * kq;
                }
                for k in 0..size {
                    let (pk, qk) = (matrix[[p, k]], matrix[[q, k]]);
                    matrix[[p, k]] = cosine * pk - sine * qk;
                    matrix[[q, k]] = sine * pk + cosine * qk;
                    let (kp, kq) = (vectors[[k, p]], vectors[[k, q]]);
                    vectors[[k, p]] = cosine * kp - sine * kq;
                    vectors[[k, q]] = sine * kp + cosine * kq;
                }
            }
        }
        if rest <= 1e-24 * total {
            break;
        }
    }
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|&a, &b| matrix[[b, b]].total_cmp(&matrix[[a, a]]));
    let values = order.iter().map(|&index| matrix[[index, index]]).collect();
    (values, vectors.select(Axis(1), &order))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn sparse(matrix: &Array2<f64>) -> Vec<TextVector> {
        let row =
            |row: ndarray::ArrayView1<'_, f64>| row.iter().enumerate().map(|(c, &v)| (c as u32, v as f32)).collect();
        matrix.outer_iter().map(row).collect()
    }

    #[test]
    fn finds_a_planted_subspace() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut draw = |rows, columns| -> Array2<f64> {
            Array2::from_shape_simple_fn((rows, columns), || StandardNormal.sample(&mut random))
        };
        let (left, mut planted) = (draw(200, 3), draw(50, 3));
        orthonormalise(&mut planted);
        let matrix = (left * ndarray::array![9.0, 5.0, 2.0]).dot(&planted.t()) + draw(200, 50) * 0.01;
        let found = right_vectors(&sparse(&matrix), 50, 3, &mut random).mapv(f64::from);

        assert_eq!(found.dim(), (50, 3));
        let gram = found.t().dot(&found);
        assert!((gram - Array2::<f64>::eye(3)).iter().all(|off| off.abs() < 1e-5), "orthonormal");
        // Cosines of the angles between both subspaces: all three near 1.
        let overlap = planted.t().dot(&found);
        let (cosines, _) = symmetric_eigen(overlap.t().dot(&overlap));
        assert!(cosines.iter().all(|&cosine| cosine > 0.999), "{cosines:?}");
    }

    #[test]
    fn a_matrix_of_small_rank_gives_no_more_vectors() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let rows = vec![vec![(0, 1.0), (2, 2.0)]; 30];
        let found = right_vectors(&rows, 4, 3, &mut random);
        assert_eq!(found.dim(), (4, 1));
        assert!((found[[2, 0]] - 2.0 / 5.0_f32.sqrt()).abs() < 1e-6, "{found}");
        assert_eq!(right_vectors(&vec![vec![]; 5], 4, 3, &mut random).dim(), (4, 0));
        assert_eq!(right_vectors(&[], 4, 3, &mut random).dim(), (4, 0));
    }

    #[test]
    fn eigenvalues_are_those_of_a_known_matrix() {
        let (values, vectors) = symmetric_eigen(ndarray::array![[2.0, 1.0], [1.0, 2.0]]);
        assert!((values[0] - 3.0).abs() < 1e-12 && (values[1] - 1.0).abs() < 1e-12, "{values:?}");
        assert!((vectors[[0, 0]] - vectors[[1, 0]]).abs() < 1e-12, "{vectors}");
    }
}

//! How far the probabilities of a classifier are too sure, or not sure enough: temperature scaling (Guo et al., "On
//! calibration of modern neural networks", 2017).

/// How strongly the factor is drawn towards 1, in about as many rows.
const PRIOR: f64 = 5.0;

/// The factor lies between this and its inverse.
const FARTHEST: f64 = 20.0;

/// Halvings of the logarithm of that range.
const ITERATIONS: usize = 40;

/// The factor by which to multiply logits, so that their softmax is as probable as can be: below 1 where they are too
/// sure. Each row has a logit a class, and the class that it is of. The order of the classes does not change.
pub(crate) fn fit(rows: &[(Vec<f64>, usize)]) -> f64 {
    if rows.is_empty() {
        return 1.0;
    }
    let range = FARTHEST.ln();
    let (mut low, mut high) = (-range, range);
    for _ in 0..ITERATIONS {
        let middle = f64::midpoint(low, high);
        // Convex, so what falls here is lowest farther on.
        if slope(rows, middle.exp()) < 0.0 { low = middle } else { high = middle }
    }
    f64::midpoint(low, high).exp()
}

/// Derivative of the negative log-likelihood, with the prior, at a factor.
fn slope(rows: &[(Vec<f64>, usize)], factor: f64) -> f64 {
    let of_row = |(logits, class): &(Vec<f64>, usize)| {
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (mut sum, mut weighted) = (0.0, 0.0);
        for logit in logits {
            let share = (factor * (logit - largest)).exp();
            sum += share;
            weighted += share * logit;
        }
        weighted / sum - logits[*class]
    };
    rows.iter().map(of_row).sum::<f64>() + PRIOR * (factor - 1.0)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

    use super::*;

    /// Rows whose classes follow the softmax of their logits times a factor.
    fn rows(count: usize, factor: f64) -> Vec<(Vec<f64>, usize)> {
        let mut random = ChaCha8Rng::seed_from_u64(4);
        let mut row = || {
            let logits: Vec<f64> = (0..4).map(|_| 6.0 * random.random::<f64>()).collect();
            let shares: Vec<f64> = logits.iter().map(|logit| (factor * logit).exp()).collect();
            let mut rest = random.random::<f64>() * shares.iter().sum::<f64>();
            let class = shares.iter().position(|share| {
                rest -= share;
                rest < 0.0
            });
            (logits, class.unwrap_or(3))
        };
        (0..count).map(|_| row()).collect()
    }

    #[test]
    fn the_factor_is_found_on_either_side() {
        for factor in [0.3, 0.6, 1.0, 2.0] {
            let found = fit(&rows(4_000, factor));
            assert!((found / factor - 1.0).abs() < 0.1, "{found} and not {factor}");
        }
    }

    #[test]
    fn few_rows_change_little_and_none_nothing() {
        assert_eq!(fit(&[]), 1.0);
        let sure = (vec![1.0, 0.0], 1);
        let one = fit(std::slice::from_ref(&sure));
        assert!((0.8..1.0).contains(&one), "{one}");
        assert!(fit(&vec![sure; 1_000]) < 0.06, "always wrong is as unsure as can be");
        assert!(fit(&vec![(vec![1.0, 0.0], 0); 100_000]) > 7.0);
        assert!(fit(&[(vec![3e30, -3e30], 1), (vec![0.0, 0.0], 0)]).is_finite());
    }
}

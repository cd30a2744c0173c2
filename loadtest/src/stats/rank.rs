//! Whether two figures put the same things into the same order.

/// Spearman's rank correlation: Pearson's of the ranks, where equal values share the mean of theirs. 1 is the same order, -1
/// the reverse, 0 none in common.
///
/// The two are of the same things in the same order: `None` where one has more of them. A pair with a value that is not finite
/// is left out; `None` where fewer than two are left, and where all values of either are equal, so that they have no order.
pub(crate) fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() != b.len() {
        return None;
    }
    let finite = a.iter().zip(b).filter(|(a, b)| a.is_finite() && b.is_finite());
    let (a, b): (Vec<f64>, Vec<f64>) = finite.unzip();
    let (a, b) = (from_mean(&ranks(&a)), from_mean(&ranks(&b)));
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let both = (product(&a, &a) * product(&b, &b)).sqrt();
    (both > 0.0).then(|| (product(&a, &b) / both).clamp(-1.0, 1.0))
}

/// The rank of each value, from 1; of equal ones the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut passed = 0;
    for equal in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let mean = passed as f64 + (equal.len() + 1) as f64 / 2.0;
        for &place in equal {
            ranks[place] = mean;
        }
        passed += equal.len();
    }
    ranks
}

/// How far each rank is from the mean, which is known without adding them up.
fn from_mean(ranks: &[f64]) -> Vec<f64> {
    let mean = (ranks.len() + 1) as f64 / 2.0;
    ranks.iter().map(|rank| rank - mean).collect()
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha8Rng};

    use super::*;

    fn close(told: Option<f64>, expected: f64) -> bool {
        told.is_some_and(|told| (told - expected).abs() < 1e-12)
    }

    #[test]
    fn it_is_that_of_the_published_examples() {
        // Wikipedia, "Spearman's rank correlation coefficient": intelligence and hours of television a week.
        let quotient = [106.0, 100.0, 86.0, 101.0, 99.0, 103.0, 97.0, 113.0, 112.0, 110.0];
        let hours = [7.0, 27.0, 2.0, 50.0, 28.0, 29.0, 20.0, 12.0, 6.0, 17.0];
        assert!(close(spearman(&quotient, &hours), -29.0 / 165.0));
        // cor(c(1, 2, 2, 3), 1:4, method = "spearman"): with ties, the short formula would tell 0.95.
        assert!(close(spearman(&[1.0, 2.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]), 3.0 / 10.0_f64.sqrt()));
    }

    #[test]
    fn equal_values_share_their_ranks() {
        assert_eq!(ranks(&[30.0, 10.0, 20.0, 10.0, 30.0, 30.0]), [5.0, 1.5, 3.0, 1.5, 5.0, 5.0]);
        assert_eq!(ranks(&[0.0, -0.0, -1.0]), [2.5, 2.5, 1.0], "the two zeros are equal");
        assert_eq!(ranks(&[]), [0.0; 0]);
    }

    #[test]
    fn only_the_order_counts() {
        let mut dice = ChaCha8Rng::seed_from_u64(1);
        for count in 2..60 {
            let a: Vec<f64> = (0..count).map(|_| dice.random()).collect();
            let b: Vec<f64> = (0..count).map(|_| dice.random()).collect();
            let grown: Vec<f64> = a.iter().map(|value| value.powi(3) * 1e6).collect();
            let turned: Vec<f64> = a.iter().map(|value| -value).collect();
            assert_eq!((spearman(&a, &grown), spearman(&a, &turned)), (Some(1.0), Some(-1.0)));
            let told = spearman(&a, &b).unwrap();
            assert!((-1.0..=1.0).contains(&told) && close(spearman(&b, &a), told));
            assert!(close(spearman(&turned, &b), -told));
            // Without ties, the short formula holds.
            let apart: f64 = ranks(&a).iter().zip(ranks(&b)).map(|(a, b)| (a - b) * (a - b)).sum();
            let count = f64::from(count);
            assert!(close(Some(told), 1.0 - 6.0 * apart / (count * (count * count - 1.0))));
        }
    }

    #[test]
    fn what_has_nothing_in_common_is_near_zero() {
        let mut dice = ChaCha8Rng::seed_from_u64(2);
        let mut bands = || -> Vec<f64> { (0..10_000).map(|_| f64::from(dice.random_range(0_u8..5))).collect() };
        let told = spearman(&bands(), &bands()).unwrap();
        assert!(told.abs() < 0.05, "{told}");
    }

    #[test]
    fn what_has_no_order_has_no_correlation() {
        assert_eq!(spearman(&[], &[]), None);
        assert_eq!(spearman(&[1.0], &[2.0]), None);
        assert_eq!(spearman(&[1.0, 2.0], &[1.0]), None, "one is missing");
        assert_eq!(spearman(&[4.0; 3], &[1.0, 2.0, 3.0]), None);
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[4.0; 3]), None);
        assert_eq!(spearman(&[1.0, 2.0], &[5.0, 9.0]), Some(1.0));
    }

    #[test]
    fn a_pair_that_is_not_finite_is_left_out() {
        let (a, b) = ([3.0, 1.0, 4.0, 1.5, 5.0], [2.0, 7.0, 1.0, 8.0, 2.5]);
        let told = spearman(&a, &b);
        for odd in [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let with = |values: [f64; 5], at: [f64; 2]| [vec![at[0]], values.to_vec(), vec![at[1]]].concat();
            assert_eq!(spearman(&with(a, [odd, 0.0]), &with(b, [0.0, odd])), told);
            assert_eq!(spearman(&[odd; 5], &b), None);
            assert_eq!(spearman(&[1.0, odd, 2.0], &[odd, 1.0, 2.0]), None, "one pair is left");
        }
    }
}

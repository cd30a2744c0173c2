//! How far apart two samples of a figure are spread.

use super::quantile::{ascending, quantile};

/// A share that counts for one of zero, which would be infinitely far from any other: that of the drift that inference tells.
const LEAST: f64 = 1e-3;

/// The index of population stability: `Σ (o - e) ln(o / e)` over bins, where `e` and `o` are the shares of the expected and of
/// the observed values in one (Siddiqi, "Credit risk scorecards", 2006). Under 0.1 little has moved, above 0.25 much; of
/// samples of n and m values from the same spread, chance alone makes it about `(bins - 1) (1/n + 1/m)`.
///
/// Bins hold equal shares of the expected values, as far as these differ: one that fills a bin by itself has a bin of its
/// own, so that values just below it count as moved. A value on the edge of two bins is in the lower one. What is not finite
/// is left out. `None` where either sample is empty, and where there would be fewer than two bins; there are never more of them
/// than expected values.
pub(crate) fn psi(expected: &[f64], observed: &[f64], bins: usize) -> Option<f64> {
    let (expected, observed) = (ascending(expected), ascending(observed));
    let ends = ends(&expected, bins)?;
    let (expected, observed) = (shares(&expected, &ends)?, shares(&observed, &ends)?);
    let part = |(expected, observed): (f64, f64)| {
        let (expected, observed) = (expected.max(LEAST), observed.max(LEAST));
        (observed - expected) * (observed / expected).ln()
    };
    Some(expected.into_iter().zip(observed).map(part).sum())
}

/// Where each bin but the last ends, itself included.
fn ends(sorted: &[f64], bins: usize) -> Option<Vec<f64>> {
    let bins = bins.min(sorted.len());
    if bins < 2 {
        return None;
    }
    let edge = |place: usize| quantile(sorted, place as f64 / bins as f64);
    let edges: Vec<f64> = (0..=bins).map(edge).collect::<Option<_>>()?;
    let filled = edges.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
    let alone = filled.flat_map(|value| [value.next_down(), value]);
    let mut ends: Vec<f64> = edges[1..bins].iter().copied().chain(alone).collect();
    ends.sort_unstable_by(f64::total_cmp);
    ends.dedup();
    Some(ends)
}

/// Share of the values in each bin.
fn shares(values: &[f64], ends: &[f64]) -> Option<Vec<f64>> {
    if values.is_empty() {
        return None;
    }
    let mut counts = vec![0_u64; ends.len() + 1];
    for value in values {
        counts[ends.partition_point(|end| end < value)] += 1;
    }
    Some(counts.into_iter().map(|count| count as f64 / values.len() as f64).collect())
}

/// What the test of Kolmogorov and Smirnov tells of two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct KolmogorovSmirnov {
    /// Most that the shares of values up to the same one differ: 0 to 1.
    pub statistic: f64,
    /// How probable it is that samples of the same spread differ so much or more.
    pub p: f64,
}

/// The test of Kolmogorov and Smirnov for two samples, its `p` by the asymptotic formula with the correction of Stephens (Press
/// et al., "Numerical Recipes", 3rd edition, 14.3.3): good from about `n m / (n + m)` of 4 on, and too large where many
/// values are equal. What is not finite is left out; `None` where either sample is empty.
pub(crate) fn kolmogorov_smirnov(a: &[f64], b: &[f64]) -> Option<KolmogorovSmirnov> {
    let (a, b) = (ascending(a), ascending(b));
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let (n, m) = (a.len() as f64, b.len() as f64);
    let (mut of_a, mut of_b, mut statistic) = (0_usize, 0_usize, 0.0_f64);
    while let (Some(next_a), Some(next_b)) = (a.get(of_a), b.get(of_b)) {
        // Past all that are equal to the lesser one, on either side, before the two are compared.
        let value = next_a.min(*next_b);
        of_a += a[of_a..].iter().take_while(|next| **next <= value).count();
        of_b += b[of_b..].iter().take_while(|next| **next <= value).count();
        statistic = statistic.max((of_a as f64 / n - of_b as f64 / m).abs());
    }
    let root = (n * m / (n + m)).sqrt();
    Some(KolmogorovSmirnov { statistic, p: beyond((root + 0.12 + 0.11 / root) * statistic) })
}

/// The probability that a value of Kolmogorov's distribution is above `z` (Numerical Recipes, 6.14.12): of its two series, the
/// one that converges at once.
fn beyond(z: f64) -> f64 {
    use std::f64::consts::{PI, TAU};

    if z <= 0.0 {
        return 1.0;
    }
    let p = if z < 1.18 {
        let y = (-PI * PI / (8.0 * z * z)).exp();
        1.0 - TAU.sqrt() / z * (y + y.powi(9) + y.powi(25) + y.powi(49))
    } else {
        let x = (-2.0 * z * z).exp();
        2.0 * (x - x.powi(4) + x.powi(9))
    };
    p.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha8Rng};

    use super::*;

    const ODD: [f64; 4] = [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

    fn close(told: Option<f64>, expected: f64) -> bool {
        told.is_some_and(|told| (told - expected).abs() < 1e-9)
    }

    fn to(last: i32) -> Vec<f64> {
        (1..=last).map(f64::from).collect()
    }

    fn with_odd(values: &[f64]) -> Vec<f64> {
        [&ODD[..2], values, &ODD[2..]].concat()
    }

    fn throw(dice: &mut ChaCha8Rng, count: usize) -> Vec<f64> {
        (0..count).map(|_| dice.random()).collect()
    }

    #[test]
    fn the_index_is_that_of_the_formula() {
        // Half and half was expected; a quarter and three quarters came.
        let observed = [1.0, 5.5, 6.0, 7.0, 8.0, 9.0, 10.0, 10.0];
        assert!(close(psi(&to(10), &observed, 2), 0.25 * 3.0_f64.ln()));
        // Of ten bins with a tenth each, all are empty but the last.
        let expected = 9.0 * (0.001 - 0.1) * 0.01_f64.ln() + 0.9 * 10.0_f64.ln();
        assert!(close(psi(&to(100), &[1_000.0; 7], 10), expected));
        assert!((expected - 6.1755).abs() < 1e-4);
    }

    #[test]
    fn the_same_values_have_not_moved() {
        let mut dice = ChaCha8Rng::seed_from_u64(1);
        for count in [2, 3, 9, 10, 11, 200] {
            let mut values = throw(&mut dice, count);
            assert_eq!(psi(&values, &values, 10), Some(0.0));
            for value in &mut values {
                *value = (*value * 4.0).floor();
            }
            assert_eq!(psi(&values, &values, 10), Some(0.0), "with ties");
        }
    }

    #[test]
    fn values_beside_one_that_all_have_are_seen() {
        let of = |expected: f64, observed: f64| psi(&[expected; 50], &[observed; 20], 10);
        let moved = 2.0 * 0.999 * 1_000.0_f64.ln();
        for value in [0.0_f64, -0.0, 5.0, -1e300] {
            assert_eq!(of(value, value), Some(0.0));
            assert!(close(of(value, value - value.abs() / 8.0 - 0.1), moved), "below {value}");
            assert!(close(of(value, value + value.abs() / 8.0 + 0.1), moved), "above {value}");
        }
        // Half are zero, the rest spread; those of zero become a little more.
        let zeros = |zero: f64| [vec![zero; 50], to(50)].concat();
        assert_eq!(psi(&zeros(0.0), &zeros(0.0), 10), Some(0.0));
        assert!(psi(&zeros(0.0), &zeros(-0.1), 10).is_some_and(|psi| psi > 1.0));
        assert!(psi(&zeros(0.0), &zeros(0.1), 10).is_some_and(|psi| psi > 1.0));
    }

    #[test]
    fn chance_moves_little_and_a_change_much() {
        let mut dice = ChaCha8Rng::seed_from_u64(2);
        let (one, other) = (throw(&mut dice, 5_000), throw(&mut dice, 5_000));
        // 9 × 2 / 5,000 is expected.
        assert!(psi(&one, &other, 10).is_some_and(|psi| psi > 0.0 && psi < 0.02));
        // A square has the shares √0.1, √0.2 - √0.1, … in the tenths.
        let squares: Vec<f64> = other.iter().map(|value| value * value).collect();
        let share = |place: i32| (f64::from(place) / 10.0).sqrt() - (f64::from(place - 1) / 10.0).sqrt();
        let expected: f64 = (1..=10).map(|place| (share(place) - 0.1) * (share(place) / 0.1).ln()).sum();
        assert!((expected - 0.38).abs() < 0.01, "{expected}");
        let told = psi(&one, &squares, 10).unwrap();
        assert!((told - expected).abs() < 0.08, "{told}");
    }

    #[test]
    fn what_has_no_index_has_none() {
        for (expected, observed, bins) in [(0, 5, 10), (5, 0, 10), (0, 0, 10), (1, 5, 10), (5, 5, 0), (5, 5, 1)] {
            assert_eq!(psi(&to(expected), &to(observed), bins), None, "{expected} {observed} {bins}");
        }
        assert_eq!(psi(&ODD, &to(5), 10), None);
        assert_eq!(psi(&to(5), &ODD, 10), None);
        assert_eq!(psi(&to(5), &to(5), usize::MAX), Some(0.0), "no more bins than values");
        assert!(psi(&to(5), &[3.0], 10).is_some());
        let observed = [1.0, 4.0, 30.0];
        assert_eq!(psi(&with_odd(&to(20)), &with_odd(&observed), 10), psi(&to(20), &observed, 10));
        assert!(psi(&[f64::MAX, -f64::MAX, -f64::MAX], &[0.0], 2).is_some_and(f64::is_finite));
    }

    #[test]
    fn the_distribution_is_that_of_the_tables() {
        // Smirnov, "Table for estimating the goodness of fit of empirical distributions", 1948, and the usual critical values.
        let table = [(0.5, 0.963_945), (1.0, 0.270_000), (1.5, 0.022_218), (2.0, 0.000_671)];
        for (z, expected) in table {
            assert!((beyond(z) - expected).abs() < 1e-6, "{z}: {}", beyond(z));
        }
        for (z, expected) in [(1.223_85, 0.1), (1.358_10, 0.05), (1.627_62, 0.01), (1.949_47, 0.001)] {
            assert!((beyond(z) / expected - 1.0).abs() < 1e-4, "{z}: {}", beyond(z));
        }
        assert!((beyond(1.18 - 1e-12) - beyond(1.18)).abs() < 1e-10, "the two series meet");
        assert_eq!((beyond(0.0), beyond(1e-300), beyond(0.01), beyond(1e300)), (1.0, 1.0, 1.0, 0.0));
    }

    #[test]
    fn the_test_is_that_of_the_book() {
        // Five of ten below all of the others: λ = (√5 + 0.12 + 0.11 / √5) / 2 = 1.202631.
        let other: Vec<f64> = to(15)[5..].to_vec();
        let told = kolmogorov_smirnov(&to(10), &other).unwrap();
        assert!((told.statistic - 0.5).abs() < 1e-12 && (told.p - 0.110_840).abs() < 1e-6, "{told:?}");
        assert_eq!(kolmogorov_smirnov(&other, &to(10)), Some(told));
        let same = kolmogorov_smirnov(&to(10), &to(10)).unwrap();
        assert_eq!((same.statistic, same.p), (0.0, 1.0));
        let apart = kolmogorov_smirnov(&to(100), &[200.0; 100]).unwrap();
        assert!(apart.statistic == 1.0 && apart.p < 1e-12, "{apart:?}");
    }

    #[test]
    fn equal_values_count_at_once() {
        let told = kolmogorov_smirnov(&[1.0, 1.0, 2.0], &[1.0, 2.0, 2.0]).unwrap();
        assert!((told.statistic - 1.0 / 3.0).abs() < 1e-12, "{told:?}");
        let zeros = kolmogorov_smirnov(&[0.0, -0.0], &[-0.0, 0.0, 0.0]).unwrap();
        assert_eq!((zeros.statistic, zeros.p), (0.0, 1.0));
        let mut dice = ChaCha8Rng::seed_from_u64(3);
        for _ in 0..300 {
            let mut few = |most: usize| -> Vec<f64> {
                (0..dice.random_range(1..most)).map(|_| f64::from(dice.random_range(0_u8..8))).collect()
            };
            let (a, b) = (few(20), few(30));
            let up_to = |values: &[f64], most: u8| {
                values.iter().filter(|value| **value <= f64::from(most)).count() as f64 / values.len() as f64
            };
            let expected = (0..8).map(|value| (up_to(&a, value) - up_to(&b, value)).abs()).fold(0.0, f64::max);
            assert_eq!(kolmogorov_smirnov(&a, &b).unwrap().statistic, expected, "{a:?} {b:?}");
        }
    }

    #[test]
    fn chance_is_as_probable_as_it_says() {
        let mut dice = ChaCha8Rng::seed_from_u64(4);
        let mut told = || {
            let (a, b) = (throw(&mut dice, 150), throw(&mut dice, 120));
            kolmogorov_smirnov(&a, &b).unwrap().p
        };
        let told: Vec<f64> = (0..300).map(|_| told()).collect();
        let below = |p: f64| told.iter().filter(|told| **told < p).count();
        assert!((3..=30).contains(&below(0.05)), "15 of 300: {}", below(0.05));
        assert!((110..=190).contains(&below(0.5)), "150 of 300: {}", below(0.5));
        let (plain, squares) = (throw(&mut dice, 400), throw(&mut dice, 400));
        let squares: Vec<f64> = squares.iter().map(|value| value * value).collect();
        let apart = kolmogorov_smirnov(&plain, &squares).unwrap();
        // √x - x is a quarter at most.
        assert!((apart.statistic - 0.25).abs() < 0.1 && apart.p < 1e-3, "{apart:?}");
    }

    #[test]
    fn what_cannot_be_tested_is_not() {
        let some = to(5);
        let nothings: [&[f64]; 2] = [&[], &ODD];
        for nothing in nothings {
            assert_eq!(kolmogorov_smirnov(nothing, &some), None);
            assert_eq!(kolmogorov_smirnov(&some, nothing), None);
            assert_eq!(kolmogorov_smirnov(nothing, nothing), None);
        }
        assert_eq!(kolmogorov_smirnov(&with_odd(&some), &with_odd(&to(9))), kolmogorov_smirnov(&some, &to(9)));
        let one = kolmogorov_smirnov(&[1.0], &[2.0]).unwrap();
        assert!(one.statistic == 1.0 && one.p > 0.2, "two values prove nothing: {one:?}");
        assert_eq!(kolmogorov_smirnov(&[1.0], &[1.0]).unwrap().p, 1.0);
    }
}

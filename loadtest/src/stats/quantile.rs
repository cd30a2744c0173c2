//! Quantiles, in the definition that most programs have by default.

/// The quantile `q`, from 0 to 1, of values in ascending order: type 7 of Hyndman and Fan ("Sample quantiles in statistical
/// packages", The American Statistician 50, 1996), which lies between two values by the distance of its rank from theirs.
///
/// Values at either end that are not finite are left out. `None` without any other, and for a `q` that is no share.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let first = sorted.iter().position(|value| value.is_finite())?;
    let last = sorted.iter().rposition(|value| value.is_finite())?;
    let finite = sorted.get(first..=last)?;
    let place = Place::of(finite.len() as u64, q)?;
    let value = |rank: u64| finite.get(rank as usize).copied();
    Some(place.between(value(place.below)?, value(place.above)?)).filter(|value| value.is_finite())
}

/// The finite ones of some values, in ascending order.
pub(super) fn ascending(values: &[f64]) -> Vec<f64> {
    let mut finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    finite.sort_unstable_by(f64::total_cmp);
    finite
}

/// Where a quantile lies among the ranks of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    /// Rank, counted from 0, of the value below,
    pub(super) below: u64,
    /// and of the one above; the same at the end of the sample.
    pub(super) above: u64,
    /// Share of the way from the one to the other.
    part: f64,
}

impl Place {
    /// Of the quantile `q` among so many values.
    pub(super) fn of(count: u64, q: f64) -> Option<Self> {
        let last = count.checked_sub(1)?;
        if !(0.0..=1.0).contains(&q) {
            return None;
        }
        let rank = last as f64 * q;
        let below = (rank.floor() as u64).min(last);
        Some(Self { below, above: (below + 1).min(last), part: rank - below as f64 })
    }

    /// The quantile, given the values at its two ranks.
    pub(super) fn between(self, lower: f64, upper: f64) -> f64 {
        // Rounding must not put it outside, so that it is exact between two equal ones.
        (lower * (1.0 - self.part) + upper * self.part).max(lower).min(upper)
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha8Rng};

    use super::*;

    /// Miles per gallon of the 32 cars in `mtcars`, a data set of R.
    const MILES: [f64; 32] = [
        10.4, 10.4, 13.3, 14.3, 14.7, 15.0, 15.2, 15.2, 15.5, 15.8, 16.4, 17.3, 17.8, 18.1, 18.7, 19.2, 19.2, 19.7,
        21.0, 21.0, 21.4, 21.4, 21.5, 22.8, 22.8, 24.4, 26.0, 27.3, 30.4, 30.4, 32.4, 33.9,
    ];

    fn close(told: Option<f64>, expected: f64) -> bool {
        told.is_some_and(|told| (told - expected).abs() < 1e-12)
    }

    #[test]
    fn it_is_the_default_of_r() {
        // quantile(mtcars$mpg)
        for (q, expected) in [(0.0, 10.4), (0.25, 15.425), (0.5, 19.2), (0.75, 22.8), (1.0, 33.9)] {
            assert!(close(quantile(&MILES, q), expected), "{q}");
        }
        // quantile(1:10, c(.01, .25, .5, .9, .99)); the other types of the paper differ.
        let ten: Vec<f64> = (1..=10).map(f64::from).collect();
        for (q, expected) in [(0.01, 1.09), (0.25, 3.25), (0.5, 5.5), (0.9, 9.1), (0.99, 9.91)] {
            assert!(close(quantile(&ten, q), expected), "{q}");
        }
    }

    #[test]
    fn few_values_have_quantiles_too() {
        assert_eq!(quantile(&[], 0.5), None);
        for q in [0.0, 0.3, 0.99, 1.0] {
            assert_eq!(quantile(&[7.0], q), Some(7.0));
            assert_eq!(quantile(&[0.1; 5], q), Some(0.1), "exactly the value that all have");
        }
        assert!(close(quantile(&[1.0, 2.0], 0.25), 1.25));
    }

    #[test]
    fn what_is_no_share_has_no_quantile() {
        for q in [-0.01, 1.01, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(quantile(&MILES, q), None, "{q}");
        }
    }

    #[test]
    fn what_is_not_finite_is_left_out() {
        let values = [2.0, f64::NAN, 1.0, f64::INFINITY, 3.0, f64::NEG_INFINITY, -f64::NAN];
        assert_eq!(ascending(&values), [1.0, 2.0, 3.0]);
        let mut sorted = values;
        sorted.sort_unstable_by(f64::total_cmp);
        assert_eq!(quantile(&sorted, 0.5), Some(2.0));
        assert_eq!(quantile(&sorted, 1.0), Some(3.0));
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(quantile(&[value], 0.5), None);
            assert_eq!(quantile(&[value; 3], 0.5), None);
        }
        // Out of order, it may tell anything that is a number.
        assert!(quantile(&[1.0, f64::NAN, f64::NAN, 2.0], 0.5).is_none_or(f64::is_finite));
        assert_eq!(quantile(&[-f64::MAX, f64::MAX], 0.5), Some(0.0), "no overflow between the two");
    }

    #[test]
    fn they_grow_with_the_share_and_stay_inside() {
        let mut dice = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..200 {
            let count = dice.random_range(1_usize..50);
            let values: Vec<f64> = (0..count).map(|_| f64::from(dice.random_range(-9_i32..9)) / 7.0).collect();
            let sorted = ascending(&values);
            let told: Vec<f64> = (0..=40).filter_map(|q| quantile(&sorted, f64::from(q) / 40.0)).collect();
            assert_eq!(told.len(), 41);
            assert!(told.windows(2).all(|pair| pair[0] <= pair[1] + 1e-12), "{told:?}");
            assert_eq!((told[0], told[40]), (sorted[0], sorted[sorted.len() - 1]));
            // At most that share of the values is below it, and no more than the rest above.
            for (q, told) in told.iter().enumerate() {
                let below = sorted.iter().filter(|value| *value < told).count() as f64;
                let above = sorted.iter().filter(|value| *value > told).count() as f64;
                let (last, q) = ((count - 1) as f64, q as f64 / 40.0);
                let at_most = |share: f64| (last * share + 1e-9).floor() + 1.0;
                assert!(below <= at_most(q) && above <= at_most(1.0 - q), "{told} of {sorted:?}");
            }
        }
    }
}

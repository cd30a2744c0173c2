//! Fits the scaler: robust centre and spread of each feature over the training slice.

use prowl_model::{Column, FeatureInfo, Scaler, Usual};

use crate::Dataset;

/// Interquartile range of a normal distribution of standard deviation 1.
const NORMAL_IQR: f64 = 1.349;

/// A feature of which one value in 200 is this many times as far from the median as its quartiles are is scaled by its
/// logarithm. A normal distribution comes to 3.8, an exponential one to 6.6.
const HEAVY: f32 = 5.0;

/// Groups of features that the model does not read. An export has how far a pull request had come when it ended, which
/// is alike for nearly all: no draft, nobody left to review. One that has just been opened would stand out by that alone.
/// And what the repository is like is no property of the change.
const UNREAD: [&str; 2] = ["process", "repository"];

/// Whether the model reads a feature.
pub(crate) fn is_read(feature: &FeatureInfo) -> bool {
    !UNREAD.contains(&feature.group.as_str())
}

/// The scaler of these rows.
pub(crate) fn fit(data: &Dataset, rows: &[usize]) -> Scaler {
    let mut known = Vec::with_capacity(rows.len());
    let column = |feature: usize| {
        if !is_read(&data.features[feature]) {
            return Column::UNKNOWN;
        }
        known.clear();
        known.extend(rows.iter().map(|&row| data.row(row)[feature]).filter(|value| value.is_finite()));
        known.sort_unstable_by(f32::total_cmp);
        column(&known, finest(&data.features[feature].unit))
    };
    Scaler { columns: (0..data.features.len()).map(column).collect() }
}

/// The smallest spread that means anything in a unit. The share of a changed line in a thousand is no news where there
/// usually is none.
fn finest(unit: &str) -> f64 {
    if unit == "share" { 0.01 } else { f64::from(f32::MIN_POSITIVE) }
}

/// The column of these values, all finite and ascending.
fn column(sorted: &[f32], finest: f64) -> Column {
    let (Some(&smallest), Some(&largest)) = (sorted.first(), sorted.last()) else { return Column::UNKNOWN };
    let mean = |values: &[f32]| values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64;
    let usual = Usual {
        low: seen(sorted, 0.05),
        median: seen(sorted, 0.5),
        high: seen(sorted, 0.95),
        mean: mean(sorted) as f32,
    };
    let logarithmic = is_heavy(sorted);
    let scaled: Vec<f32> =
        sorted.iter().map(|&value| if logarithmic { prowl_model::signed_log(value) } else { value }).collect();
    let centre = quantile(&scaled, 0.5);
    let interquartile = f64::from(quantile(&scaled, 0.75) - quantile(&scaled, 0.25)) / NORMAL_IQR;
    // Where most values are equal, as of a rare flag, the quartiles coincide and the deviation from the mean tells.
    let average = mean(&scaled);
    let deviation =
        (scaled.iter().map(|&value| (f64::from(value) - average).powi(2)).sum::<f64>() / scaled.len() as f64).sqrt();
    let spread = if interquartile > 0.1 * deviation { interquartile } else { deviation };
    // A constant has no spread. Another value than it is then measured in its own unit.
    let spread = if smallest < largest && spread > 0.0 { spread.max(finest) as f32 } else { 1.0 };
    Column { known: true, logarithmic, centre, spread, smallest, largest, usual }
}

/// Whether the tails reach far beyond the quartiles; those of a flag never do.
fn is_heavy(sorted: &[f32]) -> bool {
    let from_median = |share: f64| (quantile(sorted, share) - quantile(sorted, 0.5)).abs();
    let quartile = from_median(0.25).max(from_median(0.75));
    from_median(0.005).max(from_median(0.995)) > HEAVY * quartile.max(0.25)
}

/// Linear between the two nearest ranks; `sorted` is ascending and not empty.
pub(crate) fn quantile(sorted: &[f32], share: f64) -> f32 {
    let position = share * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
    // In f64, where the difference of two floats cannot overflow.
    (f64::from(low) + position.fract() * (f64::from(high) - f64::from(low))) as f32
}

/// The smallest value that at least this share does not exceed: one that was seen, since nobody touches 4.4 directories.
/// `sorted` is ascending and not empty.
fn seen(sorted: &[f32], share: f64) -> f32 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted[rank.saturating_sub(1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(mut values: Vec<f32>) -> Column {
        values.sort_unstable_by(f32::total_cmp);
        column(&values, finest("lines"))
    }

    #[test]
    fn each_group_that_is_not_read_is_one_of_the_catalog() {
        let features: Vec<prowl_model::FeatureInfo> = serde_json::from_value(prowl_features::catalog_json()).unwrap();
        for unread in UNREAD {
            assert!(features.iter().any(|feature| feature.group == unread), "{unread}");
        }
    }

    #[test]
    fn a_normal_feature_is_centred_and_scaled_by_its_quartiles() {
        let column = fitted((0..=100).map(|step| 10.0 + step as f32 / 10.0).collect());
        assert_eq!((column.known, column.logarithmic, column.centre), (true, false, 15.0));
        assert!((column.spread - 5.0 / 1.349).abs() < 1e-4);
        assert_eq!(
            (column.usual.low, column.usual.median, column.usual.high, column.usual.mean),
            (10.5, 15.0, 19.5, 15.0)
        );
        assert_eq!((column.smallest, column.largest), (10.0, 20.0));
    }

    #[test]
    fn a_heavy_tail_is_scaled_by_its_logarithm() {
        let column = fitted((0..200).map(|step| (step as f32 / 20.0).exp()).collect());
        assert!(column.logarithmic);
        let scaled = [1.0, 100.0, 20_000.0].map(|value| column.scale(value).unwrap());
        assert!(scaled.iter().all(|value| value.abs() < 3.0), "{scaled:?}");
        assert!((column.usual.median - 146.0).abs() < 5.0, "in its own unit: {:?}", column.usual);
    }

    #[test]
    fn a_constant_stays_where_it_is() {
        let column = fitted(vec![7.0; 30]);
        assert_eq!((column.scale(7.0), column.unscale(0.0), column.unscale(9.0)), (Some(0.0), 7.0, 7.0));
        assert_eq!(column.scale(8.0), Some(1.0), "another value is measured in its own unit");
    }

    #[test]
    fn a_rare_flag_has_a_spread_and_no_logarithm() {
        let column = fitted((0..1000).map(|row| f32::from(u8::from(row % 100 == 0))).collect());
        assert!(!column.logarithmic);
        let raised = column.scale(1.0).unwrap() - column.scale(0.0).unwrap();
        assert!((raised - 10.0).abs() < 0.1, "one in a hundred is ten deviations off: {raised}");
    }

    #[test]
    fn a_share_is_no_finer_than_a_hundredth() {
        let shares: Vec<f32> = (0..1000).map(|row| if row < 990 { 0.0 } else { 0.001 }).collect();
        assert!(column(&shares, finest("share")).scale(0.001).unwrap() < 0.11);
        assert!(column(&shares, finest("bits")).scale(0.001).unwrap() > 9.0);
    }

    #[test]
    fn extremes_of_the_type_are_no_trouble() {
        for values in [
            vec![f32::MAX, f32::MIN, 0.0],
            vec![f32::MAX; 3],
            vec![f32::MIN_POSITIVE, 0.0],
            vec![1e-45, 0.0],
            vec![5.0],
        ] {
            let column = fitted(values.clone());
            assert!(column.spread > 0.0 && column.spread.is_finite(), "{values:?}: {column:?}");
            for value in values {
                assert!(column.scale(value).unwrap().is_finite() && column.unscale(0.5).is_finite(), "{column:?}");
            }
        }
        assert_eq!(fitted(vec![]), Column::UNKNOWN);
    }

    #[test]
    fn what_is_usual_was_seen() {
        let usual = fitted(
            (0..20).map(|step| f32::from(u8::from(step >= 10)) + 4.0 * f32::from(u8::from(step >= 18))).collect(),
        )
        .usual;
        assert_eq!((usual.low, usual.median, usual.high), (0.0, 0.0, 5.0));
        assert_eq!(fitted(vec![3.0]).usual, Usual { low: 3.0, median: 3.0, high: 3.0, mean: 3.0 });
    }

    #[test]
    fn quantiles_lie_between_ranks() {
        assert_eq!([0.0, 0.25, 0.5, 1.0].map(|share| quantile(&[1.0, 2.0, 4.0], share)), [1.0, 1.5, 2.0, 4.0]);
        assert_eq!(quantile(&[3.0], 0.9), 3.0);
    }
}

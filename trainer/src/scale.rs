//! Fits the scaler: robust centre and spread of each feature over the training slice.

use prowl_model::{Column, Scaler, Usual};

use crate::Dataset;

/// Interquartile range of a normal distribution of standard deviation 1.
const NORMAL_IQR: f64 = 1.349;

/// A feature that reaches this many times the distance of its quartiles from its median is scaled by its logarithm.
const HEAVY: f32 = 8.0;

/// The scaler of these rows.
pub fn fit(data: &Dataset, rows: &[usize]) -> Scaler {
    let mut known = Vec::with_capacity(rows.len());
    let column = |feature| {
        known.clear();
        known.extend(rows.iter().map(|&row| data.values(row)[feature]).filter(|value| value.is_finite()));
        known.sort_unstable_by(f32::total_cmp);
        column(&known)
    };
    Scaler { columns: (0..data.features.len()).map(column).collect() }
}

/// The column of these values, all finite and ascending.
fn column(sorted: &[f32]) -> Column {
    let (Some(&smallest), Some(&largest)) = (sorted.first(), sorted.last()) else { return Column::UNKNOWN };
    let mean = |values: &[f32]| values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64;
    let usual = Usual {
        low: quantile(sorted, 0.05),
        median: quantile(sorted, 0.5),
        high: quantile(sorted, 0.95),
        mean: mean(sorted) as f32,
    };
    let logarithmic = is_heavy(sorted);
    let scaled: Vec<f32> = sorted.iter().map(|&value| if logarithmic { prowl_model::signed_log(value) } else { value }).collect();
    let centre = quantile(&scaled, 0.5);
    let interquartile = f64::from(quantile(&scaled, 0.75) - quantile(&scaled, 0.25)) / NORMAL_IQR;
    // Where most values are equal, as of a rare flag, the quartiles coincide and the deviation from the mean tells.
    let average = mean(&scaled);
    let deviation = (scaled.iter().map(|&value| (f64::from(value) - average).powi(2)).sum::<f64>() / scaled.len() as f64).sqrt();
    let spread = if interquartile > 0.1 * deviation { interquartile } else { deviation };
    // A constant has no spread. Another value than it is then measured in its own unit.
    let spread = if smallest < largest && spread > f64::from(f32::MIN_POSITIVE) { spread as f32 } else { 1.0 };
    Column { known: true, logarithmic, centre, spread, smallest, largest, usual }
}

/// Whether the farthest value lies far beyond the quartiles; a flag never is.
fn is_heavy(sorted: &[f32]) -> bool {
    let (median, smallest, largest) = (quantile(sorted, 0.5), sorted[0], sorted[sorted.len() - 1]);
    let quartiles = (quantile(sorted, 0.75) - median).max(median - quantile(sorted, 0.25));
    (largest - median).max(median - smallest) > HEAVY * quartiles.max(0.25)
}

/// Linear between the two nearest ranks; `sorted` is ascending and not empty.
pub fn quantile(sorted: &[f32], share: f64) -> f32 {
    let position = share * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
    // In f64, where the difference of two floats cannot overflow.
    (f64::from(low) + position.fract() * (f64::from(high) - f64::from(low))) as f32
}

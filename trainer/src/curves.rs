//! How a feature enters a linear risk model: the curve that its values pass through.

use prowl_model::{Term, signed_log};

/// Points of a curve of ranks, at most.
const POINTS: usize = 64;

/// A value farther from the mean than this many standard deviations says no more.
const FARTHEST: f64 = 4.0;

/// Known values without which nothing can be said of a feature.
const FEWEST: usize = 10;

/// The rank of a value among these rows, from 0 to 1, or from 1 to 0 where less of the feature means more risk; unknown
/// ones lie in the middle. `None` for a feature that never varies. The weight is 1.
pub(crate) fn ranked(rows: &[&[f32]], feature: usize, falling: bool) -> Option<Term> {
    let sorted = known(rows, feature)?;
    let count = sorted.len() as f64;
    let mut points: Vec<[f32; 2]> = Vec::new();
    // Ranks from which on a point is due: evenly spread, the first and the last distinct value included.
    let step = (count / (POINTS - 2) as f64).max(1.0);
    let (mut start, mut due) = (0, 0.0);
    while start < sorted.len() {
        let end = sorted.partition_point(|&value| value <= sorted[start]);
        if end as f64 >= due || end == sorted.len() {
            // The middle of those that are equal.
            let rank = (f64::midpoint(start as f64, end as f64) + 0.5) / (count + 1.0);
            points.push([sorted[start], if falling { 1.0 - rank } else { rank } as f32]);
            due = ((end as f64 / step).floor() + 1.0) * step;
        }
        start = end;
    }
    Some(centred(rows, Term { feature, weight: 1.0, unknown: 0.5, points }))
}

/// Standard deviations of a value's [`signed_log`] from the mean, cut off at four; unknown ones count as the median.
/// `None` for a feature that never varies. The weight is 1.
pub(crate) fn logarithmic(rows: &[&[f32]], feature: usize) -> Option<Term> {
    let sorted = known(rows, feature)?;
    let count = sorted.len() as f64;
    let mean = sorted.iter().copied().map(f64::from).sum::<f64>() / count;
    let variance = sorted.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count;
    let reach = FARTHEST * variance.sqrt();
    let points = [-1.0, 1.0].map(|side| [(mean + side * reach) as f32, (side * FARTHEST) as f32]);
    if points[0][0] >= points[1][0] {
        return None;
    }
    let unknown = (f64::from(sorted[sorted.len() / 2]) - mean) / variance.sqrt();
    let unknown = unknown.clamp(-FARTHEST, FARTHEST) as f32;
    Some(centred(rows, Term { feature, weight: 1.0, unknown, points: points.to_vec() }))
}

/// Logarithms of the known values, ascending; `None` where they are few or all equal.
fn known(rows: &[&[f32]], feature: usize) -> Option<Vec<f32>> {
    let known = rows.iter().map(|row| row[feature]).filter(|value| value.is_finite());
    let mut sorted: Vec<f32> = known.map(signed_log).collect();
    sorted.sort_unstable_by(f32::total_cmp);
    let varies = sorted.len() >= FEWEST && sorted.first() < sorted.last();
    varies.then_some(sorted)
}

/// Shifts a curve so that its mean height over these rows is 0.
fn centred(rows: &[&[f32]], mut term: Term) -> Term {
    let sum: f64 = rows.iter().map(|row| f64::from(term.height(row[term.feature]))).sum();
    let mean = (sum / rows.len() as f64) as f32;
    term.unknown -= mean;
    term.points.iter_mut().for_each(|point| point[1] -= mean);
    term
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(values: &[f32]) -> Vec<&[f32]> {
        values.chunks(1).collect()
    }

    #[test]
    fn heights_are_ranks_less_their_mean() {
        let values: Vec<f32> = (0..1000).map(|row| ((row * 37 % 1000) as f32 / 100.0).exp()).collect();
        let rising = ranked(&rows(&values), 0, false).unwrap();
        let falling = ranked(&rows(&values), 0, true).unwrap();
        assert!(rising.points.len() <= POINTS && rising.points.len() > POINTS / 2);
        for rank in [0, 10, 333, 500, 990, 999] {
            let value = (rank as f32 / 100.0).exp();
            let expected = (rank as f32 + 0.5) / 1000.0 - 0.5;
            assert!((rising.height(value) - expected).abs() < 3e-3, "{rank}: {}", rising.height(value));
            assert!((falling.height(value) + expected).abs() < 3e-3, "{rank}");
        }
        assert_eq!(rising.height(1e9), rising.height(values.iter().copied().fold(0.0, f32::max)));
        assert!(rising.height(f32::NAN).abs() < 1e-3);
    }

    #[test]
    fn equal_values_share_their_middle_rank() {
        let values: Vec<f32> = (0..100).map(|row| if row < 90 { 0.0 } else { 1.0 }).collect();
        let term = ranked(&rows(&values), 0, false).unwrap();
        assert_eq!(term.points.len(), 2);
        assert!((term.height(1.0) - term.height(0.0) - 50.0 / 101.0).abs() < 1e-6);
    }

    #[test]
    fn heights_are_standard_deviations_of_the_logarithm() {
        let values: Vec<f32> = (0..1001).map(|row| ((row as f32 - 500.0) / 300.0 + 4.0).exp() - 1.0).collect();
        let term = logarithmic(&rows(&values), 0).unwrap();
        let deviation = (1001.0_f64.powi(2) - 1.0).sqrt() / 12.0_f64.sqrt() / 300.0;
        let expected = (1.0 / deviation) as f32;
        assert!((term.height(5.0_f32.exp() - 1.0) - expected).abs() < 1e-3, "one e-fold above the mean");
        assert!(term.height(f32::NAN).abs() < 1e-2, "the median is the mean");
        assert!((term.height(1e30) - 4.0).abs() < 1e-3 && (term.height(-1e30) + 4.0).abs() < 1e-3, "cut off");
    }

    #[test]
    fn what_never_varies_or_is_hardly_known_has_no_curve() {
        let few: Vec<f32> = (0..100).map(|row| if row < 9 { row as f32 } else { f32::NAN }).collect();
        for values in [vec![3.0; 100], vec![f32::NAN; 100], few, vec![f32::INFINITY; 100], vec![]] {
            assert_eq!(ranked(&rows(&values), 0, false), None);
            assert_eq!(logarithmic(&rows(&values), 0), None);
        }
    }

    #[test]
    fn extremes_of_the_type_are_no_trouble() {
        let mut values = vec![f32::MAX, f32::MIN, f32::MIN_POSITIVE, 0.0, -0.0, 1e-45];
        values.extend((0..20).map(|row| row as f32));
        for term in [ranked(&rows(&values), 0, true), logarithmic(&rows(&values), 0)].map(Option::unwrap) {
            assert!(term.points.is_sorted_by(|a, b| a[0] < b[0]), "{term:?}");
            assert!(values.iter().all(|&value| term.height(value).is_finite()));
        }
    }
}

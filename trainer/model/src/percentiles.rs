//! From a score to its percentile in a sample.

use ndarray::{Array2, Axis, array};

use crate::ArtifactError;
use crate::tensors::{Reader, Writer};

/// Largest percentile that is ever given: no sample shows that nothing could be more unusual.
const HIGHEST: f32 = 99.99;

/// At most this many points are kept of a sample, however large.
const POINTS: usize = 2048;

/// The empirical distribution of a sample of scores, as a monotone curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Percentiles {
    /// Rows (score, percentile), both ascending; at least one.
    points: Array2<f32>,
    /// Mean excess of the highest tenth over where it begins, above 0: how fast the tail thins out.
    tail: f32,
}

impl Percentiles {
    /// The distribution of a sample; `None` when it is empty or holds a value that is not finite.
    ///
    /// The k-th smallest of n scores has the percentile 100 (k - ½) / n (Hazen's plotting position).
    pub fn of(mut scores: Vec<f32>) -> Option<Self> {
        if scores.is_empty() || scores.iter().any(|score| !score.is_finite()) {
            return None;
        }
        scores.sort_unstable_by(f32::total_cmp);
        let count = scores.len();
        let kept = count.min(POINTS);
        // Evenly spread over the ranks, both ends included.
        let rank = |point: usize| if kept == 1 { 0 } else { point * (count - 1) / (kept - 1) };
        // Below 100 however many there are, also as f32.
        let percentile = |rank: usize| (100.0 * (rank as f64 + 0.5) / count as f64).min(99.999_9) as f32;
        let points = Array2::from_shape_fn((kept, 2), |(point, column)| {
            let rank = rank(point);
            if column == 0 { scores[rank] } else { percentile(rank) }
        });
        let highest = &scores[count - count.div_ceil(10)..];
        let excess = highest.iter().map(|score| f64::from(score - highest[0])).sum::<f64>() / highest.len() as f64;
        let floor = 1e-3 * f64::from(scores[count - 1].abs()) + 1e-6;
        Some(Self { points, tail: excess.max(floor) as f32 })
    }

    /// Share of the sample below `score`, in percent, 0 to 99.99.
    pub(crate) fn of_score(&self, score: f32) -> f32 {
        let (inside, excess) = self.place(score);
        (100.0 - (100.0 - inside) * libm::expf(-excess)).min(HIGHEST)
    }

    /// Negative logarithm of the share of the sample that reaches `score`, in nats: how surprising such a score is.
    pub fn surprise(&self, score: f32) -> f32 {
        let (inside, excess) = self.place(score);
        excess - libm::log1pf(-inside / 100.0)
    }

    /// The score that has this percentile, linear between the points; the first or last score outside of them.
    pub(crate) fn score_at(&self, percentile: f32) -> f32 {
        let (scores, percentiles) = (self.points.column(0), self.points.column(1));
        let above = partition(scores.len(), |point| percentiles[point] <= percentile);
        if above == 0 {
            scores[0]
        } else if above == scores.len() {
            scores[above - 1]
        } else {
            let (low, high) = (above - 1, above);
            let share = (percentile - percentiles[low]) / (percentiles[high] - percentiles[low]);
            scores[low] + share * (scores[high] - scores[low])
        }
    }

    /// The same curve with at most this many points, evenly spread over them.
    #[must_use]
    pub(crate) fn thinned(&self, most: usize) -> Self {
        let count = self.points.nrows();
        let kept = count.min(most.max(2));
        let rows: Vec<usize> = (0..kept).map(|point| point * (count - 1) / (kept - 1).max(1)).collect();
        Self { points: self.points.select(Axis(0), &rows), tail: self.tail }
    }

    /// The percentile of a score, linear between the points, and how many times the tail's length it lies beyond the last
    /// one. There, what remains shrinks exponentially, as the excesses of most distributions do.
    fn place(&self, score: f32) -> (f32, f32) {
        let (scores, percentiles) = (self.points.column(0), self.points.column(1));
        let last = scores.len() - 1;
        // Equal scores share the highest percentile of theirs.
        let above = partition(scores.len(), |point| scores[point] <= score);
        if above == 0 {
            // From 0 for a score of 0, which none is below.
            (percentiles[0] * (score / scores[0]).clamp(0.0, 1.0), 0.0)
        } else if above > last {
            (percentiles[last], (score - scores[last]) / self.tail)
        } else {
            let (low, high) = (above - 1, above);
            let share = (score - scores[low]) / (scores[high] - scores[low]);
            (percentiles[low] + share * (percentiles[high] - percentiles[low]), 0.0)
        }
    }

    pub(crate) fn write(&self, name: &str, tensors: &mut Writer) {
        tensors.matrix(name, &self.points);
        tensors.vector(&format!("{name}.tail"), &array![self.tail]);
    }

    pub(crate) fn read(name: &str, tensors: &Reader<'_>) -> Result<Self, ArtifactError> {
        let tail_name = format!("{name}.tail");
        let tail = tensors.vector(&tail_name)?;
        ArtifactError::unless(tail.len() == 1, &tail_name, || format!("it has {} values", tail.len()))?;
        Ok(Self { points: tensors.matrix(name)?, tail: tail[0] })
    }

    pub(crate) fn check(&self, name: &str) -> Result<(), ArtifactError> {
        let shaped = self.points.nrows() > 0 && self.points.ncols() == 2 && self.tail > 0.0;
        let ascends = |column: usize| {
            let values = self.points.index_axis(Axis(1), column);
            values.iter().zip(values.iter().skip(1)).all(|(low, high)| low <= high)
        };
        let within = |value: &f32| (0.0..100.0).contains(value);
        let sound = shaped && ascends(0) && ascends(1) && self.points.column(1).iter().all(within);
        ArtifactError::unless(sound, name, || "it is no ascending curve from 0 to 100".to_owned())
    }
}

/// The first index from which on `holds` is false; it must hold for a prefix.
fn partition(len: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low.midpoint(high);
        if holds(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Numbers;

    #[test]
    fn ranks_become_percentiles() {
        let curve = Percentiles::of((0..200).map(|rank| 1.0 + rank as f32).collect()).unwrap();
        assert!((curve.of_score(100.5) - 50.0).abs() < 1e-3, "{}", curve.of_score(100.5));
        assert!((curve.of_score(190.5) - 95.0).abs() < 1e-3);
        assert_eq!((curve.of_score(0.0), curve.of_score(-1.0)), (0.0, 0.0));
    }

    #[test]
    fn a_percentile_leads_back_to_its_score() {
        let curve = Percentiles::of((0..200).map(|rank| 1.0 + rank as f32).collect()).unwrap();
        for score in [1.0, 17.25, 100.5, 190.5, 200.0] {
            assert!((curve.score_at(curve.of_score(score)) - score).abs() < 1e-3, "{score}");
        }
        assert_eq!((curve.score_at(0.0), curve.score_at(100.0)), (1.0, 200.0), "the first and the last");
    }

    #[test]
    fn beyond_the_sample_it_rises_and_never_reaches_the_end() {
        let curve = Percentiles::of((0..200).map(|rank| rank as f32).collect()).unwrap();
        let beyond = [199.0, 200.0, 203.0, 210.0, 240.0].map(|score| curve.of_score(score));
        assert!(beyond.is_sorted_by(|a, b| a < b), "{beyond:?}");
        assert!(beyond[1] < 99.8, "one step beyond is little: {beyond:?}");
        assert_eq!(curve.of_score(f32::MAX), HIGHEST);
    }

    #[test]
    fn surprise_is_the_logarithm_of_what_remains() {
        let curve = Percentiles::of((0..200).map(|rank| 1.0 + rank as f32).collect()).unwrap();
        assert_eq!(curve.surprise(0.0), 0.0);
        assert!((curve.surprise(190.5) - 20.0_f32.ln()).abs() < 1e-4, "{}", curve.surprise(190.5));
        let beyond = [200.0, 210.0, 220.0, 1e9].map(|score| curve.surprise(score));
        assert!(beyond.is_sorted_by(|a, b| a < b), "it has no highest: {beyond:?}");
        assert!((beyond[2] - 2.0 * beyond[1] + beyond[0]).abs() < 1e-4, "by the tail's length: {beyond:?}");
    }

    #[test]
    fn a_thinned_curve_is_nearly_the_same() {
        let curve = Percentiles::of((0..5000).map(|rank| (rank as f32).sqrt()).collect()).unwrap();
        let thinned = curve.thinned(100);
        thinned.check("curve").unwrap();
        assert_eq!((thinned.points.nrows(), curve.thinned(9999)), (100, curve.clone()));
        for score in [0.0, 3.0, 30.0, 70.0, 71.0, 90.0] {
            assert!((thinned.of_score(score) - curve.of_score(score)).abs() < 0.3, "{score}");
        }
        let single = Percentiles::of(vec![3.0]).unwrap();
        assert_eq!(single.thinned(100), single);
    }

    #[test]
    fn it_never_falls() {
        let mut numbers = Numbers::new(9);
        for sample in [1, 2, 10, 5000] {
            let curve = Percentiles::of((0..sample).map(|_| numbers.next().abs().powi(3)).collect()).unwrap();
            curve.check("curve").unwrap();
            let mut last = -1.0;
            for step in 0..3000 {
                let percentile = curve.of_score(step as f32 / 1000.0);
                assert!(percentile >= last && (0.0..100.0).contains(&percentile), "{sample} at {step}: {percentile}");
                last = percentile;
            }
        }
    }

    #[test]
    fn equal_scores_are_no_trouble() {
        let curve = Percentiles::of(vec![3.0; 50]).unwrap();
        assert!(curve.of_score(2.9) < 1.0 && (curve.of_score(3.0) - 99.0).abs() < 1e-3 && curve.of_score(4.0) > 99.0);
        let zeros = Percentiles::of(vec![0.0; 50]).unwrap();
        assert!((zeros.of_score(0.0) - 99.0).abs() < 1e-3 && zeros.of_score(1.0) > 99.0);
    }

    #[test]
    fn a_curve_that_does_not_rise_to_100_is_refused() {
        let sound = |points: Array2<f32>, tail: f32| Percentiles { points, tail }.check("curve").is_ok();
        assert!(sound(array![[0.0, 0.5], [1.0, 99.5]], 0.1));
        assert!(!sound(array![[0.0, 0.5], [1.0, 99.5]], 0.0), "tail");
        assert!(!sound(array![[1.0, 0.5], [0.0, 99.5]], 0.1), "scores");
        assert!(!sound(array![[0.0, 99.5], [1.0, 0.5]], 0.1), "percentiles");
        assert!(!sound(array![[0.0, 0.5], [1.0, 100.5]], 0.1), "beyond 100");
        assert!(!sound(array![[0.0], [1.0]], 0.1) && !sound(Array2::zeros((0, 2)), 0.1), "shapes");
    }

    #[test]
    fn a_sample_without_a_number_has_no_distribution() {
        assert_eq!(Percentiles::of(vec![]), None);
        assert_eq!(Percentiles::of(vec![1.0, f32::NAN]), None);
    }

    #[test]
    fn between_two_points_the_curve_is_straight() {
        // Of two scores the lower is at 25%, the higher at 75%.
        let curve = Percentiles::of(vec![3.0, 1.0]).unwrap();
        assert_eq!([1.0, 2.0, 3.0].map(|score| curve.of_score(score)), [25.0, 50.0, 75.0]);
        assert_eq!([25.0, 50.0, 75.0].map(|percentile| curve.score_at(percentile)), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn the_tail_is_as_long_as_the_highest_tenth_is_on_average() {
        let tail = |scores: Vec<f32>| Percentiles::of(scores).unwrap().tail;
        // From 181 to 200: half of 19 above the lowest of them.
        assert!((tail((1..=200_u8).map(f32::from).collect()) - 9.5).abs() < 1e-5);
        // Alike ones have no length of their own: a thousandth of them, and a little where they are 0.
        assert!((tail(vec![3.0; 50]) - 3.001e-3).abs() < 1e-7);
        assert!((tail(vec![0.0; 50]) - 1e-6).abs() < 1e-9);
    }
}

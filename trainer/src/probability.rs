//! Calibration: from scores of rows that were not learnt to the probabilities that they stand for.

use ndarray::Array2;

use crate::logistic::{self, Prior};

/// Positive rows with which the curve is half way from a straight line to one that bends freely; with fewer it is the line.
const ENOUGH: usize = 200;

/// Groups of scores that a free curve is made of, at most.
const GROUPS: usize = 100;

/// Scores are within this of 0, or as good as.
const FARTHEST: f32 = 30.0;

/// A score is taken for a log-odds unless rows tell otherwise.
const SLOPE: Prior = Prior { mean: 1.0, strength: 5.0, positive: true };

/// A curve from score to log-odds, for [`RiskHead::calibration`](prowl_model::RiskHead::calibration).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Calibration {
    /// `platt` or `isotonic`.
    pub(crate) name: &'static str,
    /// Points (score, log-odds), ascending.
    pub(crate) points: Vec<[f32; 2]>,
}

/// The curve of these scores; `counts` says how much each row counts.
pub(crate) fn fit(scores: &[f32], outcomes: &[bool], counts: &[f64]) -> Calibration {
    let line = platt(scores, outcomes, counts);
    let positives = outcomes.iter().filter(|outcome| **outcome).count();
    if positives < ENOUGH {
        Calibration { name: "platt", points: line.to_vec() }
    } else {
        let share = positives as f32 / (positives + ENOUGH) as f32;
        Calibration { name: "isotonic", points: between(line, isotonic(scores, outcomes, counts), share) }
    }
}

/// A share of the way from a line to a curve, in log-odds: the fewer rows, the more of the curve is chance. As the line goes on
/// beyond the curve's ends, no two scores become one probability, which would lose their order.
fn between(line: [[f32; 2]; 2], curve: Vec<[f32; 2]>, share: f32) -> Vec<[f32; 2]> {
    let slope = (line[1][1] - line[0][1]) / (line[1][0] - line[0][0]);
    let along = |score: f32| line[0][1] + slope * (score.clamp(-FARTHEST, FARTHEST) + FARTHEST);
    let toward = |[score, log_odds]: [f32; 2]| [score, along(score) + share * (log_odds - along(score))];
    let ends = curve.first().zip(curve.last()).map(|(&first, &last)| {
        let beyond = |end: f32, point: [f32; 2]| [end, along(end) + toward(point)[1] - along(point[0])];
        [beyond(-FARTHEST, first), beyond(FARTHEST, last)]
    });
    let mut points: Vec<[f32; 2]> = curve.into_iter().map(toward).collect();
    if let Some([low, high]) = ends {
        if low[0] < points[0][0] {
            points.insert(0, low);
        }
        if points[points.len() - 1][0] < high[0] {
            points.push(high);
        }
    }
    points
}

/// A straight line of log-odds (Platt, "Probabilistic outputs for support vector machines", 1999).
fn platt(scores: &[f32], outcomes: &[bool], counts: &[f64]) -> [[f32; 2]; 2] {
    let total: f64 = counts.iter().sum();
    let mean = scores.iter().zip(counts).map(|(&score, count)| count * f64::from(score)).sum::<f64>() / total;
    let mean = if mean.is_finite() { mean } else { 0.0 };
    let inputs = Array2::from_shape_fn((scores.len(), 1), |(row, _)| scores[row] - mean as f32);
    let line = logistic::fit(inputs.view(), outcomes, counts, SLOPE);
    [-FARTHEST, FARTHEST].map(|score| [score, (line.bias + line.weights[0] * (f64::from(score) - mean)) as f32])
}

/// A rising curve through the rates of groups of rows: neighbours that do not rise are pooled (Zadrozny and Elkan,
/// "Transforming classifier scores into accurate multiclass probability estimates", 2002), straight between their means.
fn isotonic(scores: &[f32], outcomes: &[bool], counts: &[f64]) -> Vec<[f32; 2]> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let size = order.len().div_ceil(GROUPS).max(1);
    let mut pools: Vec<Pool> = Vec::new();
    let mut rows = order.into_iter().peekable();
    while rows.peek().is_some() {
        let mut pool = Pool::default();
        for row in rows.by_ref().take(size) {
            let (score, positive) = (f64::from(scores[row]), f64::from(u8::from(outcomes[row])));
            pool.add(&Pool { count: counts[row], scores: counts[row] * score, positive: counts[row] * positive });
        }
        while pools.last().is_some_and(|last| last.rate() >= pool.rate() || last.score() >= pool.score()) {
            if let Some(last) = pools.pop() {
                pool.add(&last);
            }
        }
        pools.push(pool);
    }
    // What keeps a small pool from saying never may put it above a larger one with a low rate.
    let mut highest = f32::NEG_INFINITY;
    let point = |pool: &Pool| {
        highest = highest.max(pool.log_odds() as f32);
        [pool.score() as f32, highest]
    };
    let mut points: Vec<[f32; 2]> = pools.iter().map(point).collect();
    points.dedup_by(|next, last| next[0] <= last[0]);
    points
}

/// Rows of neighbouring scores.
#[derive(Clone, Copy, Debug, Default)]
struct Pool {
    count: f64,
    scores: f64,
    positive: f64,
}

impl Pool {
    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.scores += other.scores;
        self.positive += other.positive;
    }

    fn rate(&self) -> f64 {
        self.positive / self.count
    }

    fn score(&self) -> f64 {
        self.scores / self.count
    }

    /// No rate of so many rows shows more than that one in twice as many is otherwise.
    fn log_odds(&self) -> f64 {
        let least = 0.5 / (self.count + 1.0);
        let rate = self.rate().clamp(least, 1.0 - least);
        (rate / (1.0 - rate)).ln()
    }
}

#[cfg(test)]
mod tests {
    use prowl_model::{Member, RiskHead, TreeNode, Trees};
    use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

    use super::*;
    use crate::figures::Judged;

    /// Scores that are twice too sure and a whole unit too high, or bent, and outcomes.
    fn rows(count: usize, bent: bool) -> (Vec<f32>, Vec<bool>) {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let truth: Vec<f32> = (0..count).map(|_| 6.0 * random.random::<f32>() - 5.0).collect();
        let outcomes = truth.iter().map(|z| random.random::<f32>() < 1.0 / (1.0 + (-z).exp())).collect();
        (truth.iter().map(|&z| if bent { z.powi(3) / 10.0 } else { 2.0 * z + 1.0 }).collect(), outcomes)
    }

    fn error(points: &[[f32; 2]], count: usize, bent: bool) -> f64 {
        let always = Member::Trees(Trees { nodes: vec![TreeNode { value: 0.0, split: None }], roots: vec![0] });
        let head = RiskHead { members: vec![always], calibration: points.to_vec() };
        // Others than those that were learnt from.
        let (scores, outcomes) = rows(2 * count, bent);
        let later = scores.iter().zip(outcomes).skip(count);
        let judged = Judged::probabilities(later.map(|(&score, outcome)| (f64::from(head.calibrated(score)), outcome)));
        judged.figures().unwrap().probability.unwrap().calibration_error
    }

    #[test]
    fn few_rows_give_a_line_and_many_a_curve() {
        for (count, bent, name, goal) in
            [(800, false, "platt", 0.05), (20_000, false, "isotonic", 0.015), (20_000, true, "isotonic", 0.015)]
        {
            let (scores, outcomes) = rows(count, bent);
            let calibration = fit(&scores, &outcomes, &vec![1.0; count]);
            assert_eq!(calibration.name, name);
            let error = error(&calibration.points, count, bent);
            assert!(error < goal, "{name}, bent {bent}: {error}");
        }
        let (scores, outcomes) = rows(20_000, true);
        let line = error(&platt(&scores, &outcomes, &vec![1.0; 20_000]), 20_000, true);
        assert!(line > 0.025, "a line does not bend: {line}");
    }

    #[test]
    fn curves_rise_and_what_counts_more_tells_more() {
        let (scores, outcomes) = rows(5000, true);
        let points = isotonic(&scores, &outcomes, &vec![1.0; 5000]);
        assert!(points.is_sorted_by(|a, b| a[0] < b[0] && a[1] < b[1]) && points.len() > 10, "{points:?}");
        // Half of the rows, at the same scores, never positive.
        let twice: Vec<f32> = scores.iter().chain(&scores).copied().collect();
        let and_never: Vec<bool> = outcomes.iter().copied().chain([false; 5000]).collect();
        let counts: Vec<f64> = (0..10_000).map(|row| if row < 5000 { 1.0 } else { 1e-6 }).collect();
        assert!(error(&isotonic(&twice, &and_never, &counts), 5000, true) < 0.03);
        let even = isotonic(&twice, &and_never, &vec![1.0; 10_000]);
        assert!(even.last().unwrap()[1] < points.last().unwrap()[1] - 0.5);
    }

    #[test]
    fn a_small_pool_of_rate_zero_makes_no_curve_fall() {
        let positives = [0, 1, 0, 0, 0, 2];
        let scores: Vec<f32> = (0..20_000).map(|row| row as f32 / 20_000.0).collect();
        let outcome = |row: usize| row % 200 < positives.get(row / 200).copied().unwrap_or(row / 2_000);
        let outcomes: Vec<bool> = (0..20_000).map(outcome).collect();
        let calibration = fit(&scores, &outcomes, &vec![1.0; 20_000]);
        assert!(calibration.points.is_sorted_by(|a, b| a[0] < b[0] && a[1] <= b[1]), "{:?}", calibration.points);
        assert_eq!(calibration.name, "isotonic");
    }

    #[test]
    fn no_two_scores_become_one() {
        let (scores, outcomes) = rows(5000, true);
        let Calibration { name, points } = fit(&scores, &outcomes, &vec![1.0; 5000]);
        assert_eq!(name, "isotonic");
        assert!(points.is_sorted_by(|a, b| a[0] < b[0] && a[1] < b[1]), "{points:?}");
        assert!(points[0][0] <= -FARTHEST && points[points.len() - 1][0] >= FARTHEST, "{points:?}");
        // Part of the way, also where a line leaves the curve.
        let [line, curve] = [[[-30.0, -30.0], [30.0, 30.0]], [[0.0, 1.0], [2.0, 4.0]]];
        assert_eq!(between(line, curve.to_vec(), 0.5), [[-30.0, -29.5], [0.0, 0.5], [2.0, 3.0], [30.0, 31.0]]);
    }

    #[test]
    fn the_extreme_is_no_trouble() {
        for outcome in [true, false] {
            let scores = [f32::MIN, 0.0, 0.0, f32::MAX];
            let line = platt(&scores, &[outcome; 4], &[1.0; 4]);
            let curve = isotonic(&scores, &[outcome; 4], &[1.0; 4]);
            for points in [line.to_vec(), between(line, curve.clone(), 0.5), curve, between(line, Vec::new(), 0.9)] {
                assert!(points.iter().flatten().all(|value| value.is_finite()), "{points:?}");
                assert!(points.is_sorted_by(|a, b| a[0] < b[0] && a[1] <= b[1]), "{points:?}");
            }
        }
    }
}

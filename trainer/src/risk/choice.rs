//! Which candidate is taken: how each did on the later slices, and how sure that is.

use super::{Fold, Kind, log_loss};

/// How a candidate did on the slices.
pub(super) struct Judgement {
    /// One list a slice.
    pub(super) scores: Vec<Vec<f32>>,
    /// Of each slice, what share of the other kind each row ranks rightly against, and its outcome.
    placements: Vec<Vec<(f64, bool)>>,
    pub(super) auc: f64,
    pub(super) log_loss: f64,
}

impl Judgement {
    pub(super) fn of(kinds: &[Kind], folds: &[Fold]) -> Self {
        let scores: Vec<Vec<f32>> = folds.iter().map(|fold| fold.mean(kinds)).collect();
        let placements: Vec<_> = folds.iter().zip(&scores).map(|(fold, of)| placements(of, &fold.outcomes)).collect();
        let pairs = || folds.iter().zip(&scores).flat_map(|(fold, scores)| scores.iter().zip(&fold.outcomes));
        let loss: f64 = pairs().map(|(&score, &outcome)| log_loss(f64::from(score), outcome)).sum();
        let positive = || placements.iter().flatten().filter(|row| row.1).map(|row| row.0);
        let auc = positive().sum::<f64>() / positive().count() as f64;
        Self { auc, log_loss: loss / pairs().count() as f64, scores, placements }
    }

    /// Standard error of the difference of two candidates' AUC on the same rows (`DeLong` et al., "Comparing the areas
    /// under two or more correlated receiver operating characteristic curves", 1988); slices by their positive rows.
    fn standard_error(&self, other: &Self) -> f64 {
        let (mut variance, mut all) = (0.0, 0.0);
        for (ours, theirs) in self.placements.iter().zip(&other.placements) {
            let of = |positive: bool| {
                let pairs = ours.iter().zip(theirs).filter(move |pair| pair.0.1 == positive);
                let differences: Vec<f64> = pairs.map(|(ours, theirs)| ours.0 - theirs.0).collect();
                let count = differences.len() as f64;
                let mean = differences.iter().sum::<f64>() / count;
                let squares: f64 = differences.iter().map(|difference| (difference - mean).powi(2)).sum();
                (count, squares / (count * (count - 1.0).max(1.0)))
            };
            let ((positives, of_positives), (_, of_negatives)) = (of(true), of(false));
            variance += positives * positives * (of_positives + of_negatives);
            all += positives;
        }
        variance.sqrt() / all
    }
}

/// For each row the share of rows of the other outcome that it ranks rightly against, ties counting half.
fn placements(scores: &[f32], outcomes: &[bool]) -> Vec<(f64, bool)> {
    let sorted = |positive: bool| {
        let mut of: Vec<f32> = scores.iter().zip(outcomes).filter(|row| *row.1 == positive).map(|row| *row.0).collect();
        of.sort_unstable_by(f32::total_cmp);
        of
    };
    let (positives, negatives) = (sorted(true), sorted(false));
    let row = |(&score, &positive): (&f32, &bool)| {
        let others = if positive { &negatives } else { &positives };
        let below = others.partition_point(|&other| other < score);
        let equal = others.partition_point(|&other| other <= score) - below;
        let share = (below as f64 + 0.5 * equal as f64) / others.len() as f64;
        (if positive { share } else { 1.0 - share }, positive)
    };
    scores.iter().zip(outcomes).map(row).collect()
}

/// The first candidate that is within a standard error of the best.
pub(super) fn choose(judged: &[Judgement]) -> usize {
    let best = (0..judged.len()).rev().max_by(|&a, &b| judged[a].auc.total_cmp(&judged[b].auc)).unwrap_or(0);
    let close = |one: &Judgement| judged[best].auc - one.auc <= judged[best].standard_error(one);
    judged.iter().position(close).unwrap_or(best)
}

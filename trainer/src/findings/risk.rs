//! How well the risk head does on the rows of the test slice that had stood their time by the end of the data.

use prowl_model::{Input, Member, Model, RiskHead};

use crate::figures::Judged;
use crate::{Dataset, Split};

use super::importance::{self, Importance};
use super::newest;

/// Of fewer pull requests that were taken back, figures say little.
pub(crate) const FEW: usize = 30;

/// Bins of the calibration plot.
const BINS: usize = 10;

/// The outcomes beside the probabilities.
#[derive(Debug)]
pub(crate) struct Risk {
    pub(crate) rows: usize,
    pub(crate) reverted: usize,
    /// Of as many rows each, the least probable first.
    pub(crate) bins: Vec<Bin>,
    /// Share of the rows that were taken back among the share of rows that come first: by the head, and by churn where that
    /// is a feature. Empty unless there are rows of both kinds.
    pub(crate) captured: Vec<(f64, f64)>,
    pub(crate) captured_by_churn: Vec<(f64, f64)>,
    /// Drop of the AUC, the largest first; empty unless there are rows of both kinds.
    pub(crate) importances: Vec<Importance>,
}

/// Rows of alike probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bin {
    pub(crate) rows: usize,
    pub(crate) reverted: usize,
    /// Mean probability.
    pub(crate) expected: f64,
}

impl Bin {
    /// Where 95% of the rates lie that would show so many in so many rows (Wilson, "Probable inference, the law of
    /// succession, and statistical inference", 1927).
    pub(crate) fn interval(&self) -> (f64, f64) {
        let (rows, rate, z) = (self.rows as f64, self.reverted as f64 / self.rows as f64, 1.96_f64);
        let scale = 1.0 / (1.0 + z * z / rows);
        let centre = scale * (rate + z * z / (2.0 * rows));
        let half = scale * z * (rate * (1.0 - rate) / rows + z * z / (4.0 * rows * rows)).sqrt();
        ((centre - half).max(0.0), (centre + half).min(1.0))
    }
}

impl Risk {
    /// None without a head or a row to judge it by.
    pub(crate) fn of(data: &Dataset, model: &Model, split: &Split, seed: u64) -> Option<Self> {
        let head = model.parts().risk.as_ref()?;
        let end = data.created_at(*split.test.last()?);
        let mature = data.mature(&split.test, end);
        let judged = |of: &dyn Fn(usize) -> f64| mature.iter().map(|&(row, was)| (of(row), was)).collect::<Vec<_>>();
        let probabilities = judged(&|row| f64::from(head.probability(data.row(row))));
        let reverted = probabilities.iter().filter(|row| row.1).count();
        if mature.is_empty() {
            return None;
        }
        let by_churn = data.churn().map(|churn| judged(&churn));
        Some(Self {
            rows: mature.len(),
            reverted,
            bins: bins(&probabilities),
            captured: captured(&probabilities),
            captured_by_churn: by_churn.map(|rows| captured(&rows)).unwrap_or_default(),
            importances: importances(data, head, newest(&mature, importance::ROWS), seed),
        })
    }
}

/// Ten bins of as many rows each; fewer where there are fewer rows.
fn bins(probabilities: &[(f64, bool)]) -> Vec<Bin> {
    let mut rows = probabilities.to_vec();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let bins = BINS.min(rows.len());
    let bin = |bin: usize| {
        let rows = &rows[bin * rows.len() / bins..(bin + 1) * rows.len() / bins];
        Bin {
            rows: rows.len(),
            reverted: rows.iter().filter(|row| row.1).count(),
            expected: rows.iter().map(|row| row.0).sum::<f64>() / rows.len() as f64,
        }
    };
    (0..bins).map(bin).collect()
}

/// Points from (0, 0) to (1, 1), a hundred steps; of rows with equal scores their part counts.
fn captured(rows: &[(f64, bool)]) -> Vec<(f64, f64)> {
    let positives = rows.iter().filter(|row| row.1).count() as f64;
    if positives == 0.0 || positives == rows.len() as f64 {
        return Vec::new();
    }
    let mut sorted = rows.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut points = vec![(0.0, 0.0)];
    let (mut reached, mut held) = (0.0, 0.0);
    for group in sorted.chunk_by(|a, b| a.0 == b.0) {
        reached += group.len() as f64;
        held += group.iter().filter(|row| row.1).count() as f64;
        points.push((reached / rows.len() as f64, held / positives));
    }
    if points.len() <= 101 {
        return points;
    }
    let at = |step: usize| {
        let share = step as f64 / 100.0;
        let after = points.partition_point(|point| point.0 < share).clamp(1, points.len() - 1);
        let (left, right) = (points[after - 1], points[after]);
        (share, left.1 + (right.1 - left.1) * (share - left.0) / (right.0 - left.0))
    };
    (0..=100).map(at).collect()
}

/// Drop of the AUC for each feature that the head reads.
fn importances(data: &Dataset, head: &RiskHead, rows: &[(usize, bool)], seed: u64) -> Vec<Importance> {
    let values = |place: usize| data.row(rows[place].0);
    let auc = |score: &dyn Fn(usize) -> f32| {
        let rows = rows.iter().enumerate().map(|(place, &(_, outcome))| (f64::from(score(place)), outcome));
        Judged::scores(rows).figures().map(|figures| figures.auc)
    };
    let Some(measured) = auc(&|place| head.score(values(place))) else { return Vec::new() };
    let read: Vec<Option<Input>> = features_of(head).into_iter().map(|feature| Some(Input::Feature(feature))).collect();
    importance::drops(&read, rows.len(), seed, measured, |input, places| {
        let Some(Input::Feature(feature)) = input else { return measured };
        let shuffled = |place: usize| {
            let mut shuffled = values(place).to_vec();
            shuffled[feature] = values(places[place])[feature];
            head.score(&shuffled)
        };
        auc(&shuffled).unwrap_or(measured)
    })
}

/// The features that a head reads, ascending.
fn features_of(head: &RiskHead) -> Vec<usize> {
    let of_member = |member: &Member| match member {
        Member::Linear(linear) => linear.terms.iter().map(|term| term.feature).collect::<Vec<_>>(),
        Member::Trees(trees) => trees.nodes.iter().filter_map(|node| Some(node.split.as_ref()?.feature)).collect(),
    };
    let mut features: Vec<usize> = head.members.iter().flat_map(of_member).collect();
    features.sort_unstable();
    features.dedup();
    features
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_hold_as_many_rows_each_and_all_of_them() {
        let rows: Vec<(f64, bool)> = (0..95).rev().map(|row| (f64::from(row) / 100.0, row >= 90)).collect();
        let bins = bins(&rows);
        assert_eq!((bins.len(), bins.iter().map(|bin| bin.rows).sum::<usize>()), (10, 95));
        assert_eq!((bins[0].reverted, bins[9].reverted), (0, 5));
        assert!(bins.is_sorted_by(|a, b| a.expected < b.expected));
        assert_eq!(super::bins(&rows[..3]).len(), 3);
        let (low, high) = Bin { rows: 10, reverted: 5, expected: 0.5 }.interval();
        // Wilson's interval of 5 in 10, as tables have it.
        assert!((low - 0.2366).abs() < 1e-3 && (high - 0.7634).abs() < 1e-3, "{low} {high}");
    }

    #[test]
    fn a_capture_curve_holds_the_parts_of_equal_scores() {
        let rows = [(3.0, true), (2.0, false), (2.0, true), (1.0, false)];
        assert_eq!(captured(&rows), [(0.0, 0.0), (0.25, 0.5), (0.75, 1.0), (1.0, 1.0)]);
        assert_eq!(captured(&[(1.0, true)]), []);
        let many: Vec<(f64, bool)> = (0..1000).map(|row| (f64::from(-row), row < 100)).collect();
        let curve = captured(&many);
        assert_eq!(curve.len(), 101);
        assert!((curve[5].1 - 0.5).abs() < 1e-9 && (curve[10].1 - 1.0).abs() < 1e-9, "{curve:?}");
    }
}

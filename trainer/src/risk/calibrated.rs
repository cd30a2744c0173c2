//! From the scores of the candidate that was taken to probabilities, and the bands of these.

use prowl_model::{RiskBand, RiskHead};

use super::Fold;
use super::choice::Judgement;
use crate::probability;

/// Shares of the rows, the most probable first, after which a band ends; the last one holds the rest.
const BANDS: [f64; 3] = [0.05, 0.2, 0.5];

/// Later rows with their scores, and the curve that fits them.
pub(super) struct Calibrated {
    scores: Vec<f32>,
    outcomes: Vec<bool>,
    pub(super) calibration: probability::Calibration,
}

impl Calibrated {
    /// `usual` is the log-odds of the rows that the head learns from.
    pub(super) fn of(chosen: &Judgement, folds: &[Fold], usual: f32) -> Self {
        // The head learns from another rate than the models of the slices: scores are moved to where it begins, else what
        // rates have risen since would be added twice.
        let rows = || {
            folds.iter().zip(&chosen.scores).flat_map(|(fold, scores)| {
                scores
                    .iter()
                    .zip(&fold.outcomes)
                    .zip(&fold.mature)
                    .map(|((&score, &outcome), &mature)| (score + usual - fold.usual, outcome, mature))
            })
        };
        // Of the young, those that were taken back are known first, and would make the rate too high.
        let any = rows().any(|row| row.2 && row.1);
        let (scores, outcomes): (Vec<f32>, Vec<bool>) =
            rows().filter(|row| row.2 || !any).map(|(score, outcome, _)| (score, outcome)).unzip();
        // Rates change over the years: the weight of a row halves over as many rows as a slice has in the mean.
        let half_life = scores.len() as f64 / folds.len() as f64;
        let counts: Vec<f64> =
            (0..scores.len()).map(|row| (-((scores.len() - row) as f64) / half_life).exp2()).collect();
        // In rows, so that few recent ones do not pass for many.
        let scale = counts.iter().sum::<f64>() / counts.iter().map(|count| count * count).sum::<f64>();
        let counts: Vec<f64> = counts.iter().map(|count| count * scale).collect();
        let calibration = probability::fit(&scores, &outcomes, &counts);
        Self { scores, outcomes, calibration }
    }

    /// Bands whose rates fall from each to the next; neighbours of which they do not are one.
    pub(super) fn bands(&self, head: &RiskHead) -> Vec<RiskBand> {
        let mut rows: Vec<(f32, bool)> = self
            .scores
            .iter()
            .zip(&self.outcomes)
            .map(|(&score, &outcome)| (head.calibrated(score), outcome))
            .collect();
        rows.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut edges: Vec<f32> = BANDS.iter().map(|share| rows[(share * rows.len() as f64) as usize].0).collect();
        edges.push(0.0);
        let mut bands: Vec<RiskBand> = Vec::new();
        let mut rest = rows.as_slice();
        for from in edges {
            let (of, after) = rest.split_at(rest.partition_point(|row| row.0 >= from));
            rest = after;
            let reverted = of.iter().filter(|row| row.1).count() as u64;
            let mut band = RiskBand { from, reverted, rows: of.len() as u64, test_reverted: 0, test_rows: 0 };
            while bands.last().is_some_and(|last| last.rate() <= band.rate() || last.from <= band.from) {
                if let Some(last) = bands.pop() {
                    (band.reverted, band.rows) = (band.reverted + last.reverted, band.rows + last.rows);
                }
            }
            bands.push(band);
        }
        bands
    }
}

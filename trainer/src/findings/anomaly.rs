//! How unusual the rows are: the scores of each slice, the most unusual rows, and what the scores are made of.

use prowl_model::{Calibration, Contribution, FeatureInfo, Input, Model, Score, Vector};
use rayon::prelude::*;

use crate::{Dataset, Split};

use super::importance::Importance;
use super::{newest, spread};

/// Rows of a slice whose scores show how they are distributed.
const ROWS: usize = 10_000;

/// Rows whose shares show what the score is made of.
const SHARED: usize = 4000;

/// The most unusual rows that are told.
const TOLD: usize = 20;

/// Contributions that are told of each.
const STRONGEST: usize = 4;

/// A smaller share of the score is not told.
const LEAST_SHARE: f32 = 0.02;

/// A flag is told where at most this share of pull requests is alike in it.
const RARE: f32 = 0.15;

/// Rows whose shares are added up in one go. The order of the sums must not depend on the number of threads.
const CHUNK: usize = 256;

/// The scores.
#[derive(Debug)]
pub(crate) struct Anomaly {
    /// Of training, validation and test rows, ascending, in nats.
    pub(crate) scores: [Vec<f32>; 3],
    /// The scores at which the bands begin among all repositories together, in nats.
    pub(crate) edges: [f32; 2],
    /// The most unusual rows of the test slice, the most unusual first.
    pub(crate) unusual: Vec<Unusual>,
    /// Mean share of the score that each input has over the test slice, the largest first.
    pub(crate) shares: Vec<Importance>,
}

/// An unusual row.
#[derive(Debug)]
pub(crate) struct Unusual {
    pub(crate) repository: String,
    pub(crate) number: i64,
    /// Its beginning; empty where it is unknown.
    pub(crate) title: String,
    pub(crate) created_at: i64,
    pub(crate) score: Score,
}

impl Unusual {
    /// What made it unusual as far as a reader can check it: the strongest inputs whose value is known and not
    /// the usual, or the words. The sine of an hour is known, and nothing that anybody can check.
    pub(crate) fn strongest(&self, features: &[FeatureInfo]) -> impl Iterator<Item = &Contribution> {
        let told = |contribution: &&Contribution| {
            let Contribution { value, usual, .. } = contribution;
            let checkable = match contribution.input {
                Input::Feature(index) => match features[index].unit.as_str() {
                    "coordinate" => false,
                    "yes_no" => (if *value >= 0.5 { usual.mean } else { 1.0 - usual.mean }) <= RARE,
                    _ => *value < usual.low || *value > usual.high || *value != usual.median,
                },
                Input::Text => true,
            };
            contribution.share >= LEAST_SHARE && checkable && (contribution.input == Input::Text || !value.is_nan())
        };
        self.score.contributions.iter().filter(told).take(STRONGEST)
    }
}

impl Anomaly {
    pub(crate) fn of(data: &Dataset, model: &Model, split: &Split) -> Self {
        let [training, validation] = [&split.training, &split.validation].map(|rows| {
            let rows = spread(rows, ROWS);
            rows.par_iter().map(|&row| score(data, model, row).anomaly).collect::<Vec<f32>>()
        });
        let mut order: Vec<(f32, f32, usize)> = split
            .test
            .par_iter()
            .map(|&row| {
                let score = score(data, model, row);
                (score.percentile, score.anomaly, row)
            })
            .collect();
        let test = order.iter().map(|&(_, anomaly, _)| anomaly).collect();
        let mut scores = [training, validation, test];
        for scores in &mut scores {
            scores.sort_unstable_by(f32::total_cmp);
        }
        // Stable, so that equal ones stay in the order of time.
        order.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)));
        let unusual = |&(.., row): &(f32, f32, usize)| Unusual {
            repository: data.repository(row).to_owned(),
            number: data.number(row),
            title: data.title(row).to_owned(),
            created_at: data.created_at(row),
            score: score(data, model, row),
        };
        let bands = model.metadata().bands;
        let largest = scores.iter().filter_map(|scores| scores.last()).copied().fold(0.0, f32::max);
        let calibration = &model.parts().calibration;
        Self {
            edges: [bands.unusual, bands.very_unusual].map(|from| edge(calibration, from, largest)),
            unusual: order.iter().take(TOLD).map(unusual).collect(),
            shares: shares(data, model, newest(&split.test, SHARED)),
            scores,
        }
    }
}

/// The answer for a row.
pub(crate) fn score(data: &Dataset, model: &Model, row: usize) -> Score {
    let vector = Vector {
        values: data.row(row),
        tokens: data.tokens(row),
        kind_tokens: data.kind_tokens(row),
        repository: Some(data.repository(row)),
    };
    model.score(&vector).expect("the model was learnt from rows of this length")
}

/// The smallest score that has this percentile among all repositories together, sought up to twice the largest one.
fn edge(calibration: &Calibration, percentile: f32, largest: f32) -> f32 {
    let (mut below, mut reaches) = (0.0, 2.0 * largest);
    for _ in 0..40 {
        let middle = f32::midpoint(below, reaches);
        if calibration.percentile(middle, None).0 >= percentile { reaches = middle } else { below = middle }
    }
    reaches
}

/// Mean shares of the inputs over these rows.
fn shares(data: &Dataset, model: &Model, rows: &[usize]) -> Vec<Importance> {
    let features = &model.metadata().features;
    let place = |input| match input {
        Input::Feature(index) => index,
        Input::Text => features.len(),
    };
    let of_chunk = |rows: &[usize]| {
        let mut sums = vec![0.0; features.len() + 1];
        for &row in rows {
            for contribution in score(data, model, row).contributions {
                sums[place(contribution.input)] += f64::from(contribution.share);
            }
        }
        sums
    };
    let chunks: Vec<Vec<f64>> = rows.par_chunks(CHUNK).map(of_chunk).collect();
    let mut shares = vec![0.0; features.len() + 1];
    for chunk in chunks {
        for (share, sum) in shares.iter_mut().zip(chunk) {
            *share += sum / rows.len() as f64;
        }
    }
    let inputs = (0..features.len()).map(Input::Feature).chain([Input::Text]);
    Importance::sorted(inputs.zip(shares).map(|(input, value)| Importance { input: Some(input), value }).collect())
}

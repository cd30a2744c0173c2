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
    /// What made it unusual, the strongest first.
    pub(crate) fn strongest(&self, features: &[FeatureInfo]) -> impl Iterator<Item = &Contribution> {
        let told = move |contribution: &&Contribution| is_told(contribution, features);
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

/// Whether a reader can check what a strong input did: its value is known and not the usual, or it is the words. The sine
/// of an hour is known, and nothing that anybody can check.
fn is_told(contribution: &Contribution, features: &[FeatureInfo]) -> bool {
    let Contribution { input, value, expected, usual, share } = *contribution;
    let checkable = match input {
        Input::Feature(index) => match features[index].unit.as_str() {
            "coordinate" => false,
            "yes_no" => (if value >= 0.5 { usual.mean } else { 1.0 - usual.mean }) <= RARE,
            _ => value < usual.low || value > usual.high || differ(value, usual.median) || differ(value, expected),
        },
        Input::Text => true,
    };
    share >= LEAST_SHARE && checkable && (input == Input::Text || !value.is_nan())
}

/// Whether two values are farther apart than anybody would look twice at: a twentieth of the larger, or of 1.
fn differ(a: f32, b: f32) -> bool {
    (a - b).abs() > 0.05 * a.abs().max(b.abs()).max(1.0)
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

#[cfg(test)]
mod tests {
    use prowl_model::Usual;

    use super::*;

    #[test]
    fn what_reads_as_the_usual_is_not_told() {
        let feature = |unit: &str| FeatureInfo {
            about: String::new(),
            group: String::new(),
            missing: String::new(),
            name: String::new(),
            source: String::new(),
            unit: unit.into(),
        };
        let features = ["files", "doublings", "yes_no", "yes_no", "coordinate", "lines"].map(feature);
        let part = |index: usize, value: f32, expected: f32| {
            let usual = Usual { low: -5.0, median: if index == 0 { 2.0 } else { 0.0 }, high: 50.0, mean: 0.1 };
            Contribution { input: Input::Feature(index), value, expected, usual, share: 0.1 }
        };
        let told = |contribution: Contribution| is_told(&contribution, &features);
        assert!(told(part(0, 2.0, 40.0)), "the median, where far more would fit");
        assert!(!told(part(0, 2.0, 2.05)), "the median, as expected");
        assert!(!told(part(1, 0.02, 0.01)), "1 times the median");
        assert!(told(part(1, 3.0, 0.0)));
        assert!(told(part(2, 1.0, 0.0)) && !told(part(3, 0.0, 1.0)), "one in ten says yes");
        assert!(!told(part(4, 0.9, 0.0)), "a sine");
        assert!(told(part(5, 51.0, 51.0)), "beyond what is usual");
        assert!(!told(part(5, f32::NAN, 3.0)), "unknown");
        assert!(!told(Contribution { share: 0.01, ..part(5, 51.0, 51.0) }));
    }
}

//! From rows to a model: the whole of a training, without a store.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use ndarray::{Array1, Array2, Axis};
use prowl_model::{
    Bands, CategoryHead, Inputs, Metadata, Model, Network, Parts, Percentiles, SCHEMA, Scaler, Surprise, Text, Training,
};

use crate::autoencoder::{self, Epoch};
use crate::category::{self, Example};
use crate::evaluate::{accuracy, macro_f1, majority};
use crate::{Dataset, Settings, Split, TrainError, scale, words};

/// Where the rows come from and what the model will be called.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Name of the features run.
    pub run: String,
    /// Digest of its manifest.
    pub run_digest: String,
    /// Name of the model.
    pub version: String,
}

/// Which of the two fits an epoch belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// On the whole training slice, to find its most unusual rows.
    First,
    /// Without them.
    Final,
}

/// The declared pull requests that the category head learns from, at most; the newest count.
const EXAMPLES: usize = 50_000;

/// How much the text counts in the anomaly score, in features.
const TEXT_WEIGHT: f32 = 6.0;

/// Learns a model from a dataset. Progress goes to `watch`, which may break off.
///
/// # Errors
/// See [`TrainError`].
pub fn learn(
    data: &Dataset,
    settings: &Settings,
    origin: Origin,
    watch: &mut dyn FnMut(Stage, &Epoch) -> ControlFlow<()>,
) -> Result<Model, TrainError> {
    let split = Split::of(data)?;
    let scaler = scale::fit(data, &split.training);
    if scaler.columns.iter().all(|column| !column.known) {
        return Err(TrainError::NothingKnown { rows: split.training.len() });
    }
    let view = View { data, text: words::fit(data, &split.training, settings), scaler };

    let (training, validation) = (view.matrix(&split.training), view.matrix(&split.validation));
    let first = autoencoder::fit(training.view(), validation.view(), settings, &mut |epoch| watch(Stage::First, epoch))?;
    let kept = view.usual_rows(&first.network, &split.training, settings.trim);
    let training = training.select(Axis(0), &kept);
    let kept: Vec<usize> = kept.iter().map(|&place| split.training[place]).collect();
    let last = autoencoder::fit(training.view(), validation.view(), settings, &mut |epoch| watch(Stage::Final, epoch))?;
    drop((training, validation));

    let network = last.network;
    let surprise = view.surprise(&network, &kept, &split.validation);
    let scores = |rows: &[usize]| view.anomalies(&network, &surprise, rows);
    let percentiles = Percentiles::of(scores(&split.validation)).expect("the validation slice has finite scores");
    let head = view.category_head(&split);

    let mut metrics = BTreeMap::from([
        ("epochs".to_owned(), last.epochs.len() as f64),
        ("training_error".to_owned(), view.error(&network, &kept)),
        ("validation_error".to_owned(), view.error(&network, &split.validation)),
        ("test_error".to_owned(), view.error(&network, &split.test)),
    ]);
    let bands = Bands::default();
    let above = |from: f32| {
        let reached = scores(&split.test).iter().filter(|&&score| percentiles.of_score(score) >= from).count();
        reached as f64 / split.test.len() as f64
    };
    metrics.insert("test_share_unusual".to_owned(), above(bands.unusual));
    metrics.insert("test_share_high_risk".to_owned(), above(bands.high_risk));

    let mut missing_heads = BTreeMap::from([("risk".to_owned(), "this version trains none".to_owned())]);
    let (categories, category) = match head {
        Ok((categories, head)) => {
            metrics.extend(view.category_metrics(&split, &categories, &head));
            (categories, Some(head))
        }
        Err(reason) => {
            missing_heads.insert("category".to_owned(), reason);
            (Vec::new(), None)
        }
    };
    let at = |row: Option<&usize>| data.created_at(*row.expect("no slice is empty"));
    let metadata = Metadata {
        bands,
        categories,
        features: data.features.clone(),
        features_digest: data.features_digest.clone(),
        metrics,
        missing_heads,
        schema: SCHEMA,
        training: Training {
            from: at(split.training.first()),
            rows: split.training.len() as u64,
            run: origin.run,
            run_digest: origin.run_digest,
            seed: settings.seed,
            test_rows: split.test.len() as u64,
            to: at(split.training.last()),
            trimmed_rows: (split.training.len() - kept.len()) as u64,
            validation_rows: split.validation.len() as u64,
        },
        version: origin.version,
    };
    let View { text, scaler, .. } = view;
    Ok(Model::from_parts(Parts { metadata, scaler, text, network, surprise, percentiles, category })?)
}

/// The dataset as the network reads it.
struct View<'a> {
    data: &'a Dataset,
    scaler: Scaler,
    text: Text,
}

impl View<'_> {
    fn inputs(&self, row: usize) -> Inputs {
        Inputs::of(&self.scaler, &self.text, self.data.row(row), self.data.tokens(row))
    }

    fn width(&self) -> usize {
        self.scaler.columns.len() + self.text.dimensions()
    }

    /// Scaled inputs, NaN where unknown; shape (rows, inputs).
    fn matrix(&self, rows: &[usize]) -> Array2<f32> {
        let mut matrix = Array2::zeros((rows.len(), self.width()));
        for (mut place, &row) in matrix.outer_iter_mut().zip(rows) {
            let inputs = self.inputs(row);
            for ((place, &value), &known) in place.iter_mut().zip(&inputs.scaled).zip(&inputs.known) {
                *place = if known { value } else { f32::NAN };
            }
        }
        matrix
    }

    /// Mean squared error and count of each input over the rows where it is known.
    fn errors(&self, network: &Network, rows: &[usize]) -> Vec<(f64, usize)> {
        let mut sums = vec![(0.0, 0); self.width()];
        for &row in rows {
            let inputs = self.inputs(row);
            for (input, output) in network.reconstruct(&inputs.scaled).iter().enumerate() {
                if inputs.known[input] {
                    sums[input].0 += f64::from(inputs.scaled[input] - output).powi(2);
                    sums[input].1 += 1;
                }
            }
        }
        sums.iter().map(|&(sum, count)| (sum / count.max(1) as f64, count)).collect()
    }

    /// Mean squared error over all known values, in squared spreads.
    fn error(&self, network: &Network, rows: &[usize]) -> f64 {
        let errors = self.errors(network, rows);
        let known: usize = errors.iter().map(|&(_, count)| count).sum();
        errors.iter().map(|&(mean, count)| mean * count as f64).sum::<f64>() / known.max(1) as f64
    }

    /// What errors are usual. The larger of both slices counts: the training slice knows the rarer events, the validation
    /// slice was not learnt. One error of one spread is added to each, so that an event which never happened is as
    /// surprising as one in as many rows as were seen, and no more.
    fn surprise(&self, network: &Network, training: &[usize], validation: &[usize]) -> Surprise {
        let (learnt, later) = (self.errors(network, training), self.errors(network, validation));
        let with_one_more = |(mean, count): (f64, usize)| (mean * count as f64 + 1.0) / (count as f64 + 1.0);
        let usual = learnt.iter().zip(&later).map(|(&learnt, &later)| {
            let learnt_error = with_one_more(learnt);
            // Too few known values of the later slice would only show the one that was added.
            if later.1 * 20 < learnt.1 { learnt_error } else { learnt_error.max(with_one_more(later)) }
        });
        let usual_error: Array1<f32> = usual.map(|mean| mean.sqrt() as f32).collect();
        let dimensions = self.text.dimensions();
        let of_text = std::iter::repeat_n(TEXT_WEIGHT / dimensions.max(1) as f32, dimensions);
        let weight = self.scaler.columns.iter().map(|_| 1.0).chain(of_text).collect();
        Surprise { usual_error, weight }
    }

    fn anomalies(&self, network: &Network, surprise: &Surprise, rows: &[usize]) -> Vec<f32> {
        let anomaly = |&row: &usize| {
            let inputs = self.inputs(row);
            surprise.of_all(&inputs, &network.reconstruct(&inputs.scaled)).iter().sum()
        };
        rows.iter().map(anomaly).collect()
    }

    /// Places in `rows` of all but the most unusual share, in order.
    fn usual_rows(&self, network: &Network, rows: &[usize], trim: f64) -> Vec<usize> {
        let surprise = self.surprise(network, rows, &[]);
        let scores = self.anomalies(network, &surprise, rows);
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        order.truncate(rows.len() - (rows.len() as f64 * trim) as usize);
        order.sort_unstable();
        order
    }

    fn examples(&self, rows: &[usize]) -> Vec<Example<'_>> {
        let example = |&row: &usize| Some(Example { category: self.data.category(row)?, inputs: self.inputs(row) });
        let mut newest: Vec<_> = rows.iter().rev().filter_map(example).take(EXAMPLES).collect();
        newest.reverse();
        newest
    }

    fn category_head(&self, split: &Split) -> Result<(Vec<String>, CategoryHead), String> {
        let (training, validation) = (self.examples(&split.training), self.examples(&split.validation));
        category::fit(&training, &validation, self.scaler.columns.len(), self.text.buckets())
    }

    fn category_metrics(&self, split: &Split, classes: &[String], head: &CategoryHead) -> Vec<(String, f64)> {
        let test = self.examples(&split.test);
        if test.is_empty() {
            return Vec::new();
        }
        let truth = category::truth(&test);
        let predicted = category::predictions(head, classes, self.scaler.columns.len(), &test);
        let training: Vec<&str> = split.training.iter().filter_map(|&row| self.data.category(row)).collect();
        let usual = vec![majority(&training).unwrap_or_default(); truth.len()];
        vec![
            ("category_test_rows".to_owned(), truth.len() as f64),
            ("category_accuracy".to_owned(), accuracy(&truth, &predicted)),
            ("category_macro_f1".to_owned(), macro_f1(&truth, &predicted)),
            ("category_majority_accuracy".to_owned(), accuracy(&truth, &usual)),
            ("category_majority_macro_f1".to_owned(), macro_f1(&truth, &usual)),
        ]
    }
}

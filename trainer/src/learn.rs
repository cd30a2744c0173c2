//! From rows to a model: the whole of a training, without a store.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use ndarray::{Array2, Axis};
use prowl_model::{
    Bands, CategoryHead, Habit, Inputs, Metadata, Model, Network, Parts, Percentiles, RiskHead, RiskInfo, SCHEMA,
    Scaler, Surprise, Text, Training,
};

use crate::autoencoder::{self, Epoch};
use crate::category::{self, Example};
use crate::evaluate::{accuracy, macro_f1, majority};
use crate::figures::Judged;
use crate::gradient::huber;
use crate::{Dataset, Settings, Split, TrainError, risk, scale, words};

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

/// A step of the work, as progress sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step<'a> {
    /// An epoch of the fit on the whole training slice, which finds its most unusual rows.
    First(&'a Epoch),
    /// An epoch of the fit without them.
    Final(&'a Epoch),
    /// A look at the examples of the category head.
    Category,
    /// A model of the risk head, or one of its trees.
    Risk,
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
    watch: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>,
) -> Result<Model, TrainError> {
    let split = Split::of(data)?;
    let scaler = scale::fit(data, &split.training);
    if scaler.columns.iter().all(|column| !column.known) {
        return Err(TrainError::NothingKnown { rows: split.training.len() });
    }
    let view = View { data, text: words::fit(data, &split.training, settings), scaler };

    let (mut training, validation) = (view.matrix(&split.training), view.matrix(&split.validation));
    let first = autoencoder::fit(training.view(), validation.view(), settings, &mut |epoch| watch(Step::First(epoch)))?;
    let kept = view.usual_rows(&first.network, &split.training, settings.trim);
    training = training.select(Axis(0), &kept);
    let kept: Vec<usize> = kept.iter().map(|&place| split.training[place]).collect();
    let last = autoencoder::fit(training.view(), validation.view(), settings, &mut |epoch| watch(Step::Final(epoch)))?;
    drop((training, validation));

    let network = last.network;
    let surprise = view.surprise(&network, &kept, &split.validation);
    let scores = |rows: &[usize]| view.anomalies(&network, &surprise, rows);
    let percentiles = Percentiles::of(scores(&split.validation)).expect("the validation slice has finite scores");
    let head = view.category_head(&split, &mut || watch(Step::Category))?;

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

    let mut missing_heads = BTreeMap::new();
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
    let (risk_head, risk_info) = match risk_head(data, &split, settings.seed, &mut || watch(Step::Risk))? {
        Ok((head, info)) => {
            metrics.extend(risk_metrics(data, &split, &head));
            (Some(head), Some(info))
        }
        Err(reason) => {
            missing_heads.insert("risk".to_owned(), reason);
            (None, None)
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
        risk: risk_info,
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
    Ok(Model::from_parts(Parts { metadata, scaler, text, network, surprise, percentiles, category, risk: risk_head })?)
}

/// The rows of a dataset for the risk head, in the order of `rows`.
pub(crate) fn risk_rows(data: &Dataset, rows: impl Iterator<Item = usize> + Clone) -> risk::Rows<'_> {
    risk::Rows {
        names: data.features.iter().map(|feature| feature.name.as_str()).collect(),
        read: (0..data.features.len()).filter(|&feature| scale::is_read(&data.features[feature])).collect(),
        values: rows.clone().map(|row| data.row(row)).collect(),
        times: rows.clone().map(|row| data.created_at(row)).collect(),
        outcomes: rows.map(|row| data.outcome(row)).collect(),
    }
}

/// The risk head of what was known when the test slice began, or the reason why there is none.
fn risk_head(
    data: &Dataset,
    split: &Split,
    seed: u64,
    watch: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Result<(RiskHead, RiskInfo), String>, TrainError> {
    let rows = split.training.iter().chain(&split.validation).copied();
    risk::fit(&risk_rows(data, rows), data.created_at(split.test[0]), seed, watch)
}

/// How the risk head does on the rows of the test slice that had stood their time when the newest row came.
fn risk_metrics(data: &Dataset, split: &Split, head: &RiskHead) -> Vec<(String, f64)> {
    let end = split.test.last().map_or(i64::MAX, |&row| data.created_at(row));
    let mature: Vec<usize> = split.test.iter().copied().filter(|&row| data.outcome(row).is_mature(end)).collect();
    let outcome = |row: usize| data.outcome(row).known_before(end) == Some(true);
    let judged =
        Judged::probabilities(mature.iter().map(|&row| (f64::from(head.probability(data.row(row))), outcome(row))));
    let mut metrics = vec![
        ("risk_test_rows".to_owned(), judged.len() as f64),
        ("risk_test_reverted".to_owned(), judged.positives() as f64),
    ];
    if let Some(figures) = judged.figures() {
        let named = figures.named();
        metrics.extend(named.into_iter().map(|(name, value)| (format!("risk_test_{name}"), value)));
    }
    let churn = data.features.iter().position(|feature| feature.name == "churn");
    let by_churn = churn.and_then(|churn| {
        let size = |row: usize| f64::from(data.row(row)[churn].max(0.0));
        Judged::scores(mature.iter().map(|&row| (size(row), outcome(row)))).figures()
    });
    metrics.extend(by_churn.map(|figures| ("risk_test_churn_auc".to_owned(), figures.auc)));
    metrics
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

    /// What the fit makes small: the mean Huber loss over all known values, in spreads.
    fn error(&self, network: &Network, rows: &[usize]) -> f64 {
        let mut errors = Means::new(1);
        self.each_known(rows, network, |_, value, output| errors.add(0, f64::from(huber(output - value).0)));
        errors.mean(0)
    }

    /// What is usual for each input. Of the two slices the one with the larger distances counts: the training slice knows
    /// the rarer events, the validation slice was not learnt, and shows how far things drift.
    fn surprise(&self, network: &Network, training: &[usize], validation: &[usize]) -> Surprise {
        let distances = |rows: &[usize]| {
            let mut errors = Means::new(self.width());
            self.each_known(rows, network, |input, value, output| {
                errors.add(input, f64::from(value - output).powi(2));
            });
            errors
        };
        let (learnt, later) = (distances(training), distances(validation));
        let features = self.scaler.columns.len();
        let habit = |input: usize| Habit {
            error: usual_distance(&learnt, &later, input),
            weight: if input < features { 1.0 } else { TEXT_WEIGHT / self.text.dimensions() as f32 },
        };
        Surprise { habits: (0..self.width()).map(habit).collect() }
    }

    /// Calls `see` with input, value and reconstruction, for every known value of these rows.
    fn each_known(&self, rows: &[usize], network: &Network, mut see: impl FnMut(usize, f32, f32)) {
        for &row in rows {
            let inputs = self.inputs(row);
            for (input, output) in network.reconstruct(&inputs.scaled).into_iter().enumerate() {
                if inputs.known[input] {
                    see(input, inputs.scaled[input], output);
                }
            }
        }
    }

    fn anomalies(&self, network: &Network, surprise: &Surprise, rows: &[usize]) -> Vec<f32> {
        let anomaly = |&row: &usize| {
            let inputs = self.inputs(row);
            surprise.anomaly(&inputs, &network.reconstruct(&inputs.scaled)).0
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

    /// The head, or the reason why there is none.
    fn category_head(
        &self,
        split: &Split,
        watch: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Result<(Vec<String>, CategoryHead), String>, TrainError> {
        let (training, validation) = (self.examples(&split.training), self.examples(&split.validation));
        category::fit(&training, &validation, self.scaler.columns.len(), self.text.buckets(), watch)
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

/// Running means, one an input.
struct Means(Vec<(f64, usize)>);

impl Means {
    fn new(inputs: usize) -> Self {
        Self(vec![(0.0, 0); inputs])
    }

    fn add(&mut self, input: usize, value: f64) {
        self.0[input].0 += value;
        self.0[input].1 += 1;
    }

    fn count(&self, input: usize) -> usize {
        self.0[input].1
    }

    /// The mean; 0 without a value.
    fn mean(&self, input: usize) -> f64 {
        self.0[input].0 / self.count(input).max(1) as f64
    }

    /// The mean with one more value, of 1.
    fn mean_with_one(&self, input: usize) -> f64 {
        (self.0[input].0 + 1.0) / (self.count(input) as f64 + 1.0)
    }
}

/// Root of the mean squared distance, of the slice where it is larger. One distance of one spread is added to each, so
/// that what never happened is as surprising as one in as many rows as were seen, and no more.
fn usual_distance(learnt: &Means, later: &Means, input: usize) -> f32 {
    let mean = learnt.mean_with_one(input);
    // A few known values of the later slice would only show the one that was added.
    let enough = later.count(input) * 20 >= learnt.count(input);
    let mean = if enough { mean.max(later.mean_with_one(input)) } else { mean };
    mean.sqrt() as f32
}

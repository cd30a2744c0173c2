//! Fits all that judges how unusual a row is: the views that need no gradient first, then the network on the rows that
//! these do not think most unusual.

use std::ops::ControlFlow;

use ndarray::Array2;
use prowl_model::{Calibration, Habit, Inputs, Network, OPINIONS, Scaler, Surprise, Text, Views};
use rand::{SeedableRng, rngs::ChaCha8Rng, seq::SliceRandom};

use crate::autoencoder::{self, Epoch};
use crate::{Dataset, Settings, TrainError, covariance, forest, neighbours, scale, words};

/// How much the text counts in the anomaly score, in features.
const TEXT_WEIGHT: f32 = 6.0;

/// Rows that the network learns from, at most, where nothing says which are the newest: more teach it no more.
const MOST_ROWS: usize = 50_000;

/// Rows as the model reads them.
#[derive(Clone, Debug)]
pub(crate) struct Reading<'a> {
    pub(crate) data: &'a Dataset,
    pub(crate) scaler: Scaler,
    pub(crate) text: Text,
}

impl<'a> Reading<'a> {
    /// Learns from these rows how to read.
    pub(crate) fn fit(data: &'a Dataset, rows: &[usize], settings: &Settings) -> Result<Self, TrainError> {
        let scaler = scale::fit(data, rows);
        if scaler.columns.iter().all(|column| !column.known) {
            return Err(TrainError::NothingKnown { rows: rows.len() });
        }
        Ok(Self { data, scaler, text: words::fit(data, rows, settings) })
    }

    pub(crate) fn inputs(&self, row: usize) -> Inputs {
        Inputs::of(&self.scaler, &self.text, self.data.row(row), self.data.tokens(row))
    }

    fn width(&self) -> usize {
        self.scaler.columns.len() + self.text.dimensions()
    }

    /// How much each input counts.
    fn weights(&self) -> Vec<f32> {
        let mut weights: Vec<f32> =
            self.scaler.columns.iter().map(|column| f32::from(u8::from(column.known))).collect();
        weights.resize(self.width(), TEXT_WEIGHT / self.text.dimensions().max(1) as f32);
        weights
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
}

/// What was learnt from some rows, as far as it judges how unusual one is.
#[derive(Debug)]
pub(crate) struct Detector<'a> {
    pub(crate) reading: Reading<'a>,
    pub(crate) network: Network,
    pub(crate) views: Views,
    /// The rows that the network has learnt from.
    pub(crate) kept: Vec<usize>,
    /// The epochs of its fit.
    pub(crate) epochs: Vec<Epoch>,
    /// Distances of the rows it was judged by, which it has not learnt from.
    later: Distances,
}

impl<'a> Detector<'a> {
    /// Learns from `rows`. The network stops when it makes no progress on `judges`, which are other rows, and what is usual
    /// is what both show.
    pub(crate) fn fit(
        data: &'a Dataset,
        rows: &[usize],
        judges: &[usize],
        settings: &Settings,
        watch: &mut dyn FnMut(&Epoch) -> ControlFlow<()>,
    ) -> Result<Self, TrainError> {
        let mut detector = Self::without_network(data, rows, settings)?;
        detector.kept = detector.usual_rows(rows, settings.trim);
        detector.fit_network(&detector.kept.clone(), judges, settings, watch)?;
        detector.later = detector.distances(judges);
        detector.measure();
        Ok(detector)
    }

    /// Learns from `rows` for as many epochs as were best for an `earlier` one, which knew fewer rows. What is usual is
    /// what these rows show, and what the earlier one met in the rows that came after those it knew.
    pub(crate) fn again(
        data: &'a Dataset,
        rows: &[usize],
        earlier: &Detector<'_>,
        settings: &Settings,
        watch: &mut dyn FnMut(&Epoch) -> ControlFlow<()>,
    ) -> Result<Self, TrainError> {
        let best = earlier.epochs.last().map_or(1, |last| last.number - last.without_progress).max(1);
        let settings = Settings { epochs: best, patience: best, ..settings.clone() };
        let mut detector = Self::without_network(data, rows, &settings)?;
        detector.kept = detector.usual_rows(rows, settings.trim);
        let kept = detector.kept.clone();
        detector.fit_network(&kept, &kept, &settings, watch)?;
        detector.later = earlier.later.clone();
        detector.measure();
        Ok(detector)
    }

    /// Learns from rows that no others judge, the oldest first where they are `in_order`: the network stops when it makes
    /// no progress on the newest of the usual ones, or on some that are drawn at random.
    pub(crate) fn alone(
        data: &'a Dataset,
        rows: &[usize],
        in_order: bool,
        settings: &Settings,
        watch: &mut dyn FnMut(&Epoch) -> ControlFlow<()>,
    ) -> Result<Self, TrainError> {
        let mut detector = Self::without_network(data, rows, settings)?;
        let mut usual = detector.usual_rows(rows, settings.trim);
        if !in_order {
            usual.shuffle(&mut dice(settings, 3));
        }
        let (training, judges) = usual.split_at(usual.len() - usual.len() * 15 / 100);
        let [training, judges] = [training, judges].map(|rows| &rows[rows.len().saturating_sub(MOST_ROWS)..]);
        detector.fit_network(training, if judges.is_empty() { training } else { judges }, settings, watch)?;
        detector.kept = usual;
        detector.measure();
        Ok(detector)
    }

    /// The views that need no network; that which would judge it knows of no error.
    fn without_network(data: &'a Dataset, rows: &[usize], settings: &Settings) -> Result<Self, TrainError> {
        let reading = Reading::fit(data, rows, settings)?;
        let (matrix, weights) = (reading.matrix(rows), reading.weights());
        let views = Views {
            neighbours: neighbours::fit(matrix.view(), &mut dice(settings, 1)),
            forest: forest::fit(matrix.view(), &weights, &mut dice(settings, 2)),
            covariance: covariance::fit(matrix.view()),
            surprise: Surprise { habits: weights.into_iter().map(|weight| Habit { error: 1.0, weight }).collect() },
        };
        let network = Network { layers: Vec::new() };
        let later = Distances::new(reading.width());
        let mut detector = Self { reading, network, views, kept: rows.to_vec(), epochs: Vec::new(), later };
        detector.measure();
        Ok(detector)
    }

    /// Fits the network to these rows, as long as it makes progress on those that judge it.
    fn fit_network(
        &mut self,
        rows: &[usize],
        judges: &[usize],
        settings: &Settings,
        watch: &mut dyn FnMut(&Epoch) -> ControlFlow<()>,
    ) -> Result<(), TrainError> {
        let training = self.reading.matrix(rows);
        let judging = if judges == rows { None } else { Some(self.reading.matrix(judges)) };
        let judging = judging.as_ref().unwrap_or(&training);
        let fitted = autoencoder::fit(training.view(), judging.view(), settings, watch)?;
        (self.network, self.epochs) = (fitted.network, fitted.epochs);
        Ok(())
    }

    /// All but the most unusual share of these rows, in order.
    fn usual_rows(&self, rows: &[usize], trim: f64) -> Vec<usize> {
        let opinions: Vec<_> = rows.iter().map(|&row| (self.scores(row), "")).collect();
        let Some((calibration, _)) = Calibration::of(&opinions) else { return rows.to_vec() };
        let scores: Vec<f32> = opinions.iter().map(|(scores, _)| calibration.joined(scores)).collect();
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        order.truncate(rows.len() - (rows.len() as f64 * trim) as usize);
        order.sort_unstable();
        order.into_iter().map(|place| rows[place]).collect()
    }

    /// Measures how far inputs usually are from what is expected of them. Of the rows that were learnt from and the later
    /// ones, those with the larger distances count: the former know the rarer events, the latter were not learnt, and show
    /// how far things drift.
    fn measure(&mut self) {
        let learnt = self.distances(&self.kept);
        for (input, habit) in self.views.surprise.habits.iter_mut().enumerate() {
            habit.error = usual_distance(&learnt.network, &self.later.network, input);
        }
        for (input, error) in self.views.covariance.error.iter_mut().enumerate() {
            *error = usual_distance(&learnt.covariance, &self.later.covariance, input);
        }
    }

    /// Squared distances of known values from what network and covariance expect.
    fn distances(&self, rows: &[usize]) -> Distances {
        let mut distances = Distances::new(self.reading.width());
        for &row in rows {
            let inputs = self.reading.inputs(row);
            let Inputs { scaled, known } = &inputs;
            let reconstruction = self.reconstruct(&inputs);
            let differences = self.views.covariance.differences(std::iter::once((&scaled[..], &known[..])));
            for input in (0..scaled.len()).filter(|&input| known[input]) {
                distances.network.add(input, f64::from(scaled[input] - reconstruction[input]).powi(2));
                distances.covariance.add(input, f64::from(differences[input]).powi(2));
            }
        }
        distances
    }

    /// A network that is not there yet is taken to know everything, so that it has no opinion.
    fn reconstruct(&self, inputs: &Inputs) -> Vec<f32> {
        if self.network.layers.is_empty() { inputs.scaled.clone() } else { self.network.reconstruct(&inputs.scaled) }
    }

    /// The scores of the views for a row.
    pub(crate) fn scores(&self, row: usize) -> [f32; OPINIONS] {
        self.scores_of(&self.reading.inputs(row))
    }

    /// The scores of the views for a vector of these values, without words.
    pub(crate) fn scores_of_values(&self, values: &[f32]) -> [f32; OPINIONS] {
        self.scores_of(&Inputs::of(&self.reading.scaler, &self.reading.text, values, &[]))
    }

    /// The scores of the views for these inputs.
    pub(crate) fn scores_of(&self, inputs: &Inputs) -> [f32; OPINIONS] {
        self.views.opinions(inputs, &self.reconstruct(inputs)).map(|opinion| opinion.score)
    }

    /// Calibrates by these rows, and gives the repositories that have percentiles of their own.
    pub(crate) fn calibrate(&self, rows: &[usize]) -> (Calibration, Vec<String>) {
        let opinions: Vec<_> = rows.iter().map(|&row| (self.scores(row), self.reading.data.repository(row))).collect();
        Calibration::of(&opinions).expect("there are rows, and their scores are finite")
    }

    /// What the fit makes small: the mean Huber loss over all known values, in spreads.
    pub(crate) fn error(&self, rows: &[usize]) -> f64 {
        let mut errors = Means::new(1);
        for &row in rows {
            let inputs = self.reading.inputs(row);
            for (input, output) in self.reconstruct(&inputs).into_iter().enumerate() {
                if inputs.known[input] {
                    errors.add(0, f64::from(crate::gradient::huber(output - inputs.scaled[input]).0));
                }
            }
        }
        errors.mean(0)
    }
}

/// Dice of its own for each purpose, so that one may be thrown more often without changing another.
fn dice(settings: &Settings, stream: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
    random.set_stream(stream);
    random
}

/// Squared distances of values from what is expected of them.
#[derive(Clone, Debug)]
struct Distances {
    network: Means,
    covariance: Means,
}

impl Distances {
    fn new(inputs: usize) -> Self {
        Self { network: Means::new(inputs), covariance: Means::new(inputs) }
    }
}

/// Running means, one an input.
#[derive(Clone, Debug)]
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

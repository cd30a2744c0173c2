//! `prowl-trainer backtest`: how the heads would have done, slice after slice, each learnt from what was known before it,
//! beside what an afternoon would give.

mod text;

use std::ops::ControlFlow;

use prowl_model::{Inputs, Linear, RiskBand};
use prowl_platform::{Kind, Store};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use serde::Serialize;

use crate::args::BacktestConfig;
use crate::category::{self, Reads};
use crate::evaluate::{accuracy, macro_f1, majority};
use crate::feedback::Feedback;
use crate::figures::{Figure, Figures, Judged, Resampled, intervals};
use crate::learn::{self, Detected};
use crate::logistic::{self, Prior};
use crate::{Dataset, Settings, TrainError, curves, read, risk, scale};

/// What plain logistic regression reads.
const SIZES: [&str; 6] = ["additions", "deletions", "changed_files", "churn", "entropy", "directories"];

/// What is measured, beside what it is compared with.
const OURS: &str = "ours";

/// Slices, unless another number is asked for.
pub(crate) const FOLDS: usize = 5;

/// Percent of the rows before a slice that are the training slice; the rest is that of validation.
const TRAINING: usize = 85;

/// Share of the features that a mixture has from another pull request.
const MIXED: f64 = 0.25;

/// All figures of a backtest.
#[derive(Clone, Debug, Serialize)]
pub struct Backtest {
    /// Name of the features run.
    pub run: String,
    /// Slices.
    pub folds: usize,
    /// How well mixtures of two pull requests are told from real ones: ours first, then what it is compared with.
    pub anomaly: Vec<Ranking>,
    /// Ours first, then what it is compared with.
    pub risk: Vec<Ranking>,
    /// The bands of our head of each slice that has one.
    pub risk_bands: Vec<SliceBands>,
    /// Ours first, then what it is compared with.
    pub category: Vec<CategoryRow>,
    /// What could not be measured, and why.
    pub missing: Vec<String>,
}

/// What became of the pull requests of a slice, by the bands of the head that was learnt before it.
#[derive(Clone, Debug, Serialize)]
pub struct SliceBands {
    /// From 1.
    pub slice: usize,
    /// The riskiest first; those of the slice are the test rows.
    pub bands: Vec<RiskBand>,
}

/// One way to put pull requests in an order.
#[derive(Clone, Debug, Serialize)]
pub struct Ranking {
    /// Its name.
    pub name: &'static str,
    /// Mean over the slices.
    pub mean: Figures<Figure>,
    /// Each slice.
    pub folds: Vec<Figures<Figure>>,
}

/// One way to tell the category.
#[derive(Clone, Debug, Serialize)]
pub struct CategoryRow {
    /// Its name.
    pub name: &'static str,
    /// Mean over the slices.
    pub macro_f1: Figure,
    /// Mean over the slices.
    pub accuracy: Figure,
    /// Mean over the slices, of the probability of the most probable category; none where there is no probability.
    pub calibration_error: Option<f64>,
    /// Macro F1 and accuracy of each slice.
    pub folds: Vec<[Figure; 2]>,
}

/// What a slice shows, or the reason why it shows nothing.
type Slice<T> = Result<Result<T, String>, TrainError>;

/// Reads a run and measures.
///
/// # Errors
/// See [`TrainError`].
pub async fn backtest(config: &BacktestConfig) -> Result<Backtest, TrainError> {
    let store = Store::connect(&config.store).await?;
    let run = store.folder(Kind::Features, &config.features).await?;
    let data = read::read(&run, Settings::default().most_rows, &mut Feedback::of(&store).await?).await?;
    let (folds, name) = (config.folds, run.name().to_owned());
    let settings = Settings { seed: config.seed, ..Settings::default() };
    let measuring =
        tokio::task::spawn_blocking(move || shown(&data, name, folds, &settings, &mut || ControlFlow::Continue(())));
    measuring.await.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))
}

/// Measures a dataset, and shows how far it is. `watch` is called after each step, and may break off.
pub(crate) fn shown(
    data: &Dataset,
    run: String,
    folds: usize,
    settings: &Settings,
    watch: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Backtest, TrainError> {
    let bar = indicatif::ProgressBar::new(folds as u64).with_prefix("slice");
    let mut begun = 0;
    let measured = measure(data, run, folds, settings, &mut |done| {
        bar.set_position(done as u64);
        // A slice takes a while, and a log has no bar.
        if bar.is_hidden() && done == begun && done < folds {
            begun += 1;
            tracing::info!("backtest, slice {begun} of {folds}");
        }
        watch()
    });
    bar.finish_and_clear();
    measured
}

/// Measures a dataset. `watch` is told after each step how many slices are done, and may break off.
///
/// # Errors
/// [`TrainError::TooFewRows`] and [`TrainError::Stopped`].
pub fn measure(
    data: &Dataset,
    run: String,
    folds: usize,
    settings: &Settings,
    watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Backtest, TrainError> {
    let seed = settings.seed;
    let rows = data.by_time();
    let needed = crate::FEWEST_ROWS.max(4 * folds);
    if rows.len() < needed {
        return Err(TrainError::TooFewRows { found: rows.len(), needed });
    }
    let edge = |fold: usize| rows.len() / 2 + (rows.len() - rows.len() / 2) * fold / folds;
    let mut missing = Vec::new();
    let mut anomalies: Vec<[Judged; 2]> = Vec::new();
    let mut risks: Vec<[Judged; 3]> = Vec::new();
    let mut risk_bands = Vec::new();
    let mut categories: Vec<[Told; 3]> = Vec::new();
    for fold in 0..folds {
        let (before, later) = (&rows[..edge(fold)], &rows[edge(fold)..edge(fold + 1)]);
        let mut step = || watch(fold);
        match anomaly_fold(data, before, later, settings, &mut step)? {
            Ok(judged) => anomalies.push(judged),
            Err(reason) => missing.push(format!("anomaly, slice {}: {reason}", fold + 1)),
        }
        match risk_fold(data, before, later, seed, &mut step)? {
            Ok((judged, bands)) => {
                risks.push(judged);
                risk_bands.push(SliceBands { slice: fold + 1, bands });
            }
            Err(reason) => missing.push(format!("risk, slice {}: {reason}", fold + 1)),
        }
        match category_fold(data, before, later, seed, &mut step)? {
            Ok(figures) => categories.push(figures),
            Err(reason) => missing.push(format!("category, slice {}: {reason}", fold + 1)),
        }
        if watch(fold + 1).is_break() {
            return Err(TrainError::Stopped);
        }
    }
    let anomaly = [OURS, "its forest alone"].into_iter().enumerate();
    let anomaly =
        anomaly.filter_map(|(way, name)| ranking(name, anomalies.iter().map(|ways| &ways[way]).collect(), seed));
    let risk = [OURS, "churn alone", "plain regression on sizes"].into_iter().enumerate();
    let risk = risk.filter_map(|(way, name)| ranking(name, risks.iter().map(|ways| &ways[way]).collect(), seed));
    let category = [OURS, "words alone", "most frequent"].into_iter().enumerate().map(|(way, name)| {
        let [macro_f1, accuracy] =
            [0, 1].map(|figure| mean_of(categories.iter().map(|ways| &ways[way].figures[figure]).collect()));
        let folds = categories.iter().map(|ways| ways[way].figures.each_ref().map(Resampled::figure)).collect();
        let errors: Option<Vec<f64>> = categories.iter().map(|ways| ways[way].calibration_error).collect();
        let calibration_error = errors.map(|errors| errors.iter().sum::<f64>() / errors.len() as f64);
        CategoryRow { name, macro_f1, accuracy, calibration_error, folds }
    });
    let category = if categories.is_empty() { Vec::new() } else { category.collect() };
    Ok(Backtest { run, folds, anomaly: anomaly.collect(), risk: risk.collect(), risk_bands, category, missing })
}

/// Ours and the isolation forest that is one of its views on the rows of a slice, and on as many mixtures of two of
/// them: nobody knows which pull requests are odd, but what has a quarter of its features from another one is.
fn anomaly_fold(
    data: &Dataset,
    before: &[usize],
    later: &[usize],
    settings: &Settings,
    step: &mut dyn FnMut() -> ControlFlow<()>,
) -> Slice<[Judged; 2]> {
    if before.len() < crate::FEWEST_ROWS {
        return Ok(Err(format!("{} pull requests before it, and it takes {}", before.len(), crate::FEWEST_ROWS)));
    }
    let (training, validation) = before.split_at(before.len() * TRAINING / 100);
    let Detected { detector, calibration, .. } = learn::detect(data, training, validation, settings, &mut |_| step())?;
    let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
    let mut ways = [Vec::new(), Vec::new()];
    for &row in later {
        let other = data.row(later[random.random_range(0..later.len())]);
        let mixture: Vec<f32> = data
            .row(row)
            .iter()
            .zip(other)
            .map(|(&own, &other)| if random.random_bool(MIXED) { other } else { own })
            .collect();
        for (values, mixed) in [(data.row(row), false), (&mixture, true)] {
            let reading = &detector.reading;
            let scores = detector.scores_of(&Inputs::of(&reading.scaler, &reading.text, values, data.tokens(row)));
            ways[0].push((f64::from(calibration.joined(&scores)), mixed));
            let [.., forest] = scores;
            ways[1].push((f64::from(forest), mixed));
        }
    }
    Ok(Ok(ways.map(Judged::scores)))
}

/// Ours, churn and sizes on the rows of a slice that had stood their time when the newest row of all came.
fn risk_fold(
    data: &Dataset,
    before: &[usize],
    later: &[usize],
    seed: u64,
    step: &mut dyn FnMut() -> ControlFlow<()>,
) -> Slice<([Judged; 3], Vec<RiskBand>)> {
    let (origin, end) = (data.created_at(later[0]), data.created_at(data.by_time()[data.len() - 1]));
    let rows = learn::risk_rows(data, before.iter().copied());
    let risk::Fitted { head, mut info, .. } = match risk::fit(&rows, origin, seed, step)? {
        Ok(fitted) => fitted,
        Err(reason) => return Ok(Err(reason.of_pull_requests())),
    };
    let sizes = sizes(data, before, origin);
    let churn = data.churn();
    let judged = data.mature(later, end);
    let told: Vec<(f32, bool)> = judged.iter().map(|&(row, was)| (head.probability(data.row(row)), was)).collect();
    info.count_test(told.iter().copied());
    let probability = |log_odds: f32| logistic::probability(f64::from(log_odds));
    let all = [
        Judged::probabilities(told.into_iter().map(|(told, was)| (f64::from(told), was))),
        Judged::scores(judged.iter().map(|&(row, was)| (churn.as_ref().map_or(0.0, |churn| churn(row)), was))),
        Judged::probabilities(
            judged
                .iter()
                .map(|&(row, was)| (sizes.as_ref().map_or(0.5, |sizes| probability(sizes.score(data.row(row)))), was)),
        ),
    ];
    if all[0].figures().is_none() {
        return Ok(Err("no pull request of it, or each, is known to have been taken back".to_owned()));
    }
    Ok(Ok((all, info.bands)))
}

/// Logistic regression on the logarithms of what has the names of sizes.
fn sizes(data: &Dataset, before: &[usize], origin: i64) -> Option<Linear> {
    let known = before.iter().filter_map(|&row| Some((data.row(row), data.outcome(row).known_before(origin)?)));
    let (values, outcomes): (Vec<&[f32]>, Vec<bool>) = known.unzip();
    let named = |(_, feature): &(usize, &prowl_model::FeatureInfo)| SIZES.contains(&feature.name.as_str());
    let features = data.features.iter().enumerate().filter(named);
    let terms = features.filter_map(|(feature, _)| curves::logarithmic(&values, feature)).collect();
    logistic::on_curves(terms, &values, &outcomes, Prior { mean: 0.0, strength: 1.0, positive: false })
}

/// The mean over slices; its interval is that of means of resamples of each.
fn ranking(name: &'static str, judged: Vec<&Judged>, seed: u64) -> Option<Ranking> {
    let measured: Vec<Figures<f64>> = judged.iter().filter_map(|judged| judged.figures()).collect();
    let resampled: Vec<Vec<Figures<f64>>> = judged.iter().map(|judged| judged.resamples(seed)).collect();
    let rounds = resampled.iter().map(Vec::len).min()?;
    let means: Vec<Figures<f64>> =
        (0..rounds).filter_map(|round| mean(&resampled.iter().map(|of| of[round]).collect::<Vec<_>>())).collect();
    let folds = measured.iter().zip(&resampled).map(|(&figures, of)| intervals(figures, of)).collect();
    Some(Ranking { name, mean: intervals(mean(&measured)?, &means), folds })
}

fn mean(figures: &[Figures<f64>]) -> Option<Figures<f64>> {
    let mut place = 0;
    Some(figures.first()?.map(|_| {
        let sum: f64 = figures.iter().filter_map(|figures| figures.values().nth(place)).sum();
        place += 1;
        sum / figures.len() as f64
    }))
}

/// The mean over slices; its interval is that of means of resamples of each.
fn mean_of(slices: Vec<&Resampled>) -> Figure {
    Resampled::mean(&slices).figure()
}

/// How a way to tell the category does on a slice.
#[derive(Clone, Debug)]
struct Told {
    /// Macro F1 and accuracy.
    figures: [Resampled; 2],
    calibration_error: Option<f64>,
}

/// On the declared rows of a slice: the head, one that reads words alone, the most frequent.
fn category_fold<'a>(
    data: &'a Dataset,
    before: &[usize],
    later: &[usize],
    seed: u64,
    step: &mut dyn FnMut() -> ControlFlow<()>,
) -> Slice<[Told; 3]> {
    // As in a training: the newest of what was known chooses the strength.
    let (first, newest) = before.split_at(before.len() * TRAINING / 100);
    let scaler = scale::fit(data, first);
    let head = |row: usize| (scaler.scale(data.row(row)), data.kind_tokens(row));
    let words = |row: usize| (Vec::new(), data.tokens(row));
    let test = category::examples(data, later, &head);
    if test.is_empty() {
        return Ok(Err("no pull request of it declares one".to_owned()));
    }
    let truth = category::truth(&test);
    let figures = |predicted: &[&str]| {
        let of = |figure: fn(&[&str], &[&str]) -> f64| {
            Resampled::of(truth.len(), seed, |rows| {
                let truth: Vec<&str> = rows.iter().map(|&row| truth[row]).collect();
                let predicted: Vec<&str> = rows.iter().map(|&row| predicted[row]).collect();
                figure(&truth, &predicted)
            })
        };
        [of(macro_f1), of(accuracy)]
    };
    let mut of_heads = Vec::new();
    let ways: [Reads<'_, 'a>; 2] = [&head, &words];
    for read in ways {
        let of = |rows: &[usize]| category::examples(data, rows, read);
        let fitted = category::fit(&of(first), &of(newest), step)?;
        match fitted {
            Ok((classes, head)) => {
                let later = of(later);
                of_heads.push(Told {
                    figures: figures(&category::predictions(&head, &classes, &later)),
                    calibration_error: Some(category::calibration_error(&head, &classes, &later)),
                });
            }
            Err(reason) => return Ok(Err(reason)),
        }
    }
    let known: Vec<&str> = before.iter().filter_map(|&row| data.category(row)).collect();
    let usual =
        Told { figures: figures(&vec![majority(&known).unwrap_or_default(); truth.len()]), calibration_error: None };
    let [ours, words] = <[Told; 2]>::try_from(of_heads).expect("a head for each way to read");
    Ok(Ok([ours, words, usual]))
}

impl Backtest {
    /// The means over the slices as metrics of a model, ours and those of what it is compared with, and how many slices show
    /// them.
    pub(crate) fn metrics(&self) -> Vec<(String, f64)> {
        let mut metrics = Vec::new();
        let name = |head: &str, way: &str, figure: &str| {
            let way = if way == OURS { String::new() } else { format!("{}_", way.replace(' ', "_")) };
            format!("backtest_{head}_{way}{figure}")
        };
        let slices = [
            ("anomaly", self.anomaly.first().map(|ours| ours.folds.len())),
            ("risk", self.risk.first().map(|ours| ours.folds.len())),
            ("category", self.category.first().map(|ours| ours.folds.len())),
        ];
        for (head, slices) in slices {
            metrics.extend(slices.map(|slices| (name(head, OURS, "slices"), slices as f64)));
        }
        for Ranking { name: way, mean, .. } in &self.anomaly {
            metrics.push((name("anomaly", way, "auc"), mean.auc.value));
        }
        for Ranking { name: way, mean, .. } in &self.risk {
            metrics.extend(mean.named().into_iter().map(|(figure, mean)| (name("risk", way, figure), mean.value)));
        }
        for CategoryRow { name: way, macro_f1, accuracy, calibration_error, .. } in &self.category {
            metrics.push((name("category", way, "macro_f1"), macro_f1.value));
            metrics.push((name("category", way, "accuracy"), accuracy.value));
            metrics.extend(calibration_error.map(|error| (name("category", way, "calibration_error"), error)));
        }
        metrics
    }
}

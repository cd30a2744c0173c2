//! Figures of merit of a probability, or of any score that ranks: each a number and the interval that chance leaves it.

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use serde::{Serialize, Serializer};

/// Shares of the rows, the most probable first, for which [`Figures::capture`] says how much they hold.
pub const SHARES: [f64; 4] = [0.05, 0.1, 0.2, 0.5];

/// What [`Figures::capture`] is called at each of the [`SHARES`].
const CAPTURES: [&str; 4] = ["capture_5", "capture_10", "capture_20", "capture_50"];

/// Bins of the calibration error.
const BINS: usize = 10;

/// Resamples of a bootstrap.
const RESAMPLES: usize = 500;

/// A figure, and where 95% of bootstrap resamples put it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// As measured.
    pub value: f64,
    /// 2.5% of the resamples are below.
    pub low: f64,
    /// 2.5% of the resamples are above.
    pub high: f64,
}

/// What a score is worth on rows whose outcome is known. Generic over the number, so that a mean over folds or an
/// interval has the same names.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figures<T> {
    /// Probability that a positive row has the higher score of a positive and a negative one; equal scores count half.
    pub auc: T,
    /// Mean, over the positive rows, of the precision among the rows with at least their score.
    pub average_precision: T,
    /// Share of the positive rows among the highest [`SHARES`] of the scores; of equal scores their part.
    #[serde(flatten, serialize_with = "by_share")]
    pub capture: [T; 4],
    /// What only a probability has.
    #[serde(flatten)]
    pub probability: Option<Fit<T>>,
}

/// How well probabilities fit what happened.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fit<T> {
    /// Mean squared difference of probability and outcome.
    pub brier: T,
    /// Mean negative logarithm of the probability of what happened, in nats.
    pub log_loss: T,
    /// Mean difference between probability and observed rate over ten bins of as many rows each (Nixon et al.,
    /// "Measuring calibration in deep learning", 2019).
    pub calibration_error: T,
}

impl<T> Figures<T> {
    /// The same figures as other numbers.
    pub fn map<U>(self, mut of: impl FnMut(T) -> U) -> Figures<U> {
        Figures {
            auc: of(self.auc),
            average_precision: of(self.average_precision),
            capture: self.capture.map(&mut of),
            probability: self.probability.map(|fit| Fit {
                brier: of(fit.brier),
                log_loss: of(fit.log_loss),
                calibration_error: of(fit.calibration_error),
            }),
        }
    }

    /// The figures in one order.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        let fit = self.probability.iter().flat_map(|fit| [&fit.brier, &fit.log_loss, &fit.calibration_error]);
        [&self.auc, &self.average_precision].into_iter().chain(&self.capture).chain(fit)
    }
}

impl<T: Copy> Figures<T> {
    /// The figures by name.
    pub fn named(&self) -> Vec<(&'static str, T)> {
        let names = ["auc", "average_precision"].into_iter().chain(CAPTURES);
        let names = names.chain(["brier", "log_loss", "calibration_error"]);
        names.zip(self.values().copied()).collect()
    }
}

/// Names tell a reader of JSON more than places do.
fn by_share<T: Serialize, S: Serializer>(capture: &[T; 4], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(CAPTURES.into_iter().zip(capture))
}

/// Scores with known outcomes, the highest first.
#[derive(Clone, Debug)]
pub struct Judged {
    rows: Vec<(f64, bool)>,
    probabilities: bool,
}

impl Judged {
    /// Scores that rank and mean no more.
    pub fn scores(rows: impl IntoIterator<Item = (f64, bool)>) -> Self {
        let mut rows: Vec<_> = rows.into_iter().collect();
        // Stable: equal scores stay in the order in which they came.
        rows.sort_by(|a, b| b.0.total_cmp(&a.0));
        Self { rows, probabilities: false }
    }

    /// Scores that are probabilities of a positive outcome.
    pub fn probabilities(rows: impl IntoIterator<Item = (f64, bool)>) -> Self {
        Self { probabilities: true, ..Self::scores(rows) }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Number of positive rows.
    pub fn positives(&self) -> usize {
        self.rows.iter().filter(|row| row.1).count()
    }

    /// Mean difference between probability and observed rate, as [`Fit::calibration_error`]; also of rows of one kind. NaN
    /// without rows.
    pub fn calibration_error(&self) -> f64 {
        self.fit(&vec![1; self.rows.len()]).calibration_error
    }

    /// The figures; `None` unless there are rows of both kinds, since they would mean nothing.
    pub fn figures(&self) -> Option<Figures<f64>> {
        self.weighted(&vec![1; self.rows.len()])
    }

    /// The figures with their intervals.
    pub(crate) fn with_intervals(&self, seed: u64) -> Option<Figures<Figure>> {
        let measured = self.figures()?;
        let resamples = self.resamples(seed);
        Some(intervals(measured, &resamples))
    }

    /// The figures of each resample of the rows, drawn with replacement; those of one kind only are left out.
    pub(crate) fn resamples(&self, seed: u64) -> Vec<Figures<f64>> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut counts = vec![0; self.rows.len()];
        let mut resample = || {
            counts.fill(0);
            for _ in 0..self.rows.len() {
                counts[random.random_range(0..self.rows.len())] += 1;
            }
            self.weighted(&counts)
        };
        (0..RESAMPLES).filter_map(|_| resample()).collect()
    }

    /// The figures where each row counts so many times.
    fn weighted(&self, counts: &[u32]) -> Option<Figures<f64>> {
        let groups = self.groups(counts);
        let (positives, negatives) = groups.iter().fold((0.0, 0.0), |sum, group| (sum.0 + group.0, sum.1 + group.1));
        if positives == 0.0 || negatives == 0.0 {
            return None;
        }
        let (mut above, mut below) = (0.0, negatives);
        let (mut auc, mut average_precision) = (0.0, 0.0);
        for &(positive, negative) in &groups {
            below -= negative;
            auc += positive * (below + 0.5 * negative);
            above += positive;
            let reached = above + negatives - below;
            if reached > 0.0 {
                average_precision += positive * above / reached;
            }
        }
        let capture = SHARES.map(|share| {
            let mut room = share * (positives + negatives);
            let mut held = 0.0;
            for &(positive, negative) in groups.iter().filter(|group| group.0 + group.1 > 0.0) {
                let taken = (room / (positive + negative)).min(1.0);
                held += taken * positive;
                room -= taken * (positive + negative);
                if room <= 0.0 {
                    break;
                }
            }
            held / positives
        });
        Some(Figures {
            auc: auc / (positives * negatives),
            average_precision: average_precision / positives,
            capture,
            probability: self.probabilities.then(|| self.fit(counts)),
        })
    }

    /// Positive and negative rows of each score, the highest first.
    fn groups(&self, counts: &[u32]) -> Vec<(f64, f64)> {
        let mut groups: Vec<(f64, f64)> = Vec::new();
        let mut last = None;
        for (&(score, positive), &count) in self.rows.iter().zip(counts) {
            if last != Some(score) {
                groups.push((0.0, 0.0));
                last = Some(score);
            }
            if let Some(group) = groups.last_mut() {
                *(if positive { &mut group.0 } else { &mut group.1 }) += f64::from(count);
            }
        }
        groups
    }

    fn fit(&self, counts: &[u32]) -> Fit<f64> {
        let total: f64 = counts.iter().copied().map(f64::from).sum();
        let (mut brier, mut log_loss, mut calibration_error) = (0.0, 0.0, 0.0);
        let (mut seen, mut bin, mut excess) = (0.0, 0, 0.0);
        for (&(probability, positive), &count) in self.rows.iter().zip(counts) {
            let (count, outcome) = (f64::from(count), f64::from(u8::from(positive)));
            brier += count * (probability - outcome).powi(2);
            let of_outcome: f64 = if positive { probability } else { 1.0 - probability };
            // As libraries do, since one wrong certainty would be infinitely wrong.
            log_loss -= count * of_outcome.max(1e-15).ln();
            // A row lies in the bin that its middle lies in.
            let place = (BINS as f64 * (seen + 0.5 * count) / total) as usize;
            if place > bin {
                calibration_error += f64::abs(excess);
                (bin, excess) = (place, 0.0);
            }
            excess += count * (probability - outcome);
            seen += count;
        }
        calibration_error += excess.abs();
        Fit { brier: brier / total, log_loss: log_loss / total, calibration_error: calibration_error / total }
    }
}

/// The AUC over several lists of rows, each counting by its positive ones; `None` unless each has rows of both kinds.
pub(crate) fn auc(lists: &[Judged], seed: u64) -> Option<Figure> {
    let positives: Vec<f64> = lists.iter().map(|list| list.positives() as f64).collect();
    let all: f64 = positives.iter().sum();
    let mean = |aucs: &[f64]| aucs.iter().zip(&positives).map(|(auc, count)| auc * count).sum::<f64>() / all;
    let measured: Vec<f64> = lists.iter().map(|list| Some(list.figures()?.auc)).collect::<Option<_>>()?;
    let aucs = |list: &Judged| list.resamples(seed).iter().map(|figures| figures.auc).collect::<Vec<_>>();
    let resampled: Vec<Vec<f64>> = lists.iter().map(aucs).collect();
    let rounds = resampled.iter().map(Vec::len).min()?;
    let resample = |round: usize| mean(&resampled.iter().map(|of| of[round]).collect::<Vec<_>>());
    Some(interval(mean(&measured), (0..rounds).map(resample).collect()))
}

/// Each figure beside the interval of its resamples.
pub(crate) fn intervals(measured: Figures<f64>, resamples: &[Figures<f64>]) -> Figures<Figure> {
    let mut place = 0;
    measured.map(|value| {
        let of_resamples = resamples.iter().filter_map(|figures| figures.values().nth(place)).copied().collect();
        place += 1;
        interval(value, of_resamples)
    })
}

/// A figure of rows, such as an accuracy, and what it is in resamples of them.
#[derive(Clone, Debug)]
pub(crate) struct Resampled {
    value: f64,
    resamples: Vec<f64>,
}

impl Resampled {
    /// `of` gets the places of the rows that count, each as often as it counts.
    pub(crate) fn of(rows: usize, seed: u64, mut of: impl FnMut(&[usize]) -> f64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut places: Vec<usize> = (0..rows).collect();
        let value = of(&places);
        let mut resample = || {
            for place in &mut places {
                *place = random.random_range(0..rows);
            }
            of(&places)
        };
        Self { value, resamples: if rows == 0 { Vec::new() } else { (0..RESAMPLES).map(|_| resample()).collect() } }
    }

    /// The mean of several, resample by resample.
    pub(crate) fn mean(of: &[&Self]) -> Self {
        let mean = |sum: f64| sum / of.len() as f64;
        let rounds = of.iter().map(|figure| figure.resamples.len()).min().unwrap_or(0);
        let resample = |round: usize| mean(of.iter().map(|figure| figure.resamples[round]).sum());
        Self { value: mean(of.iter().map(|figure| figure.value).sum()), resamples: (0..rounds).map(resample).collect() }
    }

    /// The figure with its interval.
    pub(crate) fn figure(&self) -> Figure {
        interval(self.value, self.resamples.clone())
    }
}

/// The middle 95% of the resamples.
fn interval(value: f64, mut resamples: Vec<f64>) -> Figure {
    resamples.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| {
        let rank = (share * resamples.len() as f64) as usize;
        resamples.get(rank.min(resamples.len().saturating_sub(1))).copied().unwrap_or(value)
    };
    Figure { value, low: at(0.025), high: at(0.975) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} and not {expected}");
    }

    #[test]
    fn figures_are_those_computed_by_hand() {
        // Ranked: 1, 0, then 1 and 0 of one score, then 0.
        let rows = [(0.9, true), (0.1, false), (0.5, true), (0.5, false), (0.8, false)];
        let figures = Judged::probabilities(rows).figures().unwrap();
        // Pairs won of 6: the first positive 3, the second 1 and a half.
        close(figures.auc, 4.5 / 6.0);
        // Precision 1 at the first; at the second two of four.
        close(figures.average_precision, 0.75);
        // Of five rows: a quarter of the first, half of it, all of it; two and a half rows are one and a quarter of a tie.
        close(figures.capture[0], 0.25 / 2.0);
        close(figures.capture[1], 0.5 / 2.0);
        close(figures.capture[2], 0.5);
        close(figures.capture[3], 1.25 / 2.0);
        let fit = figures.probability.unwrap();
        close(fit.brier, (0.01 + 0.01 + 0.25 + 0.25 + 0.64) / 5.0);
        let loss = -(0.9_f64.ln() + 0.9_f64.ln() + 2.0 * 0.5_f64.ln() + 0.2_f64.ln()) / 5.0;
        close(fit.log_loss, loss);
    }

    #[test]
    fn json_has_the_figures_by_their_names() {
        let rows = [(0.9, true), (0.1, false), (0.5, true), (0.5, false), (0.8, false)];
        let figures = Judged::probabilities(rows).figures().unwrap();
        let named: serde_json::Map<_, _> =
            figures.named().into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        assert_eq!(serde_json::to_value(figures).unwrap(), serde_json::Value::Object(named));
    }

    #[test]
    fn the_calibration_error_compares_rates_by_bin() {
        // Twenty rows, two a bin: of the first bin one is positive at 0.5, in the others none at 0.1.
        let rows = (0..20).map(|row| if row < 2 { (0.5, row == 0) } else { (0.1, false) });
        let fit = Judged::probabilities(rows).figures().unwrap().probability.unwrap();
        close(fit.calibration_error, 0.9 * 0.1);
        let certain = Judged::probabilities((0..20).map(|_| (0.7, true)));
        close(certain.calibration_error(), 0.3);
        // Too high in one bin and too low in another do not cancel; within one they do.
        let rows = (0..20).map(|row| if row < 10 { (0.6, row % 2 == 0) } else { (0.4, row % 2 == 0) });
        close(Judged::probabilities(rows).figures().unwrap().probability.unwrap().calibration_error, 0.1);
    }

    #[test]
    fn rankings_from_perfect_to_worst() {
        let judged =
            |sign: f64| Judged::scores((0..40).map(|row| (sign * f64::from(row), row >= 38))).figures().unwrap();
        let (best, worst) = (judged(1.0), judged(-1.0));
        assert_eq!((best.auc, best.average_precision, best.capture), (1.0, 1.0, [1.0; 4]));
        assert_eq!((worst.auc, worst.capture), (0.0, [0.0; 4]));
        assert!(best.probability.is_none());
        let alike = Judged::scores((0..40).map(|row| (0.0, row >= 38))).figures().unwrap();
        close(alike.auc, 0.5);
        close(alike.average_precision, 0.05);
        for (capture, share) in alike.capture.into_iter().zip(SHARES) {
            close(capture, share);
        }
    }

    #[test]
    fn rows_of_one_kind_say_nothing() {
        for rows in [vec![], vec![(0.5, true)], vec![(0.5, false), (0.4, false)]] {
            assert_eq!(Judged::scores(rows.clone()).figures(), None);
            assert_eq!(Judged::probabilities(rows).with_intervals(1), None);
        }
    }

    #[test]
    fn an_auc_over_lists_counts_each_by_its_positive_rows() {
        let sorted = Judged::scores((0..40).map(|row| (f64::from(row), row >= 10)));
        let alike = Judged::scores((0..40).map(|row| (0.0, row >= 30)));
        let of_both = auc(&[sorted, alike.clone()], 1).unwrap();
        close(of_both.value, (30.0 + 10.0 * 0.5) / 40.0);
        close(of_both.high, of_both.value);
        assert_eq!(auc(std::slice::from_ref(&alike), 1), Some(Figure { value: 0.5, low: 0.5, high: 0.5 }));
        assert_eq!(auc(&[alike, Judged::scores([(0.0, true)])], 1), None);
        assert_eq!(auc(&[], 1), None);
    }

    #[test]
    fn intervals_hold_the_figure_and_narrow_with_more_rows() {
        let width = |rows: u32| {
            let rows = (0..rows).map(|row| (f64::from(row * 7919 % 101) + f64::from(row % 3 / 2 * 30), row % 3 == 2));
            let judged = Judged::scores(rows);
            let auc = judged.with_intervals(1).unwrap().auc;
            assert!(auc.low < auc.value && auc.value < auc.high, "{auc:?}");
            assert_eq!(judged.with_intervals(1), judged.with_intervals(1));
            assert_ne!(judged.with_intervals(1), judged.with_intervals(2));
            auc.high - auc.low
        };
        let ratio = width(100) / width(1600);
        assert!((2.5..6.0).contains(&ratio), "16 times the rows, a quarter of the width: {ratio}");
        // By the normal approximation the mean of 400 coins lies within 0.049 of a half.
        let coin =
            |seed| Resampled::of(400, seed, |rows| rows.iter().filter(|&&row| row % 2 == 0).count() as f64 / 400.0);
        let coins = coin(1).figure();
        assert!((coins.high - coins.value - 0.049).abs() < 0.01, "{coins:?}");
        assert_eq!(Resampled::of(0, 1, |_| 0.0).figure(), Figure { value: 0.0, low: 0.0, high: 0.0 });
        // Of four the mean is half as uncertain.
        let four = Resampled::mean(&[1, 2, 3, 4].map(coin).each_ref()).figure();
        let width = |figure: Figure| figure.high - figure.low;
        assert!((width(four) / width(coins) - 0.5).abs() < 0.1, "{four:?} {coins:?}");
    }
}

//! Fits the risk head: candidates are compared on later slices, and the scores of the one that is chosen are calibrated
//! on the same slices.

mod calibrated;
mod choice;

use std::ops::ControlFlow;

use prowl_model::{Candidate, Linear, Member, RiskHead, RiskInfo, Term, Trees};

use crate::boost::{self, Binned, Growth};
use crate::figures::{self, Figure, Judged};
use crate::logistic::{self, Prior};
use crate::{Outcome, TrainError, curves};
use calibrated::Calibrated;
use choice::Judgement;

/// Rows of either outcome that are needed.
const FEWEST: usize = 30;

/// Rows that are learnt from at most; the newest count.
const ROWS: usize = 200_000;

/// Parts of the positive rows, in the order of time, after which a slice begins that what came before is judged by.
const SLICES: [f64; 3] = [0.4, 0.6, 0.8];

/// Columns that a regression reads at most: its time grows with their square.
const WIDEST: usize = 256;

/// Features that the literature and our own trials connect with risk, and whether less of them means more: Kamei et al.,
/// "A large-scale empirical study of just-in-time quality assurance" (2013), and Kim et al., "Predicting faults from
/// cached history" (2007), for what lies in places and hands that went wrong before.
const FACTORS: [(&str, bool); 8] = [
    ("path_revert_ratio", false),
    ("title_revert_ratio", false),
    ("author_revert_ratio", false),
    ("entropy", false),
    ("changed_files", false),
    ("churn", false),
    ("author_file_experience", true),
    ("author_knows_files", true),
];

/// What the factors are thought to weigh before any row is seen, from rank 0 to rank 1.
const OF_FACTORS: Prior = Prior { mean: 0.6, strength: 10.0, positive: true };

/// Nothing is thought of any other feature.
const OF_FEATURES: Prior = Prior { mean: 0.0, strength: 10.0, positive: false };

/// Rows in the order of time.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    /// Names of all features, by which the factors are found; empty where names say nothing.
    pub names: Vec<&'a str>,
    /// Indices of the features that may be read.
    pub read: Vec<usize>,
    /// Features of each row, NaN or infinite where unknown.
    pub values: Vec<&'a [f32]>,
    /// When each row came, ascending, in any unit that `outcomes` has as well.
    pub times: Vec<i64>,
    /// What became of each row.
    pub outcomes: Vec<Outcome>,
}

/// A head that was fitted.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The head.
    pub head: RiskHead,
    /// What it says of itself.
    pub info: RiskInfo,
    /// The later slices, as the candidate that was chosen scored them before.
    later: Vec<Judged>,
}

impl Fitted {
    /// AUC of the candidate that was chosen on the later slices, each counting by its positive rows.
    pub fn auc(&self, seed: u64) -> Figure {
        figures::auc(&self.later, seed).expect("each slice has rows of both kinds")
    }
}

/// Why there is no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoHead {
    /// Rows of a kind are too few.
    #[error(
        "{positives} rows are known to be positive and {negatives} to be negative, and it takes {FEWEST} of each: give more"
    )]
    TooFew {
        /// Rows with the outcome.
        positives: usize,
        /// Rows without.
        negatives: usize,
    },
    /// Nothing that was known early was followed by rows of both kinds.
    #[error(
        "all rows of one kind come too early or too late to judge what is learnt before them: say when they came with --time, \
         or shuffle rows that have no time"
    )]
    TooLate,
}

impl NoHead {
    /// The reason, where a positive row is a pull request that was taken back.
    pub fn of_pull_requests(self) -> String {
        match self {
            Self::TooFew { positives, negatives } => format!(
                "of the pull requests before the test slice {positives} are known to have been taken back and {negatives} \
                 to have stood, and it takes {FEWEST} of each"
            ),
            Self::TooLate => "what was taken back was known too late to judge anything learnt before it".to_owned(),
        }
    }
}

/// A model whose log-odds may be averaged with others'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Logistic regression on the ranks of [`FACTORS`], around a prior.
    Factors,
    /// Logistic regression on the logarithms of all features.
    Linear,
    /// Boosted trees on all features.
    Trees,
}

impl Kind {
    fn name(self) -> String {
        match self {
            Self::Factors => "factors",
            Self::Linear => "linear",
            Self::Trees => "trees",
        }
        .to_owned()
    }
}

/// What is averaged, the most trusted first.
const CANDIDATES: [&[Kind]; 6] = [
    &[Kind::Factors],
    &[Kind::Factors, Kind::Trees],
    &[Kind::Factors, Kind::Linear, Kind::Trees],
    &[Kind::Linear, Kind::Trees],
    &[Kind::Linear],
    &[Kind::Trees],
];

/// Fits a head on what was known of the rows at `origin`.
///
/// Three slices of later rows judge candidates that were fitted on the rows before each, with the labels known when it
/// began. The first candidate counts whose AUC is within a standard error of the best one's. Where rows of a kind are too
/// few there is no head, and a reason.
///
/// # Errors
/// [`TrainError::Stopped`] when `watch` broke off.
pub fn fit(
    rows: &Rows<'_>,
    origin: i64,
    seed: u64,
    watch: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Result<Fitted, NoHead>, TrainError> {
    let known = Known::of(rows, origin);
    let positives = known.outcomes.iter().filter(|outcome| **outcome).count();
    let negatives = known.outcomes.len() - positives;
    if positives < FEWEST || negatives < FEWEST {
        return Ok(Err(NoHead::TooFew { positives, negatives }));
    }
    let mut learner = Learner { rows, seed, growth: Growth::default(), watch };
    let folds = learner.folds(&known, origin)?;
    if folds.is_empty() {
        return Ok(Err(NoHead::TooLate));
    }
    let kinds: Vec<Kind> = [Kind::Factors, Kind::Linear, Kind::Trees]
        .into_iter()
        .filter(|&kind| kind == Kind::Trees || !learner.terms(kind, &known.values).is_empty())
        .collect();
    let candidates: Vec<&[Kind]> =
        CANDIDATES.into_iter().filter(|candidate| candidate.iter().all(|kind| kinds.contains(kind))).collect();
    let judged: Vec<Judgement> = candidates.iter().map(|candidate| Judgement::of(candidate, &folds)).collect();
    let chosen = choice::choose(&judged);

    let calibrated = Calibrated::of(&judged[chosen], &folds, known.usual());
    let mut members = Vec::new();
    for &kind in candidates[chosen] {
        members.push(learner.fit(kind, &known.values, &known.outcomes)?);
    }
    let head = RiskHead { members, calibration: calibrated.calibration.points.clone() };
    let candidate = |(kinds, judgement): (&&[Kind], &Judgement)| Candidate {
        auc: judgement.auc,
        log_loss: judgement.log_loss,
        members: kinds.iter().map(|kind| kind.name()).collect(),
    };
    let info = RiskInfo {
        bands: calibrated.bands(&head),
        calibration: calibrated.calibration.name.to_owned(),
        candidates: candidates.iter().zip(&judged).map(candidate).collect(),
        members: candidates[chosen].iter().map(|kind| kind.name()).collect(),
        reverted: positives as u64,
        rows: known.outcomes.len() as u64,
    };
    let rows = |(fold, scores): (&Fold, &Vec<f32>)| {
        Judged::scores(scores.iter().map(|&score| f64::from(score)).zip(fold.outcomes.iter().copied()))
    };
    let later = folds.iter().zip(&judged[chosen].scores).map(rows).collect();
    Ok(Ok(Fitted { head, info, later }))
}

/// Rows with an outcome that was known, in the order of time.
struct Known<'a> {
    /// Places among all rows.
    places: Vec<usize>,
    values: Vec<&'a [f32]>,
    outcomes: Vec<bool>,
}

impl<'a> Known<'a> {
    fn of(rows: &Rows<'a>, moment: i64) -> Self {
        Self::among(rows, 0..rows.values.len(), moment)
    }

    fn among(rows: &Rows<'a>, range: std::ops::Range<usize>, moment: i64) -> Self {
        let outcome = |place: usize| Some((place, rows.outcomes[place].known_before(moment)?));
        let mut known: Vec<_> = range.rev().filter_map(outcome).take(ROWS).collect();
        known.reverse();
        Self {
            values: known.iter().map(|&(place, _)| rows.values[place]).collect(),
            outcomes: known.iter().map(|&(_, outcome)| outcome).collect(),
            places: known.into_iter().map(|(place, _)| place).collect(),
        }
    }

    /// Log-odds of a positive row.
    fn usual(&self) -> f32 {
        let positives = self.outcomes.iter().filter(|outcome| **outcome).count() as f32;
        ((positives + 0.5) / (self.outcomes.len() as f32 - positives + 0.5)).ln()
    }

    fn of_both_kinds(&self, least: usize) -> bool {
        let positives = self.outcomes.iter().filter(|outcome| **outcome).count();
        positives >= least && self.outcomes.len() - positives >= least
    }
}

/// A slice of later rows, and what each kind of model scored them before.
struct Fold {
    outcomes: Vec<bool>,
    /// Whether the row had stood its time at the origin.
    mature: Vec<bool>,
    /// Log-odds by kind, in the order of [`Kind`].
    scores: [Vec<f32>; 3],
    /// Log-odds of all rows that were learnt from.
    usual: f32,
}

impl Fold {
    fn mean(&self, kinds: &[Kind]) -> Vec<f32> {
        let mean = |row| kinds.iter().map(|&kind| self.scores[kind as usize][row]).sum::<f32>() / kinds.len() as f32;
        (0..self.outcomes.len()).map(mean).collect()
    }
}

struct Learner<'a, 'b> {
    rows: &'b Rows<'a>,
    seed: u64,
    growth: Growth,
    watch: &'b mut dyn FnMut() -> ControlFlow<()>,
}

impl Learner<'_, '_> {
    /// Fits and scores each slice, and keeps as many trees as serve all of them best.
    fn folds(&mut self, known: &Known<'_>, origin: i64) -> Result<Vec<Fold>, TrainError> {
        let positive: Vec<usize> = (0..known.places.len()).filter(|&row| known.outcomes[row]).collect();
        let mut edges: Vec<usize> =
            SLICES.iter().map(|share| known.places[positive[(share * positive.len() as f64) as usize]]).collect();
        edges.push(self.rows.values.len());
        let (mut folds, mut grown) = (Vec::new(), Vec::new());
        let mut losses = vec![0.0; self.growth.trees + 1];
        for edge in edges.windows(2) {
            let begin = self.rows.times[edge[0]];
            let before = Known::among(self.rows, 0..edge[0], begin);
            let later = Known::among(self.rows, edge[0]..edge[1], origin);
            if !before.of_both_kinds(FEWEST / 3) || !later.of_both_kinds(1) {
                continue;
            }
            let mut scores = [Kind::Factors, Kind::Linear].map(|kind| {
                let linear = self.linear(kind, &before.values, &before.outcomes);
                later.values.iter().map(|row| linear.as_ref().map_or(0.0, |linear| linear.score(row))).collect()
            });
            let Member::Trees(trees) = self.fit(Kind::Trees, &before.values, &before.outcomes)? else { continue };
            add_losses(&trees, &later, &mut losses);
            grown.push((trees, later.values));
            let mature = later.places.iter().map(|&place| self.rows.outcomes[place].is_mature(origin)).collect();
            let [factors, linear] = scores.each_mut().map(std::mem::take);
            let scores = [factors, linear, Vec::new()];
            folds.push(Fold { outcomes: later.outcomes, mature, scores, usual: before.usual() });
        }
        // Of equal losses the fewest trees; at least one, since a candidate without any would be none.
        let fewest = (1..losses.len()).rev().min_by(|&a, &b| losses[a].total_cmp(&losses[b]).then(a.cmp(&b)));
        self.growth.trees = fewest.unwrap_or(1);
        for (fold, (mut trees, rows)) in folds.iter_mut().zip(grown) {
            trees.roots.truncate(1 + self.growth.trees);
            fold.scores[Kind::Trees as usize] = rows.iter().map(|row| trees.score(row)).collect();
        }
        Ok(folds)
    }

    fn fit(&mut self, kind: Kind, values: &[&[f32]], outcomes: &[bool]) -> Result<Member, TrainError> {
        if (self.watch)().is_break() {
            return Err(TrainError::Stopped);
        }
        if let Some(linear) = self.linear(kind, values, outcomes) {
            return Ok(Member::Linear(linear));
        }
        let binned = Binned::of(values, &self.rows.read);
        let counts = vec![1.0; outcomes.len()];
        let mut stopped = false;
        let trees = boost::fit(&binned, outcomes, &counts, &self.growth, self.seed, &mut |_| {
            let heard = (self.watch)();
            stopped = heard.is_break();
            heard
        });
        if stopped { Err(TrainError::Stopped) } else { Ok(Member::Trees(trees)) }
    }

    /// The regression of a kind that is one, where any feature varies.
    fn linear(&self, kind: Kind, values: &[&[f32]], outcomes: &[bool]) -> Option<Linear> {
        let terms = strongest(self.terms(kind, values), values, outcomes);
        let prior = if kind == Kind::Factors { OF_FACTORS } else { OF_FEATURES };
        logistic::on_curves(terms, values, outcomes, prior)
    }

    /// The curves that a regression reads; none for trees.
    fn terms(&self, kind: Kind, values: &[&[f32]]) -> Vec<Term> {
        let read = || self.rows.read.iter().copied();
        match kind {
            Kind::Factors => {
                let factor = |&(name, falling): &(&str, bool)| {
                    let feature = read().find(|&feature| self.rows.names.get(feature) == Some(&name))?;
                    curves::ranked(values, feature, falling)
                };
                FACTORS.iter().filter_map(factor).collect()
            }
            Kind::Linear => read().filter_map(|feature| curves::logarithmic(values, feature)).collect(),
            Kind::Trees => Vec::new(),
        }
    }
}

/// All terms, or those [`WIDEST`] whose heights differ most between the outcomes, in standard deviations; in their order.
fn strongest(terms: Vec<Term>, values: &[&[f32]], outcomes: &[bool]) -> Vec<Term> {
    if terms.len() <= WIDEST {
        return terms;
    }
    let positives = outcomes.iter().filter(|outcome| **outcome).count() as f64;
    let negatives = outcomes.len() as f64 - positives;
    let difference = |term: &Term| {
        // Sums of all, of their squares, and of the positive ones.
        let (mut sum, mut squares, mut positive) = (0.0, 0.0, 0.0);
        for (row, &outcome) in values.iter().zip(outcomes) {
            let height = f64::from(term.height(row[term.feature]));
            sum += height;
            squares += height * height;
            positive += if outcome { height } else { 0.0 };
        }
        let rows = positives + negatives;
        let spread = (squares / rows - (sum / rows).powi(2)).max(0.0).sqrt();
        let difference = positive / positives.max(1.0) - (sum - positive) / negatives.max(1.0);
        if spread > 0.0 { (difference / spread).abs() } else { 0.0 }
    };
    let mut order: Vec<(f64, usize)> = terms.iter().map(difference).zip(0..).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut kept: Vec<usize> = order[..WIDEST].iter().map(|&(_, place)| place).collect();
    kept.sort_unstable();
    kept.into_iter().map(|place| terms[place].clone()).collect()
}

/// Adds to each place the loss of as many trees.
fn add_losses(trees: &Trees, later: &Known<'_>, losses: &mut [f64]) {
    for (row, &outcome) in later.values.iter().zip(&later.outcomes) {
        let mut log_odds = 0.0;
        for (count, &root) in trees.roots.iter().enumerate() {
            log_odds += f64::from(trees.from(root, row));
            losses[count] += log_loss(log_odds, outcome);
        }
    }
}

/// Minus the logarithm of the probability of what happened.
fn log_loss(log_odds: f64, positive: bool) -> f64 {
    let wrong = if positive { -log_odds } else { log_odds };
    wrong.max(0.0) + (-wrong.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_factor_is_a_feature_that_the_model_reads() {
        let features: Vec<prowl_model::FeatureInfo> = serde_json::from_value(prowl_features::catalog_json()).unwrap();
        for (factor, _) in FACTORS {
            let feature = features.iter().find(|feature| feature.name == factor);
            assert!(feature.is_some_and(crate::scale::is_read), "{factor}");
        }
    }

    #[test]
    fn of_a_wide_table_a_regression_reads_the_columns_that_differ_most() {
        let columns = WIDEST + 50;
        // Of every third column the positive rows have more; all have the same noise.
        let features = |row: usize| -> Vec<f32> {
            let value = |column: usize| {
                let noise = (row * 7 + column * 13) % 11;
                noise as f32 + if row.is_multiple_of(2) && column.is_multiple_of(3) { 4.0 } else { 0.0 }
            };
            (0..columns).map(value).collect()
        };
        let rows: Vec<Vec<f32>> = (0..220).map(features).collect();
        let values: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        let outcomes: Vec<bool> = (0..220).map(|row: usize| row.is_multiple_of(2)).collect();
        let terms: Vec<Term> = (0..columns).filter_map(|feature| curves::logarithmic(&values, feature)).collect();
        let kept = strongest(terms.clone(), &values, &outcomes);
        assert_eq!(kept.len(), WIDEST);
        assert!(kept.is_sorted_by_key(|term| term.feature));
        let differing = kept.iter().filter(|term| term.feature.is_multiple_of(3)).count();
        assert_eq!(differing, columns.div_ceil(3), "all of them");
        let narrow = strongest(terms[..40].to_vec(), &values, &outcomes);
        assert_eq!(narrow, terms[..40], "what is narrow stays as it is");
    }
}

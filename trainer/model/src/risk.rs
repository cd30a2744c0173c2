//! The risk head: the probability that a change will be taken back.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::ArtifactError;
use crate::linear::{Linear, along, ascend};
use crate::tensors::{Reader, Writer};
use crate::trees::Trees;

/// A score this near to the usual one is stretched as the calibration stretches a piece of this length around both: over a
/// shorter one, a step of the curve would count for more than it does.
const SHORTEST: f32 = 0.5;

/// No probability is nearer to 0 or 1: no sample shows that something never or always happens.
const FARTHEST: f32 = 1e-6;

/// One of the models whose log-odds are averaged.
#[derive(Clone, Debug, PartialEq)]
pub enum Member {
    /// A sum of curves.
    Linear(Linear),
    /// A sum of trees.
    Trees(Trees),
}

/// From the features of a pull request, in their own units, to a calibrated probability.
#[derive(Clone, Debug, PartialEq)]
pub struct RiskHead {
    /// At least one. Their mean is the score.
    pub members: Vec<Member>,
    /// From score to calibrated log-odds: points, both ascending, at least one; level before the first and after the
    /// last.
    pub calibration: Vec<[f32; 2]>,
}

impl RiskHead {
    /// Log-odds before calibration, for `values` in the order of the features, NaN or infinite where unknown.
    pub fn score(&self, values: &[f32]) -> f32 {
        self.mean(|member| match member {
            Member::Linear(linear) => linear.score(values),
            Member::Trees(trees) => trees.score(values),
        })
    }

    /// Calibrated probability, above 0 and below 1.
    pub fn probability(&self, values: &[f32]) -> f32 {
        self.calibrated(self.score(values))
    }

    /// The probability that a score stands for; never falls where the score rises.
    pub fn calibrated(&self, score: f32) -> f32 {
        let log_odds = along(&self.calibration, score);
        (1.0 / (1.0 + libm::expf(-log_odds))).clamp(FARTHEST, 1.0 - FARTHEST)
    }

    /// What each feature adds to the score of a usual row, in log-odds before calibration; shape (features). With
    /// [`RiskHead::usual`] they sum to [`RiskHead::score`], but for rounding.
    pub fn contributions(&self, values: &[f32]) -> Vec<f32> {
        self.contributions_and_score(values).0
    }

    /// [`RiskHead::contributions`] and [`RiskHead::score`].
    fn contributions_and_score(&self, values: &[f32]) -> (Vec<f32>, f32) {
        let mut contributions = vec![0.0; values.len()];
        let factor = 1.0 / self.members.len() as f32;
        let score = self.mean(|member| match member {
            Member::Linear(linear) => linear.contribute(values, factor, &mut contributions),
            Member::Trees(trees) => trees.contribute(values, factor, &mut contributions),
        });
        (contributions, score)
    }

    /// By how much each feature moves the calibrated log-odds away from those of a usual row; shape (features). All together
    /// they lead from the one to the other: each is its contribution to the score, stretched as the calibration stretches
    /// the way from the usual score to this one.
    pub fn effects(&self, values: &[f32]) -> Vec<f32> {
        self.effects_and_probability(values).0
    }

    /// [`RiskHead::effects`] and [`RiskHead::probability`].
    pub fn effects_and_probability(&self, values: &[f32]) -> (Vec<f32>, f32) {
        let (mut effects, score) = self.contributions_and_score(values);
        let usual = self.usual();
        let (low, high) = (usual.min(score), usual.max(score));
        let around = (SHORTEST - (high - low)).max(0.0) / 2.0;
        let (low, high) = (low - around, high + around);
        let stretch = (along(&self.calibration, high) - along(&self.calibration, low)) / (high - low);
        for effect in &mut effects {
            *effect *= stretch;
        }
        (effects, self.calibrated(score))
    }

    /// The score of a usual row.
    pub fn usual(&self) -> f32 {
        self.mean(|member| match member {
            Member::Linear(linear) => linear.bias,
            Member::Trees(trees) => trees.usual(),
        })
    }

    fn mean(&self, of: impl FnMut(&Member) -> f32) -> f32 {
        self.members.iter().map(of).sum::<f32>() / self.members.len() as f32
    }

    pub(crate) fn write(&self, tensors: &mut Writer) {
        for (place, member) in self.members.iter().enumerate() {
            let name = format!("risk.{place}");
            match member {
                Member::Linear(linear) => linear.write(&name, tensors),
                Member::Trees(trees) => trees.write(&name, tensors),
            }
        }
        tensors.matrix("risk.calibration", &Array2::from(self.calibration.clone()));
    }

    pub(crate) fn read(tensors: &Reader<'_>, members: usize) -> Result<Self, ArtifactError> {
        let member = |place: usize| {
            let name = format!("risk.{place}");
            Ok(if tensors.has(&format!("{name}.nodes")) {
                Member::Trees(Trees::read(&name, tensors)?)
            } else {
                Member::Linear(Linear::read(&name, tensors)?)
            })
        };
        let members = (0..members).map(member).collect::<Result<_, ArtifactError>>()?;
        let name = "risk.calibration";
        let points = tensors.matrix(name)?;
        ArtifactError::unless(points.ncols() == 2, name, || {
            format!("it has {} columns and should have 2", points.ncols())
        })?;
        Ok(Self { members, calibration: points.outer_iter().map(|point| [point[0], point[1]]).collect() })
    }

    pub(crate) fn check(&self, info: &RiskInfo, features: usize) -> Result<(), ArtifactError> {
        let (found, expected) = (self.members.len(), info.members.len());
        ArtifactError::unless(found > 0 && found == expected, "risk", || {
            format!("it has {found} members and the metadata names {expected}")
        })?;
        for (place, member) in self.members.iter().enumerate() {
            let name = format!("risk.{place}");
            match member {
                Member::Linear(linear) => linear.check(&name, features)?,
                Member::Trees(trees) => trees.check(&name, features)?,
            }
        }
        let rises = ascend(&self.calibration) && self.calibration.is_sorted_by(|a, b| a[1] <= b[1]);
        ArtifactError::unless(rises, "risk.calibration", || "it is no rising curve".to_owned())?;
        info.check()
    }
}

/// What the risk head says of itself. All rates are of pull requests that came later than those learnt from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RiskInfo {
    /// Bands of the probability, the riskiest first; the last begins at 0.
    pub bands: Vec<RiskBand>,
    /// How scores become probabilities: `platt` or `isotonic`.
    pub calibration: String,
    /// What could have been chosen, each as measured on the same later slices; the most trusted first.
    pub candidates: Vec<Candidate>,
    /// The models whose log-odds are averaged.
    pub members: Vec<String>,
    /// Pull requests of the training with a known outcome that were taken back.
    pub reverted: u64,
    /// Pull requests of the training with a known outcome.
    pub rows: u64,
}

/// Pull requests of alike probability, and what became of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RiskBand {
    /// The probability from which on one belongs here.
    pub from: f32,
    /// How many of `rows` were taken back.
    pub reverted: u64,
    /// Pull requests of the band in the later slices that the head was chosen and calibrated by.
    pub rows: u64,
    /// How many of `test_rows` were taken back.
    pub test_reverted: u64,
    /// Pull requests of the band in the test slice, by which nothing was chosen, that had stood their time.
    pub test_rows: u64,
}

impl RiskBand {
    /// Share of `rows` that was taken back; 0 of none.
    pub fn rate(&self) -> f64 {
        self.reverted as f64 / self.rows.max(1) as f64
    }

    /// Share of `test_rows` that was taken back; none where there are none.
    pub fn test_rate(&self) -> Option<f64> {
        (self.test_rows > 0).then(|| self.test_reverted as f64 / self.test_rows as f64)
    }
}

/// A combination of models that could have been chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Mean AUC over the slices, weighted by their positive rows.
    pub auc: f64,
    /// Mean log-loss in nats, before calibration.
    pub log_loss: f64,
    /// The models.
    pub members: Vec<String>,
}

impl RiskInfo {
    /// Place in `bands` of a probability.
    pub fn band(&self, probability: f32) -> usize {
        self.bands.iter().position(|band| probability >= band.from).unwrap_or(self.bands.len().saturating_sub(1))
    }

    /// The bands, each with the probability at which it ends.
    pub fn ranges(&self) -> impl Iterator<Item = (&RiskBand, f32)> {
        let ends = std::iter::once(1.0).chain(self.bands.iter().map(|band| band.from));
        self.bands.iter().zip(ends)
    }

    /// Counts rows of the test slice into the bands: probabilities, and whether each was taken back.
    pub fn count_test(&mut self, judged: impl Iterator<Item = (f32, bool)>) {
        for (probability, reverted) in judged {
            let place = self.band(probability);
            self.bands[place].test_rows += 1;
            self.bands[place].test_reverted += u64::from(reverted);
        }
    }

    /// Share of all rows of the bands that was taken back: what a probability compares with.
    pub fn base_rate(&self) -> f64 {
        let (reverted, rows) = self
            .bands
            .iter()
            .fold((0_u64, 0_u64), |sum, band| (sum.0.saturating_add(band.reverted), sum.1.saturating_add(band.rows)));
        reverted as f64 / rows.max(1) as f64
    }

    fn check(&self) -> Result<(), ArtifactError> {
        let falls = self.bands.is_sorted_by(|a, b| a.from > b.from) && self.bands.last().is_some_and(|b| b.from == 0.0);
        let within = self
            .bands
            .iter()
            .all(|band| band.from < 1.0 && band.reverted <= band.rows && band.test_reverted <= band.test_rows);
        ArtifactError::unless(falls && within, "risk bands", || format!("they are {:?}", self.bands))?;
        let finite =
            self.candidates.iter().all(|candidate| candidate.auc.is_finite() && candidate.log_loss.is_finite());
        ArtifactError::unless(finite, "risk candidates", || "a figure is not finite".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::linear::Term;
    use crate::trees::TreeNode;

    fn head() -> (RiskHead, RiskInfo) {
        let parts = fixture::parts();
        (parts.risk.unwrap(), parts.metadata.risk.unwrap())
    }

    #[test]
    fn the_score_is_the_mean_of_the_members_and_the_sum_of_the_contributions() {
        let (head, _) = head();
        let values = [4.5, f32::NAN, 1.0, f32::NAN];
        let [Member::Linear(linear), Member::Trees(trees)] = &head.members[..] else { panic!("{head:?}") };
        let score = head.score(&values);
        assert!((score - f32::midpoint(linear.score(&values), trees.score(&values))).abs() < 1e-6);
        let sum = head.usual() + head.contributions(&values).iter().sum::<f32>();
        assert!((score - sum).abs() < 1e-5, "{score} and {sum}");
    }

    #[test]
    fn the_probability_is_calibrated_and_never_certain() {
        let always = |value| Member::Trees(Trees { nodes: vec![TreeNode { value, split: None }], roots: vec![0] });
        let calibration = vec![[-30.0, -60.0], [0.0, 0.0], [30.0, 15.0]];
        let probability =
            |value| RiskHead { members: vec![always(value)], calibration: calibration.clone() }.probability(&[]);
        assert!((probability(2.0) - 1.0 / (1.0 + (-1.0_f32).exp())).abs() < 1e-6, "half the log-odds above 0");
        assert!((probability(-2.0) - 1.0 / (1.0 + 4.0_f32.exp())).abs() < 1e-6, "twice below");
        for certain in [-3e38, 3e38] {
            assert!(probability(certain) > 0.0 && probability(certain) < 1.0);
        }
    }

    #[test]
    fn effects_lead_from_the_usual_log_odds_to_the_calibrated_ones() {
        let (head, _) = head();
        let log_odds = |probability: f32| (probability / (1.0 - probability)).ln();
        let bent = RiskHead { calibration: vec![[-3.0, -6.0], [-1.9, -3.0], [0.0, -2.5]], ..head };
        let moved = |head: &RiskHead, values: &[f32]| {
            let way = log_odds(head.probability(values)) - log_odds(head.calibrated(head.usual()));
            let effects = head.effects(values);
            let sum: f32 = effects.iter().sum();
            assert!((sum - way).abs() < 1e-4 * (1.0 + way.abs()), "{effects:?} lead {sum} and not {way}");
            effects
        };
        let flagged = moved(&bent, &[20.0, 300.0, 1.0, f32::NAN]);
        assert!(flagged[2] > 0.0 && flagged[3] == 0.0, "{flagged:?}");
        let values = [1.0, f32::NAN, 0.0, 0.0];
        let far = bent.score(&values) - bent.usual();
        assert!(far.abs() < SHORTEST, "{far}");
        // Near the usual row the way is short, and the effects keep the size that the curve gives around it.
        let (effects, parts) = (bent.effects(&values), bent.contributions(&values));
        for (effect, part) in effects.iter().zip(&parts) {
            assert!(effect.is_finite() && effect.abs() <= 3.0 * part.abs() && effect * part >= 0.0, "{effect} {part}");
        }
        let level = RiskHead { calibration: vec![[0.0, -2.0]], ..bent };
        assert_eq!(level.effects(&values), [0.0; 4], "what changes nothing has no effect");
    }

    #[test]
    fn bands_are_read_off_the_probability() {
        let (_, info) = head();
        assert_eq!([1.0, 0.2, 0.19, 0.05, 0.0].map(|probability| info.band(probability)), [0, 0, 1, 1, 2]);
        assert!((info.bands[0].rate() - 0.3).abs() < 1e-12);
        assert_eq!(info.bands.iter().map(RiskBand::test_rate).collect::<Vec<_>>(), [None, Some(1.0), Some(0.05)]);
        assert!((info.base_rate() - 10.0 / 200.0).abs() < 1e-12);
    }

    #[test]
    fn test_rows_are_counted_into_their_bands() {
        let (_, mut info) = head();
        info.count_test([(0.9, true), (0.19, false), (0.0, false), (0.04, true)].into_iter());
        let counts: Vec<_> = info.bands.iter().map(|band| (band.test_reverted, band.test_rows)).collect();
        assert_eq!(counts, [(1, 1), (2, 3), (2, 22)]);
        assert_eq!(
            info.ranges().map(|(band, to)| (band.from, to)).collect::<Vec<_>>(),
            [(0.2, 1.0), (0.05, 0.2), (0.0, 0.05)]
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |change: &dyn Fn(&mut RiskHead, &mut RiskInfo)| {
            let (mut head, mut info) = head();
            head.check(&info, 4).unwrap();
            change(&mut head, &mut info);
            head.check(&info, 4).unwrap_err().to_string()
        };
        assert!(refused(&|head, _| drop(head.members.pop())).contains("1 members and the metadata names 2"));
        assert!(refused(&|head, info| (head.members.clear(), info.members.clear()).0).contains("0 members"));
        assert!(refused(&|head, _| head.calibration.clear()).contains("rising"));
        assert!(refused(&|head, _| head.calibration[0] = head.calibration[1]).contains("rising"));
        assert!(refused(&|head, _| head.calibration[0][1] = 50.0).contains("rising"));
        assert!(refused(&|_, info| info.bands.clear()).contains("bands"));
        assert!(refused(&|_, info| info.bands[0].from = 0.0).contains("bands"));
        assert!(refused(&|_, info| info.bands[0].from = 1.0).contains("bands"));
        assert!(refused(&|_, info| info.bands[1].from = info.bands[0].from).contains("bands"));
        assert!(refused(&|_, info| info.bands[2].from = 0.01).contains("bands"));
        assert!(refused(&|_, info| info.bands[0].reverted = 11).contains("bands"));
        assert!(refused(&|_, info| info.bands[1].test_reverted = 3).contains("bands"));
        assert!(refused(&|_, info| info.candidates[0].auc = f64::NAN).contains("not finite"));
    }

    #[test]
    fn over_a_short_way_the_calibration_is_read_around_both_scores() {
        let term = Term { feature: 0, weight: 1.0, unknown: 0.2, points: vec![[0.0, 0.0]] };
        let head = RiskHead {
            members: vec![Member::Linear(Linear { terms: vec![term], bias: 0.0 })],
            calibration: vec![[-0.15, 0.0], [0.0, 3.0], [0.35, 3.5]],
        };
        let (effects, probability) = head.effects_and_probability(&[f32::NAN]);
        // From 0 to 0.2, and 0.15 farther on either side: 3.5 over 0.5.
        assert!((effects[0] - 7.0 * 0.2).abs() < 1e-4, "{effects:?}");
        assert_eq!(probability, head.probability(&[f32::NAN]));
    }
}

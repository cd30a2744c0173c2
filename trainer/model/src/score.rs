//! The answer for one pull request.

use crate::Membership;

/// What the model says of one vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// How surprising the vector is, in nats, from 0: a mean of the views' surprises that leans to the largest.
    /// Comparable within one model only.
    pub anomaly: f32,
    /// Share of validation pull requests that are less surprising, 0 to below 100.
    pub percentile: f32,
    /// Which of them the percentile speaks of.
    pub among: Reference,
    /// What the percentile means in words.
    pub band: Band,
    /// Calibrated probability that the change will be taken back, above 0 and below 1; `None` without a risk head.
    pub risk: Option<f32>,
    /// What moves the risk, the strongest first; without effect nothing is listed. Empty without a risk head.
    pub effects: Vec<Effect>,
    /// Probability of each of [`Metadata::categories`](crate::Metadata::categories); empty without a head.
    pub categories: Vec<f32>,
    /// The cluster that it is nearest to; `None` where the model has none. It was learnt from pull requests that declare no
    /// category, and says little of others.
    pub cluster: Option<Membership>,
    /// Every input's share of the anomaly score, the largest first.
    pub contributions: Vec<Contribution>,
}

/// The pull requests that a percentile speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// Those of the same repository.
    Repository,
    /// Those of all repositories, since of this one there were too few.
    All,
}

/// How much attention a pull request deserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Band {
    /// Like most.
    Routine,
    /// Unlike most.
    Unusual,
    /// So unlike that it deserves a second reviewer.
    VeryUnusual,
}

/// What an input did to the anomaly score. For [`Input::Text`] all but the share is NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contribution {
    /// The input.
    pub input: Input,
    /// Its value in its own unit; NaN where unknown.
    pub value: f32,
    /// What the network expects beside the other inputs, in the same unit, within the range seen in training; NaN for
    /// an input that was never known in training.
    pub expected: f32,
    /// What was usual in training, in the same unit.
    pub usual: Usual,
    /// Share of the anomaly score, 0 to 1: the mean of the shares that the views give it, by how surprised they are.
    /// All shares sum to 1, or to 0 where nothing is surprising at all.
    pub share: f32,
}

/// What a feature does to the risk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// Its index in [`Metadata::features`](crate::Metadata::features).
    pub feature: usize,
    /// Its value in its own unit; NaN where unknown.
    pub value: f32,
    /// What was usual in training, in the same unit.
    pub usual: Usual,
    /// By how much it moves the log-odds of the risk away from those of a usual row; below 0 where it lowers the risk.
    pub log_odds: f32,
}

/// What the model looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// The feature with this index in [`Metadata::features`](crate::Metadata::features).
    Feature(usize),
    /// The words of title, body and labels, all together.
    Text,
}

/// What was usual for an input over the training slice, in its own unit; all NaN where it was never known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usual {
    /// 5% are below.
    pub low: f32,
    /// Half are below.
    pub median: f32,
    /// 95% are below.
    pub high: f32,
    /// The mean.
    pub mean: f32,
}

impl Usual {
    /// Of an input that was never known.
    pub const UNKNOWN: Self = Self { low: f32::NAN, median: f32::NAN, high: f32::NAN, mean: f32::NAN };
}

/// A vector that does not belong to the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the vector has {found} values and the model reads {expected}: make it with the list of features {digest}")]
pub struct InputError {
    /// Values in the vector.
    pub found: usize,
    /// Features of the model.
    pub expected: usize,
    /// The model's digest of its list of features.
    pub digest: String,
}

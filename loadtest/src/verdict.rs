//! The data of a verdict: what `verdict.json` holds, and what the reports are made of.
//!
//! Whether a version goes live is decided by the checks alone; all else tells why, and what it looked like.

#[cfg(test)]
mod example;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::stats::Interval;

/// Version of the form of `verdict.json`.
pub(crate) const SCHEMA: u32 = 1;

/// Whether a version may take the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Every check holds.
    Go,
    /// A check fails.
    NoGo,
    /// No check fails, but not all could be told, which is never a go.
    Unknown,
}

impl Decision {
    /// What a person is told.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::NoGo => "no go",
            Self::Unknown => "could not tell",
        }
    }

    /// What the program ends with, so that a job of Kubernetes tells it by itself.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Go => 0,
            Self::Unknown => 1,
            Self::NoGo => 3,
        }
    }
}

/// What a gate found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Version of the form, by the program that wrote it.
    pub schema: u32,
    /// What the checks come to. A `web` metric of Argo Rollouts reads `{$.decision}`.
    pub decision: Decision,
    /// Begin of the gate, RFC 3339.
    pub began_at: String,
    /// How long it took.
    #[serde(deserialize_with = "or_nan")]
    pub seconds: f64,
    /// The version that preview has to be.
    pub expected: String,
    /// What is judged.
    pub preview: Side,
    /// What it is compared with; nothing where no version is active yet.
    pub active: Option<Side>,
    /// What decides.
    pub checks: Vec<Check>,
    /// Latencies under the same load on both sides.
    pub race: Option<Race>,
    /// What preview answers as the rate grows.
    pub knee: Option<Vec<Step>>,
    /// How the answers of the two differ.
    pub answers: Option<Answers>,
    /// The memory of preview from the first call to the last.
    pub memory: Option<Memory>,
    /// What the gate was told to do. It never holds a secret.
    pub settings: serde_json::Value,
    /// Where the load came from.
    pub machine: Machine,
}

impl Verdict {
    /// What checks come to. Where nothing was checked, nothing is known.
    pub(crate) fn decide(checks: &[Check]) -> Decision {
        if checks.iter().any(|check| check.holds == Some(false)) {
            Decision::NoGo
        } else if checks.is_empty() || checks.iter().any(|check| check.holds.is_none()) {
            Decision::Unknown
        } else {
            Decision::Go
        }
    }
}

/// One of the two servers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// Where it listens.
    pub url: String,
    /// Version of the model that it names.
    pub version: String,
    /// SHA-256 of that model, in hex.
    pub digest: String,
    /// From the first question until it was SERVING.
    #[serde(deserialize_with = "or_nan")]
    pub ready_seconds: f64,
}

/// One thing that has to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Such as `p99 against active`.
    pub name: String,
    /// Nothing where it could not be told.
    pub holds: Option<bool>,
    /// What was found.
    pub observed: String,
    /// What may be.
    pub limit: String,
    /// One sentence for a person; empty where it holds.
    pub why: String,
}

/// The same calls to both sides, at the same rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Race {
    /// Calls a second to each side.
    #[serde(deserialize_with = "or_nan")]
    pub rate: f64,
    /// Of preview.
    pub preview: Latency,
    /// Of the active version.
    pub active: Option<Latency>,
    /// The p50 of preview by that of the active version.
    pub p50_ratio: Option<Interval>,
    /// The p99 of preview by that of the active version.
    pub p99_ratio: Option<Interval>,
    /// By the second in which calls were due.
    pub timeline: Vec<Second>,
}

/// How long calls took, in milliseconds from the moment at which each was due.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Calls that were due.
    pub calls: u64,
    /// Those with a right answer.
    pub answered: u64,
    /// The others, by what came of them.
    pub failures: BTreeMap<String, u64>,
    /// Median of what was answered.
    #[serde(deserialize_with = "or_nan")]
    pub p50: f64,
    /// Its 90% quantile.
    #[serde(deserialize_with = "or_nan")]
    pub p90: f64,
    /// Its 99% quantile.
    #[serde(deserialize_with = "or_nan")]
    pub p99: f64,
    /// Its 99.9% quantile.
    #[serde(deserialize_with = "or_nan")]
    pub p999: f64,
    /// The slowest answer.
    #[serde(deserialize_with = "or_nan")]
    pub max: f64,
    /// Share of the answers, and within how many milliseconds they came.
    pub cdf: Vec<(f64, f64)>,
    /// How late the load generator sent calls, the 99% quantile in milliseconds.
    #[serde(deserialize_with = "or_nan")]
    pub lag_p99: f64,
}

/// One second of a race; milliseconds, nothing where nothing was answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// Since the begin of the race.
    #[serde(deserialize_with = "or_nan")]
    pub second: f64,
    /// Median of preview.
    pub preview_p50: Option<f64>,
    /// 99% quantile of preview.
    pub preview_p99: Option<f64>,
    /// Median of the active version.
    pub active_p50: Option<f64>,
    /// 99% quantile of the active version.
    pub active_p99: Option<f64>,
    /// Calls that failed, on both sides.
    pub failures: u64,
}

/// Share of the calls that are due which has to be answered for a server to keep up.
pub(crate) const KEPT: f64 = 0.95;

/// Preview by itself under one rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Calls a second that were due.
    #[serde(deserialize_with = "or_nan")]
    pub rate: f64,
    /// Calls a second that were answered in time: the rate, by the share of the calls that were due.
    #[serde(deserialize_with = "or_nan")]
    pub answered: f64,
    /// 99% quantile of what was answered, in milliseconds.
    #[serde(deserialize_with = "or_nan")]
    pub p99: f64,
    /// Share of the calls that failed.
    #[serde(deserialize_with = "or_nan")]
    pub error_rate: f64,
    /// Whether it was the generator that did not keep up.
    pub generator_limited: bool,
}

impl Step {
    /// Whether nearly all that was due was answered.
    pub(crate) fn keeps_up(&self) -> bool {
        self.answered >= KEPT * self.rate
    }
}

/// How the answers of the two sides to the same pull requests differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// Pull requests that both have judged.
    pub compared: u64,
    /// Those that only one has judged.
    pub judged_by_one: u64,
    /// Population stability index of the percentiles.
    pub psi: Option<f64>,
    /// Statistic of Kolmogorov and Smirnov of the percentiles.
    pub ks: Option<f64>,
    /// Probability of such a statistic if both were alike.
    pub ks_p: Option<f64>,
    /// Spearman's, of the percentiles.
    pub rank_correlation: Option<f64>,
    /// Share of the pull requests whose band is another, of those that either has judged.
    #[serde(deserialize_with = "or_nan")]
    pub bands_changed: f64,
    /// Percentile from which a bin reaches, and how many are in it for the active version and for preview.
    pub histogram: Vec<(f64, u64, u64)>,
    /// The twenty that moved farthest, the farthest first.
    pub moved: Vec<Moved>,
}

/// A pull request on which the two differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moved {
    /// `owner/name`.
    pub repository: String,
    /// Of the pull request.
    pub number: u64,
    /// As its author wrote it.
    pub title: String,
    /// What the active version says.
    pub active: Judged,
    /// What preview says.
    pub preview: Judged,
}

/// What one version says of a pull request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Nothing where it was not judged.
    pub percentile: Option<f32>,
    /// Name of the band; empty where it was not judged.
    pub band: String,
    /// Probability that it is taken back.
    pub risk: Option<f32>,
    /// Sentences, the strongest first.
    pub reasons: Vec<String>,
}

/// How the memory of preview grew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// At the first look, in MB.
    #[serde(deserialize_with = "or_nan")]
    pub first_mb: f64,
    /// At the last.
    #[serde(deserialize_with = "or_nan")]
    pub last_mb: f64,
    /// Growth for a thousand calls, in kB.
    #[serde(deserialize_with = "or_nan")]
    pub per_thousand_calls_kb: f64,
}

/// Where the load came from, and how far its figures can be trusted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Cores that the load generator may use.
    pub cores: usize,
    /// Load average of a minute at the begin.
    #[serde(deserialize_with = "or_nan")]
    pub load: f64,
    /// Spread of repeated medians of the same side, as a share of their middle.
    #[serde(deserialize_with = "or_nan")]
    pub noise: f64,
    /// Whether the generator, not the server, was the limit.
    pub generator_limited: bool,
}

/// JSON has no way to write what is no number; it becomes `null`, and is read as it was meant.
fn or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(holds: Option<bool>) -> Check {
        Check { name: "x".into(), holds, observed: String::new(), limit: String::new(), why: String::new() }
    }

    #[test]
    fn one_that_fails_outweighs_what_could_not_be_told_and_nothing_checked_is_no_go() {
        let decide = |holds: &[Option<bool>]| Verdict::decide(&holds.iter().copied().map(check).collect::<Vec<_>>());
        assert_eq!(decide(&[Some(true), Some(true)]), Decision::Go);
        assert_eq!(decide(&[Some(true), None]), Decision::Unknown);
        assert_eq!(decide(&[None, Some(false), Some(true)]), Decision::NoGo);
        assert_eq!(decide(&[]), Decision::Unknown);
    }

    #[test]
    fn only_a_go_ends_with_zero() {
        assert_eq!([Decision::Go, Decision::Unknown, Decision::NoGo].map(Decision::exit_code), [0, 1, 3]);
    }

    #[test]
    fn json_names_the_decision_and_is_read_back() {
        for verdict in [Verdict::example(), Verdict::example_no_go(), Verdict::example_alone()] {
            let json = serde_json::to_value(&verdict).unwrap();
            assert_eq!(json["schema"], 1);
            assert_eq!(json["decision"], if verdict.decision == Decision::NoGo { "no_go" } else { "go" });
            assert_eq!(verdict.decision, Verdict::decide(&verdict.checks));
            assert_eq!(serde_json::from_value::<Verdict>(json).unwrap(), verdict);
        }
    }

    #[test]
    fn what_is_no_number_is_read_back_as_such() {
        let mut verdict = Verdict::example();
        verdict.race.as_mut().unwrap().preview.p99 = f64::NAN;
        verdict.machine.noise = f64::INFINITY;
        let json = serde_json::to_string(&verdict).unwrap();
        let read: Verdict = serde_json::from_str(&json).unwrap();
        assert!(read.race.unwrap().preview.p99.is_nan() && read.machine.noise.is_nan());
    }
}

//! What is found, against what may be: each check with what was observed, its limit, and what it means.

mod race;

use self::race::{IN_FLIGHT, LOAD_IN_TIME, P99, THROUGHPUT};
use std::{collections::BTreeMap, time::Duration};

use prowl_proto::v1::ModelId;

use super::{calls::AT_ONCE, knee::Climb, limits::Limits, look::of_others};
use crate::{
    Error,
    load::{Report, Rule},
    sample::Outcome,
    stats::quantile,
    verdict::{Answers, Check, Memory},
};

/// What an allocator takes more or less of the system without a leak.
const SLACK_MB: f64 = 32.0;
/// Of the first calls so many may be slower: a pause of the machine hits those in flight, a cold server most of them.
const WARM: f64 = 0.99;
/// Pull requests that both have to judge: the index of two samples of the same is about 18 by their number, which is to
/// be far below its limit. As many calls has a race that tells a p99: of fewer it is that of one or two.
const LEAST: u64 = 200;
/// What is to be done where there is too little of something.
const MORE: &str = "give a longer --run-time or a higher --rate";
/// Where these do not hold, most others do not either.
const CAUSES: [&str; 7] = [
    "preview is serving",
    "preview is serving at the end",
    "active is serving",
    "expected model",
    "expected digest",
    "requests",
    LOAD_IN_TIME,
];
/// And these for the reasons of others.
const EFFECTS: [&str; 3] = [P99, THROUGHPUT, IN_FLIGHT];
/// Differences of the panel that are told.
const TOLD: usize = 3;

/// The checks so far.
pub(super) struct Checks {
    limits: Limits,
    all: Vec<Check>,
}

impl Checks {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, all: Vec::new() }
    }

    /// All of them, causes before what they bring about: the first are told where there is room for few.
    pub(super) fn into_all(mut self) -> Vec<Check> {
        self.all.sort_by_key(|check| {
            let place = |names: &[&str]| names.iter().position(|name| *name == check.name);
            place(&CAUSES).unwrap_or(CAUSES.len() + place(&EFFECTS).map_or(0, |place| 1 + place))
        });
        self.all
    }

    fn push(&mut self, name: &str, holds: Option<bool>, observed: String, limit: String, why: String) {
        self.all.push(Check { name: name.to_owned(), holds, observed, limit, why });
    }

    fn add(&mut self, name: &str, holds: bool, observed: String, limit: String, why: impl FnOnce() -> String) {
        let why = if holds { String::new() } else { why() };
        self.push(name, Some(holds), observed, limit, why);
    }

    /// Something that is worth knowing, and is as it should be.
    pub(super) fn note(&mut self, name: &str, observed: &str) {
        self.add(name, true, observed.to_owned(), String::new(), String::new);
    }

    /// Something that could not be found out.
    pub(super) fn untold(&mut self, name: &str, why: &str) {
        self.push(name, None, "unknown".to_owned(), String::new(), why.to_owned());
    }

    /// Something that failed, as an error tells.
    pub(super) fn failed(&mut self, name: &str, error: &Error) {
        self.add(name, false, "no".to_owned(), "yes".to_owned(), || error.to_string());
    }

    /// Whether it is the model that is expected.
    pub(super) fn model(&mut self, found: &ModelId, version: &str, digest: Option<&str>) -> bool {
        let is_right = found.version == version && digest.is_none_or(|digest| found.digest == digest);
        let observed = format!("{} ({:.12})", found.version, found.digest);
        let limit = digest.map_or_else(|| version.to_owned(), |digest| format!("{version} ({digest:.12})"));
        self.add("expected model", is_right, observed, limit, || {
            "the preview serves another model than the one that is to go live".to_owned()
        });
        if digest.is_none() {
            let why = "a name alone tells no model: say which by --expect-digest, or where the model is by --store";
            self.untold("expected digest", why);
        }
        is_right
    }

    /// Whether it is the same at the end.
    pub(super) fn unchanged(&mut self, found: &ModelId, expected: Option<&ModelId>) {
        let same = expected.is_none_or(|expected| *expected == *found);
        self.add("same model at the end", same, found.version.clone(), String::new(), || {
            "the preview changed its model while it was judged: pin it by --model, without --follow".to_owned()
        });
    }

    pub(super) fn panel(&mut self, rows: usize, differences: &[String]) {
        let observed = format!("{} of {rows} equal", rows - differences.len().min(rows));
        self.add("panel", differences.is_empty(), observed, format!("all {rows}, to the bit"), || {
            let told = differences.iter().take(TOLD).cloned().collect::<Vec<_>>().join("; ");
            format!("its figures are not those that the trainer wrote beside the model: {told}")
        });
    }

    /// The first calls over each connection, and those that came after them, of which those that were sent first are
    /// before the others.
    pub(super) fn first_calls(&mut self, over_each: &[(Outcome, Duration)], after: &[(Outcome, Duration)]) {
        let times = |calls: &[(Outcome, Duration)]| -> Vec<f64> {
            calls.iter().map(|(_, took)| took.as_secs_f64() * 1e3).collect()
        };
        let mut all = times(after);
        // What is loaded with the first use is waited for by those who come first, and nobody else: too few for a
        // quantile.
        let slowest = times(over_each).iter().chain(all.iter().take(AT_ONCE)).copied().fold(f64::NAN, f64::max);
        all.sort_by(f64::total_cmp);
        let slow = quantile(&all, WARM).unwrap_or(f64::NAN);
        let outcomes = || over_each.iter().chain(after).map(|(outcome, _)| *outcome);
        let why = if outcomes().any(|outcome| outcome == Outcome::Answered) {
            "it says that it serves before it is warm"
        } else {
            "its first calls were not answered"
        };
        let limit = self.limits.first_ms;
        for (name, found) in [("very first calls", slowest), ("first calls", slow)] {
            let allowed = format!("at most {}", milliseconds(limit));
            self.add(name, found <= limit, milliseconds(found), allowed, || why.to_owned());
        }
        self.failures("first calls answered", outcomes(), self.limits.error_rate);
    }

    /// The last calls of all: who has not got over what was asked of it does not answer them.
    pub(super) fn last_calls(&mut self, outcomes: impl Iterator<Item = Outcome>) {
        self.failures("last calls answered", outcomes, 0.0);
    }

    fn failures(&mut self, name: &str, outcomes: impl Iterator<Item = Outcome>, most: f64) {
        let (mut counts, mut calls) = (BTreeMap::new(), 0);
        for outcome in outcomes {
            calls += 1;
            if outcome != Outcome::Answered {
                *counts.entry(outcome.to_string()).or_insert(0) += 1;
            }
        }
        self.counted(name, &counts, calls, most, None);
    }

    /// The calls that failed, by what came of them. Where something else may be the reason, nothing is known but of
    /// wrong answers.
    fn counted(
        &mut self,
        name: &str,
        counts: &BTreeMap<String, usize>,
        calls: u64,
        most: f64,
        other_reason: Option<String>,
    ) {
        let failed: usize = counts.values().sum();
        let is_few = failed as f64 / calls.max(1) as f64 <= most;
        // One answer that is wrong is one too many.
        let is_wrong = counts.keys().any(|outcome| Outcome::is_wrong(outcome));
        if let (false, false, Some(reason)) = (is_few, is_wrong, other_reason) {
            self.untold(name, &reason);
            return;
        }
        let limit = format!("at most {}", share(most));
        self.add(name, is_few && !is_wrong, format!("{failed} of {calls} failed"), limit, || told(counts));
    }

    /// What goose found, and so many rules.
    pub(super) fn load_test(&mut self, report: &Report, rules: usize) {
        if report.calls() == 0 {
            self.untold("load test", "no call became due: give a higher --rate or a longer --load-time");
            return;
        }
        let limit = report.generator.is_limit.then(|| report.generator.text());
        self.counted("load test", &report.failures, report.calls(), self.limits.error_rate, limit.clone());
        for Rule { rule, observed, holds } in &report.rules {
            match &limit {
                Some(reason) if !holds => self.untold(rule, reason),
                _ => self.add(rule, *holds, observed.clone(), "the rule".to_owned(), || {
                    "a rule of this environment does not hold".to_owned()
                }),
            }
        }
        if report.rules.len() != rules {
            let why = format!("goose has judged {} of {rules} rules: see its own report", report.rules.len());
            self.untold("rules", &why);
        }
    }

    /// What the preview did when it was asked more than it can answer.
    pub(super) fn knee(&mut self, climb: &Climb) {
        const NAME: &str = "answers at the knee";
        let failed: usize = climb.failures.values().sum();
        if failed == 0 && climb.is_stuck() {
            let why = "it hardly answered at --rate, before more was asked of it: is something else at work on it or \
                       on its machine?";
            self.untold(NAME, why);
            return;
        }
        let observed = format!("{failed} of {} failed otherwise than by a full house", climb.calls);
        self.add(NAME, failed == 0, observed, "none".to_owned(), || told(&climb.failures));
    }

    /// Whether the preview answered this gate alone: so many calls, while it was asked so many. Two gates would each
    /// measure what the other asks.
    pub(super) fn alone(&mut self, answered: f64, asked: u64) {
        const NAME: &str = "asked alone";
        match of_others(answered, asked) {
            None => self.note(NAME, "it answered nobody else"),
            Some(others) => {
                let why = format!(
                    "the preview answered {others:.0} calls that are not of this gate: is another gate at work on it? \
                     run one after the other"
                );
                self.untold(NAME, &why);
            }
        }
    }

    pub(super) fn answers(&mut self, answers: Option<&Answers>) {
        let Some(answers) = answers else {
            self.untold("answers", "no pull request was answered by both: see `answered` and `active answers`");
            return;
        };
        if answers.compared < LEAST {
            let why = format!(
                "only {} pull requests were judged by both, and fewer than {LEAST} tell by chance: give more of them \
                 by --requests, or a longer --run-time",
                answers.compared
            );
            self.untold("answers", &why);
            // That one side judges what the other does not may be why.
            if answers.compared + answers.judged_by_one < LEAST {
                return;
            }
        } else {
            let limits = self.limits;
            let why = "the percentiles are spread in another way";
            self.figure("percentiles (PSI)", answers.psi, limits.psi, true, why);
            self.figure("percentiles (Kolmogorov–Smirnov)", answers.ks, limits.ks, true, why);
            let why = "it finds other pull requests unusual than the active version";
            self.figure("rank correlation", answers.rank_correlation, limits.rank_correlation, false, why);
        }
        let why = "too many change their band, or are judged by one version alone";
        let (changed, limit) = (answers.bands_changed, self.limits.bands_changed);
        let allowed = format!("at most {}", share(limit));
        self.add("bands changed", changed <= limit, share(changed), allowed, || why.to_owned());
    }

    fn figure(&mut self, name: &str, figure: Option<f64>, limit: f64, at_most: bool, why: &str) {
        let Some(figure) = figure else {
            self.untold(name, &format!("too little was answered to compare: {MORE}"));
            return;
        };
        let holds = if at_most { figure <= limit } else { figure >= limit };
        let word = if at_most { "at most" } else { "at least" };
        self.add(name, holds, format!("{figure:.3}"), format!("{word} {limit:.3}"), || why.to_owned());
    }

    pub(super) fn memory(&mut self, growth: &Memory) {
        let (grown, limit) = (growth.per_thousand_calls_kb, self.limits.memory_kb);
        let observed = format!("{grown:.0} kB for 1,000 calls");
        let holds = grown <= limit || growth.last_mb - growth.first_mb <= SLACK_MB;
        let allowed = format!("at most {limit:.0} kB, or {SLACK_MB} MB in all");
        self.add("memory", holds, observed, allowed, || {
            format!("it grew from {:.0} to {:.0} MB: calls leave something behind", growth.first_mb, growth.last_mb)
        });
    }
}

fn told(counts: &BTreeMap<String, usize>) -> String {
    counts.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect::<Vec<_>>().join(", ")
}

fn milliseconds(time: f64) -> String {
    if time.is_finite() { format!("{time:.1} ms") } else { "unknown".to_owned() }
}

fn share(share: f64) -> String {
    format!("{:.2}%", 100.0 * share)
}

#[cfg(test)]
mod tests;

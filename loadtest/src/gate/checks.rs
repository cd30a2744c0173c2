//! What is found, against what may be: each check with what was observed, its limit, and what it means.

use std::{collections::BTreeMap, time::Duration};

use prowl_proto::v1::ModelId;

use super::{limits::Limits, race::Raced};
use crate::{
    Error,
    load::{Report, Rule},
    sample::Outcome,
    stats::{Interval, quantile},
    verdict::{Answers, Check, Latency, Memory, Race},
};

/// A difference that no client notices: where calls take less than a millisecond, how awake a core is makes one slower than
/// another by half.
const UNNOTICED_MS: f64 = 2.0;
/// What an allocator takes more or less of the system without a leak.
const SLACK_MB: f64 = 32.0;
/// Of the first calls so many may be slower: a pause of the machine hits those in flight, a cold server most of them.
const WARM: f64 = 0.99;
/// Checks of what the load generator has a part in.
const P99: &str = "p99";
const P50_RATIO: &str = "p50 against active";
const P99_RATIO: &str = "p99 against active";
const TIMED: [&str; 3] = [P99, P50_RATIO, P99_RATIO];
/// Pull requests that have to be compared: the index of two samples of the same is about 18 by their number, which is to be far
/// below its limit.
const LEAST: u64 = 200;
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

    pub(super) fn into_all(self) -> Vec<Check> {
        self.all
    }

    fn add(&mut self, name: &str, holds: bool, observed: String, limit: String, why: impl FnOnce() -> String) {
        let why = if holds { String::new() } else { why() };
        self.all.push(Check { name: name.to_owned(), holds: Some(holds), observed, limit, why });
    }

    /// Something that is worth knowing, and is as it should be.
    pub(super) fn note(&mut self, name: &str, observed: &str) {
        self.add(name, true, observed.to_owned(), String::new(), String::new);
    }

    /// Something that could not be found out.
    pub(super) fn untold(&mut self, name: &str, why: &str) {
        let check = Check {
            name: name.to_owned(),
            holds: None,
            observed: "unknown".to_owned(),
            limit: String::new(),
            why: why.to_owned(),
        };
        self.all.push(check);
    }

    /// Something that failed, as an error tells.
    pub(super) fn failed(&mut self, name: &str, error: &Error) {
        self.add(name, false, "no".to_owned(), "yes".to_owned(), || error.to_string());
    }

    /// Whether it is the model that is expected.
    pub(super) fn model(&mut self, found: &ModelId, version: &str, digest: Option<&str>) -> bool {
        let is_right = found.version == version && digest.is_none_or(|digest| found.digest == digest);
        let short = |digest: &str| digest.chars().take(12).collect::<String>();
        let observed = format!("{} ({})", found.version, short(&found.digest));
        let limit = digest.map_or_else(|| version.to_owned(), |digest| format!("{version} ({})", short(digest)));
        self.add("expected model", is_right, observed, limit, || {
            "the preview serves another model than the one that is to go live".to_owned()
        });
        is_right
    }

    /// Whether it is the same at the end.
    pub(super) fn unchanged(&mut self, found: &ModelId, expected: Option<&ModelId>) {
        let same = expected.is_none_or(|expected| *expected == *found);
        self.add("same model at the end", same, found.version.clone(), String::new(), || {
            "the preview changed its model while it was judged".to_owned()
        });
    }

    pub(super) fn panel(&mut self, rows: usize, differences: &[String]) {
        let observed = format!("{} of {rows} equal", rows - differences.len().min(rows));
        self.add("panel", differences.is_empty(), observed, format!("all {rows}, to the bit"), || {
            let told = differences.iter().take(TOLD).cloned().collect::<Vec<_>>().join("; ");
            format!("its figures are not those that the trainer wrote beside the model: {told}")
        });
    }

    pub(super) fn first_calls(&mut self, calls: &[(Outcome, Duration)]) {
        let mut times: Vec<f64> = calls.iter().map(|(_, took)| took.as_secs_f64() * 1e3).collect();
        times.sort_by(f64::total_cmp);
        let slow = quantile(&times, WARM).unwrap_or(f64::NAN);
        let limit = self.limits.first_ms;
        self.add("first calls", slow <= limit, milliseconds(slow), format!("at most {}", milliseconds(limit)), || {
            "it says that it serves before it is warm".to_owned()
        });
        self.failures("first calls answered", calls.iter().map(|(outcome, _)| *outcome), calls.len() as u64);
    }

    fn failures(&mut self, name: &str, outcomes: impl Iterator<Item = Outcome>, calls: u64) {
        let mut counts = BTreeMap::new();
        for outcome in outcomes.filter(|outcome| *outcome != Outcome::Answered) {
            *counts.entry(outcome.to_string()).or_insert(0) += 1;
        }
        self.counted(name, &counts, calls);
    }

    /// The calls that failed, by what came of them.
    fn counted(&mut self, name: &str, counts: &BTreeMap<String, usize>, calls: u64) {
        let failed: usize = counts.values().sum();
        let rate = failed as f64 / calls.max(1) as f64;
        // One answer that is wrong is one too many.
        let holds = rate <= self.limits.error_rate && !counts.keys().any(|outcome| Outcome::is_wrong(outcome));
        let limit = format!("at most {}", share(self.limits.error_rate));
        self.add(name, holds, format!("{failed} of {calls} failed"), limit, || {
            let told: Vec<_> = counts.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
            told.join(", ")
        });
    }

    /// What goose found, and its rules.
    pub(super) fn load_test(&mut self, report: &Report) {
        if report.calls() == 0 {
            self.untold("load test", "no call became due: give a higher --rate or a longer --load-time");
            return;
        }
        self.counted("load test", &report.failures, report.calls());
        for Rule { rule, observed, holds } in &report.rules {
            if !holds && report.generator.is_limit {
                self.untold(rule, &report.generator.text());
            } else {
                self.add(rule, *holds, observed.clone(), "the rule".to_owned(), || {
                    "a rule of this environment does not hold".to_owned()
                });
            }
        }
    }

    pub(super) fn race(&mut self, race: &Race, raced: &Raced) {
        if raced.preview.is_empty() {
            self.untold("answered", "no call became due: give a higher --rate or a longer --run-time");
            return;
        }
        self.failures("answered", raced.preview.0.iter().map(|sample| sample.outcome), race.preview.calls);
        let Latency { p99, answered, calls, .. } = race.preview;
        let limit = self.limits.p99_ms;
        self.add(P99, p99 <= limit, milliseconds(p99), format!("at most {}", milliseconds(limit)), || {
            format!("one call in a hundred takes longer at {:.0} calls a second", race.rate)
        });
        let share_answered = answered as f64 / calls.max(1) as f64;
        let least = self.limits.throughput;
        self.add(
            "throughput",
            share_answered >= least,
            share(share_answered),
            format!("at least {}", share(least)),
            || format!("it does not keep up with {:.0} calls a second", race.rate),
        );
        let Some(active) = &race.active else { return };
        let (p50, p99) = (race.preview.p50 - active.p50, race.preview.p99 - active.p99);
        self.ratio(P50_RATIO, race.p50_ratio.as_ref(), self.limits.p50_ratio, p50);
        self.ratio(P99_RATIO, race.p99_ratio.as_ref(), self.limits.p99_ratio, p99);
        // Of an active version that is not well, nothing can be learnt.
        if !is_well(active) {
            let failed = active.calls - active.answered;
            let why = format!("the active version failed {failed} of {} calls", active.calls);
            self.untold("active answers", &why);
        }
    }

    /// A limit is passed where all of the interval is above it, since less could be chance, and where a client notices.
    fn ratio(&mut self, name: &str, ratio: Option<&Interval>, limit: f64, more_ms: f64) {
        let Some(Interval { low, at, high }) = ratio else {
            self.untold(name, "too little was answered to compare");
            return;
        };
        let observed = format!("{at:.2} ({low:.2} to {high:.2})");
        let allowed = format!("at most {limit:.2}, or {UNNOTICED_MS} ms more");
        self.add(name, *low <= limit || more_ms <= UNNOTICED_MS, observed, allowed, || {
            "it is slower than the active version by more than chance explains".to_owned()
        });
    }

    /// Whether the load itself kept up; if not, what was measured is no verdict on the server.
    pub(super) fn generator(&mut self, race: &Race, shed: u64) -> bool {
        let lag = race.preview.lag_p99.max(race.active.as_ref().map_or(0.0, |active| active.lag_p99));
        let limited = lag > self.limits.lag_ms;
        if limited {
            let why = format!(
                "the load came {} late: give this machine more to itself, or a lower --rate",
                milliseconds(lag)
            );
            self.untold("load in time", &why);
            // A call is timed from when it was due, so that these may have failed by the lag alone.
            let timed = self.all.iter_mut().filter(|check| TIMED.contains(&check.name.as_str()));
            timed.filter(|check| check.holds == Some(false)).for_each(|check| check.holds = None);
        }
        if shed > 0 && race.active.as_ref().is_some_and(|active| !is_well(active)) {
            self.untold("calls in flight", "too many calls waited for an answer of the active version");
        } else if shed > 0 {
            self.add("calls in flight", false, format!("{shed} calls not made"), "0".to_owned(), || {
                "too many calls waited for an answer at one time".to_owned()
            });
        }
        limited
    }

    pub(super) fn answers(&mut self, answers: Option<&Answers>) {
        let Some(answers) = answers else {
            self.untold("answers", "no pull request was answered by both");
            return;
        };
        if answers.compared < LEAST {
            let why = format!(
                "only {} pull requests were compared, and fewer than {LEAST} tell by chance: give more of them by --requests",
                answers.compared
            );
            self.untold("answers", &why);
            return;
        }
        let limits = self.limits;
        self.figure("percentiles (PSI)", answers.psi, limits.psi, true, "the percentiles are spread in another way");
        self.figure(
            "percentiles (Kolmogorov–Smirnov)",
            answers.ks,
            limits.ks,
            true,
            "the percentiles are spread in another way",
        );
        let why = "it finds other pull requests unusual than the active version";
        self.figure("rank correlation", answers.rank_correlation, limits.rank_correlation, false, why);
        self.figure(
            "bands changed",
            Some(answers.bands_changed),
            limits.bands_changed,
            true,
            "too many change their band",
        );
    }

    fn figure(&mut self, name: &str, figure: Option<f64>, limit: f64, at_most: bool, why: &str) {
        let Some(figure) = figure else {
            self.untold(name, "too little was answered to compare");
            return;
        };
        let holds = if at_most { figure <= limit } else { figure >= limit };
        let word = if at_most { "at most" } else { "at least" };
        self.add(name, holds, format!("{figure:.3}"), format!("{word} {limit:.3}"), || why.to_owned());
    }

    pub(super) fn memory(&mut self, growth: &Memory) {
        let (grown, limit) = (growth.per_thousand_calls_kb, self.limits.memory_kb);
        let observed = format!("{grown:.0} KB for 1,000 calls");
        let holds = grown <= limit || growth.last_mb - growth.first_mb <= SLACK_MB;
        let allowed = format!("at most {limit:.0} KB, or {SLACK_MB} MB in all");
        self.add("memory", holds, observed, allowed, || {
            format!("it grew from {:.0} to {:.0} MB: calls leave something behind", growth.first_mb, growth.last_mb)
        });
    }
}

/// Whether so much was answered that it can be compared with.
fn is_well(side: &Latency) -> bool {
    side.calls > 0 && side.answered as f64 >= 0.99 * side.calls as f64
}

fn milliseconds(time: f64) -> String {
    if time.is_finite() { format!("{time:.1} ms") } else { "unknown".to_owned() }
}

fn share(share: f64) -> String {
    format!("{:.2}%", 100.0 * share)
}

#[cfg(test)]
mod tests;

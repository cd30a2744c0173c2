//! What came of a run, for a person and for a program.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use indicatif::{HumanCount, HumanDuration};
use serde::Serialize;

use super::{api::GitHub, progress::Counts};
use crate::{Error, mongo::Written, progress::plural};

/// Problems that are told one by one.
const TOLD: usize = 100;

/// What came of a run.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// What became of the repositories.
    pub repositories: Repositories,
    /// What became of their pull requests.
    pub pull_requests: PullRequests,
    /// Requests that were sent.
    pub requests: u64,
    /// The same by API.
    pub calls: Calls,
    /// Requests that had to be sent again.
    pub retries: Retries,
    /// Points that the answers cost.
    pub points: u64,
    /// Points left of GitHub's window, where it counts any.
    pub points_left: Option<u64>,
    /// Seconds that requests waited for points or since GitHub told to, those of requests at the same time added up.
    pub waited: f64,
    /// Seconds that all of it took.
    pub seconds: f64,
    /// What went wrong, by repository or owner; the first hundred.
    pub problems: Vec<Problem>,
    /// Problems in all.
    pub failures: u64,
    /// The signal that ended the run early.
    pub stopped: Option<&'static str>,
}

/// What became of the repositories.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Repositories {
    /// Those to visit.
    pub found: u64,
    /// Those whose pull requests were read.
    pub walked: u64,
    /// Those of which a single request told that nothing changed.
    pub unchanged: u64,
    /// Those that are not there.
    pub missing: u64,
    /// Those that could not be read.
    pub failed: u64,
    /// Those that another collector is at.
    pub busy: u64,
}

/// What became of the pull requests.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PullRequests {
    /// Those that were read.
    pub fetched: u64,
    /// What became of these.
    #[serde(flatten)]
    pub written: Written,
    /// Those that GitHub could not give, or not all of them. The next run asks again.
    pub missed: u64,
}

/// Requests by API.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// To the GraphQL API.
    pub graphql: u64,
    /// To the REST API.
    pub rest: u64,
}

/// Requests that had to be sent again, by the reason.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Retries {
    /// GitHub said that it was asked too much.
    pub limited: u64,
    /// The answer was too much, or came too late.
    pub too_much: u64,
    /// Anything else that passes.
    pub passing: u64,
}

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The repository or the owner.
    pub about: String,
    /// What it is, and what to do.
    pub error: String,
}

impl Report {
    pub(super) fn problem(&mut self, about: &str, error: &Error) {
        self.failures += 1;
        tracing::warn!(about, %error, "cannot be collected");
        if self.problems.len() < TOLD {
            self.problems.push(Problem { about: about.to_owned(), error: error.to_string() });
        }
    }

    /// Fills in what was counted elsewhere.
    pub(super) fn count(&mut self, github: &GitHub, counts: &Counts) {
        let of = |counter: &AtomicU64| counter.load(Relaxed);
        let spent = github.spent();
        self.repositories.found = of(&counts.found);
        self.pull_requests =
            PullRequests { fetched: of(&counts.fetched), written: counts.written(), missed: of(&counts.missed) };
        self.calls = Calls { graphql: of(&spent.graphql), rest: of(&spent.rest) };
        self.requests = self.calls.graphql + self.calls.rest;
        self.retries =
            Retries { limited: of(&spent.limited), too_much: of(&spent.too_much), passing: of(&spent.passing) };
        self.points = of(&spent.points);
        self.points_left = github.accounts().points_left();
        self.waited = of(&spent.waited) as f64 / 1_000.0;
    }

    /// The summary for a person.
    pub(crate) fn text(&self) -> String {
        let Self { repositories, pull_requests, .. } = self;
        let mut lines = vec![format!(
            "collected {} of {}",
            plural(pull_requests.fetched, "pull request", "pull requests"),
            plural(repositories.found, "repository", "repositories"),
        )];
        lines.push(format!("  {}", pull_requests.written));
        let others = [
            (repositories.unchanged, "without a change"),
            (repositories.missing, "not there"),
            (repositories.failed, "that could not be read"),
            (repositories.busy, "that another collector is at"),
        ];
        for (count, which) in others.into_iter().filter(|(count, _)| *count > 0) {
            lines.push(format!("  {} {which}", plural(count, "repository", "repositories")));
        }
        if pull_requests.missed > 0 {
            let missed = plural(pull_requests.missed, "pull request", "pull requests");
            lines.push(format!("  {missed} that GitHub could not give, or not all of; the next run asks again"));
        }
        let left = self.points_left.map(|left| format!(", {} left", HumanCount(left)));
        lines.push(format!(
            "  {} for {}{}, in {:.1} s",
            plural(self.requests, "request", "requests"),
            plural(self.points, "point", "points"),
            left.unwrap_or_default(),
            self.seconds,
        ));
        lines.extend(self.problems.iter().map(|Problem { about, error }| format!("  {about}: {error}")));
        let untold = self.failures - self.problems.len() as u64;
        if untold > 0 {
            lines.push(format!("  and {} more", HumanCount(untold)));
        }
        lines.join("\n")
    }

    /// Why the run does not count as one that did all of its work, if it does not.
    pub(crate) fn incomplete(&self) -> Option<Error> {
        if let Some(signal) = self.stopped {
            return Some(Error::Interrupted(signal));
        }
        let (failures, missed) = (self.failures, self.pull_requests.missed);
        (failures + missed > 0).then(|| Error::Incomplete { failures, missed, first: first(&self.problems) })
    }
}

/// What a run would cost.
#[derive(Debug, Default, Serialize)]
pub struct Estimate {
    /// Repositories that there are.
    pub repositories: u64,
    /// Those of which nothing changed since the last run.
    pub unchanged: u64,
    /// Pull requests to fetch, about.
    pub pull_requests: u64,
    /// Requests, about.
    pub requests: u64,
    /// Points, about.
    pub points: u64,
    /// Points left of GitHub's window, where it counts any.
    pub points_left: Option<u64>,
    /// Seconds, about.
    pub seconds: f64,
    /// What went wrong, by repository or owner.
    pub problems: Vec<Problem>,
}

impl Estimate {
    /// The same for a person.
    pub(crate) fn text(&self) -> String {
        let mut lines = vec![
            format!(
                "would collect about {} of {}, of which {} did not change",
                plural(self.pull_requests, "pull request", "pull requests"),
                plural(self.repositories, "repository", "repositories"),
                HumanCount(self.unchanged),
            ),
            format!(
                "  about {} for {}{}",
                plural(self.requests, "request", "requests"),
                plural(self.points, "point", "points"),
                self.points_left.map(|left| format!(", of which {} are left", HumanCount(left))).unwrap_or_default(),
            ),
            format!("  about {}", HumanDuration(std::time::Duration::from_secs_f64(self.seconds.clamp(1.0, 1e9)))),
        ];
        lines.extend(self.problems.iter().map(|Problem { about, error }| format!("  {about}: {error}")));
        lines.push("nothing was written".to_owned());
        lines.join("\n")
    }

    /// Why the estimate is not whole, if it is not.
    pub(crate) fn incomplete(&self) -> Option<Error> {
        let failures = self.problems.len();
        (failures > 0).then(|| Error::PartOfEstimate { failures, first: first(&self.problems) })
    }
}

/// The first of them, in brackets.
fn first(problems: &[Problem]) -> String {
    problems.first().map(|Problem { about, error }| format!(" ({about}: {error})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_came_and_what_did_not() {
        let mut report = Report {
            repositories: Repositories { found: 3, walked: 1, unchanged: 1, missing: 1, ..Repositories::default() },
            pull_requests: PullRequests {
                fetched: 1_200,
                written: Written { inserted: 1_000, changed: 1, refreshed: 198, unchanged: 1 },
                missed: 0,
            },
            requests: 14,
            points: 1,
            points_left: Some(4_999),
            seconds: 2.25,
            ..Report::default()
        };
        assert!(report.incomplete().is_none());
        report.problem("o/r", &Error::Cancelled);
        assert_eq!(
            report.text(),
            "collected 1,200 pull requests of 3 repositories\n  1,000 new, 1 changed, 198 refreshed, 1 unchanged\n  \
             1 repository without a change\n  1 repository not there\n  14 requests for 1 point, 4,999 left, in 2.2 s\n  \
             o/r: nobody takes the documents any more"
        );
        let said = report.incomplete().unwrap().to_string();
        assert!(said.starts_with("1 repository or owner could not be collected"), "{said}");
        report.stopped = Some("SIGTERM");
        assert!(report.incomplete().unwrap().to_string().contains("SIGTERM"));
    }

    #[test]
    fn an_estimate_says_of_what_it_is_not() {
        let mut estimate = Estimate::default();
        assert!(estimate.incomplete().is_none());
        estimate.problems.push(Problem { about: "o/r".to_owned(), error: "no".to_owned() });
        let said = estimate.incomplete().unwrap().to_string();
        assert!(said.contains("leaves out 1 of") && said.contains("(o/r: no)"), "{said}");
    }

    #[test]
    fn problems_are_counted_beyond_those_that_are_told() {
        let mut report = Report::default();
        for _ in 0..TOLD + 5 {
            report.problem("o/r", &Error::Cancelled);
        }
        assert_eq!((report.problems.len(), report.failures), (TOLD, TOLD as u64 + 5));
        assert!(report.text().ends_with("and 5 more"));
    }
}

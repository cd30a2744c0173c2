//! Pull requests from GitHub's API: complete, by increments, resumable, and gentle.
//!
//! A run visits the repositories of its targets (`run`, `targets`), a few at once. A visit takes a repository so that
//! nobody else does (`leases`), follows renames (`visit`), and walks through its pull requests from the newest update
//! down to what is known (`walk`), reading around whatever GitHub cannot give (`reader`, `page_size`). What is asked
//! (`queries`, `doors`, `convert`) goes through one place (`api`) that keeps to GitHub's budgets (`accounts`, `pace`), tries
//! again as long as `patience` goes, and understands what comes back (`answer`, `failure`, `trouble`). `estimate` says what all of it would
//! cost.

mod accounts;
mod answer;
mod api;
mod convert;
mod doors;
mod estimate;
mod failure;
#[cfg(test)]
mod fake;
mod leases;
mod pace;
mod page_size;
mod patience;
mod progress;
mod queries;
mod reader;
mod report;
mod run;
mod spent;
mod targets;
mod trouble;
mod visit;
mod walk;

use std::time::Duration;

use url::Url;

pub(crate) use self::{
    estimate::estimate,
    report::{Estimate, Report},
    run::collect,
    targets::Target,
    trouble::Trouble,
};

/// What to collect, and how.
#[derive(Debug)]
pub struct Config {
    /// The REST API: `https://api.github.com`, or `https://HOST/api/v3`.
    pub api: Url,
    /// What to collect.
    pub targets: Vec<Target>,
    /// Most requests at once, at least one; twice as many repositories are under way.
    pub concurrency: usize,
    /// How far behind its watermark a repository is read again: GitHub's lists may lag behind its clock.
    pub overlap: Duration,
    /// How long something is tried again while nothing comes.
    pub patience: Duration,
    /// Down to which update the first walk through a repository goes.
    pub since: Option<jiff::Timestamp>,
    /// Whether the collection gets a validator.
    pub validator: bool,
    /// How long a repository stays taken by a collector that was killed.
    pub lease: Duration,
}

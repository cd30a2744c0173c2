//! The whole of `prowl-trainer table`: learns from any table of numbers how unusual its rows are, or how probable what a
//! label says of them, with the same code that learns from pull requests, and scores them.

mod anomaly;
mod columns;
mod error;
mod outcome;
mod read;
mod write;

use std::path::Path;

use serde::Serialize;

use crate::args::TableConfig;
use anomaly::AnomalyReport;
use error::TableError;
use outcome::OutcomeReport;

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Apache Parquet.
    Parquet,
    /// Values divided by commas, with the names in the first line.
    Csv,
}

impl Format {
    /// The format of a file, by the end of its name.
    pub(crate) fn of(file: &Path) -> Option<Self> {
        match file.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "parquet" => Some(Self::Parquet),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// What came out.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum TableReport {
    /// Without a label: how unusual.
    Anomaly(AnomalyReport),
    /// With one: how probable.
    Outcome(Box<OutcomeReport>),
}

impl TableReport {
    /// The figures for a person.
    pub fn text(&self) -> String {
        match self {
            Self::Anomaly(report) => report.text(),
            Self::Outcome(report) => report.text(),
        }
    }
}

/// Learns, scores and writes the scores.
///
/// # Errors
/// A table cannot be read, teaches nothing, or the scores cannot be written.
#[tracing::instrument(skip_all)]
pub fn table(config: &TableConfig) -> Result<TableReport, TableError> {
    match &config.label {
        None => anomaly::score(config).map(TableReport::Anomaly),
        Some(label) => outcome::score(config, label).map(|report| TableReport::Outcome(Box::new(report))),
    }
}

/// Columns of a kind that are named in the text, at most.
const NAMED: usize = 10;

/// Columns that hold no numbers, one a line, and those that teach nothing.
fn left_out(skipped: &[(String, String)], constant: &[String]) -> impl Iterator<Item = String> {
    let named = skipped.iter().take(NAMED).map(|(column, reason)| format!("left out {column:?}: it {reason}"));
    let more = skipped.len().saturating_sub(NAMED);
    let more = (more > 0).then(|| format!("left out {more} more that hold no numbers"));
    let in_vain = (!constant.is_empty()).then(|| {
        let names: Vec<String> = constant.iter().take(NAMED).map(|name| format!("{name:?}")).collect();
        let more = match constant.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!(
            "the same in all rows learnt from, or never known, and so of no use among them: {}{more}",
            names.join(", ")
        )
    });
    named.chain(more).chain(in_vain)
}

/// How the scores are spread.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    /// Half are below.
    pub median: f32,
    /// 95% are below.
    pub p95: f32,
    /// 99% are below.
    pub p99: f32,
    /// The largest.
    pub max: f32,
}

impl Spread {
    fn of(mut scores: Vec<f32>) -> Self {
        scores.sort_unstable_by(f32::total_cmp);
        let at = |share| crate::scale::quantile(&scores, share);
        Self { median: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1.0) }
    }

    fn text(&self, scored: usize, seconds: f64) -> String {
        let Self { median, p95, p99, max } = self;
        format!("scored {scored} rows in {seconds:.1} s: median {median:.3}, 95% {p95:.3}, 99% {p99:.3}, most {max:.3}")
    }
}

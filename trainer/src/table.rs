//! The whole of `prowl-trainer table`: learns from any table of numbers how unusual its rows are, or how probable what a
//! label says of them, with the same code that learns from pull requests, and scores them.

mod anomaly;
mod error;
mod outcome;
mod read;
mod write;

use std::path::Path;

use serde::Serialize;

pub use anomaly::AnomalyReport;
pub use error::TableError;
pub use outcome::{MeasuredOn, OutcomeReport, Outcomes};

use crate::args::TableConfig;

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
/// See [`TableError`].
#[tracing::instrument(skip_all)]
pub fn table(config: &TableConfig) -> Result<TableReport, TableError> {
    match &config.label {
        None => anomaly::score(config).map(TableReport::Anomaly),
        Some(label) => outcome::score(config, label).map(|report| TableReport::Outcome(Box::new(report))),
    }
}

/// Columns that hold no numbers, one a line.
fn left_out(skipped: &[(String, String)]) -> impl Iterator<Item = String> {
    skipped.iter().map(|(column, reason)| format!("left out {column:?}: it {reason}"))
}

/// Median, 95th and 99th percentile, and largest of the scores.
fn spread(mut scores: Vec<f32>) -> [f32; 4] {
    scores.sort_unstable_by(f32::total_cmp);
    [0.5, 0.95, 0.99, 1.0].map(|share| crate::scale::quantile(&scores, share))
}

//! How unusual the rows of a table are, by the views that tell it of pull requests.

use std::ops::ControlFlow;
use std::time::Instant;

use prowl_model::FeatureInfo;
use serde::Serialize;

use super::read::{self, Apart, Table};
use super::{Spread, TableError, left_out, write};
use crate::args::TableConfig;
use crate::detector::Detector;
use crate::progress::Progress;
use crate::{Builder, Dataset, Outcome, Row, Step, TrainError};

/// What came out.
#[derive(Clone, Debug, Serialize)]
pub struct AnomalyReport {
    /// Rows that were learnt from.
    pub rows: usize,
    /// Columns that were learnt from.
    pub columns: usize,
    /// Columns that hold no numbers, each with the reason.
    pub skipped: Vec<(String, String)>,
    /// Columns that are the same in all rows, or never known.
    pub constant: Vec<String>,
    /// Rows that were scored.
    pub scored: usize,
    /// The most unusual rows, which the network did not learn from.
    pub trimmed: usize,
    /// Epochs of the network's fit.
    pub epochs: usize,
    /// Mean error of the network's reconstruction, in spreads.
    pub training_error: f64,
    /// The scores.
    pub scores: Spread,
    /// Seconds that it took.
    pub seconds: f64,
}

pub(super) fn score(config: &TableConfig) -> Result<AnomalyReport, TableError> {
    let start = Instant::now();
    let input = read::read(&config.input, Apart { time: config.time.as_deref(), label: None })?;
    let others = config.score.as_deref().map(|file| read::read_columns(file, &input.names, None)).transpose()?;
    let Table { names, skipped, .. } = &input;
    let data = dataset(&input);
    let rows = data.by_time().to_vec();
    let constant = input.constant(&rows, false);
    let alike = rows.len() == 1 || constant.len() == names.len();
    // Other rows may differ from what is the same in all of these, but one row alone says nothing of what is usual. That
    // nothing is known at all is told below.
    if alike && (others.is_none() || rows.len() == 1) && input.values.iter().any(|value| !value.is_nan()) {
        return Err(TableError::NothingVaries { file: config.input.clone(), rows: rows.len() });
    }
    let mut progress = Progress::new(&config.settings);
    let detector = Detector::alone(&data, &rows, config.time.is_some(), &config.settings, &mut |epoch| {
        progress.show(Step::Only(epoch));
        ControlFlow::Continue(())
    });
    progress.finish();
    let detector = detector.map_err(|error| match error {
        TrainError::NothingKnown { .. } => TableError::NothingKnown { file: config.input.clone() },
        other => TableError::Learn(other),
    })?;
    let (calibration, _) = detector.calibrate(&rows);
    let others = others.as_ref().map(dataset);
    let scored = others.as_ref().unwrap_or(&data);
    let scores: Vec<f32> =
        (0..scored.len()).map(|row| calibration.joined(&detector.scores_of_values(scored.row(row)))).collect();
    write::write(&config.output, &scores)?;
    Ok(AnomalyReport {
        rows: data.len(),
        columns: names.len(),
        skipped: skipped.clone(),
        constant,
        scored: scored.len(),
        trimmed: data.len() - detector.kept.len(),
        epochs: detector.epochs.len(),
        training_error: detector.error(&detector.kept),
        scores: Spread::of(scores),
        seconds: start.elapsed().as_secs_f64(),
    })
}

impl AnomalyReport {
    /// The figures for a person.
    pub fn text(&self) -> String {
        let Self { rows, columns, skipped, constant, scored, trimmed, epochs, scores, seconds, .. } = self;
        let learnt = format!(
            "learnt from {rows} rows of {columns} columns in {epochs} epochs, the {trimmed} most unusual left out of the \
             network's fit"
        );
        let told = scores.text(*scored, *seconds);
        [learnt, told].into_iter().chain(left_out(skipped, constant)).collect::<Vec<_>>().join("\n")
    }
}

/// The rows, in the order of the file; by time where that is known.
fn dataset(table: &Table) -> Dataset {
    let feature = |name: &String| FeatureInfo {
        about: String::new(),
        group: String::new(),
        missing: String::new(),
        name: name.clone(),
        source: String::new(),
        unit: String::new(),
    };
    let mut builder = Builder::new(table.names.iter().map(feature).collect(), String::new());
    for (row, values) in table.rows().enumerate() {
        let created_at = table.times.get(row).copied().unwrap_or_default();
        builder.push(&Row {
            repository: "",
            number: row as i64,
            created_at,
            values,
            tokens: &[],
            kind_tokens: &[],
            title: None,
            category: None,
            outcome: Outcome::default(),
        });
    }
    builder.build()
}

//! How probable what a label says is of the rows of a table, by the head that tells the risk of pull requests.

use std::ops::ControlFlow;
use std::time::Instant;

use prowl_model::{Candidate, RiskHead, RiskInfo};
use serde::Serialize;

use super::read::{self, Apart, Table};
use super::{Spread, TableError, left_out, write};
use crate::args::TableConfig;
use crate::figures::{Figure, Figures, Judged};
use crate::progress::Progress;
use crate::risk;
use crate::{Outcome, Step};

/// Share of the rows, the oldest, that a head is learnt from which the rest judges.
const OLDEST: f64 = 0.7;

/// What came out.
#[derive(Clone, Debug, Serialize)]
pub struct OutcomeReport {
    /// The column that says what became of a row.
    pub label: String,
    /// Rows that were learnt from: the newest ones with a known label, as many as the head takes.
    pub rows: u64,
    /// How many of them are positive.
    pub positives: u64,
    /// Columns that were learnt from.
    pub columns: usize,
    /// Columns that hold no numbers, each with the reason.
    pub skipped: Vec<(String, String)>,
    /// Columns that are the same in all rows, or never known.
    pub constant: Vec<String>,
    /// What could have been chosen, each as measured on later rows than it was learnt from.
    pub candidates: Vec<Candidate>,
    /// What was chosen: the models whose log-odds are averaged.
    pub members: Vec<String>,
    /// How their scores become probabilities: `platt` or `isotonic`.
    pub calibration: String,
    /// How good the probabilities are on rows that were not learnt from.
    pub measured: Option<Outcomes>,
    /// Why that is not known.
    pub not_measured: Option<String>,
    /// Rows that were scored.
    pub scored: usize,
    /// The probabilities.
    pub scores: Spread,
    /// Seconds that it took.
    pub seconds: f64,
}

/// Figures on rows that were not learnt from.
#[derive(Clone, Debug, Serialize)]
pub struct Outcomes {
    /// Which rows.
    pub on: MeasuredOn,
    /// How many.
    pub rows: usize,
    /// How many of them are positive.
    pub positives: usize,
    /// What the probabilities are worth there.
    #[serde(flatten)]
    pub figures: Figures<Figure>,
}

/// Rows that were not learnt from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MeasuredOn {
    /// Those of the other table, by the head that scores them.
    Scored,
    /// The newest 30% of the table, by a head that was learnt from the rest; the one that scores learnt from all.
    Newest,
}

pub(super) fn score(config: &TableConfig, label: &str) -> Result<OutcomeReport, TableError> {
    let start = Instant::now();
    let input = read::read(&config.input, Apart { time: config.time.as_deref(), label: Some(label) })?;
    let others = config.score.as_deref().map(|file| read::read_columns(file, &input.names, Some(label))).transpose()?;
    let mut known: Vec<usize> = (0..input.labels.len()).filter(|&row| input.labels[row].is_some()).collect();
    // Stable: rows of one time stay in the order of the file.
    known.sort_by_key(|&row| input.times.get(row).copied());
    let mut progress = Progress::new(&config.settings);
    let mut fit = |rows: &[usize]| {
        risk::fit(&risk_rows(&input, rows), rows.len() as i64, config.settings.seed, &mut || {
            progress.show(Step::Risk);
            ControlFlow::Continue(())
        })
        .map_err(TableError::Learn)
    };
    let no_head = |reason| TableError::NoHead { file: config.input.clone(), label: label.to_owned(), reason };
    let risk::Fitted { head, info, .. } = fit(&known)?.map_err(no_head)?;
    let constant = input.constant(&known, true);
    if constant.len() == input.names.len() {
        return Err(TableError::NothingVaries { file: config.input.clone(), rows: known.len() });
    }
    let measured = match &others {
        Some(others) if others.labels.iter().any(Option::is_some) => {
            let rows: Vec<usize> = (0..others.labels.len()).collect();
            measure(&head, others, &rows, MeasuredOn::Scored, config.settings.seed)
        }
        _ => {
            let (oldest, newest) = known.split_at((OLDEST * known.len() as f64) as usize);
            match fit(oldest)? {
                Ok(fitted) => measure(&fitted.head, &input, newest, MeasuredOn::Newest, config.settings.seed),
                Err(reason) => Err(format!("of the oldest {} rows {reason}", oldest.len())),
            }
        }
    };
    progress.finish();
    let scored = others.as_ref().unwrap_or(&input);
    let scores: Vec<f32> = scored.rows().map(|values| head.probability(values)).collect();
    write::write(&config.output, &scores)?;
    let RiskInfo { candidates, members, calibration, rows, reverted, .. } = info;
    let (measured, not_measured) = match measured {
        Ok(measured) => (Some(measured), None),
        Err(reason) => (None, Some(reason)),
    };
    Ok(OutcomeReport {
        label: label.to_owned(),
        rows,
        positives: reverted,
        columns: input.names.len(),
        constant,
        skipped: input.skipped,
        candidates,
        members,
        calibration,
        measured,
        not_measured,
        scored: scores.len(),
        scores: Spread::of(scores),
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// Rows in the order of time, each label known before all of them. What columns are called says nothing.
fn risk_rows<'a>(table: &'a Table, rows: &[usize]) -> risk::Rows<'a> {
    let outcome = |&row: &usize| Outcome {
        reverted_at: (table.labels[row] == Some(true)).then_some(i64::MIN),
        mature_at: Some(i64::MIN),
    };
    risk::Rows {
        names: Vec::new(),
        read: (0..table.names.len()).collect(),
        values: rows.iter().map(|&row| table.row(row)).collect(),
        // Places, since rows of one time have an order as well.
        times: (0..rows.len() as i64).collect(),
        outcomes: rows.iter().map(outcome).collect(),
    }
}

fn measure(head: &RiskHead, table: &Table, rows: &[usize], on: MeasuredOn, seed: u64) -> Result<Outcomes, String> {
    let known = rows.iter().filter_map(|&row| Some((f64::from(head.probability(table.row(row))), table.labels[row]?)));
    let judged = Judged::probabilities(known);
    let (rows, positives) = (judged.len(), judged.positives());
    let figures = judged.with_intervals(seed);
    let figures = figures.ok_or_else(|| {
        format!("of {rows} rows with a known label {positives} are positive: figures need both kinds")
    })?;
    Ok(Outcomes { on, rows, positives, figures })
}

impl OutcomeReport {
    /// The figures for a person.
    pub fn text(&self) -> String {
        let Self {
            label,
            rows,
            positives,
            columns,
            skipped,
            constant,
            members,
            calibration,
            scored,
            scores,
            seconds,
            ..
        } = self;
        let mut lines = vec![format!(
            "learnt {label:?} from {rows} rows of {columns} columns, {positives} of them positive: {}, calibrated by {calibration}",
            members.join(" and ")
        )];
        lines.extend(self.candidates.iter().map(|candidate| {
            let Candidate { members, auc, log_loss } = candidate;
            format!("  {:<28} AUC {auc:.3}, log loss {log_loss:.4} on later slices", members.join(" and "))
        }));
        match (&self.measured, &self.not_measured) {
            (Some(measured), _) => lines.extend(measured.text()),
            (None, reason) => lines.push(format!("not measured: {}", reason.as_deref().unwrap_or_default())),
        }
        lines.push(scores.text(*scored, *seconds));
        lines.into_iter().chain(left_out(skipped, constant)).collect::<Vec<_>>().join("\n")
    }
}

impl Outcomes {
    fn text(&self) -> Vec<String> {
        let Self { on, rows, positives, figures } = self;
        let of = match on {
            MeasuredOn::Scored => {
                format!("on the {rows} scored rows with a known label, {positives} of them positive:")
            }
            MeasuredOn::Newest => format!(
                "on the newest {rows} rows, {positives} of them positive, by a head that learnt from the older ones alone:"
            ),
        };
        let shown = ["auc", "average_precision", "capture_10", "brier", "calibration_error"];
        let figures = figures.named().into_iter().filter(|(name, _)| shown.contains(name));
        let line = |(name, figure): (&str, Figure)| {
            format!("  {name:<18} {:.3} ({:.3} to {:.3})", figure.value, figure.low, figure.high)
        };
        std::iter::once(of).chain(figures.map(line)).collect()
    }
}

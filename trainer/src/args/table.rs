//! `prowl-trainer table`

use std::path::PathBuf;

use prowl_platform::arguments::wrong_use;

use crate::Settings;

/// Share of the rows that the network does not learn from. The odd rows of a table are looked for among those that it
/// learns from, and may be many.
const TRIM: f64 = 0.1;

/// What the user typed.
#[derive(Debug, clap::Args)]
pub struct TableArgs {
    /// The table to learn from: a Parquet or CSV file. The network learns from the newest 50,000 rows at most, a label from
    /// the newest 200,000
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    /// Score the rows of this table, which has the same columns, instead
    #[arg(long, value_name = "FILE")]
    pub score: Option<PathBuf>,
    /// Where the scores go: a Parquet or CSV file with the column `score`
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// Column that says what became of a row, 0 or 1: the score is the probability of 1. Rows without it are not learnt from
    #[arg(long, value_name = "COLUMN")]
    pub label: Option<String>,
    /// Column that says when a row came to be, in numbers, or in dates or times (of CSV 2026-03-01, 2026-03-01T10:00:00Z or
    /// with another offset): the newest rows judge what is learnt from the older ones; rows of one time count in the order
    /// of the file, those of an unknown time as the oldest. Without it, with --label, rows count as in the order of time
    #[arg(long, value_name = "COLUMN")]
    pub time: Option<String>,
    /// Seed of every random choice
    #[arg(long, value_name = "S", default_value_t = Settings::default().seed)]
    pub seed: u64,
    /// Print the metrics as JSON on stdout
    #[arg(long)]
    pub json: bool,
}

/// Scores that can be made.
#[derive(Clone, Debug)]
pub struct TableConfig {
    /// The table to learn from.
    pub input: PathBuf,
    /// The table to score; without it that of `input`.
    pub score: Option<PathBuf>,
    /// Where the scores go.
    pub output: PathBuf,
    /// Column of the outcome.
    pub label: Option<String>,
    /// Column of the time.
    pub time: Option<String>,
    /// How to train.
    pub settings: Settings,
    /// Whether to print the metrics as JSON.
    pub json: bool,
}

impl TryFrom<TableArgs> for TableConfig {
    type Error = clap::Error;

    fn try_from(args: TableArgs) -> Result<Self, clap::Error> {
        let TableArgs { input, score, output, label, time, seed, json } = args;
        for file in [Some(&input), score.as_ref(), Some(&output)].into_iter().flatten() {
            if crate::table::Format::of(file).is_none() {
                return Err(wrong_use(format!("{} ends neither in .parquet nor in .csv", file.display())));
            }
        }
        // What is not there yet is no input.
        let place = |file: &PathBuf| file.canonicalize().ok();
        let written = place(&output);
        if written.is_some() && [Some(&input), score.as_ref()].into_iter().flatten().any(|file| place(file) == written)
        {
            return Err(wrong_use(format!("--output {} would overwrite the table that is read", output.display())));
        }
        if label.is_some() && label == time {
            return Err(wrong_use("--label and --time name the same column"));
        }
        let settings = Settings { seed, trim: TRIM, ..Settings::default() };
        Ok(Self { input, score, output, label, time, settings, json })
    }
}

//! Why there are no scores.

use std::path::PathBuf;

use crate::risk::NoHead;

/// What keeps a table from being scored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// A file cannot be opened or read.
    #[error("{} cannot be read: {problem}; give a whole Parquet or CSV file", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// There is nothing to learn from or to score.
    #[error("{} has no rows: give a table that has some", file.display())]
    NoRows {
        /// The file.
        file: PathBuf,
    },
    /// No column holds numbers.
    #[error("{} has no column of numbers: {reasons}; give a table that has one", file.display())]
    NoNumbers {
        /// The file.
        file: PathBuf,
        /// Its columns, each with what is wrong.
        reasons: String,
    },
    /// Every value is unknown.
    #[error("no value in {} is known: give a table that holds numbers", file.display())]
    NothingKnown {
        /// The file.
        file: PathBuf,
    },
    /// Its rows cannot be told apart.
    #[error(
        "nothing can be learnt from {}: {}; give a table whose rows differ",
        file.display(),
        if *rows == 1 {
            "it has one row to learn from".to_owned()
        } else {
            format!("every column of numbers is the same in all {rows} rows to learn from, or never known")
        }
    )]
    NothingVaries {
        /// The file.
        file: PathBuf,
        /// How many of them would be learnt from.
        rows: usize,
    },
    /// A column is missing, twice there, or holds no numbers.
    #[error("the column {column:?} of {} {problem}", file.display())]
    Column {
        /// The file.
        file: PathBuf,
        /// The column.
        column: String,
        /// What is wrong, as the rest of a sentence.
        problem: String,
    },
    /// The label says too little to learn from.
    #[error("nothing can be learnt of {label:?} from {}: {reason}", file.display())]
    NoHead {
        /// The table that was to be learnt from.
        file: PathBuf,
        /// The column.
        label: String,
        /// What is missing.
        reason: NoHead,
    },
    /// The scores cannot be written.
    #[error("{} cannot be written: {problem}; name another file by --output", file.display())]
    Unwritable {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// What was learnt is of no use.
    #[error(transparent)]
    Learn(crate::TrainError),
}

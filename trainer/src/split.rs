//! The split in time: what comes later judges what was learnt from earlier.

use crate::{Dataset, TrainError};

/// Fewer rows are refused: 15% of them would be too few to say what is usual.
pub(crate) const FEWEST_ROWS: usize = 50;

/// Rows of a [`Dataset`], each slice in the order of time and wholly before the next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Split {
    /// The first 70%: what a first fit knows, and the category head.
    pub(crate) training: Vec<usize>,
    /// The next 15%: when to stop, what errors are usual, what percentile a score has. The final fit knows it, too.
    pub(crate) validation: Vec<usize>,
    /// The last 15%: only for the metrics.
    pub(crate) test: Vec<usize>,
}

impl Split {
    /// Splits by `created_at`.
    ///
    /// # Errors
    /// [`TrainError::TooFewRows`].
    pub(crate) fn of(data: &Dataset) -> Result<Self, TrainError> {
        let rows = data.by_time();
        if rows.len() < FEWEST_ROWS {
            return Err(TrainError::TooFewRows { found: rows.len(), needed: FEWEST_ROWS });
        }
        let (training, rest) = rows.split_at(rows.len() * 70 / 100);
        let (validation, test) = rest.split_at(rest.len() / 2);
        Ok(Self { training: training.to_vec(), validation: validation.to_vec(), test: test.to_vec() })
    }
}

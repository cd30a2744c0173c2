//! How many rows there are, of when, of what repositories, and how many are labelled.

use std::collections::BTreeMap;

use crate::{Dataset, Split};

/// Repositories that are named, those with the most rows.
const NAMED: usize = 20;

/// The rows.
#[derive(Debug)]
pub(crate) struct Counts {
    /// Training, validation and test.
    pub(crate) slices: [Slice; 3],
    /// Number of repositories.
    pub(crate) repositories: usize,
    /// Those with the most rows, the largest first.
    pub(crate) largest: Vec<(String, usize)>,
    /// Declared kinds with their rows, by name.
    pub(crate) kinds: BTreeMap<String, usize>,
}

/// One slice of time.
#[derive(Debug)]
pub(crate) struct Slice {
    pub(crate) rows: usize,
    /// When the first and the last were opened, in milliseconds since 1970, UTC.
    pub(crate) span: Option<(i64, i64)>,
    pub(crate) repositories: usize,
    /// Rows that declare a kind.
    pub(crate) declared: usize,
    /// Rows known to have been taken back by the end of the data.
    pub(crate) reverted: usize,
    /// Rows known to have stood by the end of the data.
    pub(crate) stood: usize,
}

impl Counts {
    pub(crate) fn of(data: &Dataset, split: &Split) -> Self {
        let (mut repositories, mut kinds) = (BTreeMap::<&str, usize>::new(), BTreeMap::new());
        for &row in data.by_time() {
            *repositories.entry(data.repository(row)).or_default() += 1;
            if let Some(kind) = data.category(row) {
                *kinds.entry(kind.to_owned()).or_default() += 1;
            }
        }
        let end = split.test.last().map_or(i64::MAX, |&row| data.created_at(row));
        let mut largest: Vec<(String, usize)> =
            repositories.iter().map(|(name, &rows)| ((*name).to_owned(), rows)).collect();
        // Stable, so that of equal ones the first by name comes first.
        largest.sort_by_key(|&(_, rows)| std::cmp::Reverse(rows));
        largest.truncate(NAMED);
        Self {
            slices: [&split.training, &split.validation, &split.test].map(|rows| Slice::of(data, rows, end)),
            repositories: repositories.len(),
            largest,
            kinds,
        }
    }

    /// All rows.
    pub(crate) fn rows(&self) -> usize {
        self.slices.iter().map(|slice| slice.rows).sum()
    }
}

impl Slice {
    fn of(data: &Dataset, rows: &[usize], end: i64) -> Self {
        let mut names: Vec<&str> = rows.iter().map(|&row| data.repository(row)).collect();
        names.sort_unstable();
        names.dedup();
        let known = |outcome| rows.iter().filter(|&&row| data.outcome(row).known_before(end) == Some(outcome)).count();
        Self {
            rows: rows.len(),
            span: rows.first().zip(rows.last()).map(|(&first, &last)| (data.created_at(first), data.created_at(last))),
            repositories: names.len(),
            declared: rows.iter().filter(|&&row| data.category(row).is_some()).count(),
            reverted: known(true),
            stood: known(false),
        }
    }
}

//! The rows of one repository, put in the order in which its pull requests were opened.
//!
//! They arrive by number, since outcomes are found from the highest to the lowest. Nearly always the order is the other way
//! round then, so it is not worth a sort of all rows by the engine: only places are sorted here, and no row is copied.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use datafusion::common::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use prowl_features::{Facts, Outcome};

use crate::failure::failure;
use crate::rows::{REVERTED, REVERTED_AT, RowReader};

/// Rows that wait until their repository is whole.
pub(crate) struct Gathered {
    batches: Vec<RecordBatch>,
    places: Vec<Place>,
    memory: MemoryReservation,
}

/// Where a row is, to be sorted by what comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    created_at: i64,
    number: u64,
    batch: usize,
    row: usize,
}

impl Gathered {
    /// None yet. Their memory is taken from `pool`.
    pub(crate) fn new(pool: &Arc<dyn MemoryPool>) -> Self {
        let memory = MemoryConsumer::new("repository").register(pool);
        Self { batches: Vec::new(), places: Vec::new(), memory }
    }

    /// Adds a row of `batch`, which `rows` reads. The rows of one batch come one after another.
    ///
    /// # Errors
    /// The repository is larger than what memory there is.
    pub(crate) fn push(&mut self, batch: &RecordBatch, rows: &RowReader<'_>, row: usize) -> Result<()> {
        let is_same = |last: &RecordBatch| Arc::ptr_eq(last.column(0), batch.column(0));
        if !self.batches.last().is_some_and(is_same) {
            let bytes = batch.get_array_memory_size() + batch.num_rows() * size_of::<Place>();
            self.memory.try_grow(bytes).map_err(|_| {
                let name = rows.facts(row).map(|facts| facts.repository).unwrap_or_default();
                failure(&format_args!(
                    "the repository {name} has more pull requests, and older versions of them, than fit into memory: raise \
                     --memory-limit, on a cluster that of prowl-executor"
                ))
            })?;
            self.batches.push(batch.clone());
        }
        let (created_at, number) = (rows.created_at(row), rows.number(row));
        self.places.push(Place { created_at, number, batch: self.batches.len() - 1, row });
        Ok(())
    }

    /// Takes the rows out, by creation.
    pub(crate) fn take(&mut self) -> InOrder {
        let mut places = std::mem::take(&mut self.places);
        places.sort_unstable();
        InOrder { batches: std::mem::take(&mut self.batches), places, _memory: self.memory.take() }
    }
}

/// The rows of a whole repository.
pub(crate) struct InOrder {
    batches: Vec<RecordBatch>,
    places: Vec<Place>,
    _memory: MemoryReservation,
}

impl InOrder {
    /// The bucket of the repository; `None` where there are no rows.
    pub(crate) fn bucket(&self) -> Option<u32> {
        let first = self.places.first()?;
        Some(RowReader::new(&self.batches[first.batch]).bucket(first.row))
    }

    /// Each pull request with its outcome.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Result<(Facts, Outcome)>> {
        let columns = |batch| {
            let reverted_at = RecordBatch::column(batch, REVERTED_AT).as_primitive::<Int64Type>();
            (RowReader::new(batch), reverted_at, batch.column(REVERTED).as_boolean())
        };
        let batches: Vec<_> = self.batches.iter().map(columns).collect();
        self.places.iter().map(move |place| {
            let (rows, reverted_at, reverted) = &batches[place.batch];
            let outcome = Outcome {
                reverted_at: reverted_at.is_valid(place.row).then(|| reverted_at.value(place.row)),
                reverted: reverted.is_valid(place.row).then(|| reverted.value(place.row)),
            };
            Ok((rows.facts(place.row)?, outcome))
        })
    }
}

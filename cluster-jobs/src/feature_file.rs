//! The features of one bucket on their way into their file, by a task of its own.
//!
//! Encoding and packing rows takes about as long as computing them. The two go on side by side, so that the largest
//! repository, which one partition has to itself in the end, does not leave the other cores without work. Where both have to
//! share a core, nothing is lost.

use arrow::array::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;
use prowl_platform::FileEntry;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::parts::Part;
use crate::statistics::Sketches;

/// A features file that is being written. It is given up when it is dropped.
pub(crate) struct FeatureFile {
    work: mpsc::Sender<Work>,
    writer: SpawnedTask<Result<(FileEntry, Sketches)>>,
}

enum Work {
    Rows(RecordBatch),
    /// These were all. That nobody sends any more does not say so: then the file is given up.
    Last(RecordBatch),
}

impl FeatureFile {
    /// Begins to write into `part`, and to add what the columns hold to `statistics`.
    ///
    /// `memory` is what the writer holds: its row group and the rows that wait. It cannot be less, so it is not asked for:
    /// sorts get what is left.
    pub(crate) fn begin(mut part: Part, mut statistics: Sketches, memory: MemoryReservation) -> Self {
        // One batch waits while another is written.
        let (work, mut waiting) = mpsc::channel(1);
        let runtime = Handle::current();
        // A thread of its own: a task that is woken waits for the core of the one that woke it, though another may be idle.
        let writer = SpawnedTask::spawn_blocking(move || {
            runtime.block_on(async move {
                loop {
                    let (rows, is_last) = match waiting.recv().await {
                        Some(Work::Rows(rows)) => (rows, false),
                        Some(Work::Last(rows)) => (rows, true),
                        None => return Err(DataFusionError::Internal("a file of features was given up".to_owned())),
                    };
                    memory.resize(part.memory() + 2 * rows.get_array_memory_size());
                    statistics.add(&rows)?;
                    part.write(&rows).await?;
                    if is_last {
                        return Ok((part.finish().await?, statistics));
                    }
                }
            })
        });
        Self { work, writer }
    }

    /// Hands rows to the writer.
    ///
    /// # Errors
    /// Rows before these could not be written.
    pub(crate) async fn write(&mut self, rows: RecordBatch) -> Result<()> {
        if self.work.send(Work::Rows(rows)).await.is_ok() {
            return Ok(());
        }
        match (&mut self.writer).await {
            Ok(Ok(_)) => Err(DataFusionError::Internal("a file of features was finished too early".to_owned())),
            Ok(Err(error)) => Err(error),
            Err(error) => Err(DataFusionError::External(error.into())),
        }
    }

    /// Completes the file with its last rows. Tells what was written, and the statistics with what was added.
    ///
    /// # Errors
    /// Something could not be written.
    pub(crate) async fn finish(self, rows: RecordBatch) -> Result<(FileEntry, Sketches)> {
        // A writer that takes no more has failed already, and says so.
        let _ = self.work.send(Work::Last(rows)).await;
        self.writer.join_unwind().await.map_err(|error| DataFusionError::External(error.into()))?
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    use arrow::array::Float32Array;
    use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, UnboundedMemoryPool};
    use object_store::local::LocalFileSystem;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use prowl_platform::MARKER;
    use url::Url;

    use super::*;
    use crate::parts::RunFolder;

    fn begin(folder: &Path) -> FeatureFile {
        let url = Url::from_directory_path(folder).unwrap();
        let folder = RunFolder::new(Arc::new(LocalFileSystem::new()), &url).unwrap();
        let part = folder.part("part-0.parquet", rows().schema(), &[]).unwrap();
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        FeatureFile::begin(part, Sketches::default(), MemoryConsumer::new("test").register(&pool))
    }

    fn rows() -> RecordBatch {
        let column = Arc::new(Float32Array::from_iter_values((0..100u8).map(f32::from)));
        RecordBatch::try_from_iter([("value", column as _)]).unwrap()
    }

    #[tokio::test]
    async fn all_rows_are_in_a_file_that_is_finished_and_no_other_becomes_one() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(MARKER), "").unwrap();
        let written = folder.path().join("part-0.parquet");

        let mut given_up = begin(folder.path());
        for _ in 0..3 {
            given_up.write(rows()).await.unwrap();
        }
        let FeatureFile { work, writer } = given_up;
        drop(work);
        assert!(writer.join().await.unwrap().is_err() && !written.exists());

        let mut file = begin(folder.path());
        for _ in 0..3 {
            file.write(rows()).await.unwrap();
        }
        let (entry, statistics) = file.finish(rows()).await.unwrap();
        assert_eq!((entry.path.as_str(), statistics.finish().rows), ("part-0.parquet", 400));
        let read = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(written).unwrap()).unwrap();
        assert_eq!(read.metadata().file_metadata().num_rows(), 400);
    }

    #[tokio::test]
    async fn a_writer_that_fails_tells_why() {
        let folder = tempfile::tempdir().unwrap();
        // Without the marker of a draft.
        let mut file = begin(folder.path());
        let said = loop {
            if let Err(error) = file.write(rows()).await {
                break error.to_string();
            }
        };
        assert!(said.contains("the run was given up"), "{said}");
        let said = begin(folder.path()).finish(rows()).await.err().unwrap().to_string();
        assert!(said.contains("the run was given up"), "{said}");
    }
}

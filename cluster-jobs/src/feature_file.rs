//! The features of one bucket on their way into their file, by a task of its own.
//!
//! Encoding and packing rows takes about as long as computing them. The two go on side by side, so that the largest
//! repository, which one partition has to itself in the end, does not leave the other cores without work.

use arrow::array::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;
use prowl_platform::FileEntry;
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

/// The writer has ended, for a reason that [`FeatureFile::finish`] tells.
pub(crate) struct Failed;

impl FeatureFile {
    /// Begins to write into `part`, and to add what the columns hold to `statistics`.
    ///
    /// `memory` is what the writer holds of its row group. It cannot be less, so it is not asked for: sorts get what is left.
    pub(crate) fn begin(mut part: Part, mut statistics: Sketches, memory: MemoryReservation) -> Self {
        // One batch waits while another is written.
        let (work, mut waiting) = mpsc::channel(1);
        let writer = SpawnedTask::spawn(async move {
            loop {
                let (rows, is_last) = match waiting.recv().await {
                    Some(Work::Rows(rows)) => (rows, false),
                    Some(Work::Last(rows)) => (rows, true),
                    None => return Err(DataFusionError::Internal("a file of features was given up".to_owned())),
                };
                statistics.add(&rows)?;
                part.write(&rows).await?;
                if is_last {
                    return Ok((part.finish().await?, statistics));
                }
                memory.resize(part.memory());
            }
        });
        Self { work, writer }
    }

    /// Hands rows to the writer.
    pub(crate) async fn write(&self, rows: RecordBatch) -> std::result::Result<(), Failed> {
        self.work.send(Work::Rows(rows)).await.map_err(|_| Failed)
    }

    /// Completes the file with its last rows. Tells what was written, and the statistics with what was added.
    ///
    /// # Errors
    /// Something could not be written.
    pub(crate) async fn finish(self, rows: RecordBatch) -> Result<(FileEntry, Sketches)> {
        // A writer that takes no more has failed already.
        let _ = self.work.send(Work::Last(rows)).await;
        self.writer.join().await.map_err(|error| DataFusionError::External(error.into()))?
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    use arrow::datatypes::Schema;
    use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, UnboundedMemoryPool};
    use object_store::local::LocalFileSystem;
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
        RecordBatch::new_empty(Arc::new(Schema::empty()))
    }

    #[tokio::test]
    async fn only_what_is_finished_becomes_a_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(MARKER), "").unwrap();
        let written = folder.path().join("part-0.parquet");

        let given_up = begin(folder.path());
        given_up.write(rows()).await.ok().unwrap();
        // Once the second batch is taken, the first is written.
        given_up.write(rows()).await.ok().unwrap();
        given_up.write(rows()).await.ok().unwrap();
        let FeatureFile { work, writer } = given_up;
        drop(work);
        assert!(writer.join().await.unwrap().is_err() && !written.exists());

        let (entry, _) = begin(folder.path()).finish(rows()).await.unwrap();
        assert_eq!(entry.path, "part-0.parquet");
        assert!(written.exists());
    }

    #[tokio::test]
    async fn a_writer_that_fails_takes_no_more_and_tells_why() {
        let folder = tempfile::tempdir().unwrap();
        // Without the marker of a draft.
        let file = begin(folder.path());
        while file.write(rows()).await.is_ok() {}
        let said = file.finish(rows()).await.err().unwrap().to_string();
        assert!(said.contains("the run was given up"), "{said}");
    }
}

//! The folder of a run in the making, and a Parquet file in it: written piece by piece, hashed on the way.

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use bytes::Bytes;
use datafusion::common::{DataFusionError, Result};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::AsyncArrowWriter;
use parquet::arrow::async_writer::AsyncFileWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use prowl_platform::{FileEntry, MARKER, Upload, reason};
use url::Url;

use crate::failure::failure;
use crate::report::Report;

/// Rows of a row group, or encoded bytes, whichever comes first: what a writer or reader holds at once.
const ROW_GROUP: usize = 65_536;
const ROW_GROUP_BYTES: usize = 128 << 20;

/// For how long a draft that was there is taken to be there: less than the time that is left to the last writes of one that
/// is given up. On S3 each look is a request.
const STILL_WANTED: Duration = Duration::from_millis(500);

/// What the names of reports begin with, which like the marker lie only in a draft. They lie in the store, since what an
/// executor keeps goes with it.
const REPORT: &str = ".report-";
const REPORTS_AT_ONCE: usize = 8;

/// The folder of a run, for as long as it is a draft. Ballista lets the tasks of a failed or cancelled job run on; without
/// the marker of the draft they would bring the folder back.
#[derive(Clone, Debug)]
pub(crate) struct RunFolder {
    store: Arc<dyn ObjectStore>,
    path: Path,
}

impl RunFolder {
    /// The folder at `url`, in the store that it is a part of.
    ///
    /// # Errors
    /// The URL has no path.
    pub(crate) fn new(store: Arc<dyn ObjectStore>, url: &Url) -> Result<Self> {
        Ok(Self { store, path: Path::from_url_path(url.path())? })
    }

    /// Begins the Parquet file `path` in it, with `metadata` as its key-value metadata.
    pub(crate) fn part(&self, path: &str, schema: SchemaRef, metadata: &[(&str, String)]) -> Result<Part> {
        let metadata = metadata.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone())).collect();
        let properties = properties(&schema).set_key_value_metadata(Some(metadata)).build();
        let location = path.split('/').fold(self.path.clone(), Path::join);
        let upload = ParquetUpload(Upload::new(Arc::clone(&self.store), location));
        let writer = AsyncArrowWriter::try_new(upload, schema, Some(properties))?;
        Ok(Part { folder: self.clone(), seen: None, path: path.to_owned(), writer })
    }

    /// Writes what a task says of its partition. A task that runs again says the same, in the same place.
    pub(crate) async fn put_report(&self, bucket: u32, report: &Report) -> Result<()> {
        let path = format!("{REPORT}{bucket:05}");
        let json = serde_json::to_vec(report).map_err(|error| DataFusionError::External(error.into()))?;
        self.still_wanted(&path).await?;
        let written = self.store.put(&self.path.clone().join(path.as_str()), json.into()).await;
        written.map(drop).map_err(|error| unwritten(&path, &error))
    }

    /// Takes out what the tasks have said of their partitions, and adds it up.
    pub(crate) async fn take_reports(&self) -> Result<Report> {
        let files = self.store.list_with_delimiter(Some(&self.path)).await?.objects.into_iter();
        let mut found: Vec<_> = files.map(|file| file.location).filter(is_report).collect();
        found.sort_unstable();
        let contents =
            stream::iter(found.clone()).map(|path| async move { self.store.get(&path).await?.bytes().await });
        let mut contents = pin!(contents.buffered(REPORTS_AT_ONCE));
        let mut sum = Report::default();
        while let Some(json) = contents.try_next().await? {
            sum.add(serde_json::from_slice(&json).map_err(|error| DataFusionError::External(error.into()))?);
        }
        self.store
            .delete_stream(stream::iter(found.into_iter().map(Ok)).boxed())
            .try_for_each(async |_| Ok(()))
            .await?;
        Ok(sum)
    }

    async fn still_wanted(&self, path: &str) -> Result<()> {
        let marker = self.path.clone().join(MARKER);
        self.store.head(&marker).await.map(drop).map_err(|error| match error {
            object_store::Error::NotFound { .. } => failure(&format_args!(
                "cannot write {path} of the run: there is no /{marker}, so the run was given up or is done without this, or \
                 the store is not at the same path on every machine of the cluster"
            )),
            error => failure(&format_args!(
                "cannot write {path} of the run: /{marker} cannot be read ({}); every machine of the cluster has to see \
                 the store and may read and write it",
                reason(&error)
            )),
        })
    }
}

fn is_report(path: &Path) -> bool {
    path.filename().is_some_and(|name| name.starts_with(REPORT))
}

/// A Parquet file that is being written.
pub(crate) struct Part {
    folder: RunFolder,
    /// When the folder was last seen to be a draft.
    seen: Option<Instant>,
    /// Its path below the folder.
    path: String,
    writer: AsyncArrowWriter<ParquetUpload>,
}

impl Part {
    /// Appends rows.
    pub(crate) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if self.seen.is_none_or(|seen| seen.elapsed() >= STILL_WANTED) {
            self.folder.still_wanted(&self.path).await?;
            self.seen = Some(Instant::now());
        }
        self.writer.write(batch).await.map_err(|error| unwritten(&self.path, &error))
    }

    /// Bytes of the row group that is in the making.
    pub(crate) fn memory(&self) -> usize {
        self.writer.memory_size()
    }

    /// Completes the file and tells what was written.
    pub(crate) async fn finish(mut self) -> Result<FileEntry> {
        self.folder.still_wanted(&self.path).await?;
        self.writer.finish().await.map_err(|error| unwritten(&self.path, &error))?;
        Ok(self.writer.into_inner().0.entry(self.path))
    }
}

/// How the columns are written. Zstandard packs plain numbers as well as a dictionary would, which takes twice the time to
/// write; splitting floats into streams of bytes makes them no smaller, and LZ4 is hardly faster, for a third more bytes.
/// Row groups tell their smallest and largest values; pages do not, since a reader of some of the columns reads all rows.
fn properties(schema: &Schema) -> WriterPropertiesBuilder {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_created_by("prowl".to_owned());
    let texts = schema.fields().iter().filter(|field| *field.data_type() == DataType::Utf8);
    texts.fold(properties, |properties, text| {
        properties.set_column_dictionary_enabled(ColumnPath::from(text.name().as_str()), true)
    })
}

fn unwritten(path: &str, error: &(dyn Error + 'static)) -> DataFusionError {
    failure(&format_args!(
        "cannot write {path} of the run: {}; is there space left in the store, and may every machine of the cluster write there?",
        reason(error)
    ))
}

/// Lets Parquet write into an upload.
struct ParquetUpload(Upload);

impl AsyncFileWriter for ParquetUpload {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, parquet::errors::Result<()>> {
        async move { self.0.write(bytes).await.map_err(|error| ParquetError::External(error.into())) }.boxed()
    }

    fn complete(&mut self) -> BoxFuture<'_, parquet::errors::Result<()>> {
        async move { self.0.complete().await.map_err(|error| ParquetError::External(error.into())) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use object_store::local::LocalFileSystem;

    use super::*;

    #[tokio::test]
    async fn a_run_that_was_given_up_is_told_from_a_store_that_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let url = Url::from_directory_path(&run).unwrap();
        let destination = RunFolder::new(Arc::new(LocalFileSystem::new()), &url).unwrap();
        let part = || destination.part("part-7.parquet", Arc::new(Schema::empty()), &[]).unwrap();
        let refused = async || part().finish().await.unwrap_err().to_string();
        fs::create_dir(&run).unwrap();
        fs::write(run.join(MARKER), "").unwrap();
        part().finish().await.unwrap();

        let (mut at_work, mut asleep) = (part(), part());
        let rows = RecordBatch::new_empty(Arc::new(Schema::empty()));
        at_work.write(&rows).await.unwrap();
        fs::remove_dir_all(&run).unwrap();
        // It has just looked.
        at_work.write(&rows).await.unwrap();
        assert!(asleep.write(&rows).await.unwrap_err().to_string().contains("the run was given up"));
        let said = refused().await;
        assert!(said.contains("part-7.parquet") && said.contains("the run was given up"), "{said}");
        // A file in the folder's place fails as a folder does that one may not enter, which keeps nothing from root.
        fs::write(&run, "").unwrap();
        let said = refused().await;
        assert!(said.contains("Not a directory") && said.contains("may read and write it"), "{said}");
        assert!(!said.contains("given up"), "{said}");
    }

    #[tokio::test]
    async fn what_is_reported_twice_counts_once_and_reports_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let url = Url::from_directory_path(folder.path()).unwrap();
        let run = RunFolder::new(Arc::new(LocalFileSystem::new()), &url).unwrap();
        let of = |kept| Report { kept, ..Report::default() };
        assert!(run.put_report(1, &of(7)).await.unwrap_err().to_string().contains("the run was given up"));
        fs::write(folder.path().join(MARKER), "").unwrap();
        for (bucket, kept) in [(1, 7), (2, 1), (1, 7), (32, 3), (2, 1)] {
            run.put_report(bucket, &of(kept)).await.unwrap();
        }
        assert_eq!(run.take_reports().await.unwrap().kept, 11);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the marker alone");
    }
}

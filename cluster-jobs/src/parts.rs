//! One Parquet file in the making: written piece by piece, hashed on the way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use bytes::Bytes;
use datafusion::common::{DataFusionError, Result};
use futures::FutureExt;
use futures::future::BoxFuture;
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

use crate::failure::failure;

/// Rows of a row group, or encoded bytes, whichever comes first: what a writer or reader holds at once.
const ROW_GROUP: usize = 65_536;
const ROW_GROUP_BYTES: usize = 128 << 20;

/// For how long a draft that was there is taken to be there: less than the time that is left to the last writes of one that
/// is given up. On S3 each look is a request.
const STILL_WANTED: Duration = Duration::from_millis(500);

/// A Parquet file that is being written, for as long as the folder is a draft. Ballista lets the tasks of a failed or
/// cancelled job run on; without the marker of the draft they would bring the folder back.
pub(crate) struct Part {
    store: Arc<dyn ObjectStore>,
    marker: Path,
    /// When the marker was last seen.
    seen: Option<Instant>,
    /// Its path below the folder.
    path: String,
    writer: AsyncArrowWriter<ParquetUpload>,
}

impl Part {
    /// Begins `path` below `folder`, with `metadata` as its key-value metadata.
    pub(crate) fn create(
        store: Arc<dyn ObjectStore>,
        folder: &Path,
        path: &str,
        schema: SchemaRef,
        metadata: &[(&str, String)],
    ) -> Result<Self> {
        let metadata = metadata.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone())).collect();
        let properties = properties(&schema).set_key_value_metadata(Some(metadata)).build();
        let location = path.split('/').fold(folder.clone(), Path::join);
        let upload = ParquetUpload(Upload::new(Arc::clone(&store), location));
        let writer = AsyncArrowWriter::try_new(upload, schema, Some(properties))?;
        Ok(Self { store, marker: folder.clone().join(MARKER), seen: None, path: path.to_owned(), writer })
    }

    /// Appends rows.
    pub(crate) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if self.seen.is_none_or(|seen| seen.elapsed() >= STILL_WANTED) {
            self.still_wanted().await?;
        }
        self.writer.write(batch).await.map_err(|error| self.unwritten(&error))
    }

    /// Completes the file and tells what was written.
    pub(crate) async fn finish(mut self) -> Result<FileEntry> {
        self.still_wanted().await?;
        self.writer.finish().await.map_err(|error| self.unwritten(&error))?;
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

impl Part {
    async fn still_wanted(&mut self) -> Result<()> {
        let Self { store, path, marker, seen, .. } = self;
        store.head(marker).await.map(drop).map_err(|error| match error {
            object_store::Error::NotFound { .. } => failure(&format_args!(
                "cannot write {path} of the run: there is no /{marker}, so the run was given up, or the store is not at \
                 the same path on every machine of the cluster"
            )),
            error => failure(&format_args!(
                "cannot write {path} of the run: /{marker} cannot be read ({}); every machine of the cluster has to see \
                 the store and may read and write it",
                reason(&error)
            )),
        })?;
        *seen = Some(Instant::now());
        Ok(())
    }

    fn unwritten(&self, error: &ParquetError) -> DataFusionError {
        let (path, cause) = (&self.path, reason(error));
        failure(&format_args!("cannot write {path} of the run: {cause}; is there space left in the store?"))
    }
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
        let location = Path::from_filesystem_path(folder.path()).unwrap().join("run");
        let part = || {
            let store = Arc::new(LocalFileSystem::new());
            Part::create(store, &location, "part-7.parquet", Arc::new(Schema::empty()), &[]).unwrap()
        };
        let refused = async || part().finish().await.unwrap_err().to_string();
        fs::create_dir(&run).unwrap();
        fs::write(run.join(MARKER), "").unwrap();
        part().finish().await.unwrap();

        fs::remove_dir_all(&run).unwrap();
        let said = refused().await;
        assert!(said.contains("part-7.parquet") && said.contains("the run was given up"), "{said}");
        // A file in the folder's place fails as a folder does that one may not enter, which keeps nothing from root.
        fs::write(&run, "").unwrap();
        let said = refused().await;
        assert!(said.contains("Not a directory") && said.contains("may read and write it"), "{said}");
        assert!(!said.contains("given up"), "{said}");
    }
}

//! One Parquet file in the making: written piece by piece, hashed on the way.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
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
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use prowl_platform::{FileEntry, MARKER, Upload};

use crate::failure::failure;

/// Rows of a row group, or encoded bytes, whichever comes first: what a writer or reader holds at once.
const ROW_GROUP: usize = 65_536;
const ROW_GROUP_BYTES: usize = 128 << 20;

/// A Parquet file that is being written, for as long as the folder is a draft. Ballista lets the tasks of a failed or
/// cancelled job run on; without the marker of the draft they would bring the folder back.
pub(crate) struct Part {
    store: Arc<dyn ObjectStore>,
    marker: Path,
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
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
            .set_created_by("prowl".to_owned())
            .set_key_value_metadata(Some(metadata))
            .build();
        let location = path.split('/').fold(folder.clone(), Path::join);
        let upload = ParquetUpload(Upload::new(Arc::clone(&store), location));
        let writer = AsyncArrowWriter::try_new(upload, schema, Some(properties))?;
        Ok(Self { store, marker: folder.clone().join(MARKER), path: path.to_owned(), writer })
    }

    /// Appends rows.
    pub(crate) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.still_wanted().await?;
        self.writer.write(batch).await.map_err(|error| self.unwritten(&error))
    }

    /// Completes the file and tells what was written.
    pub(crate) async fn finish(mut self) -> Result<FileEntry> {
        self.still_wanted().await?;
        self.writer.finish().await.map_err(|error| self.unwritten(&error))?;
        Ok(self.writer.into_inner().0.entry(self.path))
    }
}

impl Part {
    async fn still_wanted(&mut self) -> Result<()> {
        let marker = self.store.head(&self.marker).await;
        marker.map(drop).map_err(|_| {
            failure(&format_args!(
                "cannot write {} of the run: there is no /{}, so the run was given up, or the store is not at the same \
                 path on every machine of the cluster",
                self.path, self.marker
            ))
        })
    }

    fn unwritten(&self, error: &ParquetError) -> DataFusionError {
        // What the store says, without the names of the layers that hand it on.
        let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
        failure(&format_args!("cannot write {} of the run: {cause}; is there space left in the store?", self.path))
    }
}

/// Lets Parquet write into an upload.
struct ParquetUpload(Upload);

impl AsyncFileWriter for ParquetUpload {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, parquet::errors::Result<()>> {
        async move { self.0.write(bytes).await.map_err(ParquetError::External) }.boxed()
    }

    fn complete(&mut self) -> BoxFuture<'_, parquet::errors::Result<()>> {
        async move { self.0.complete().await.map_err(ParquetError::External) }.boxed()
    }
}

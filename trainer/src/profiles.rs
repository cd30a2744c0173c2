//! Takes the profiles of a features run into the model's folder, without looking into them.

use std::sync::Arc;

use bytes::Bytes;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use prowl_platform::{Draft, Folder};

use crate::TrainError;

/// Name of the profiles in a model's folder.
const FILE_NAME: &str = "profiles.parquet";

/// Joins all `profiles/part-*.parquet` of a run into one file of the draft: row group by row group, compressed as they
/// are, in the order of their names. Holds one part in memory.
///
/// # Errors
/// There is none, one is damaged, or they differ in their columns or metadata.
pub(crate) async fn copy(run: &Folder, draft: &mut Draft) -> Result<(), TrainError> {
    let parts: Vec<String> = run.files("profiles/part-").map(|entry| entry.path.clone()).collect();
    let mut joined: Option<(Joined, ParquetMetaData)> = None;
    let mut output = draft.writer(FILE_NAME)?;
    for file in parts {
        let unusable = |problem: String| TrainError::File { file: file.clone(), problem };
        let broken = |error: ParquetError| unusable(error.to_string());
        let content = run.read(&file).await?;
        let mut reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
        reader.try_parse(&content).map_err(broken)?;
        let metadata = reader.finish().map_err(broken)?;
        let (joined, first) = match &mut joined {
            Some((joined, first)) => (joined, &*first),
            None => {
                let (joined, first) = joined.insert((Joined::new(&metadata).map_err(broken)?, metadata.clone()));
                (joined, &*first)
            }
        };
        if metadata.file_metadata().schema() != first.file_metadata().schema() {
            return Err(unusable("its columns differ from those of the files before it".to_owned()));
        }
        if metadata.file_metadata().key_value_metadata() != first.file_metadata().key_value_metadata() {
            return Err(unusable("its metadata differs from that of the files before it".to_owned()));
        }
        for group in 0..metadata.num_row_groups() {
            joined.append(&content, &metadata, group).map_err(broken)?;
            output.write(joined.take()).await?;
        }
    }
    let none = || TrainError::File { file: "profiles/part-*.parquet".to_owned(), problem: "there is none".to_owned() };
    let (joined, _) = joined.ok_or_else(none)?;
    let rest =
        joined.finish().map_err(|error| TrainError::File { file: FILE_NAME.to_owned(), problem: error.to_string() })?;
    output.write(rest).await?;
    output.finish().await?;
    Ok(())
}

/// A Parquet file in the making; what is written of it is taken out from time to time.
struct Joined(SerializedFileWriter<Vec<u8>>);

impl Joined {
    fn new(like: &ParquetMetaData) -> Result<Self, ParquetError> {
        let file = like.file_metadata();
        let properties = WriterProperties::builder().set_key_value_metadata(file.key_value_metadata().cloned()).build();
        let schema = file.schema_descr().root_schema_ptr();
        SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).map(Self)
    }

    fn append(&mut self, content: &Bytes, metadata: &ParquetMetaData, group: usize) -> Result<(), ParquetError> {
        let rows = metadata.row_group(group).num_rows();
        let mut output = self.0.next_row_group()?;
        for (index, column) in metadata.row_group(group).columns().iter().enumerate() {
            let close = ColumnCloseResult {
                bytes_written: column.compressed_size() as u64,
                rows_written: rows as u64,
                metadata: column.clone(),
                bloom_filter: None,
                column_index: metadata.column_index().and_then(|groups| groups.get(group)?.get(index).cloned()),
                offset_index: metadata.offset_index().and_then(|groups| groups.get(group)?.get(index).cloned()),
            };
            output.append_column(content, close)?;
        }
        output.close()?;
        Ok(())
    }

    /// What was written since the last time.
    fn take(&mut self) -> Bytes {
        std::mem::take(self.0.inner_mut()).into()
    }

    fn finish(mut self) -> Result<Bytes, ParquetError> {
        self.0.finish()?;
        Ok(self.take())
    }
}

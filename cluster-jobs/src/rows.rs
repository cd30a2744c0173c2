//! The narrow rows that travel through the plan: keys to sort by, and the rest packed.
//!
//! Three kinds of rows go the same way, so that nothing can be lost unseen: documents, rejected lines, and tallies
//! of what was read. A row's keys are plain columns because the engine sorts and splits by them; what only our own
//! operators look at is packed into one binary column.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayBuilder, ArrayRef, AsArray, Int64Builder, LargeBinaryArray, LargeBinaryBuilder, RecordBatch, UInt8Builder,
    UInt32Builder, UInt64Builder,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, UInt8Type, UInt32Type, UInt64Type};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use prowl_features::{Facts, Lifecycle, repository_key};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// Repositories are spread over this many buckets; a bucket becomes one file. Fixed, so that the files do not depend
/// on how many cores or executors there are.
pub(crate) const BUCKETS: u32 = 32;

/// How rows are laid out and packed: raised with each change, so that programs of different builds refuse each other.
pub(crate) const LAYOUT: u32 = 4;

/// Columns by position.
pub(crate) const BUCKET: usize = 0;
pub(crate) const REPOSITORY: usize = 1;
pub(crate) const CREATED_AT: usize = 2;
pub(crate) const NUMBER: usize = 3;
pub(crate) const UPDATED_AT: usize = 4;
pub(crate) const FETCHED_AT: usize = 5;
pub(crate) const DIGEST: usize = 6;
const KIND: usize = 7;
const PAYLOAD: usize = 8;
/// The columns that [`crate::outcomes`] adds.
pub(crate) const NEWEST: usize = 9;
pub(crate) const REVERTED_AT: usize = 10;
pub(crate) const REVERTED: usize = 11;
pub(crate) const LISTED: usize = 12;
pub(crate) const LATER: usize = 13;

/// What the scan puts out.
pub(crate) static FACT_ROWS: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(fact_fields())));

/// What the outcomes add to it.
pub(crate) static OUTCOME_ROWS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let mut fields = fact_fields();
    fields.push(Field::new("newest", DataType::Boolean, false));
    fields.push(Field::new("reverted_at", DataType::Int64, true));
    fields.push(Field::new("reverted", DataType::Boolean, true));
    fields.push(Field::new("listed", DataType::Boolean, false));
    fields.push(Field::new("later", DataType::Int64, true));
    Arc::new(Schema::new(fields))
});

fn fact_fields() -> Vec<Field> {
    vec![
        Field::new("bucket", DataType::UInt32, false),
        Field::new("repository_key", DataType::UInt64, false),
        Field::new("created_at", DataType::Int64, false),
        Field::new("number", DataType::UInt64, false),
        Field::new("updated_at", DataType::Int64, true),
        Field::new("fetched_at", DataType::Int64, true),
        Field::new("digest", DataType::UInt64, false),
        Field::new("kind", DataType::UInt8, false),
        Field::new("payload", DataType::LargeBinary, false),
    ]
}

/// A line that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reject {
    /// URL of the file.
    pub(crate) file: String,
    /// Number of the line, from 1: in what was read in one go, and, once [`crate::sources`] has counted on, in the file.
    pub(crate) line: u64,
    /// Offset of its first byte in the uncompressed text.
    pub(crate) offset: u64,
    /// The field that is wrong; empty where the line as a whole is.
    pub(crate) field: String,
    /// What is wrong.
    pub(crate) reason: String,
    /// Its first characters.
    pub(crate) sample: String,
}

/// What was counted where a file, or a range of one, was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Documents read: lines that are not blank, or elements of an array.
    pub(crate) read: u64,
    /// What was read.
    pub(crate) source: Source,
}

/// A file of the export, or a range of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Source {
    /// URL of the file.
    pub(crate) file: String,
    /// Offset of the first byte of the range.
    pub(crate) start: u64,
    /// Line feeds in the range; of a whole file, nobody asks.
    pub(crate) newlines: u64,
    /// Of its bytes as stored: SHA-256 of a published file, else BLAKE3, of a range its chaining value.
    pub(crate) digest: [u8; 32],
}

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Document = 0,
    Reject = 1,
    Tally = 2,
}

/// A row, unpacked.
pub(crate) enum Row {
    /// Its facts are unpacked on request ([`RowReader::facts`]): not all who meet one need them.
    Document,
    Reject(Reject),
    Tally(Tally),
}

/// Packs rows into batches.
#[derive(Default)]
pub(crate) struct RowBuilder {
    bucket: UInt32Builder,
    repository: UInt64Builder,
    created_at: Int64Builder,
    number: UInt64Builder,
    updated_at: Int64Builder,
    fetched_at: Int64Builder,
    digest: UInt64Builder,
    kind: UInt8Builder,
    payload: LargeBinaryBuilder,
    bytes: usize,
    /// Room for one row.
    packed: Vec<u8>,
}

impl RowBuilder {
    pub(crate) fn document(&mut self, facts: &Facts) -> Result<()> {
        let repository = repository_key(&facts.repository);
        let mut payload = std::mem::take(&mut self.packed);
        payload.clear();
        let payload = pack_behind(facts, payload)?;
        self.bucket.append_value((repository % u64::from(BUCKETS)) as u32);
        self.repository.append_value(repository);
        self.created_at.append_value(facts.lifecycle.created_at);
        self.number.append_value(facts.lifecycle.number);
        self.updated_at.append_option(facts.lifecycle.updated_at);
        self.fetched_at.append_option(facts.lifecycle.fetched_at);
        // Two versions of the same age are told apart by content, never by where they stood.
        self.digest.append_value(xxh3_64(&payload));
        self.end(Kind::Document, &payload);
        self.packed = payload;
        Ok(())
    }

    pub(crate) fn reject(&mut self, reject: &Reject) -> Result<()> {
        let payload = pack(reject)?;
        self.outside(xxh3_64(reject.file.as_bytes()), reject.offset);
        self.end(Kind::Reject, &payload);
        Ok(())
    }

    pub(crate) fn tally(&mut self, tally: &Tally) -> Result<()> {
        let payload = pack(tally)?;
        // Before all rejects, and the parts of a file in their order: lines are numbered by them.
        self.outside(0, tally.source.start);
        self.end(Kind::Tally, &payload);
        Ok(())
    }

    /// Keys of a row that belongs to no repository: it sorts after all that do.
    fn outside(&mut self, group: u64, number: u64) {
        self.bucket.append_value(BUCKETS);
        self.repository.append_value(group);
        self.created_at.append_value(0);
        // Within a group rows are sorted from the highest number to the lowest.
        self.number.append_value(!number);
        self.updated_at.append_null();
        self.fetched_at.append_null();
        self.digest.append_value(0);
    }

    fn end(&mut self, kind: Kind, payload: &[u8]) {
        self.kind.append_value(kind as u8);
        self.payload.append_value(payload);
        self.bytes += payload.len();
    }

    /// Rows packed so far.
    pub(crate) fn len(&self) -> usize {
        self.payload.len()
    }

    /// Bytes packed so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The rows so far as a batch; the builder starts anew.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch> {
        // The next batch is about as large, and growing by and by would copy it several times. The keys are small.
        let next = LargeBinaryBuilder::with_capacity(self.len(), self.bytes + self.bytes / 16);
        self.bytes = 0;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.bucket.finish()),
            Arc::new(self.repository.finish()),
            Arc::new(self.created_at.finish()),
            Arc::new(self.number.finish()),
            Arc::new(self.updated_at.finish()),
            Arc::new(self.fetched_at.finish()),
            Arc::new(self.digest.finish()),
            Arc::new(self.kind.finish()),
            Arc::new(std::mem::replace(&mut self.payload, next).finish()),
        ];
        Ok(RecordBatch::try_new(Arc::clone(&FACT_ROWS), columns)?)
    }
}

/// Reads the rows of a batch.
pub(crate) struct RowReader<'a> {
    bucket: &'a [u32],
    repository: &'a [u64],
    created_at: &'a [i64],
    number: &'a [u64],
    kind: &'a [u8],
    payload: &'a LargeBinaryArray,
}

impl<'a> RowReader<'a> {
    pub(crate) fn new(batch: &'a RecordBatch) -> Self {
        Self {
            bucket: batch.column(BUCKET).as_primitive::<UInt32Type>().values(),
            repository: batch.column(REPOSITORY).as_primitive::<UInt64Type>().values(),
            created_at: batch.column(CREATED_AT).as_primitive::<Int64Type>().values(),
            number: batch.column(NUMBER).as_primitive::<UInt64Type>().values(),
            kind: batch.column(KIND).as_primitive::<UInt8Type>().values(),
            payload: batch.column(PAYLOAD).as_binary::<i64>(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.kind.len()
    }

    pub(crate) fn bucket(&self, row: usize) -> u32 {
        self.bucket[row]
    }

    pub(crate) fn repository(&self, row: usize) -> u64 {
        self.repository[row]
    }

    pub(crate) fn created_at(&self, row: usize) -> i64 {
        self.created_at[row]
    }

    pub(crate) fn number(&self, row: usize) -> u64 {
        self.number[row]
    }

    pub(crate) fn is_document(&self, row: usize) -> bool {
        self.kind[row] == Kind::Document as u8
    }

    /// When what happened to the pull request of a document.
    pub(crate) fn lifecycle(&self, row: usize) -> Result<Lifecycle> {
        unpack_first(self.payload.value(row)).map(|(lifecycle, _)| lifecycle)
    }

    /// What a document says.
    pub(crate) fn facts(&self, row: usize) -> Result<Facts> {
        unpack(self.payload.value(row))
    }

    pub(crate) fn row(&self, row: usize) -> Result<Row> {
        let payload = self.payload.value(row);
        match self.kind[row] {
            kind if kind == Kind::Document as u8 => Ok(Row::Document),
            kind if kind == Kind::Reject as u8 => unpack(payload).map(Row::Reject),
            kind if kind == Kind::Tally as u8 => unpack(payload).map(Row::Tally),
            kind => Err(DataFusionError::Internal(format!("a row of unknown kind {kind}"))),
        }
    }
}

/// Packs a value for another process of the same version.
pub(crate) fn pack<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    pack_behind(value, Vec::new())
}

/// The same, behind what is in `bytes`.
fn pack_behind<T: Serialize>(value: &T, bytes: Vec<u8>) -> Result<Vec<u8>> {
    postcard::to_extend(value, bytes).map_err(|error| DataFusionError::External(error.into()))
}

/// Unpacks what [`pack`] packed.
pub(crate) fn unpack<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T> {
    postcard::from_bytes(bytes).map_err(|error| DataFusionError::External(error.into()))
}

/// Unpacks the first of several values, and hands back the bytes of the others.
pub(crate) fn unpack_first<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<(T, &'a [u8])> {
    postcard::take_from_bytes(bytes).map_err(|error| DataFusionError::External(error.into()))
}

#[cfg(test)]
mod tests {
    use prowl_features::PullRequest;

    use super::*;

    #[test]
    fn a_lifecycle_is_read_without_the_rest() {
        let document = br#"{"number":7,"title":"Revert \"Add it (#3)\"","created_at":"2024-01-01T00:00:00Z",
            "updated_at":"2024-01-05T00:00:00Z","fetched_at":"2024-01-06T00:00:00Z","merged_at":"2024-01-02T00:00:00Z",
            "reverted_at":"2024-01-04T00:00:00Z","merge_commit_sha":"0123456789abcdef0123456789abcdef01234567",
            "base":{"repo":{"full_name":"o/r"}},"files":[{"filename":"a/b.rs"}]}"#;
        let facts = Facts::of(&PullRequest::from_json(document).unwrap());
        let mut rows = RowBuilder::default();
        rows.document(&facts).unwrap();
        let batch = rows.finish().unwrap();
        let rows = RowReader::new(&batch);
        assert_eq!(rows.lifecycle(0).unwrap(), facts.lifecycle);
        assert_eq!(rows.facts(0).unwrap().files, facts.files);
        assert!(rows.is_document(0) && facts.lifecycle.merge_commit.is_some() && facts.lifecycle.reverts.len() == 1);
    }
}

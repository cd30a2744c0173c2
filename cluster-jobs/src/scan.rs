//! The scan: from files of an export to rows.
//!
//! Each line is parsed straight into the document's type and reduced to its facts at once, so that no title, body or
//! path leaves the scan.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::{Arc, LazyLock};

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
};
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use prowl_features::{Facts, PullRequest};
use prowl_platform::innermost;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio_util::io::{StreamReader, SyncIoBridge};
use url::Url;

use crate::failure::failure;
use crate::lines::{Line, Lines};
use crate::rows::{FACT_ROWS, Reject, RowBuilder, Tally};

/// A batch is handed on when it holds this many rows or bytes, whichever comes first.
const BATCH_ROWS: usize = 4096;
const BATCH_BYTES: usize = 4 << 20;

/// Characters of a rejected line that are kept.
const SAMPLE_CHARACTERS: usize = 200;

/// One file of an export.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub(crate) struct ExportFile {
    pub(crate) url: String,
    /// What its manifest says of it, if it has one.
    pub(crate) sha256: Option<String>,
}

/// What is to be read, and how.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub(crate) struct Scan {
    pub(crate) files: Vec<ExportFile>,
    pub(crate) max_line_bytes: usize,
}

/// An export as a table of rows.
#[derive(Debug)]
pub(crate) struct ExportTable(pub(crate) Scan);

#[async_trait::async_trait]
impl TableProvider for ExportTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&FACT_ROWS)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        // The operators above take every column; a projection could only come from a query that is not ours.
        if projection.is_some_and(|columns| !columns.iter().copied().eq(0..FACT_ROWS.fields().len())) {
            return Err(DataFusionError::Plan("an export is scanned with all its columns".into()));
        }
        Ok(Arc::new(ScanExec::new(file_list(&self.0.files)?, self.0.max_line_bytes)))
    }
}

/// A file as a row.
static FILE_ROWS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![Field::new("url", DataType::Utf8, false), Field::new("sha256", DataType::Utf8, true)]))
});

/// Files as the input of the scan, one partition each.
fn file_list(files: &[ExportFile]) -> Result<Arc<dyn ExecutionPlan>> {
    let row = |file: &ExportFile| {
        let url = StringArray::from(vec![file.url.as_str()]);
        let sha256 = StringArray::from(vec![file.sha256.as_deref()]);
        Ok(vec![RecordBatch::try_new(Arc::clone(&FILE_ROWS), vec![Arc::new(url), Arc::new(sha256)])?])
    };
    let partitions = files.iter().map(row).collect::<Result<Vec<_>>>()?;
    Ok(MemorySourceConfig::try_new_exec(&partitions, Arc::clone(&FILE_ROWS), None)?)
}

fn files_of(batch: &RecordBatch) -> impl Iterator<Item = ExportFile> {
    let (urls, digests) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
    urls.iter()
        .zip(digests)
        .filter_map(|(url, sha256)| Some(ExportFile { url: url?.to_owned(), sha256: sha256.map(str::to_owned) }))
}

/// Reads the files that its input lists. They are no part of the operator itself, because a task is given its share of
/// the partitions by cutting down the leaves of its plan, and Ballista knows how to cut only its own kinds of leaves.
#[derive(Debug)]
pub(crate) struct ScanExec {
    input: Arc<dyn ExecutionPlan>,
    pub(crate) max_line_bytes: usize,
    properties: Arc<PlanProperties>,
}

impl ScanExec {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, max_line_bytes: usize) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&FACT_ROWS)),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { input, max_line_bytes, properties: Arc::new(properties) }
    }
}

impl DisplayAs for ScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScanExec: files={}", self.input.output_partitioning().partition_count())
    }
}

impl ExecutionPlan for ScanExec {
    fn name(&self) -> &'static str {
        "ScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.swap_remove(0), self.max_line_bytes)))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let files = self.input.execute(partition, Arc::clone(&context))?;
        let limit = self.max_line_bytes;
        let mut output = RecordBatchReceiverStreamBuilder::new(self.schema(), 2);
        let rows = output.tx();
        let handle = tokio::runtime::Handle::current();
        // Decompressing and parsing would keep an async thread busy for long; they get one of their own.
        output.spawn_blocking(move || {
            for file in handle.block_on(files.try_collect::<Vec<_>>())?.iter().flat_map(files_of) {
                let url = Url::parse(&file.url).map_err(|error| DataFusionError::External(error.into()))?;
                let store = context.runtime_env().object_store_registry.get_store(&url)?;
                let path = Path::from_url_path(url.path())
                    .map_err(|error| failure(&format_args!("{} cannot be read by this name: {error}", file.url)))?;
                let input = handle.block_on(open(store, &path)).map_err(|error| unreadable(&file.url, &error))?;
                read(&file, input, limit, |batch| {
                    // The receiver is gone only when the query was given up.
                    let cancelled = |_| DataFusionError::Execution("the query was cancelled".into());
                    rows.blocking_send(Ok(batch)).map_err(cancelled)
                })?;
            }
            Ok(())
        });
        Ok(output.build())
    }
}

async fn open(store: Arc<dyn ObjectStore>, path: &Path) -> io::Result<impl Read + Send + use<>> {
    let bytes = store.get(path).await?.into_stream().map_err(io::Error::from);
    Ok(SyncIoBridge::new(StreamReader::new(bytes)))
}

/// Reads one file to its end and hands its rows on in batches.
fn read(
    file: &ExportFile,
    input: impl Read + Send,
    limit: usize,
    mut hand_on: impl FnMut(RecordBatch) -> Result<()>,
) -> Result<()> {
    let fail = |error: io::Error| unreadable(&file.url, &error);
    let stored = Hashed { input: BufReader::with_capacity(1 << 18, input), hash: Sha256::new() };
    let mut lines = Lines::new(decompress(stored).map_err(fail)?, limit);
    let mut rows = RowBuilder::default();
    let mut text = Vec::new();
    let mut read = 0;
    while let Some(line) = lines.next(&mut text).map_err(fail)? {
        let document = without_mark(&line, &text);
        let cut = line.length > limit as u64;
        // What follows the part of a cut line that was kept is not known to be blank.
        if !cut && document.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if read == 0 && document.trim_ascii_start().starts_with(b"[") {
            return Err(failure(&format_args!(
                "the export file {} is one JSON array, but a line is read as one document; \
                 export it without --jsonArray, or turn it into lines with jq -c '.[]'",
                file.url
            )));
        }
        read += 1;
        if cut {
            let reason = format!("longer than {limit} bytes; raise --max-line-bytes to read it");
            rows.reject(&reject(file, &line, document, String::new(), reason))?;
        } else {
            match PullRequest::from_json(document) {
                Ok(pull_request) => rows.document(&Facts::of(&pull_request))?,
                Err(error) => rows.reject(&reject(file, &line, document, error.field, error.message))?,
            }
        }
        if rows.len() >= BATCH_ROWS || rows.bytes() >= BATCH_BYTES {
            hand_on(rows.finish()?)?;
        }
    }
    let sha256 = lines.into_inner().finish().map_err(fail)?;
    if let Some(expected) = file.sha256.as_ref().filter(|expected| **expected != sha256) {
        return Err(failure(&format_args!(
            "{} was changed after it was published: its manifest says SHA-256 {expected}, found {sha256}; \
             write the export again",
            file.url
        )));
    }
    rows.tally(&Tally { read, superseded: 0, source: Some((file.url.clone(), sha256)) })?;
    hand_on(rows.finish()?)
}

fn reject(file: &ExportFile, line: &Line, text: &[u8], field: String, reason: String) -> Reject {
    let sample = String::from_utf8_lossy(&text[..text.len().min(4 * SAMPLE_CHARACTERS)]);
    Reject {
        file: file.url.clone(),
        line: line.number,
        offset: line.offset,
        field,
        reason,
        sample: sample.chars().take(SAMPLE_CHARACTERS).collect(),
    }
}

/// Some editors begin a file with a byte order mark, which is no JSON.
fn without_mark<'a>(line: &Line, text: &'a [u8]) -> &'a [u8] {
    match text.strip_prefix(b"\xEF\xBB\xBF") {
        Some(rest) if line.number == 1 => rest,
        _ => text,
    }
}

/// What is wrong with a file: what the store says of it, or else what the decoder finds.
fn unreadable(url: &str, error: &io::Error) -> DataFusionError {
    let of_store = error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<object_store::Error>);
    if of_store {
        return failure(&format_args!(
            "cannot read the export file {url}: {}; every machine of the cluster has to see it and may read it",
            innermost(error)
        ));
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            failure(&format_args!("the export file {url} ends too early; copy or export it again"))
        }
        _ => failure(&format_args!("the export file {url} is damaged ({error}); copy or export it again")),
    }
}

/// The file's bytes as they are stored, hashed on the way.
struct Hashed<R> {
    input: R,
    hash: Sha256,
}

impl<R: BufRead> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}

/// A file's text: plain, gzip or Zstandard, told apart by the first bytes and not by the name.
enum Text<R: BufRead> {
    Plain(BufReader<Hashed<R>>),
    Gzip(Box<BufReader<flate2::bufread::MultiGzDecoder<BufReader<Hashed<R>>>>>),
    Zstd(BufReader<zstd::stream::read::Decoder<'static, BufReader<Hashed<R>>>>),
}

const TEXT_BUFFER: usize = 1 << 17;

fn decompress<R: BufRead>(stored: Hashed<R>) -> io::Result<Text<R>> {
    let mut stored = BufReader::with_capacity(TEXT_BUFFER, stored);
    let start = stored.fill_buf()?;
    if start.starts_with(&[0x1f, 0x8b]) {
        let decoder = flate2::bufread::MultiGzDecoder::new(stored);
        Ok(Text::Gzip(Box::new(BufReader::with_capacity(TEXT_BUFFER, decoder))))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let decoder = zstd::stream::read::Decoder::with_buffer(stored)?;
        Ok(Text::Zstd(BufReader::with_capacity(TEXT_BUFFER, decoder)))
    } else {
        Ok(Text::Plain(stored))
    }
}

impl<R: BufRead> Text<R> {
    fn reader(&mut self) -> &mut dyn BufRead {
        match self {
            Self::Plain(reader) => reader,
            Self::Gzip(reader) => reader,
            Self::Zstd(reader) => reader,
        }
    }

    /// SHA-256 of the whole file, also of what a decoder left unread at its end.
    fn finish(self) -> io::Result<String> {
        let mut stored = match self {
            Self::Plain(reader) => reader,
            Self::Gzip(reader) => reader.into_inner().into_inner(),
            Self::Zstd(reader) => reader.into_inner().finish(),
        };
        io::copy(&mut stored, &mut io::sink())?;
        Ok(hex::encode(stored.into_inner().hash.finalize()))
    }
}

impl<R: BufRead> Read for Text<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader().read(buffer)
    }
}

impl<R: BufRead> BufRead for Text<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader().fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.reader().consume(amount);
    }
}

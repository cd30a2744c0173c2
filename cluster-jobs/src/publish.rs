//! Publishing: replays the history of each repository, calls the kernel, and writes what comes out.
//!
//! Rows arrive by bucket and repository, and are put in the order of creation a repository at a time
//! ([`crate::gathered`]). A bucket becomes one file of features and one of profiles, named
//! after it; rows that belong to no repository (rejects, tallies) come last. Each partition answers with one report.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, LazyLock};

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{Distribution, EquivalenceProperties, OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements, PlanProperties,
};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStore;
use object_store::path::Path;
use prowl_features::{Outcome, Replay, profile_schema, repository_batch};
use prowl_platform::FileEntry;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::columns::{FeatureColumns, RejectColumns, feature_schema, file_metadata, reject_schema};
use crate::gathered::Gathered;
use crate::outcomes::BY_REPOSITORY;
use crate::parts::Part;
use crate::requirements::{by_bucket, order};
use crate::rows::{OUTCOME_ROWS, Reject, Row, RowReader, Tally};
use crate::sources::Sources;
use crate::statistics::Sketches;

/// Rows that are gathered before they are handed to the writer, or bytes, whichever comes first.
const BATCH_ROWS: usize = 4096;
const BATCH_BYTES: usize = 16 << 20;

/// Different reasons for rejects that are counted one by one.
const MOST_REASONS: usize = 100;

/// One report a partition, as JSON.
pub(crate) static REPORT_ROWS: LazyLock<SchemaRef> =
    LazyLock::new(|| Arc::new(Schema::new(vec![Field::new("report", DataType::Utf8, false)])));

/// Where and how to publish.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub(crate) struct Publication {
    /// URL of the folder, with a slash at its end.
    pub(crate) folder: String,
    /// Whether each row keeps the history that it was computed from.
    pub(crate) keep_history: bool,
    /// The moment of the run, in milliseconds since 1970 UTC: what is later has not happened.
    pub(crate) now: i64,
}

/// What one partition did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The buckets that it is about: no other partition has them.
    pub(crate) buckets: BTreeSet<u32>,
    pub(crate) files: Vec<FileEntry>,
    pub(crate) read: u64,
    pub(crate) kept: u64,
    pub(crate) superseded: u64,
    pub(crate) rejected: u64,
    pub(crate) repositories: u64,
    /// Time of the newest event of any kind, in milliseconds since 1970 UTC.
    pub(crate) as_of: Option<i64>,
    /// Files read, each with its digest.
    pub(crate) sources: Vec<(String, String)>,
    /// Each reason for a reject.
    pub(crate) reasons: BTreeMap<String, Complaint>,
    /// What the columns of the rows hold.
    pub(crate) statistics: Sketches,
}

/// How often a reason for a reject came up, and where first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Complaint {
    /// How often.
    pub times: u64,
    /// URL of the file.
    pub file: String,
    /// Line in it, from 1.
    pub line: u64,
}

impl Complaint {
    fn add(&mut self, other: &Self) {
        self.times += other.times;
        if (&other.file, other.line) < (&self.file, self.line) {
            self.file.clone_from(&other.file);
            self.line = other.line;
        }
    }
}

impl Report {
    /// Counts a reason. Alike goes with alike: what a message quotes and where in its line a text stops being JSON stand
    /// in the reject.
    fn reason(&mut self, reject: &Reject) {
        let reason = without_quotes(reject.reason.split(" at line ").next().unwrap_or_default());
        let reason = match reject.field.as_str() {
            "" => reason,
            field => format!("field `{}`: {reason}", field.replace(|digit: char| digit.is_ascii_digit(), "")),
        };
        let room = self.reasons.len() < MOST_REASONS || self.reasons.contains_key(&reason);
        let reason = if room { reason } else { "other reasons".to_owned() };
        self.complain(reason, Complaint { times: 1, file: reject.file.clone(), line: reject.line });
    }

    fn complain(&mut self, reason: String, complaint: Complaint) {
        self.reasons.entry(reason).and_modify(|known| known.add(&complaint)).or_insert(complaint);
    }

    /// Adds what another partition did.
    ///
    /// A task that runs again, since its executor was given up for lost, may have answered before: the same thing, since it
    /// does the same.
    pub(crate) fn add(&mut self, mut other: Self) {
        if !self.buckets.is_disjoint(&other.buckets) {
            return;
        }
        self.buckets.append(&mut other.buckets);
        self.files.extend(other.files);
        self.read += other.read;
        self.kept += other.kept;
        self.superseded += other.superseded;
        self.rejected += other.rejected;
        self.repositories += other.repositories;
        self.as_of = self.as_of.max(other.as_of);
        self.sources.extend(other.sources);
        for (reason, complaint) in other.reasons {
            self.complain(reason, complaint);
        }
        self.statistics.merge(other.statistics);
    }
}

/// A message with an ellipsis for each text in quotation marks or backticks.
fn without_quotes(message: &str) -> String {
    let mut kind = String::new();
    let (mut quote, mut escaped) = (None, false);
    for character in message.chars() {
        match quote {
            None if matches!(character, '"' | '`') => {
                quote = Some(character);
                kind.push('…');
            }
            None => kind.push(character),
            Some(_) if escaped => escaped = false,
            Some('"') if character == '\\' => escaped = true,
            Some(end) if character == end => quote = None,
            Some(_) => {}
        }
    }
    kind
}

/// Reads a report out of the batch that a partition answered with.
pub(crate) fn reports(batch: &RecordBatch) -> Result<Report> {
    let mut sum = Report::default();
    for text in batch.column(0).as_string::<i32>().iter().flatten() {
        sum.add(serde_json::from_str(text).map_err(|error| DataFusionError::External(error.into()))?);
    }
    Ok(sum)
}

/// Writes the run.
#[derive(Debug)]
pub(crate) struct PublishExec {
    input: Arc<dyn ExecutionPlan>,
    pub(crate) publication: Publication,
    properties: Arc<PlanProperties>,
}

impl PublishExec {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, publication: Publication) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&REPORT_ROWS)),
            datafusion::physical_plan::Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self { input, publication, properties: Arc::new(properties) }
    }
}

impl DisplayAs for PublishExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublishExec: folder={}", self.publication.folder)
    }
}

impl ExecutionPlan for PublishExec {
    fn name(&self) -> &'static str {
        "PublishExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::KeyPartitioned(by_bucket())])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![Some(order(&OUTCOME_ROWS, &BY_REPOSITORY).into())]
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
        Ok(Arc::new(Self::new(children.swap_remove(0), self.publication.clone())))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut input = self.input.execute(partition, Arc::clone(&context))?;
        let url = Url::parse(&self.publication.folder).map_err(|error| DataFusionError::External(error.into()))?;
        let mut press = Press {
            store: context.runtime_env().object_store_registry.get_store(&url)?,
            folder: Path::from_url_path(url.path())?,
            features: feature_schema(self.publication.keep_history),
            keep_history: self.publication.keep_history,
            now: self.publication.now,
            repository: None,
            gathered: Gathered::new(&context.runtime_env().memory_pool),
            bucket: None,
            rejects: None,
            sources: Sources::default(),
            report: Report::default(),
        };
        let output = stream::once(async move {
            while let Some(batch) = input.try_next().await? {
                press.batch(&batch).await?;
            }
            let report = serde_json::to_string(&press.finish().await?)
                .map_err(|error| DataFusionError::External(error.into()))?;
            let column = StringArray::from(vec![report]);
            Ok(RecordBatch::try_new(Arc::clone(&REPORT_ROWS), vec![Arc::new(column)])?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), output.boxed())))
    }
}

/// Writes the files of one partition.
struct Press {
    store: Arc<dyn ObjectStore>,
    folder: Path,
    features: SchemaRef,
    keep_history: bool,
    now: i64,
    /// The repository that is being gathered, or the group of what belongs to none.
    repository: Option<u64>,
    gathered: Gathered,
    bucket: Option<Bucket>,
    rejects: Option<(Part, RejectColumns)>,
    sources: Sources,
    report: Report,
}

/// The files of one bucket.
struct Bucket {
    number: u32,
    features: Part,
    profiles: Part,
    columns: FeatureColumns,
}

impl Press {
    async fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = RowReader::new(batch);
        for row in 0..rows.len() {
            if self.repository != Some(rows.repository(row)) {
                self.replay().await?;
                self.repository = Some(rows.repository(row));
            }
            match rows.row(row)? {
                Row::Document => self.gathered.push(batch, &rows, row)?,
                Row::Reject(reject) => {
                    let reject = self.sources.number(reject);
                    self.report.rejected += 1;
                    self.report.reason(&reject);
                    if self.rejects.is_none() {
                        let part = self.part("rejects/part-00000.parquet", reject_schema(), &[])?;
                        self.rejects = Some((part, RejectColumns::default()));
                    }
                    let Some((part, columns)) = &mut self.rejects else { continue };
                    columns.push(&reject);
                    if columns.len() >= BATCH_ROWS {
                        part.write(&columns.finish()?).await?;
                    }
                }
                Row::Tally(Tally { read, superseded, source }) => {
                    self.report.read += read;
                    self.report.superseded += superseded;
                    if let Some(source) = source {
                        self.report.buckets.insert(rows.bucket(row));
                        self.sources.add(source);
                    }
                }
            }
        }
        Ok(())
    }

    /// Lets the history of the repository that was gathered happen.
    async fn replay(&mut self) -> Result<()> {
        let repository = self.gathered.take();
        let Some(number) = repository.bucket() else { return Ok(()) };
        self.open_bucket(number).await?;
        let Some(bucket) = &mut self.bucket else { return Ok(()) };
        let (mut name, mut replay) = (None, Replay::new(self.now));
        for pull_request in repository.iter() {
            let (facts, Outcome { reverted_at, reverted }) = pull_request?;
            let history = replay.next(&facts, reverted_at);
            let vector = facts.vector(&history);
            bucket.columns.push(&facts, &vector, &history, reverted_at, reverted)?;
            name.get_or_insert(facts.repository);
            self.report.kept += 1;
            if bucket.columns.len() >= BATCH_ROWS || bucket.columns.bytes() >= BATCH_BYTES {
                bucket.write_rows(&mut self.report).await?;
            }
        }
        let ledger = replay.finish();
        self.report.repositories += 1;
        self.report.as_of = self.report.as_of.max(ledger.as_of());
        bucket.profiles.write(&repository_batch(&name.unwrap_or_default(), &ledger)?).await
    }

    /// Begins the files of a bucket, unless they are.
    async fn open_bucket(&mut self, bucket: u32) -> Result<()> {
        if self.bucket.as_ref().is_some_and(|open| open.number == bucket) {
            return Ok(());
        }
        self.close_bucket().await?;
        self.report.buckets.insert(bucket);
        let name = format!("part-{bucket:05}.parquet");
        self.bucket = Some(Bucket {
            number: bucket,
            features: self.part(&name, Arc::clone(&self.features), &file_metadata())?,
            profiles: self.part(&format!("profiles/{name}"), profile_schema(), &[])?,
            columns: FeatureColumns::new(Arc::clone(&self.features), self.keep_history),
        });
        Ok(())
    }

    async fn close_bucket(&mut self) -> Result<()> {
        let Some(mut open) = self.bucket.take() else { return Ok(()) };
        open.write_rows(&mut self.report).await?;
        self.report.files.push(open.features.finish().await?);
        self.report.files.push(open.profiles.finish().await?);
        Ok(())
    }

    async fn finish(&mut self) -> Result<Report> {
        self.replay().await?;
        self.close_bucket().await?;
        if let Some((mut part, mut columns)) = self.rejects.take() {
            part.write(&columns.finish()?).await?;
            self.report.files.push(part.finish().await?);
        }
        self.report.sources = std::mem::take(&mut self.sources).digests();
        Ok(std::mem::take(&mut self.report))
    }

    fn part(&self, path: &str, schema: SchemaRef, metadata: &[(&str, String)]) -> Result<Part> {
        Part::create(Arc::clone(&self.store), &self.folder, path, schema, metadata)
    }
}

impl Bucket {
    /// Hands the rows gathered so far to the writer.
    async fn write_rows(&mut self, report: &mut Report) -> Result<()> {
        let rows = self.columns.finish()?;
        report.statistics.add(&rows)?;
        self.features.write(&rows).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_answered_twice_counts_once() {
        let of =
            |buckets: &[u32], kept| Report { buckets: buckets.iter().copied().collect(), kept, ..Report::default() };
        let mut sum = Report::default();
        for report in [of(&[], 0), of(&[1, 5], 7), of(&[2], 1), of(&[1, 5], 7), of(&[32], 3), of(&[2], 1)] {
            sum.add(report);
        }
        assert_eq!(sum.kept, 11);
    }

    #[test]
    fn reasons_are_counted_by_kind_and_not_without_end() {
        let mut report = Report::default();
        let mut reject = |field: &str, reason: &str, line: u64| {
            report.reason(&Reject {
                file: "file:///a.json".into(),
                line,
                offset: 0,
                field: field.into(),
                reason: reason.into(),
                sample: String::new(),
            });
        };
        reject("files[7].additions", r#"expected a whole number, found string "a \"b\"""#, 9);
        reject("files[12].additions", "expected a whole number, found string \"c\"", 4);
        reject("", "not JSON: expected value at line 1 column 2", 5);
        for index in 0..2 * MOST_REASONS as u64 {
            let letters: String = index.to_string().bytes().map(|digit| char::from(digit + 49)).collect();
            reject(&letters, "missing", 10 + index);
        }
        let of = |reason: &str| report.reasons.get(reason).map(|complaint| (complaint.times, complaint.line));
        assert_eq!(of("field `files[].additions`: expected a whole number, found string …"), Some((2, 4)));
        assert_eq!(of("not JSON: expected value"), Some((1, 5)));
        assert_eq!(report.reasons.len(), MOST_REASONS + 1);
        assert_eq!(report.reasons.values().map(|complaint| complaint.times).sum::<u64>(), 3 + 2 * MOST_REASONS as u64);
        assert_eq!(of("other reasons").unwrap().0, MOST_REASONS as u64 + 2);
    }

    #[test]
    fn partitions_add_up_in_any_order() {
        let report = |index: u64, as_of: Option<i64>| Report {
            buckets: BTreeSet::from([index as u32]),
            files: vec![FileEntry { path: format!("part-{index}"), bytes: index, sha256: String::new() }],
            read: index,
            kept: 10 * index,
            superseded: 100 * index,
            rejected: 1000 * index,
            repositories: 10_000 * index,
            as_of,
            sources: vec![(format!("file-{index}"), String::new())],
            reasons: BTreeMap::from([(
                "missing".to_owned(),
                Complaint { times: index, file: "file:///a.json".into(), line: index },
            )]),
            statistics: Sketches::default(),
        };
        let partitions = [report(1, Some(5)), report(2, Some(9)), report(3, None), report(4, Some(7))];
        let sum = |partitions: &mut dyn Iterator<Item = &Report>| {
            let mut sum = Report::default();
            partitions.for_each(|report| sum.add(report.clone()));
            sum.files.sort_by(|a, b| a.path.cmp(&b.path));
            sum.sources.sort();
            serde_json::to_value(sum).unwrap()
        };
        let forwards = sum(&mut partitions.iter());
        assert_eq!(forwards, sum(&mut partitions.iter().rev()));
        assert_eq!(forwards["as_of"], 9);
        let counts = ["read", "kept", "superseded", "rejected", "repositories"].map(|name| forwards[name].as_u64());
        assert_eq!(counts, [10, 100, 1000, 10_000, 100_000].map(Some));
        assert_eq!(
            forwards["reasons"]["missing"],
            serde_json::json!({ "times": 10, "file": "file:///a.json", "line": 1 })
        );
        assert_eq!(
            (forwards["files"].as_array().unwrap().len(), forwards["sources"].as_array().unwrap().len()),
            (4, 4)
        );
    }
}

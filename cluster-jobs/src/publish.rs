//! Publishing: replays the history of each repository, calls the kernel, and writes what comes out.
//!
//! Rows arrive by bucket and repository, and are put in the order of creation a repository at a time
//! ([`crate::gathered`]). A bucket becomes one file of features and one of profiles, named
//! after it; rows that belong to no repository (rejects, tallies) come last. Each partition leaves one report
//! beside them.

use std::fmt;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int64Type, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{Distribution, EquivalenceProperties, OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements, PlanProperties,
};
use futures::{StreamExt, TryStreamExt, stream};
use prowl_features::{Outcome, Replay, profile_schema, repository_batch};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::columns::{FeatureColumns, RejectColumns, feature_schema, file_metadata, reject_schema};
use crate::feature_file::FeatureFile;
use crate::gathered::Gathered;
use crate::parts::{Part, RunFolder};
use crate::report::{Later, Report};
use crate::requirements::{BY_REPOSITORY, by_bucket, order};
use crate::rows::{LATER, LISTED, NEWEST, OUTCOME_ROWS, Row, RowReader, Tally};
use crate::sources::Sources;

/// Rows that are gathered before they are handed to the writer, or bytes, whichever comes first.
const BATCH_ROWS: usize = 4096;
const BATCH_BYTES: usize = 16 << 20;

/// It answers with no rows: all that it has to say lies in the store.
pub(crate) static NO_ROWS: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::empty()));

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
            EquivalenceProperties::new(Arc::clone(&NO_ROWS)),
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
        let store = context.runtime_env().object_store_registry.get_store(&url)?;
        let keep_history = self.publication.keep_history;
        let features = feature_schema(keep_history);
        let mut press = Press {
            folder: RunFolder::new(store, &url)?,
            columns: FeatureColumns::new(Arc::clone(&features), keep_history),
            features,
            now: self.publication.now,
            first_bucket: None,
            repository: None,
            pool: Arc::clone(&context.runtime_env().memory_pool),
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
            press.finish().await?;
            Ok(RecordBatch::new_empty(Arc::clone(&NO_ROWS)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), output.boxed())))
    }
}

/// Writes the files of one partition.
struct Press {
    folder: RunFolder,
    features: SchemaRef,
    now: i64,
    /// The bucket of its first row, which no other partition has.
    first_bucket: Option<u32>,
    /// The repository that is being gathered, or the group of what belongs to none.
    repository: Option<u64>,
    pool: Arc<dyn MemoryPool>,
    gathered: Gathered,
    bucket: Option<Bucket>,
    /// Rows of the bucket, until they are handed to its writer.
    columns: FeatureColumns,
    rejects: Option<(Part, RejectColumns)>,
    sources: Sources,
    report: Report,
}

/// The files of one bucket.
struct Bucket {
    number: u32,
    features: FeatureFile,
    profiles: Part,
    /// What the profiles' writer holds.
    memory: MemoryReservation,
}

impl Press {
    async fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        let newest = batch.column(NEWEST).as_boolean();
        let superseded = newest.false_count();
        self.report.superseded += superseded as u64;
        self.report.listed += batch.column(LISTED).as_boolean().true_count() as u64;
        // Few are not worth a copy of the others; many would be held with a repository for nothing.
        let batch = if 2 * superseded > batch.num_rows() { filter_record_batch(batch, newest)? } else { batch.clone() };
        let (rows, newest) = (RowReader::new(&batch), batch.column(NEWEST).as_boolean());
        let later = batch.column(LATER).as_primitive::<Int64Type>();
        for row in 0..rows.len() {
            self.first_bucket.get_or_insert_with(|| rows.bucket(row));
            if self.repository != Some(rows.repository(row)) {
                self.replay().await?;
                self.repository = Some(rows.repository(row));
            }
            match rows.row(row)? {
                Row::Document if newest.value(row) => {
                    if later.is_valid(row) {
                        let latest = (later.value(row), rows.facts(row)?.repository, rows.number(row));
                        self.report.later.add(Later { count: 1, latest: Some(latest) });
                    }
                    self.gathered.push(&batch, &rows, row)?;
                }
                Row::Document => {}
                Row::Reject(reject) => {
                    let reject = self.sources.number(reject);
                    self.report.rejected += 1;
                    self.report.reason(&reject);
                    if self.rejects.is_none() {
                        let part = self.folder.part("rejects/part-00000.parquet", reject_schema(), &[])?;
                        self.rejects = Some((part, RejectColumns::default()));
                    }
                    let Some((part, columns)) = &mut self.rejects else { continue };
                    columns.push(&reject);
                    if columns.len() >= BATCH_ROWS {
                        part.write(&columns.finish()?).await?;
                    }
                }
                Row::Tally(Tally { read, source }) => {
                    self.report.read += read;
                    self.sources.add(source);
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
            self.columns.push(&facts, &history, reverted_at, reverted)?;
            name.get_or_insert(facts.repository);
            self.report.kept += 1;
            let is_full = self.columns.len() >= BATCH_ROWS || self.columns.bytes() >= BATCH_BYTES;
            if is_full {
                bucket.features.write(self.columns.finish()?).await?;
            }
        }
        let ledger = replay.finish();
        self.report.repositories += 1;
        self.report.as_of = self.report.as_of.max(ledger.as_of());
        bucket.profiles.write(&repository_batch(&name.unwrap_or_default(), &ledger)?).await?;
        bucket.memory.resize(bucket.profiles.memory());
        Ok(())
    }

    /// Begins the files of a bucket, unless they are.
    async fn open_bucket(&mut self, bucket: u32) -> Result<()> {
        if self.bucket.as_ref().is_some_and(|open| open.number == bucket) {
            return Ok(());
        }
        self.close_bucket().await?;
        let name = format!("part-{bucket:05}.parquet");
        let features = self.folder.part(&name, Arc::clone(&self.features), &file_metadata())?;
        let statistics = std::mem::take(&mut self.report.statistics);
        let memory = || MemoryConsumer::new("row groups").register(&self.pool);
        self.bucket = Some(Bucket {
            number: bucket,
            features: FeatureFile::begin(features, statistics, memory()),
            profiles: self.folder.part(&format!("profiles/{name}"), profile_schema(), &[])?,
            memory: memory(),
        });
        Ok(())
    }

    async fn close_bucket(&mut self) -> Result<()> {
        let Some(Bucket { features, profiles, .. }) = self.bucket.take() else { return Ok(()) };
        let (features, statistics) = features.finish(self.columns.finish()?).await?;
        self.report.statistics = statistics;
        self.report.files.extend([features, profiles.finish().await?]);
        Ok(())
    }

    async fn finish(&mut self) -> Result<()> {
        self.replay().await?;
        self.close_bucket().await?;
        if let Some((mut part, mut columns)) = self.rejects.take() {
            part.write(&columns.finish()?).await?;
            self.report.files.push(part.finish().await?);
        }
        self.report.sources = std::mem::take(&mut self.sources).digests();
        // A partition without rows has nothing to say.
        let Some(bucket) = self.first_bucket else { return Ok(()) };
        self.folder.put_report(bucket, &self.report).await
    }
}

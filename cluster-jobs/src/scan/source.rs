//! The file source: what the engine's own file scan (`DataSourceExec`) reads an export by.
//!
//! Ballista gives a task its share of a scan by leaving it some of the file groups, and it knows how to do that for the
//! engine's own scan only. Its plan then crosses the wire as a [`FileScan`].

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileGroup, FileOpenFuture, FileOpener, FileScanConfig, FileScanConfigBuilder, FileSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan};
use futures::{FutureExt, StreamExt};
use object_store::ObjectStore;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use url::{Position, Url};

use super::ranges::Part;
use super::read::{read, unreadable};
use super::stored::Fetch;
use crate::failure::failure;
use crate::rows::FACT_ROWS;

/// A scan of an export: all that crosses the wire of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileScan {
    /// What each partition reads.
    pub(crate) groups: Vec<Vec<Part>>,
    /// Columns by position; `None` for all.
    pub(crate) columns: Option<Vec<usize>>,
    /// Rows after which a partition may end.
    pub(crate) limit: Option<usize>,
    pub(crate) max_line_bytes: usize,
}

impl FileScan {
    /// The operator that does it.
    ///
    /// # Errors
    /// A file has a name that no store knows, or the files lie in different stores.
    pub(crate) fn exec(self) -> Result<Arc<dyn ExecutionPlan>> {
        let mut store = None;
        let mut groups = Vec::new();
        for group in self.groups {
            let mut files = Vec::new();
            for part in group {
                let url = Url::parse(&part.file.url).map_err(|error| DataFusionError::External(error.into()))?;
                let of_file = &url[..Position::BeforePath];
                if store.get_or_insert_with(|| of_file.to_owned()) != of_file {
                    let other = store.unwrap_or_default();
                    return Err(failure(&format_args!(
                        "an export lies in one store, not in {other} and {of_file}: make a run of the files of each"
                    )));
                }
                files.push(file(part, &url)?);
            }
            groups.push(FileGroup::new(files));
        }
        let store = ObjectStoreUrl::parse(store.as_deref().unwrap_or("file://"))?;
        let source = ExportSource {
            table: TableSchema::from(Arc::clone(&FACT_ROWS)),
            projection: self.columns.map(|columns| ProjectionExprs::from_indices(&columns, &FACT_ROWS)),
            max_line_bytes: self.max_line_bytes,
            metrics: ExecutionPlanMetricsSet::new(),
        };
        let scan = FileScanConfigBuilder::new(store, Arc::new(source)).with_file_groups(groups).with_limit(self.limit);
        Ok(DataSourceExec::from_data_source(scan.build()))
    }

    /// What an operator scans, if it is one of ours.
    pub(crate) fn of(exec: &DataSourceExec) -> Option<Self> {
        let scan = exec.data_source().downcast_ref::<FileScanConfig>()?;
        let source = scan.file_source().downcast_ref::<ExportSource>()?;
        let groups = scan.file_groups.iter().map(|group| group.files().iter().map(part).collect::<Option<_>>());
        Some(Self {
            groups: groups.collect::<Option<_>>()?,
            columns: match &source.projection {
                Some(projection) => Some(columns(projection)?),
                None => None,
            },
            limit: scan.limit,
            max_line_bytes: source.max_line_bytes,
        })
    }
}

fn file(part: Part, url: &Url) -> Result<PartitionedFile> {
    let path = Path::from_url_path(url.path())
        .map_err(|error| failure(&format_args!("{url} cannot be read by this name: {error}")))?;
    let mut file = PartitionedFile::new(String::new(), part.file.bytes);
    file.object_meta.location = path;
    if let Some(range) = &part.range {
        file = file.with_range(range.start as i64, range.end as i64);
    }
    Ok(file.with_extension(part))
}

fn part(file: &PartitionedFile) -> Option<Part> {
    file.extension::<Part>().cloned()
}

/// The columns that a projection keeps, if it does nothing else.
fn columns(projection: &ProjectionExprs) -> Option<Vec<usize>> {
    let column = |expression: &datafusion::physical_expr::projection::ProjectionExpr| {
        let column = expression.expr.downcast_ref::<Column>()?;
        (column.name() == expression.alias).then(|| column.index())
    };
    projection.iter().map(column).collect()
}

/// Reads exports.
#[derive(Clone)]
struct ExportSource {
    table: TableSchema,
    projection: Option<ProjectionExprs>,
    max_line_bytes: usize,
    metrics: ExecutionPlanMetricsSet,
}

impl FileSource for ExportSource {
    fn create_file_opener(
        &self,
        store: Arc<dyn ObjectStore>,
        _: &FileScanConfig,
        _: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let columns = self.projection.as_ref().map(|projection| {
            columns(projection).ok_or_else(|| DataFusionError::Internal("a scan can only leave columns out".into()))
        });
        Ok(Arc::new(Opener { store, columns: columns.transpose()?, max_line_bytes: self.max_line_bytes }))
    }

    fn table_schema(&self) -> &TableSchema {
        &self.table
    }

    fn with_batch_size(&self, _: usize) -> Arc<dyn FileSource> {
        // Batches are as big as the rows of an export make them.
        Arc::new(self.clone())
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        self.projection.as_ref()
    }

    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn FileSource>>> {
        let projection = match &self.projection {
            Some(before) => before.try_merge(projection)?,
            None => projection.clone(),
        };
        if columns(&projection).is_none() {
            return Ok(None);
        }
        Ok(Some(Arc::new(Self { projection: Some(projection), ..self.clone() })))
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &'static str {
        "export"
    }

    fn fmt_extra(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ", max_line_bytes={}", self.max_line_bytes)
    }

    fn supports_repartitioning(&self) -> bool {
        // The parts are even already, and their ranges have to be subtrees of the file's hash.
        false
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }
}

/// Opens one part after the other.
struct Opener {
    store: Arc<dyn ObjectStore>,
    columns: Option<Vec<usize>>,
    max_line_bytes: usize,
}

impl FileOpener for Opener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let part = part(&file).ok_or_else(|| DataFusionError::Internal("a file of another scan".into()))?;
        let fetch = Fetch {
            store: Arc::clone(&self.store),
            path: file.object_meta.location,
            runtime: Handle::current(),
            bytes: part.file.bytes,
            has_digest: part.file.sha256.is_some(),
        };
        let (columns, limit) = (self.columns.clone(), self.max_line_bytes);
        let mut output = RecordBatchReceiverStreamBuilder::new(Arc::clone(&FACT_ROWS), 2);
        let rows = output.tx();
        // Decompressing and parsing would keep an async thread busy for long; they get one of their own.
        output.spawn_blocking(move || {
            let input = match &part.range {
                None => fetch.whole(),
                Some(range) => fetch.lines_of(range),
            };
            let input = input.map_err(|error| unreadable(&part.file.url, &error))?;
            read(&part, input, limit, |batch| {
                let batch = match &columns {
                    Some(columns) => batch.project(columns)?,
                    None => batch,
                };
                // The receiver is gone only when the query was given up, or has enough.
                let cancelled = |_| DataFusionError::Execution("the query was cancelled".into());
                rows.blocking_send(Ok(batch)).map_err(cancelled)
            })
        });
        Ok(async move { Ok(output.build().boxed()) }.boxed())
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use arrow::datatypes::UInt64Type;
    use arrow::{array::AsArray, util::pretty::pretty_format_batches};
    use ballista_scheduler::state::task_builder::restrict_plan_to_partitions;
    use datafusion::physical_plan::displayable;
    use datafusion::prelude::SessionContext;
    use datafusion_proto::physical_plan::AsExecutionPlan;
    use datafusion_proto::protobuf::PhysicalPlanNode;

    use super::*;
    use crate::plan::PhysicalCodec;
    use crate::scan::{ExportFile, ExportTable, Scan};

    fn file(url: String, sha256: Option<&str>) -> ExportFile {
        ExportFile { url, bytes: 100, sha256: sha256.map(str::to_owned), divisible: sha256.is_none() }
    }

    #[test]
    fn a_task_gets_its_share_of_the_scan() {
        let part = |name: &str, range: Option<Range<u64>>| Part {
            file: file(format!("file:///export/{name}"), range.is_none().then_some("5a")),
            range,
        };
        let groups = vec![
            vec![part("a%20b.json", Some(0..40)), part("c.json.gz", None)],
            vec![part("a%20b.json", Some(40..100))],
            vec![part("d.json", None)],
        ];
        let scan = FileScan { groups, columns: Some(vec![3, 0]), limit: Some(7), max_line_bytes: 99 };
        let exec = scan.clone().exec().unwrap();
        let share = restrict_plan_to_partitions(exec, &[0, 1]).unwrap();
        let message = PhysicalPlanNode::try_from_physical_plan(share, &PhysicalCodec::default()).unwrap();
        let context = SessionContext::new().task_ctx();
        let there = message.try_into_physical_plan(&context, &PhysicalCodec::default()).unwrap();
        let found = FileScan::of((there.as_ref() as &dyn std::any::Any).downcast_ref().unwrap()).unwrap();
        assert_eq!(found, FileScan { groups: scan.groups[..2].to_vec(), ..scan.clone() });
        let shown = displayable(there.as_ref()).one_line().to_string();
        assert!(shown.contains("a b.json:0..40") && shown.contains("max_line_bytes=99"), "{shown}");

        let mut elsewhere = scan;
        elsewhere.groups[1][0].file.url = "s3://bucket/x".into();
        assert!(elsewhere.exec().unwrap_err().to_string().contains("one store"));
    }

    #[tokio::test]
    async fn a_query_reads_the_columns_and_rows_that_it_asks_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("export.json");
        let line = |number: u64| {
            format!(
                r#"{{"number":{number},"created_at":"2024-01-01T00:00:00Z","base":{{"repo":{{"full_name":"o/r"}}}}}}"#
            )
        };
        let text = (1..=9).map(line).collect::<Vec<_>>().join("\n");
        std::fs::write(&path, &text).unwrap();
        let url = Url::from_file_path(&path).unwrap().into();
        let file = ExportFile { bytes: text.len() as u64, ..file(url, None) };
        let table = ExportTable(Scan { files: vec![file], max_line_bytes: 1000 });
        let context = SessionContext::new();
        context.register_table("export", Arc::new(table)).unwrap();
        let query = context.table("export").await.unwrap().select_columns(&["number"]).unwrap();
        let batches = query.clone().limit(0, Some(2)).unwrap().collect().await.unwrap();
        let plan = query.limit(0, Some(2)).unwrap().create_physical_plan().await.unwrap();
        let shown = displayable(plan.as_ref()).indent(false).to_string();
        assert!(shown.contains("projection=[number], limit=2") && !shown.contains("ProjectionExec"), "{shown}");
        assert!(batches.iter().all(|batch| batch.num_columns() == 1), "{}", pretty_format_batches(&batches).unwrap());
        let numbers = batches.iter().flat_map(|batch| batch.column(0).as_primitive::<UInt64Type>().values());
        assert_eq!(numbers.copied().collect::<Vec<_>>(), [1, 2]);
        // All of them, and the tally.
        let all = context.table("export").await.unwrap().collect().await.unwrap();
        assert_eq!(all.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 10);
        assert_eq!(all[0].schema(), *FACT_ROWS);

        // Somebody writes into it: read from there on it would be another export.
        std::fs::write(&path, format!("{text}\n{}", line(10))).unwrap();
        let said = context.table("export").await.unwrap().collect().await.unwrap_err().to_string();
        assert!(said.contains(&format!("it had {} bytes when the run began", text.len())), "{said}");
    }
}

//! The plan as the planner sees it: two nodes of our own over the scan, and what they ask of their input.

mod codec;
mod nodes;

use std::sync::Arc;

use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::Schema;
use datafusion::common::Result;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Extension, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, OrderingRequirements, PhysicalExpr, PhysicalSortExpr};

pub(crate) use codec::{LogicalCodec, PhysicalCodec};
pub(crate) use nodes::QueryPlanner;

use crate::publish::Publication;
use crate::rows::BUCKET;
use crate::scan::{ExportTable, Scan};
use nodes::Node;

/// The whole job: scan, outcomes, publish.
pub(crate) fn job(scan: Scan, maturity: i64, publication: Publication) -> Result<LogicalPlan> {
    let source = provider_as_source(Arc::new(ExportTable(scan)));
    let rows = LogicalPlanBuilder::scan("export", source, None)?.build()?;
    let outcomes = LogicalPlan::Extension(Extension { node: Arc::new(Node::outcomes(rows, maturity)?) });
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(Node::publish(outcomes, publication)?) }))
}

/// Rows of one bucket belong into one partition.
pub(crate) fn by_bucket() -> Vec<Arc<dyn PhysicalExpr>> {
    vec![Arc::new(Column::new("bucket", BUCKET))]
}

/// An order by columns of `schema`, each ascending or, with `true`, descending; nulls come last either way.
pub(crate) fn sorted(schema: &Schema, columns: &[(usize, bool)]) -> OrderingRequirements {
    let by = columns.iter().map(|(index, descending)| {
        PhysicalSortExpr::new(
            Arc::new(Column::new(schema.field(*index).name(), *index)),
            SortOptions { descending: *descending, nulls_first: false },
        )
    });
    let ordering = LexOrdering::new(by).expect("every operator sorts by at least one column");
    OrderingRequirements::from(ordering)
}

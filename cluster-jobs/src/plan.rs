//! The plan as the planner sees it: two nodes of our own over the scan.

mod codec;
mod nodes;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Extension, LogicalPlan, LogicalPlanBuilder};
use prowl_features::Maturity;

pub(crate) use codec::{LogicalCodec, PhysicalCodec};
pub(crate) use nodes::QueryPlanner;

use crate::publish::Publication;
use crate::scan::{ExportTable, Scan};
use nodes::Node;

/// The whole job: scan, outcomes, publish.
pub(crate) fn job(scan: Scan, maturity: Maturity, publication: Publication) -> Result<LogicalPlan> {
    let source = provider_as_source(Arc::new(ExportTable(scan)));
    let rows = LogicalPlanBuilder::scan("export", source, None)?.build()?;
    let outcomes = LogicalPlan::Extension(Extension { node: Arc::new(Node::outcomes(rows, maturity)?) });
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(Node::publish(outcomes, publication)?) }))
}

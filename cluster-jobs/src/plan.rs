//! The plan as the planner sees it: two nodes of our own over the scan.

mod codec;
mod nodes;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Extension, LogicalPlan, LogicalPlanBuilder};
use prowl_features::Maturity;

pub(crate) use codec::{LogicalCodec, PhysicalCodec};
pub(crate) use nodes::{Operation, QueryPlanner};

use crate::publish::Publication;
use crate::reverts::Reverts;
use crate::scan::{ExportTable, Scan};
use nodes::Node;

/// The whole job: scan, outcomes, publish.
pub(crate) fn job(scan: Scan, maturity: Maturity, reverts: Reverts, publication: Publication) -> Result<LogicalPlan> {
    let source = provider_as_source(Arc::new(ExportTable(scan)));
    let rows = LogicalPlanBuilder::scan("export", source, None)?.build()?;
    let outcomes = LogicalPlan::Extension(Extension { node: Arc::new(Node::outcomes(rows, maturity, reverts)?) });
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(Node::publish(outcomes, publication)?) }))
}

#[cfg(test)]
mod tests {
    use datafusion::execution::runtime_env::RuntimeEnv;
    use datafusion::physical_plan::displayable;

    use super::*;
    use crate::scan::ExportFile;
    use crate::session;

    #[tokio::test]
    async fn rows_are_exchanged_once_and_sorted_once() {
        let file = |name: &str| ExportFile {
            url: format!("file:///export/{name}"),
            bytes: 100 << 20,
            sha256: None,
            divisible: true,
        };
        let scan = Scan { files: vec![file("a"), file("b")], max_line_bytes: 1000 };
        let publication = Publication { folder: "file:///store/run/".into(), keep_history: false, now: 1 };
        let state = session::state(session::config().with_target_partitions(8), Arc::new(RuntimeEnv::default()));
        let plan = job(scan, Maturity { window: 1, now: 1 }, Reverts::default(), publication).unwrap();
        let plan = state.create_physical_plan(&plan).await.unwrap();
        let shown = displayable(plan.as_ref()).indent(false).to_string();
        let operators: Vec<_> = shown.lines().filter_map(|line| line.trim().split(':').next()).collect();
        let expected = ["PublishExec", "OutcomesExec", "SortExec", "RepartitionExec", "DataSourceExec"];
        assert_eq!(operators, expected, "{shown}");
        assert!(shown.contains("partitioning=Hash([bucket@0], 8)"), "{shown}");
    }
}

//! The nodes of the logical plan and how each becomes an operator.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, DFSchemaRef, DataFusionError, Result};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use prowl_features::Maturity;
use serde::{Deserialize, Serialize};

use crate::outcomes::OutcomesExec;
use crate::publish::{NO_ROWS, Publication, PublishExec};
use crate::reverts::Reverts;
use crate::rows::OUTCOME_ROWS;

/// What a node does: all that crosses the wire of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub(crate) enum Operation {
    Outcomes(Maturity, Reverts),
    Publish(Publication),
}

/// A node over one input.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    pub(crate) operation: Operation,
    input: LogicalPlan,
    schema: DFSchemaRef,
}

impl Node {
    pub(crate) fn new(operation: Operation, input: LogicalPlan) -> Result<Self> {
        let schema = match operation {
            Operation::Outcomes(..) => &OUTCOME_ROWS,
            Operation::Publish(_) => &NO_ROWS,
        };
        let schema = Arc::new(DFSchema::try_from(schema.as_ref().clone())?);
        Ok(Self { operation, input, schema })
    }

    pub(super) fn outcomes(input: LogicalPlan, maturity: Maturity, reverts: Reverts) -> Result<Self> {
        Self::new(Operation::Outcomes(maturity, reverts), input)
    }

    pub(super) fn publish(input: LogicalPlan, publication: Publication) -> Result<Self> {
        Self::new(Operation::Publish(publication), input)
    }
}

impl PartialOrd for Node {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.operation.partial_cmp(&other.operation)
    }
}

impl UserDefinedLogicalNodeCore for Node {
    fn name(&self) -> &'static str {
        match self.operation {
            Operation::Outcomes(..) => "Outcomes",
            Operation::Publish(_) => "Publish",
        }
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(UserDefinedLogicalNodeCore::name(self))
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        Self::new(self.operation.clone(), inputs.swap_remove(0))
    }
}

/// DataFusion's own planner, which also knows our nodes.
#[derive(Debug)]
pub(crate) struct QueryPlanner;

#[async_trait]
impl datafusion::execution::context::QueryPlanner for QueryPlanner {
    async fn create_physical_plan(
        &self,
        logical_plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(Planner)])
            .create_physical_plan(logical_plan, session)
            .await
    }
}

struct Planner;

#[async_trait]
impl ExtensionPlanner for Planner {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        _: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(node) = node.as_any().downcast_ref::<Node>() else { return Ok(None) };
        let [input] = inputs else {
            return Err(DataFusionError::Plan("a node over one input got another number of them".into()));
        };
        Ok(Some(node.operation.over(Arc::clone(input))))
    }
}

impl Operation {
    /// The operator that does this to `input`.
    pub(crate) fn over(&self, input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        match self {
            Self::Outcomes(maturity, reverts) => {
                Arc::new(OutcomesExec::new(input, *maturity, Arc::new(reverts.clone())))
            }
            Self::Publish(publication) => Arc::new(PublishExec::new(input, publication.clone())),
        }
    }
}

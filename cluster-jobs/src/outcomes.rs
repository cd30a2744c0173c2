//! The outcomes: which version of a pull request is the newest, and what later became of it.
//!
//! Rows arrive by bucket, repository, descending number and descending age of version, so one pass with a small state
//! suffices: the first row of an identity is its newest version, and a revert has a higher number than what it
//! reverts ([`prowl_features::Outcomes`]). A list of reverts counts beside what the documents say.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBuilder, Int64Builder, RecordBatch};
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_expr::{Distribution, OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements, PlanProperties,
};
use futures::StreamExt;
use prowl_features::{Maturity, Outcome, Outcomes};

use crate::plan::Operation;
use crate::requirements::{BY_REPOSITORY, by_bucket, order};
use crate::reverts::Reverts;
use crate::rows::{DIGEST, FACT_ROWS, FETCHED_AT, OUTCOME_ROWS, RowReader, UPDATED_AT};

const NEWEST_FIRST: [(usize, bool); 6] =
    [BY_REPOSITORY[0], BY_REPOSITORY[1], BY_REPOSITORY[2], (UPDATED_AT, true), (FETCHED_AT, true), (DIGEST, false)];

/// Tells the newest versions and their outcomes.
#[derive(Debug)]
pub(crate) struct OutcomesExec {
    input: Arc<dyn ExecutionPlan>,
    maturity: Maturity,
    reverts: Arc<Reverts>,
    properties: Arc<PlanProperties>,
}

impl OutcomesExec {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, maturity: Maturity, reverts: Arc<Reverts>) -> Self {
        // Columns are added, in the order of the input.
        let ordered = [order(&OUTCOME_ROWS, &BY_REPOSITORY)];
        let properties = PlanProperties::new(
            EquivalenceProperties::new_with_orderings(Arc::clone(&OUTCOME_ROWS), ordered),
            input.output_partitioning().clone(),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { input, maturity, reverts, properties: Arc::new(properties) }
    }

    /// What it does.
    pub(crate) fn operation(&self) -> Operation {
        Operation::Outcomes(self.maturity, self.reverts.as_ref().clone())
    }
}

impl DisplayAs for OutcomesExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Maturity { window, now } = self.maturity;
        write!(f, "OutcomesExec: maturity_ms={window} now_ms={now} listed_reverts={}", self.reverts.len())
    }
}

impl ExecutionPlan for OutcomesExec {
    fn name(&self) -> &'static str {
        "OutcomesExec"
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
        vec![Some(order(&FACT_ROWS, &NEWEST_FIRST).into())]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        // Else the rows of a single file would stay in one partition, and the rest of the work in one task.
        vec![true]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.swap_remove(0), self.maturity, Arc::clone(&self.reverts))))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let mut pass = Pass::new(self.maturity, Arc::clone(&self.reverts));
        let output = input.map(move |batch| pass.batch(&batch?));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), output)))
    }
}

/// The state of one pass over sorted rows.
struct Pass {
    maturity: Maturity,
    reverts: Arc<Reverts>,
    repository: Option<u64>,
    outcomes: Outcomes,
    identity: Option<(u64, u64)>,
}

impl Pass {
    fn new(maturity: Maturity, reverts: Arc<Reverts>) -> Self {
        Self { maturity, reverts, repository: None, outcomes: Outcomes::new(maturity), identity: None }
    }

    /// The same rows with what became of them. None is left out, since that would copy the others.
    fn batch(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = RowReader::new(batch);
        let mut newest = BooleanBuilder::with_capacity(rows.len());
        let mut reverted_at = Int64Builder::with_capacity(rows.len());
        let mut reverted = BooleanBuilder::with_capacity(rows.len());
        let mut listed = BooleanBuilder::with_capacity(rows.len());
        let mut later = Int64Builder::with_capacity(rows.len());
        for row in 0..rows.len() {
            let Told { is_newest, outcome, is_listed, later_at } =
                if rows.is_document(row) { self.document(&rows, row)? } else { Told::default() };
            newest.append_value(is_newest);
            listed.append_value(is_listed);
            later.append_option(later_at);
            reverted_at.append_option(outcome.reverted_at);
            reverted.append_option(outcome.reverted);
        }
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        columns.extend([
            Arc::new(newest.finish()) as ArrayRef,
            Arc::new(reverted_at.finish()),
            Arc::new(reverted.finish()),
            Arc::new(listed.finish()),
            Arc::new(later.finish()),
        ]);
        Ok(RecordBatch::try_new(Arc::clone(&OUTCOME_ROWS), columns)?)
    }

    fn document(&mut self, rows: &RowReader<'_>, row: usize) -> Result<Told> {
        let identity = (rows.repository(row), rows.number(row));
        if self.identity == Some(identity) {
            return Ok(Told { is_newest: false, ..Told::default() });
        }
        self.identity = Some(identity);
        if self.repository != Some(identity.0) {
            self.repository = Some(identity.0);
            self.outcomes = Outcomes::new(self.maturity);
        }
        let mut lifecycle = rows.lifecycle(row)?;
        let listed = lifecycle.merged_at.and_then(|merged_at| self.reverts.of(identity.0, identity.1, merged_at));
        lifecycle.reverted_at = [lifecycle.reverted_at, listed].into_iter().flatten().min();
        let times = [Some(lifecycle.created_at), lifecycle.merged_at, lifecycle.reverted_at];
        let later_at = times.into_iter().flatten().filter(|at| *at > self.maturity.now).max();
        Ok(Told { is_newest: true, outcome: self.outcomes.next(&lifecycle), is_listed: listed.is_some(), later_at })
    }
}

/// What is told of a row.
struct Told {
    /// Whether it is the newest version.
    is_newest: bool,
    /// What became of it.
    outcome: Outcome,
    /// Whether the list of reverts names it, and it was merged.
    is_listed: bool,
    /// The latest of its times that are after the moment of the run, and so do not count.
    later_at: Option<i64>,
}

impl Default for Told {
    /// That of what is no document.
    fn default() -> Self {
        Self { is_newest: true, outcome: Outcome::default(), is_listed: false, later_at: None }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;
    use prowl_features::{Facts, PullRequest};

    use super::*;
    use crate::rows::{LATER, RowBuilder};

    #[test]
    fn the_latest_time_that_has_not_come_is_told_of_the_newest_version() {
        let mut rows = RowBuilder::default();
        for (number, created_at, merged_at, reverted_at) in [
            (4, 11, None, None),
            (4, 12, None, None),
            (3, 9, Some(13), Some(12)),
            (2, 9, Some(10), Some(14)),
            (1, 9, Some(10), Some(10)),
        ] {
            let repository = "o/r".into();
            let pull_request =
                PullRequest { repository, number, created_at, merged_at, reverted_at, ..PullRequest::default() };
            rows.document(&Facts::of(&pull_request)).unwrap();
        }
        let mut pass = Pass::new(Maturity { window: 1, now: 10 }, Arc::default());
        let told = pass.batch(&rows.finish().unwrap()).unwrap();
        let later: Vec<_> = told.column(LATER).as_primitive::<Int64Type>().iter().collect();
        assert_eq!(later, [Some(11), None, Some(13), Some(14), None]);
    }
}

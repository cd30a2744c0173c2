//! A plan that was handed to a scheduler, and can be taken back.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use ballista_core::execution_plans::DistributedQueryExec;
use ballista_core::serde::protobuf::CancelJobParams;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionContext;
use datafusion_proto::protobuf::LogicalPlanNode;
use futures::TryStreamExt;
use tokio::time::{interval, sleep, timeout};

/// How long taking a job back may take.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

/// A job on its way.
pub(crate) struct Submission {
    query: Arc<dyn ExecutionPlan>,
    answer: SendableRecordBatchStream,
    scheduler: String,
}

impl Submission {
    /// Prepares to hand `plan` to the scheduler at an `http://` URL; the first wait for an answer does it.
    pub(super) async fn new(context: &SessionContext, plan: LogicalPlan, scheduler: String) -> Result<Self> {
        let query = context.execute_logical_plan(plan).await?.create_physical_plan().await?;
        let answer = execute_stream(Arc::clone(&query), context.task_ctx())?;
        Ok(Self { query, answer, scheduler })
    }

    /// Waits for the end of the job. What its last tasks answer with has no rows and is not fetched, so that an executor
    /// which is lost after them is no failure.
    pub(crate) async fn done(&mut self) -> Result<()> {
        let mut moments = interval(Duration::from_millis(10));
        loop {
            tokio::select! {
                biased;
                _ = moments.tick() => if self.has_ended_well() { return Ok(()) },
                next = self.answer.try_next() => match next {
                    Err(_) if self.has_ended_well() => return Ok(()),
                    Err(error) => return Err(error),
                    Ok(None) => return Ok(()),
                    Ok(Some(_)) => {}
                },
            }
        }
    }

    /// Whether the scheduler has said that all tasks are done: the client then notes how long they took.
    fn has_ended_well(&self) -> bool {
        self.query.metrics().is_some_and(|metrics| metrics.sum_by_name("job_execution_time_ms").is_some())
    }

    /// Tells the scheduler to give the job up; executors then drop its tasks.
    pub(crate) async fn cancel(&mut self) -> anyhow::Result<()> {
        timeout(CANCEL_TIMEOUT, async {
            // A job that was only just sent has no name before the scheduler has answered.
            let job_id = loop {
                if let Some(job_id) = self.job_id() {
                    break job_id;
                }
                tokio::select! {
                    next = self.answer.try_next() => if !matches!(next, Ok(Some(_))) { return Ok(()) },
                    () = sleep(Duration::from_millis(20)) => {}
                }
            };
            SchedulerGrpcClient::connect(self.scheduler.clone()).await?.cancel_job(CancelJobParams { job_id }).await?;
            Ok(())
        })
        .await
        .unwrap_or_else(|_| bail!("the scheduler does not answer"))
    }

    /// The name of the job, for others who ask after it.
    pub(crate) fn name(&self) -> JobName {
        JobName(Arc::clone(&self.query))
    }

    fn job_id(&self) -> Option<String> {
        self.name().get()
    }
}

/// The name that the scheduler gives a job.
pub(crate) struct JobName(Arc<dyn ExecutionPlan>);

impl JobName {
    /// It is known once the scheduler has answered.
    pub(crate) fn get(&self) -> Option<String> {
        let query = self.0.as_ref() as &dyn Any;
        query.downcast_ref::<DistributedQueryExec<LogicalPlanNode>>()?.job_id().map(Into::into)
    }
}

//! What the scheduler knows of its executors: Ballista's own, but free cores are counted anew whenever tasks are handed out.
//!
//! Ballista takes a core from an executor for each task and gives it back when it hears how the task ended. Of a stage that
//! begins again, since an executor was lost, it has forgotten the tasks by then, so that their cores stay taken and the job
//! waits without end. What the jobs themselves say of the tasks that run is right again as soon as they are. Of an executor
//! that was given up and comes back they say nothing either: what it still had in hand runs on beside its new tasks.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::error::Result;
use ballista_core::serde::protobuf::ExecutorHeartbeat;
use ballista_core::serde::scheduler::{ExecutorData, ExecutorMetadata};
use ballista_scheduler::cluster::memory::InMemoryClusterState;
use ballista_scheduler::cluster::{BoundTask, ClusterState, ClusterStateEventStream, ExecutorSlot};
use ballista_scheduler::config::TaskDistributionPolicy;
use ballista_scheduler::state::task_manager::JobInfoCache;
use tokio::sync::Mutex;

/// The executors of a cluster.
#[derive(Default)]
pub(super) struct Executors {
    known: InMemoryClusterState,
    /// Held while tasks are handed out, so that no core is given to two.
    handing_out: Mutex<()>,
}

#[async_trait]
impl ClusterState for Executors {
    async fn bind_schedulable_tasks(
        &self,
        distribution: TaskDistributionPolicy,
        active_jobs: Arc<HashMap<JobId, JobInfoCache>>,
        executors: Option<HashSet<String>>,
    ) -> Result<Vec<BoundTask>> {
        let _alone = self.handing_out.lock().await;
        let mut busy: HashMap<String, u32> = HashMap::new();
        for job in active_jobs.values() {
            let graph = job.execution_graph.read().await;
            for task in graph.running_tasks() {
                let vcores = graph.task_vcores(task.stage_id, task.task_id).unwrap_or(1);
                *busy.entry(task.executor_id).or_default() += vcores;
            }
        }
        let now = InMemoryClusterState::default();
        for executor in self.known.registered_executor_metadata().await {
            let total_vcores = executor.specification.vcores;
            let available_vcores = total_vcores.saturating_sub(busy.get(&executor.id).copied().unwrap_or_default());
            let data = ExecutorData { executor_id: executor.id.clone(), total_vcores, available_vcores };
            now.register_executor(executor, data).await?;
        }
        now.bind_schedulable_tasks(distribution, active_jobs, executors).await
    }

    async fn unbind_tasks(&self, _: Vec<ExecutorSlot>) -> Result<()> {
        Ok(())
    }

    async fn register_executor(&self, metadata: ExecutorMetadata, spec: ExecutorData) -> Result<()> {
        self.known.register_executor(metadata, spec).await
    }

    async fn save_executor_metadata(&self, metadata: ExecutorMetadata) -> Result<()> {
        self.known.save_executor_metadata(metadata).await
    }

    async fn get_executor_metadata(&self, executor_id: &str) -> Result<ExecutorMetadata> {
        self.known.get_executor_metadata(executor_id).await
    }

    async fn registered_executor_metadata(&self) -> Vec<ExecutorMetadata> {
        self.known.registered_executor_metadata().await
    }

    async fn save_executor_heartbeat(&self, heartbeat: ExecutorHeartbeat) -> Result<()> {
        self.known.save_executor_heartbeat(heartbeat).await
    }

    async fn remove_executor(&self, executor_id: &str) -> Result<()> {
        self.known.remove_executor(executor_id).await
    }

    fn executor_heartbeats(&self) -> HashMap<String, ExecutorHeartbeat> {
        self.known.executor_heartbeats()
    }

    fn get_executor_heartbeat(&self, executor_id: &str) -> Option<ExecutorHeartbeat> {
        self.known.get_executor_heartbeat(executor_id)
    }

    async fn cluster_state_events(&self) -> Result<ClusterStateEventStream> {
        self.known.cluster_state_events().await
    }
}

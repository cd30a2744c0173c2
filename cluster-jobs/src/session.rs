//! Sessions: the same codecs, planner and settings for client, scheduler and executor.

mod ask;
mod executor;
mod figures;
mod local;
mod scheduler;
mod scratch;
mod slots;
mod standing;
mod stores;
mod submission;
mod trace;

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ballista::extension::SessionContextExt;
use ballista_core::RuntimeProducer;
use ballista_core::extension::SessionConfigExt;
use datafusion::common::Result;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use prowl_platform::{Secrets, telemetry};
use tokio::time::{Instant, interval, interval_at};

use crate::args::{Cluster, Scheduler};
use crate::plan::{LogicalCodec, PhysicalCodec, QueryPlanner};
use ask::{Readiness, readiness};
pub use executor::run_executor;
pub use scheduler::run_scheduler;
pub(crate) use standing::Standing;
use stores::Stores;
pub(crate) use submission::{JobName, Submission};
use trace::Trace;

/// A session, and what must live as long as it does.
pub(crate) struct Session {
    context: SessionContext,
    scheduler: Scheduler,
    local: Option<local::LocalCluster>,
}

/// Connects to the cluster, or starts one in this process, which reaches stores with these secrets.
pub(crate) async fn connect(cluster: &Cluster, partitions: usize, secrets: &Secrets) -> anyhow::Result<Session> {
    // A client that asks how the job is doing knows its name from the beginning and can cancel it; one that is told
    // hears of it at the end.
    let mut config = config()
        .with_target_partitions(partitions)
        .set_bool("ballista.client.pull", true)
        .with_option_extension(Trace { parent: telemetry::traceparent() });
    let (scheduler, local) = match cluster {
        Cluster::Remote(scheduler) => {
            reach(scheduler).await?;
            (scheduler.clone(), None)
        }
        Cluster::Local { cores, memory, work_dir } => {
            // What never leaves this machine is not worth compressing.
            config = config.set_str("ballista.shuffle.compression.codec", "none");
            let local = local::LocalCluster::start(&config, *cores, *memory, work_dir.as_deref(), secrets).await?;
            (local.scheduler(), Some(local))
        }
    };
    let state = state(config, Arc::new(RuntimeEnv::default()));
    let context = SessionContext::remote_with_state(&scheduler.to_string(), state).await?;
    Ok(Session { context, scheduler, local })
}

/// Makes sure that a scheduler is there before anything is sent to it.
async fn reach(scheduler: &Scheduler) -> anyhow::Result<()> {
    readiness(scheduler).await.map(drop).with_context(|| {
        format!("cannot reach the scheduler {scheduler}: start prowl-scheduler there, or leave --scheduler out")
    })
}

impl Session {
    /// Where its scheduler listens.
    pub(crate) fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// Hands a plan to the scheduler.
    pub(crate) async fn submit(&self, plan: LogicalPlan) -> Result<Submission> {
        Submission::new(&self.context, plan, format!("http://{}:{}", self.scheduler.host, self.scheduler.port)).await
    }

    /// Calls `say` each second with how far `job` is, once the scheduler has it. Never ends.
    pub(crate) async fn follow(&self, job: JobName, say: impl Fn(Standing)) -> Infallible {
        let mut moments = interval(Duration::from_secs(1));
        loop {
            moments.tick().await;
            let Some(job) = job.get() else { continue };
            // One that does not answer is told of by the job itself.
            let answer = ask::get(&self.scheduler, &format!("/api/job/{job}/stages")).await;
            if let Some(standing) = answer.ok().and_then(|(_, body)| Standing::parse(&body)) {
                say(standing);
            }
        }
    }

    /// Calls `say` every 10 s for as long as the scheduler has no executor. Never ends.
    pub(crate) async fn miss_executors(&self, say: impl Fn(&Scheduler)) -> Infallible {
        // Executors that were started together with the scheduler have a moment to register.
        let mut moments = interval_at(Instant::now() + Duration::from_secs(2), Duration::from_secs(10));
        loop {
            moments.tick().await;
            if self.local.is_none() && matches!(readiness(&self.scheduler).await, Ok(Readiness::MissesExecutors)) {
                say(&self.scheduler);
            }
        }
    }
}

/// Ballista's settings with our codecs.
pub(crate) fn config() -> SessionConfig {
    SessionConfig::new_with_ballista()
        // Half a KiB a row: these make a MiB, which stays in the cache of a core on its way from one operator to the next.
        .with_batch_size(2048)
        .with_ballista_logical_extension_codec(Arc::new(LogicalCodec::default()))
        .with_ballista_physical_extension_codec(Arc::new(PhysicalCodec::default()))
        // A task of several partitions writes its shuffle file by one thread, when all of them have been read.
        .set_usize("ballista.scheduler.max_partitions_per_task", 1)
        // Shuffles spill when the memory pool is full and not before: what is spilled is written twice.
        .set_usize("ballista.shuffle.sort_based.memory_limit_per_task_bytes", 0)
        // The adaptive planner may merge or split partitions between stages, which our operators rely on.
        .set_bool("ballista.planner.adaptive.enabled", false)
        // Shuffle files that cannot be had are gone with their executor more often than not: rather write them anew.
        .set_usize("ballista.client.io_retry_wait_time_ms", 1000)
        .with_option_extension(Trace::default())
}

/// The one runtime of all tasks of a process: what one does not need of the pool, another may use.
fn runtime(pool: Arc<dyn MemoryPool>, spill: &Path, stores: Arc<Stores>) -> Result<RuntimeProducer> {
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(pool)
        .with_temp_file_path(spill)
        .with_object_store_registry(stores)
        .build_arc()?;
    Ok(Arc::new(move |_| Ok(Arc::clone(&runtime))))
}

/// An address that nothing listens on yet. Ballista would find out late, and an executor end as if all were well.
fn free(host: &str, port: u16, option: &str) -> anyhow::Result<SocketAddr> {
    let address = format!("{host}:{port}");
    let listen = address.parse().with_context(|| format!("{address} is no address to listen on"))?;
    TcpListener::bind::<SocketAddr>(listen)
        .with_context(|| format!("cannot listen on {listen}: free the port, or give another with {option}"))?;
    Ok(listen)
}

/// A session state that can plan our nodes.
pub(crate) fn state(config: SessionConfig, runtime: Arc<RuntimeEnv>) -> SessionState {
    SessionStateBuilder::new()
        .with_default_features()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_query_planner(Arc::new(QueryPlanner))
        .build()
}

/// What a scheduler builds for each session of a client.
#[expect(clippy::unnecessary_wraps, reason = "Ballista's signature")]
pub(crate) fn build_state(config: SessionConfig) -> Result<SessionState> {
    Ok(state(config, Arc::new(RuntimeEnv::default())))
}

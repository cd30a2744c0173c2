//! Sessions: the same codecs, planner and settings for client, scheduler and executor.

mod local;
mod process;
mod stores;
mod submission;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ballista::extension::SessionContextExt;
use ballista_core::extension::SessionConfigExt;
use datafusion::common::Result;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use prowl_platform::Secrets;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, interval_at, timeout};

use crate::args::{Cluster, Scheduler};
use crate::plan::{LogicalCodec, PhysicalCodec, QueryPlanner};
pub use process::{run_executor, run_scheduler};
pub(crate) use submission::Submission;

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
    let mut config = config().with_target_partitions(partitions).set_bool("ballista.client.pull", true);
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

/// How long a scheduler has to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes sure that a scheduler is there before anything is sent to it.
async fn reach(scheduler: &Scheduler) -> anyhow::Result<()> {
    has_executors(scheduler).await.map(drop).with_context(|| {
        format!("cannot reach the scheduler {scheduler}; start prowl-scheduler there, or leave --scheduler out")
    })
}

/// What the scheduler's probe for Kubernetes says: ready with an executor, 503 without. An error is that no scheduler
/// answers.
async fn has_executors(scheduler: &Scheduler) -> io::Result<bool> {
    let asked = async {
        let mut stream = TcpStream::connect((scheduler.host.trim_matches(['[', ']']), scheduler.port)).await?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: scheduler\r\nconnection: close\r\n\r\n").await?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await?;
        match &status[8..] {
            b" 200" => Ok(true),
            b" 503" => Ok(false),
            _ => Err(io::Error::other("what answers is no scheduler")),
        }
    };
    let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", PATIENCE.as_secs()));
    timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(late()))
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

    /// Calls `say` every 10 s for as long as the scheduler has no executor. Never ends.
    pub(crate) async fn miss_executors(&self, say: impl Fn(&Scheduler)) -> Infallible {
        // Executors that were started together with the scheduler have a moment to register.
        let mut moments = interval_at(Instant::now() + Duration::from_secs(2), Duration::from_secs(10));
        loop {
            moments.tick().await;
            if self.local.is_none() && matches!(has_executors(&self.scheduler).await, Ok(false)) {
                say(&self.scheduler);
            }
        }
    }
}

/// Ballista's settings with our codecs.
pub(crate) fn config() -> SessionConfig {
    SessionConfig::new_with_ballista()
        .with_ballista_logical_extension_codec(Arc::new(LogicalCodec::default()))
        .with_ballista_physical_extension_codec(Arc::new(PhysicalCodec::default()))
        // The adaptive planner may merge or split partitions between stages, which our operators rely on.
        .set_bool("ballista.planner.adaptive.enabled", false)
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

//! Sessions: the same codecs, planner and settings for client, scheduler and executor.

mod local;
mod process;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use ballista::extension::SessionContextExt;
use ballista_core::extension::SessionConfigExt;
use datafusion::common::Result;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use tokio::net::TcpStream;
use url::Url;

use crate::args::Cluster;
use crate::plan::{LogicalCodec, PhysicalCodec, QueryPlanner};
pub use process::{run_executor, run_scheduler};

/// A session, and what must live as long as it does.
pub(crate) struct Session {
    pub(crate) context: SessionContext,
    _local: Option<local::LocalCluster>,
}

/// Connects to the cluster, or starts one in this process.
pub(crate) async fn connect(cluster: &Cluster, partitions: usize) -> anyhow::Result<Session> {
    let config = config().with_target_partitions(partitions);
    match cluster {
        Cluster::Remote(url) => {
            reach(url).await?;
            let state = state(config, Arc::new(RuntimeEnv::default()));
            let context = SessionContext::remote_with_state(url, state).await?;
            Ok(Session { context, _local: None })
        }
        Cluster::Local { cores, memory, work_dir } => {
            let local = local::LocalCluster::start(&config, *cores, *memory, work_dir.as_deref()).await?;
            let state = state(config, Arc::new(RuntimeEnv::default()));
            let context = SessionContext::remote_with_state(local.url(), state).await?;
            Ok(Session { context, _local: Some(local) })
        }
    }
}

/// Makes sure that a scheduler is there before anything is sent to it.
async fn reach(url: &str) -> anyhow::Result<()> {
    let parsed = Url::parse(url).with_context(|| format!("{url} is no URL of a scheduler; give df://HOST:PORT"))?;
    let (Some(host), Some(port)) = (parsed.host_str(), parsed.port()) else {
        bail!("{url} names no scheduler; give df://HOST:PORT");
    };
    let connect = TcpStream::connect((host.trim_matches(['[', ']']), port));
    match tokio::time::timeout(CONNECT_TIMEOUT, connect).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error).with_context(|| unreachable(url)),
        Err(_) => bail!("{}: no answer within {} s", unreachable(url), CONNECT_TIMEOUT.as_secs()),
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

fn unreachable(url: &str) -> String {
    format!("cannot reach the scheduler {url}; start prowl-scheduler there, or leave --scheduler out")
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

//! Sessions: the same codecs, planner and settings for client, scheduler and executor.

mod local;
mod process;

use std::sync::Arc;

use anyhow::Context;
use ballista::extension::SessionContextExt;
use ballista_core::extension::SessionConfigExt;
use datafusion::common::Result;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};

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
            let state = state(config, Arc::new(RuntimeEnv::default()));
            let context = SessionContext::remote_with_state(url, state)
                .await
                .with_context(|| format!("cannot use the scheduler {url}; give df://HOST:PORT"))?;
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
pub(crate) fn build_state(config: SessionConfig) -> Result<SessionState> {
    Ok(state(config, Arc::new(RuntimeEnv::default())))
}

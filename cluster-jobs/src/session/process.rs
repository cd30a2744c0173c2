//! Scheduler and executor as processes of their own: Ballista's, with our sessions.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_executor::health::spawn_health_server;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::start_server;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use tokio::sync::oneshot;

use super::{build_state, config};
use crate::args::{ExecutorArgs, SchedulerArgs};
use crate::plan::{LogicalCodec, PhysicalCodec};

/// How often an executor removes the shuffle files of finished jobs, and how old they are then, in seconds.
/// Ballista's own default is never.
const CLEAN_UP_EVERY: u64 = 300;
const CLEAN_UP_AFTER: u64 = 6 * 3600;

/// Runs a scheduler until it is told to stop. Boxed, as [`crate::job::run_until`] is.
///
/// # Errors
/// The arguments contradict each other, or the address cannot be listened on.
pub fn run_scheduler(args: SchedulerArgs) -> LocalBoxFuture<'static, anyhow::Result<()>> {
    schedule(args).boxed_local()
}

async fn schedule(args: SchedulerArgs) -> anyhow::Result<()> {
    let address = format!("{}:{}", args.ballista.bind_host, args.ballista.bind_port);
    let listen: SocketAddr =
        address.parse().with_context(|| format!("{address} is no address to listen on; --bind-host takes an IP"))?;
    let mut scheduler = SchedulerConfig::try_from(args.ballista).context("these options do not go together")?;
    scheduler.override_config_producer = Some(Arc::new(config));
    scheduler.override_session_builder = Some(Arc::new(build_state));
    scheduler.override_logical_codec = Some(Arc::new(LogicalCodec::default()));
    scheduler.override_physical_codec = Some(Arc::new(PhysicalCodec::default()));
    let cluster = BallistaCluster::new_from_config(&scheduler).await.context("cannot set the cluster up")?;
    tracing::info!(%listen, "scheduler starts");
    // State is in memory; clients of a scheduler that goes away fail and ask again, so there is nothing to drain.
    tokio::select! {
        served = start_server(cluster, listen, Arc::new(scheduler)) => {
            served.with_context(|| format!("the scheduler on {listen} failed; is the port taken?"))
        }
        signal = prowl_platform::shutdown::signal() => {
            tracing::info!(signal, "scheduler stops");
            Ok(())
        }
    }
}

/// Runs an executor until it is told to stop; it finishes the tasks it has. Boxed, as [`crate::job::run_until`] is.
///
/// # Errors
/// The arguments contradict each other, the work folder cannot be used, or the scheduler cannot be reached.
pub fn run_executor(args: ExecutorArgs) -> LocalBoxFuture<'static, anyhow::Result<()>> {
    execute(args).boxed_local()
}

async fn execute(args: ExecutorArgs) -> anyhow::Result<()> {
    let mut ballista = args.ballista;
    // A temporary folder must live as long as the process; Ballista's own is dropped before it is used.
    let temporary;
    if ballista.work_dir.is_none() {
        temporary = tempfile::Builder::new().prefix("prowl-executor-").tempdir().context("give --work-dir")?;
        ballista.work_dir = Some(temporary.path().to_string_lossy().into_owned());
    }
    if ballista.job_data_clean_up_interval_seconds == 0 {
        ballista.job_data_clean_up_interval_seconds = CLEAN_UP_EVERY;
        ballista.job_data_ttl_seconds = ballista.job_data_ttl_seconds.min(CLEAN_UP_AFTER);
    }
    let health = format!("{}:{}", ballista.bind_host, ballista.bind_health_port);
    let health: SocketAddr =
        health.parse().with_context(|| format!("{health} is no address to listen on; --bind-host takes an IP"))?;
    let scheduler = format!("{}:{}", ballista.scheduler_host, ballista.scheduler_port);

    let mut executor = ExecutorProcessConfig::try_from(ballista).context("these options do not go together")?;
    executor.override_config_producer = Some(Arc::new(config));
    executor.override_logical_codec = Some(Arc::new(LogicalCodec::default()));
    executor.override_physical_codec = Some(Arc::new(PhysicalCodec::default()));

    let (stop_health, health_stopped) = oneshot::channel();
    let probes = spawn_health_server(health, executor.health.clone(), health_stopped);
    let result = start_executor_process(Arc::new(executor))
        .await
        .with_context(|| format!("the executor of scheduler {scheduler} failed; is the scheduler up?"));
    // The receiver is gone only if the probes failed, which is reported below.
    let _ = stop_health.send(());
    if let Err(error) = probes.await {
        tracing::warn!(%error, "the health probes stopped early");
    }
    result
}

//! Scheduler and executor as processes of their own: Ballista's, with our sessions.

use std::cell::Cell;
use std::future::pending;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use ballista_core::RuntimeProducer;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_executor::health::spawn_health_server;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::start_server;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use prowl_platform::{Secrets, Store};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::stores::Stores;
use super::{build_state, config, has_executors};
use crate::args::{ExecutorArgs, Scheduler, SchedulerArgs};
use crate::plan::{LogicalCodec, PhysicalCodec};

/// How often an executor removes the shuffle files of finished jobs, and how old they are then, in seconds.
/// Ballista's own default is never.
const CLEAN_UP_EVERY: u64 = 300;
const CLEAN_UP_AFTER: u64 = 6 * 3600;

/// Runs a scheduler until it is told to stop. Boxed, as [`crate::job::run_until`] is.
///
/// # Errors
/// The address cannot be listened on.
pub fn run_scheduler(args: SchedulerArgs) -> LocalBoxFuture<'static, anyhow::Result<()>> {
    schedule(args).boxed_local()
}

async fn schedule(args: SchedulerArgs) -> anyhow::Result<()> {
    let listen = free(&args.ballista.bind_host, args.ballista.bind_port, "--bind-port")?;
    let mut scheduler = SchedulerConfig::try_from(args.ballista)?;
    scheduler.override_config_producer = Some(Arc::new(config));
    scheduler.override_session_builder = Some(Arc::new(build_state));
    scheduler.override_logical_codec = Some(Arc::new(LogicalCodec::default()));
    scheduler.override_physical_codec = Some(Arc::new(PhysicalCodec::default()));
    let cluster = BallistaCluster::new_from_config(&scheduler).await.context("cannot set the cluster up")?;
    tracing::info!(%listen, "scheduler starts");
    // State is in memory; clients of a scheduler that goes away fail and ask again, so there is nothing to drain.
    tokio::select! {
        served = start_server(cluster, listen, Arc::new(scheduler)) => {
            served.with_context(|| format!("the scheduler on {listen} failed"))
        }
        signal = prowl_platform::shutdown::signal() => {
            tracing::info!(signal, "scheduler stops");
            Ok(())
        }
    }
}

/// An address that nothing listens on yet. Ballista would find out late, and an executor end as if all were well.
fn free(host: &str, port: u16, option: &str) -> anyhow::Result<SocketAddr> {
    let address = format!("{host}:{port}");
    let listen = address.parse().with_context(|| format!("{address} is no address to listen on"))?;
    TcpListener::bind::<SocketAddr>(listen)
        .with_context(|| format!("cannot listen on {listen}; free the port, or give another with {option}"))?;
    Ok(listen)
}

/// Waits for a scheduler that is started at the same time, for as long as `patience` lasts.
async fn wait_for(scheduler: &Scheduler, patience: Duration) -> std::io::Result<()> {
    let end = Instant::now() + patience;
    let mut told = false;
    while let Err(error) = has_executors(scheduler).await {
        if Instant::now() >= end {
            return Err(error);
        }
        if !told {
            tracing::warn!(%error, "waiting up to {} s for the scheduler {scheduler}", patience.as_secs());
            told = true;
        }
        sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}

/// Why a scheduler that answers does not take an executor. It calls each one back at once.
fn refused(scheduler: &Scheduler, error: &str) -> anyhow::Error {
    let called =
        error.split_once("Failed to register executor at ").and_then(|(_, rest)| rest.split_once(", could not"));
    match called {
        Some((address, _)) => anyhow!(
            "the scheduler {scheduler} cannot reach this executor at {address}; give an address that it can reach with \
             --external-host, and open the port (--bind-grpc-port) to it"
        ),
        None => anyhow!("the executor cannot work for the scheduler {scheduler}: {error}"),
    }
}

/// Runs an executor until it is told to stop; it finishes the tasks it has. Boxed, as [`crate::job::run_until`] is.
///
/// # Errors
/// A port or the work folder cannot be used, or the scheduler cannot be reached or goes away.
pub fn run_executor(args: ExecutorArgs) -> LocalBoxFuture<'static, anyhow::Result<()>> {
    execute(args).boxed_local()
}

async fn execute(args: ExecutorArgs) -> anyhow::Result<()> {
    let mut ballista = args.ballista;
    let stop = prowl_platform::shutdown::signal();
    let stores = Stores::new(Secrets::open(&Store::SECRETS).await?);
    free(&ballista.bind_host, ballista.bind_port, "--bind-port")?;
    free(&ballista.bind_host, ballista.bind_grpc_port, "--bind-grpc-port")?;
    let health = free(&ballista.bind_host, ballista.bind_health_port, "--bind-health-port")?;
    // A temporary folder must live as long as the process; Ballista's own is dropped before it is used.
    let temporary;
    match &ballista.work_dir {
        Some(folder) => {
            std::fs::create_dir_all(folder)
                .and_then(|()| tempfile::tempfile_in(folder))
                .with_context(|| format!("cannot write into the work folder {folder}; give another with --work-dir"))?;
        }
        None => {
            temporary = tempfile::Builder::new()
                .prefix("prowl-executor-")
                .tempdir()
                .context("cannot create a temporary folder; give one with --work-dir")?;
            ballista.work_dir = Some(temporary.path().to_string_lossy().into_owned());
        }
    }
    if ballista.job_data_clean_up_interval_seconds == 0 {
        ballista.job_data_clean_up_interval_seconds = CLEAN_UP_EVERY;
        ballista.job_data_ttl_seconds = ballista.job_data_ttl_seconds.min(CLEAN_UP_AFTER);
    }
    let scheduler = Scheduler { host: ballista.scheduler_host.clone(), port: ballista.scheduler_port };
    // Ballista's own wait has no end.
    let patience = Duration::from_secs(std::mem::take(&mut ballista.scheduler_connect_timeout_seconds).into());

    let spills = ballista.work_dir.clone().unwrap_or_default();
    let mut executor = ExecutorProcessConfig::try_from(ballista)?;
    // Ballista puts the memory pool of each task into what this makes.
    let runtime: RuntimeProducer = Arc::new(move |_| {
        let stores = Arc::clone(&stores);
        RuntimeEnvBuilder::new().with_temp_file_path(&spills).with_object_store_registry(stores).build_arc()
    });
    executor.override_runtime_producer = Some(runtime);
    executor.override_config_producer = Some(Arc::new(config));
    executor.override_logical_codec = Some(Arc::new(LogicalCodec::default()));
    executor.override_physical_codec = Some(Arc::new(PhysicalCodec::default()));

    let (stop_health, health_stopped) = oneshot::channel();
    let registered = executor.health.clone();
    let probes = spawn_health_server(health, registered.clone(), health_stopped);
    let work = async {
        wait_for(&scheduler, patience).await.with_context(|| {
            format!("the executor cannot work for the scheduler {scheduler}; start prowl-scheduler there")
        })?;
        start_executor_process(Arc::new(executor)).await.map_err(|error| refused(&scheduler, &error.to_string()))
    };
    // From its registration on, Ballista hears the signal itself and drains; before that there is nothing to drain.
    let told = Cell::new(false);
    let mut early = pin!(async {
        let signal = stop.await;
        told.set(true);
        if registered.is_ready() { pending().await } else { signal }
    });
    tokio::select! {
        worked = work => worked?,
        probed = probes => {
            probed??;
            bail!("the health probes on {health} stopped early");
        }
        signal = &mut early => {
            tracing::info!(signal, "executor stops before the scheduler has answered");
            return Ok(());
        }
    }
    drop(stop_health);
    // Ballista ends the same way when one of its services has failed, or the scheduler has not answered for long.
    let _ = (&mut early).now_or_never();
    if !told.get() {
        bail!("the executor stopped by itself; its log above says why");
    }
    Ok(())
}

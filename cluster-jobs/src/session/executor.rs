//! The executor: Ballista's, with our sessions, one memory pool for all its tasks, figures, and an end within a limit.

mod probes;
mod work_dir;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use ballista_core::ids::new_instance_id;
use ballista_executor::config::Config;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_executor::executor_server::TERMINATING;
use ballista_executor::health::ExecutorHealth;
use datafusion::execution::memory_pool::MemoryPool;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use prowl_platform::{Secrets, Store, shutdown};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::ask::readiness;
use super::figures::{Engine, Figures};
use super::stores::Stores;
use super::{config, free};
use crate::args::{ExecutorArgs, Scheduler};
use crate::memory;
use crate::plan::{LogicalCodec, PhysicalCodec};
use work_dir::WorkDir;

/// What the parts of an executor share.
struct Shared {
    options: Config,
    vcores: usize,
    scheduler: Scheduler,
    pool: Arc<dyn MemoryPool>,
    stores: Arc<Stores>,
    figures: Arc<Figures>,
    /// Whether the scheduler has heard of it lately.
    registered: ExecutorHealth,
    /// Whether it was told to stop.
    told: CancellationToken,
}

/// Runs an executor until it is told to stop; it finishes the tasks it has, within a limit. Boxed, as
/// [`crate::job::run_until`] is.
///
/// # Errors
/// A port, the work folder or the memory cannot be used, or the scheduler cannot be reached for long.
pub fn run_executor(args: ExecutorArgs) -> LocalBoxFuture<'static, anyhow::Result<()>> {
    run(args).boxed_local()
}

async fn run(ExecutorArgs { ballista: options, drain_timeout }: ExecutorArgs) -> anyhow::Result<()> {
    let stop = shutdown::signal();
    let stores = Stores::new(Secrets::open(&Store::SECRETS).await?);
    free(&options.bind_host, options.bind_port, "--bind-port")?;
    free(&options.bind_host, options.bind_grpc_port, "--bind-grpc-port")?;
    let http = free(&options.bind_host, options.bind_health_port, "--bind-health-port")?;
    let vcores = match options.concurrent_tasks.unwrap_or(options.vcores) {
        0 => std::thread::available_parallelism().context("cannot tell the number of cores: give --vcores")?.get(),
        vcores => vcores,
    };
    let limit = memory::limit(options.memory_pool_size, vcores, "--vcores").map_err(anyhow::Error::msg)?;
    let pool = memory::pool(limit, vcores);
    let work_dir = WorkDir::open(options.work_dir.as_deref())?;
    tracing::info!(cores = vcores, limit_mib = limit >> 20, "keeps within its memory limit");
    let shared = Shared {
        vcores,
        scheduler: Scheduler { host: options.scheduler_host.clone(), port: options.scheduler_port },
        figures: Arc::new(Figures::new(Arc::clone(&pool))?),
        pool,
        stores,
        registered: ExecutorHealth::new(),
        told: CancellationToken::new(),
        options,
    };
    let probes = probes::serve(http, &shared).await?;

    let mut work = pin!(work(&shared, &work_dir));
    tokio::select! {
        worked = &mut work => return worked,
        probed = probes => {
            probed??;
            bail!("the health probes on {http} stopped early");
        }
        signal = stop => {
            shared.told.cancel();
            // Ballista hears the signal itself and drains; before its registration there is nothing to drain.
            if !shared.registered.is_ready() {
                tracing::info!(signal, "executor stops, no scheduler counts on it");
                return Ok(());
            }
            tracing::info!(signal, tasks = shared.figures.running(), "executor stops");
        }
    }
    let again = shutdown::signal();
    let why = tokio::select! {
        worked = timeout(drain_timeout, work) => match worked {
            Ok(worked) => return worked,
            Err(_) => "the time is over",
        },
        _ = again => "it is told again",
    };
    let tasks = shared.figures.running();
    tracing::warn!(tasks, "ends, as {why}; the scheduler gives unfinished tasks to other executors");
    Ok(())
}

/// Works for the scheduler until told to stop, and for the one that comes in its place when it is lost.
async fn work(shared: &Shared, work_dir: &WorkDir) -> anyhow::Result<()> {
    let scheduler = &shared.scheduler;
    let patience = Duration::from_secs(shared.options.scheduler_connect_timeout_seconds.into());
    loop {
        wait_for(scheduler, patience).await.with_context(|| {
            format!("the executor cannot work for the scheduler {scheduler}: start prowl-scheduler there")
        })?;
        // Ballista sets it for the whole process at each end.
        TERMINATING.store(false, Ordering::Release);
        let process = process(shared, work_dir)?;
        let ended = Box::pin(start_executor_process(Arc::new(process))).await;
        ended.map_err(|error| refused(scheduler, &error.to_string()))?;
        // Both hear a signal at the same moment.
        if timeout(Duration::from_millis(200), shared.told.cancelled()).await.is_ok() {
            return Ok(());
        }
        // Ballista ends the same way when one of its services has failed, or the scheduler has not answered for long.
        tracing::warn!("the executor has lost the scheduler {scheduler}, looks for it anew");
        for (port, option) in
            [(shared.options.bind_port, "--bind-port"), (shared.options.bind_grpc_port, "--bind-grpc-port")]
        {
            free(&shared.options.bind_host, port, option)?;
        }
    }
}

/// Ballista's configuration of one life of the executor.
fn process(shared: &Shared, work_dir: &WorkDir) -> anyhow::Result<ExecutorProcessConfig> {
    let Shared { options, .. } = shared;
    // Those of a life before may be gone.
    let (shuffle, spill) = work_dir.emptied()?;
    let runtime = super::runtime(Arc::clone(&shared.pool), &spill, Arc::clone(&shared.stores))?;
    Ok(ExecutorProcessConfig {
        executor_id: options.executor_id.clone().unwrap_or_else(new_instance_id),
        bind_host: options.bind_host.clone(),
        external_host: options.external_host.clone(),
        port: options.bind_port,
        grpc_port: options.bind_grpc_port,
        scheduler_host: options.scheduler_host.clone(),
        scheduler_port: options.scheduler_port,
        // It was waited for already, and Ballista's own wait has no end.
        scheduler_connect_timeout_seconds: 0,
        vcores: shared.vcores,
        task_scheduling_policy: options.task_scheduling_policy,
        work_dir: Some(shuffle.to_string_lossy().into_owned()),
        job_data_clean_up_interval_seconds: options.job_data_clean_up_interval_seconds,
        job_data_ttl_seconds: options.job_data_ttl_seconds,
        grpc_max_decoding_message_size: options.grpc_server_max_decoding_message_size,
        grpc_max_encoding_message_size: options.grpc_server_max_encoding_message_size,
        executor_heartbeat_interval_seconds: options.executor_heartbeat_interval_seconds,
        metric_collection_policy: options.metric_collection_policy,
        // The pool is in the runtime; Ballista's own would divide it among the cores for good.
        memory_pool_size: Some(0),
        session_runtime_cache_capacity: options.session_runtime_cache_capacity,
        override_execution_engine: Some(Arc::new(Engine::new(Arc::clone(&shared.figures)))),
        override_runtime_producer: Some(runtime),
        override_config_producer: Some(Arc::new(config)),
        override_logical_codec: Some(Arc::new(LogicalCodec::default())),
        override_physical_codec: Some(Arc::new(PhysicalCodec::default())),
        health: shared.registered.clone(),
        ..ExecutorProcessConfig::default()
    })
}

/// Waits for a scheduler that is started at the same time, for as long as `patience` lasts.
async fn wait_for(scheduler: &Scheduler, patience: Duration) -> std::io::Result<()> {
    let end = Instant::now() + patience;
    let mut told = false;
    while let Err(error) = readiness(scheduler).await {
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
            "the scheduler {scheduler} cannot reach this executor at {address}: give an address that it can reach with \
             --external-host, and open the port (--bind-grpc-port) to it"
        ),
        None => anyhow!("the executor cannot work for the scheduler {scheduler}: {error}"),
    }
}

//! A scheduler and an executor in this process, as separate ones would be: plans and shuffles are encoded, sent over
//! loopback and read back.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use arrow_flight::flight_service_server::FlightServiceServer;
use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::extension::SessionConfigExt;
use ballista_core::ids::new_instance_id;
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_core::serde::BallistaCodec;
use ballista_core::serde::protobuf::ExecutorRegistration;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::scheduler::{ExecutorOperatingSystemSpecification, ExecutorSpecification};
use ballista_core::utils::{GrpcServerConfig, create_grpc_server};
use ballista_core::{BALLISTA_PROTOCOL_VERSION, ConfigProducer};
use ballista_executor::execution_loop::poll_loop;
use ballista_executor::executor::Executor;
use ballista_executor::flight_service::BallistaFlightService;
use ballista_executor::health::ExecutorHealth;
use ballista_executor::metrics::LoggingMetricsCollector;
use ballista_scheduler::config::SchedulerConfig;
use datafusion::prelude::SessionConfig;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use prowl_platform::Secrets;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;

use super::figures::{Engine, Figures};
use super::scheduler::Running;
use super::scratch::Scratch;
use super::stores::Stores;
use crate::args::Scheduler;
use crate::memory;

/// A running cluster of one. Its files go when it is dropped.
pub(super) struct LocalCluster {
    scheduler: Scheduler,
    _running: Running,
    tasks: Vec<JoinHandle<()>>,
    _files: Scratch,
}

impl LocalCluster {
    /// Starts both, on ports that the system chooses.
    pub(super) async fn start(
        config: &SessionConfig,
        cores: usize,
        limit: usize,
        work_dir: Option<&Path>,
        secrets: &Secrets,
    ) -> anyhow::Result<Self> {
        let files = files_in(work_dir)?;
        let producer = config.clone();
        let producer: ConfigProducer = Arc::new(move || producer.clone());
        let codec: BallistaCodec<LogicalPlanNode, PhysicalPlanNode> =
            BallistaCodec::new(config.ballista_logical_extension_codec(), config.ballista_physical_extension_codec());
        let listener = port().await?;
        let scheduler = Scheduler { host: "localhost".to_owned(), port: listener.local_addr()?.port() };
        // An executor that polls needs no port that it is called back on.
        let policy = SchedulerConfig::default().with_scheduler_policy(TaskSchedulingPolicy::PullStaged);
        let running = Running::start(policy, listener).await.context("cannot start a scheduler in this process")?;
        let client = SchedulerGrpcClient::connect(format!("http://{}:{}", scheduler.host, scheduler.port))
            .await
            .context("cannot reach the scheduler in this process")?;

        let pool = memory::pool(limit, cores);
        let engine = Engine::new(Arc::new(Figures::new(Arc::clone(&pool))?));
        let runtime = super::runtime(pool, files.path(), Stores::new(secrets.clone()))?;

        let listener = port().await?;
        let folder = files.path().to_string_lossy().into_owned();
        let registration = ExecutorRegistration {
            id: new_instance_id(),
            host: Some("localhost".to_owned()),
            port: u32::from(listener.local_addr()?.port()),
            // Tasks are polled for, so nobody calls the executor back.
            grpc_port: 0,
            specification: Some(ExecutorSpecification::default().with_vcores(cores as u32).into()),
            os_info: Some(ExecutorOperatingSystemSpecification::default().into()),
            ballista_protocol_version: BALLISTA_PROTOCOL_VERSION,
        };
        let executor = Arc::new(Executor::new(
            registration,
            &folder,
            runtime,
            producer,
            Arc::new(BallistaFunctionRegistry::default()),
            Arc::new(LoggingMetricsCollector::default()),
            cores,
            Arc::new(engine),
        ));
        let limit = config.ballista_grpc_client_max_message_size();
        let flight = FlightServiceServer::new(BallistaFlightService::new(folder))
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit);
        let serve = create_grpc_server(&GrpcServerConfig::default())
            .add_service(flight)
            .serve_with_incoming(TcpListenerStream::new(listener));
        let tasks = vec![
            tokio::spawn(async move {
                if let Err(error) = serve.await {
                    tracing::error!(%error, "the executor's flight service stopped");
                }
            }),
            tokio::spawn(async move {
                if let Err(error) = poll_loop(client, executor, codec, None, None, ExecutorHealth::new()).await {
                    tracing::error!(%error, "the executor stopped asking for work");
                }
            }),
        ];
        Ok(Self { scheduler, _running: running, tasks, _files: files })
    }

    /// Where clients find the scheduler.
    pub(super) fn scheduler(&self) -> Scheduler {
        self.scheduler.clone()
    }
}

impl Drop for LocalCluster {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// A fresh folder inside `work_dir`, or in the system's temporary folder.
fn files_in(work_dir: Option<&Path>) -> anyhow::Result<Scratch> {
    let parent = work_dir.map_or_else(std::env::temp_dir, Path::to_owned);
    std::fs::create_dir_all(&parent)
        .and_then(|()| Scratch::new_in(&parent, "prowl-preprocess-"))
        .with_context(|| format!("cannot use the work folder {}: give another with --work-dir", parent.display()))
}

/// A port that only this machine reaches.
async fn port() -> anyhow::Result<TcpListener> {
    TcpListener::bind("localhost:0")
        .await
        .context("cannot open a port on loopback: see that localhost is this machine, and has ports left")
}

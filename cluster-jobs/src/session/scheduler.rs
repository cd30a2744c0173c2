//! The scheduler: Ballista's on one port with probes and figures, and with an end that no job misses.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use arrow_flight::flight_service_server::FlightServiceServer;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use ballista_core::flight_proxy_service::BallistaFlightProxyService;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpcServer;
use ballista_scheduler::api::get_routes;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::create_scheduler;
use ballista_scheduler::scheduler_server::SchedulerServer;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use prometheus::TextEncoder;
use prowl_platform::shutdown;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;

use super::ask::Readiness;
use super::slots::Executors;
use super::{build_state, config, free};
use crate::args::SchedulerArgs;
use crate::failure::STOPPING;
use crate::plan::{LogicalCodec, PhysicalCodec};

/// How long clients, which ask many times a second, have to hear how their jobs ended, and connections to close.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

type Server = SchedulerServer<LogicalPlanNode, PhysicalPlanNode>;

/// A scheduler that takes jobs.
pub(super) struct Running {
    server: Arc<Server>,
    stopping: Arc<AtomicBool>,
    close: CancellationToken,
    port: JoinHandle<std::io::Result<()>>,
}

impl Running {
    /// Starts one that listens on `listener`.
    pub(super) async fn start(mut scheduler: SchedulerConfig, listener: TcpListener) -> anyhow::Result<Self> {
        scheduler.override_config_producer = Some(Arc::new(config));
        scheduler.override_session_builder = Some(Arc::new(build_state));
        scheduler.override_logical_codec = Some(Arc::new(LogicalCodec::default()));
        scheduler.override_physical_codec = Some(Arc::new(PhysicalCodec::default()));
        scheduler.validate()?;
        let jobs = BallistaCluster::new_from_config(&scheduler).await.context("cannot set the cluster up")?.job_state();
        let cluster = BallistaCluster::new(Arc::new(Executors::default()), jobs);
        let server = Arc::new(create_scheduler(cluster, Arc::new(scheduler)).await?);
        let stopping = Arc::new(AtomicBool::new(false));
        let close = CancellationToken::new();
        let routes = routes(&server, &stopping).into_make_service_with_connect_info::<SocketAddr>();
        let serve = axum::serve(listener, routes).with_graceful_shutdown(close.clone().cancelled_owned());
        Ok(Self { server, stopping, close, port: tokio::spawn(serve.into_future()) })
    }

    /// Takes no new jobs, and waits for those at work for up to `limit`; then these are told that they are given up.
    async fn drain(mut self, limit: Duration) {
        self.stopping.store(true, Ordering::Relaxed);
        let end = Instant::now() + limit;
        while self.jobs() > 0 && Instant::now() < end {
            sleep(Duration::from_millis(100)).await;
        }
        for job in self.server.state.task_manager.get_running_job_cache().keys() {
            tracing::warn!(%job, "gives the job up, it is still running");
            if let Err(error) = self.server.cancel_job(job.clone()).await {
                tracing::warn!(%job, %error, "cannot tell that the job is given up");
            }
        }
        sleep(LAST_ANSWERS).await;
        self.close.cancel();
        // A connection that its client keeps open is cut.
        let _ = timeout(LAST_ANSWERS, &mut self.port).await;
    }

    /// Jobs that wait or run.
    fn jobs(&self) -> usize {
        self.server.pending_job_number() + self.server.running_job_number()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.close.cancel();
    }
}

/// Everything on the one port: gRPC for clients and executors, Ballista's REST API, probes, figures.
fn routes(server: &Arc<Server>, stopping: &Arc<AtomicBool>) -> Router {
    let config = &server.state.config;
    let (decoding, encoding) =
        (config.grpc_server_max_decoding_message_size as usize, config.grpc_server_max_encoding_message_size as usize);
    let mut services = RoutesBuilder::default();
    services.add_service(
        SchedulerGrpcServer::new(server.as_ref().clone())
            .max_decoding_message_size(decoding)
            .max_encoding_message_size(encoding),
    );
    if config.enable_embedded_flight_proxy {
        let proxy = BallistaFlightProxyService::new(decoding, encoding, config.use_tls, None);
        services.add_service(
            FlightServiceServer::new(proxy).max_decoding_message_size(decoding).max_encoding_message_size(encoding),
        );
    }
    let grpc = services.routes().into_axum_router().fallback(|| async { StatusCode::NOT_FOUND });
    let api = if config.disable_rest_api { Router::new() } else { get_routes(Arc::clone(server)) };
    let probes = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .with_state((Arc::clone(server), Arc::clone(stopping)))
        .route("/metrics", get(metrics));
    api.merge(grpc).merge(probes).layer(from_fn_with_state(Arc::clone(stopping), refuse_new_jobs))
}

async fn readyz(State((server, stopping)): State<(Arc<Server>, Arc<AtomicBool>)>) -> (StatusCode, &'static str) {
    let readiness = if stopping.load(Ordering::Relaxed) {
        Readiness::Stopping
    } else if server.is_ready() {
        Readiness::Ready
    } else {
        Readiness::MissesExecutors
    };
    let status = if readiness == Readiness::Ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, readiness.text())
}

/// Ballista's own figures, in Prometheus' text format.
async fn metrics() -> Result<String, StatusCode> {
    TextEncoder::new().encode_to_string(&prometheus::gather()).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

/// A scheduler that is about to end takes no job that it would not finish.
async fn refuse_new_jobs(State(stopping): State<Arc<AtomicBool>>, request: Request, next: Next) -> Response {
    let is_new_job = request.uri().path().starts_with("/ballista.protobuf.SchedulerGrpc/ExecuteQuery");
    if is_new_job && stopping.load(Ordering::Relaxed) {
        return tonic::Status::unavailable(STOPPING).into_http::<Body>();
    }
    next.run(request).await
}

/// Runs a scheduler until it is told to stop; it lets jobs at work finish. Boxed, as [`crate::job::run_until`] is.
///
/// # Errors
/// The address cannot be listened on.
pub fn run_scheduler(args: SchedulerArgs) -> LocalBoxFuture<'static, anyhow::Result<()>> {
    run(args).boxed_local()
}

async fn run(SchedulerArgs { ballista, drain_timeout }: SchedulerArgs) -> anyhow::Result<()> {
    let signal = shutdown::signal();
    let listen = free(&ballista.bind_host, ballista.bind_port, "--bind-port")?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let mut scheduler = Running::start(SchedulerConfig::try_from(ballista)?, listener).await?;
    tracing::info!(%listen, "scheduler listens");
    let signal = tokio::select! {
        signal = signal => signal,
        served = &mut scheduler.port => {
            return served?.with_context(|| format!("the scheduler on {listen} failed"));
        }
    };
    tracing::info!(signal, jobs = scheduler.jobs(), "scheduler stops");
    let again = shutdown::signal();
    tokio::select! {
        () = scheduler.drain(drain_timeout) => tracing::info!("scheduler stopped"),
        signal = again => tracing::warn!(signal, "scheduler ends at once, as it is told again"),
    }
    Ok(())
}

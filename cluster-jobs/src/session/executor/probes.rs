//! What an executor answers over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use ballista_executor::health::ExecutorHealth;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Figures, Shared};

/// What probes and figures are read off.
#[derive(Clone)]
struct Probes {
    registered: ExecutorHealth,
    told: CancellationToken,
    figures: Arc<Figures>,
}

/// Serves probes and figures over HTTP.
pub(super) async fn serve(address: SocketAddr, shared: &Shared) -> anyhow::Result<JoinHandle<std::io::Result<()>>> {
    let probes = Probes {
        registered: shared.registered.clone(),
        told: shared.told.clone(),
        figures: Arc::clone(&shared.figures),
    };
    let routes: Router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(probes);
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    Ok(tokio::spawn(axum::serve(listener, routes).into_future()))
}

async fn readyz(State(probes): State<Probes>) -> (StatusCode, &'static str) {
    if probes.told.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready: the executor is stopping\n")
    } else if probes.registered.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready: no scheduler answers\n")
    }
}

async fn metrics(State(probes): State<Probes>) -> Result<String, StatusCode> {
    probes.figures.text().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

//! The life of the server: both ports open, model loaded, requests answered until the signal, drained.

use std::{net::SocketAddr, pin::pin};

use anyhow::{Context, anyhow};
use prowl_platform::{Secrets, Store};
use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::{service::Routes, transport::Server};

use crate::{
    admission::Gate,
    config::{Config, Drain, Limits, Shadowing},
    connection,
    door::Door,
    feedback::Feedback,
    following::Follower,
    grpc,
    guard::{self, Guard},
    http,
    loading::load,
    observe::Observer,
    readiness::Readiness,
    scorer::Scorer,
    tls::{self, Spoken, Tls},
    webhook,
};

/// Streams that one connection may have, for each place that there is for requests: it can fill the house, and have others wait; more
/// wait with the client.
const STREAMS_A_PLACE: usize = 4;

/// Serves until `signal` ends, then drains. Both ports are open as soon as the secrets are read; health and readiness say no until
/// the model is loaded and warm, and again from the signal on.
///
/// # Errors
/// The secrets do not tell who may ask, a port cannot be opened, the model cannot be loaded, or requests were still running when
/// the drain timed out.
pub async fn run(config: Config, signal: impl Future<Output = &'static str>) -> anyhow::Result<()> {
    let names = [&Store::SECRETS[..], &[guard::SECRET], &tls::SECRETS, &webhook::SECRETS].concat();
    let mut signal = pin!(signal);
    let secrets = tokio::select! {
        name = &mut signal => {
            tracing::info!(signal = name, "the secrets are not read yet: nothing to drain");
            return Ok(());
        }
        secrets = Secrets::open(&names) => secrets?,
    };
    let guard = if config.insecure { Guard::open() } else { tokens(&secrets)? };
    let store = Store::open(&config.store, &secrets)?;
    let tls = Tls::open(&config.tls, &secrets).map_err(|error| {
        anyhow!(
            "cannot speak TLS (--tls-cert, --tls-key, --tls-client-ca, or the secrets tls_cert and tls_key): {error}"
        )
    })?;
    warn_of_plain_tokens(&config, tls.is_some());
    // What nobody could use is told before a port that is taken.
    let (grpc, http) = (bind("--grpc-addr", config.grpc).await?, bind("--http-addr", config.http).await?);
    tracing::info!(grpc = %grpc.local_addr()?, http = %http.local_addr()?, "listening");

    let health = tonic_health::server::HealthReporter::new();
    let readiness = Readiness::new(health.clone()).await;
    let (gate, observer) = (Gate::new(&config.limits), observer(config.shadow.clone())?);
    let scorer = Scorer::start(observer.clone());
    let stop = CancellationToken::new();
    let (webhooks, workers) =
        webhook::start(&config.webhooks, secrets, readiness.clone(), scorer.clone(), observer.clone())
            .map_err(|error| anyhow!("cannot take webhooks by the secret webhook_secret: {error}"))?;
    let door = |refuse| Door {
        gate: gate.clone(),
        guard: guard.clone(),
        observer: observer.clone(),
        access_log: config.access_log,
        refuse,
    };
    let feedback = Feedback::start(config.feedback.then(|| store.clone()), readiness.clone(), observer.clone());
    let grpc_parts = grpc::Parts {
        readiness: readiness.clone(),
        scorer: scorer.clone(),
        feedback: feedback.clone(),
        health,
        door: door(grpc::refuse),
        stop: stop.clone(),
    };
    let mut ports = JoinSet::new();
    let grpc_routes = grpc::routes(grpc_parts, &config.limits)?;
    ports.spawn(serve(grpc, grpc_routes, Spoken::Grpc, tls.clone(), config.limits, stop.clone()));
    let http_door = door(http::refuse);
    let http_parts = http::Parts {
        readiness: readiness.clone(),
        scorer,
        observer: observer.clone(),
        feedback,
        webhooks,
        door: http_door,
    };
    let http_routes = http::routes(http_parts, &config.limits);
    ports.spawn(serve(http, Routes::from(http_routes), Spoken::Http, tls, config.limits, stop.clone()));

    let reasons = config.limits.reasons;
    let name = tokio::select! {
        name = &mut signal => name,
        engine = load(&store, &config.model, reasons) => {
            readiness.serve(engine?).await;
            tracing::info!("serving");
            let follower = Follower { store, readiness: readiness.clone(), observer, reasons };
            let mut following = AbortOnDropHandle::new(tokio::spawn(follower.run(config.following)));
            tokio::select! {
                name = signal => name,
                ended = &mut following => return Err(anyhow!("what follows the store ended: {ended:?}")),
                ended = ports.join_next() => return Err(unasked(ended)),
            }
        }
        ended = ports.join_next() => return Err(unasked(ended)),
    };
    readiness.drain().await;
    tracing::info!(signal = name, in_flight = gate.in_flight(), "draining");
    drain(&readiness, config.drain, &stop, &gate, ports, workers).await
}

fn observer(shadow: Option<Shadowing>) -> anyhow::Result<Observer> {
    Observer::new(shadow).context("cannot start the thread of the shadow")
}

/// The tokens that callers have to bring.
fn tokens(secrets: &Secrets) -> anyhow::Result<Guard> {
    let hint = |error: String| {
        anyhow!(
            "cannot tell who may ask by the secret {}: {error}; set it (in Vault, or as API_TOKENS) to name:token, or answer \
             whoever asks on this machine with --insecure",
            guard::SECRET
        )
    };
    Guard::with(secrets).map_err(hint)
}

async fn bind(flag: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let hint = || format!("cannot listen on {address}: choose a free address with {flag}");
    TcpListener::bind(address).await.with_context(hint)
}

/// Tokens that go over a network as they are can be read on the way; behind a proxy that ends TLS they do not go far.
fn warn_of_plain_tokens(config: &Config, tls: bool) {
    let at_home = config.grpc.ip().is_loopback() && config.http.ip().is_loopback();
    if !(tls || at_home) {
        tracing::warn!(
            "without TLS tokens can be read on their way: give --tls-cert and --tls-key, or the secrets tls_cert and tls_key, \
             unless a proxy on this machine speaks TLS"
        );
    }
}

/// One port. The same server carries gRPC and HTTP, so connections are handled, and ended, in the same way.
async fn serve(
    listener: TcpListener,
    routes: Routes,
    spoken: Spoken,
    tls: Option<Tls>,
    limits: Limits,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    Server::builder()
        .accept_http1(spoken == Spoken::Http)
        // More than the gate lets in: a request that no stream is left for waits at its sender, where nobody refuses it.
        .max_concurrent_streams(limits.in_flight.saturating_mul(STREAMS_A_PLACE).try_into().unwrap_or(u32::MAX))
        // Often enough that a client which lives is never silent for long; the connection itself looks for silence.
        .http2_keepalive_interval(Some(limits.idle_time / 2))
        .http2_keepalive_timeout(Some(limits.idle_time))
        .add_routes(routes.prepare())
        .serve_with_incoming_shutdown(
            connection::accept(listener, &limits, tls.map(|tls| (tls, spoken)), stop.clone()),
            stop.cancelled_owned(),
        )
        .await
}

/// Ends a server that says it is not ready so that no request is lost: first it still answers; then it takes no more
/// connections and tells the open ones to go (GOAWAY), and answers what is in flight. What is left of the time is for deliveries
/// that it has taken.
async fn drain(
    readiness: &Readiness,
    times: Drain,
    stop: &CancellationToken,
    gate: &Gate,
    ports: JoinSet<Result<(), tonic::transport::Error>>,
    workers: webhook::Workers,
) -> anyhow::Result<()> {
    tokio::time::sleep(times.grace).await;
    stop.cancel();
    readiness.forget().await;
    let until = Instant::now() + times.timeout;
    let ended = (timeout_at(until, ports.join_all()).await, gate.in_flight());
    workers.drain(until).await;
    match ended {
        (Ok(ended), _) => ended.into_iter().collect::<Result<(), _>>().context("a port failed while draining")?,
        (Err(_), 0) => tracing::info!("closing connections that their clients keep open without a request"),
        (Err(_), cut) => {
            let waited = times.grace + times.timeout;
            let hint = "give --drain-timeout more time";
            return Err(anyhow!("{cut} requests were still in flight {waited:?} after the signal and are cut: {hint}"));
        }
    }
    tracing::info!("drained");
    Ok(())
}

/// A port that ends by itself is an error, also where it says that all is well.
fn unasked(ended: Option<Result<Result<(), tonic::transport::Error>, tokio::task::JoinError>>) -> anyhow::Error {
    let cause = match ended {
        Some(Ok(Err(error))) => anyhow::Error::from(error),
        Some(Err(panic)) => anyhow::Error::from(panic),
        Some(Ok(Ok(()))) | None => anyhow!("it was closed"),
    };
    cause.context("a port stopped serving")
}

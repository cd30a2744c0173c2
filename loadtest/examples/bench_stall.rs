//! The server of `make bench-gate` whose latency is known: it answers within a service time, but for the last second of each
//! ten, in which every call waits until that second is over. A call that becomes due when `t` seconds of a stall are gone
//! takes `1 - t` seconds and the service time, whoever measures it.
//!
//! When it is told to end it prints one line of JSON: how many calls came, and when the first and the last of them did, by the
//! clock of its stalls.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use clap::Parser;
use prowl_platform::{arguments::positive_duration, shutdown};
use prowl_proto::v1::{
    Band, GetModelRequest, GetModelResponse, ModelId, ScoreBatchRequest, ScoreBatchResponse, ScoreRequest,
    ScoreResponse, ScoreStreamRequest, ScoreStreamResponse, SendFeedbackRequest, SendFeedbackResponse,
    scoring_server::{Scoring, ScoringServer},
};
use serde::Serialize;
use tokio::{
    net::TcpListener,
    time::{Instant, sleep, sleep_until},
};
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Server, server::TcpIncoming},
};
use tonic_health::{
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};

/// How often it stalls, and when within each period: to its end.
const PERIOD: Duration = Duration::from_secs(10);
const FREE: Duration = Duration::from_secs(9);

/// Calls at one time on a connection: with the usual 200 those that are due in a stall would wait in the client.
const STREAMS: u32 = 4_096;

#[derive(Parser)]
struct Args {
    #[arg(long, default_value = "127.0.0.1:50051")]
    grpc_addr: SocketAddr,
    /// How long a call takes that nothing holds up
    #[arg(long, default_value = "2ms", value_parser = positive_duration)]
    service_time: Duration,
}

/// What came, in seconds since the server began.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Account {
    calls: u64,
    first: f64,
    last: f64,
}

struct Stalling {
    begun: Instant,
    service_time: Duration,
    account: Mutex<Account>,
}

impl Stalling {
    fn came(&self, at: Duration) {
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        account.last = at.as_secs_f64();
        if account.calls == 0 {
            account.first = account.last;
        }
        account.calls += 1;
    }

    fn account(&self) -> Account {
        *self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a stall still lasts at this moment.
fn left(at: Duration) -> Duration {
    let phase = Duration::from_nanos((at.as_nanos() % PERIOD.as_nanos()) as u64);
    if phase < FREE { Duration::ZERO } else { PERIOD.saturating_sub(phase) }
}

fn model() -> ModelId {
    ModelId { version: "20260101T000000Z".to_owned(), digest: "0".repeat(64), features_digest: "0".repeat(64) }
}

#[tonic::async_trait]
impl Scoring for Stalling {
    async fn score(&self, _: Request<ScoreRequest>) -> Result<Response<ScoreResponse>, Status> {
        let at = self.begun.elapsed();
        self.came(at);
        let left = left(at);
        if !left.is_zero() {
            sleep_until(self.begun + at + left).await;
        }
        sleep(self.service_time).await;
        // What makes an answer whole for a client that looks into it.
        Ok(Response::new(ScoreResponse {
            anomaly: Some(1.0),
            percentile: Some(50.0),
            band: Band::Routine as i32,
            model: Some(model()),
            ..ScoreResponse::default()
        }))
    }

    async fn get_model(&self, _: Request<GetModelRequest>) -> Result<Response<GetModelResponse>, Status> {
        Ok(Response::new(GetModelResponse { model: Some(model()), ..GetModelResponse::default() }))
    }

    async fn score_batch(&self, _: Request<ScoreBatchRequest>) -> Result<Response<ScoreBatchResponse>, Status> {
        Err(Status::unimplemented("it stalls for single pull requests only"))
    }

    type ScoreStreamStream = tokio_stream::Empty<Result<ScoreStreamResponse, Status>>;

    async fn score_stream(
        &self,
        _: Request<Streaming<ScoreStreamRequest>>,
    ) -> Result<Response<Self::ScoreStreamStream>, Status> {
        Err(Status::unimplemented("it stalls for single pull requests only"))
    }

    async fn send_feedback(&self, _: Request<SendFeedbackRequest>) -> Result<Response<SendFeedbackResponse>, Status> {
        Err(Status::unimplemented("nothing is kept"))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Args { grpc_addr, service_time } = Args::parse();
    let stop = shutdown::signal();
    let listener = TcpListener::bind(grpc_addr).await?;
    let connections = TcpIncoming::from(listener).with_nodelay(Some(true));
    let stalling = Arc::new(Stalling { begun: Instant::now(), service_time, account: Mutex::default() });
    // A reporter that nobody told otherwise says SERVING.
    let health = HealthServer::new(HealthService::from_health_reporter(HealthReporter::new()));
    let served = Server::builder()
        .max_concurrent_streams(STREAMS)
        .add_service(ScoringServer::from_arc(Arc::clone(&stalling)))
        .add_service(health)
        .serve_with_incoming(connections);
    tokio::select! {
        ended = served => ended?,
        _ = stop => {}
    }
    println!("{}", serde_json::to_string(&stalling.account())?);
    Ok(())
}

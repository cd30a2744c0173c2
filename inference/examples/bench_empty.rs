//! The limit of `make bench-inference`, and the server of `make bench-gate`: the service without its work. It decodes each
//! request and gives the same answer of real size to all; the rest, the transport and its settings, is the server's. It says
//! that it serves the model that the answer names, since a load test asks for that first.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use prost::Message;
use prowl_inference::{args, config::Config};
use prowl_proto::v1::scoring_server::{Scoring, ScoringServer};
use prowl_proto::v1::{
    GetModelRequest, GetModelResponse, ScoreBatchRequest, ScoreBatchResponse, ScoreBatchResult, ScoreRequest,
    ScoreResponse, ScoreStreamRequest, ScoreStreamResponse, SendFeedbackRequest, SendFeedbackResponse,
    score_batch_result::Outcome,
};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status, Streaming,
    service::Routes,
    transport::{Server, server::TcpIncoming},
};
use tonic_health::{
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};

#[derive(Parser)]
struct Args {
    /// The answer to give: the bytes of a `ScoreResponse`
    #[arg(long)]
    answer: PathBuf,
    #[arg(long, default_value = "127.0.0.1:50051")]
    grpc_addr: SocketAddr,
}

struct Empty(ScoreResponse);

#[tonic::async_trait]
impl Scoring for Empty {
    async fn score(&self, _: Request<ScoreRequest>) -> Result<Response<ScoreResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }

    async fn score_batch(&self, request: Request<ScoreBatchRequest>) -> Result<Response<ScoreBatchResponse>, Status> {
        let result = |_: &ScoreRequest| ScoreBatchResult { outcome: Some(Outcome::Response(self.0.clone())) };
        Ok(Response::new(ScoreBatchResponse { results: request.get_ref().requests.iter().map(result).collect() }))
    }

    async fn get_model(&self, _: Request<GetModelRequest>) -> Result<Response<GetModelResponse>, Status> {
        Ok(Response::new(GetModelResponse { model: self.0.model.clone(), ..GetModelResponse::default() }))
    }

    type ScoreStreamStream = tokio_stream::Empty<Result<ScoreStreamResponse, Status>>;

    async fn score_stream(
        &self,
        _: Request<Streaming<ScoreStreamRequest>>,
    ) -> Result<Response<Self::ScoreStreamStream>, Status> {
        Ok(Response::new(tokio_stream::empty()))
    }

    async fn send_feedback(&self, _: Request<SendFeedbackRequest>) -> Result<Response<SendFeedbackResponse>, Status> {
        Err(Status::unimplemented("nothing is kept"))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Args { answer, grpc_addr } = Args::parse();
    let bytes = std::fs::read(&answer).with_context(|| format!("cannot read {}", answer.display()))?;
    let answer = ScoreResponse::decode(bytes.as_slice()).context("that is no ScoreResponse")?;
    // Those that the server has unless it is told otherwise.
    let limits = Config::try_from(args::Args::parse_from(["prowl-inference", "--store", "file:///none"]))?.limits;
    let scoring = ScoringServer::new(Empty(answer)).max_decoding_message_size(limits.request_bytes);
    // A reporter that nobody told otherwise says SERVING.
    let health = HealthServer::new(HealthService::from_health_reporter(HealthReporter::new()));
    let connections = TcpIncoming::from(TcpListener::bind(grpc_addr).await?).with_nodelay(Some(true));
    Server::builder()
        .max_concurrent_streams(limits.in_flight as u32)
        .http2_keepalive_interval(Some(limits.idle_time / 2))
        .http2_keepalive_timeout(Some(limits.idle_time))
        .add_routes(Routes::new(scoring).add_service(health).prepare())
        .serve_with_incoming(connections)
        .await?;
    Ok(())
}

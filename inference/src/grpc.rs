//! The gRPC port: `prowl.v1.Scoring`, health and reflection.

use axum::{middleware::from_fn_with_state, response::IntoResponse};
use prowl_proto::v1::{
    GetModelRequest, GetModelResponse, ScoreBatchRequest, ScoreBatchResponse, ScoreBatchResult, ScoreRequest,
    ScoreResponse,
    score_batch_result::Outcome,
    scoring_server::{Scoring, ScoringServer},
};
use tonic::{Request, Response, Status, service::Routes};
use tonic_health::server::HealthReporter;
use tonic_reflection::server::{Builder, Error as ReflectionError};

use crate::{
    admission::{Door, Gate, admit},
    config::Limits,
    error::{Error, Violation},
    readiness::Readiness,
};

/// How many items of a batch are scored before other work of the same thread gets its turn.
const ITEMS_A_TURN: usize = 16;

struct Service {
    readiness: Readiness,
    batch: usize,
}

#[tonic::async_trait]
impl Scoring for Service {
    async fn score(&self, request: Request<ScoreRequest>) -> Result<Response<ScoreResponse>, Status> {
        Ok(Response::new(self.readiness.engine()?.answer(request.into_inner())?))
    }

    async fn score_batch(&self, request: Request<ScoreBatchRequest>) -> Result<Response<ScoreBatchResponse>, Status> {
        let engine = self.readiness.engine()?;
        let requests = request.into_inner().requests;
        if requests.len() > self.batch {
            let description = format!(
                "{} pull requests, this server takes {} a batch: send several batches",
                requests.len(),
                self.batch
            );
            return Err(Error::Invalid(vec![Violation::new("requests", description)]).into());
        }
        let mut results = Vec::with_capacity(requests.len());
        for request in requests {
            let outcome = match engine.answer(request) {
                Ok(response) => Outcome::Response(response),
                Err(error) => Outcome::Error(error.into()),
            };
            results.push(ScoreBatchResult { outcome: Some(outcome) });
            if results.len() % ITEMS_A_TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
        Ok(Response::new(ScoreBatchResponse { results }))
    }

    async fn get_model(&self, _: Request<GetModelRequest>) -> Result<Response<GetModelResponse>, Status> {
        Ok(Response::new(self.readiness.engine()?.describe()))
    }
}

/// Everything that the gRPC port answers.
///
/// # Errors
/// The descriptors that reflection serves could not be read, which the tests of `prowl-proto` exclude.
pub fn routes(
    readiness: Readiness,
    health: HealthReporter,
    gate: Gate,
    limits: &Limits,
) -> Result<Routes, ReflectionError> {
    let scoring =
        ScoringServer::new(Service { readiness, batch: limits.batch }).max_decoding_message_size(limits.request_bytes);
    let door = Door { gate, refuse: |error| Status::from(error).into_http::<axum::body::Body>().into_response() };
    let scoring = Routes::new(scoring).into_axum_router().route_layer(from_fn_with_state(door, admit));
    let health = tonic_health::server::HealthService::from_health_reporter(health);
    let reflection = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(prowl_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    Ok(Routes::from(scoring)
        .add_service(tonic_health::pb::health_server::HealthServer::new(health))
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?))
}

//! The gRPC port: `prowl.v1.Scoring`, the Open Inference Protocol, health and reflection.

use axum::{middleware::from_fn_with_state, response::IntoResponse};
use prowl_proto::{
    inference::grpc_inference_service_server::GrpcInferenceServiceServer,
    v1::{
        GetModelRequest, GetModelResponse, ScoreBatchRequest, ScoreBatchResponse, ScoreRequest, ScoreResponse,
        ScoreStreamRequest, SendFeedbackRequest, SendFeedbackResponse,
        scoring_server::{Scoring, ScoringServer},
    },
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming, service::Routes};
use tonic_health::server::HealthReporter;
use tonic_reflection::server::{Builder, Error as ReflectionError};

use crate::{
    config::Limits,
    connection::Cut,
    door::{Door, enter},
    engine::Asked,
    error::Error,
    feedback::Feedback,
    oip::grpc::OpenInference,
    readiness::Readiness,
    scorer::Scorer,
    stream::{Answers, Streams},
};

/// What answers on this port.
pub(crate) struct Parts {
    pub(crate) readiness: Readiness,
    pub(crate) scorer: Scorer,
    pub(crate) feedback: Feedback,
    pub(crate) health: HealthReporter,
    pub(crate) door: Door,
    /// That the server takes no more requests.
    pub(crate) stop: CancellationToken,
}

struct Service {
    readiness: Readiness,
    scorer: Scorer,
    feedback: Feedback,
    streams: Streams,
    batch: usize,
}

#[tonic::async_trait]
impl Scoring for Service {
    type ScoreStreamStream = Answers;

    async fn score(&self, request: Request<ScoreRequest>) -> Result<Response<ScoreResponse>, Status> {
        let engine = self.readiness.engine()?;
        Ok(Response::new(self.scorer.score(&engine, request.into_inner().into()).await?))
    }

    async fn score_batch(&self, request: Request<ScoreBatchRequest>) -> Result<Response<ScoreBatchResponse>, Status> {
        let engine = self.readiness.engine()?;
        let requests = request.into_inner().requests;
        if requests.len() > self.batch {
            let instead = "a batch: send several batches";
            return Err(Error::too_many("requests", requests.len(), "pull requests", self.batch, instead).into());
        }
        let asked = requests.into_iter().map(Asked::from).collect();
        Ok(Response::new(self.scorer.score_batch(&engine, asked).await))
    }

    async fn score_stream(&self, request: Request<Streaming<ScoreStreamRequest>>) -> Result<Response<Answers>, Status> {
        self.readiness.engine()?;
        let cut = request.extensions().get::<Cut>().cloned().unwrap_or_default();
        Ok(Response::new(self.streams.begin(request.into_inner(), cut)?))
    }

    async fn get_model(&self, _: Request<GetModelRequest>) -> Result<Response<GetModelResponse>, Status> {
        Ok(Response::new(self.readiness.engine()?.describe()))
    }

    async fn send_feedback(
        &self,
        request: Request<SendFeedbackRequest>,
    ) -> Result<Response<SendFeedbackResponse>, Status> {
        Ok(Response::new(self.feedback.keep(request.into_inner()).await?))
    }
}

/// Everything that the gRPC port answers.
///
/// # Errors
/// The descriptors that reflection serves could not be read, which the tests of `prowl-proto` exclude.
pub(crate) fn routes(parts: Parts, limits: &Limits) -> Result<Routes, ReflectionError> {
    let Parts { readiness, scorer, feedback, health, door, stop } = parts;
    let (batch, most) = (limits.batch, limits.request_bytes);
    let streams = Streams::new(readiness.clone(), scorer.clone(), door.gate.clone(), limits, stop);
    let open_inference = OpenInference { readiness: readiness.clone(), scorer: scorer.clone(), batch };
    let open_inference = GrpcInferenceServiceServer::new(open_inference).max_decoding_message_size(most);
    let scoring = Service { readiness, scorer, feedback, streams, batch };
    let scoring = ScoringServer::new(scoring).max_decoding_message_size(most);
    let health = tonic_health::server::HealthService::from_health_reporter(health);
    let reflection = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(prowl_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let routes = Routes::new(scoring)
        .add_service(open_inference)
        .add_service(tonic_health::pb::health_server::HealthServer::new(health))
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    Ok(Routes::from(routes.into_axum_router().layer(from_fn_with_state(door, enter))))
}

/// What a request was refused with before it came to its handler.
pub(crate) fn refuse(_path: &str, error: &Error) -> axum::response::Response {
    Status::from(error).into_http::<axum::body::Body>().into_response()
}

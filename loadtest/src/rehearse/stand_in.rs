//! A server of its own process that stands in for green: it hands each call on to the real one, and plants a fault on the way.
//!
//! ```text
//! gate ──> stand-in (prowl.v1.Scoring, the Open Inference Protocol, health; /metrics) ──> prowl-inference
//! ```
//!
//! With no fault it does nothing but that. So stands one before blue as well, or the gate could catch any fault by what the
//! detour costs. Of the paths of HTTP only `/metrics` is handed on.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use prowl_proto::{
    inference::{
        ModelInferRequest, ModelInferResponse, ModelMetadataRequest, ModelMetadataResponse, ModelReadyRequest,
        ModelReadyResponse, ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest, ServerMetadataResponse,
        ServerReadyRequest, ServerReadyResponse,
        grpc_inference_service_client::GrpcInferenceServiceClient,
        grpc_inference_service_server::{GrpcInferenceService, GrpcInferenceServiceServer},
    },
    v1::{
        Bands, GetModelRequest, GetModelResponse, ScoreBatchRequest, ScoreBatchResponse, ScoreRequest, ScoreResponse,
        ScoreStreamRequest, ScoreStreamResponse, SendFeedbackRequest, SendFeedbackResponse, score_batch_result,
        score_stream_response,
        scoring_client::ScoringClient,
        scoring_server::{Scoring, ScoringServer},
    },
};
use tokio::net::TcpListener;
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::task::AbortOnDropHandle;
use tonic::{
    Extensions, Request, Response, Status, Streaming,
    transport::{Channel, Server, server::TcpIncoming},
};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_client::HealthClient,
    health_server::{Health, HealthServer},
};
use url::Url;

use super::{Break, Error, faults::Planted, figures, replica::channel};

/// Connections to the real server: over one, the calls of many would wait for each other.
const CONNECTIONS: usize = 4;

/// The longest message: more than the server takes, which says so itself.
const LONGEST: usize = 64 << 20;

/// Calls at one time on one connection of a client; a server that is in the way must not be what sets the limit.
const STREAMS: u32 = 4_096;

/// What a stand-in is told.
#[derive(Debug, Clone)]
pub struct StandIn {
    /// The gRPC port of the real server.
    pub of: Url,
    /// Its HTTP port, whose `/metrics` are handed on.
    pub of_http: Option<Url>,
    /// What it plants.
    pub fault: Option<Break>,
    /// Where it takes calls.
    pub listen: SocketAddr,
    /// Where it tells its memory.
    pub http: SocketAddr,
    /// Of the dice.
    pub seed: u64,
}

/// Stands in until `signal` ends, and then answers what was begun.
///
/// # Errors
/// A port cannot be opened, or the real server does not answer.
pub async fn stand_in(settings: &StandIn, signal: impl Future<Output = &'static str>) -> Result<(), Error> {
    let bind = async |address: SocketAddr| {
        let bound = TcpListener::bind(address).await.and_then(|listener| Ok((listener.local_addr()?, listener)));
        bound.map_err(|source| Error::Listen { address, source })
    };
    let (grpc, calls) = bind(settings.listen).await?;
    let (http, asked) = bind(settings.http).await?;
    let forward = Forward::new(settings).await?;
    // As `prowl-inference` says it, so that both are started in the same way.
    tracing::info!(%grpc, %http, of = %settings.of, fault = settings.fault.map(Break::name), "listening");
    let behind = settings.of_http.as_ref().and_then(|url| url.join("/metrics").ok());
    let _figures = AbortOnDropHandle::new(tokio::spawn(figures::serve(asked, behind)));
    let stop = async {
        let signal = signal.await;
        tracing::info!(signal, "draining");
    };
    serve(forward, calls, stop).await
}

async fn serve(forward: Forward, listener: TcpListener, stop: impl Future<Output = ()>) -> Result<(), Error> {
    let connections = TcpIncoming::from(listener).with_nodelay(Some(true));
    let scoring = ScoringServer::new(forward.clone()).max_decoding_message_size(LONGEST);
    let inference = GrpcInferenceServiceServer::new(forward.clone()).max_decoding_message_size(LONGEST);
    let served = Server::builder()
        .max_concurrent_streams(STREAMS)
        .add_service(scoring)
        .add_service(inference)
        .add_service(HealthServer::new(forward))
        .serve_with_incoming_shutdown(connections, stop);
    served.await.map_err(Error::from)
}

/// Hands calls on.
#[derive(Clone)]
struct Forward {
    channels: Arc<[Channel]>,
    next: Arc<AtomicUsize>,
    planted: Arc<Planted>,
}

impl Forward {
    async fn new(settings: &StandIn) -> Result<Self, Error> {
        let behind = |reason: String| Error::Behind { url: settings.of.to_string(), reason };
        let channels: Result<Arc<[Channel]>, _> = (0..CONNECTIONS).map(|_| channel(&settings.of)).collect();
        let channels = channels.map_err(|error| behind(error.to_string()))?;
        let bands = match settings.fault {
            Some(Break::Drifted) => bands(channels[0].clone()).await.map_err(|status| behind(status.to_string()))?,
            _ => Bands::default(),
        };
        let planted = Arc::new(Planted::new(settings.fault, bands, settings.seed));
        Ok(Self { channels, next: Arc::default(), planted })
    }

    fn channel(&self) -> Channel {
        self.channels[self.next.fetch_add(1, Relaxed) % self.channels.len()].clone()
    }

    fn scoring(&self) -> ScoringClient<Channel> {
        ScoringClient::new(self.channel()).max_decoding_message_size(LONGEST)
    }

    fn inference(&self) -> GrpcInferenceServiceClient<Channel> {
        GrpcInferenceServiceClient::new(self.channel()).max_decoding_message_size(LONGEST)
    }
}

async fn bands(channel: Channel) -> Result<Bands, Status> {
    let model = ScoringClient::new(channel).get_model(GetModelRequest {}).await?.into_inner();
    model.bands.ok_or_else(|| Status::not_found("its model names no bands"))
}

/// What a caller sent, but for what belongs to its connection.
fn handed_on<T>(request: Request<T>) -> Request<T> {
    let (metadata, _, message) = request.into_parts();
    Request::from_parts(metadata, Extensions::default(), message)
}

/// An answer alone: its trailers are made anew.
fn handed_back<T>(response: Response<T>) -> Response<T> {
    Response::new(response.into_inner())
}

#[tonic::async_trait]
impl Scoring for Forward {
    async fn score(&self, request: Request<ScoreRequest>) -> Result<Response<ScoreResponse>, Status> {
        self.planted.before().await?;
        let mut answer = self.scoring().score(handed_on(request)).await?.into_inner();
        self.planted.after(&mut answer);
        Ok(Response::new(answer))
    }

    async fn score_batch(&self, request: Request<ScoreBatchRequest>) -> Result<Response<ScoreBatchResponse>, Status> {
        self.planted.before().await?;
        let mut answer = self.scoring().score_batch(handed_on(request)).await?.into_inner();
        for result in &mut answer.results {
            if let Some(score_batch_result::Outcome::Response(answer)) = &mut result.outcome {
                self.planted.after(answer);
            }
        }
        Ok(Response::new(answer))
    }

    type ScoreStreamStream = Pin<Box<dyn Stream<Item = Result<ScoreStreamResponse, Status>> + Send>>;

    async fn score_stream(
        &self,
        request: Request<Streaming<ScoreStreamRequest>>,
    ) -> Result<Response<Self::ScoreStreamStream>, Status> {
        self.planted.before().await?;
        // A caller that breaks off sends nothing more.
        let asked = handed_on(request).map(|asked| asked.map_while(Result::ok));
        let answers = self.scoring().score_stream(asked).await?.into_inner();
        let planted = Arc::clone(&self.planted);
        let answers: Self::ScoreStreamStream = Box::pin(answers.map(move |answer| {
            answer.map(|mut answer| {
                if let Some(score_stream_response::Outcome::Response(answer)) = &mut answer.outcome {
                    planted.after(answer);
                }
                answer
            })
        }));
        Ok(Response::new(answers))
    }

    async fn get_model(&self, request: Request<GetModelRequest>) -> Result<Response<GetModelResponse>, Status> {
        self.scoring().get_model(handed_on(request)).await.map(handed_back)
    }

    async fn send_feedback(
        &self,
        request: Request<SendFeedbackRequest>,
    ) -> Result<Response<SendFeedbackResponse>, Status> {
        self.scoring().send_feedback(handed_on(request)).await.map(handed_back)
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for Forward {
    async fn model_infer(&self, request: Request<ModelInferRequest>) -> Result<Response<ModelInferResponse>, Status> {
        self.planted.before().await?;
        let mut answer = self.inference().model_infer(handed_on(request)).await?.into_inner();
        self.planted.after_inference(&mut answer);
        Ok(Response::new(answer))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        self.inference().model_metadata(handed_on(request)).await.map(handed_back)
    }

    async fn model_ready(&self, request: Request<ModelReadyRequest>) -> Result<Response<ModelReadyResponse>, Status> {
        self.inference().model_ready(handed_on(request)).await.map(handed_back)
    }

    async fn server_live(&self, request: Request<ServerLiveRequest>) -> Result<Response<ServerLiveResponse>, Status> {
        self.inference().server_live(handed_on(request)).await.map(handed_back)
    }

    async fn server_metadata(
        &self,
        request: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        self.inference().server_metadata(handed_on(request)).await.map(handed_back)
    }

    async fn server_ready(
        &self,
        request: Request<ServerReadyRequest>,
    ) -> Result<Response<ServerReadyResponse>, Status> {
        self.inference().server_ready(handed_on(request)).await.map(handed_back)
    }
}

#[tonic::async_trait]
impl Health for Forward {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        HealthClient::new(self.channel()).check(handed_on(request)).await.map(handed_back)
    }

    type WatchStream = Streaming<HealthCheckResponse>;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        HealthClient::new(self.channel()).watch(handed_on(request)).await.map(handed_back)
    }
}

#[cfg(test)]
mod tests;

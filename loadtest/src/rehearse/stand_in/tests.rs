use prowl_proto::v1::{Band, ModelId, ScoreBatchResult, score_request::Source};
use tokio::{net::TcpStream, sync::oneshot, time::Instant};
use tonic::Code;
use tonic_health::{pb::health_check_response::ServingStatus, server::HealthReporter};

use super::*;
use crate::tensors;

/// The real server: it answers with the number of bytes that it was sent, and knows who asks.
#[derive(Clone)]
struct Real;

fn model() -> ModelId {
    ModelId { version: "20261124T214500Z".to_owned(), digest: "ab".repeat(32), ..ModelId::default() }
}

fn answer(request: &ScoreRequest) -> ScoreResponse {
    let length = match &request.source {
        Some(Source::GithubJson(json)) => json.len(),
        _ => 0,
    };
    ScoreResponse {
        number: length as u64,
        percentile: Some(90.0),
        band: Band::Routine.into(),
        model: Some(model()),
        ..ScoreResponse::default()
    }
}

#[tonic::async_trait]
impl Scoring for Real {
    async fn score(&self, request: Request<ScoreRequest>) -> Result<Response<ScoreResponse>, Status> {
        match request.metadata().get("authorization") {
            Some(token) if token == "Bearer of the test" => Ok(Response::new(answer(request.get_ref()))),
            _ => Err(Status::unauthenticated("bring the token")),
        }
    }

    async fn score_batch(&self, request: Request<ScoreBatchRequest>) -> Result<Response<ScoreBatchResponse>, Status> {
        let outcome = |request| Some(score_batch_result::Outcome::Response(answer(request)));
        let results = request.get_ref().requests.iter().map(|request| ScoreBatchResult { outcome: outcome(request) });
        Ok(Response::new(ScoreBatchResponse { results: results.collect() }))
    }

    type ScoreStreamStream = Pin<Box<dyn Stream<Item = Result<ScoreStreamResponse, Status>> + Send>>;

    async fn score_stream(
        &self,
        request: Request<Streaming<ScoreStreamRequest>>,
    ) -> Result<Response<Self::ScoreStreamStream>, Status> {
        let answers: Self::ScoreStreamStream = Box::pin(request.into_inner().map(|asked| {
            asked.map(|asked| ScoreStreamResponse {
                outcome: Some(score_stream_response::Outcome::Response(answer(&asked.request.unwrap_or_default()))),
            })
        }));
        Ok(Response::new(answers))
    }

    async fn get_model(&self, _: Request<GetModelRequest>) -> Result<Response<GetModelResponse>, Status> {
        let bands = Some(Bands { unusual: 95.0, very_unusual: 99.0 });
        Ok(Response::new(GetModelResponse { model: Some(model()), bands, ..GetModelResponse::default() }))
    }

    async fn send_feedback(&self, _: Request<SendFeedbackRequest>) -> Result<Response<SendFeedbackResponse>, Status> {
        Err(Status::unimplemented("nothing is kept"))
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for Real {
    async fn server_live(&self, _: Request<ServerLiveRequest>) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(&self, _: Request<ServerReadyRequest>) -> Result<Response<ServerReadyResponse>, Status> {
        Ok(Response::new(ServerReadyResponse { ready: true }))
    }

    async fn model_ready(&self, request: Request<ModelReadyRequest>) -> Result<Response<ModelReadyResponse>, Status> {
        Ok(Response::new(ModelReadyResponse { ready: request.get_ref().name == "prowl" }))
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        Ok(Response::new(ServerMetadataResponse { name: "real".to_owned(), ..ServerMetadataResponse::default() }))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let name = request.into_inner().name;
        Ok(Response::new(ModelMetadataResponse { name, ..ModelMetadataResponse::default() }))
    }

    async fn model_infer(&self, request: Request<ModelInferRequest>) -> Result<Response<ModelInferResponse>, Status> {
        Ok(Response::new(tensors::tests::answer(!request.get_ref().raw_input_contents.is_empty())))
    }
}

async fn anywhere() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn url(listener: &TcpListener) -> Url {
    super::super::switch::url_of(listener.local_addr().unwrap())
}

/// A stand-in before a real server, and what is to be said to it.
struct Before {
    channel: Channel,
    health: HealthReporter,
    url: Url,
    end: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<Result<(), Error>>,
}

async fn before(fault: Option<Break>) -> Before {
    let (real, listener) = (anywhere().await, anywhere().await);
    let (of, url) = (url(&real), url(&listener));
    let (health, reported) = tonic_health::server::health_reporter();
    health.set_service_status("", tonic_health::ServingStatus::Serving).await;
    let server = Server::builder()
        .add_service(ScoringServer::new(Real))
        .add_service(GrpcInferenceServiceServer::new(Real))
        .add_service(reported);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(real)));
    let (listen, http) = (listener.local_addr().unwrap(), listener.local_addr().unwrap());
    let forward = Forward::new(&StandIn { of, of_http: None, fault, listen, http, seed: 1 }).await.unwrap();
    let (end, ended) = oneshot::channel::<()>();
    let served = tokio::spawn(serve(forward, listener, async { drop(ended.await) }));
    Before { channel: channel(&url).unwrap(), health, url, end, served }
}

fn request(json: &'static [u8]) -> ScoreRequest {
    ScoreRequest { source: Some(Source::GithubJson(json.into())), ..ScoreRequest::default() }
}

fn known(json: &'static [u8]) -> Request<ScoreRequest> {
    let mut request = Request::new(request(json));
    request.metadata_mut().insert("authorization", "Bearer of the test".parse().unwrap());
    request
}

#[tokio::test]
async fn without_a_fault_all_is_as_the_real_server_says_it() {
    let before = before(None).await;
    let mut client = ScoringClient::new(before.channel.clone());
    assert_eq!(client.score(known(b"12345")).await.unwrap().into_inner(), answer(&request(b"12345")));
    let refused = client.score(request(b"1")).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::Unauthenticated, "bring the token"));
    let batch = ScoreBatchRequest { requests: vec![request(b"1"), request(b"22")] };
    let answers = client.score_batch(batch).await.unwrap().into_inner().results;
    let number = |result: &ScoreBatchResult| match &result.outcome {
        Some(score_batch_result::Outcome::Response(answer)) => answer.number,
        other => panic!("{other:?}"),
    };
    assert_eq!(answers.iter().map(number).collect::<Vec<_>>(), [1, 2]);
    let asked = [b"1".as_slice(), b"22", b"333"].map(|json| ScoreStreamRequest { request: Some(request(json)) });
    let answers = client.score_stream(tokio_stream::iter(asked)).await.unwrap().into_inner();
    let numbers = answers.map(|answer| match answer.unwrap().outcome {
        Some(score_stream_response::Outcome::Response(answer)) => answer.number,
        other => panic!("{other:?}"),
    });
    assert_eq!(numbers.collect::<Vec<_>>().await, [1, 2, 3]);
    assert_eq!(client.get_model(GetModelRequest {}).await.unwrap().into_inner().model, Some(model()));
    let feedback = client.send_feedback(SendFeedbackRequest::default()).await.unwrap_err();
    assert_eq!(feedback.code(), Code::Unimplemented);
}

#[tokio::test]
async fn the_open_inference_protocol_is_handed_on_too() {
    let before = before(None).await;
    let mut client = GrpcInferenceServiceClient::new(before.channel.clone());
    assert!(client.server_live(ServerLiveRequest {}).await.unwrap().into_inner().live);
    assert!(client.server_ready(ServerReadyRequest {}).await.unwrap().into_inner().ready);
    let asked = |name: &str| ModelReadyRequest { name: name.to_owned(), ..ModelReadyRequest::default() };
    assert!(client.model_ready(asked("prowl")).await.unwrap().into_inner().ready);
    assert!(!client.model_ready(asked("other")).await.unwrap().into_inner().ready);
    assert_eq!(client.server_metadata(ServerMetadataRequest {}).await.unwrap().into_inner().name, "real");
    let asked = ModelMetadataRequest { name: "prowl".to_owned(), ..ModelMetadataRequest::default() };
    assert_eq!(client.model_metadata(asked).await.unwrap().into_inner().name, "prowl");
    let raw = || ModelInferRequest { raw_input_contents: vec![vec![1_u8].into()], ..ModelInferRequest::default() };
    let answer = client.model_infer(raw()).await.unwrap().into_inner();
    assert_eq!(answer, tensors::tests::answer(true));

    let drifted = self::before(Some(Break::Drifted)).await;
    let mut client = GrpcInferenceServiceClient::new(drifted.channel.clone());
    let answer = client.model_infer(raw()).await.unwrap().into_inner();
    assert_eq!(tensors::floats(&answer, 0)[0], 99.99);
}

#[tokio::test]
async fn its_health_is_that_of_the_real_server() {
    let before = before(None).await;
    let mut health = HealthClient::new(before.channel.clone());
    let question = || HealthCheckRequest { service: String::new() };
    assert_eq!(health.check(question()).await.unwrap().into_inner().status(), ServingStatus::Serving);
    let mut watch = health.watch(question()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    before.health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert_eq!(health.check(question()).await.unwrap().into_inner().status(), ServingStatus::NotServing);
}

#[tokio::test]
async fn what_is_planted_reaches_each_kind_of_call() {
    let drifted = before(Some(Break::Drifted)).await;
    let mut client = ScoringClient::new(drifted.channel.clone());
    let expected = (Some(99.99), Band::VeryUnusual);
    let seen = |answer: &ScoreResponse| (answer.percentile, answer.band());
    assert_eq!(seen(client.score(known(b"1")).await.unwrap().get_ref()), expected);
    let batch = ScoreBatchRequest { requests: vec![request(b"1")] };
    match &client.score_batch(batch).await.unwrap().get_ref().results[0].outcome {
        Some(score_batch_result::Outcome::Response(answer)) => assert_eq!(seen(answer), expected),
        other => panic!("{other:?}"),
    }
    let asked = ScoreStreamRequest { request: Some(request(b"1")) };
    let mut answers = client.score_stream(tokio_stream::iter([asked])).await.unwrap().into_inner();
    match answers.message().await.unwrap().unwrap().outcome {
        Some(score_stream_response::Outcome::Response(answer)) => assert_eq!(seen(&answer), expected),
        other => panic!("{other:?}"),
    }

    let slow = before(Some(Break::Slow)).await;
    let mut client = ScoringClient::new(slow.channel.clone());
    client.get_model(GetModelRequest {}).await.unwrap();
    let begun = Instant::now();
    client.score(known(b"1")).await.unwrap();
    assert!(begun.elapsed().as_millis() >= 15, "{:?}", begun.elapsed());

    let failing = before(Some(Break::Errors)).await;
    let mut client = ScoringClient::new(failing.channel.clone());
    let mut failed = 0;
    for _ in 0..600 {
        match client.score(known(b"1")).await {
            Ok(_) => {}
            Err(status) => {
                assert_eq!((status.code(), status.message()), (Code::Unavailable, "a planted error"));
                failed += 1;
            }
        }
    }
    assert!((1..30).contains(&failed), "{failed}");
}

#[tokio::test]
async fn after_the_signal_it_takes_nobody_and_ends() {
    let before = before(None).await;
    let mut client = ScoringClient::new(before.channel.clone());
    client.score(known(b"1")).await.unwrap();
    before.end.send(()).unwrap();
    before.served.await.unwrap().unwrap();
    let address = before.url.socket_addrs(|| None).unwrap()[0];
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let free = anywhere().await.local_addr().unwrap();
    let of = super::super::switch::url_of(free);
    let settings = StandIn { of, of_http: None, fault: Some(Break::Drifted), listen: free, http: free, seed: 1 };
    // Both ports are one, so that the second cannot be had.
    let error = stand_in(&settings, std::future::pending()).await.unwrap_err().to_string();
    assert!(error.contains("cannot listen on"), "{error}");
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = StandIn { listen: anywhere, http: anywhere, ..settings };
    let error = stand_in(&settings, std::future::pending()).await.unwrap_err().to_string();
    assert!(error.contains("does not say what it serves"), "{error}");
}

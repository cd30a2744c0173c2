//! From not ready to ready to drained.

use std::{io::Write, net::TcpStream, sync::Arc, time::Duration};

use arrow::{array::RecordBatch, compute::concat_batches};
use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};
use prowl_proto::v1::{ScoreRequest, ScoreResponse, score_request::Source};
use tokio::sync::watch;
use tonic::{Code, Request, Status, client::Grpc, codegen::http::uri::PathAndQuery, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_prost::ProstCodec;
use tonic_reflection::pb::{
    v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    },
    v1alpha,
};

use crate::{
    fixture::{TempStore, document, made, model},
    programs::{Server, http_answer, prowl, text},
};

const SCORING: &str = "prowl.v1.Scoring";

async fn health(channel: &Channel, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(channel.clone()).check(request).await.unwrap().into_inner().status()
}

/// Profiles that take a moment to read.
fn large_profiles() -> bytes::Bytes {
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(made().profiles.clone()).unwrap().build().unwrap();
    let batch: RecordBatch = reader.next().unwrap().unwrap();
    let many = concat_batches(&batch.schema(), std::iter::repeat_n(&batch, 20_000 / batch.num_rows())).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    for _ in 0..20 {
        writer.write(&many).unwrap();
    }
    writer.into_inner().unwrap().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn not_serving_until_a_model_is_loaded() {
    let store = TempStore::empty();
    store.publish(&model("made", &prowl_features::digest()).to_bytes().unwrap(), &large_profiles());
    let server = Server::start(&store.url(), &[]);
    let channel = server.channel().await;
    let mut watching = HealthClient::new(channel.clone())
        .watch(HealthCheckRequest { service: SCORING.to_owned() })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(watching.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert_eq!(health(&channel, "").await, ServingStatus::NotServing);
    let status = server.client().await.score(ScoreRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("loaded"), "{status:?}");
    assert_eq!(server.http("GET", "/healthz", b"").0, 200);
    assert_eq!(server.http("GET", "/readyz", b"").0, 503);
    assert_eq!(server.post(document(3).to_string().as_bytes()).0, 503);
    let url = format!("http://{}", server.grpc);
    let told = prowl(&["score", "-", "--server", &url, "--timeout", "500ms"], b"{}");
    assert_eq!(told.status.code(), Some(1));
    assert!(text(&told.stderr).contains("still being loaded"), "{told:?}");
    let waited = prowl(&["score", "-", "--server", &url], document(3).to_string().as_bytes());
    assert_eq!(waited.status.code(), Some(0), "{waited:?}");

    assert_eq!(watching.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    for service in ["", SCORING] {
        assert_eq!(health(&channel, service).await, ServingStatus::Serving);
    }
    assert_eq!(server.http("GET", "/readyz", b"").0, 200);
    assert_eq!(server.post(document(3).to_string().as_bytes()).0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_lists_the_services() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let ask = |message: MessageRequest| ServerReflectionRequest { host: String::new(), message_request: Some(message) };
    let questions = tokio_stream::iter([
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol(SCORING.to_owned())),
    ]);
    let mut reflection = ServerReflectionClient::new(server.channel().await);
    let mut answers = reflection.server_reflection_info(questions).await.unwrap().into_inner();

    let MessageResponse::ListServicesResponse(list) =
        answers.message().await.unwrap().unwrap().message_response.unwrap()
    else {
        panic!("no list of services");
    };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    for name in [SCORING, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"] {
        assert!(names.iter().any(|listed| listed == name), "{names:?}");
    }
    let MessageResponse::FileDescriptorResponse(files) =
        answers.message().await.unwrap().unwrap().message_response.unwrap()
    else {
        panic!("no descriptor of {SCORING}");
    };
    assert!(!files.file_descriptor_proto.is_empty());

    // grpcurl asks for the older protocol as well.
    let question = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1alpha::server_reflection_request::MessageRequest::ListServices(String::new())),
    };
    let mut older = v1alpha::server_reflection_client::ServerReflectionClient::new(server.channel().await);
    let mut answers = older.server_reflection_info(tokio_stream::iter([question])).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some());
}

/// A call to `Score` whose message is sent when `release` says so: to the server it is under way from now on.
async fn held_call(channel: Channel, number: u64, mut release: watch::Receiver<bool>) -> Result<ScoreResponse, Status> {
    let source = Some(Source::GithubJson(document(number).to_string().into()));
    let request = ScoreRequest { source, ..ScoreRequest::default() };
    let message = futures::stream::once(async move {
        release.wait_for(|released| *released).await.unwrap();
        request
    });
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static("/prowl.v1.Scoring/Score");
    let codec = ProstCodec::<ScoreRequest, ScoreResponse>::default();
    Ok(grpc.client_streaming(Request::new(message), path, codec).await?.into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_requests_in_flight_survive_sigterm() {
    const GRPC: u64 = 150;
    const HTTP: u64 = 50;
    let store = TempStore::with_model();
    let mut server = Server::ready(&store.url(), &["--max-in-flight", "200", "--drain-grace", "200ms"]);
    let (release, released) = watch::channel(false);

    let mut calls = tokio::task::JoinSet::new();
    for first in [1, 51, 101] {
        let channel = server.channel().await;
        for number in first..first + 50 {
            calls.spawn(held_call(channel.clone(), number, released.clone()));
        }
    }
    assert_eq!(calls.len() as u64, GRPC);
    let mut posts: Vec<(TcpStream, String)> = Vec::new();
    for number in 1..=HTTP {
        let body = document(number).to_string();
        let mut stream = server.http_head("POST", "/v1/score", body.len());
        stream.write_all(&body.as_bytes()[..10]).unwrap();
        posts.push((stream, body));
    }
    // All are in the house once there is no place left, on either port. Until then the probe is answered as nonsense.
    let mut probe = server.client().await;
    while probe.score(ScoreRequest::default()).await.unwrap_err().code() != Code::ResourceExhausted {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(server.post(b"{}").0, 429);

    let watching = server.channel().await;
    server.signal("TERM");
    assert_eq!(server.logged("draining")["in_flight"], 200);
    // Not ready, and still answering, until the grace is over.
    assert_eq!(health(&watching, SCORING).await, ServingStatus::NotServing);
    assert_eq!(server.http("GET", "/readyz", b"").0, 503);
    while TcpStream::connect(&server.http).is_ok() || TcpStream::connect(&server.grpc).is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    release.send(true).unwrap();
    let mut answered = 0;
    while let Some(call) = calls.join_next().await {
        call.unwrap().unwrap();
        answered += 1;
    }
    for (mut stream, body) in posts {
        stream.write_all(&body.as_bytes()[10..]).unwrap();
        let (status, _, text) = http_answer(stream);
        assert_eq!(status, 200, "{text}");
        answered += 1;
    }
    assert_eq!(answered, GRPC + HTTP);
    assert_eq!(server.ended().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn open_connections_without_a_request_do_not_keep_the_server() {
    let store = TempStore::with_model();
    let mut server = Server::ready(&store.url(), &["--drain-grace", "0s", "--drain-timeout", "30s"]);
    let idle = server.client().await;
    let mut watching =
        HealthClient::new(server.channel().await).watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watching.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let began = std::time::Instant::now();
    server.signal("INT");
    assert_eq!(server.ended().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(20), "it waited for the drain timeout");
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_never_ends_is_cut_in_the_end() {
    let store = TempStore::with_model();
    let mut server = Server::ready(&store.url(), &["--drain-grace", "0s", "--drain-timeout", "200ms"]);
    let stuck = server.http_head("POST", "/v1/score", 1_000);
    let (release, released) = watch::channel(false);
    let call = tokio::spawn(held_call(server.channel().await, 1, released));
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(1));
    let told = server.said("error: ");
    assert!(told.contains("2 requests were still in flight") && told.contains("--drain-timeout"), "{told}");
    assert!(call.await.unwrap().is_err());
    drop((stuck, release));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_request_loses_its_place() {
    let store = TempStore::with_model();
    let server = Arc::new(Server::ready(&store.url(), &["--max-in-flight", "1", "--request-timeout", "300ms"]));
    let stuck = server.http_head("POST", "/v1/score", 1_000);
    let answering = tokio::task::spawn_blocking(move || http_answer(stuck));
    let (status, kind, text) = answering.await.unwrap();
    assert_eq!((status, kind.as_str()), (408, "application/problem+json"));
    assert!(text.contains("300ms") && text.contains("--request-timeout"), "{text}");
    let (_release, released) = watch::channel(false);
    let status = held_call(server.channel().await, 1, released).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(server.post(document(3).to_string().as_bytes()).0, 200);
}

#[test]
fn a_signal_while_loading_ends_it() {
    let store = TempStore::empty();
    store.publish(&model("made", &prowl_features::digest()).to_bytes().unwrap(), &large_profiles());
    let began = std::time::Instant::now();
    drop(Server::ready(&store.url(), &[]));
    let loading = began.elapsed();

    let mut server = Server::start(&store.url(), &["--drain-grace", "0s"]);
    // The files are read by then, and the profiles are being made of them.
    std::thread::sleep(loading / 4);
    let began = std::time::Instant::now();
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0));
    assert!(began.elapsed() < loading / 2, "it waited for the model, which takes {loading:?} to load");
}

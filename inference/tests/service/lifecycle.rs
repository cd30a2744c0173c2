//! From not ready to ready to drained.

use std::{
    fs,
    io::{ErrorKind::ConnectionReset, Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::Arc,
    time::Duration,
};

use prowl_proto::v1::{
    ScoreBatchRequest, ScoreBatchResponse, ScoreRequest, ScoreResponse, ScoreStreamRequest,
    scoring_client::ScoringClient,
};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Request, Status, Streaming,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    transport::{Channel, Endpoint},
};
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
    fixture::{TempStore, document, made, model, request},
    programs::{Server, head_and_body, header, http_answer, prowl, text},
};

const SCORING: &str = "prowl.v1.Scoring";

async fn health(channel: &Channel, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(channel.clone()).check(request).await.unwrap().into_inner().status()
}

/// A store whose model is never read to its end: in the place of a file there is a pipe that nobody writes to.
fn endless_store() -> TempStore {
    let store = TempStore::empty();
    let name = store.publish(&model("made", &prowl_features::digest()).to_bytes().unwrap(), &made().profiles);
    let file = store.file(&name, "profiles.parquet");
    fs::remove_file(&file).unwrap();
    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    store
}

#[tokio::test(flavor = "multi_thread")]
async fn not_serving_while_the_model_is_loaded() {
    let store = endless_store();
    let mut server = Server::start(&store.url(), &["--drain-grace", "0s"]);
    let channel = server.channel().await;
    for service in ["", SCORING] {
        assert_eq!(health(&channel, service).await, ServingStatus::NotServing);
    }
    let status = server.client().await.score(ScoreRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("loaded"), "{status:?}");
    assert_eq!(server.http("GET", "/healthz", b"").0, 200);
    assert_eq!(server.http("GET", "/readyz", b"").0, 503);
    let (head, body) = head_and_body(server.http_head("POST", "/v1/score", 0, ""));
    assert!(head.starts_with("http/1.1 503 ") && body.contains("still being loaded"), "{head}\n{body}");
    assert_eq!(header(&head, "retry-after"), Some("1"));
    let url = format!("http://{}", server.grpc);
    let told = prowl(&["score", "-", "--server", &url, "--timeout", "2s"], b"{}");
    assert_eq!(told.status.code(), Some(1));
    assert!(text(&told.stderr).contains("still being loaded"), "{told:?}");

    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0), "it does not wait for the model");
}

#[test]
fn a_signal_ends_the_wait_for_the_secrets() {
    let store = TempStore::with_model();
    // A Vault that never answers.
    let vault = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", vault.local_addr().unwrap());
    let secrets = [("VAULT_ADDR", address.as_str()), ("VAULT_SECRET_PATH", "secret/prowl"), ("VAULT_TOKEN", "planted")];
    let mut server = Server::start_with_secrets(&store.url(), &[], &secrets);
    let _asking = vault.accept().unwrap();
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn serving_once_the_model_is_loaded() {
    let store = TempStore::with_model();
    let server = Server::start(&store.url(), &[]);
    let channel = server.channel().await;
    let request = HealthCheckRequest { service: SCORING.to_owned() };
    let mut watching = HealthClient::new(channel.clone()).watch(request).await.unwrap().into_inner();
    // How much of the loading is seen depends on who is faster.
    while watching.message().await.unwrap().unwrap().status() != ServingStatus::Serving {}
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

/// A call to `Score` whose message is sent when `release` says so: to the server it is under way from now on. Where a
/// probe has taken its place, it is tried again.
async fn held_call(channel: Channel, number: u64, release: watch::Receiver<bool>) -> Result<ScoreResponse, Status> {
    loop {
        let mut release = release.clone();
        let message = futures::stream::once(async move {
            // A test that has failed releases nothing.
            let _ = release.wait_for(|released| *released).await;
            request(&document(number))
        });
        let mut grpc = Grpc::new(channel.clone());
        grpc.ready().await.unwrap();
        let path = PathAndQuery::from_static("/prowl.v1.Scoring/Score");
        let codec = ProstCodec::<ScoreRequest, ScoreResponse>::default();
        match grpc.client_streaming(Request::new(message), path, codec).await {
            Err(status) if status.code() == Code::ResourceExhausted => {}
            answer => return Ok(answer?.into_inner()),
        }
    }
}

/// A POST whose head the server has let in, and whose body is still to come.
fn held_post(server: &Server, length: usize) -> TcpStream {
    let mut stream = server.http_head("POST", "/v1/score", length, "expect: 100-continue\r\n");
    let mut told = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut told).unwrap();
    assert!(told.starts_with(b"HTTP/1.1 100 "), "{}", String::from_utf8_lossy(&told));
    stream
}

/// Waits until all requests have arrived. Until then the probe is answered as nonsense.
async fn no_place_is_left(server: &Server) {
    let mut probe = server.client().await;
    while probe.score(ScoreRequest::default()).await.unwrap_err().code() != Code::ResourceExhausted {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_requests_in_flight_survive_sigterm() {
    const GRPC: u64 = 150;
    const HTTP: u64 = 50;
    let store = TempStore::with_model();
    let mut server = Server::ready(&store.url(), &["--max-in-flight", "200", "--drain-grace", "2s"]);
    let (release, released) = watch::channel(false);

    let mut posts: Vec<(TcpStream, String)> = Vec::new();
    for number in 1..=HTTP {
        let body = document(number).to_string();
        posts.push((held_post(&server, body.len()), body));
    }
    let mut calls = tokio::task::JoinSet::new();
    for first in [1, 51, 101] {
        let channel = server.channel().await;
        for number in first..first + 50 {
            calls.spawn(held_call(channel.clone(), number, released.clone()));
        }
    }
    assert_eq!(calls.len() as u64, GRPC);
    no_place_is_left(&server).await;
    let (head, _) = head_and_body(server.http_head("POST", "/v1/score", 0, ""));
    assert!(head.starts_with("http/1.1 429 "), "{head}");
    assert_eq!(header(&head, "retry-after"), Some("1"));

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
        stream.write_all(body.as_bytes()).unwrap();
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
    let silent = [&server.grpc, &server.http].map(|address| TcpStream::connect(address).unwrap());
    // Connections are accepted in their order, so that these are there once the later ones are served.
    let idle = server.client().await;
    assert_eq!(server.http("GET", "/healthz", b"").0, 200);
    let mut watching =
        HealthClient::new(server.channel().await).watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watching.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let began = std::time::Instant::now();
    server.signal("INT");
    assert_eq!(server.ended().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(20), "it waited for the drain timeout");
    drop((idle, silent));
}

#[test]
fn a_client_that_does_not_go_when_told_to_is_no_failure() {
    let store = TempStore::with_model();
    let mut server = Server::ready(&store.url(), &["--drain-grace", "0s", "--drain-timeout", "200ms"]);
    // GOAWAY comes in two parts, of which the second waits for the answer to a ping.
    let stays = [&server.grpc, &server.http].map(|address| http2(address, &[]));
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0));
    server.logged("closing connections that their clients keep open without a request");
    stays.into_iter().for_each(assert_closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_never_ends_is_cut_in_the_end() {
    let store = TempStore::with_model();
    let limits = ["--max-in-flight", "2", "--drain-grace", "0s", "--drain-timeout", "200ms"];
    let mut server = Server::ready(&store.url(), &limits);
    let stuck = held_post(&server, 1_000);
    let (release, released) = watch::channel(false);
    let call = tokio::spawn(held_call(server.channel().await, 1, released));
    no_place_is_left(&server).await;
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
    let server = Arc::new(Server::ready(&store.url(), &["--max-in-flight", "1", "--request-timeout", "1s"]));
    let stuck = server.http_head("POST", "/v1/score", 1_000, "");
    let answering = tokio::task::spawn_blocking(move || http_answer(stuck));
    let (status, kind, text) = answering.await.unwrap();
    assert_eq!((status, kind.as_str()), (408, "application/problem+json"));
    assert!(text.contains("1s") && text.contains("--request-timeout"), "{text}");
    let (_release, released) = watch::channel(false);
    let status = held_call(server.channel().await, 1, released).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(server.post(document(3).to_string().as_bytes()).0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_holds_its_place_until_it_is_read() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &["--max-in-flight", "1"]);
    let mut unread = unread_batch(narrow_channel(&server).await).await;
    assert_eq!(server.post(document(3).to_string().as_bytes()).0, 429);
    assert_eq!(unread.message().await.unwrap().unwrap().results.len(), 150);
    assert!(unread.message().await.unwrap().is_none());
    a_place_is_free(&server).await;
}

const GIVEN_UP: &str = "an answer is not read in the time of its request: it is given up";

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_never_read_loses_its_place_and_its_connection() {
    let store = TempStore::with_model();
    let server =
        Server::ready(&store.url(), &["--max-in-flight", "1", "--request-timeout", "2s", "--idle-timeout", "1h"]);
    // SETTINGS_INITIAL_WINDOW_SIZE is 0; then HEADERS, the last of the stream: POST, http, /v1/score.
    let mut unread = http2(&server.http, &[0, 4, 0, 0, 0, 0]);
    unread.write_all(b"\0\0\x0d\x01\x05\0\0\0\x01\x83\x86\x04\x09/v1/score").unwrap();
    server.logged(GIVEN_UP);
    a_place_is_free(&server).await;
    assert_closed(unread);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_never_read_costs_no_other_request() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &["--max-in-flight", "2", "--request-timeout", "6s"]);
    let channel = narrow_channel(&server).await;
    let mut unread = unread_batch(channel.clone()).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (release, released) = watch::channel(false);
    let neighbour = tokio::spawn(held_call(channel, 3, released));
    no_place_is_left(&server).await;
    server.logged(GIVEN_UP);
    a_place_is_free(&server).await;
    release.send(true).unwrap();
    neighbour.await.unwrap().unwrap();
    assert!(unread.message().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_never_read_ends_no_stream_that_goes_on() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &["--request-timeout", "2s"]);
    let channel = narrow_channel(&server).await;
    let (sender, requests) = mpsc::channel(1);
    let mut client = ScoringClient::new(channel.clone());
    let mut answers = client.score_stream(ReceiverStream::new(requests)).await.unwrap().into_inner();
    let mut unread = unread_batch(channel).await;
    // Twice as long as the unread answer has.
    for number in 1..=20 {
        sender.send(ScoreStreamRequest { request: Some(request(&document(number))) }).await.unwrap();
        assert!(answers.message().await.unwrap().is_some());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    server.logged(GIVEN_UP);
    assert!(unread.message().await.is_err());
}

/// A channel on which no more of an answer comes than 64 KiB before it is read.
async fn narrow_channel(server: &Server) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", server.grpc)).unwrap();
    endpoint.initial_stream_window_size(65_535).connect().await.unwrap()
}

/// A batch whose answer is larger than that.
async fn unread_batch(channel: Channel) -> Streaming<ScoreBatchResponse> {
    let requests = vec![request(&document(3)); 150];
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static("/prowl.v1.Scoring/ScoreBatch");
    let codec = ProstCodec::<ScoreBatchRequest, ScoreBatchResponse>::default();
    grpc.server_streaming(Request::new(ScoreBatchRequest { requests }), path, codec).await.unwrap().into_inner()
}

async fn a_place_is_free(server: &Server) {
    while server.post(document(3).to_string().as_bytes()).0 == 429 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A connection whose client has said which HTTP/2 it speaks, with these settings, and says nothing more by itself.
fn http2(address: &str, settings: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    stream.write_all(&[0, 0, u8::try_from(settings.len()).unwrap(), 4, 0, 0, 0, 0, 0]).unwrap();
    stream.write_all(settings).unwrap();
    let (mut told, mut byte) = (Vec::new(), [0]);
    while !told.ends_with(&[0, 0, 0, 4, 1, 0, 0, 0, 0]) {
        stream.read_exact(&mut byte).unwrap();
        told.extend(byte);
    }
    stream
}

fn assert_closed(mut stream: TcpStream) {
    let ended = stream.read_to_end(&mut Vec::new());
    assert!(ended.is_ok() || ended.as_ref().is_err_and(|error| error.kind() == ConnectionReset), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_are_closed() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &["--idle-timeout", "2s"]);
    let mut watching =
        HealthClient::new(server.channel().await).watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watching.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let silent = |address: &str| {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    };
    let mut spoke = silent(&server.http);
    spoke.write_all(b"GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    let mut half = silent(&server.grpc);
    half.write_all(b"PRI * HTTP").unwrap();
    [silent(&server.grpc), silent(&server.http), half, spoke].into_iter().for_each(assert_closed);
    // The first, which does nothing but answer pings, is older than these and open still.
    assert!(tokio::time::timeout(Duration::from_millis(100), watching.message()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn more_connections_than_the_limit_wait() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &["--max-connections", "2"]);
    let ask = || {
        let mut stream = TcpStream::connect(&server.http).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(b"GET /v2 HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
        stream
    };
    let answered = |stream: &mut TcpStream| stream.read(&mut [0; 1_000]).is_ok_and(|length| length > 0);
    let (mut first, mut second) = (ask(), ask());
    assert!(answered(&mut first) && answered(&mut second));
    let mut third = ask();
    let told = "as many connections are open as may be, more wait: raise --max-connections";
    assert_eq!(server.logged(told)["limit"], 2);
    third.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(!answered(&mut third));
    // The other port has places of its own.
    assert_eq!(health(&server.channel().await, SCORING).await, ServingStatus::Serving);
    third.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    drop(first);
    assert!(answered(&mut third));
    drop((second, third));
    for _ in 0..20 {
        assert!(answered(&mut ask()));
    }
    assert_eq!(server.count(told), 1, "a busy port does not fill the log");
}

#[test]
fn a_want_of_descriptors_passes() {
    let store = TempStore::with_model();
    let server = Server::ready_with_descriptors(&store.url(), 40);
    let many: Vec<_> = (0..60).map(|_| TcpStream::connect(&server.http).unwrap()).collect();
    let told = "cannot accept a connection, trying again; of too many open files, raise `ulimit -n` or lower \
                --max-connections";
    assert!(server.logged(told)["error"].as_str().unwrap().contains("Too many open files"));
    // Long enough for many tries, were there no pause between them.
    std::thread::sleep(Duration::from_millis(300));
    drop(many);
    assert_eq!(server.http("GET", "/healthz", b"").0, 200);
    assert!(server.count(told) < 20, "it tries without a pause");
}

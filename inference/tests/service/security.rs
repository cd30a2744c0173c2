//! Who may ask, and what can be read on the way.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use prowl_proto::v1::{GetModelRequest, scoring_client::ScoringClient};
use tonic::{
    Code, Request,
    metadata::MetadataValue,
    transport::{Channel, Identity},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::{
    certificates::Certificates,
    fixture::{TempStore, new_document},
    programs::{Server, fail_to_start, head_and_body, text},
};

const TOKEN: &str = "a-token-of-the-pipeline";
const OTHER: &str = "another-token-of-a-person";

async fn asks(channel: Channel, token: Option<&str>) -> Result<(), tonic::Status> {
    let mut request = Request::new(GetModelRequest {});
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", MetadataValue::try_from(format!("Bearer {token}")).unwrap());
    }
    ScoringClient::new(channel).get_model(request).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_is_known_is_answered() {
    let store = TempStore::with_model();
    let server = Server::guarded(&store.url(), &["--access-log", "all"], &format!("pipeline:{TOKEN},person:{OTHER}"));
    let channel = server.channel().await;
    HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
    for path in ["/healthz", "/readyz", "/", "/page.js", "/v2/health/ready"] {
        assert_eq!(server.http("GET", path, b"").0, 200, "{path}");
    }
    for wrong in [None, Some("a-token-of-the-pipelinf"), Some("")] {
        assert_eq!(asks(channel.clone(), wrong).await.unwrap_err().code(), Code::Unauthenticated, "{wrong:?}");
    }
    for path in ["/metrics", "/v1/model", "/v1/recent", "/v2", "/nothing"] {
        let (head, body) = head_and_body(server.http_head("GET", path, 0, ""));
        assert!(head.starts_with("http/1.1 401") && head.contains("www-authenticate: bearer"), "{path} {head} {body}");
    }
    let document = new_document().to_string();
    let mut stream =
        server.http_head("POST", "/v1/score", document.len(), &format!("authorization: Bearer {OTHER}\r\n"));
    stream.write_all(document.as_bytes()).unwrap();
    assert!(head_and_body(stream).0.starts_with("http/1.1 200"));
    asks(channel.clone(), Some(TOKEN)).await.unwrap();

    let (_, metrics) =
        head_and_body(server.http_head("GET", "/metrics", 0, &format!("authorization: Bearer {TOKEN}\r\n")));
    assert!(metrics.contains("prowl_calls_by_token_total{token=\"person\"} 1"), "{metrics}");
    let code = |code: &str| format!("grpc_code=\"{code}\",grpc_method=\"GetModel\"");
    assert!(metrics.contains(&code("Unauthenticated")) && metrics.contains(&code("OK")), "{metrics}");
    assert!(server.count("\"token\":\"person\"") > 0);
    assert!(server.count("\"route\":\"/prowl.v1.Scoring/GetModel\",\"code\":\"Unauthenticated\"") > 0);
    for secret in [TOKEN, OTHER, "a-token-of-the-pipelinf"] {
        assert_eq!(server.count(secret), 0, "a token shows in the log");
    }
}

#[test]
fn without_tokens_it_does_not_start_for_everybody() {
    let store = TempStore::with_model();
    let output = Server::unguarded(&store.url(), &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = text(&output.stderr);
    assert!(told.contains("api_tokens") && told.contains("--insecure"), "{told}");
    assert!(!told.contains("listening"), "{told}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let output = Server::unguarded(&store.url(), &["--grpc-addr", &taken.local_addr().unwrap().to_string()]);
    let told = text(&output.stderr);
    assert!(told.contains("api_tokens") && !told.contains("cannot listen"), "{told}");
    let output = fail_to_start(&store.url(), &["--grpc-addr", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("0.0.0.0"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_and_its_certificate_may_change() {
    let (store, made) = (TempStore::with_model(), Certificates::new());
    let (certificate, key) = (made.path("server.pem"), made.path("server.key"));
    let server = Server::ready(&store.url(), &["--tls-cert", &certificate, "--tls-key", &key]);
    asks(made.connect(&server, "localhost", None).await.unwrap(), None).await.unwrap();

    // What is no TLS is cut, on both ports, and harms nobody.
    for address in [&server.grpc, &server.http] {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!String::from_utf8_lossy(&answer).contains("200"), "{answer:?}");
    }
    assert!(made.connect(&server, "elsewhere", None).await.is_err(), "the certificate is of localhost");
    made.write("server", "elsewhere");
    let until = Instant::now() + Duration::from_secs(30);
    while made.connect(&server, "elsewhere", None).await.is_err() {
        assert!(Instant::now() < until, "the new certificate is not used");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    fs::write(&certificate, "nonsense").unwrap();
    server.logged("the certificate has changed and cannot be used: the one before stays");
    fs::remove_file(&certificate).unwrap();
    let told = server.logged("the certificate cannot be read any more: the one before stays");
    assert!(told["error"].as_str().unwrap().contains(&certificate), "{told}");
    asks(made.connect(&server, "elsewhere", None).await.unwrap(), None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_need_a_certificate_where_that_is_asked_for() {
    let (store, made) = (TempStore::with_model(), Certificates::new());
    let files = [made.path("server.pem"), made.path("server.key"), made.path("ca.pem")];
    let args = ["--tls-cert", &files[0], "--tls-key", &files[1], "--tls-client-ca", &files[2]];
    let server = Server::ready(&store.url(), &args);
    let identity = |(certificate, key): (String, String)| Identity::from_pem(certificate, key);
    let known = made.connect(&server, "localhost", Some(identity(made.make("pipeline")))).await.unwrap();
    asks(known, None).await.unwrap();
    let strangers = Certificates::new();
    for identity in [None, Some(identity(strangers.make("pipeline")))] {
        let refused = match made.connect(&server, "localhost", identity).await {
            // In TLS 1.3 a client learns of it with its first answer.
            Ok(channel) => asks(channel, None).await.is_err(),
            Err(_) => true,
        };
        assert!(refused);
    }
}

#[test]
fn files_that_are_no_certificates_are_told() {
    let (store, made) = (TempStore::with_model(), Certificates::new());
    fs::write(made.path("odd.pem"), "nonsense").unwrap();
    for (certificate, key, says) in [
        ("odd.pem", "server.key", "no certificate"),
        ("server.pem", "odd.pem", "no private key"),
        ("server.pem", "gone.pem", "gone.pem"),
    ] {
        let args = ["--tls-cert", &made.path(certificate), "--tls-key", &made.path(key)];
        let output = fail_to_start(&store.url(), &args);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output.stderr).contains(says), "{output:?}");
    }
}

//! Bad requests: each gets one clear answer that names the field, and the server goes on.

use std::io::Write;

use prost_types::Timestamp;
use prowl_proto::v1::{FileHistory, History, PullRequest, ScoreBatchRequest, ScoreRequest, score_request::Source};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    fixture::{TempStore, document},
    programs::{Server, http_answer},
};

fn json_request(text: &str) -> ScoreRequest {
    ScoreRequest { source: Some(Source::GithubJson(text.to_owned().into())), ..ScoreRequest::default() }
}

fn fields(status: &Status) -> Vec<String> {
    let violations = status.get_details_bad_request().map(|details| details.field_violations).unwrap_or_default();
    violations.into_iter().map(|violation| violation.field).collect()
}

#[tokio::test]
async fn grpc_names_the_fields_at_fault() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &["--max-batch", "10"]);
    let mut client = server.client().await;
    let mut refused = async |request: ScoreRequest| {
        let status = client.score(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        (fields(&status), status.message().to_owned())
    };

    let (names, _) = refused(ScoreRequest::default()).await;
    assert_eq!(names, ["source"]);
    let source = Some(Source::PullRequest(PullRequest { number: 7, ..PullRequest::default() }));
    let (names, message) = refused(ScoreRequest { source, ..ScoreRequest::default() }).await;
    assert_eq!(names, ["pull_request.repository", "pull_request.created_at"]);
    assert!(message.contains("pull_request.repository"), "{message}");

    let (names, message) = refused(json_request("")).await;
    assert_eq!(names, ["github_json"]);
    assert!(message.contains("empty"), "{message}");
    let (names, message) = refused(json_request("<html>")).await;
    assert_eq!(names, ["github_json"]);
    assert!(message.contains("not JSON"), "{message}");
    let (names, _) = refused(json_request(r#"{"title": "no identity"}"#)).await;
    assert_eq!(names, ["github_json.base.repo.full_name", "github_json.number", "github_json.created_at"]);
    let mut wrong_type = document(3);
    wrong_type["files"][1]["additions"] = json!("many");
    let (names, _) = refused(json_request(&wrong_type.to_string())).await;
    assert_eq!(names, ["github_json.files[1].additions"]);

    let history = History { files: vec![FileHistory::default()], ..History::default() };
    let request = ScoreRequest { history: Some(history), ..json_request(&document(3).to_string()) };
    let (names, message) = refused(request).await;
    assert_eq!(names, ["history.files", "history.directories"]);
    assert!(message.contains("touches 2 distinct files"), "{message}");

    let status =
        client.score_batch(ScoreBatchRequest { requests: vec![ScoreRequest::default(); 11] }).await.unwrap_err();
    assert_eq!((status.code(), fields(&status)), (Code::InvalidArgument, vec!["requests".to_owned()]));
    assert!(status.message().contains("takes 10 a batch"), "{status:?}");

    client.score(json_request(&document(3).to_string())).await.unwrap();
}

#[tokio::test]
async fn an_answer_to_much_that_is_wrong_fits_the_headers_of_a_call() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let mut client = server.client().await;
    let mut refused = async |request: ScoreRequest| {
        let status = client.score(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        // Details travel in base64, a message with blanks as three characters each.
        let blanks = status.message().matches([' ', '`', '"']).count();
        let bytes = status.details().len() * 4 / 3 + status.message().len() + 2 * blanks;
        assert!(bytes < 4_000, "{bytes} bytes: {}", status.message());
        status
    };

    let mut many = document(3);
    many["files"] = (0..3_000).map(|index| json!({"filename": format!("src/part{index}/unit.rs")})).collect();
    let late = Some(Timestamp { seconds: 4_000_000_000, nanos: 0 });
    let files = vec![FileHistory { last_merged_at: late, ..FileHistory::default() }; 3_000];
    let history = Some(History { files, ..History::default() });
    let status = refused(ScoreRequest { history, ..json_request(&many.to_string()) }).await;
    let names = fields(&status);
    assert!((5..=21).contains(&names.len()), "{names:?}");
    assert_eq!(names[..2], ["history.directories", "history.files[0].last_merged_at"]);
    let told = names.len() - 1;
    assert!(status.message().ends_with(&format!("{} more fields are wrong", 3_001 - told)), "{status:?}");

    let mut long = document(3);
    long["additions"] = json!("x".repeat(5_000_000));
    let status = refused(json_request(&long.to_string())).await;
    assert_eq!(fields(&status), ["github_json.additions"]);
    assert!(status.message().contains("expected a whole number that is not negative, found string"), "{status:?}");
}

#[test]
fn values_at_the_edge_are_answered_and_those_beyond_are_named() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let with = |field: &str, value: Value| {
        let mut document = document(3);
        document[field] = value;
        let (status, _, answer) = server.post(document.to_string().as_bytes());
        (status, answer)
    };
    for (field, value) in [
        ("created_at", json!("0001-01-01T00:00:00Z")),
        ("created_at", json!("2099-01-01T00:00:00Z")),
        ("created_at", json!("9999-12-30T00:00:00Z")),
        ("additions", json!(1_000_000_000_000_000_000_u64)),
        ("commits", json!(u64::MAX)),
    ] {
        let (status, answer) = with(field, value.clone());
        assert_eq!(status, 200, "{field} {value}: {answer}");
        assert!(answer["anomaly"].is_number() && answer["percentile"].is_number(), "{field} {value}: {answer}");
    }
    for (field, value) in [
        ("created_at", json!("-005000-01-01T00:00:00Z")),
        ("created_at", json!("10000-01-01T00:00:00Z")),
        ("additions", json!(1e18)),
        ("base", json!({"repo": {"full_name": "o/n\u{1b}[31m"}})),
    ] {
        let (status, problem) = with(field, value.clone());
        assert_eq!(status, 422, "{field} {value}: {problem}");
        let named = problem["field_violations"][0]["field"].as_str().unwrap();
        assert!(named.starts_with(field), "{field} {value}: {problem}");
    }
}

#[tokio::test]
async fn a_name_with_control_characters_is_refused() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let created_at = Some(Timestamp { seconds: 1_700_000_000, nanos: 0 });
    let source = PullRequest { repository: "o/n\r\n".into(), number: 7, created_at, ..PullRequest::default() };
    let request = ScoreRequest { source: Some(Source::PullRequest(source)), ..ScoreRequest::default() };
    let status = server.client().await.score(request).await.unwrap_err();
    assert_eq!(fields(&status), ["pull_request.repository"]);
}

#[test]
fn a_body_that_is_not_plain_is_refused_by_its_encoding() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let body = document(3).to_string();
    let post = |encoding: &str| {
        let encoding = format!("content-encoding: {encoding}\r\n");
        let mut stream = server.http_head("POST", "/v1/score", body.len(), &encoding);
        stream.write_all(body.as_bytes()).unwrap();
        http_answer(stream)
    };
    let (status, kind, text) = post("gzip");
    assert_eq!((status, kind.as_str()), (415, "application/problem+json"));
    assert!(text.contains("gzip") && text.contains("plain JSON"), "{text}");
    assert_eq!(post("identity").0, 200);
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &["--max-request-bytes", "4096"]);
    let mut client = server.client().await;
    let mut large = document(3);
    large["body"] = json!("x".repeat(5_000));
    let status = client.score(json_request(&large.to_string())).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    assert!(status.message().contains("4096"), "{status:?}");
    client.score(json_request(&document(3).to_string())).await.unwrap();

    let (status, kind, problem) = server.post(large.to_string().as_bytes());
    assert_eq!((status, kind.as_str()), (413, "application/problem+json"));
    assert!(problem["detail"].as_str().unwrap().contains("4096 bytes"), "{problem}");
    assert_eq!(server.post(document(3).to_string().as_bytes()).0, 200);
}

#[test]
fn http_answers_with_problem_documents() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let fields = |problem: &Value| {
        let violations = problem["field_violations"].as_array().unwrap().iter();
        violations.map(|violation| violation["field"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };

    let refused = |body: &str, expected: u16| {
        let (status, kind, problem) = server.post(body.as_bytes());
        assert_eq!((status, kind.as_str()), (expected, "application/problem+json"), "{problem}");
        assert_eq!(problem["status"], json!(expected));
        assert_eq!(problem["type"], json!("about:blank"));
        problem
    };
    assert!(refused("", 400)["detail"].as_str().unwrap().contains("empty"));
    assert!(refused("{\"number\": 3", 400)["detail"].as_str().unwrap().contains("not JSON"));
    assert!(refused("7", 400)["detail"].as_str().unwrap().contains("cannot read the document"));
    let problem = refused("{}", 422);
    assert_eq!(fields(&problem), ["base.repo.full_name", "number", "created_at"]);
    let problem = refused(r#"{"pull_request": {"base": {"repo": {"full_name": "o/n"}}}}"#, 422);
    assert_eq!(fields(&problem), ["pull_request.number", "pull_request.created_at"]);

    let (status, kind, body) = server.http("POST", "/v1/scores", b"{}");
    assert_eq!((status, kind.as_str()), (404, "application/problem+json"));
    assert!(body.contains("/v1/score"), "{body}");
    let (status, kind, _) = server.http("GET", "/v1/score", b"");
    assert_eq!((status, kind.as_str()), (405, "application/problem+json"));
    assert_eq!(server.http("GET", "/healthz", b"").0, 200);
}

#[test]
fn deeply_nested_json_does_no_harm() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    for open in ["[", "{\"pull_request\":", "{\"base\":"] {
        let (status, _, problem) = server.post(open.repeat(100_000).as_bytes());
        assert!(status == 400 || status == 422, "{problem}");
    }
    assert_eq!(server.post(document(3).to_string().as_bytes()).0, 200);
}

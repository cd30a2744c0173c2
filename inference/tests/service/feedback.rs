//! What reviewers say, kept in the store.

use std::io::Write;

use prowl_platform::{Secrets, Store, StoreUrl};
use prowl_proto::v1::SendFeedbackRequest;
use tonic::Code;
use tonic_types::StatusExt;

use crate::{
    fixture::TempStore,
    programs::{Server, http_answer},
};

fn says(number: u64, reverted: bool) -> SendFeedbackRequest {
    SendFeedbackRequest {
        repository: "Tideworks/Harbour".into(),
        number,
        reverted: Some(reverted),
        comment: Some("broke the buoys".into()),
        ..SendFeedbackRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_lies_in_the_store() {
    let models = TempStore::with_model();
    let server = Server::ready(&models.url(), &["--feedback"]);
    let client = server.client().await;
    let sending = (1..=40).map(|number| {
        let mut client = client.clone();
        tokio::spawn(async move { client.send_feedback(says(number, number % 2 == 0)).await.unwrap().into_inner() })
    });
    let mut files = Vec::new();
    for sent in sending.collect::<Vec<_>>() {
        let kept = sent.await.unwrap();
        assert!(kept.received_at.is_some());
        files.push(kept.file);
    }
    files.sort_unstable();
    files.dedup();
    assert!(files.len() < 40, "those of a moment go into one file: {files:?}");
    let store = Store::open(&StoreUrl::parse(&models.url()).unwrap(), &Secrets::fixed([].into())).unwrap();
    let known = store.feedback(jiff::Timestamp::now()).await.unwrap();
    assert_eq!(known.len(), 40);
    let one = &known[&("tideworks/harbour".to_owned(), 7)];
    assert_eq!((one.reverted, one.comment.as_deref()), (Some(false), Some("broke the buoys")));
    let (_, _, metrics) = server.http("GET", "/metrics", b"");
    assert!(metrics.contains("prowl_feedback_total 40"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_taken_over_http_and_from_the_client_too() {
    let models = TempStore::with_model();
    let server = Server::ready(&models.url(), &["--feedback"]);
    let said = br#"{"repository": "tideworks/harbour", "number": 1, "reverted": true}"#;
    let (status, _, kept) = server.http("POST", "/v1/feedback", said);
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    assert_eq!((status, &kept["warnings"]), (200, &serde_json::json!([])), "{kept}");
    assert!(kept["file"].as_str().unwrap().starts_with("feedback/") && kept["received_at"].is_string(), "{kept}");

    let prowl = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_prowl"));
        command.arg("feedback").args(arguments).args(["--server", &format!("http://{}", server.grpc)]).output().unwrap()
    };
    let told = prowl(&["tideworks/harbour#2", "--reverted=false", "--category", "docs", "--comment", "as it says"]);
    assert!(told.status.success() && told.stdout.starts_with(b"kept in feedback/"), "{told:?}");
    assert_eq!(told.stderr, b"");
    let told = prowl(&["tideworks/harbor#3", "--unusual"]);
    let warning = String::from_utf8(told.stderr).unwrap();
    assert!(told.status.success() && warning.starts_with("warning: nothing is known of tideworks/harbor"), "{warning}");
    let told = prowl(&["tideworks/harbour#4", "--category", "novel"]);
    let error = String::from_utf8(told.stderr).unwrap();
    assert!(told.status.code() == Some(1) && error.starts_with("error: field `category`: \"novel\" is no"), "{error}");
    assert_eq!(prowl(&["tideworks/harbour", "--reverted"]).status.code(), Some(2));

    let store = Store::open(&StoreUrl::parse(&models.url()).unwrap(), &Secrets::fixed([].into())).unwrap();
    let known = store.feedback(jiff::Timestamp::now()).await.unwrap();
    let of = |name: &str, number| &known[&(format!("tideworks/{name}"), number)];
    assert_eq!(of("harbour", 1).reverted, Some(true));
    let two = of("harbour", 2);
    assert_eq!((two.reverted, two.category.as_deref()), (Some(false), Some("docs")));
    assert_eq!((two.unusual, two.comment.as_deref()), (None, Some("as it says")));
    assert_eq!(of("harbor", 3).unusual, Some(true));
    assert_eq!(known.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_says_nothing_is_refused() {
    let models = TempStore::with_model();
    let server = Server::ready(&models.url(), &["--feedback"]);
    let mut client = server.client().await;
    let wrong = SendFeedbackRequest { category: Some("novel".into()), ..SendFeedbackRequest::default() };
    let status = client.send_feedback(wrong).await.unwrap_err();
    let details = status.get_details_bad_request().unwrap();
    let fields: Vec<_> = details.field_violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!((status.code(), fields), (Code::InvalidArgument, vec!["repository", "number", "category"]));
    let nothing = SendFeedbackRequest { reverted: None, ..says(1, true) };
    assert!(client.send_feedback(nothing).await.unwrap_err().message().contains("says nothing"));

    let server = Server::ready(&models.url(), &[]);
    let status = server.client().await.send_feedback(says(1, true)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    assert!(status.message().contains("--feedback"), "{status:?}");
    let (status, _, problem) =
        server.http("POST", "/v1/feedback", br#"{"repository": "a/b", "number": 1, "reverted": true}"#);
    assert!(status == 501 && problem.contains("--feedback"), "{problem}");
    // What a page of another site can send without asking.
    let mut plain = server.http_head("POST", "/v1/feedback", 2, "content-type: text/plain\r\n");
    plain.write_all(b"{}").unwrap();
    let (status, _, problem) = http_answer(plain);
    assert!(status == 415 && problem.contains("application/json"), "{problem}");
    for (said, wrong) in [("{", "EOF"), (r#"{"repo": "a/b"}"#, "repo"), ("[]", "expected")] {
        let (status, _, problem) = server.http("POST", "/v1/feedback", said.as_bytes());
        assert!(status == 400 && problem.contains(wrong), "{said}: {problem}");
    }
}

//! What reviewers say, kept in the store.

use prowl_platform::{Secrets, Store, StoreUrl};
use prowl_proto::v1::SendFeedbackRequest;
use tonic::Code;
use tonic_types::StatusExt;

use crate::{fixture::TempStore, programs::Server};

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
}

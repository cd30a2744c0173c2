//! `ScoreStream`: one answer a request, in their order, for as long as both sides like.

use prowl_proto::v1::{
    ScoreRequest, ScoreStreamRequest, ScoreStreamResponse, score_request::Source, score_stream_response::Outcome,
};
use tokio::sync::mpsc;
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::Code;

use crate::{
    fixture::{TempStore, document},
    programs::Server,
};

fn request(text: &str) -> ScoreStreamRequest {
    let source = Some(Source::GithubJson(text.to_owned().into()));
    ScoreStreamRequest { request: Some(ScoreRequest { source, ..ScoreRequest::default() }) }
}

fn number(answer: ScoreStreamResponse) -> Result<u64, String> {
    match answer.outcome.unwrap() {
        Outcome::Response(response) => Ok(response.number),
        Outcome::Error(error) => Err(error.field_violations[0].field.clone()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_come_in_order_and_errors_end_nothing() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let texts = (1..=300).map(|number| match number {
        100 => request("nonsense"),
        200 => ScoreStreamRequest::default(),
        number => request(&document(number).to_string()),
    });
    let answers = server.client().await.score_stream(tokio_stream::iter(texts)).await.unwrap().into_inner();
    let answers: Vec<_> = answers.map(|answer| number(answer.unwrap())).collect().await;
    let expected = (1..=300).map(|number| match number {
        100 => Err("request.github_json".to_owned()),
        200 => Err("request.request".to_owned()),
        number => Ok(number),
    });
    assert!(answers.iter().eq(expected.collect::<Vec<_>>().iter()), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_not_read_is_not_read_from() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let (sender, requests) = mpsc::channel(1);
    let mut answers = server.client().await.score_stream(ReceiverStream::new(requests)).await.unwrap().into_inner();
    let one = request(&document(7).to_string());
    let mut sent = 0_usize;
    // As long as the windows of HTTP/2 and the few answers that wait take more.
    while let Ok(Ok(())) = tokio::time::timeout(std::time::Duration::from_millis(500), sender.send(one.clone())).await {
        sent += 1;
        assert!(sent < 100_000, "the server reads without end");
    }
    drop(sender);
    let mut read = 0;
    while let Some(answer) = answers.next().await {
        number(answer.unwrap()).unwrap();
        read += 1;
    }
    assert!(read == sent || read == sent + 1, "{read} of {sent}: nothing that was sent is lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_a_stream_after_what_came() {
    let store = TempStore::with_model();
    let mut server = Server::ready(&store.url(), &["--drain-grace", "0s"]);
    let (sender, requests) = mpsc::channel(1);
    let mut answers = server.client().await.score_stream(ReceiverStream::new(requests)).await.unwrap().into_inner();
    sender.send(request(&document(3).to_string())).await.unwrap();
    assert_eq!(number(answers.next().await.unwrap().unwrap()), Ok(3));
    server.signal("TERM");
    let end = answers.next().await.unwrap().unwrap_err();
    assert_eq!(end.code(), Code::Unavailable);
    assert!(end.message().contains("elsewhere"), "{end:?}");
    assert!(answers.next().await.is_none());
    assert_eq!(server.ended().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_only_so_many() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &["--max-streams", "1"]);
    let (sender, requests) = mpsc::channel(1);
    let mut client = server.client().await;
    let first = client.score_stream(ReceiverStream::new(requests)).await.unwrap().into_inner();
    let refused = client.score_stream(tokio_stream::empty()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("1 streams are open") && refused.message().contains("--max-streams"));
    drop((sender, first));
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while client.score_stream(tokio_stream::empty()).await.is_err() {
        assert!(std::time::Instant::now() < until, "the place of a stream that has ended is not free");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

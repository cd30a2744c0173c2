use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use prowl_proto::inference::{InferParameter, model_infer_response::InferOutputTensor};
use tokio::net::TcpListener;

use super::*;
use crate::{
    target::Address,
    tensors::{set_floats, set_texts},
};

fn caller(expected: Option<(&str, &str)>) -> Caller {
    caller_of("http://127.0.0.1:1", expected)
}

fn caller_of(url: &str, expected: Option<(&str, &str)>) -> Caller {
    let address = Address { name: "preview", url: url.parse().unwrap(), http: None, ca_file: None, token: None };
    let expected = expected.map(|(version, digest)| {
        Arc::new(ModelId { version: version.to_owned(), digest: digest.to_owned(), ..ModelId::default() })
    });
    let target = Arc::new(Target::new(&address, 1).unwrap());
    Caller { target, expected, deadline: Duration::from_secs(1), answers: None }
}

fn answer() -> ScoreResponse {
    let model = ModelId { version: "v".to_owned(), digest: "d".to_owned(), ..ModelId::default() };
    ScoreResponse {
        anomaly: Some(1.0),
        percentile: Some(50.0),
        band: Band::Routine as i32,
        model: Some(model),
        ..ScoreResponse::default()
    }
}

#[tokio::test]
async fn an_answer_is_whole_finite_within_its_range_and_of_the_expected_model() {
    let right = caller(Some(("v", "d")));
    let judged = |caller: &Caller, answer: &ScoreResponse| caller.judge(&Said::from(answer));
    assert_eq!(judged(&right, &answer()), Outcome::Answered);
    assert_eq!(judged(&caller(None), &answer()), Outcome::Answered);
    assert_eq!(judged(&caller(Some(("v", "e"))), &answer()), Outcome::Wrong(Fault::Model));
    assert_eq!(judged(&caller(Some(("w", "d"))), &answer()), Outcome::Wrong(Fault::Model));
    let of = |change: fn(&mut ScoreResponse)| {
        let mut answer = answer();
        change(&mut answer);
        judged(&right, &answer)
    };
    assert_eq!(of(|answer| answer.percentile = Some(f32::NAN)), Outcome::Wrong(Fault::NotFinite));
    assert_eq!(of(|answer| answer.risk = Some(f32::INFINITY)), Outcome::Wrong(Fault::NotFinite));
    assert_eq!(of(|answer| answer.risk = Some(1.5)), Outcome::Wrong(Fault::OutOfRange));
    assert_eq!(of(|answer| answer.percentile = Some(-1.0)), Outcome::Wrong(Fault::OutOfRange));
    assert_eq!(of(|answer| answer.model = None), Outcome::Wrong(Fault::Incomplete));
    assert_eq!(of(|answer| answer.percentile = None), Outcome::Wrong(Fault::Incomplete));
    // Of one that nothing is known of, nothing is judged.
    let unjudged = of(|answer| {
        (answer.percentile, answer.anomaly, answer.band) = (None, None, Band::Unspecified as i32);
    });
    assert_eq!(unjudged, Outcome::Answered);
}

/// What the Open Inference Protocol says of one pull request.
fn tensors(figures: [f32; 3], band: &'static str) -> ModelInferResponse {
    let output = |name: &str| InferOutputTensor { name: name.to_owned(), ..InferOutputTensor::default() };
    let digest = InferParameter { parameter_choice: Some(ParameterChoice::StringParam("d".to_owned())) };
    let mut answer = ModelInferResponse {
        model_version: "v".to_owned(),
        parameters: [("model_digest".to_owned(), digest)].into(),
        outputs: ["score", "percentile", "risk", "band"].map(output).into(),
        raw_output_contents: vec![Bytes::new(); 4],
        ..ModelInferResponse::default()
    };
    for (place, figure) in figures.into_iter().enumerate() {
        set_floats(&mut answer, place, vec![figure]);
    }
    set_texts(&mut answer, 3, &[band]);
    answer
}

#[tokio::test]
async fn the_same_holds_over_the_open_inference_protocol() {
    let right = caller(Some(("v", "d")));
    let of = |figures, band| right.judge_tensors(&tensors(figures, band));
    assert_eq!(of([1.0, 50.0, 0.5], "routine"), Outcome::Answered);
    assert_eq!(of([1.0, 50.0, f32::NAN], "routine"), Outcome::Answered, "a model without a risk head");
    assert_eq!(of([f32::NAN; 3], ""), Outcome::Answered, "nothing is known of it");
    assert_eq!(of([1.0, f32::NAN, 0.5], "routine"), Outcome::Wrong(Fault::NotFinite));
    assert_eq!(of([f32::NAN, 50.0, 0.5], "routine"), Outcome::Wrong(Fault::NotFinite));
    assert_eq!(of([1.0, 101.0, 0.5], "routine"), Outcome::Wrong(Fault::OutOfRange));
    let whole = tensors([1.0, 50.0, 0.5], "routine");
    for expected in [("v", "e"), ("w", "d")] {
        assert_eq!(caller(Some(expected)).judge_tensors(&whole), Outcome::Wrong(Fault::Model));
    }
    let without = |change: fn(&mut ModelInferResponse)| {
        let mut answer = tensors([1.0, 50.0, 0.5], "routine");
        change(&mut answer);
        right.judge_tensors(&answer)
    };
    assert_eq!(without(|answer| answer.parameters.clear()), Outcome::Wrong(Fault::Incomplete));
    assert_eq!(without(|answer| answer.raw_output_contents[1] = Bytes::new()), Outcome::Wrong(Fault::Incomplete));
    let nameless = without(|answer| answer.outputs[1].name.clear());
    assert_eq!(nameless, Outcome::Wrong(Fault::Incomplete));
}

#[test]
fn over_http_the_same_is_read() {
    let told = |band: &str| {
        let text = format!(r#"{{"model": {{"version": "v", "digest": "d"}}, "band": "{band}", "percentile": 50.0}}"#);
        serde_json::from_str::<Told>(&text).unwrap()
    };
    assert_eq!(told("BAND_ROUTINE").said().figures(), Outcome::Wrong(Fault::Incomplete), "it lacks the anomaly");
    assert_eq!(told("BAND_UNSPECIFIED").said().figures(), Outcome::Answered);
    assert_eq!(told("BAND_ROUTINE").said().model, Some((&b"v"[..], &b"d"[..])));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let document = Bytes::from_static(b"{}");
    let (outcome, answer) = caller(None).score(document.clone()).await;
    assert_eq!((outcome, answer), (Outcome::Unreachable, None));
    assert_eq!(caller(None).judge_score(document.clone()).await, (Outcome::Unreachable, false));
    for kind in Kind::ALL {
        let outcome = caller(None).call(kind, Documents::One(document.clone())).await;
        assert_eq!(outcome, Outcome::Unreachable, "{kind:?}");
    }
    let asked = caller(None).judge_score_persistently(document).await;
    assert_eq!((asked.outcome, asked.digest, asked.again), (Outcome::Unreachable, None, 0));
}

#[tokio::test]
async fn a_call_that_no_server_begins_is_made_again_and_not_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let turned_away = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&turned_away);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((_, mut answer))) = connection.accept().await {
                count.fetch_add(1, Relaxed);
                answer.send_reset(h2::Reason::REFUSED_STREAM);
            }
        }
    });
    let asked = caller_of(&url, None).judge_score_persistently(Bytes::from_static(b"{}")).await;
    assert_eq!((asked.outcome, asked.again), (Outcome::Unreachable, AGAIN - 1));
    assert_eq!(turned_away.load(Relaxed), AGAIN);
}

#[test]
fn of_many_the_first_failure_counts() {
    let wrong = Outcome::Wrong(Fault::NotFinite);
    assert_eq!(first_failure([Outcome::Answered, wrong, Outcome::Silent].into_iter()), wrong);
    assert_eq!(first_failure([Outcome::Answered; 3].into_iter()), Outcome::Answered);
    assert_eq!(refused(&Status::resource_exhausted("busy")), Outcome::Refused(8));
}

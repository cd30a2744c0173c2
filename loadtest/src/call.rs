//! One call of each kind that a client makes, and what came of it: an answer counts only if it is whole, finite, within its
//! range, and of the model that is expected.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use prowl_proto::{
    inference::{ModelInferRequest, model_infer_request::InferInputTensor},
    v1::{
        Band, ModelId, ScoreBatchRequest, ScoreRequest, ScoreResponse, ScoreStreamRequest, score_batch_result,
        score_request::Source, score_stream_response,
    },
};
use serde::Deserialize;
use tokio::time::timeout;
use tonic::{Code, Status};

use crate::{
    rehearse::never_begun,
    sample::{Fault, Outcome},
    target::Target,
};

/// Pull requests that one stream carries before another takes its place.
const STREAM: usize = 50;
/// How often a call is made that no server begins.
const AGAIN: usize = 5;

/// How a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `prowl.v1.Scoring/Score`, one pull request.
    Score,
    /// `ScoreBatch`, as many as the settings say.
    Batch,
    /// `ScoreStream`, fifty of them, one after the other.
    Stream,
    /// `inference.GRPCInferenceService/ModelInfer`, one pull request.
    Oip,
    /// `POST /v1/score`, one pull request.
    Http,
    /// What is wrong and has to be refused at once.
    Abuse,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Score, Self::Batch, Self::Stream, Self::Oip, Self::Http, Self::Abuse];

    /// As it is called in scenarios, rules and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Batch => "batch",
            Self::Stream => "stream",
            Self::Oip => "oip",
            Self::Http => "http",
            Self::Abuse => "abuse",
        }
    }
}

/// Makes calls.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who is asked.
    pub target: Arc<Target>,
    /// Who has to answer; anybody without.
    pub expected: Option<ModelId>,
    /// When an answer is given up.
    pub deadline: Duration,
    /// Pull requests of a batch.
    pub batch: usize,
}

impl Caller {
    /// How many pull requests a call of this kind is about.
    pub fn documents(&self, kind: Kind) -> usize {
        match kind {
            Kind::Score | Kind::Oip | Kind::Http | Kind::Abuse => 1,
            Kind::Batch => self.batch,
            Kind::Stream => STREAM,
        }
    }

    /// Asks about these.
    pub async fn call(&self, kind: Kind, mut documents: Vec<Bytes>) -> Outcome {
        let called = async {
            match kind {
                Kind::Batch => return self.batch(documents).await,
                Kind::Stream => return self.stream(documents).await,
                Kind::Score | Kind::Oip | Kind::Http | Kind::Abuse => {}
            }
            let document = documents.pop().unwrap_or_default();
            match kind {
                Kind::Oip => self.oip(document).await,
                Kind::Http => self.http(document).await,
                Kind::Abuse => self.abuse(&document).await,
                _ => self.score(document).await.0,
            }
        };
        timeout(self.deadline, called).await.unwrap_or(Outcome::Silent)
    }

    /// Scores one pull request, and gives the answer, too.
    pub async fn score(&self, document: Bytes) -> (Outcome, Option<ScoreResponse>) {
        match timeout(self.deadline, self.target.scoring().score(request(document))).await {
            Err(_) => (Outcome::Silent, None),
            Ok(Err(status)) => (refused(&status), None),
            Ok(Ok(answer)) => {
                let answer = answer.into_inner();
                (self.judge(&answer), Some(answer))
            }
        }
    }

    /// The same as clients of others do it: one that no server has begun, since it drains, is made again without a word.
    pub(crate) async fn score_again(&self, document: Bytes) -> (Outcome, Option<ScoreResponse>) {
        let asked = async {
            for _ in 0..AGAIN {
                match self.target.scoring().score(request(document.clone())).await {
                    Err(status) if never_begun(&status) => {}
                    Err(status) => return (refused(&status), None),
                    Ok(answer) => {
                        let answer = answer.into_inner();
                        return (self.judge(&answer), Some(answer));
                    }
                }
            }
            (Outcome::Unreachable, None)
        };
        timeout(self.deadline, asked).await.unwrap_or((Outcome::Silent, None))
    }

    async fn batch(&self, documents: Vec<Bytes>) -> Outcome {
        let asked = documents.len();
        let requests = ScoreBatchRequest { requests: documents.into_iter().map(request).collect() };
        let answer = match self.target.scoring().score_batch(requests).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return refused(&status),
        };
        if answer.results.len() != asked {
            return Outcome::Wrong(Fault::Incomplete);
        }
        let outcomes = answer.results.iter().map(|result| match &result.outcome {
            Some(score_batch_result::Outcome::Response(answer)) => self.judge(answer),
            Some(score_batch_result::Outcome::Error(error)) => Outcome::Refused(error.code as u16),
            None => Outcome::Wrong(Fault::Incomplete),
        });
        first_failure(outcomes)
    }

    async fn stream(&self, documents: Vec<Bytes>) -> Outcome {
        let asked = documents.len();
        let requests = documents.into_iter().map(|one| ScoreStreamRequest { request: Some(request(one)) });
        let mut answers = match self.target.scoring().score_stream(tokio_stream::iter(requests)).await {
            Ok(answers) => answers.into_inner(),
            Err(status) => return refused(&status),
        };
        let mut outcomes = Vec::with_capacity(asked);
        loop {
            match answers.message().await {
                Ok(Some(answer)) => outcomes.push(match &answer.outcome {
                    Some(score_stream_response::Outcome::Response(answer)) => self.judge(answer),
                    Some(score_stream_response::Outcome::Error(error)) => Outcome::Refused(error.code as u16),
                    None => Outcome::Wrong(Fault::Incomplete),
                }),
                Ok(None) if outcomes.len() == asked => return first_failure(outcomes.into_iter()),
                Ok(None) => return Outcome::Wrong(Fault::Incomplete),
                Err(status) => return refused(&status),
            }
        }
    }

    async fn oip(&self, document: Bytes) -> Outcome {
        // Each text is preceded by its length.
        let mut raw = Vec::with_capacity(4 + document.len());
        raw.extend_from_slice(&(document.len() as u32).to_le_bytes());
        raw.extend_from_slice(&document);
        let input = InferInputTensor {
            name: "pull_request".to_owned(),
            datatype: "BYTES".to_owned(),
            shape: vec![1],
            ..InferInputTensor::default()
        };
        let question = ModelInferRequest {
            model_name: "prowl".to_owned(),
            inputs: vec![input],
            raw_input_contents: vec![raw.into()],
            ..ModelInferRequest::default()
        };
        let answer = match self.target.inference().model_infer(question).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return refused(&status),
        };
        // The protocol names the version; the digest it has no place for.
        if self.expected.as_ref().is_some_and(|expected| expected.version != answer.model_version) {
            return Outcome::Wrong(Fault::Model);
        }
        let has = |name: &str| answer.outputs.iter().any(|output| output.name == name);
        if has("score") && has("percentile") { Outcome::Answered } else { Outcome::Wrong(Fault::Incomplete) }
    }

    async fn http(&self, document: Bytes) -> Outcome {
        let Ok(request) = self.target.http(reqwest::Method::POST, "/v1/score") else { return Outcome::Unreachable };
        let request = request.header(reqwest::header::CONTENT_TYPE, "application/json").body(document);
        let answer = match request.send().await {
            Ok(answer) if answer.status().is_success() => answer.bytes().await,
            Ok(answer) => return Outcome::Refused(answer.status().as_u16()),
            Err(error) => Err(error),
        };
        let Ok(answer) = answer else { return Outcome::Unreachable };
        match serde_json::from_slice::<Told>(&answer) {
            Ok(told) => self.judge_told(&told),
            Err(_) => Outcome::Wrong(Fault::Incomplete),
        }
    }

    /// Something that is no pull request, and that must be told so.
    async fn abuse(&self, document: &Bytes) -> Outcome {
        // Cut off in the middle, it is no JSON any more.
        let cut = document.slice(..document.len() / 2);
        match self.target.scoring().score(request(cut)).await {
            Err(status) if status.code() == Code::InvalidArgument => Outcome::Answered,
            Err(status) => refused(&status),
            Ok(_) => Outcome::Wrong(Fault::Incomplete),
        }
    }

    fn judge(&self, answer: &ScoreResponse) -> Outcome {
        let Some(model) = &answer.model else { return Outcome::Wrong(Fault::Incomplete) };
        if !self.is_expected(&model.version, &model.digest) {
            return Outcome::Wrong(Fault::Model);
        }
        let judged = answer.band != Band::Unspecified as i32;
        if judged && (answer.percentile.is_none() || answer.anomaly.is_none()) {
            return Outcome::Wrong(Fault::Incomplete);
        }
        figures(answer.anomaly, answer.percentile, answer.risk)
    }

    fn judge_told(&self, told: &Told) -> Outcome {
        let Some(model) = &told.model else { return Outcome::Wrong(Fault::Incomplete) };
        if !self.is_expected(&model.version, &model.digest) {
            return Outcome::Wrong(Fault::Model);
        }
        figures(told.anomaly, told.percentile, told.risk)
    }

    fn is_expected(&self, version: &str, digest: &str) -> bool {
        self.expected.as_ref().is_none_or(|expected| expected.version == version && expected.digest == digest)
    }
}

/// What is read of an answer over HTTP.
#[derive(Deserialize)]
struct Told {
    model: Option<ToldModel>,
    anomaly: Option<f32>,
    percentile: Option<f32>,
    risk: Option<f32>,
}

#[derive(Deserialize)]
struct ToldModel {
    version: String,
    digest: String,
}

fn request(document: Bytes) -> ScoreRequest {
    ScoreRequest { source: Some(Source::GithubJson(document)), ..ScoreRequest::default() }
}

/// Whether the figures of an answer are what figures can be.
fn figures(anomaly: Option<f32>, percentile: Option<f32>, risk: Option<f32>) -> Outcome {
    if [anomaly, percentile, risk].into_iter().flatten().any(|figure| !figure.is_finite()) {
        return Outcome::Wrong(Fault::NotFinite);
    }
    let within = |figure: Option<f32>, most: f32| figure.is_none_or(|figure| (0.0..=most).contains(&figure));
    if within(anomaly, f32::MAX) && within(percentile, 100.0) && within(risk, 1.0) {
        Outcome::Answered
    } else {
        Outcome::Wrong(Fault::OutOfRange)
    }
}

fn first_failure(mut outcomes: impl Iterator<Item = Outcome>) -> Outcome {
    outcomes.find(|outcome| *outcome != Outcome::Answered).unwrap_or(Outcome::Answered)
}

/// What it means that there is no answer: the server said no, or there is no server.
fn refused(status: &Status) -> Outcome {
    // Without a connection the client makes the status itself, and it has a cause.
    if std::error::Error::source(status).is_some() && matches!(status.code(), Code::Unavailable | Code::Unknown) {
        Outcome::Unreachable
    } else {
        Outcome::Refused(status.code() as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Address;

    fn caller(expected: Option<(&str, &str)>) -> Caller {
        let address = Address {
            name: "preview",
            url: "http://127.0.0.1:1".parse().unwrap(),
            http: None,
            ca_file: None,
            token: None,
        };
        let expected = expected.map(|(version, digest)| ModelId {
            version: version.to_owned(),
            digest: digest.to_owned(),
            ..ModelId::default()
        });
        let target = Arc::new(Target::new(&address, 1).unwrap());
        Caller { target, expected, deadline: Duration::from_secs(1), batch: 2 }
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
        assert_eq!(right.judge(&answer()), Outcome::Answered);
        assert_eq!(caller(None).judge(&answer()), Outcome::Answered);
        assert_eq!(caller(Some(("v", "e"))).judge(&answer()), Outcome::Wrong(Fault::Model));
        assert_eq!(caller(Some(("w", "d"))).judge(&answer()), Outcome::Wrong(Fault::Model));
        let of = |change: fn(&mut ScoreResponse)| {
            let mut answer = answer();
            change(&mut answer);
            right.judge(&answer)
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

    #[tokio::test]
    async fn a_server_that_is_not_there_is_unreachable() {
        let (outcome, answer) = caller(None).score(Bytes::from_static(b"{}")).await;
        assert_eq!((outcome, answer), (Outcome::Unreachable, None));
    }

    #[test]
    fn of_many_the_first_failure_counts() {
        let wrong = Outcome::Wrong(Fault::NotFinite);
        assert_eq!(first_failure([Outcome::Answered, wrong, Outcome::Silent].into_iter()), wrong);
        assert_eq!(first_failure([Outcome::Answered; 3].into_iter()), Outcome::Answered);
        assert_eq!(refused(&Status::resource_exhausted("busy")), Outcome::Refused(8));
    }
}

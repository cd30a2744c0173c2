//! One call of each kind that a client makes, and what came of it: an answer counts only if it is whole, finite, within its
//! range, and of the model that is expected.

mod unsent;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use prowl_proto::{
    inference::{ModelInferResponse, infer_parameter::ParameterChoice},
    v1::{
        Band, ModelId, ScoreBatchRequest, ScoreRequest, ScoreResponse, ScoreStreamRequest, score_batch_result,
        score_request::Source, score_stream_response,
    },
};
use serde::Deserialize;
use tokio::time::timeout;
use tonic::{Code, Status};

pub(crate) use self::unsent::never_begun;
use crate::{
    sample::{Fault, Outcome},
    skimmed::{Said, Skimmed},
    target::Target,
    tensors::{Input, floats, place_of, question, raw_texts, texts},
};

/// How often a call is made that no server begins.
const AGAIN: u64 = 5;

/// How a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `prowl.v1.Scoring/Score`, one pull request.
    Score,
    /// `ScoreBatch`, many pull requests.
    Batch,
    /// `ScoreStream`, many of them, one after the other.
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
    pub(crate) const ALL: [Self; 6] = [Self::Score, Self::Batch, Self::Stream, Self::Oip, Self::Http, Self::Abuse];

    /// As it is called in scenarios, rules and reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Batch => "batch",
            Self::Stream => "stream",
            Self::Oip => "oip",
            Self::Http => "http",
            Self::Abuse => "abuse",
        }
    }

    /// Whether it goes over HTTP/JSON; all others go over gRPC.
    pub(crate) fn is_http(self) -> bool {
        matches!(self, Self::Http)
    }
}

/// What a call is about.
#[derive(Debug, Clone)]
pub(crate) enum Documents {
    /// One pull request.
    One(Bytes),
    /// As many as a batch or a stream carries.
    Many(Vec<Bytes>),
}

impl Documents {
    /// The last one, where there are more.
    fn one(self) -> Bytes {
        match self {
            Self::One(document) => document,
            Self::Many(mut documents) => documents.pop().unwrap_or_default(),
        }
    }

    fn many(self) -> Vec<Bytes> {
        match self {
            Self::One(document) => vec![document],
            Self::Many(documents) => documents,
        }
    }
}

/// Makes calls.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Who is asked.
    pub target: Arc<Target>,
    /// Who has to answer; anybody without.
    pub expected: Option<Arc<ModelId>>,
    /// When an answer is given up.
    pub deadline: Duration,
    /// Where it is kept whose answers came. With it, a call of [`Kind::Score`] that no server has begun is made again.
    pub answers: Option<Arc<Answers>>,
}

/// Whose answers came, and how often calls were made again.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    by_digest: Mutex<BTreeMap<Bytes, u64>>,
    again: AtomicU64,
}

impl Answers {
    fn keep(&self, asked: Persistent) -> Outcome {
        self.again.fetch_add(asked.again, Relaxed);
        if let (Outcome::Answered, Some(digest)) = (asked.outcome, asked.digest) {
            *self.by_digest.lock().unwrap_or_else(PoisonError::into_inner).entry(digest).or_insert(0) += 1;
        }
        asked.outcome
    }

    /// Answers by the digest of the model that gave them.
    pub(crate) fn by_digest(&self) -> BTreeMap<String, u64> {
        let kept = self.by_digest.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().map(|(digest, count)| (String::from_utf8_lossy(digest).into_owned(), *count)).collect()
    }

    /// How often calls were made after the first time.
    pub(crate) fn again(&self) -> u64 {
        self.again.load(Relaxed)
    }
}

/// What came of a call that is made again where no server has begun it.
#[derive(Debug)]
pub(crate) struct Persistent {
    pub(crate) outcome: Outcome,
    /// The digest of the model that has answered.
    pub(crate) digest: Option<Bytes>,
    /// How often it was made after the first time.
    pub(crate) again: u64,
}

impl Caller {
    /// Asks about these.
    pub(crate) async fn call(&self, kind: Kind, documents: Documents) -> Outcome {
        match (kind, documents) {
            (Kind::Score, Documents::One(document)) => match &self.answers {
                None => self.judge_score(document).await.0,
                Some(answers) => answers.keep(Box::pin(self.judge_score_persistently(document)).await),
            },
            // All else is rare, and would make each call as large as the largest.
            (kind, documents) => {
                let called = Box::pin(self.call_rare(kind, documents));
                timeout(self.deadline, called).await.unwrap_or(Outcome::Silent)
            }
        }
    }

    /// Scores one pull request, and gives the answer, too.
    pub(crate) async fn score(&self, document: Bytes) -> (Outcome, Option<ScoreResponse>) {
        match timeout(self.deadline, self.target.scoring().score(request(document))).await {
            Err(_) => (Outcome::Silent, None),
            Ok(Err(status)) => (refused(&status), None),
            Ok(Ok(answer)) => {
                let answer = answer.into_inner();
                (self.judge(&Said::from(&answer)), Some(answer))
            }
        }
    }

    /// Scores one pull request, and reads of the answer only what is judged. Tells, too, whether the answer has a band.
    pub(crate) async fn judge_score(&self, document: Bytes) -> (Outcome, bool) {
        timeout(self.deadline, self.score_judged(document)).await.unwrap_or((Outcome::Silent, false))
    }

    /// The same without a deadline.
    async fn score_judged(&self, document: Bytes) -> (Outcome, bool) {
        match self.target.score_judged(request(document)).await {
            Err(status) => (refused(&status), false),
            Ok(answer) => {
                let said = Said::from(&answer);
                (self.judge(&said), said.has_band)
            }
        }
    }

    /// The same as clients of others do it: one that no server has begun, since it drains, is made again without a word.
    pub(crate) async fn judge_score_persistently(&self, document: Bytes) -> Persistent {
        let (mut tries, mut answer) = (0, None::<Skimmed>);
        let asked = async {
            while tries < AGAIN {
                tries += 1;
                match self.target.score_judged(request(document.clone())).await {
                    Err(status) if never_begun(&status) => {}
                    Err(status) => return refused(&status),
                    Ok(judged) => {
                        let outcome = self.judge(&Said::from(&judged));
                        answer = Some(judged);
                        return outcome;
                    }
                }
            }
            Outcome::Unreachable
        };
        let outcome = timeout(self.deadline, asked).await.unwrap_or(Outcome::Silent);
        let digest = answer.and_then(|answer| answer.model).map(|model| model.digest);
        Persistent { outcome, digest, again: tries.saturating_sub(1) }
    }

    async fn call_rare(&self, kind: Kind, documents: Documents) -> Outcome {
        match kind {
            Kind::Score => self.score_judged(documents.one()).await.0,
            Kind::Batch => self.batch(documents.many()).await,
            Kind::Stream => self.stream(documents.many()).await,
            Kind::Oip => self.oip(documents.one()).await,
            Kind::Http => self.http(documents.one()).await,
            Kind::Abuse => self.abuse(&documents.one()).await,
        }
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
            Some(score_batch_result::Outcome::Response(answer)) => self.judge(&Said::from(answer)),
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
                    Some(score_stream_response::Outcome::Response(answer)) => self.judge(&Said::from(answer)),
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
        let raw = raw_texts([&document[..]]);
        let asked = question([Input { name: "pull_request", datatype: "BYTES", shape: vec![1], raw }]);
        let answer = match self.target.inference().model_infer(asked).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return refused(&status),
        };
        self.judge_tensors(&answer)
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
            Ok(told) => self.judge(&told.said()),
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

    fn judge(&self, said: &Said<'_>) -> Outcome {
        let Some((version, digest)) = said.model else { return Outcome::Wrong(Fault::Incomplete) };
        let is_expected = self
            .expected
            .as_ref()
            .is_none_or(|expected| expected.version.as_bytes() == version && expected.digest.as_bytes() == digest);
        if is_expected { said.figures() } else { Outcome::Wrong(Fault::Model) }
    }

    /// Judges an answer of the Open Inference Protocol about one pull request, where NaN stands for what is not known.
    fn judge_tensors(&self, answer: &ModelInferResponse) -> Outcome {
        let digest = answer.parameters.get("model_digest").and_then(|digest| match &digest.parameter_choice {
            Some(ParameterChoice::StringParam(digest)) => Some(digest.as_bytes()),
            _ => None,
        });
        let float = |name| <[f32; 1]>::try_from(floats(answer, place_of(name, answer)?)).ok();
        let text = |name| <[Bytes; 1]>::try_from(texts(answer, place_of(name, answer)?)).ok();
        let (Some([anomaly]), Some([percentile]), Some([risk]), Some([band])) =
            (float("score"), float("percentile"), float("risk"), text("band"))
        else {
            return Outcome::Wrong(Fault::Incomplete);
        };
        let (has_band, known) = (!band.is_empty(), |figure: f32| (!figure.is_nan()).then_some(figure));
        // Of one with a band they have to be known. The risk need not be: some models tell none.
        let judged = |figure| if has_band { Some(figure) } else { known(figure) };
        self.judge(&Said {
            model: digest.map(|digest| (answer.model_version.as_bytes(), digest)),
            has_band,
            anomaly: judged(anomaly),
            percentile: judged(percentile),
            risk: known(risk),
        })
    }
}

/// What is read of an answer over HTTP.
#[derive(Deserialize)]
struct Told {
    model: Option<ToldModel>,
    band: Option<String>,
    anomaly: Option<f32>,
    percentile: Option<f32>,
    risk: Option<f32>,
}

#[derive(Deserialize)]
struct ToldModel {
    version: String,
    digest: String,
}

impl Told {
    fn said(&self) -> Said<'_> {
        Said {
            model: self.model.as_ref().map(|model| (model.version.as_bytes(), model.digest.as_bytes())),
            has_band: self.band.as_deref().is_some_and(|band| band != Band::Unspecified.as_str_name()),
            anomaly: self.anomaly,
            percentile: self.percentile,
            risk: self.risk,
        }
    }
}

fn request(document: Bytes) -> ScoreRequest {
    ScoreRequest { source: Some(Source::GithubJson(document)), ..ScoreRequest::default() }
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
mod tests;

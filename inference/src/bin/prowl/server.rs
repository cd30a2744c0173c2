//! The server, asked patiently: one that is busy, restarts or gives way to another is asked again.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use bytes::Bytes;
use prowl_platform::Backoff;
use prowl_proto::{
    Bearer,
    v1::{
        GetModelRequest, GetModelResponse, ScoreRequest, ScoreResponse, SendFeedbackRequest, SendFeedbackResponse,
        score_request::Source, scoring_client::ScoringClient,
    },
};
use tonic::{
    Code, Response, Status,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};

use crate::explain;

/// How far apart tries are.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));

/// How far apart tries to connect are: where the server has just been started, each moment counts.
const KNOCK: Duration = Duration::from_millis(50);

/// How long nobody may listen, as where the line before started the server. A wrong address is told after that, too.
const START: Duration = Duration::from_secs(5);

/// A connection to a server.
pub(crate) struct Server {
    url: String,
    client: ScoringClient<InterceptedService<Channel, Bearer>>,
    /// How long one question may take, with all of its tries.
    timeout: Duration,
    /// Whether it is known to be a Prowl server.
    answered: Cell<bool>,
}

impl Server {
    /// Connects to the server.
    ///
    /// # Errors
    /// Nothing listens there, and nothing begins to.
    pub(crate) async fn connect(endpoint: Endpoint, bearer: Bearer, timeout: Duration) -> anyhow::Result<Self> {
        let url = endpoint.uri().to_string().trim_end_matches('/').to_owned();
        let start = timeout.min(START);
        let endpoint = endpoint.connect_timeout(start).tcp_nodelay(true);
        let until = Instant::now() + start;
        let channel = loop {
            match endpoint.connect().await {
                Ok(channel) => break channel,
                Err(error) if Instant::now() + KNOCK >= until => {
                    return Err(explain::unreachable(&url, &error));
                }
                Err(_) => tokio::time::sleep(KNOCK).await,
            }
        };
        Ok(Self { url, client: ScoringClient::with_interceptor(channel, bearer), timeout, answered: Cell::new(false) })
    }

    /// The answer for a document, or why the server refuses it.
    ///
    /// # Errors
    /// The server does not answer, so that it would not answer for another document either.
    pub(crate) async fn score(&self, document: Bytes) -> anyhow::Result<Result<ScoreResponse, Status>> {
        let request = ScoreRequest { source: Some(Source::GithubJson(document)), ..ScoreRequest::default() };
        self.ask(async || self.client.clone().score(request.clone()).await).await
    }

    /// The model that answers.
    ///
    /// # Errors
    /// The server does not answer.
    pub(crate) async fn model(&self) -> anyhow::Result<GetModelResponse> {
        let answer = self.ask(async || self.client.clone().get_model(GetModelRequest {}).await).await?;
        answer.map_err(|status| explain::refused(&status))
    }

    /// Has the server keep what a reviewer says.
    ///
    /// # Errors
    /// The server does not answer, or refuses it.
    pub(crate) async fn feedback(&self, request: SendFeedbackRequest) -> anyhow::Result<SendFeedbackResponse> {
        let answer = self.ask(async || self.client.clone().send_feedback(request.clone()).await).await?;
        answer.map_err(|status| explain::refused(&status))
    }

    /// Asks until there is an answer or the time is over. What is asked twice changes no more than what is asked once: the last verdict
    /// on a pull request counts.
    async fn ask<T>(&self, call: impl AsyncFn() -> Result<Response<T>, Status>) -> anyhow::Result<Result<T, Status>> {
        let until = Instant::now() + self.timeout;
        let mut backoff = BACKOFF;
        loop {
            let status = match tokio::time::timeout_at(until.into(), call()).await {
                Ok(Ok(answer)) => {
                    self.answered.set(true);
                    return Ok(Ok(answer.into_inner()));
                }
                Ok(Err(status)) => status,
                Err(_) => return Err(explain::silent(&self.url, self.timeout)),
            };
            let passes = if explain::is_broken(&status) {
                // Before the first answer, it tells that something else listens there.
                self.answered.get() || status.code() == Code::Unavailable
            } else if explain::is_http(&status) || explain::is_unknown(&status) {
                false
            } else {
                self.answered.set(true);
                if !matches!(status.code(), Code::Unavailable | Code::ResourceExhausted) {
                    return Ok(Err(status));
                }
                true
            };
            let pause = backoff.pause();
            if !passes || Instant::now() + pause >= until {
                return Err(explain::failed(&self.url, &status));
            }
            tokio::time::sleep(pause).await;
        }
    }
}

//! `POST /webhooks/github`: GitHub tells of pull requests, which are scored; as a GitHub App, or with a token of one, each gets a
//! check run.
//!
//! ```text
//! GitHub ──> signature ──> delivery ──> Queue ──> Worker ──> score ──> check run
//!        <── 202                                    └──> files <──┘ by prowl_platform::github
//! ```
//!
//! GitHub waits for an answer for ten seconds and sends none again by itself, so a delivery is answered once it waits in the
//! queue, and what comes to nothing is told in the log.

mod check_run;
mod delivery;
mod github;
mod queue;
mod signature;
mod work;

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use prowl_platform::{Secrets, github::SECRETS as OF_GITHUB};
use reqwest::Url;
use serde::Serialize;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout_at},
};

pub(crate) use prowl_platform::github::api_url;

use self::{
    delivery::Event,
    github::GitHub,
    queue::{Queue, Taken},
    signature::{Keys, Signature},
    work::Worker,
};
use crate::{
    door::REQUEST_ID,
    error::Error,
    http::{Server, problem::problem},
    observe::Observer,
    readiness::Readiness,
    scorer::Scorer,
};

/// The path that GitHub is told.
pub(crate) const PATH: &str = "/webhooks/github";

/// The secrets that it reads.
pub(crate) const SECRETS: [&str; 4] = [signature::SECRET, OF_GITHUB[0], OF_GITHUB[1], OF_GITHUB[2]];

/// Deliveries that are worked on at one time: they wait for GitHub nearly all of it.
const WORKERS: usize = 4;

/// How deliveries are taken and worked on.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Most that wait.
    pub queue: usize,
    /// How long one may take, with all that is tried again.
    pub patience: Duration,
    /// Where GitHub's API is.
    pub api: Url,
}

/// Takes deliveries. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Webhooks {
    shared: Arc<Shared>,
}

struct Shared {
    secrets: Secrets,
    queue: Arc<Queue>,
}

/// Those who work on deliveries; they end with this.
pub(crate) struct Workers {
    queue: Arc<Queue>,
    tasks: JoinSet<()>,
}

/// Begins to work on what will be taken.
///
/// # Errors
/// A secret cannot be used.
pub(crate) fn start(
    settings: &Settings,
    secrets: Secrets,
    readiness: Readiness,
    scorer: Scorer,
    observer: Observer,
) -> Result<(Webhooks, Workers), String> {
    Keys::of(&secrets)?;
    let queue = Arc::new(Queue::new(settings.queue));
    let github = GitHub::new(settings.api.clone(), secrets.clone());
    let patience = settings.patience;
    let worker = Arc::new(Worker { queue: Arc::clone(&queue), github, readiness, scorer, observer, patience });
    let tasks = (0..WORKERS).map(|_| Arc::clone(&worker).run()).collect();
    let shared = Shared { secrets, queue: Arc::clone(&queue) };
    Ok((Webhooks { shared: Arc::new(shared) }, Workers { queue, tasks }))
}

impl Workers {
    /// Works on what is left until a moment; what is left then is told.
    pub(crate) async fn drain(mut self, until: Instant) {
        self.queue.close();
        let done = async { while self.tasks.join_next().await.is_some() {} };
        if timeout_at(until, done).await.is_ok() {
            return;
        }
        for delivery in self.queue.left() {
            let (id, request_id) = (&delivery.id, &delivery.request_id);
            let said = "a delivery of GitHub's is not worked on before the end: deliver it again";
            tracing::warn!(pull_request = %delivery.name, delivery = id, request_id, "{said}");
        }
    }
}

/// What GitHub is answered, for people who look at it there.
#[derive(Serialize)]
struct Told {
    #[serde(skip)]
    status: StatusCode,
    outcome: &'static str,
    detail: String,
}

impl Told {
    fn done(outcome: &'static str, detail: impl Into<String>) -> Self {
        Self { status: StatusCode::OK, outcome, detail: detail.into() }
    }
}

impl Webhooks {
    /// How many deliveries wait.
    pub(crate) fn waiting(&self) -> usize {
        self.shared.queue.waiting()
    }

    /// The body of a request, if one who is known has signed it.
    async fn signed(&self, server: &Server, headers: &HeaderMap, request: Request) -> Result<Bytes, Error> {
        let body = server.body(headers, Bytes::from_request(request, server).await)?;
        let keys = Keys::of(&self.shared.secrets).map_err(|_| {
            Error::Disabled(
                "this server takes no webhooks: its secret webhook_secret holds one of less than 16 characters",
            )
        })?;
        let Some(keys) = keys else {
            return Err(Error::Disabled(
                "this server takes no webhooks: set the secret webhook_secret (in Vault, or as WEBHOOK_SECRET) to that of the \
                 webhook on GitHub",
            ));
        };
        keys.verify(&Signature::of(headers)?, &body)?;
        Ok(body)
    }

    fn told(&self, server: &Server, headers: &HeaderMap, body: &Bytes) -> Result<Told, Error> {
        let delivery = match delivery::read(headers, body)? {
            Event::Ping => return Ok(Told::done("pong", "pull requests will be scored")),
            Event::Ignored(reason) => return Ok(Told::done("ignored", reason)),
            Event::PullRequest(delivery) => *delivery,
        };
        server.readiness.engine()?;
        let name = delivery.name.to_string();
        let accepted = |outcome, detail| Told { status: StatusCode::ACCEPTED, outcome, detail };
        Ok(match self.shared.queue.take(delivery)? {
            Taken::Queued => accepted("queued", name),
            Taken::Replaced => accepted("replaced", format!("{name}, in the place of an older state that waited")),
            Taken::Repeated => Told::done("repeated", format!("this delivery of {name} was taken already")),
            Taken::Outdated => Told::done("outdated", format!("a newer state of {name} waits already")),
        })
    }
}

/// `POST /webhooks/github`.
pub(crate) async fn take(State(server): State<Server>, request: Request) -> Response {
    let headers = request.headers().clone();
    let count = |outcome| server.observer.calls().webhook(outcome);
    let body = match server.webhooks.signed(&server, &headers, request).await {
        Ok(body) => body,
        Err(error) => {
            count("unsigned");
            return problem(&error);
        }
    };
    match server.webhooks.told(&server, &headers, &body) {
        Ok(told) => {
            count(told.outcome);
            (told.status, Json(told)).into_response()
        }
        Err(error) => {
            count("refused");
            let delivery = delivery::id(&headers);
            let request_id = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
            let said = "a delivery of GitHub's is refused: deliver it again once the cause is mended";
            tracing::warn!(delivery, request_id, %error, "{said}");
            problem(&error)
        }
    }
}

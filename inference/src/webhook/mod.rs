//! `POST /webhooks/github`: GitHub tells of pull requests, which are scored; as a GitHub App, or with a token of one, each gets a
//! check run.
//!
//! ```text
//! GitHub ──> signature ──> delivery ──> Queue ──> Worker ──> score ──> check run
//!        <── 202                                    └──> files <──┘ by the Client, with the token of the Credentials
//! ```
//!
//! GitHub waits for an answer for ten seconds and sends none again by itself, so a delivery is answered once it waits in the
//! queue, and what comes to nothing is told in the log.

mod check_run;
mod client;
mod credentials;
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
    http::StatusCode,
    response::{IntoResponse, Response},
};
use prowl_platform::Secrets;
use reqwest::Url;
use serde::Serialize;
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, timeout_at},
};

pub(crate) use self::client::api_url;
use self::{
    delivery::Event,
    github::GitHub,
    queue::{Queue, Taken},
    signature::{Keys, Signature},
    work::Worker,
};
use crate::{
    config::Limits,
    error::Error,
    http::{Server, problem::problem},
    observe::Observer,
    readiness::Readiness,
};

/// The path that GitHub is told.
pub(crate) const PATH: &str = "/webhooks/github";

/// The secrets that it reads.
pub(crate) const SECRETS: [&str; 4] =
    [signature::SECRET, credentials::SECRETS[0], credentials::SECRETS[1], credentials::SECRETS[2]];

/// Deliveries that are worked on at one time: they wait for GitHub nearly all of it.
const WORKERS: usize = 4;

/// Who asks is known by the body only, so strangers may fill a part of the house, and no more.
const SHARE: usize = 4;

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
    places: Semaphore,
    limit: usize,
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
    limits: &Limits,
    secrets: Secrets,
    readiness: Readiness,
    observer: Observer,
) -> Result<(Webhooks, Workers), String> {
    Keys::of(&secrets)?;
    let queue = Arc::new(Queue::new(settings.queue));
    let github = GitHub::new(settings.api.clone(), secrets.clone());
    let patience = settings.patience;
    let worker = Arc::new(Worker { queue: Arc::clone(&queue), github, readiness, observer, patience });
    let tasks = (0..WORKERS).map(|_| Arc::clone(&worker).run()).collect();
    let limit = (limits.in_flight / SHARE).max(1);
    let shared = Shared { secrets, queue: Arc::clone(&queue), places: Semaphore::new(limit), limit };
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

    async fn told(&self, server: &Server, request: Request) -> Result<Told, Error> {
        let Shared { secrets, queue, places, limit } = &*self.shared;
        let _place = places.try_acquire().map_err(|_| Error::Busy { limit: *limit })?;
        let headers = request.headers().clone();
        let body = server.body(&headers, Bytes::from_request(request, server).await)?;
        let keys = Keys::of(secrets).map_err(|_| {
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
        keys.verify(&Signature::of(&headers)?, &body)?;
        let delivery = match delivery::read(&headers, &body)? {
            Event::Ping => return Ok(Told::done("pong", "pull requests will be scored")),
            Event::Ignored(reason) => return Ok(Told::done("ignored", reason)),
            Event::PullRequest(delivery) => *delivery,
        };
        server.readiness.engine()?;
        let name = delivery.name.to_string();
        let accepted = |outcome, detail| Told { status: StatusCode::ACCEPTED, outcome, detail };
        Ok(match queue.take(delivery)? {
            Taken::Queued => accepted("queued", name),
            Taken::Replaced => accepted("replaced", format!("{name}, in the place of an older state that waited")),
            Taken::Repeated => Told::done("repeated", format!("this delivery of {name} was taken already")),
            Taken::Outdated => Told::done("outdated", format!("a newer state of {name} waits already")),
        })
    }
}

/// `POST /webhooks/github`.
pub(crate) async fn take(State(server): State<Server>, request: Request) -> Response {
    let told = server.webhooks.told(&server, request).await;
    let outcome = match &told {
        Ok(told) => told.outcome,
        Err(Error::Unsigned(_)) => "unsigned",
        Err(_) => "refused",
    };
    server.observer.calls().webhook(outcome);
    told.map_or_else(|error| problem(&error), |told| (told.status, Json(told)).into_response())
}

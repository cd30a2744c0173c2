//! The HTTP port: GitHub's own JSON in, the answer as JSON out, and how the server is.

mod openapi;
pub(crate) mod page;
pub(crate) mod problem;

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use prost::{Message, Name};
use prowl_proto::{json::Json, v1::ScoreBatchResponse};
use serde_json::value::RawValue;

use self::problem::{Problem, problem};
use crate::{
    admission::Gate,
    config::Limits,
    door::{Door, enter},
    engine::{Asked, Engine},
    error::Error,
    feedback::Feedback,
    observe::{House, Observer, Shadow},
    oip::rest,
    readiness::{Phase, Readiness},
    scorer::Scorer,
    webhook::{self, Webhooks},
};

/// What the port is made of.
pub(crate) struct Parts {
    pub(crate) readiness: Readiness,
    pub(crate) scorer: Scorer,
    pub(crate) observer: Observer,
    pub(crate) feedback: Feedback,
    pub(crate) webhooks: Webhooks,
    pub(crate) door: Door,
}

/// What answers on this port.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) readiness: Readiness,
    pub(crate) scorer: Scorer,
    pub(crate) observer: Observer,
    feedback: Feedback,
    pub(crate) batch: usize,
    pub(crate) webhooks: Webhooks,
    gate: Gate,
    request_bytes: usize,
}

impl Server {
    /// The body of a request.
    pub(crate) fn body(&self, headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<Bytes, Error> {
        if let Some(encoding) = headers.get(header::CONTENT_ENCODING).filter(|encoding| *encoding != "identity") {
            return Err(Error::Encoded(String::from_utf8_lossy(encoding.as_bytes()).into_owned()));
        }
        body.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Error::TooLarge { limit: self.request_bytes },
            _ => Error::NotJson(rejection.body_text()),
        })
    }
}

/// Everything that the HTTP port answers.
pub(crate) fn routes(parts: Parts, limits: &Limits) -> Router {
    let Parts { readiness, scorer, observer, feedback, webhooks, door } = parts;
    let (gate, batch, request_bytes) = (door.gate.clone(), limits.batch, limits.request_bytes);
    let server = Server { readiness, scorer, observer, feedback, batch, webhooks, gate, request_bytes };
    Router::new()
        .route("/v1/score", post(score))
        .route("/v1/feedback", post(keep))
        .route("/v1/model", get(model))
        .route("/v1/recent", get(recent))
        .route("/v1/drift", get(drift))
        .route("/v1/shadow", get(shadow))
        .route("/metrics", get(metrics))
        .route(webhook::PATH, post(webhook::take))
        .merge(rest::routes())
        .layer(DefaultBodyLimit::max(limits.request_bytes))
        .merge(rest::health())
        .merge(page::routes())
        .route("/openapi.json", get(openapi::openapi))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(door, enter))
        .with_state(server)
}

/// What a request was refused with before it came to its handler.
pub(crate) fn refuse(path: &str, error: &Error) -> Response {
    if path.starts_with("/v2") { rest::refusal(error) } else { problem(error) }
}

/// `POST /v1/score`. Any content type will do: `curl -d` sends one of its own.
async fn score(State(server): State<Server>, headers: HeaderMap, body: Result<Bytes, BytesRejection>) -> Response {
    let answer = async {
        let body = server.body(&headers, body)?;
        let engine = server.readiness.engine()?;
        if body.trim_ascii_start().starts_with(b"[") {
            return json(&many(&server, &engine, &body).await?);
        }
        json(&server.scorer.score(&engine, Asked::Json(body)).await?)
    };
    answer.await.unwrap_or_else(|error| problem(&error))
}

/// A list of pull requests: each has its own answer or error.
async fn many(server: &Server, engine: &Arc<Engine>, body: &Bytes) -> Result<ScoreBatchResponse, Error> {
    let documents: Vec<&RawValue> = serde_json::from_slice(body).map_err(|error| Error::NotJson(error.to_string()))?;
    if documents.len() > server.batch {
        let instead = "a list: send several lists";
        return Err(Error::too_many("", documents.len(), "pull requests", server.batch, instead));
    }
    let asked = documents.into_iter().map(|document| Asked::Json(body.slice_ref(document.get().as_bytes())));
    Ok(server.scorer.score_batch(engine, asked.collect()).await)
}

/// `POST /v1/feedback`: a `SendFeedbackRequest` as JSON.
async fn keep(State(server): State<Server>, headers: HeaderMap, body: Result<Bytes, BytesRejection>) -> Response {
    let answer = async {
        // A page of another site may send what it likes, but not under this type.
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
            return Err(Error::Untyped);
        }
        let body = server.body(&headers, body)?;
        let request = prowl_proto::json::read(&body).map_err(|error| Error::NotJson(error.to_string()))?;
        json(&server.feedback.keep(request).await?)
    };
    answer.await.unwrap_or_else(|error| problem(&error))
}

async fn model(State(server): State<Server>) -> Response {
    server.readiness.engine().and_then(|engine| json(&engine.describe())).unwrap_or_else(|error| problem(&error))
}

async fn recent(State(server): State<Server>) -> Response {
    axum::Json(server.observer.recent()).into_response()
}

async fn drift(State(server): State<Server>) -> Response {
    let told = server.readiness.engine().map(|engine| server.observer.drift(&engine));
    told.map_or_else(|error| problem(&error), |drift| axum::Json(drift).into_response())
}

async fn shadow(State(server): State<Server>) -> Response {
    axum::Json(server.observer.shadow().map(Shadow::tell)).into_response()
}

/// Prometheus' text form.
async fn metrics(State(server): State<Server>) -> Response {
    let engine = server.readiness.engine().ok();
    server.observer.calls().webhooks_waiting(server.webhooks.waiting());
    let gate = &server.gate;
    let house = House { in_flight: gate.in_flight(), limit: gate.limit(), waiting: gate.waiting() };
    let text = server.observer.text(engine.as_deref(), house);
    ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response()
}

async fn ready(State(server): State<Server>) -> (StatusCode, &'static str) {
    match server.readiness.phase() {
        Phase::Ready => (StatusCode::OK, "ready\n"),
        Phase::Loading => (StatusCode::SERVICE_UNAVAILABLE, "loading the model\n"),
        Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n"),
    }
}

async fn no_such_path(uri: Uri) -> Response {
    let detail = format!("nothing is at {}: post a pull request to /v1/score, or look at /openapi.json", uri.path());
    Problem::new(StatusCode::NOT_FOUND, detail).into_response()
}

async fn no_such_method(method: Method, uri: Uri) -> Response {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("{} does not take {method}", uri.path())).into_response()
}

fn json<M: Message + Name>(message: &M) -> Result<Response, Error> {
    let mut text = serde_json::to_vec(&Json(message))?;
    text.push(b'\n');
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

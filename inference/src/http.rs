//! The HTTP port: GitHub's own JSON in, the answer as JSON out, and how the server is.

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use prowl_proto::json::Json;
use serde::Serialize;

use crate::{
    admission::{Door, Gate, admit},
    config::Limits,
    error::Error,
    readiness::{Phase, Readiness},
};

#[derive(Clone)]
struct Server {
    readiness: Readiness,
    request_bytes: usize,
}

/// Everything that the HTTP port answers.
pub fn routes(readiness: Readiness, gate: Gate, limits: &Limits) -> Router {
    let door = Door { gate, refuse: |error| problem(&error) };
    Router::new()
        .route("/v1/score", post(score))
        .layer(DefaultBodyLimit::max(limits.request_bytes))
        .route_layer(from_fn_with_state(door, admit))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .with_state(Server { readiness, request_bytes: limits.request_bytes })
}

/// `POST /v1/score`. Any content type will do: `curl -d` sends one of its own.
async fn score(State(server): State<Server>, headers: HeaderMap, body: Result<Bytes, BytesRejection>) -> Response {
    match answer(&server, &headers, body) {
        Ok(text) => json(StatusCode::OK, "application/json", text),
        Err(error) => problem(&error),
    }
}

fn answer(server: &Server, headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<Vec<u8>, Error> {
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING).filter(|encoding| *encoding != "identity") {
        return Err(Error::Encoded(String::from_utf8_lossy(encoding.as_bytes()).into_owned()));
    }
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Error::TooLarge { limit: server.request_bytes },
        _ => Error::NotJson(rejection.body_text()),
    })?;
    let response = server.readiness.engine()?.answer_json(&body)?;
    Ok(serde_json::to_vec(&Json(&response))?)
}

async fn ready(State(server): State<Server>) -> (StatusCode, &'static str) {
    match server.readiness.phase() {
        Phase::Ready => (StatusCode::OK, "ready\n"),
        Phase::Loading => (StatusCode::SERVICE_UNAVAILABLE, "loading the model\n"),
        Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n"),
    }
}

async fn no_such_path(uri: Uri) -> Response {
    let detail = format!("nothing is at {}: post a pull request to /v1/score", uri.path());
    Problem::new(StatusCode::NOT_FOUND, detail).into_response()
}

async fn no_such_method(method: Method, uri: Uri) -> Response {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("{} does not take {method}", uri.path())).into_response()
}

/// An error as a problem document (RFC 9457).
#[derive(Serialize)]
struct Problem {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    /// The fields at fault, as in `google.rpc.BadRequest`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    field_violations: Vec<FieldViolation>,
}

#[derive(Serialize)]
struct FieldViolation {
    field: String,
    description: String,
}

impl Problem {
    fn new(status: StatusCode, detail: String) -> Self {
        Self {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("error"),
            status: status.as_u16(),
            detail,
            field_violations: Vec::new(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).expect("it was made from a status code");
        let text = serde_json::to_vec(&self).expect("its keys are strings, and its values text and a number");
        json(status, "application/problem+json", text)
    }
}

fn problem(error: &Error) -> Response {
    let status = StatusCode::from_u16(error.http_status()).expect("every error has a valid status");
    let mut problem = Problem::new(status, error.to_string());
    problem.field_violations = error
        .violations()
        .into_iter()
        .map(|violation| FieldViolation { field: violation.field, description: violation.description })
        .collect();
    let mut response = problem.into_response();
    if matches!(error, Error::Busy { .. } | Error::NotReady) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn json(status: StatusCode, kind: &'static str, mut text: Vec<u8>) -> Response {
    text.push(b'\n');
    (status, [(header::CONTENT_TYPE, kind)], text).into_response()
}

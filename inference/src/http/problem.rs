//! An error as a problem document (RFC 9457).

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::error::Error;

/// What a client reads of an error.
#[derive(Serialize)]
pub(crate) struct Problem {
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
    pub(crate) fn new(status: StatusCode, detail: String) -> Self {
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
        let mut text = serde_json::to_vec(&self).expect("its keys are strings, and its values text and a number");
        text.push(b'\n');
        (status, [(header::CONTENT_TYPE, "application/problem+json")], text).into_response()
    }
}

/// The answer for a request that failed.
pub(crate) fn problem(error: &Error) -> Response {
    let status = StatusCode::from_u16(error.http_status()).expect("every error has a valid status");
    let mut problem = Problem::new(status, error.to_string());
    problem.field_violations = error
        .violations()
        .into_iter()
        .map(|violation| FieldViolation { field: violation.field, description: violation.description })
        .collect();
    advised(error, problem.into_response())
}

/// The same answer with what a client may do next, where HTTP has a header for it.
pub(crate) fn advised(error: &Error, mut response: Response) -> Response {
    if matches!(error, Error::Busy { .. } | Error::NotReady | Error::NotKept(_)) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if matches!(error, Error::Unauthenticated(_)) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

//! An error as a problem document (RFC 9457).

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Serialize, Serializer};

use crate::error::Error;

/// What a client reads of an error.
#[derive(Serialize)]
pub(crate) struct Problem {
    r#type: &'static str,
    title: &'static str,
    #[serde(serialize_with = "as_number")]
    status: StatusCode,
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
            status,
            detail,
            field_violations: Vec::new(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut text = serde_json::to_vec(&self).expect("its keys are strings, and its values text and a number");
        text.push(b'\n');
        (self.status, [(header::CONTENT_TYPE, "application/problem+json")], text).into_response()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn as_number<S: Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

/// The answer for a request that failed.
pub(crate) fn problem(error: &Error) -> Response {
    let mut problem = Problem::new(error.http_status(), error.to_string());
    problem.field_violations = error
        .violations()
        .into_iter()
        .map(|violation| FieldViolation { field: violation.field, description: violation.description })
        .collect();
    advised(error, problem.into_response())
}

/// The same answer with what a client may do next, where HTTP has a header for it.
pub(crate) fn advised(error: &Error, mut response: Response) -> Response {
    if matches!(
        error,
        Error::Busy { .. }
            | Error::FeedbackFull { .. }
            | Error::Crowded
            | Error::Ending
            | Error::QueueFull
            | Error::NotReady
            | Error::NotKept(_)
    ) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    let asks_for = match error {
        Error::Unauthenticated(_) => Some("Bearer"),
        Error::Unsigned(_) => Some("X-Hub-Signature-256"),
        _ => None,
    };
    if let Some(scheme) = asks_for {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
    }
    response
}

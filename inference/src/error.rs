//! What can go wrong with one request, and the one place where it becomes a status.

use std::time::Duration;

use axum::http::StatusCode;
use prowl_features::DocumentError;
use prowl_proto::v1;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::words;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request itself is wrong; each violation names a field.
    #[error("{}", one_line(.0))]
    Invalid(Vec<Violation>),
    /// The text of the request is no JSON object at all.
    #[error("cannot read the document: {0}")]
    NotJson(String),
    /// An HTTP body is larger than the server takes. gRPC messages are measured before they get here.
    #[error("the body is larger than {limit} bytes, the most that this server takes: send one pull request a request")]
    TooLarge {
        /// Most bytes.
        limit: usize,
    },
    /// No model is loaded yet.
    #[error("the model is still being loaded: try again in a moment")]
    NotReady,
    /// All places are taken.
    #[error("the server works on {limit} requests already, the most that it takes: try again in a moment")]
    Busy {
        /// Most requests.
        limit: usize,
    },
    /// As many streams are open as may be.
    #[error(
        "{limit} streams are open already, the most that this server has: try again when one has ended, or start it with a \
         larger --max-streams"
    )]
    StreamsFull {
        /// Most streams.
        limit: usize,
    },
    /// As many verdicts wait to be kept as may.
    #[error("{limit} verdicts wait to be kept already, the most that this server takes: send it again in a moment")]
    FeedbackFull {
        /// Most verdicts.
        limit: usize,
    },
    /// All places that strangers may have are taken.
    #[error("the server answers as many requests of unknown senders as it takes at a time: send it again later")]
    Crowded,
    /// The request did not arrive in time, or its answer was not ready in time.
    #[error(
        "the request took longer than {limit:?}, the most that this server gives it: send it faster or in smaller \
         batches, or start the server with a longer --request-timeout"
    )]
    TooSlow {
        /// Most time.
        limit: Duration,
    },
    /// The caller brings no token, or one that is not known.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// A delivery of GitHub's that no secret that is known has signed.
    #[error("{0}")]
    Unsigned(&'static str),
    /// As many deliveries wait as may.
    #[error(
        "as many deliveries wait as this server keeps: deliver it again later, or start it with a larger --webhook-queue"
    )]
    QueueFull,
    /// Another model than the one that is served.
    #[error("{0}")]
    NoSuchModel(String),
    /// The server was not started so that it could do this.
    #[error("{0}")]
    Disabled(&'static str),
    /// What was to be kept could not be.
    #[error("{0}")]
    NotKept(String),
    /// The server is about to end.
    #[error("the server shuts down: send the rest elsewhere")]
    Ending,
    /// The HTTP body is not in plain text.
    #[error("the body has the content-encoding {0:?}, which this server does not read: send it as plain JSON")]
    Encoded(String),
    /// The HTTP body does not say that it is JSON, where it has to.
    #[error("the body does not say that it is JSON: send it with the header `content-type: application/json`")]
    Untyped,
    /// The answer has no form in JSON: a fault of ours.
    #[error("the answer cannot be written as JSON: {0}")]
    Unwritable(#[from] serde_json::Error),
    /// The model could not judge a vector that the kernel made: a fault of ours.
    #[error("the model failed: {0}")]
    Model(String),
}

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, such as `pull_request.number`; empty for the request as a whole.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
}

impl Violation {
    /// A violation of `field`.
    pub(crate) fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self { field: field.into(), description: description.into() }
    }
}

/// One field is wrong.
pub(crate) fn wrong(field: &str, description: &str) -> Error {
    Error::Invalid(vec![Violation::new(field, description)])
}

fn one_line(violations: &[Violation]) -> String {
    let each = violations.iter().map(|Violation { field, description }| words::violation(field, description));
    each.collect::<Vec<_>>().join("; ")
}

impl Error {
    /// The gRPC code and the HTTP status.
    fn codes(&self) -> (Code, StatusCode) {
        match self {
            Self::Invalid(_) => (Code::InvalidArgument, StatusCode::UNPROCESSABLE_ENTITY),
            Self::NotJson(_) => (Code::InvalidArgument, StatusCode::BAD_REQUEST),
            Self::TooLarge { .. } => (Code::OutOfRange, StatusCode::PAYLOAD_TOO_LARGE),
            Self::Encoded(_) | Self::Untyped => (Code::Unimplemented, StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::Unauthenticated(_) | Self::Unsigned(_) => (Code::Unauthenticated, StatusCode::UNAUTHORIZED),
            Self::QueueFull => (Code::ResourceExhausted, StatusCode::SERVICE_UNAVAILABLE),
            Self::NoSuchModel(_) => (Code::NotFound, StatusCode::NOT_FOUND),
            Self::Disabled(_) => (Code::Unimplemented, StatusCode::NOT_IMPLEMENTED),
            Self::NotReady | Self::NotKept(_) | Self::Ending => (Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE),
            Self::Busy { .. } | Self::StreamsFull { .. } | Self::FeedbackFull { .. } | Self::Crowded => {
                (Code::ResourceExhausted, StatusCode::TOO_MANY_REQUESTS)
            }
            Self::TooSlow { .. } => (Code::DeadlineExceeded, StatusCode::REQUEST_TIMEOUT),
            Self::Unwritable(_) | Self::Model(_) => (Code::Internal, StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// The HTTP status code.
    pub(crate) fn http_status(&self) -> StatusCode {
        self.codes().1
    }

    /// The fields at fault.
    pub(crate) fn violations(&self) -> Vec<Violation> {
        match self {
            Self::Invalid(violations) => violations.clone(),
            Self::NotJson(message) => vec![Violation::new("", message.clone())],
            Self::TooLarge { .. }
            | Self::Encoded(_)
            | Self::Untyped
            | Self::NotReady
            | Self::Busy { .. }
            | Self::StreamsFull { .. }
            | Self::FeedbackFull { .. }
            | Self::Crowded
            | Self::TooSlow { .. }
            | Self::Unauthenticated(_)
            | Self::Unsigned(_)
            | Self::QueueFull
            | Self::NoSuchModel(_)
            | Self::Disabled(_)
            | Self::NotKept(_)
            | Self::Ending
            | Self::Unwritable(_)
            | Self::Model(_) => Vec::new(),
        }
    }

    /// More in one request than the server takes; `instead` says of what, and what to send.
    pub(crate) fn too_many(field: &str, found: usize, things: &str, most: usize, instead: &str) -> Self {
        wrong(field, &format!("{found} {things}, this server takes {most} {instead}"))
    }

    /// The same error for a request whose document is the field `parent`.
    #[must_use]
    pub(crate) fn within(self, parent: &str) -> Self {
        match self {
            Self::Invalid(violations) => Self::Invalid(
                violations
                    .into_iter()
                    .map(|v| Violation::new(format!("{parent}.{}", v.field), v.description))
                    .collect(),
            ),
            Self::NotJson(message) => wrong(parent, &message),
            other => other,
        }
    }
}

impl From<DocumentError> for Error {
    fn from(error: DocumentError) -> Self {
        let DocumentError { field, message, further } = error;
        if field.is_empty() {
            return Self::NotJson(message);
        }
        let further = further.into_iter().map(|error| Violation::new(error.field, error.message));
        Self::Invalid(std::iter::once(Violation::new(field, message)).chain(further).collect())
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<&Error> for Status {
    fn from(error: &Error) -> Self {
        let (code, _) = error.codes();
        let violations = error.violations();
        if violations.is_empty() {
            return Self::new(code, error.to_string());
        }
        let mut details = ErrorDetails::new();
        for violation in violations {
            details.add_bad_request_violation(violation.field, violation.description);
        }
        Self::with_error_details(code, error.to_string(), details)
    }
}

impl From<Error> for v1::Error {
    fn from(error: Error) -> Self {
        let (code, _) = error.codes();
        Self {
            code: code as i32,
            message: error.to_string(),
            field_violations: error
                .violations()
                .into_iter()
                .map(|violation| v1::FieldViolation { field: violation.field, description: violation.description })
                .collect(),
        }
    }
}

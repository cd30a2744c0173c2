//! What every request comes through: who may come in, what it is called, how it is counted and told of.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use prowl_platform::telemetry;
use tonic::Code;
use tracing::Instrument;

use crate::{
    admission::Gate,
    config::AccessLog,
    connection::Cut,
    error::Error,
    guard::Guard,
    http::page,
    observe::{Method, Observer},
    webhook,
};

/// The name of a request, which its answer and the log repeat.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest name that a caller may give.
const LONGEST_ID: usize = 128;

/// The door of one port. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) gate: Gate,
    pub(crate) guard: Guard,
    pub(crate) observer: Observer,
    pub(crate) access_log: AccessLog,
    /// How a refusal looks on this port, at this path.
    pub(crate) refuse: fn(&str, &Error) -> Response,
}

/// Where it is told how the server is, and what can be asked of it.
const OPEN: [&str; 7] = [
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/v2/health/live",
    "/v2/health/ready",
    "/inference.GRPCInferenceService/ServerLive",
    "/inference.GRPCInferenceService/ServerReady",
];

/// What a path asks of those who come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// Whoever asks how the server is, what can be asked of it, or for the empty page, is answered, also by a full house.
    Open,
    /// Who is known is answered.
    Known,
    /// Who is known is answered, where there is a place.
    Placed,
    /// The same for whoever signs the body, which the path itself makes sure of.
    Signed,
}

impl Access {
    fn of(path: &str) -> Self {
        match path {
            _ if OPEN.contains(&path) || page::PATHS.contains(&path) => Self::Open,
            _ if path.starts_with("/grpc.health.v1.Health/") => Self::Open,
            // Of a stream each message takes a place.
            "/prowl.v1.Scoring/ScoreStream" | "/metrics" | "/v1/model" | "/v1/recent" | "/v1/drift" | "/v1/shadow" => {
                Self::Known
            }
            _ if path.starts_with("/grpc.reflection.") => Self::Known,
            webhook::PATH => Self::Signed,
            _ => Self::Placed,
        }
    }
}

/// The middleware: `axum::middleware::from_fn_with_state(door, enter)`.
pub(crate) async fn enter(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let access = Access::of(path);
    if access == Access::Open {
        return next.run(request).await;
    }
    let method = Method::of(path);
    let call = method.map(|method| door.observer.calls().begin(method));
    let began = Instant::now();
    // The pattern of a path, so that a caller cannot make the log or the figures grow by paths of its own. That of a call is the
    // same for all methods of its service.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut id = request_id(request.headers());
    let span = tracing::info_span!("request");
    if let (false, Some(parent)) = (span.is_disabled(), request.headers().get("traceparent")) {
        telemetry::continue_trace(&span, parent.to_str().unwrap_or_default());
    }
    let known = match access {
        Access::Signed => {
            // What is worked on later is told of by this name.
            request.headers_mut().insert(REQUEST_ID, id.clone());
            Ok(None)
        }
        _ => door.guard.name(request.headers()),
    };
    let (who, outcome) = match known {
        Err(error) => (None, Err(error)),
        Ok(who) => {
            // Whoever signs is known once the body was read.
            if let (true, Some(cut)) = (access != Access::Signed, request.extensions().get::<Cut>()) {
                cut.known();
            }
            if let Some(who) = &who {
                door.observer.calls().caller(who);
            }
            let outcome = match access {
                Access::Placed => door.gate.pass(request, next).instrument(span).await,
                Access::Signed => {
                    let outcome = door.gate.pass_stranger(request, next).instrument(span).await;
                    // Nobody has looked at what was sent.
                    outcome.inspect_err(|_| door.observer.calls().webhook("shed"))
                }
                _ => Ok(next.run(request).instrument(span).await),
            };
            (who, outcome)
        }
    };
    let route = method.map(Method::path).or(route.as_ref().map(MatchedPath::as_str)).unwrap_or_default();
    let no_place = matches!(outcome, Err(Error::Busy { .. } | Error::Crowded));
    let mut response = outcome.unwrap_or_else(|error| (door.refuse)(route, &error));
    let (status, code) = (response.status(), grpc_code(response.headers()));
    let (failed, took) = match &call {
        Some(call) => (code != Code::Ok, door.observer.calls().end(call, code)),
        None => {
            let took = began.elapsed();
            door.observer.calls().http(if route.is_empty() { "none" } else { route }, status.as_u16(), took);
            (status.is_client_error() || status.is_server_error(), took)
        }
    };
    if door.access_log.tells(failed, no_place) {
        let microseconds = took.as_micros() as u64;
        let code = if call.is_some() { format!("{code:?}") } else { status.as_u16().to_string() };
        let (id, who) = (id.to_str().unwrap_or_default(), who.as_deref().unwrap_or_default());
        tracing::info!(request_id = id, route, code, microseconds, token = who, "answered");
    }
    // So that HTTP/2 does not remember it, at the cost of headers that come again.
    id.set_sensitive(true);
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// The caller's name of the request, or a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let visible = |value: &&HeaderValue| {
        value.len() <= LONGEST_ID && !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    headers.get(REQUEST_ID).filter(visible).cloned().unwrap_or_else(|| {
        HeaderValue::try_from(format!("{:016x}", rand::random::<u64>())).expect("hexadecimal digits are visible")
    })
}

/// What a call came to; where it is not in the head, it went well so far.
fn grpc_code(headers: &HeaderMap) -> Code {
    headers.get("grpc-status").map_or(Code::Ok, |status| Code::from_bytes(status.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_health_the_description_and_the_empty_page_are_open() {
        let health = ["/healthz", "/readyz", "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"];
        for path in health.into_iter().chain(["/openapi.json", "/"]) {
            assert_eq!(Access::of(path), Access::Open, "{path}");
        }
        for path in
            ["/prowl.v1.Scoring/Score", "/v1/score", "/v2/models/prowl/infer", "/v2", "/anything", "", "/healthz/"]
        {
            assert_eq!(Access::of(path), Access::Placed, "{path}");
        }
        for path in
            ["/metrics", "/v1/recent", "/v1/shadow", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"]
        {
            assert_eq!(Access::of(path), Access::Known, "{path}");
        }
    }

    #[test]
    fn only_whose_body_is_signed_needs_no_token() {
        assert_eq!(Access::of("/webhooks/github"), Access::Signed);
        for path in ["/webhooks/github/", "/webhooks", "/webhooks/github/x", "/v1/webhooks/github"] {
            assert_eq!(Access::of(path), Access::Placed, "{path}");
        }
    }

    #[test]
    fn a_name_of_a_request_is_kept_where_it_is_one() {
        let of = |value: &[u8]| {
            let headers = HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_bytes(value).unwrap())]);
            request_id(&headers)
        };
        assert_eq!(of(b"abc-1"), "abc-1");
        for unusable in [&b""[..], b"a b", "é".as_bytes(), &[b'x'; LONGEST_ID + 1]] {
            let made = of(unusable);
            assert!(made.len() == 16 && made != request_id(&HeaderMap::new()), "{made:?}");
        }
    }
}

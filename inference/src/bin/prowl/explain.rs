//! Failures of a call, in words that say what to do.

use std::{error::Error, time::Duration};

use anyhow::anyhow;
use prowl_inference::words::violation;
use prowl_platform::innermost;
use tonic::{Code, Status, transport};
use tonic_types::StatusExt;

/// Why no connection came about.
pub(crate) fn unreachable(url: &str, error: &transport::Error) -> anyhow::Error {
    anyhow!(
        "no server answers at {url} ({}): start one with `prowl-inference --store URL --insecure`, or name another with --server",
        innermost(error)
    )
}

/// No answer in time.
pub(crate) fn silent(url: &str, timeout: Duration) -> anyhow::Error {
    anyhow!("the server at {url} takes longer than {timeout:?} to answer: look at its log, or give it more --timeout")
}

/// Why a server does not answer at all.
pub(crate) fn failed(url: &str, status: &Status) -> anyhow::Error {
    let message = status.message();
    match status.code() {
        _ if is_http(status) => anyhow!(
            "{url} answers HTTP and not gRPC: give --server the server's gRPC port, 50051 where it was not told another"
        ),
        _ if is_unknown(status) => anyhow!(
            "what answers at {url} is no Prowl server of this version: name another with --server, or take the client that \
             came with it"
        ),
        Code::Unavailable if is_broken(status) => {
            anyhow!("the server at {url} is gone ({}): look at the end of its log", innermost(status))
        }
        _ if is_broken(status) => anyhow!(
            "what listens at {url} does not speak gRPC ({}): give --server the server's gRPC port, 50051 where it was \
             not told another",
            innermost(status)
        ),
        _ => anyhow!("the server at {url} does not answer now: {message}"),
    }
}

/// Whether the connection failed, so that there is no answer; a stream that ends too early is told by its words alone.
pub(crate) fn is_broken(status: &Status) -> bool {
    status.source().is_some() || status.message().starts_with("protocol error: missing grpc-status")
}

/// Whether what answered does not know gRPC, with a body or without. The library tells it by its words alone.
pub(crate) fn is_http(status: &Status) -> bool {
    let begins = ["grpc-status header missing", "protocol error: received message with invalid compression flag"];
    begins.iter().any(|begin| status.message().starts_with(begin))
}

/// Whether what answered speaks gRPC and does not know the call. A server that knows it and does not do it says why.
pub(crate) fn is_unknown(status: &Status) -> bool {
    status.code() == Code::Unimplemented && status.message().is_empty()
}

/// Why the server refuses a document, or what is said of one.
pub(crate) fn refused(status: &Status) -> anyhow::Error {
    let message = status.message();
    match status.code() {
        Code::InvalidArgument => match &violations(status)[..] {
            [] => anyhow!("{message}"),
            violated => {
                let each = violated.iter().map(|(field, description)| violation(field, description));
                anyhow!("{}", each.collect::<Vec<_>>().join("; "))
            }
        },
        Code::Unimplemented => anyhow!("{message}"),
        Code::Unauthenticated => anyhow!("{message}; PROWL_TOKEN holds the one that is sent"),
        Code::OutOfRange => {
            // The words of the transport.
            let message = message.strip_prefix("Error, ").unwrap_or(message);
            anyhow!("the document is larger than the server takes (its --max-request-bytes): {message}")
        }
        code => anyhow!("the server failed: {message} ({code:?})"),
    }
}

/// The fields at fault, each with what is wrong: as the owner of the document sees them, which is the request's field `github_json`.
pub(crate) fn violations(status: &Status) -> Vec<(String, String)> {
    let details = status.get_details_bad_request();
    let violations = details.map(|details| details.field_violations).unwrap_or_default();
    let in_document = |field: String| match field.strip_prefix("github_json") {
        Some(rest) => rest.trim_start_matches('.').to_owned(),
        None => field,
    };
    violations.into_iter().map(|violation| (in_document(violation.field), violation.description)).collect()
}

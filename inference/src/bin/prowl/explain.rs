//! Failures of a call, in words that say what to do.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use tonic::{Code, Status, transport::Endpoint};
use tonic_types::StatusExt;

/// The server's address.
///
/// # Errors
/// It is no URL of a kind that this client can talk to.
pub(crate) fn endpoint(server: &str) -> anyhow::Result<Endpoint> {
    if !server.starts_with("http://") {
        bail!("{server:?} is no address of a server: write http://HOST:PORT, with --server or PROWL_SERVER");
    }
    let endpoint = Endpoint::from_shared(server.to_owned())
        .with_context(|| format!("{server:?} is no address of a server: write http://HOST:PORT"))?;
    Ok(endpoint.connect_timeout(Duration::from_secs(5)).tcp_nodelay(true))
}

/// Why no connection came about.
pub(crate) fn unreachable(server: &str, error: &tonic::transport::Error) -> anyhow::Error {
    anyhow!(
        "no server answers at {server} ({}): start one with `prowl-inference --store URL`, or name another with \
         --server",
        innermost(error)
    )
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Why a call failed.
pub(crate) fn status(server: &str, status: &Status) -> anyhow::Error {
    let message = status.message();
    match status.code() {
        Code::InvalidArgument => match &violations(status)[..] {
            [] => anyhow!("the server cannot use this document: {message}"),
            violated => {
                let each: Vec<_> =
                    violated.iter().map(|(field, description)| in_document(field, description)).collect();
                anyhow!("{}", each.join("; "))
            }
        },
        Code::OutOfRange => anyhow!("the document is too large: {message} (--max-request-bytes of the server)"),
        Code::Unavailable => anyhow!("the server at {server} does not answer now: {message}"),
        Code::Unimplemented => anyhow!("what answers at {server} is no Prowl server of this version"),
        code => anyhow!("the server at {server} failed: {message} ({code:?})"),
    }
}

/// The fields at fault, each with what is wrong.
pub(crate) fn violations(status: &Status) -> Vec<(String, String)> {
    let details = status.get_details_bad_request();
    let violations = details.map(|details| details.field_violations).unwrap_or_default();
    violations.into_iter().map(|violation| (violation.field, violation.description)).collect()
}

/// A violation as the owner of the document sees it: the document is the request's field `github_json`.
fn in_document(field: &str, description: &str) -> String {
    match field.strip_prefix("github_json").map(|rest| rest.trim_start_matches('.')) {
        Some("") => description.to_owned(),
        Some(rest) => format!("field `{rest}`: {description}"),
        None => format!("field `{field}`: {description}"),
    }
}

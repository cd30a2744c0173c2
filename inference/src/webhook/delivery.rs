//! What a delivery of GitHub's says: a pull request to look at, or nothing that concerns us.

use std::fmt;

use axum::http::{HeaderMap, header};
use prowl_features::PullRequest;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::{
    door::REQUEST_ID,
    error::{Error, wrong},
};

/// What happened to a pull request when it is looked at anew.
const ACTIONS: [&str; 5] = ["opened", "reopened", "synchronize", "edited", "ready_for_review"];

/// Longest name of an owner or a repository. GitHub's own are shorter.
const LONGEST_NAME: usize = 100;

/// Longest name of a delivery that is repeated in the log.
const LONGEST_ID: usize = 64;

/// What a delivery is about.
#[derive(Debug)]
pub(super) enum Event {
    /// GitHub tries whether somebody is there.
    Ping,
    /// Nothing to do, and why.
    Ignored(String),
    /// A pull request was opened, or has changed.
    PullRequest(Box<Delivery>),
}

/// A pull request that is to be scored.
#[derive(Debug)]
pub(super) struct Delivery {
    /// SHA-256 of the body. GitHub's own name of a delivery is not signed, so whoever repeats one can give it another.
    pub(super) digest: [u8; 32],
    pub(super) name: Name,
    /// When the pull request last changed, in milliseconds since 1970.
    pub(super) updated_at: i64,
    /// The commit that is looked at.
    pub(super) head: String,
    /// The installation of a GitHub App that sends it.
    pub(super) installation: Option<u64>,
    /// The pull request as GitHub writes it, without its files.
    pub(super) document: Box<RawValue>,
    /// GitHub's name of the delivery, by which people find it there. Nothing depends on it.
    pub(super) id: String,
    /// The name of the request that brought it.
    pub(super) request_id: String,
}

impl Delivery {
    /// Bytes that it holds, nearly all of them.
    pub(super) fn length(&self) -> usize {
        self.document.get().len()
    }
}

/// A pull request on GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) owner: String,
    pub(super) repository: String,
    pub(super) number: u64,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owner, repository, number } = self;
        write!(f, "{owner}/{repository}#{number}")
    }
}

impl Name {
    /// The name of a pull request in `owner/repository`; `None` where GitHub would not call one so. What is written here goes
    /// into the paths of requests.
    fn of(full_name: &str, number: u64) -> Option<Self> {
        let (owner, repository) = full_name.split_once('/')?;
        let allowed = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
        let valid = |name: &&str| {
            (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(allowed) && !matches!(*name, "." | "..")
        };
        let [owner, repository] = [owner, repository].map(|name| Some(name).filter(valid).map(str::to_owned));
        Some(Self { owner: owner?, repository: repository?, number })
    }
}

#[derive(Deserialize)]
struct Payload<'a> {
    action: String,
    #[serde(borrow)]
    pull_request: &'a RawValue,
    installation: Option<Installation>,
}

#[derive(Deserialize)]
struct Installation {
    id: u64,
}

/// What no feature reads.
#[derive(Deserialize)]
struct Rest {
    state: Option<String>,
    head: Head,
}

#[derive(Deserialize)]
struct Head {
    sha: String,
}

/// Reads a delivery.
///
/// # Errors
/// [`Error::NotJson`], or [`Error::Invalid`] with the fields at fault.
pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Event, Error> {
    let of = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if of(header::CONTENT_TYPE.as_str()).starts_with("application/x-www-form-urlencoded") {
        let hint = "the webhook sends a form: choose the content type application/json in its settings on GitHub";
        return Err(Error::NotJson(hint.to_owned()));
    }
    match of("x-github-event") {
        "pull_request" => {}
        "ping" => return Ok(Event::Ping),
        "" => return Err(wrong("x-github-event", "missing: this header of a delivery says what it is about")),
        _ => return Ok(Event::Ignored("only events of the kind pull_request are scored".to_owned())),
    }
    let not_json = |error: serde_json::Error| Error::NotJson(error.to_string());
    let Payload { action, pull_request, installation } = serde_json::from_slice(body).map_err(not_json)?;
    if !ACTIONS.contains(&action.as_str()) {
        return Ok(Event::Ignored(format!("only these actions are scored: {}", ACTIONS.join(", "))));
    }
    let known = PullRequest::from_json(pull_request.get().as_bytes());
    let known = known.map_err(|error| Error::from(error).within("pull_request"))?;
    let Some(name) = Name::of(&known.repository, known.number) else {
        return Err(wrong("pull_request.base.repo.full_name", "no name of a repository on GitHub"));
    };
    let rest: Result<Rest, _> = serde_json::from_str(pull_request.get());
    let Rest { state, head } = rest.map_err(|error| wrong("pull_request.head.sha", &error.to_string()))?;
    if state.as_deref() == Some("closed") {
        return Ok(Event::Ignored("the pull request is closed".to_owned()));
    }
    let hexadecimal = head.sha.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !(hexadecimal && matches!(head.sha.len(), 40 | 64)) {
        return Err(wrong("pull_request.head.sha", "no name of a commit: 40 hexadecimal digits"));
    }
    Ok(Event::PullRequest(Box::new(Delivery {
        digest: Sha256::digest(body).into(),
        updated_at: known.updated_at.unwrap_or(known.created_at),
        name,
        head: head.sha,
        installation: installation.map(|installation| installation.id),
        document: pull_request.to_owned(),
        id: id(headers),
        request_id: of(REQUEST_ID.as_str()).to_owned(),
    })))
}

/// GitHub's name of a delivery; nothing where it is none.
pub(super) fn id(headers: &HeaderMap) -> String {
    let id = headers.get("x-github-delivery").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let is_name = id.len() <= LONGEST_ID && id.bytes().all(|byte| byte.is_ascii_graphic());
    if is_name { id.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_safe_in_a_path() {
        let name = Name::of("Tide-works/har.bour_2", 7).unwrap();
        assert_eq!(name.to_string(), "Tide-works/har.bour_2#7");
        for hostile in [
            "",
            "o",
            "o/",
            "/n",
            "o/n/x",
            "../n",
            "o/..",
            "o/.",
            "o/n?x",
            "o/n#x",
            "o/%2e%2e",
            "o /n",
            "o/ñ",
            "o\\n/x",
            "user@evil.example/n",
            "http://evil.example/n",
        ] {
            assert_eq!(Name::of(hostile, 7), None, "{hostile}");
        }
        assert_eq!(Name::of(&format!("o/{}", "n".repeat(LONGEST_NAME + 1)), 7), None);
    }
}

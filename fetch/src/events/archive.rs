//! Hours of GH Archive: the public events of GitHub, one a line, as its Events API gave them.
//!
//! From 2015 to October 2025 an event holds its whole pull request, of those that are opened, closed or reopened. Since
//! 7 October 2025 GitHub leaves out all but number, branches and repositories
//! (<https://github.blog/changelog/2025-08-08-upcoming-changes-to-github-events-api-payloads/>): of one that is opened the
//! event itself tells when and by whom, of others nothing that could be kept. Hours before 2015 have another form.

use std::sync::LazyLock;

use jiff::Timestamp;
use memchr::memmem::Finder;
use serde::Deserialize;

use super::{
    Format, Told,
    rest::{Account, Around, PullRequest},
};

/// What this reads.
pub(super) const FORMAT: Format = Format {
    name: "gharchive",
    wanted: "a line is one event, of which those of the type PullRequestEvent count, as in the hours of \
             https://data.gharchive.org from 2015 on",
    tell,
};

const KIND: &str = "PullRequestEvent";

/// Of twenty events one is of a pull request; the others need not be understood.
static NAMED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(KIND));

#[derive(Default, Deserialize)]
#[serde(default)]
struct Event {
    #[serde(rename = "type")]
    kind: Option<String>,
    actor: Option<Account>,
    repo: Option<Named>,
    created_at: Option<Timestamp>,
    payload: Option<Payload>,
}

#[derive(Deserialize)]
struct Named {
    /// `owner/name`
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Payload {
    action: Option<String>,
    pull_request: Option<PullRequest>,
}

fn tell(line: &[u8]) -> Told {
    if !(line.starts_with(b"{") && line.ends_with(b"}")) {
        return Told::Malformed("no JSON object".to_owned());
    }
    if NAMED.find(line).is_none() {
        return Told::Other;
    }
    let Event { kind, actor, repo, created_at, payload } = match serde_json::from_slice(line) {
        Ok(event) => event,
        Err(error) => return error.into(),
    };
    if kind.as_deref() != Some(KIND) {
        return Told::Other;
    }
    let Payload { action, pull_request } = payload.unwrap_or_default();
    let Some(pull_request) = pull_request else {
        return Told::Malformed("an event of a pull request without one".to_owned());
    };
    pull_request.into_document(Around { action, repository: repo.map(|repo| repo.name), at: created_at, actor }).into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(kind: &str) -> Value {
        json!({
            "id": "1", "type": kind, "public": true, "created_at": "2025-11-01T12:00:00Z",
            "actor": {"id": 1, "login": "ada", "display_login": "ada"},
            "repo": {"id": 1, "name": "tide/harbour", "url": "https://api.github.com/repos/tide/harbour"},
            "payload": {"action": "opened", "number": 7, "pull_request": {"number": 7, "url": "", "id": 9}},
        })
    }

    fn told(line: &Value) -> Told {
        tell(line.to_string().as_bytes())
    }

    #[test]
    fn an_event_of_a_pull_request_becomes_a_document() {
        let Told::PullRequest(document) = told(&event(KIND)) else { panic!("it is one") };
        assert_eq!((&*document.key, document.user.unwrap().login), ("tide/harbour#7", "ada".to_owned()));
        let mut closed = event(KIND);
        closed["payload"]["action"] = json!("closed");
        assert!(matches!(told(&closed), Told::Incomplete));
    }

    #[test]
    fn other_events_are_told_from_what_is_malformed() {
        let mut push = event("PushEvent");
        push["payload"] = json!({"commits": [{"message": "read each PullRequestEvent"}]});
        for other in [event("PushEvent"), event("PullRequestReviewEvent"), push, json!({})] {
            assert!(matches!(told(&other), Told::Other), "{other}");
        }
        let whole = event(KIND).to_string();
        let mut without = event(KIND);
        without["payload"] = json!({});
        for malformed in
            ["", "nonsense", "[]", &whole[..whole.len() / 2], &format!("{{{whole}}}"), &without.to_string()]
        {
            assert!(matches!(tell(malformed.as_bytes()), Told::Malformed(_)), "{malformed}");
        }
    }
}

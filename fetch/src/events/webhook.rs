//! Payloads of webhooks, one a line: as GitHub sends them, or within the deliveries that its API lists.
//! <https://docs.github.com/en/webhooks/webhook-events-and-payloads#pull_request>

use jiff::Timestamp;
use serde::{Deserialize, de::IgnoredAny};

use super::{
    Format, Told,
    rest::{Around, PullRequest, Repository},
};

/// What this reads.
pub(super) const FORMAT: Format = Format {
    name: "webhook",
    wanted: "a line is one payload of GitHub's `pull_request` event, or one delivery with it; `jq -c . FILE` writes JSON in \
             one line",
    tell,
};

/// What may hold a payload: a delivery of GitHub's at `request.payload`, what others keep at `payload`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Delivery {
    /// The name of the event.
    event: Option<String>,
    delivered_at: Option<Timestamp>,
    request: Option<Request>,
    payload: Option<Payload>,
}

#[derive(Deserialize)]
struct Request {
    payload: Option<Payload>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Payload {
    action: Option<String>,
    pull_request: Option<PullRequest>,
    repository: Option<Repository>,
    /// What a pull request stands beside in other events. It lacks its size there.
    review: Option<IgnoredAny>,
    comment: Option<IgnoredAny>,
    thread: Option<IgnoredAny>,
}

fn tell(line: &[u8]) -> Told {
    if line.starts_with(b"{") {
        read(line).unwrap_or_else(Told::from)
    } else {
        Told::Malformed("no JSON object".to_owned())
    }
}

fn read(line: &[u8]) -> serde_json::Result<Told> {
    let Delivery { event, delivered_at: at, request, payload } = serde_json::from_slice(line)?;
    if event.is_some_and(|event| event != "pull_request") {
        return Ok(Told::Other);
    }
    let payload = match request.and_then(|request| request.payload).or(payload) {
        Some(payload) => payload,
        // Not held by anything. To pass over what was no delivery took little time.
        None => serde_json::from_slice(line)?,
    };
    let Payload { action, pull_request, repository, review, comment, thread } = payload;
    let beside = [review, comment, thread].iter().any(Option::is_some);
    let Some(pull_request) = pull_request.filter(|_| !beside) else { return Ok(Told::Other) };
    let repository = repository.and_then(|repository| repository.full_name());
    Ok(pull_request.into_document(Around { action, repository, at, actor: None }).into())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn payload() -> Value {
        json!({
            "action": "closed", "number": 7,
            "pull_request": {"number": 7, "state": "closed", "created_at": "2024-05-01T00:00:00Z"},
            "repository": {"full_name": "tide/harbour"},
        })
    }

    fn told(line: &Value) -> Told {
        tell(line.to_string().as_bytes())
    }

    #[test]
    fn a_payload_is_found_in_a_delivery() {
        let request = json!({"headers": {"X-GitHub-Event": "pull_request"}, "payload": payload()});
        let response = json!({"headers": {}, "payload": "accepted"});
        let at = "2024-05-02T00:00:00Z";
        let delivery = json!({"event": "pull_request", "delivered_at": at, "request": request, "response": response});
        for (line, fetched) in [
            (payload(), None),
            (json!({"headers": {"x-github-event": "pull_request"}, "payload": payload()}), None),
            (delivery, Some(at)),
        ] {
            let Told::PullRequest(document) = told(&line) else { panic!("{line}") };
            assert_eq!(document.key, "tide/harbour#7");
            assert_eq!(document.fetched_at.and_then(crate::document::Date::text).as_deref(), fetched);
        }
    }

    #[test]
    fn other_events_are_told_from_what_is_malformed() {
        let with = |key: &str| {
            let mut payload = payload();
            payload[key] = json!({"id": 1});
            payload
        };
        for other in [
            json!({"zen": "Keep it logically awesome.", "hook_id": 1}),
            json!({"ref": "refs/heads/main", "commits": []}),
            json!({"event": "push", "request": {"payload": {"ref": "refs/heads/main"}}}),
            with("review"),
            with("comment"),
            with("thread"),
            json!({}),
        ] {
            assert!(matches!(told(&other), Told::Other), "{other}");
        }
        for malformed in
            ["", "nonsense", "[]", "{", "7", "{\"pull_request\": 7}", "{\"pull_request\": {\"number\": \"x\"}}"]
        {
            assert!(matches!(tell(malformed.as_bytes()), Told::Malformed(_)), "{malformed}");
        }
        let deep = format!("{}{}", "{\"payload\":".repeat(100_000), "}".repeat(100_000));
        assert!(matches!(tell(deep.as_bytes()), Told::Malformed(_)));
    }
}

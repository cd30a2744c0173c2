//! What an answer of the GraphQL API says: it is HTTP 200 whether it holds data, errors, or some of both.

use std::time::Duration;

use serde::Deserialize;

use super::{queries::Query, trouble::Trouble};

/// How much of what GitHub says is repeated, in characters.
const REPEATED: usize = 300;

/// Why there is no data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Too much was asked for at once or within a time; a wait helps.
    Limited {
        says: String,
        /// How long, where GitHub says it.
        wait: Option<Duration>,
    },
    /// The answer would be too large or take too long; asking for less helps.
    TooMuch(String),
    /// Nothing is wrong with the question: trying again helps.
    Passing {
        says: String,
        /// How long to wait at least, where GitHub says it.
        wait: Duration,
    },
    /// The position in the list is none.
    BadCursor(String),
    /// What was asked for is not there, or may not be seen.
    Gone,
    /// The token is not known.
    Token(String),
    /// There is none to ask with.
    NoToken(Trouble),
    /// The token may not.
    Denied { says: String, hint: &'static str },
    /// The question is wrong.
    Wrong(String),
}

/// What to do where an organisation wants the token to be authorised by its own login.
pub(super) const SINGLE_SIGN_ON: &str =
    "authorize the token for the single sign-on of the organisation, in GitHub's settings of the token";

impl Refusal {
    pub(super) fn passing(says: impl Into<String>) -> Self {
        Self::Passing { says: says.into(), wait: Duration::ZERO }
    }
}

/// One thing that an answer lacks though it holds others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) says: String,
    /// Where it is: names of fields and places in lists.
    pub(super) path: Vec<Step>,
    /// Whether it was kept back from this token, so that no other try brings it.
    pub(super) withheld: bool,
}

/// A step from the whole answer to a part.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum Step {
    Place(usize),
    Field(String),
    /// What the specification does not have.
    Other(serde_json::Value),
}

impl Flaw {
    /// The place in the list `nodes` that is nearest to the root, where the flaw lies in one.
    pub(super) fn place(&self) -> Option<usize> {
        self.path.iter().find_map(|step| if let Step::Place(place) = step { Some(*place) } else { None })
    }
}

#[derive(Deserialize)]
#[serde(bound = "D: Deserialize<'de>")]
struct Envelope<D> {
    data: Option<D>,
    errors: Option<Vec<Told>>,
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    message: String,
    /// GitHub's word for what it is. Errors of the query itself have a code instead.
    #[serde(rename = "type")]
    kind: Option<String>,
    path: Option<Vec<Step>>,
    extensions: Option<Extensions>,
}

#[derive(Deserialize)]
struct Extensions {
    #[serde(default)]
    saml_failure: bool,
    code: Option<String>,
}

/// The data of an answer, and what it lacks. What GitHub says of that is told to people, without the `secret` it was asked
/// with.
///
/// # Errors
/// There is none of what was asked for.
pub(super) fn understand<Q: Query>(body: &[u8], secret: &str) -> Result<(Q::ResponseData, Vec<Flaw>), Refusal> {
    let envelope: Envelope<Q::ResponseData> = serde_json::from_slice(body)
        .map_err(|error| Refusal::passing(format!("an answer cannot be understood: {error}")))?;
    let mut told = envelope.errors.unwrap_or_default();
    for told in &mut told {
        told.make_visible(secret);
    }
    match envelope.data {
        Some(data) if !Q::is_hollow(&data) => {
            // A limit that is reached half-way counts as reached: the rest of the data would be full of holes.
            if let Some(limit) =
                told.iter().map(Told::refusal).find(|refusal| matches!(refusal, Refusal::Limited { .. }))
            {
                return Err(limit);
            }
            Ok((data, told.into_iter().map(Told::flaw).collect()))
        }
        data => {
            let hollow = if data.is_some() { Refusal::Gone } else { Refusal::passing("an answer is empty") };
            // That something is not there is the least that can be said.
            let told = told.iter().map(Told::refusal).min_by_key(|refusal| *refusal == Refusal::Gone);
            Err(told.unwrap_or(hollow))
        }
    }
}

impl Told {
    fn make_visible(&mut self, secret: &str) {
        let visible = |c: char| if c.is_control() { ' ' } else { c };
        let message = if secret.is_empty() { self.message.clone() } else { self.message.replace(secret, "…") };
        self.message = message.chars().map(visible).take(REPEATED).collect();
    }

    fn flaw(self) -> Flaw {
        let withheld = matches!(self.refusal(), Refusal::Denied { .. } | Refusal::Gone);
        Flaw { says: self.message, withheld, path: self.path.unwrap_or_default() }
    }

    fn refusal(&self) -> Refusal {
        let says = self.message.clone();
        let message = says.to_lowercase();
        let saml = self.extensions.as_ref().is_some_and(|extensions| extensions.saml_failure);
        match self.kind.as_deref().unwrap_or_default() {
            "RATE_LIMITED" | "RATE_LIMIT" => Refusal::Limited { says, wait: None },
            _ if message.contains("rate limit") => Refusal::Limited { says, wait: None },
            "NOT_FOUND" => Refusal::Gone,
            "FORBIDDEN" if saml => Refusal::Denied { says, hint: SINGLE_SIGN_ON },
            "FORBIDDEN" if message.contains("ip allow list") => {
                Refusal::Denied { says, hint: "let the organisation's IP allow list take this machine's address" }
            }
            "FORBIDDEN" => Refusal::Denied {
                says,
                hint: "it needs read access to pull requests, contents and metadata of the repository",
            },
            "INSUFFICIENT_SCOPES" => {
                Refusal::Denied { says, hint: "give it the scope `repo` (and `read:org` for private members)" }
            }
            "INVALID_CURSOR_ARGUMENTS" => Refusal::BadCursor(says),
            "RESOURCE_LIMITS_EXCEEDED" | "MAX_NODE_LIMIT_EXCEEDED" | "NODE_LIMIT_EXCEEDED" => Refusal::TooMuch(says),
            _ if message.contains("something went wrong")
                || message.contains("timeout")
                || message.contains("timed out") =>
            {
                Refusal::TooMuch(says)
            }
            _ if message.contains("valid cursor") => Refusal::BadCursor(says),
            "" if self.extensions.as_ref().is_some_and(|extensions| extensions.code.is_some()) => Refusal::Wrong(says),
            _ => Refusal::passing(says),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::github::queries::{Outline, RepositoryById};

    fn refused(errors: Value) -> Refusal {
        let body = json!({"data": {"rateLimit": null, "node": null}, "errors": errors}).to_string();
        understand::<RepositoryById>(body.as_bytes(), "").unwrap_err()
    }

    fn told(kind: &str, message: &str) -> Value {
        json!([{"type": kind, "path": ["node"], "message": message}])
    }

    #[test]
    fn every_kind_of_error_is_known() {
        let limited = |says: &str| Refusal::Limited { says: says.into(), wait: None };
        assert_eq!(refused(told("RATE_LIMITED", "API limit")), limited("API limit"));
        assert_eq!(
            refused(json!([{"message": "You have exceeded a secondary rate limit."}])),
            limited("You have exceeded a secondary rate limit.")
        );
        assert_eq!(refused(told("NOT_FOUND", "Could not resolve to a Repository")), Refusal::Gone);
        for message in [
            "Something went wrong while executing your query. This may be the result of a timeout, or it could be a GitHub bug.",
            "Timeout on validation of query",
        ] {
            assert_eq!(refused(json!([{"message": message}])), Refusal::TooMuch(message.into()));
        }
        assert_eq!(refused(told("RESOURCE_LIMITS_EXCEEDED", "x")), Refusal::TooMuch("x".into()));
        let cursor = "`x` does not appear to be a valid cursor.";
        assert_eq!(refused(told("INVALID_CURSOR_ARGUMENTS", cursor)), Refusal::BadCursor(cursor.into()));
        assert_eq!(refused(json!([{"message": cursor}])), Refusal::BadCursor(cursor.into()));
        assert_eq!(refused(told("SERVICE_UNAVAILABLE", "x")), Refusal::passing("x"));
        let wrong = json!([{"message": "Field 'x' doesn't exist", "path": ["query"], "extensions": {"code": "undefinedField"}}]);
        assert_eq!(refused(wrong), Refusal::Wrong("Field 'x' doesn't exist".into()));
        for (error, hint) in [
            (json!([{"type": "FORBIDDEN", "message": "x", "extensions": {"saml_failure": true}}]), "single sign-on"),
            (told("FORBIDDEN", "the organization has an IP allow list enabled"), "IP allow list"),
            (told("FORBIDDEN", "Resource not accessible by integration"), "read access to pull requests"),
            (told("INSUFFICIENT_SCOPES", "x"), "`repo`"),
        ] {
            let Refusal::Denied { hint: given, .. } = refused(error) else { panic!("{hint}") };
            assert!(given.contains(hint), "{given}");
        }
    }

    #[test]
    fn what_is_said_loudest_counts() {
        let both = json!([{"type": "NOT_FOUND", "message": "a"}, {"type": "RATE_LIMITED", "message": "b"}]);
        assert!(matches!(refused(both), Refusal::Limited { .. }));
    }

    #[test]
    fn what_is_said_holds_no_secret_and_no_control() {
        let body = json!({"data": null, "errors": [{"type": "FORBIDDEN", "message": "planted\tmay not"}]}).to_string();
        let refusal = understand::<RepositoryById>(body.as_bytes(), "planted").unwrap_err();
        assert!(matches!(&refusal, Refusal::Denied { says, .. } if says == "… may not"), "{refusal:?}");
    }

    #[test]
    fn an_answer_that_is_none_is_asked_for_again() {
        for body in ["", "<html>", "{}", r#"{"data": null}"#, r#"{"data": {"node": 1}}"#, r#"{"message": "Hello"}"#] {
            let refusal = understand::<RepositoryById>(body.as_bytes(), "").unwrap_err();
            assert!(matches!(refusal, Refusal::Passing { .. }), "{body}: {refusal:?}");
        }
        assert_eq!(understand::<RepositoryById>(br#"{"data": {"node": null}}"#, "").unwrap_err(), Refusal::Gone);
    }

    #[test]
    fn data_with_errors_is_data_with_flaws() {
        let body = json!({
            "data": {"rateLimit": null, "repository": {"id": "R", "nameWithOwner": "o/r", "pullRequests": {
                "totalCount": 2,
                "nodes": [null, {"number": 1, "updatedAt": "2026-01-01T00:00:00Z"}],
                "pageInfo": {"hasNextPage": false, "endCursor": null},
            }}},
            "errors": [
                {"message": "Something went wrong", "path": ["repository", "pullRequests", "nodes", 0]},
                {"type": "FORBIDDEN", "message": "No\nteams", "path": ["repository", "pullRequests", "nodes", 1, "x", 7]},
                {"message": "whole page"},
            ],
        });
        let (data, flaws) = understand::<Outline>(body.to_string().as_bytes(), "").unwrap();
        assert_eq!(data.repository.unwrap().pull_requests.total_count, 2);
        let seen: Vec<_> = flaws.iter().map(|flaw| (flaw.place(), flaw.withheld, flaw.says.as_str())).collect();
        assert_eq!(
            seen,
            [(Some(0), false, "Something went wrong"), (Some(1), true, "No teams"), (None, false, "whole page")]
        );
    }
}

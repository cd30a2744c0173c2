//! A pull request as GitHub's REST API writes it, whole or in part, and the document that it becomes: what is not there
//! stays unknown.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use crate::document::{
    Base, BaseRepository, Date, Document, Head, HeadRepository, Label, Login, Milestone, State, User, UserKind,
};

/// Longest name of a repository, with its owner. GitHub's own are shorter.
const LONGEST_NAME: usize = 200;

/// What of a pull request is read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PullRequest {
    number: Option<u64>,
    id: Option<u64>,
    node_id: Option<String>,
    title: Option<String>,
    body: Option<String>,
    state: Option<String>,
    draft: Option<bool>,
    merged: Option<bool>,
    merged_at: Option<Timestamp>,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    closed_at: Option<Timestamp>,
    user: Option<Account>,
    author_association: Option<String>,
    labels: Option<Vec<Named>>,
    assignees: Option<Vec<Account>>,
    requested_reviewers: Option<Vec<Account>>,
    milestone: Option<Titled>,
    additions: Option<u64>,
    deletions: Option<u64>,
    changed_files: Option<u64>,
    commits: Option<u64>,
    comments: Option<u64>,
    review_comments: Option<u64>,
    base: Option<Branch>,
    head: Option<Branch>,
    merge_commit_sha: Option<String>,
}

/// An account.
#[derive(Debug, Deserialize)]
pub(super) struct Account {
    login: String,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Titled {
    title: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Branch {
    #[serde(rename = "ref")]
    name: Option<String>,
    sha: Option<String>,
    #[serde(deserialize_with = "home")]
    repo: Home,
}

/// What is said of a branch's repository.
#[derive(Debug, Default)]
enum Home {
    #[default]
    Untold,
    Gone,
    There(Repository),
}

/// A repository, whole or in part.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Repository {
    full_name: Option<String>,
    /// Where the API has it, which tells the full name as well.
    url: Option<String>,
    fork: Option<bool>,
}

/// What an event says around its pull request.
#[derive(Debug)]
pub(super) struct Around {
    /// What happened.
    pub(super) action: Option<String>,
    /// Full name of the repository.
    pub(super) repository: Option<String>,
    /// When it happened, or was told.
    pub(super) at: Option<Timestamp>,
    /// Who did it.
    pub(super) actor: Option<Account>,
}

/// Why a pull request becomes no document.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It does not say when it was opened.
    Incomplete,
    /// It is none of GitHub's.
    Malformed(String),
}

impl PullRequest {
    /// The document, completed by what the event says around it: who opens a pull request is its author, at that moment.
    pub(super) fn into_document(self, around: Around) -> Result<Document, Unusable> {
        let malformed = |reason: &str| Unusable::Malformed(reason.to_owned());
        let action = around.action.as_deref().unwrap_or_default();
        let opened = action == "opened";
        let number =
            self.number.filter(|number| *number > 0).ok_or_else(|| malformed("the pull request has no number"))?;
        let base = self.base.unwrap_or_default();
        let repository = base.repo.full_name().or(around.repository).filter(|name| is_full_name(name));
        let repository = repository.ok_or_else(|| malformed("base.repo.full_name is no owner/name of a repository"))?;
        let at = around.at.map(date);
        let created_at = self.created_at.map(date).or(at.filter(|_| opened)).ok_or(Unusable::Incomplete)?;
        let (merged_at, closed_at) = (self.merged_at.map(date), self.closed_at.map(date));
        let state = match (self.state.as_deref(), action) {
            (Some("open"), _) | (None, "opened" | "reopened") => State::Open,
            (Some("closed"), _) | (None, "closed" | "merged") => State::Closed,
            (Some(other), _) => return Err(malformed(&format!("the state {other:?} is neither open nor closed"))),
            (None, _) if closed_at.is_some() || merged_at.is_some() => State::Closed,
            // Whatever else happens to a pull request nearly always happens while it is open.
            (None, _) => State::Open,
        };
        let told = match (merged_at, action) {
            (Some(_), _) | (None, "merged") => Some(true),
            // One that is open is not merged.
            _ => (state == State::Open).then_some(false),
        };
        let login = |account: Account| Login { login: account.login };
        let logins = |accounts: Option<Vec<Account>>| Some(accounts?.into_iter().map(login).collect());
        let head = self.head.unwrap_or_default();
        Ok(Document {
            key: format!("{repository}#{number}"),
            number,
            id: self.id,
            node_id: self.node_id,
            title: self.title,
            body: self.body,
            state,
            draft: self.draft,
            merged: self.merged.or(told),
            merged_at,
            created_at,
            // That of the event would be later than GitHub's own: its version would never come through.
            updated_at: self.updated_at.map(date),
            closed_at,
            user: self.user.or(around.actor.filter(|_| opened)).map(user),
            author_association: self.author_association.map(Cow::Owned),
            labels: self.labels.map(|labels| labels.into_iter().map(|Named { name }| Label { name }).collect()),
            assignees: logins(self.assignees),
            requested_reviewers: logins(self.requested_reviewers),
            milestone: self.milestone.map(|Titled { title }| Milestone { title }),
            additions: self.additions,
            deletions: self.deletions,
            changed_files: self.changed_files,
            commits: self.commits,
            comments: self.comments,
            review_comments: self.review_comments,
            head: Head { branch: head.name, sha: head.sha, repo: head.repo.into_head(&repository) },
            base: Base { branch: base.name, sha: base.sha, repo: BaseRepository { full_name: repository } },
            merge_commit_sha: self.merge_commit_sha,
            files: None,
            fetched_at: at,
            reverted_at: None,
        })
    }
}

impl Home {
    fn full_name(&self) -> Option<String> {
        match self {
            Self::There(repository) => repository.full_name(),
            Self::Untold | Self::Gone => None,
        }
    }

    fn into_head(self, base: &str) -> HeadRepository {
        match self {
            Self::Untold => HeadRepository::Unknown,
            Self::Gone => HeadRepository::Deleted,
            Self::There(repository) => {
                let full_name = repository.full_name();
                let other = full_name.as_ref().map(|name| !name.eq_ignore_ascii_case(base));
                match repository.fork.or(other) {
                    Some(fork) => HeadRepository::Known { full_name, fork },
                    None => HeadRepository::Unknown,
                }
            }
        }
    }
}

impl Repository {
    pub(super) fn full_name(&self) -> Option<String> {
        let in_url = || Some(self.url.as_deref()?.split_once("/repos/")?.1.to_owned());
        self.full_name.clone().or_else(in_url)
    }
}

/// Null as a value of its own, apart from a field that is left out.
fn home<'de, D: Deserializer<'de>>(input: D) -> Result<Home, D::Error> {
    Ok(Option::deserialize(input)?.map_or(Home::Gone, Home::There))
}

fn date(time: Timestamp) -> Date {
    Date(time.as_second())
}

fn user(account: Account) -> User {
    let user = User::new(account.login);
    if account.kind.as_deref() == Some("Bot") { User { kind: UserKind::Bot, ..user } } else { user }
}

fn is_full_name(name: &str) -> bool {
    let part = |part: &str| !part.is_empty() && !part.chars().any(|c| c.is_whitespace() || c.is_control() || c == '/');
    name.len() <= LONGEST_NAME && name.split_once('/').is_some_and(|(owner, name)| part(owner) && part(name))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document(pull_request: Value, action: &str) -> Result<Value, Unusable> {
        let pull_request: PullRequest = serde_json::from_value(pull_request).unwrap();
        let around = Around {
            action: Some(action.to_owned()),
            repository: Some("tide/harbour".to_owned()),
            at: Some("2025-11-01T12:00:00Z".parse().unwrap()),
            actor: Some(Account { login: "renovate[bot]".to_owned(), kind: None }),
        };
        pull_request.into_document(around).map(|document| serde_json::to_value(document).unwrap())
    }

    fn trimmed() -> Value {
        let repo =
            |name: &str| json!({"id": 1, "url": format!("https://api.github.com/repos/{name}"), "name": "harbour"});
        json!({
            "url": "https://api.github.com/repos/tide/harbour/pulls/8", "id": 5, "number": 8,
            "head": {"ref": "fix", "sha": "ab", "repo": repo("ada/harbour")},
            "base": {"ref": "main", "sha": "cd", "repo": repo("tide/harbour")},
        })
    }

    #[test]
    fn what_a_trimmed_event_lacks_is_unknown() {
        let document = document(trimmed(), "opened").unwrap();
        let at = json!({"$date": "2025-11-01T12:00:00Z"});
        for (field, value) in [
            ("_id", json!("tide/harbour#8")),
            ("state", json!("open")),
            ("merged", json!(false)),
            ("created_at", at.clone()),
            ("updated_at", Value::Null),
            ("fetched_at", at),
            ("user", json!({"login": "renovate[bot]", "type": "Bot"})),
            ("base", json!({"ref": "main", "sha": "cd", "repo": {"full_name": "tide/harbour"}})),
            ("head", json!({"ref": "fix", "sha": "ab", "repo": {"full_name": "ada/harbour", "fork": true}})),
        ] {
            assert_eq!(document[field], value, "{field}");
        }
        for unknown in ["title", "body", "additions", "deletions", "changed_files", "commits", "labels", "draft"] {
            assert_eq!(document[unknown], Value::Null, "{unknown}");
        }
        assert!(document.get("files").is_none());
    }

    #[test]
    fn an_event_that_does_not_say_when_it_was_opened_is_incomplete() {
        for action in ["closed", "merged", "reopened", "labeled", ""] {
            assert_eq!(document(trimmed(), action).unwrap_err(), Unusable::Incomplete, "{action}");
        }
    }

    #[test]
    fn a_head_says_whether_it_is_known() {
        let head = |head: Value| {
            let mut given = trimmed();
            given["head"] = head;
            document(given, "opened").unwrap()["head"].clone()
        };
        assert_eq!(head(json!({"repo": null}))["repo"], Value::Null);
        assert!(head(json!({"repo": null})).get("repo").is_some());
        for untold in [json!({}), json!(null), json!({"repo": {"id": 7}})] {
            assert!(head(untold.clone()).get("repo").is_none(), "{untold}");
        }
        let own = head(json!({"repo": {"full_name": "Tide/Harbour"}}));
        assert_eq!(own["repo"], json!({"full_name": "Tide/Harbour", "fork": false}));
    }

    #[test]
    fn what_is_merged_is_told_by_its_time() {
        let merged = |more: Value, action: &str| {
            let mut given = trimmed();
            given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            given["created_at"] = json!("2025-11-01T11:00:00+01:00");
            let document = document(given, action).unwrap();
            (document["state"].as_str().unwrap().to_owned(), document["merged"].clone())
        };
        let of = |state: &str, merged: Value| (state.to_owned(), merged);
        assert_eq!(merged(json!({}), "merged"), of("closed", json!(true)));
        assert_eq!(merged(json!({}), "closed"), of("closed", json!(null)));
        assert_eq!(merged(json!({}), "labeled"), of("open", json!(false)));
        assert_eq!(merged(json!({"state": "closed", "merged": false}), "closed"), of("closed", json!(false)));
        let at = json!({"state": "closed", "merged_at": "2025-11-01T12:00:00Z"});
        assert_eq!(merged(at, "closed"), of("closed", json!(true)));
    }

    #[test]
    fn what_is_none_of_githubs_is_named() {
        for (field, value, says) in [
            ("number", json!(0), "number"),
            ("base", json!({"repo": {"full_name": "harbour"}}), "base.repo.full_name"),
            ("base", json!({"repo": {"full_name": "a/b/c"}}), "base.repo.full_name"),
            ("base", json!({"repo": {"full_name": "a b/c"}}), "base.repo.full_name"),
            ("state", json!("ajar"), "ajar"),
        ] {
            let mut given = trimmed();
            given[field] = value;
            match document(given, "opened") {
                Err(Unusable::Malformed(reason)) => assert!(reason.contains(says), "{reason}"),
                other => panic!("{field}: {other:?}"),
            }
        }
    }
}

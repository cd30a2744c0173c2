//! One pull request of the world: what GitHub knows of it, and the document that Prowl has to make of it.

use bson::DateTime;
use serde_json::{Value, json};

/// GitHub lists no more files of a pull request.
const MOST_FILES: usize = 3_000;

/// A moment as GitHub writes it.
pub(super) fn rfc3339(seconds: i64) -> String {
    DateTime::from_millis(seconds * 1_000).try_to_rfc3339_string().unwrap()
}

/// The moment that is written so.
pub(super) fn seconds(text: &str) -> i64 {
    DateTime::parse_rfc3339_str(text).unwrap().timestamp_millis() / 1_000
}

/// A pull request. Moments are seconds since 1970 UTC.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields are GitHub's, documented in its reference")]
pub struct PullRequest {
    pub id: u64,
    pub number: u64,
    pub title: String,
    pub body: String,
    pub state: State,
    pub draft: bool,
    pub created_at: i64,
    pub updated_at: i64,
    pub closed_at: Option<i64>,
    pub merged_at: Option<i64>,
    /// `None` of an account that was deleted.
    pub author: Option<Account>,
    pub association: String,
    pub labels: Vec<String>,
    pub assignees: Vec<String>,
    pub reviewers: Vec<Account>,
    pub milestone: Option<String>,
    pub additions: u64,
    pub deletions: u64,
    /// More than are listed, where it has more than GitHub lists.
    pub changed_files: u64,
    pub commits: u64,
    pub comments: u64,
    pub base_ref: String,
    pub base_sha: String,
    pub head_ref: String,
    pub head_sha: String,
    /// `None` of a fork that was deleted.
    pub head: Option<Head>,
    pub merge_commit: Option<String>,
    pub files: Vec<File>,
}

/// Whether it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are GitHub's words")]
pub enum State {
    Open,
    Closed,
    Merged,
}

/// Someone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// In GraphQL's form: that of a bot does not end in `[bot]`.
    pub login: String,
    /// What they are.
    pub kind: Kind,
}

/// What an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are GitHub's words")]
pub enum Kind {
    User,
    Bot,
    Team,
}

/// The repository that holds the branch of a change.
#[derive(Clone, Debug)]
pub struct Head {
    /// `owner/name`
    pub full_name: String,
    /// Whether it is a fork.
    pub fork: bool,
}

/// A changed file.
#[derive(Clone, Debug)]
pub struct File {
    /// Where it lies.
    pub path: String,
    /// GraphQL's word for what happened to it.
    pub change: &'static str,
    /// Lines added.
    pub additions: u64,
    /// Lines removed.
    pub deletions: u64,
}

impl Account {
    /// A person.
    pub fn user(login: &str) -> Self {
        Self { login: login.to_owned(), kind: Kind::User }
    }

    /// An app.
    pub fn bot(login: &str) -> Self {
        Self { login: login.to_owned(), kind: Kind::Bot }
    }

    /// The login in REST's form.
    pub fn rest_login(&self) -> String {
        if self.kind == Kind::Bot { format!("{}[bot]", self.login) } else { self.login.clone() }
    }
}

impl File {
    /// REST's word for what happened to it.
    fn status(&self) -> String {
        if self.change == "DELETED" { "removed".to_owned() } else { self.change.to_lowercase() }
    }
}

impl State {
    /// GraphQL's word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Closed => "CLOSED",
            Self::Merged => "MERGED",
        }
    }
}

impl PullRequest {
    /// Its global node id.
    pub fn node_id(&self) -> String {
        format!("PR_{}", self.id)
    }

    /// The files that GitHub lists.
    pub(super) fn listed(&self) -> &[File] {
        &self.files[..self.files.len().min(MOST_FILES)]
    }

    /// What REST tells of it in a list, as far as the tests look.
    pub(super) fn rest(&self, repository: &str) -> Value {
        json!({
            "id": self.id, "node_id": self.node_id(), "number": self.number, "title": self.title,
            "state": if self.state == State::Open { "open" } else { "closed" },
            "created_at": rfc3339(self.created_at), "updated_at": rfc3339(self.updated_at),
            "user": self.author.as_ref().map(|author| json!({ "login": author.rest_login() })),
            "base": { "ref": self.base_ref, "repo": { "full_name": repository } },
        })
    }

    /// The document that has to be stored of it, in relaxed extended JSON, without `_id` and `fetched_at`.
    pub fn document(&self, repository: &str) -> Value {
        let date = |seconds: i64| json!({ "$date": rfc3339(seconds) });
        let logins = |accounts: &[Account]| -> Vec<Value> {
            let people = accounts.iter().filter(|account| account.kind != Kind::Team);
            people.map(|account| json!({ "login": account.rest_login() })).collect()
        };
        let named = |name: &str, values: &[String]| -> Vec<Value> {
            values.iter().map(|value| json!({ name: value })).collect()
        };
        let user = self.author.as_ref().map(|author| {
            json!({ "login": author.rest_login(), "type": if author.kind == Kind::Bot { "Bot" } else { "User" } })
        });
        let files: Vec<Value> = self
            .listed()
            .iter()
            .map(|file| {
                json!({ "filename": file.path, "status": file.status(), "additions": file.additions, "deletions": file.deletions })
            })
            .collect();
        json!({
            "number": self.number, "id": self.id, "node_id": self.node_id(), "title": self.title,
            "body": Some(&self.body).filter(|body| !body.is_empty()),
            "state": if self.state == State::Open { "open" } else { "closed" }, "draft": self.draft,
            "merged": self.state == State::Merged, "merged_at": self.merged_at.map(date),
            "created_at": date(self.created_at), "updated_at": date(self.updated_at),
            "closed_at": self.closed_at.map(date), "user": user, "author_association": self.association,
            "labels": named("name", &self.labels), "assignees": named("login", &self.assignees),
            "requested_reviewers": logins(&self.reviewers),
            "milestone": self.milestone.as_ref().map(|title| json!({ "title": title })),
            "additions": self.additions, "deletions": self.deletions, "changed_files": self.changed_files,
            "commits": self.commits, "comments": self.comments, "review_comments": null,
            "base": { "ref": self.base_ref, "sha": self.base_sha, "repo": { "full_name": repository } },
            "head": { "ref": self.head_ref, "sha": self.head_sha,
                "repo": self.head.as_ref().map(|head| json!({ "full_name": head.full_name, "fork": head.fork })) },
            "merge_commit_sha": self.merge_commit, "files": files,
        })
    }
}

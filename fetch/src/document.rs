//! The document that Prowl keeps of a pull request: GitHub's REST object, trimmed, in REST's own names, and two
//! fields of our own (`files`, `fetched_at`; from git also `reverted_at`).
//!
//! As text it is what `mongoexport` prints: relaxed extended JSON v2, keys in the order of the fields below. As BSON
//! its dates are BSON's. What a source cannot know is `null` or left out, never zero or an empty list.

use std::borrow::Cow;

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::extjson::date;

/// How GitHub ends the login of an app in REST.
pub(crate) const BOT: &str = "[bot]";

/// One version of one pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Document {
    /// `owner/repo#N`
    #[serde(rename = "_id")]
    pub key: String,
    pub number: u64,
    pub id: Option<u64>,
    pub node_id: Option<String>,
    pub title: Option<String>,
    pub body: Option<String>,
    pub state: State,
    pub draft: Option<bool>,
    pub merged: Option<bool>,
    pub merged_at: Option<Date>,
    pub created_at: Date,
    /// Unknown versions are older than all others.
    pub updated_at: Option<Date>,
    pub closed_at: Option<Date>,
    pub user: Option<User>,
    pub author_association: Option<Cow<'static, str>>,
    pub labels: Option<Vec<Label>>,
    pub assignees: Option<Vec<Login>>,
    pub requested_reviewers: Option<Vec<Login>>,
    pub milestone: Option<Milestone>,
    pub additions: Option<u64>,
    pub deletions: Option<u64>,
    pub changed_files: Option<u64>,
    pub commits: Option<u64>,
    pub comments: Option<u64>,
    pub review_comments: Option<u64>,
    pub base: Base,
    pub head: Head,
    pub merge_commit_sha: Option<String>,
    /// REST's `/pulls/N/files`; left out when they were not fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<File>>,
    /// When this version was read from its source.
    pub fetched_at: Option<Date>,
    /// When a later commit took the change back, known from the history alone; left out when none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reverted_at: Option<Date>,
}

/// Whether the pull request is still open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// Neither merged nor closed yet.
    Open,
    /// Merged, or closed without.
    Closed,
}

/// Who opened it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct User {
    /// Account name; from git, where no address of GitHub's tells it, the author's own name.
    pub login: String,
    /// `User` or `Bot`.
    #[serde(rename = "type")]
    pub kind: UserKind,
}

/// What kind of account opened it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum UserKind {
    /// A person.
    User,
    /// An app; its login ends in `[bot]`.
    Bot,
}

impl User {
    /// The user of that login; a bot when GitHub's naming says so.
    pub(crate) fn new(login: String) -> Self {
        let kind = if login.ends_with(BOT) { UserKind::Bot } else { UserKind::User };
        Self { login, kind }
    }
}

/// A label by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Label {
    /// Name as shown.
    pub name: String,
}

/// An account by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Login {
    /// Account name.
    pub login: String,
}

/// A milestone by its title.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Milestone {
    /// Title as shown.
    pub title: String,
}

/// Where the change goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Base {
    /// Branch name.
    #[serde(rename = "ref")]
    pub branch: Option<String>,
    /// Commit that the change was compared with.
    pub sha: Option<String>,
    /// The repository, part of the identity.
    pub repo: BaseRepository,
}

/// The repository a pull request belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct BaseRepository {
    /// `owner/name`
    pub full_name: String,
}

/// Where the change comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Head {
    /// Branch name.
    #[serde(rename = "ref")]
    pub branch: Option<String>,
    /// Last commit of the branch.
    pub sha: Option<String>,
    /// The repository that holds the branch.
    #[serde(skip_serializing_if = "HeadRepository::is_unknown")]
    pub repo: HeadRepository,
}

/// The repository that holds the branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum HeadRepository {
    /// The source does not know; the field is left out, since `null` says something else.
    Unknown,
    /// A fork that is gone: `null`, as at GitHub.
    Deleted,
    /// One that is there.
    Known {
        /// `owner/name`
        full_name: Option<String>,
        /// Whether it is a fork of the base repository.
        fork: bool,
    },
}

impl HeadRepository {
    fn is_unknown(&self) -> bool {
        *self == Self::Unknown
    }
}

/// One changed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct File {
    /// Path; of a renamed file the new one.
    pub filename: String,
    /// What happened to it.
    pub status: Status,
    /// Lines added; 0 for a binary file, as GitHub counts.
    pub additions: u64,
    /// Lines removed.
    pub deletions: u64,
}

/// What happened to a file, in REST's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Added,
    Modified,
    Removed,
    Renamed,
    Copied,
    Changed,
}

/// A moment, as whole seconds since 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Date(pub i64);

impl Date {
    /// The moment in RFC 3339, `2026-11-24T21:45:00Z`; `None` outside of the years 1970 to 9999.
    pub(crate) fn text(self) -> Option<String> {
        let mut text = [0; 24];
        let text = date::write(self.0.saturating_mul(1_000), &mut text)?;
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

impl Serialize for Date {
    /// A BSON date; as text `{"$date":"2026-11-24T21:45:00Z"}`, and `{"$date":{"$numberLong":"-1000"}}` outside of the
    /// years 1970 to 9999 (<https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/>).
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Milliseconds {
            #[serde(rename = "$numberLong")]
            text: String,
        }
        let milliseconds = self.0.saturating_mul(1_000);
        if !serializer.is_human_readable() {
            return bson::DateTime::from_millis(milliseconds).serialize(serializer);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        match self.text() {
            Some(text) => map.serialize_entry("$date", &text)?,
            None => map.serialize_entry("$date", &Milliseconds { text: milliseconds.to_string() })?,
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_relaxed_extended_json() {
        let json = |seconds| serde_json::to_string(&Date(seconds)).unwrap();
        assert_eq!(json(1_795_556_700), r#"{"$date":"2026-11-24T21:45:00Z"}"#);
        assert_eq!(json(0), r#"{"$date":"1970-01-01T00:00:00Z"}"#);
        assert_eq!(json(253_402_300_799), r#"{"$date":"9999-12-31T23:59:59Z"}"#);
        assert_eq!(json(253_402_300_800), r#"{"$date":{"$numberLong":"253402300800000"}}"#);
        assert_eq!(json(-1), r#"{"$date":{"$numberLong":"-1000"}}"#);
        assert_eq!(json(i64::MAX), r#"{"$date":{"$numberLong":"9223372036854775807"}}"#);
    }

    #[test]
    fn dates_are_dates_in_bson() {
        #[derive(Serialize)]
        struct Dated {
            at: Date,
        }
        let bson = |seconds| bson::serialize_to_raw_document_buf(&Dated { at: Date(seconds) }).unwrap();
        assert_eq!(bson(1_795_556_700).get_datetime("at").unwrap().timestamp_millis(), 1_795_556_700_000);
        assert_eq!(bson(-1).get_datetime("at").unwrap().timestamp_millis(), -1_000);
        assert_eq!(bson(i64::MAX).get_datetime("at").unwrap().timestamp_millis(), i64::MAX);
    }

    #[test]
    fn a_bot_is_told_by_its_login() {
        assert_eq!(User::new("dependabot[bot]".into()).kind, UserKind::Bot);
        assert_eq!(User::new("robot".into()).kind, UserKind::User);
    }
}

//! A pull request in GitHub's REST names, with what may be missing as `Option`; and what is wrong with a document that is
//! none.

use std::borrow::Cow;

use serde::Deserialize;

use crate::document::{Document, some_text, text};
use crate::object::Object;

/// A pull request as its source tells it. Only the identity and `created_at` are sure to be there.
///
/// Times are milliseconds since 1970 UTC. Fields of the document that no feature, label or identity needs are
/// not read. Texts are borrowed from the document wherever they stand in it as they are, without an escape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PullRequest<'a> {
    /// `owner/name` of the repository that the change goes into.
    pub repository: Cow<'a, str>,
    /// The number within the repository, from 1.
    pub number: u64,
    /// When it was opened.
    pub created_at: i64,
    /// When anything of it last changed; the newest version of a document wins.
    pub updated_at: Option<i64>,
    /// When the collector read it.
    pub fetched_at: Option<i64>,
    /// When it was merged; never an input of a feature of this pull request.
    pub merged_at: Option<i64>,
    /// When a later commit took it back, where the source knows; never an input of a feature of this pull request.
    pub reverted_at: Option<i64>,
    /// The commit on the base branch that carries the merged change.
    pub merge_commit_sha: Option<Cow<'a, str>>,
    /// The title.
    pub title: Option<Cow<'a, str>>,
    /// The description; `None` where the source does not know it, which GitHub also uses for an empty one.
    pub body: Option<Cow<'a, str>>,
    /// Who opened it; `None` for a deleted account.
    pub user: Option<User<'a>>,
    /// GitHub's word for how the author belongs to the repository, such as `MEMBER`.
    pub author_association: Option<Cow<'a, str>>,
    /// Names of the labels.
    pub labels: Option<Vec<Cow<'a, str>>>,
    /// Number of assignees.
    pub assignees: Option<u64>,
    /// Number of people asked for a review that have not given one.
    pub requested_reviewers: Option<u64>,
    /// Whether it is a draft.
    pub draft: Option<bool>,
    /// Lines added, in total.
    pub additions: Option<u64>,
    /// Lines deleted, in total.
    pub deletions: Option<u64>,
    /// Number of files changed.
    pub changed_files: Option<u64>,
    /// Number of commits.
    pub commits: Option<u64>,
    /// Branch that the change goes into.
    pub base_ref: Option<Cow<'a, str>>,
    /// Whether the change comes from another repository (`head.repo` is null for a deleted fork, which counts).
    pub from_fork: Option<bool>,
    /// The files changed, each path once.
    pub files: Option<Vec<ChangedFile<'a>>>,
}

/// An account.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct User<'a> {
    /// The login.
    #[serde(borrow, deserialize_with = "text")]
    pub login: Cow<'a, str>,
    /// `User`, `Bot` or another of GitHub's words.
    #[serde(borrow, default, deserialize_with = "some_text", rename = "type")]
    pub kind: Option<Cow<'a, str>>,
}

/// One file of a change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChangedFile<'a> {
    /// The path after the change.
    pub filename: Cow<'a, str>,
    /// `added`, `removed`, `modified`, `renamed` or another of GitHub's words.
    pub status: Option<Cow<'a, str>>,
    /// Lines added in it.
    pub additions: Option<u64>,
    /// Lines deleted in it.
    pub deletions: Option<u64>,
}

/// Why a document cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if field.is_empty() { String::new() } else { format!("field `{field}`: ") })]
pub struct DocumentError {
    /// The field, such as `base.repo.full_name`; empty where the text as a whole is no JSON object.
    pub field: String,
    /// What is wrong with it, such as `expected a whole number, found string "many"`; of what was found only the
    /// beginning.
    pub message: String,
    /// What else is wrong, where several of the fields that no pull request can be without are missing or wrong.
    pub further: Vec<Self>,
}

impl DocumentError {
    fn of(field: &str, message: impl Into<String>) -> Self {
        // A path holds keys of the document, which may be of any length.
        Self { field: clip(field), message: message.into(), further: Vec::new() }
    }

    /// The first of `checked` that has an error, with the others that have one.
    pub(crate) fn of_identity(checked: [(&str, Option<String>); 3]) -> Self {
        let mut wrong = checked.into_iter().filter_map(|(field, message)| Some(Self::of(field, message?)));
        let first = wrong.next().expect("asked only where one is wrong");
        Self { further: wrong.collect(), ..first }
    }

    fn found(field: &str, expected: &str, found: &str) -> Self {
        Self::of(field, format!("expected {expected}, found {}", clip(found)))
    }
}

/// As much of a text from outside as a message quotes.
pub(crate) fn clip(text: &str) -> String {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl<'a> PullRequest<'a> {
    /// Reads GitHub's own JSON or MongoDB's extended JSON, relaxed or canonical; the fields that Prowl does not use
    /// are passed over.
    ///
    /// # Errors
    /// The text is no JSON object, a field has a wrong type, or the identity (`base.repo.full_name`, `number`) or
    /// `created_at` is missing.
    pub fn from_json(text: &'a [u8]) -> Result<Self, DocumentError> {
        // Checking the bytes once costs less than checking each string in them.
        let document =
            str::from_utf8(text).ok().and_then(|text| serde_json::from_str::<Object<Document<'a>>>(text).ok());
        match document {
            Some(document) => document.0.try_into(),
            None => Err(explain(text)),
        }
    }
}

/// Reads the text again, now keeping track of the path, which the good case need not pay for.
fn explain(text: &[u8]) -> DocumentError {
    if text.iter().all(u8::is_ascii_whitespace) {
        return DocumentError::of("", "empty, expected a pull request as a JSON object");
    }
    let mut input = serde_json::Deserializer::from_slice(text);
    match serde_path_to_error::deserialize::<_, Object<Document<'_>>>(&mut input) {
        Err(error) if error.inner().is_data() => {
            let path = error.path().to_string();
            let field = if path == "." { "" } else { &path };
            of_data(field, error.inner())
        }
        Err(error) => DocumentError::of("", format!("not JSON: {}", error.into_inner())),
        Ok(_) => DocumentError::of("", "not JSON: text goes on after the object"),
    }
}

/// A data error. Its place in the text is less telling than the field beside it, and what was expected goes first, so
/// that messages of one kind begin alike.
fn of_data(field: &str, error: &serde_json::Error) -> DocumentError {
    let text = error.to_string();
    let message = text.rfind(" at line ").map_or(text.as_str(), |end| &text[..end]);
    let found = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    match found.and_then(|found| found.rsplit_once(", expected ")) {
        Some((found, expected)) => DocumentError::found(field, expected, found),
        None => DocumentError::of(field, clip(message)),
    }
}

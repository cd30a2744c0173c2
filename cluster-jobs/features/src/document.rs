//! The document as it is written, in GitHub's JSON or MongoDB's extended JSON; [`PullRequest`] is what is left of it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};

use crate::object::{Object, object};
use crate::pull_request::{ChangedFile, DocumentError, PullRequest, User};
use crate::{extended_json, identity};

/// The document as a whole.
#[derive(Deserialize)]
pub(crate) struct Document<'a> {
    #[serde(default, deserialize_with = "extended_json::count")]
    number: Option<u64>,
    #[serde(default, deserialize_with = "extended_json::moment")]
    created_at: Option<i64>,
    #[serde(default, deserialize_with = "extended_json::moment")]
    updated_at: Option<i64>,
    #[serde(default, deserialize_with = "extended_json::moment")]
    fetched_at: Option<i64>,
    #[serde(default, deserialize_with = "extended_json::moment")]
    merged_at: Option<i64>,
    #[serde(default, deserialize_with = "extended_json::moment")]
    reverted_at: Option<i64>,
    #[serde(borrow, default, deserialize_with = "some_text")]
    merge_commit_sha: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "some_text")]
    title: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "some_text")]
    body: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "object")]
    user: Option<User<'a>>,
    #[serde(borrow, default, deserialize_with = "some_text")]
    author_association: Option<Cow<'a, str>>,
    #[serde(borrow)]
    labels: Option<Vec<Object<Label<'a>>>>,
    #[serde(default, deserialize_with = "length")]
    assignees: Option<u64>,
    #[serde(default, deserialize_with = "length")]
    requested_reviewers: Option<u64>,
    draft: Option<bool>,
    #[serde(default, deserialize_with = "extended_json::count")]
    additions: Option<u64>,
    #[serde(default, deserialize_with = "extended_json::count")]
    deletions: Option<u64>,
    #[serde(default, deserialize_with = "extended_json::count")]
    changed_files: Option<u64>,
    #[serde(default, deserialize_with = "extended_json::count")]
    commits: Option<u64>,
    #[serde(borrow, default, deserialize_with = "object")]
    base: Option<Branch<'a>>,
    #[serde(borrow, default, deserialize_with = "object")]
    head: Option<Branch<'a>>,
    #[serde(borrow)]
    files: Option<Vec<Object<File<'a>>>>,
}

#[derive(Deserialize)]
struct Label<'a> {
    #[serde(borrow, deserialize_with = "text")]
    name: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
struct Branch<'a> {
    #[serde(borrow, default, deserialize_with = "some_text", rename = "ref")]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "home")]
    repo: Home<'a>,
}

/// What a document says of a branch's repository.
#[derive(Default)]
enum Home<'a> {
    /// Nothing.
    #[default]
    Untold,
    /// Another one whose name it does not tell: `null` for a deleted one, or only that it is a fork.
    Elsewhere,
    Named(Cow<'a, str>),
}

#[derive(Deserialize)]
struct Repository<'a> {
    #[serde(borrow, default, deserialize_with = "some_text")]
    full_name: Option<Cow<'a, str>>,
    fork: Option<bool>,
}

#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow, deserialize_with = "text")]
    filename: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "some_text")]
    status: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "extended_json::count")]
    additions: Option<u64>,
    #[serde(default, deserialize_with = "extended_json::count")]
    deletions: Option<u64>,
}

/// Null as a value of its own, apart from a field that is left out.
fn home<'de, D: Deserializer<'de>>(input: D) -> Result<Home<'de>, D::Error> {
    Ok(match object::<Repository<'de>, D>(input)? {
        Some(Repository { full_name: Some(name), .. }) => Home::Named(name),
        // Beside a name it says nothing: the repository itself may be a fork of another.
        None | Some(Repository { fork: Some(true), .. }) => Home::Elsewhere,
        Some(_) => Home::Untold,
    })
}

/// The length of a list whose items do not matter.
fn length<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u64>, D::Error> {
    Ok(Option::<Vec<serde::de::IgnoredAny>>::deserialize(input)?.map(|items| items.len() as u64))
}

impl<'a> TryFrom<Document<'a>> for PullRequest<'a> {
    type Error = DocumentError;

    fn try_from(document: Document<'a>) -> Result<Self, DocumentError> {
        let base = document.base.unwrap_or_default();
        let named = match base.repo {
            Home::Named(name) => Some(name),
            Home::Untold | Home::Elsewhere => None,
        };
        let identity =
            (identity::repository(named), identity::number(document.number), identity::created_at(document.created_at));
        let (repository, number, created_at) = match identity {
            (Ok(repository), Ok(number), Ok(created_at)) => (repository, number, created_at),
            (repository, number, created_at) => {
                return Err(DocumentError::of_identity([
                    ("base.repo.full_name", repository.err()),
                    ("number", number.err()),
                    ("created_at", created_at.err()),
                ]));
            }
        };
        let from_fork = match document.head.unwrap_or_default().repo {
            Home::Untold => None,
            Home::Elsewhere => Some(true),
            Home::Named(name) => Some(!name.eq_ignore_ascii_case(&repository)),
        };
        Ok(Self {
            repository,
            number,
            created_at,
            updated_at: document.updated_at,
            fetched_at: document.fetched_at,
            merged_at: document.merged_at,
            reverted_at: document.reverted_at,
            merge_commit_sha: document.merge_commit_sha,
            title: document.title,
            body: document.body,
            user: document.user,
            author_association: document.author_association,
            labels: document.labels.map(|labels| labels.into_iter().map(|label| label.0.name).collect()),
            assignees: document.assignees,
            requested_reviewers: document.requested_reviewers,
            draft: document.draft,
            additions: document.additions,
            deletions: document.deletions,
            changed_files: document.changed_files,
            commits: document.commits,
            base_ref: base.name,
            from_fork,
            files: document.files.map(|files| files.into_iter().map(|file| file.0.into()).collect()),
        })
    }
}

impl<'a> From<File<'a>> for ChangedFile<'a> {
    fn from(file: File<'a>) -> Self {
        Self {
            filename: new_name(file.filename),
            status: file.status,
            additions: file.additions,
            deletions: file.deletions,
        }
    }
}

/// The path after a rename that is written as `git --numstat` does: `old => new` or `src/{old => new}/file`.
fn new_name(filename: Cow<'_, str>) -> Cow<'_, str> {
    match renamed(&filename) {
        Some(name) => name.into(),
        None => filename,
    }
}

fn renamed(filename: &str) -> Option<String> {
    // Looking for one byte is faster than for four, and nearly always enough.
    let arrow = filename.contains('>').then(|| filename.find(" => "))??;
    let (before, after) = (&filename[..arrow], &filename[arrow + 4..]);
    // Names hold braces, too (`{{cookiecutter.name}}/{a => b}`): those of the notation enclose whole parts of a path.
    let open = before.char_indices().rfind(|(at, c)| *c == '{' && (*at == 0 || before[..*at].ends_with('/')));
    let close =
        after.char_indices().find(|(at, c)| *c == '}' && matches!(after[at + 1..].chars().next(), None | Some('/')));
    Some(match (open, close) {
        (Some((open, _)), Some((close, _))) => {
            let (head, tail) = (&before[..open], &after[close + 1..]);
            let middle = &after[..close];
            if middle.is_empty() {
                // `a/{b => }/c` is `a/c`.
                format!("{head}{}", tail.strip_prefix('/').unwrap_or(tail))
            } else {
                format!("{head}{middle}{tail}")
            }
        }
        _ => after.to_owned(),
    })
}

/// For `#[serde(deserialize_with)]`: a text, borrowed from the document where it can be. (Serde's own `Cow` always owns.)
pub(crate) fn text<'de: 'a, 'a, D: Deserializer<'de>>(input: D) -> Result<Cow<'a, str>, D::Error> {
    Text::deserialize(input).map(|text| text.0)
}

/// The same, or null.
pub(crate) fn some_text<'de: 'a, 'a, D: Deserializer<'de>>(input: D) -> Result<Option<Cow<'a, str>>, D::Error> {
    Ok(Option::<Text<'_>>::deserialize(input)?.map(|text| text.0))
}

struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        input.deserialize_str(TextVisitor)
    }
}

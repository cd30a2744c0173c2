//! A request as the engine takes it: facts of one pull request and, where the caller sent one, its history.

use std::borrow::Cow;

use prowl_features::{
    AuthorHistory, ChangedFile, DirectoryHistory, Facts, FileHistory, History, PullRequest, RepositoryHistory,
    RevertRatios, User, identity,
};
use prowl_proto::v1::{self, score_request::Source};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    checks::Checks,
    error::{Error, wrong},
};

/// One pull request to score.
#[derive(Clone, Debug)]
pub struct Task {
    /// What the pull request says by itself.
    pub facts: Facts,
    /// What was known before it, if the caller says so; its lengths fit `facts`.
    pub history: Option<History>,
    /// Whether the answer shall hold the feature vector.
    pub include_features: bool,
}

impl Task {
    /// A task from JSON as GitHub writes it: a pull request, or a webhook's payload that holds one.
    ///
    /// # Errors
    /// [`Error::NotJson`], or [`Error::Invalid`] with the path of the field within the document.
    pub fn from_json(document: &[u8]) -> Result<Self, Error> {
        let facts = Facts::of(&read_json(document)?);
        Ok(Self { facts, history: None, include_features: false })
    }
}

impl TryFrom<v1::ScoreRequest> for Task {
    type Error = Error;

    fn try_from(request: v1::ScoreRequest) -> Result<Self, Error> {
        let facts = match request.source {
            Some(Source::PullRequest(message)) => Facts::of(&pull_request(message)?),
            Some(Source::GithubJson(text)) => {
                Facts::of(&read_json(&text).map_err(|error| error.within("github_json"))?)
            }
            None => return Err(wrong("source", "set pull_request or github_json")),
        };
        let history = request.history.map(|message| history(message, &facts)).transpose()?;
        Ok(Self { facts, history, include_features: request.include_features })
    }
}

fn read_json(document: &[u8]) -> Result<PullRequest<'_>, Error> {
    #[derive(Deserialize)]
    struct Payload<'a> {
        #[serde(borrow)]
        pull_request: &'a RawValue,
    }
    let error = match PullRequest::from_json(document) {
        Ok(pull_request) => return Ok(pull_request),
        Err(error) => error,
    };
    // In GitHub's REST object `pull_request` does not occur; in a webhook's payload the pull request is below it.
    match serde_json::from_slice::<Payload<'_>>(document) {
        Ok(payload) => PullRequest::from_json(payload.pull_request.get().as_bytes())
            .map_err(|error| Error::from(error).within("pull_request")),
        Err(_) => Err(error.into()),
    }
}

fn pull_request(message: v1::PullRequest) -> Result<PullRequest<'static>, Error> {
    let mut checks = Checks::default();
    let repository = checks.ok("pull_request.repository", identity::repository(Some(message.repository.into())));
    // The protocol has no other way to leave out a number.
    let number = Some(message.number).filter(|number| *number != 0);
    let number = checks.ok("pull_request.number", identity::number(number));
    let created_at = match message.created_at {
        None => checks.ok("pull_request.created_at", identity::created_at(None)),
        time => checks.time("pull_request.created_at", time).unwrap_or_default(),
    };
    if message.user.as_ref().is_some_and(|user| user.login.is_empty()) {
        checks.add("pull_request.user.login", "missing; leave out `user` where the author is not known");
    }
    checks.done(PullRequest {
        repository,
        number,
        created_at,
        // What becomes known later is no input, and a request has no place for it.
        updated_at: None,
        fetched_at: None,
        merged_at: None,
        reverted_at: None,
        merge_commit_sha: None,
        title: message.title.map(Cow::from),
        body: message.body.map(Cow::from),
        user: message.user.map(|user| User { login: user.login.into(), kind: user.r#type.map(Cow::from) }),
        author_association: message.author_association.map(Cow::from),
        labels: message.labels.map(|labels| labels.names.into_iter().map(Cow::from).collect()),
        assignees: message.assignees,
        requested_reviewers: message.requested_reviewers,
        draft: message.draft,
        additions: message.additions,
        deletions: message.deletions,
        changed_files: message.changed_files,
        commits: message.commits,
        base_ref: message.base_ref.map(Cow::from),
        from_fork: message.from_fork,
        files: message.files.map(|files| files.files.into_iter().map(changed_file).collect()),
    })
}

fn changed_file(message: v1::ChangedFile) -> ChangedFile<'static> {
    ChangedFile {
        filename: message.filename.into(),
        status: message.status.map(Cow::from),
        additions: message.additions,
        deletions: message.deletions,
    }
}

fn history(message: v1::History, facts: &Facts) -> Result<History, Error> {
    let mut checks = Checks::default();
    checks.length("history.files", message.files.len(), "distinct files", facts.files.len());
    checks.length("history.directories", message.directories.len(), "distinct directories", facts.directories.len());
    let author = message.author.unwrap_or_default();
    let repository = message.repository.unwrap_or_default();
    let ratios = message.reverts.unwrap_or_default();
    let opened = facts.lifecycle.created_at;
    checks.parts("history.repository", &[("merged", repository.merged)], ("opened", repository.opened));
    checks.parts("history.repository", &[("reverted", repository.reverted)], ("merged", repository.merged));
    checks.parts("history.author", &[("opened", author.opened)], ("the repository's opened", repository.opened));
    checks.parts("history.author", &[("merged", author.merged)], ("opened", author.opened));
    checks.parts("history.author", &[("reverted", author.reverted)], ("merged", author.merged));
    let history = History {
        author: AuthorHistory {
            opened: author.opened,
            merged: author.merged,
            reverted: author.reverted,
            last_opened_at: checks.past("history.author.last_opened_at", author.last_opened_at, opened),
        },
        repository: RepositoryHistory {
            opened: repository.opened,
            merged: repository.merged,
            reverted: repository.reverted,
            churn: checks.quartiles("history.repository.churn", repository.churn),
            changed_files: checks.quartiles("history.repository.changed_files", repository.changed_files),
        },
        files: message
            .files
            .into_iter()
            .enumerate()
            .map(|(index, file)| {
                let v1::FileHistory { merged, authors, fixes, reverts, last_merged_at, by_author } = file;
                let field = format!("history.files[{index}]");
                checks.parts(&field, &[("merged", merged)], ("the repository's merged", repository.merged));
                let parts = [("authors", authors), ("fixes", fixes), ("reverts", reverts), ("by_author", by_author)];
                checks.parts(&field, &parts, ("merged", merged));
                let last_merged_at = checks.past(&format!("{field}.last_merged_at"), last_merged_at, opened);
                FileHistory { merged, authors, fixes, reverts, last_merged_at, by_author }
            })
            .collect(),
        directories: message
            .directories
            .into_iter()
            .enumerate()
            .map(|(index, directory)| {
                let v1::DirectoryHistory { merged, reverts, by_author } = directory;
                let field = format!("history.directories[{index}]");
                checks.parts(&field, &[("merged", merged)], ("the repository's merged", repository.merged));
                checks.parts(&field, &[("reverts", reverts), ("by_author", by_author)], ("merged", merged));
                DirectoryHistory { merged, reverts, by_author }
            })
            .collect(),
        reverts: RevertRatios {
            paths: checks.doublings("history.reverts.paths", ratios.paths),
            title: checks.doublings("history.reverts.title", ratios.title),
            author: checks.doublings("history.reverts.author", ratios.author),
        },
    };
    checks.done(history)
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;

    /// Every field with a value that no other has.
    const DOCUMENT: &str = r#"{"number": 7, "created_at": "2024-05-01T12:00:00.5Z", "title": "Add it", "body": "Why",
        "base": {"ref": "main", "repo": {"full_name": "o/n"}}, "head": {"repo": {"full_name": "o/n"}},
        "user": {"login": "a", "type": "Bot"}, "author_association": "MEMBER", "labels": [{"name": "x"}, {"name": "y"}],
        "assignees": [{"login": "b"}], "requested_reviewers": [{"login": "c"}, {"login": "d"}, {"login": "e"}],
        "draft": true, "additions": 50, "deletions": 40, "changed_files": 5, "commits": 4,
        "files": [{"filename": "src/a.rs", "status": "added", "additions": 30, "deletions": 20},
        {"filename": "src/b.rs", "status": "renamed", "additions": 10, "deletions": 9}]}"#;

    /// The same, and no `..default()`, so that a field that is new is not forgotten.
    fn fields() -> v1::PullRequest {
        let file = |name: &str, status: &str, additions, deletions| v1::ChangedFile {
            filename: name.into(),
            status: Some(status.into()),
            additions: Some(additions),
            deletions: Some(deletions),
        };
        v1::PullRequest {
            repository: "o/n".into(),
            number: 7,
            created_at: Some(Timestamp { seconds: 1_714_564_800, nanos: 500_999_999 }),
            title: Some("Add it".into()),
            body: Some("Why".into()),
            user: Some(v1::User { login: "a".into(), r#type: Some("Bot".into()) }),
            author_association: Some("MEMBER".into()),
            labels: Some(v1::Labels { names: vec!["x".into(), "y".into()] }),
            assignees: Some(1),
            requested_reviewers: Some(3),
            draft: Some(true),
            additions: Some(50),
            deletions: Some(40),
            changed_files: Some(5),
            commits: Some(4),
            base_ref: Some("main".into()),
            from_fork: Some(false),
            files: Some(v1::Files {
                files: vec![file("src/a.rs", "added", 30, 20), file("src/b.rs", "renamed", 10, 9)],
            }),
        }
    }

    fn task(source: Source, history: Option<v1::History>) -> Result<Task, Error> {
        Task::try_from(v1::ScoreRequest { source: Some(source), history, include_features: false })
    }

    fn violated(error: &Error) -> Vec<String> {
        error.violations().into_iter().map(|violation| violation.field).collect()
    }

    #[test]
    fn each_form_gives_the_same_pull_request() {
        let expected = PullRequest::from_json(DOCUMENT.as_bytes()).unwrap();
        assert_eq!(pull_request(fields()).unwrap(), expected);
        assert_eq!(read_json(DOCUMENT.as_bytes()).unwrap(), expected);
        let payload = format!(r#"{{"action": "opened", "number": 7, "pull_request": {DOCUMENT}}}"#);
        assert_eq!(read_json(payload.as_bytes()).unwrap(), expected);
        // As text, in which unknown equals unknown.
        let text = |task: Task| format!("{:?}", task.facts);
        let typed = task(Source::PullRequest(fields()), None).unwrap();
        assert_eq!(text(typed), text(task(Source::GithubJson(DOCUMENT.into()), None).unwrap()));
    }

    #[test]
    fn every_missing_field_is_named_at_once() {
        let error = task(Source::PullRequest(v1::PullRequest::default()), None).unwrap_err();
        assert_eq!(violated(&error), ["pull_request.repository", "pull_request.number", "pull_request.created_at"]);
        let error = task(Source::GithubJson("{}".into()), None).unwrap_err();
        assert_eq!(
            violated(&error),
            ["github_json.base.repo.full_name", "github_json.number", "github_json.created_at"]
        );
    }

    #[test]
    fn a_time_is_within_the_calendar() {
        let opened = |seconds: i64, nanos: i32| {
            let created_at = Some(Timestamp { seconds, nanos });
            task(Source::PullRequest(v1::PullRequest { created_at, ..fields() }), None)
        };
        let (first, last) = (-62_135_596_800, 253_402_300_799);
        for (seconds, nanos, milliseconds) in [(first, 0, first * 1_000), (last, 999_999_999, last * 1_000 + 999)] {
            assert_eq!(opened(seconds, nanos).unwrap().facts.lifecycle.created_at, milliseconds);
        }
        for (seconds, nanos) in [(first - 1, 0), (last + 1, 0), (0, -1), (0, 1_000_000_000)] {
            assert_eq!(violated(&opened(seconds, nanos).unwrap_err()), ["pull_request.created_at"]);
        }
    }

    #[test]
    fn a_field_is_named_by_its_way_through_the_document() {
        let error = Task::from_json(br#"{"pull_request": {"number": 7}}"#).unwrap_err();
        let missing = ["base.repo.full_name", "created_at"].map(|field| format!("pull_request.{field}"));
        assert_eq!(violated(&error), missing);
        let error = task(Source::GithubJson(r#"{"number": "x"}"#.into()), None).unwrap_err();
        assert_eq!(violated(&error), ["github_json.number"]);
        let error = task(Source::GithubJson("nonsense".into()), None).unwrap_err();
        assert_eq!(violated(&error), ["github_json"]);
    }

    #[test]
    fn a_history_fits_the_files() {
        let entry = v1::FileHistory::default;
        let history = v1::History {
            files: vec![entry(), entry(), entry()],
            directories: vec![v1::DirectoryHistory::default()],
            ..v1::History::default()
        };
        let error = task(Source::PullRequest(fields()), Some(history.clone())).unwrap_err();
        assert_eq!(violated(&error), ["history.files"]);
        let fitting = v1::History { files: vec![entry(), entry()], ..history };
        assert!(task(Source::PullRequest(fields()), Some(fitting)).unwrap().history.is_some());
    }

    #[test]
    fn a_history_holds_no_nonsense() {
        let repository = v1::RepositoryHistory {
            churn: Some(v1::Quartiles { lower: f32::NAN, median: 1.0, upper: 2.0 }),
            ..v1::RepositoryHistory::default()
        };
        let author = v1::AuthorHistory {
            last_opened_at: Some(Timestamp { seconds: i64::MAX, nanos: 0 }),
            ..v1::AuthorHistory::default()
        };
        let history = v1::History {
            author: Some(author),
            repository: Some(repository),
            files: vec![v1::FileHistory::default(); 2],
            directories: vec![v1::DirectoryHistory::default()],
            reverts: Some(v1::RevertRatios { paths: Some(-1.0), title: Some(f32::INFINITY), author: None }),
        };
        let error = task(Source::PullRequest(fields()), Some(history)).unwrap_err();
        assert_eq!(
            violated(&error),
            ["history.author.last_opened_at", "history.repository.churn", "history.reverts.title"]
        );
    }

    #[test]
    fn a_history_lies_before_the_pull_request() {
        let history = |milliseconds: i64| {
            let time = Timestamp {
                seconds: milliseconds.div_euclid(1_000),
                nanos: milliseconds.rem_euclid(1_000) as i32 * 1_000_000,
            };
            v1::History {
                author: Some(v1::AuthorHistory { last_opened_at: Some(time), ..v1::AuthorHistory::default() }),
                files: vec![v1::FileHistory { last_merged_at: Some(time), ..v1::FileHistory::default() }; 2],
                directories: vec![v1::DirectoryHistory::default()],
                ..v1::History::default()
            }
        };
        let created_at = 1_714_564_800_500;
        assert!(task(Source::PullRequest(fields()), Some(history(created_at - 1))).is_ok());
        let error = task(Source::PullRequest(fields()), Some(history(created_at))).unwrap_err();
        assert_eq!(
            violated(&error),
            ["history.author.last_opened_at", "history.files[0].last_merged_at", "history.files[1].last_merged_at",]
        );
        assert!(error.to_string().contains("is not before"), "{error}");
    }

    #[test]
    fn a_part_is_not_more_than_its_whole() {
        let history = v1::History {
            repository: Some(v1::RepositoryHistory { opened: 5, merged: 4, reverted: 4, ..Default::default() }),
            author: Some(v1::AuthorHistory { opened: 6, merged: 3, reverted: 2, last_opened_at: None }),
            files: vec![
                v1::FileHistory { merged: 4, authors: 4, fixes: 4, reverts: 4, by_author: 4, last_merged_at: None },
                v1::FileHistory { merged: 1, by_author: 2, ..v1::FileHistory::default() },
            ],
            directories: vec![v1::DirectoryHistory { merged: 5, reverts: 6, ..v1::DirectoryHistory::default() }],
            reverts: None,
        };
        let error = task(Source::PullRequest(fields()), Some(history)).unwrap_err();
        assert_eq!(
            violated(&error),
            [
                "history.author.opened",
                "history.files[1].by_author",
                "history.directories[0].merged",
                "history.directories[0].reverts",
            ]
        );
        assert!(error.to_string().contains("`history.files[1].by_author`: 2 is more than merged (1)"), "{error}");
    }
}

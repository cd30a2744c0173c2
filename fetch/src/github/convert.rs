//! From GraphQL's pull request to the document, in REST's words.

use jiff::Timestamp;

use super::queries::{
    PatchStatus, PullRequestState,
    pull_requests::{
        Change, ChangeAuthorOn, ChangeFiles, ChangeReviewRequestsNodesRequestedReviewer as RequestedReviewer,
    },
};
use crate::document::{
    BOT, Base, BaseRepository, Date, Document, File, Head, HeadRepository, Label, Login, Milestone, State, Status,
    User, UserKind,
};

/// A document, perhaps not with all of its files yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Converted {
    pub(super) document: Document,
    /// Where its files go on.
    pub(super) more_files: Option<String>,
}

/// The document of a pull request of `repository`, as it was seen at a moment.
pub(super) fn document(change: Change, repository: &str, fetched_at: Timestamp) -> Converted {
    let number = change.number.unsigned_abs();
    let date = |moment: Timestamp| Date(moment.as_second());
    let labels = change.labels.map(|labels| {
        let names = labels.nodes.into_iter().flatten().flatten();
        names.map(|label| Label { name: label.name }).collect()
    });
    let assignees = change.assignees.nodes.into_iter().flatten().flatten();
    let reviewers = change.review_requests.map(|requests| {
        let asked = requests.nodes.into_iter().flatten().flatten();
        asked.filter_map(|request| reviewer(request.requested_reviewer?)).collect()
    });
    let more_files = change.files.as_ref().and_then(|files| {
        let page = &files.page_info;
        page.end_cursor.clone().filter(|_| page.has_next_page)
    });
    let document = Document {
        key: format!("{repository}#{number}"),
        number,
        id: change.full_database_id.map(|id| id.0),
        node_id: Some(change.id),
        title: Some(change.title),
        // REST has null where there is none.
        body: Some(change.body).filter(|body| !body.is_empty()),
        state: if change.state == PullRequestState::Open { State::Open } else { State::Closed },
        draft: Some(change.is_draft),
        merged: Some(change.merged),
        merged_at: change.merged_at.map(date),
        created_at: date(change.created_at),
        updated_at: Some(date(change.updated_at)),
        closed_at: change.closed_at.map(date),
        user: change.author.map(|author| user(author.login, &author.on)),
        author_association: Some(change.author_association.into()),
        labels,
        assignees: Some(assignees.map(|user| Login { login: user.login }).collect()),
        requested_reviewers: reviewers,
        milestone: change.milestone.map(|milestone| Milestone { title: milestone.title }),
        additions: count(change.additions),
        deletions: count(change.deletions),
        changed_files: count(change.changed_files),
        commits: count(change.commits.total_count),
        comments: count(change.comments.total_count),
        // GraphQL does not count them.
        review_comments: None,
        base: Base {
            branch: Some(change.base_ref_name),
            sha: Some(change.base_ref_oid),
            repo: BaseRepository { full_name: repository.to_owned() },
        },
        head: Head {
            branch: Some(change.head_ref_name),
            sha: Some(change.head_ref_oid),
            repo: change.head_repository.map_or(HeadRepository::Deleted, |head| HeadRepository::Known {
                full_name: Some(head.name_with_owner),
                fork: head.is_fork,
            }),
        },
        merge_commit_sha: change.merge_commit.map(|commit| commit.oid),
        files: change.files.map(files),
        fetched_at: Some(date(fetched_at)),
        reverted_at: None,
    };
    Converted { document, more_files }
}

/// A changed file.
pub(super) fn file(path: String, change: PatchStatus, additions: i64, deletions: i64) -> File {
    let status = match change {
        PatchStatus::Added => Status::Added,
        PatchStatus::Changed => Status::Changed,
        PatchStatus::Copied => Status::Copied,
        PatchStatus::Deleted => Status::Removed,
        PatchStatus::Modified | PatchStatus::New => Status::Modified,
        PatchStatus::Renamed => Status::Renamed,
    };
    let [additions, deletions] = [additions, deletions].map(|lines| count(lines).unwrap_or_default());
    File { filename: path, status, additions, deletions }
}

fn files(files: ChangeFiles) -> Vec<File> {
    let nodes = files.nodes.into_iter().flatten().flatten();
    nodes.map(|node| file(node.path, node.change_type, node.additions, node.deletions)).collect()
}

fn count(number: i64) -> Option<u64> {
    u64::try_from(number).ok()
}

fn user(login: String, kind: &ChangeAuthorOn) -> User {
    match kind {
        ChangeAuthorOn::Bot => User { login: bot(login), kind: UserKind::Bot },
        _ => User { login, kind: UserKind::User },
    }
}

/// Teams are no reviewers in REST's list.
fn reviewer(asked: RequestedReviewer) -> Option<Login> {
    let login = match asked {
        RequestedReviewer::Bot(asked) => bot(asked.login),
        RequestedReviewer::Mannequin(asked) => asked.login,
        RequestedReviewer::User(asked) => asked.login,
        RequestedReviewer::Team | RequestedReviewer::Unknown => return None,
    };
    Some(Login { login })
}

/// GraphQL gives the login of an app without its ending.
fn bot(login: String) -> String {
    if login.ends_with(BOT) { login } else { login + BOT }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A pull request as GraphQL gives it.
    pub(in crate::github) fn change(number: u64, updated_at: &str) -> Value {
        json!({
            "id": format!("PR_{number}"), "fullDatabaseId": "9007199254740993", "number": number,
            "title": "Add", "body": "", "state": "MERGED", "isDraft": false, "merged": true,
            "mergedAt": "2026-01-02T00:00:00Z", "createdAt": "2026-01-01T00:00:00Z", "updatedAt": updated_at,
            "closedAt": "2026-01-02T00:00:00Z", "author": {"__typename": "User", "login": "ann"},
            "authorAssociation": "MEMBER", "labels": {"nodes": [{"name": "bug"}, null]},
            "assignees": {"nodes": [{"login": "kim"}]},
            "reviewRequests": {"nodes": [
                {"requestedReviewer": {"__typename": "User", "login": "lee"}},
                {"requestedReviewer": {"__typename": "Team"}},
                {"requestedReviewer": {"__typename": "Bot", "login": "helper"}},
                {"requestedReviewer": {"__typename": "Robot"}},
                {"requestedReviewer": null},
            ]},
            "milestone": {"title": "1.0"}, "additions": 3, "deletions": 2, "changedFiles": 1,
            "commits": {"totalCount": 4}, "comments": {"totalCount": 5},
            "baseRefName": "main", "baseRefOid": "b0", "headRefName": "patch", "headRefOid": "a0",
            "headRepository": {"nameWithOwner": "ann/r", "isFork": true}, "mergeCommit": {"oid": "c0"},
            "files": {
                "nodes": [{"path": "a.rs", "changeType": "DELETED", "additions": 3, "deletions": 2}],
                "pageInfo": {"hasNextPage": false, "endCursor": "MQ"},
            },
        })
    }

    fn converted(change: Value) -> Converted {
        document(serde_json::from_value(change).unwrap(), "o/r", Timestamp::from_second(1_800_000_000).unwrap())
    }

    #[test]
    fn a_pull_request_gets_rests_names_and_words() {
        let Converted { document, more_files } = converted(change(7, "2026-01-03T00:00:00Z"));
        assert_eq!(more_files, None);
        let date = |text: &str| json!({"$date": text});
        let expected = json!({
            "_id": "o/r#7", "number": 7, "id": 9_007_199_254_740_993_u64, "node_id": "PR_7", "title": "Add",
            "body": null, "state": "closed", "draft": false, "merged": true, "merged_at": date("2026-01-02T00:00:00Z"),
            "created_at": date("2026-01-01T00:00:00Z"), "updated_at": date("2026-01-03T00:00:00Z"),
            "closed_at": date("2026-01-02T00:00:00Z"), "user": {"login": "ann", "type": "User"},
            "author_association": "MEMBER", "labels": [{"name": "bug"}], "assignees": [{"login": "kim"}],
            "requested_reviewers": [{"login": "lee"}, {"login": "helper[bot]"}], "milestone": {"title": "1.0"},
            "additions": 3, "deletions": 2, "changed_files": 1, "commits": 4, "comments": 5, "review_comments": null,
            "base": {"ref": "main", "sha": "b0", "repo": {"full_name": "o/r"}},
            "head": {"ref": "patch", "sha": "a0", "repo": {"full_name": "ann/r", "fork": true}},
            "merge_commit_sha": "c0",
            "files": [{"filename": "a.rs", "status": "removed", "additions": 3, "deletions": 2}],
            "fetched_at": date("2027-01-15T08:00:00Z"),
        });
        assert_eq!(serde_json::to_value(document).unwrap(), expected);
    }

    #[test]
    fn what_is_gone_or_unknown_is_null() {
        let mut ghost = change(1, "2026-01-03T00:00:00Z");
        for field in ["author", "headRepository", "labels", "reviewRequests", "files", "mergeCommit", "milestone"] {
            ghost[field] = Value::Null;
        }
        let document = serde_json::to_value(converted(ghost).document).unwrap();
        for field in ["user", "labels", "requested_reviewers", "merge_commit_sha", "milestone"] {
            assert_eq!(document[field], Value::Null, "{field}");
        }
        assert_eq!(document["head"]["repo"], Value::Null);
        assert!(document["head"].as_object().unwrap().contains_key("repo") && document.get("files").is_none());
    }

    #[test]
    fn a_bot_has_its_ending_once() {
        for (login, kind, expected) in [
            ("dependabot", "Bot", "dependabot[bot]"),
            ("dependabot[bot]", "Bot", "dependabot[bot]"),
            ("robot", "Mannequin", "robot"),
            ("someone", "Kind of tomorrow", "someone"),
        ] {
            let mut of = change(1, "2026-01-03T00:00:00Z");
            of["author"] = json!({"__typename": kind, "login": login});
            let user = converted(of).document.user.unwrap();
            assert_eq!((user.login.as_str(), user.kind == UserKind::Bot), (expected, kind == "Bot"));
        }
    }

    #[test]
    fn files_past_the_first_hundred_are_told() {
        let mut large = change(1, "2026-01-03T00:00:00Z");
        large["files"]["pageInfo"]["hasNextPage"] = json!(true);
        large["state"] = json!("OPEN");
        let Converted { document, more_files } = converted(large);
        assert_eq!((more_files.as_deref(), document.state), (Some("MQ"), State::Open));
    }
}

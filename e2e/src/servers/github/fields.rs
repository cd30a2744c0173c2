//! The fields of a repository and of a pull request.

use apollo_compiler::resolvers::ResolveInfo;
use apollo_compiler::response::JsonValue;

use super::objects::{Kind, Object, Resolved, WENT_WRONG, leaf, refused};
use super::page::Page;
use super::pull_request::{PullRequest, State, rfc3339};
use super::world::{Ailment, Repository};

impl<'a> Object<'a> {
    pub(super) fn of_repository<'b>(&'b self, info: &ResolveInfo<'_>, repository: &'a Repository) -> Resolved<'b> {
        Ok(match info.field_name() {
            "id" => leaf(repository.node_id()),
            "name" => leaf(repository.name()),
            "nameWithOwner" => leaf(&*repository.full_name),
            "owner" => self.nullable(self.view.world.owner(repository.owner()).map(Kind::Owner)),
            "isArchived" => leaf(repository.archived),
            "isDisabled" => leaf(repository.disabled),
            "isPrivate" => leaf(repository.private),
            "isFork" => leaf(repository.fork),
            "visibility" => leaf(if repository.private { "PRIVATE" } else { "PUBLIC" }),
            "pullRequests" => self.pull_requests_of(info, repository)?,
            "pullRequest" => {
                let number = info.arguments().get("number").and_then(JsonValue::as_i64).unwrap_or_default();
                let found = repository.pull_requests().find(|pull_request| pull_request.number == number as u64);
                let unknown = || format!("Could not resolve to a PullRequest with the number of {number}.");
                self.object(Kind::PullRequest(repository, found.ok_or_else(|| refused("NOT_FOUND", unknown()))?))
            }
            _ => return Err(self.unmodelled(info)),
        })
    }

    fn pull_requests_of<'b>(&'b self, info: &ResolveInfo<'_>, repository: &'a Repository) -> Resolved<'b> {
        if !self.view.grant.pull_requests {
            return Err(refused("FORBIDDEN", self.view.grant.not_accessible()));
        }
        let arguments = info.arguments();
        let only_counted = arguments.get("first").is_none_or(JsonValue::is_null);
        let order = arguments.get("orderBy").and_then(JsonValue::as_object);
        let of_order = |name: &str| order.and_then(|order| order.get(name)).and_then(JsonValue::as_str);
        let modelled = (of_order("field"), of_order("direction")) == (Some("UPDATED_AT"), Some("DESC"));
        let filters = ["states", "labels", "headRefName", "baseRefName"];
        let filtered = filters.iter().any(|filter| arguments.get(*filter).is_some_and(|value| !value.is_null()));
        if filtered || !(modelled || only_counted) {
            return Err(self.unmodelled(info));
        }
        Page::of_pull_requests(self.view, info, repository)
    }

    pub(super) fn of_pull_request<'b>(
        &'b self,
        info: &ResolveInfo<'_>,
        repository: &'a Repository,
        its: &'a PullRequest,
    ) -> Resolved<'b> {
        let list = |of, all: Vec<Kind<'a>>| Page::of_list(of, self.view, info, all);
        let counted = |of, total| self.object(Kind::Counted(of, total));
        let moment = |seconds: Option<i64>| leaf(seconds.map(rfc3339));
        match (self.view.world.ailing.get(&its.id), info.field_name()) {
            // It cannot be null, so that all of the pull request becomes null.
            (Some(Ailment::Null), "title") => return Err(refused("", WENT_WRONG)),
            (Some(Ailment::Timeout), "title") | (Some(Ailment::Files), "files") => self.view.timed_out.set(true),
            _ => {}
        }
        Ok(match info.field_name() {
            "id" => leaf(its.node_id()),
            "fullDatabaseId" => leaf(its.id.to_string()),
            // It does not hold what is larger than 32 bits.
            "databaseId" => leaf(i32::try_from(its.id).ok()),
            "number" => leaf(its.number),
            "title" => leaf(&*its.title),
            "body" => leaf(&*its.body),
            "state" => leaf(its.state.word()),
            "isDraft" => leaf(its.draft),
            "merged" => leaf(its.state == State::Merged),
            "closed" => leaf(its.state != State::Open),
            "createdAt" => moment(Some(its.created_at)),
            "updatedAt" => moment(Some(its.updated_at)),
            "closedAt" => moment(its.closed_at),
            "mergedAt" => moment(its.merged_at),
            "author" => self.nullable(its.author.as_ref().map(Kind::Account)),
            "authorAssociation" => leaf(&*its.association),
            "labels" => list("LabelConnection", its.labels.iter().map(|name| Kind::Label(name)).collect())?,
            "assignees" => list("UserConnection", its.assignees.iter().map(|login| Kind::Login(login)).collect())?,
            "reviewRequests" => {
                list("ReviewRequestConnection", its.reviewers.iter().map(Kind::ReviewRequest).collect())?
            }
            "milestone" => self.nullable(its.milestone.as_deref().map(Kind::Milestone)),
            "additions" => leaf(its.additions),
            "deletions" => leaf(its.deletions),
            "changedFiles" => leaf(its.changed_files),
            "commits" => counted("PullRequestCommitConnection", its.commits),
            "comments" => counted("IssueCommentConnection", its.comments),
            "totalCommentsCount" => leaf(its.comments),
            "repository" | "baseRepository" => self.object(Kind::Repository(repository)),
            "baseRefName" => leaf(&*its.base_ref),
            "baseRefOid" => leaf(&*its.base_sha),
            "headRefName" => leaf(&*its.head_ref),
            "headRefOid" => leaf(&*its.head_sha),
            "headRepository" => self.nullable(its.head.as_ref().map(Kind::Fork)),
            "isCrossRepository" => leaf(its.head.as_ref().is_none_or(|head| head.full_name != repository.full_name)),
            "mergeCommit" => self.nullable(its.merge_commit.as_deref().map(Kind::Commit)),
            "files" => list("PullRequestChangedFileConnection", its.listed().iter().map(Kind::File).collect())?,
            _ => return Err(self.unmodelled(info)),
        })
    }
}

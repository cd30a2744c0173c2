//! The two doors of a walk: GitHub, where pull requests come from, and the collection, where they go. A test puts its
//! own behind them.

use jiff::Timestamp;

use super::{
    api::{Answered, Changed, GitHub, Unanswered},
    convert::{self, Converted},
    patience::Patience,
    queries::{ChangedFiles, Outline, PullRequests, changed_files, outline, pull_requests},
};
use crate::{
    Error,
    document::{Document, File},
    mongo::{Repository, Status, Written},
};

/// What a walk asks of GitHub about a repository `owner/name`. A position is the cursor of the pull request before it.
pub(super) trait Source: Sync {
    /// Whether the list of pull requests changed since its `ETag` was given.
    fn changed(&self, repository: &str, etag: Option<&str>) -> impl Future<Output = Result<Changed, Error>> + Send;

    /// A page of pull requests.
    fn page(
        &self,
        repository: &str,
        place: Place<'_>,
        patience: &mut Patience,
    ) -> impl Future<Output = Result<Page, Unanswered>> + Send;

    /// A page of numbers and times.
    fn outline(
        &self,
        repository: &str,
        place: Place<'_>,
        patience: &mut Patience,
    ) -> impl Future<Output = Result<Outlined, Unanswered>> + Send;

    /// A page of the files of a pull request.
    fn files(
        &self,
        repository: &str,
        id: &str,
        after: &str,
        patience: &mut Patience,
    ) -> impl Future<Output = Result<Files, Unanswered>> + Send;

    /// What to say when patience is at its end.
    fn gives_up(&self, says: String, patience: &Patience) -> Error;
}

/// Where pull requests and the state of their repository are kept.
pub(super) trait Shelf: Sync {
    /// Stores documents, forward only.
    fn put(&self, documents: Vec<Document>) -> impl Future<Output = Result<Written, Error>> + Send;

    /// Stores the state; false where another collector has the repository by now.
    fn save(&self, repository: &Repository) -> impl Future<Output = Result<bool, Error>> + Send;

    /// The time that several collectors agree on.
    fn now(&self) -> Timestamp;
}

/// A stretch of the list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// After which position; the first one without.
    pub(super) after: Option<&'a str>,
    /// How many pull requests.
    pub(super) first: u32,
    /// Whether with their files.
    pub(super) files: bool,
}

/// A page of pull requests, whole or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) repository: Identity,
    /// All pull requests that there are.
    pub(super) total: u64,
    pub(super) pulls: Vec<Pull>,
    /// The position of the last one; nothing where the list ends.
    pub(super) next: Option<String>,
    /// When it was given, by GitHub's clock.
    pub(super) at: Timestamp,
    /// Points that it cost.
    pub(super) cost: u64,
}

/// Which repository it is, and how it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) node_id: String,
    pub(super) full_name: String,
    pub(super) status: Option<Status>,
}

/// A pull request in a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pull {
    Whole(Converted),
    /// It lacks something that another try may bring.
    Partial(Converted, String),
    /// It lacks everything.
    Absent(String),
}

/// Which pull requests are in a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outlined {
    pub(super) node_id: String,
    pub(super) full_name: String,
    pub(super) total: u64,
    /// Numbers and updates, where GitHub tells them.
    pub(super) pulls: Vec<Option<(u64, Timestamp)>>,
    pub(super) next: Option<String>,
}

/// A page of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) files: Vec<File>,
    pub(super) next: Option<String>,
}

impl Source for GitHub {
    async fn changed(&self, repository: &str, etag: Option<&str>) -> Result<Changed, Error> {
        GitHub::changed(self, repository, etag).await
    }

    async fn page(&self, repository: &str, place: Place<'_>, patience: &mut Patience) -> Result<Page, Unanswered> {
        let (owner, name) = parts(repository);
        let variables = pull_requests::Variables {
            owner,
            name,
            first: place.first.into(),
            after: place.after.map(str::to_owned),
            files: place.files,
        };
        page(self.ask::<PullRequests>(repository, variables, patience).await?)
    }

    async fn outline(
        &self,
        repository: &str,
        place: Place<'_>,
        patience: &mut Patience,
    ) -> Result<Outlined, Unanswered> {
        let (owner, name) = parts(repository);
        let after = place.after.map(str::to_owned);
        let variables = outline::Variables { owner, name, first: place.first.into(), after };
        let Answered { data, .. } = self.ask::<Outline>(repository, variables, patience).await?;
        let repository = data.repository.ok_or(Unanswered::Gone)?;
        let list = repository.pull_requests;
        let nodes = list.nodes.into_iter().flatten();
        Ok(Outlined {
            node_id: repository.id,
            full_name: repository.name_with_owner,
            total: list.total_count.unsigned_abs(),
            pulls: nodes.map(|pull| pull.map(|pull| (pull.number.unsigned_abs(), pull.updated_at))).collect(),
            next: next(list.page_info.has_next_page, list.page_info.end_cursor)?,
        })
    }

    async fn files(
        &self,
        repository: &str,
        id: &str,
        after: &str,
        patience: &mut Patience,
    ) -> Result<Files, Unanswered> {
        use changed_files::ChangedFilesNode as Node;
        let variables = changed_files::Variables { id: id.to_owned(), after: after.to_owned() };
        let Answered { data, flaws, .. } = self.ask::<ChangedFiles>(repository, variables, patience).await?;
        if let Some(flaw) = flaws.into_iter().next() {
            return Err(Unanswered::TooMuch(flaw.says));
        }
        let Some(Node::PullRequest(pull)) = data.node else { return Err(Unanswered::Gone) };
        let files = pull.files.ok_or_else(|| Unanswered::TooMuch("a page of files is missing".to_owned()))?;
        let nodes = files.nodes.into_iter().flatten().flatten();
        Ok(Files {
            files: nodes
                .map(|node| convert::file(node.path, node.change_type, node.additions, node.deletions))
                .collect(),
            next: next(files.page_info.has_next_page, files.page_info.end_cursor)?,
        })
    }

    fn gives_up(&self, says: String, patience: &Patience) -> Error {
        GitHub::gives_up(self, says, patience)
    }
}

/// What an answer says of each pull request of a page.
fn page(answered: Answered<pull_requests::ResponseData>) -> Result<Page, Unanswered> {
    let Answered { data, flaws, at, cost } = answered;
    let repository = data.repository.ok_or(Unanswered::Gone)?;
    let list = repository.pull_requests;
    // Without a place it may be anywhere.
    if let Some(flaw) = flaws.iter().find(|flaw| flaw.place().is_none() && !flaw.withheld) {
        return Err(Unanswered::TooMuch(flaw.says.clone()));
    }
    let nodes = list.nodes.ok_or_else(|| Unanswered::TooMuch("a page of pull requests is missing".to_owned()))?;
    let next = next(list.page_info.has_next_page, list.page_info.end_cursor)?;
    let status = Some(match (repository.is_disabled, repository.is_archived) {
        (true, _) => Status::Disabled,
        (_, true) => Status::Archived,
        _ => Status::Active,
    });
    let full_name = repository.name_with_owner;
    let pulls = nodes.into_iter().enumerate().map(|(place, node)| {
        let of_it = || flaws.iter().filter(|flaw| flaw.place() == Some(place));
        match node {
            Some(change) => {
                let converted = convert::document(change, &full_name, at);
                // What is kept back from this token would not come another time either.
                match of_it().find(|flaw| !flaw.withheld) {
                    Some(flaw) => Pull::Partial(converted, flaw.says.clone()),
                    None => Pull::Whole(converted),
                }
            }
            None => Pull::Absent(of_it().next().map_or_else(|| "it is null".to_owned(), |flaw| flaw.says.clone())),
        }
    });
    let pulls = pulls.collect();
    let repository = Identity { node_id: repository.id, full_name, status };
    Ok(Page { repository, total: list.total_count.unsigned_abs(), pulls, next, at, cost })
}

/// Where a list goes on. One that does and does not say where must not be taken for its end.
pub(super) fn next(more: bool, cursor: Option<String>) -> Result<Option<String>, Unanswered> {
    match (more, cursor) {
        (true, None) => Err(Unanswered::TooMuch("a page does not say where the next one begins".to_owned())),
        (true, cursor) => Ok(cursor),
        (false, _) => Ok(None),
    }
}

/// Owner and name.
fn parts(repository: &str) -> (String, String) {
    let (owner, name) = repository.split_once('/').unwrap_or((repository, ""));
    (owner.to_owned(), name.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::github::{answer::understand, convert::tests::change};

    fn answered(nodes: Value, more: Value, errors: Value) -> Result<Page, Unanswered> {
        let body = json!({
            "data": {"rateLimit": null, "repository": {
                "id": "R_1", "nameWithOwner": "O/r", "isArchived": true, "isDisabled": false,
                "pullRequests": {"totalCount": 9, "nodes": nodes, "pageInfo": more},
            }},
            "errors": errors,
        });
        let (data, flaws) = understand::<PullRequests>(body.to_string().as_bytes(), "").unwrap();
        page(Answered { data, flaws, at: Timestamp::UNIX_EPOCH, cost: 0 })
    }

    fn more() -> Value {
        json!({"hasNextPage": true, "endCursor": "c"})
    }

    #[test]
    fn a_page_tells_what_each_pull_request_lacks() {
        let path = |rest: Value| {
            let mut path = vec![json!("repository"), json!("pullRequests"), json!("nodes")];
            path.extend(rest.as_array().unwrap().iter().cloned());
            path
        };
        let one = |number| change(number, "2026-01-03T00:00:00Z");
        let page = answered(
            json!([one(4), one(3), null, one(2), null]),
            more(),
            json!([
                {"message": "timeout", "path": path(json!([1, "files"]))},
                {"message": "FORBIDDEN", "type": "FORBIDDEN", "path": path(json!([3, "reviewRequests", "nodes", 0]))},
                {"message": "lost", "path": path(json!([2]))},
            ]),
        )
        .unwrap();
        let seen: Vec<String> = page
            .pulls
            .iter()
            .map(|pull| match pull {
                Pull::Whole(whole) => whole.document.key.clone(),
                Pull::Partial(partial, says) => format!("{} {says}", partial.document.key),
                Pull::Absent(says) => says.clone(),
            })
            .collect();
        assert_eq!(seen, ["O/r#4", "O/r#3 timeout", "lost", "O/r#2", "it is null"]);
        assert_eq!((page.total, page.next.as_deref(), page.repository.status), (9, Some("c"), Some(Status::Archived)));
    }

    #[test]
    fn a_page_that_is_not_whole_is_none() {
        let too_much = |page| matches!(page, Err(Unanswered::TooMuch(_)));
        assert!(too_much(answered(json!([]), more(), json!([{"message": "somewhere"}]))));
        assert!(too_much(answered(Value::Null, more(), json!([]))));
        assert!(too_much(answered(json!([]), json!({"hasNextPage": true, "endCursor": null}), json!([]))));
        assert!(answered(json!([]), json!({"hasNextPage": false, "endCursor": null}), json!([])).is_ok());
    }
}

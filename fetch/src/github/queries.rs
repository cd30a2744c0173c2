//! The queries that are asked, typed by GitHub's schema, and what all their answers have in common.
//!
//! The texts lie in `fetch/graphql`, beside the part of the schema that they use.

use graphql_client::GraphQLQuery;
use serde::{Deserialize, Deserializer, de};

/// A moment, as GitHub writes it.
type DateTime = jiff::Timestamp;
/// What stays of a thing when its name changes.
type Id = String;
/// The name of a commit.
type GitObjectId = String;
/// REST uses the same words.
type CommentAuthorAssociation = String;

/// A page of pull requests.
#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "graphql/schema.graphql",
    query_path = "graphql/pull_requests.graphql",
    response_derives = "Debug",
    variables_derives = "Debug, Clone",
    normalization = "rust",
    fragments_other_variant = "true",
    extern_enums("CommentAuthorAssociation", "PatchStatus", "PullRequestState")
)]
pub(super) struct PullRequests;

/// More files of one pull request.
#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "graphql/schema.graphql",
    query_path = "graphql/changed_files.graphql",
    response_derives = "Debug",
    variables_derives = "Debug, Clone",
    normalization = "rust",
    fragments_other_variant = "true",
    extern_enums("PatchStatus")
)]
pub(super) struct ChangedFiles;

/// Numbers and times of a page of pull requests.
#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "graphql/schema.graphql",
    query_path = "graphql/outline.graphql",
    response_derives = "Debug",
    variables_derives = "Debug, Clone",
    normalization = "rust"
)]
pub(super) struct Outline;

/// A page of an owner's repositories.
#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "graphql/schema.graphql",
    query_path = "graphql/owned_repositories.graphql",
    response_derives = "Debug",
    variables_derives = "Debug, Clone",
    normalization = "rust",
    fragments_other_variant = "true"
)]
pub(super) struct OwnedRepositories;

/// The present name of a repository.
#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "graphql/schema.graphql",
    query_path = "graphql/repository_by_id.graphql",
    response_derives = "Debug",
    variables_derives = "Debug, Clone",
    normalization = "rust",
    fragments_other_variant = "true"
)]
pub(super) struct RepositoryById;

/// A number of 63 bits, which GitHub writes as a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BigInt(pub(super) u64);

impl<'de> Deserialize<'de> for BigInt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(i64),
            Text(String),
        }
        let number = match Written::deserialize(deserializer)? {
            Written::Number(number) => number,
            Written::Text(text) => text.parse().map_err(de::Error::custom)?,
        };
        u64::try_from(number).map(Self).map_err(de::Error::custom)
    }
}

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum PatchStatus {
    Added,
    Changed,
    Copied,
    Deleted,
    Modified,
    Renamed,
    /// A word that the schema does not have yet.
    #[serde(other)]
    New,
}

/// Whether a pull request is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum PullRequestState {
    Open,
    Closed,
    Merged,
}

/// The budget of points as of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RateLimit {
    /// Points that the answer cost.
    pub(super) cost: u64,
    /// Points of a whole window.
    pub(super) limit: u64,
    /// Points left of it.
    pub(super) remaining: u64,
    /// When the next window begins, by GitHub's clock.
    pub(super) reset_at: jiff::Timestamp,
}

/// A query whose answer tells what it cost.
pub(super) trait Query: GraphQLQuery<Variables: Send + Sync, ResponseData: Send> {
    /// What the answer cost; nothing where GitHub counts no points, as an Enterprise Server may.
    fn rate_limit(data: &Self::ResponseData) -> Option<RateLimit>;

    /// Whether the answer lacks the thing that was asked for.
    fn is_hollow(data: &Self::ResponseData) -> bool;
}

macro_rules! query {
    ($query:ident, $module:ident, $root:ident) => {
        impl Query for $query {
            fn rate_limit(data: &$module::ResponseData) -> Option<RateLimit> {
                let $module::Budget { cost, limit, remaining, reset_at } = data.rate_limit.as_ref()?;
                let [cost, limit, remaining] = [cost, limit, remaining].map(|points| (*points).max(0).unsigned_abs());
                Some(RateLimit { cost, limit, remaining, reset_at: *reset_at })
            }

            fn is_hollow(data: &$module::ResponseData) -> bool {
                data.$root.is_none()
            }
        }
    };
}

query!(PullRequests, pull_requests, repository);
query!(ChangedFiles, changed_files, node);
query!(Outline, outline, repository);
query!(OwnedRepositories, owned_repositories, repository_owner);
query!(RepositoryById, repository_by_id, node);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_query_is_sent_with_its_name_and_variables() {
        let variables =
            pull_requests::Variables { owner: "o".into(), name: "r".into(), first: 100, after: None, files: true };
        let body = serde_json::to_value(PullRequests::build_query(variables)).unwrap();
        assert_eq!(body["operationName"], "PullRequests");
        assert_eq!(body["variables"], json!({"owner": "o", "name": "r", "first": 100, "after": null, "files": true}));
        assert!(body["query"].as_str().unwrap().contains("field: UPDATED_AT, direction: DESC"));
    }

    #[test]
    fn a_wide_number_is_text_or_number() {
        let read = |value| serde_json::from_value::<BigInt>(value).ok().map(|number| number.0);
        assert_eq!(read(json!("9007199254740993")), Some(9_007_199_254_740_993));
        assert_eq!(read(json!(7)), Some(7));
        for none in [json!("x"), json!("-1"), json!("18446744073709551615"), json!(null)] {
            assert_eq!(read(none), None);
        }
    }

    #[test]
    fn an_answer_tells_its_cost_or_that_nobody_counts() {
        let read = |value| serde_json::from_value::<repository_by_id::ResponseData>(value).unwrap();
        let counted = read(json!({
            "rateLimit": {"cost": 1, "limit": 5000, "remaining": -1, "resetAt": "2026-01-01T00:00:00Z"},
            "node": {"__typename": "Gist"},
        }));
        let rate = RepositoryById::rate_limit(&counted).unwrap();
        assert_eq!((rate.cost, rate.limit, rate.remaining), (1, 5_000, 0));
        assert!(!RepositoryById::is_hollow(&counted));
        let free = read(json!({"rateLimit": null, "node": null}));
        assert!(RepositoryById::rate_limit(&free).is_none() && RepositoryById::is_hollow(&free));
    }
}

//! What a judgement did without: fields of the pull request, and features that are unknown for want of them or of a history.

use prowl_features::{FEATURES, Feature, FeatureVector};
use prowl_model::Column;

/// What is lacking, of that which the model reads.
pub(crate) struct Lacking {
    /// Fields, by GitHub's names.
    pub(crate) fields: Vec<&'static str>,
    /// Number of features that are unknown for want of these, or of the history.
    pub(crate) features: usize,
}

impl Lacking {
    /// What a vector lacks; `columns` are the model's.
    pub(crate) fn of(vector: &FeatureVector, columns: &[Column], is_history_known: bool) -> Self {
        let unknown = FEATURES.iter().zip(columns).zip(&vector.values);
        let unknown = unknown.filter(|((_, column), value)| column.known && value.is_nan());
        let unknown: Vec<&Feature> = unknown.map(|((feature, _), _)| feature).collect();
        let mut fields = vector.missing_fields();
        fields.retain(|field| unknown.iter().any(|feature| is_read_from(feature.source, field)));
        let is_caused = |feature: &&&Feature| {
            let of_history = !is_history_known && feature.source.ends_with("history");
            of_history || fields.iter().any(|field| is_read_from(feature.source, field))
        };
        let features = unknown.iter().filter(is_caused).count();
        Self { fields, features }
    }
}

/// Whether a feature needs a field, by its source: `additions, deletions`, a part such as `files.status`, or the history of
/// whoever, or whatever, the field names.
fn is_read_from(source: &str, field: &str) -> bool {
    let of_history = match field {
        "user" => source.starts_with("author's"),
        "files" => source.contains("files'") || source.contains("directories'"),
        _ => false,
    };
    let is_part = |name: &str| name.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    of_history || source.split(", ").any(is_part)
}

#[cfg(test)]
mod tests {
    use prowl_features::{Facts, Ledger, PullRequest};

    use super::*;

    /// A model that has seen all but the features of this group.
    fn columns_but(group: &str) -> Vec<Column> {
        let known = |feature: &Feature| serde_json::to_value(feature.group).unwrap() != group;
        FEATURES.iter().map(|feature| Column { known: known(feature), ..Column::UNKNOWN }).collect()
    }

    fn lacking(document: &str, columns: &[Column], is_history_known: bool) -> (Vec<&'static str>, usize) {
        let facts = Facts::of(&PullRequest::from_json(document.as_bytes()).unwrap());
        let vector = facts.vector(&Ledger::default().history(&facts));
        let Lacking { fields, features } = Lacking::of(&vector, columns, is_history_known);
        (fields, features)
    }

    const DOCUMENT: &str = r#"{"number": 1, "created_at": "2024-05-01T00:00:00Z", "title": "fix: it", "body": "It.",
        "user": {"login": "ada", "type": "User"}, "author_association": "MEMBER", "commits": 1,
        "base": {"ref": "main", "repo": {"full_name": "o/n"}}, "head": {"repo": {"full_name": "o/n"}},
        "additions": 1, "deletions": 1, "changed_files": 1,
        "files": [{"filename": "a.rs", "status": "modified", "additions": 1, "deletions": 1}]}"#;

    #[test]
    fn what_the_model_does_not_read_is_not_lacking() {
        assert_eq!(lacking(DOCUMENT, &columns_but("process"), true), (vec![], 0));
        let (fields, features) = lacking(DOCUMENT, &columns_but("none"), true);
        assert_eq!((fields, features), (vec!["draft", "labels", "assignees", "requested_reviewers"], 4));
    }

    #[test]
    fn only_what_the_fields_or_the_history_cause_is_counted() {
        let columns = columns_but("process");
        let without_commits = DOCUMENT.replace("\"commits\": 1,", "");
        assert_eq!(lacking(&without_commits, &columns, true), (vec!["commits"], 1));
        let (fields, features) = lacking(DOCUMENT, &columns, false);
        assert!(fields.is_empty() && features > 10, "{fields:?} {features}");
    }
}

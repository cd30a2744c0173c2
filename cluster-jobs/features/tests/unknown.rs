//! Unknown is not zero: what each feature makes of a missing source is what the catalog says.

mod common;

use common::{MONDAY, bare, by};
use prowl_features::{ChangedFile, FEATURES, History, Missing, PullRequest, RepositoryHistory, features};

#[test]
fn each_feature_keeps_to_its_policy_when_nothing_is_known() {
    let vector = features(&bare(1, MONDAY), &History::default());
    for (feature, value) in FEATURES.iter().zip(vector.values) {
        match feature.missing {
            Missing::Never => assert!(value.is_finite(), "{}: {value}", feature.name),
            Missing::Unknown => assert!(value.is_nan(), "{}: {value}", feature.name),
            Missing::Zero => assert_eq!(value.to_bits(), 0f32.to_bits(), "{}: {value}", feature.name),
        }
    }
    assert!(vector.tokens.is_empty());
}

#[test]
fn nothing_is_unknown_when_everything_is_known() {
    let mut earlier: Vec<PullRequest<'_>> = (1..=60)
        .map(|number| PullRequest {
            merged_at: Some(MONDAY + 1000),
            reverted_at: (number == 60).then_some(MONDAY + 2000),
            ..by("ada", number, MONDAY + number as i64, &["src/lib.rs"])
        })
        .collect();
    earlier.push(PullRequest {
        body: Some("Because.".into()),
        author_association: Some("MEMBER".into()),
        labels: Some(Vec::new()),
        assignees: Some(0),
        requested_reviewers: Some(0),
        draft: Some(true),
        commits: Some(1),
        base_ref: Some("main".into()),
        from_fork: Some(true),
        ..by("ada", 61, MONDAY + 5000, &["src/lib.rs"])
    });
    let (answers, _) = common::batch(&earlier);
    let vector = &common::numbered(&answers, 61).vector;
    for (feature, value) in FEATURES.iter().zip(vector.values) {
        assert!(value.is_finite(), "{}: {value}", feature.name);
    }
}

#[test]
fn unknown_has_one_pattern_of_bits() {
    let vector = features(&bare(1, MONDAY), &History::default());
    for value in vector.values.iter().filter(|value| value.is_nan()) {
        assert_eq!(value.to_bits(), f32::NAN.to_bits());
    }
}

#[test]
fn an_empty_list_of_files_is_known_to_be_empty() {
    let none = PullRequest { files: Some(Vec::new()), ..bare(1, MONDAY) };
    let vector = features(&none, &History::default());
    let value = |name| common::value(&vector, name);
    assert_eq!((value("changed_files"), value("directories")), (0.0, 0.0));
    let history =
        History { repository: RepositoryHistory { opened: 1, ..RepositoryHistory::default() }, ..History::default() };
    let vector = features(&PullRequest { files: Some(Vec::new()), ..by("ada", 1, MONDAY, &[]) }, &history);
    for name in [
        "share_source",
        "largest_file_share",
        "churn_per_file",
        "files_per_directory",
        "file_merges_max",
        "file_merges_mean",
        "file_days_min",
        "files_without_history",
        "author_knows_files",
    ] {
        assert!(common::value(&vector, name).is_nan(), "{name} of no file at all");
    }
}

#[test]
fn a_source_that_never_tells_the_status_says_nothing_of_added_files() {
    let without = |status: Option<&str>| {
        let file = ChangedFile { status: status.map(Into::into), ..common::file("a.rs", 1, 1) };
        features(&PullRequest { files: Some(vec![file]), ..bare(1, MONDAY) }, &History::default())
    };
    for name in ["files_added", "files_removed", "files_renamed"] {
        assert!(common::value(&without(None), name).is_nan(), "{name}");
        assert_eq!(common::value(&without(Some("modified")), name).to_bits(), 0f32.to_bits(), "{name}");
    }
}

#[test]
fn an_author_without_a_past_is_new_and_a_missing_one_is_unknown() {
    let history =
        History { repository: RepositoryHistory { opened: 1, ..RepositoryHistory::default() }, ..History::default() };
    let known = features(&by("ada", 2, MONDAY, &["a.rs"]), &history);
    let missing = features(&PullRequest { user: None, ..by("ada", 2, MONDAY, &["a.rs"]) }, &history);
    for (name, expected) in [("author_is_new", 1.0), ("author_opened", 0.0)] {
        assert_eq!(common::value(&known, name).to_bits(), f32::to_bits(expected), "{name}");
        assert!(common::value(&missing, name).is_nan(), "{name}");
    }
    for name in ["author_merged_share", "author_reverted_share", "author_days_since_last"] {
        assert!(common::value(&known, name).is_nan(), "{name}");
    }
}

#[test]
fn the_first_pull_request_known_of_a_repository_has_no_history() {
    let (answers, _) = common::batch(&[by("ada", 1, MONDAY, &["a.rs"]), by("ben", 2, MONDAY + 1, &["a.rs"])]);
    let first = &common::numbered(&answers, 1).vector;
    let second = &common::numbered(&answers, 2).vector;
    for (name, expected) in [
        ("author_is_new", 1.0),
        ("author_opened", 0.0),
        ("author_knows_files", 0.0),
        ("file_merges_max", 0.0),
        ("files_without_history", 1.0),
    ] {
        assert!(common::value(first, name).is_nan(), "{name}: whether there was any is not known");
        assert_eq!(common::value(second, name).to_bits(), f32::to_bits(expected), "{name}");
    }
    assert_eq!(common::value(first, "repository_is_young").to_bits(), 1f32.to_bits());
}

#[test]
fn missing_fields_are_named_once_and_by_their_whole() {
    let missing = |pull_request: &PullRequest<'_>| features(pull_request, &History::default()).missing_fields();
    let nothing = missing(&bare(1, MONDAY));
    for field in ["additions", "changed_files", "files", "author_association", "user", "head.repo", "title", "commits"]
    {
        assert_eq!(nothing.iter().filter(|name| **name == field).count(), 1, "{field} in {nothing:?}");
    }
    assert!(!nothing.contains(&"files.status") && !nothing.contains(&"body"), "{nothing:?}");

    let some = missing(&by("ada", 1, MONDAY, &["a.rs"]));
    for field in ["files", "files.status", "user", "title", "additions"] {
        assert!(!some.contains(&field), "{field} in {some:?}");
    }
    let file = ChangedFile { status: None, ..common::file("a.rs", 1, 1) };
    let without_status = missing(&PullRequest { files: Some(vec![file]), ..by("ada", 1, MONDAY, &[]) });
    assert!(without_status.contains(&"files.status") && !without_status.contains(&"files"), "{without_status:?}");
    // Of no file at all most shares are unknown; the list is known all the same.
    let of_no_file = missing(&by("ada", 1, MONDAY, &[]));
    assert!(!of_no_file.contains(&"files") && !of_no_file.contains(&"files.status"), "{of_no_file:?}");
}

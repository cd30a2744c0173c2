//! One document in GitHub's form, in relaxed and in canonical extended JSON: the same pull request.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{document, rest};
use prowl_features::{ChangedFile, PullRequest, User};
use serde_json::{Value, json};

fn read(document: &Value) -> PullRequest<'static> {
    PullRequest::from_json(document.to_string().leak().as_bytes()).unwrap()
}

fn expected() -> PullRequest<'static> {
    PullRequest {
        repository: "prowl/den".into(),
        number: 41,
        created_at: 1_704_110_400_000,
        updated_at: Some(1_704_243_723_250),
        fetched_at: Some(1_706_745_600_000),
        merged_at: Some(1_704_153_600_000),
        reverted_at: None,
        merge_commit_sha: Some("0123456789abcdef0123456789abcdef01234567".into()),
        title: Some("Fix the parser".into()),
        body: Some("It crashed.\r\n\nCloses #7 – sorry 🦀".into()),
        user: Some(User { login: "ada".into(), kind: Some("User".into()) }),
        author_association: Some("MEMBER".into()),
        labels: Some(vec!["bug".into(), "parser".into()]),
        assignees: Some(1),
        requested_reviewers: Some(2),
        draft: Some(false),
        additions: Some(120),
        deletions: Some(0),
        changed_files: Some(2),
        commits: Some(3),
        base_ref: Some("main".into()),
        from_fork: Some(true),
        files: Some(vec![
            ChangedFile {
                filename: "src/parser.rs".into(),
                status: Some("modified".into()),
                additions: Some(100),
                deletions: Some(0),
            },
            ChangedFile {
                filename: "tests/parser.rs".into(),
                status: Some("added".into()),
                additions: Some(20),
                deletions: None,
            },
        ]),
    }
}

fn milliseconds(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

#[test]
fn rest_is_read() {
    assert_eq!(read(&rest()), expected());
}

#[test]
fn relaxed_extended_json_is_read() {
    assert_eq!(read(&document(|value| json!(value), |text| json!({"$date": text}))), expected());
}

#[test]
fn canonical_extended_json_is_read() {
    let time = |text: &str| json!({"$date": {"$numberLong": milliseconds(text).to_string()}});
    for number in ["$numberInt", "$numberLong", "$numberDouble"] {
        assert_eq!(read(&document(|value| json!({number: value.to_string()}), time)), expected(), "{number}");
    }
}

#[test]
fn whole_numbers_may_be_doubles_and_dates_bare_milliseconds() {
    let time = |text: &str| json!({"$date": milliseconds(text)});
    assert_eq!(read(&document(|value| json!(value as f64), time)), expected());
    assert_eq!(read(&document(|value| json!({"$numberDouble": format!("{value}.0")}), time)), expected());
}

#[test]
fn a_time_may_have_any_fraction_and_offset() {
    for (text, expected) in [
        ("2024-01-01T12:00:00.5Z", 1_704_110_400_500),
        ("2024-01-01T12:00:00.500Z", 1_704_110_400_500),
        ("2024-01-01T12:00:00.500999999Z", 1_704_110_400_500),
        ("2024-01-01T13:30:00+01:30", 1_704_110_400_000),
        ("2024-01-01T12:00:00.000+0000", 1_704_110_400_000),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000),
    ] {
        let mut given = rest();
        for form in [json!(text), json!({"$date": text})] {
            given["created_at"] = form;
            assert_eq!(read(&given).created_at, expected, "{text}");
        }
    }
    let mut before_1970 = rest();
    before_1970["created_at"] = json!({"$date": {"$numberLong": "-1500"}});
    assert_eq!(read(&before_1970).created_at, -1500);
}

#[test]
fn all_but_identity_and_creation_may_be_missing_or_null() {
    let bare = json!({
        "number": 41, "created_at": "2024-01-01T12:00:00Z", "base": {"repo": {"full_name": "prowl/den"}},
    });
    let expected = PullRequest {
        repository: "prowl/den".into(),
        number: 41,
        created_at: 1_704_110_400_000,
        ..PullRequest::default()
    };
    assert_eq!(read(&bare), expected);
    let mut nulls = document(|_| Value::Null, |_| Value::Null);
    for (name, value) in nulls.as_object_mut().unwrap() {
        *value = if name == "base" { json!({"ref": null, "repo": {"full_name": "prowl/den"}}) } else { Value::Null };
    }
    nulls["number"] = json!(41);
    nulls["created_at"] = json!("2024-01-01T12:00:00Z");
    assert_eq!(read(&nulls), expected);
}

#[test]
fn a_fork_is_known_by_its_repository_and_only_by_that() {
    for (head, expected) in [
        (json!({"ref": "x", "repo": {"full_name": "prowl/den"}}), Some(false)),
        (json!({"ref": "x", "repo": {"full_name": "Prowl/Den"}}), Some(false)),
        (json!({"ref": "x", "repo": {"full_name": "ada/den"}}), Some(true)),
        // A deleted fork is null at GitHub.
        (json!({"ref": "x", "repo": null}), Some(true)),
        // A source that does not say is not a fork.
        (json!({"ref": "x"}), None),
        (json!({"ref": "x", "repo": {}}), None),
        (json!({"ref": "x", "repo": {"full_name": null, "fork": false}}), None),
        // The name goes before the flag: the repository itself may be a fork of another.
        (json!({"ref": "x", "repo": {"full_name": "prowl/den", "fork": true}}), Some(false)),
        (json!({"ref": "x", "repo": {"full_name": null, "fork": true}}), Some(true)),
        (Value::Null, None),
    ] {
        let mut given = rest();
        given["head"] = head.clone();
        assert_eq!(read(&given).from_fork, expected, "{head}");
    }
}

#[test]
fn a_renamed_file_has_its_new_name() {
    for (written, expected) in [
        ("src/a.rs", "src/a.rs"),
        ("a.rs => b.rs", "b.rs"),
        ("src/{a.rs => b.rs}", "src/b.rs"),
        ("src/{old => new}/a.rs", "src/new/a.rs"),
        ("src/{ => new}/a.rs", "src/new/a.rs"),
        ("src/{old => }/a.rs", "src/a.rs"),
        ("{old => new}/a.rs", "new/a.rs"),
        ("{ => new}/a.rs", "new/a.rs"),
        ("{old => }/a.rs", "a.rs"),
        ("{{cookiecutter.name}}/{a => b}/c.rs", "{{cookiecutter.name}}/b/c.rs"),
        ("{{{cookiecutter.name}} => new}/c.rs", "new/c.rs"),
        ("a/{b => {{cookiecutter.name}}}/c.rs", "a/{{cookiecutter.name}}/c.rs"),
        ("", ""),
        ("a =>", "a =>"),
        ("{ => }", ""),
        ("} => {", "{"),
    ] {
        let mut given = rest();
        given["files"] = json!([{"filename": written}]);
        assert_eq!(read(&given).files.unwrap()[0].filename, expected, "{written}");
    }
}

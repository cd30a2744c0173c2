//! A document that cannot be used: which field is wrong, and what is wrong with it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::rest;
use prowl_features::{DocumentError, EARLIEST, LATEST, PullRequest};
use serde_json::{Value, json};

fn error(text: impl AsRef<[u8]>) -> DocumentError {
    PullRequest::from_json(text.as_ref()).unwrap_err()
}

/// The error for a good document with `value` in the place of `pointer`.
fn error_with(pointer: &str, value: Value) -> DocumentError {
    let mut document = rest();
    *document.pointer_mut(pointer).unwrap() = value;
    error(document.to_string())
}

#[test]
fn a_wrong_type_names_its_field() {
    for (pointer, wrong, field) in [
        ("/number", json!("41"), "number"),
        ("/number", json!(true), "number"),
        ("/number", json!([41]), "number"),
        ("/created_at", json!(1_704_110_400), "created_at"),
        ("/created_at", json!("yesterday"), "created_at"),
        ("/created_at", json!("2024-01-01"), "created_at"),
        ("/created_at", json!("2024-01-01T12:00:00"), "created_at"),
        ("/updated_at", json!({"$date": {"$numberInt": "5"}}), "updated_at"),
        ("/merged_at", json!({"$date": 1.5}), "merged_at"),
        ("/fetched_at", json!({"$timestamp": {"t": 1, "i": 1}}), "fetched_at"),
        ("/reverted_at", json!({}), "reverted_at"),
        ("/merge_commit_sha", json!(5), "merge_commit_sha"),
        ("/title", json!({"text": "x"}), "title"),
        ("/body", json!(["x"]), "body"),
        ("/user", json!("ada"), "user"),
        ("/user/login", json!(null), "user.login"),
        ("/user/type", json!(1), "user.type"),
        ("/author_association", json!(false), "author_association"),
        ("/labels", json!({"name": "bug"}), "labels"),
        ("/labels/1", json!("bug"), "labels[1]"),
        ("/labels/1/name", json!(5), "labels[1].name"),
        ("/assignees", json!(2), "assignees"),
        ("/requested_reviewers", json!("ben"), "requested_reviewers"),
        ("/draft", json!("no"), "draft"),
        ("/additions", json!(1.5), "additions"),
        ("/deletions", json!({"$numberLong": 5}), "deletions"),
        ("/changed_files", json!({"$numberInt": "many"}), "changed_files"),
        ("/commits", json!({"$numberDecimal": "1"}), "commits"),
        ("/commits", json!({"$numberInt": "1", "more": 1}), "commits"),
        ("/base", json!("main"), "base"),
        ("/base/ref", json!(1), "base.ref"),
        ("/base/repo", json!("prowl/den"), "base.repo"),
        ("/base/repo/full_name", json!(7), "base.repo.full_name"),
        ("/head/repo", json!(["ada/den"]), "head.repo"),
        ("/head/repo/fork", json!("yes"), "head.repo.fork"),
        ("/files", json!({"src/lib.rs": 1}), "files"),
        ("/files/1", json!("src/lib.rs"), "files[1]"),
        ("/files/1/filename", json!(null), "files[1].filename"),
        ("/files/1/status", json!(1), "files[1].status"),
        ("/files/1/additions", json!("20"), "files[1].additions"),
    ] {
        let error = error_with(pointer, wrong.clone());
        assert!(
            error.field == field
                || error.field.starts_with(&format!("{field}."))
                || error.field == format!("{field}[0]"),
            "{pointer} = {wrong}: field `{}`, {error}",
            error.field
        );
        let message = error.to_string();
        assert!(message.starts_with("field `") && !message.contains("struct "), "{message}");
    }
}

#[test]
fn a_count_is_whole_not_negative_and_in_range() {
    for wrong in [
        json!(-1),
        json!(0.5),
        json!(-0.5),
        json!(1e300),
        json!(18_446_744_073_709_551_615_u64 as f64),
        json!({"$numberInt": "-1"}),
        json!({"$numberLong": "-9223372036854775808"}),
        json!({"$numberLong": "9223372036854775808"}),
        json!({"$numberDouble": "NaN"}),
        json!({"$numberDouble": "Infinity"}),
        json!({"$numberDouble": "-Infinity"}),
        json!({"$numberDouble": "2.5"}),
    ] {
        let error = error_with("/additions", wrong.clone());
        assert_eq!(error.field, "additions", "{wrong}: {error}");
    }
}

#[test]
fn a_time_is_within_the_calendar() {
    for wrong in [
        json!("10000-01-01T00:00:00Z"),
        json!("-005000-01-01T00:00:00Z"),
        json!("0000-12-31T23:59:59.999Z"),
        json!({"$date": EARLIEST - 1}),
        json!({"$date": {"$numberLong": (EARLIEST - 1).to_string()}}),
        json!("+010000-01-01T00:00:00Z"),
        json!("2023-02-29T00:00:00Z"),
        json!({"$date": "10000-01-01T00:00:00Z"}),
        json!({"$date": {"$numberLong": (LATEST + 1).to_string()}}),
        json!({"$date": {"$numberLong": "9223372036854775807"}}),
        json!({"$date": {"$numberLong": "-9223372036854775808"}}),
        json!({"$date": i64::MAX}),
        json!({"$date": u64::MAX}),
    ] {
        let error = error_with("/created_at", wrong.clone());
        assert!(error.field.starts_with("created_at"), "{wrong}: {error}");
    }
    for (edge, expected) in [
        (json!("0001-01-01T00:00:00Z"), EARLIEST),
        (json!({"$date": {"$numberLong": EARLIEST.to_string()}}), EARLIEST),
        (json!({"$date": {"$numberLong": LATEST.to_string()}}), LATEST),
        // The last that the parser of text knows, so that any offset fits.
        (json!("9999-12-30T21:59:59.999Z"), LATEST - 26 * common::HOUR),
    ] {
        let mut document = rest();
        document["created_at"] = edge.clone();
        let read = PullRequest::from_json(document.to_string().as_bytes()).map(|read| read.created_at);
        assert_eq!(read, Ok(expected), "{edge}");
    }
}

#[test]
fn messages_tell_the_kind_first_and_quote_little() {
    let long = "x".repeat(5_000_000);
    for (pointer, wrong, kind) in [
        ("/additions", json!(long), "expected a whole number that is not negative, found string \"xxx"),
        ("/additions", json!({"$numberLong": long}), "expected a number in range, found `xxx"),
        ("/additions", json!({long.as_str(): "1"}), "expected a whole number, found an object with `xxx"),
        ("/created_at", json!(long), "expected a time of the years 1 to 9999, such as"),
        ("/created_at", json!({"$date": long}), "expected a date of the years 1 to 9999, as text or"),
        ("/created_at", json!({long.as_str(): 1}), "expected a "),
        ("/draft", json!(long), "expected a boolean, found string \"xxx"),
        ("/user", json!(long), "expected a JSON object, found string \"xxx"),
        ("/base/repo/full_name", json!(format!("{long}\n")), "expected a name without control characters, found \"xxx"),
    ] {
        let error = error_with(pointer, wrong);
        assert!(error.message.starts_with(kind), "{}", &error.message[..200.min(error.message.len())]);
        assert!(error.to_string().chars().count() < 300, "{} of {pointer}", error.to_string().len());
    }
    assert_eq!(error_with("/title", json!(5)).message, "expected a string, found integer `5`");
}

#[test]
fn identity_and_creation_must_be_there() {
    for pointer in ["/base/repo/full_name", "/number", "/created_at"] {
        let error = error_with(pointer, Value::Null);
        assert_eq!(error.field, pointer[1..].replace('/', "."));
        assert!(error.message.starts_with("missing"), "{error}");
    }
    for pointer in ["/base", "/base/repo"] {
        assert_eq!(error_with(pointer, Value::Null).field, "base.repo.full_name");
    }
    assert_eq!(error_with("/base/repo/full_name", json!("")).field, "base.repo.full_name");
    let all = error("{}");
    let further: Vec<_> = all.further.iter().map(|error| error.field.as_str()).collect();
    assert_eq!((all.field.as_str(), further), ("base.repo.full_name", vec!["number", "created_at"]));
}

#[test]
fn numbers_start_at_one() {
    for wrong in [json!(0), json!(i64::MAX as u64 + 1)] {
        let error = error_with("/number", wrong);
        assert_eq!(error.field, "number");
        assert!(error.message.starts_with("expected a number in range, from 1, found "), "{error}");
    }
}

#[test]
fn text_that_is_no_document_says_so() {
    for (text, says) in [
        ("", "empty"),
        (" \r\n\t", "empty"),
        ("pull request", "not JSON"),
        ("{", "not JSON"),
        ("{\"number\": 1", "not JSON"),
        ("{\"number\": 1,}", "not JSON"),
        ("{\"additions\": NaN}", "not JSON"),
        ("{\"additions\": Infinity}", "not JSON"),
        ("{\"additions\": 1e999}", "not JSON"),
        ("{\"title\": \"\\ud800\"}", "not JSON"),
        ("null", "a JSON object"),
        ("41", "a JSON object"),
        ("\"x\"", "a JSON object"),
        ("[]", "a JSON object"),
    ] {
        let error = error(text);
        assert_eq!(error.field, "", "{text}");
        assert!(error.message.contains(says), "{text}: {error}");
        assert_eq!(error.to_string(), error.message);
    }
    assert!(error([b'{', b'"', 0xFF, b'"', b':', b'1', b'}']).message.contains("not JSON"));
}

#[test]
fn text_after_the_document_is_refused() {
    let error = error(format!("{}{}", rest(), rest()));
    assert_eq!((error.field.as_str(), error.message.as_str()), ("", "not JSON: text goes on after the object"));
    assert!(PullRequest::from_json(format!(" {} \r\n", rest()).as_bytes()).is_ok(), "blanks may follow");
}

#[test]
fn a_field_twice_is_refused() {
    let error = error(r#"{"number": 1, "number": 2}"#);
    assert!(error.message.contains("duplicate field `number`"), "{error}");
}

#[test]
fn deep_nesting_neither_overflows_nor_matters_where_it_is_not_read() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let good = rest().to_string();
    let beside = good.replacen('{', &format!("{{\"milestone\":{},", deep(1_000_000)), 1);
    assert!(PullRequest::from_json(beside.as_bytes()).is_ok());
    for field in ["number", "created_at", "title", "user", "labels", "files", "base", "merged_at"] {
        let text = format!("{{\"{field}\":{}}}", deep(1_000_000));
        assert!(error(text).to_string().contains(field));
    }
    let dates = format!("{{\"created_at\":{}1{}}}", "{\"$date\":".repeat(1_000_000), "}".repeat(1_000_000));
    assert!(error(dates).field.starts_with("created_at"));
    assert!(error("[".repeat(1_000_000)).message.len() < 200);
}

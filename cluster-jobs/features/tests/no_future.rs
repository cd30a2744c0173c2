//! What becomes known only later is no input, and what declares the category is no token.

mod common;

use common::{DAY, MONDAY, by, differing, owned};
use prowl_features::{FeatureVector, History, PullRequest, features};

fn change() -> PullRequest<'static> {
    PullRequest {
        title: Some("Accept tabs".into()),
        body: Some("As asked.".into()),
        author_association: Some("NONE".into()),
        labels: Some(vec!["parser".into()]),
        ..by("ada", 1, MONDAY, &["src/parser.rs"])
    }
}

fn vector(pull_request: &PullRequest<'_>) -> FeatureVector {
    features(pull_request, &History::default())
}

fn assert_same(one: &PullRequest<'_>, other: &PullRequest<'_>) {
    let (one, other) = (vector(one), vector(other));
    assert_eq!(differing(&one, &other), [""; 0]);
    assert_eq!(one.tokens, other.tokens);
}

#[test]
fn its_own_end_is_no_input() {
    let ended = PullRequest {
        merged_at: Some(MONDAY + DAY),
        reverted_at: Some(MONDAY + 2 * DAY),
        merge_commit_sha: Some(owned(common::sha(1))),
        updated_at: Some(MONDAY + 3 * DAY),
        fetched_at: Some(MONDAY + 4 * DAY),
        ..change()
    };
    assert_same(&change(), &ended);
}

#[test]
fn associations_that_a_merge_changes_are_one() {
    let as_a = |association: &str| PullRequest { author_association: Some(owned(association)), ..change() };
    for association in ["CONTRIBUTOR", "FIRST_TIME_CONTRIBUTOR", "FIRST_TIMER", "MANNEQUIN"] {
        assert_same(&change(), &as_a(association));
    }
    let (outsider, insider) = (vector(&change()), vector(&as_a("MEMBER")));
    assert_eq!(differing(&outsider, &insider), ["author_is_insider"]);
    assert_ne!(outsider.tokens, insider.tokens);
    for association in ["OWNER", "COLLABORATOR"] {
        assert_same(&as_a("MEMBER"), &as_a(association));
    }
}

#[test]
fn the_declared_category_is_in_no_feature_and_no_token() {
    for title in ["feat: Accept tabs", "fix(parser)!: Accept tabs", "docs: Accept tabs"] {
        assert_same(&change(), &PullRequest { title: Some(title.into()), ..change() });
    }
    let labelled = |label: &str| PullRequest { labels: Some(vec![owned(label), "parser".into()]), ..change() };
    let (bug, docs) = (vector(&labelled("bug")), vector(&labelled("documentation")));
    assert_eq!(differing(&bug, &docs), [""; 0]);
    assert_eq!(bug.tokens, docs.tokens);
    assert_eq!(bug.tokens, vector(&change()).tokens);
}

#[test]
fn tokens_ascend_and_come_once() {
    let wordy = PullRequest { body: Some("again and again, and AGAIN".into()), ..change() };
    let tokens = vector(&wordy).tokens;
    assert!(tokens.windows(2).all(|pair| pair[0] < pair[1]), "{tokens:?}");
    // Title 2 and their pair, body "again" and "and", one label, one association.
    assert_eq!(tokens.len(), 3 + 2 + 1 + 1);
}

#[test]
fn words_beyond_the_first_four_hundred_of_a_description_leave_no_token() {
    let words: Vec<String> = (0..401).map(|number| format!("w{number}")).collect();
    let described = |words: &[String]| vector(&PullRequest { body: Some(owned(words.join(" "))), ..change() }).tokens;
    assert_eq!(described(&words), described(&words[..400]));
    assert_ne!(described(&words[..400]), described(&words[..399]));
}

#[test]
fn a_word_means_something_else_in_another_place() {
    let titled = PullRequest { title: Some("parser".into()), body: None, labels: None, ..change() };
    let described = PullRequest { title: None, body: Some("parser".into()), labels: None, ..change() };
    let labelled = PullRequest { title: None, body: None, labels: Some(vec!["parser".into()]), ..change() };
    let tokens = [titled, described, labelled].map(|pull_request| vector(&pull_request).tokens);
    assert_ne!(tokens[0], tokens[1]);
    assert_ne!(tokens[1], tokens[2]);
    assert_ne!(tokens[0], tokens[2]);
}

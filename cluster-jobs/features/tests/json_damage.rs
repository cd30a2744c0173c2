//! Whatever happens to the text of a document, reading it gives an answer or an error and never panics.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Dice, document, rest};
use prowl_features::{Facts, History, PullRequest};
use serde_json::json;

/// Reads and, where that succeeds, goes all the way to the features.
fn through(text: &[u8]) -> bool {
    let Ok(pull_request) = PullRequest::from_json(text) else { return false };
    let facts = Facts::of(&pull_request);
    let vector = facts.vector(&History::default());
    assert!(vector.values.iter().all(|value| !value.is_infinite()));
    true
}

/// A document in GitHub's form and in canonical extended JSON.
fn documents() -> [Vec<u8>; 2] {
    let canonical = document(
        |value| json!({"$numberInt": value.to_string()}),
        |text| json!({"$date": {"$numberLong": text.parse::<jiff::Timestamp>().unwrap().as_millisecond().to_string()}}),
    );
    [rest().to_string().into_bytes(), canonical.to_string().into_bytes()]
}

#[test]
fn a_cut_document_is_an_error() {
    for text in documents() {
        assert!(through(&text));
        for end in 0..text.len() {
            assert!(!through(&text[..end]), "cut at {end}");
        }
    }
}

#[test]
fn a_flipped_byte_never_panics() {
    let mut dice = Dice(11);
    for text in documents() {
        let mut survivors = 0;
        for at in 0..text.len() {
            let original = text[at];
            let mut damaged = text.clone();
            // Each bit, a few bytes that mean something in JSON, and any byte.
            let flips = (0..8).map(|bit| original ^ (1 << bit));
            for byte in flips.chain(*b"\"\\{}[],:0-e\x00\xFF").chain([dice.next() as u8]) {
                damaged[at] = byte;
                survivors += usize::from(through(&damaged));
            }
        }
        assert!(survivors > 1000, "most of a document is text, which may be any: {survivors}");
    }
}

#[test]
fn pieces_put_together_anew_never_panic() {
    let mut dice = Dice(12);
    for text in documents() {
        for _ in 0..5_000 {
            let mut mixed = text.clone();
            for _ in 0..=dice.below(3) {
                let mut cut = || dice.below(mixed.len() as u64 + 1) as usize;
                let (a, b, to) = (cut(), cut(), cut());
                let piece = mixed[a.min(b)..a.max(b)].to_vec();
                mixed.splice(to..to, piece);
            }
            mixed.truncate(64 * 1024);
            through(&mixed);
        }
    }
}

#[test]
fn extreme_values_reach_the_features_as_finite_numbers() {
    for number in [0, 1, i64::MAX] {
        let mut extreme = rest();
        for field in ["additions", "deletions", "changed_files", "commits"] {
            extreme[field] = json!(number);
        }
        for file in extreme["files"].as_array_mut().unwrap() {
            file["additions"] = json!(u64::MAX);
            file["deletions"] = json!(u64::MAX);
        }
        for time in ["0001-01-01T00:00:00Z", "9999-12-30T00:00:00Z"] {
            extreme["created_at"] = json!(time);
            assert!(through(extreme.to_string().as_bytes()), "{number} {time}");
        }
    }
}

//! Sources that the program stores.

use std::collections::BTreeMap;

use bson::{Bson, Document, doc};
use prowl_e2e::servers::{self, PULL_REQUESTS};
use prowl_e2e::{Outcome, TestStore, run_with};
use prowl_fetch::extjson;

use super::given::{HARBOUR, date, refused, stored, synth, title};

/// The document in relaxed extended JSON.
fn relaxed(document: &Document) -> serde_json::Value {
    let (bytes, mut text) = (bson::serialize_to_vec(document).unwrap(), Vec::new());
    extjson::write(&bytes, extjson::Format::Relaxed, &mut text).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn what_is_loaded_is_what_would_be_exported() {
    let server = servers::Mongo::start();
    let store = TestStore::empty();
    let exported = store.synth(400, 7);
    let mut newest: BTreeMap<String, serde_json::Value> = BTreeMap::new();
    let time = |document: &serde_json::Value, field: &str| document[field]["$date"].as_str().unwrap().to_owned();
    let key =
        |document: &serde_json::Value| format!("{}#{}", document["base"]["repo"]["full_name"], document["number"]);
    let version = |document: &serde_json::Value| (time(document, "updated_at"), time(document, "fetched_at"));
    for mut document in exported.0 {
        // An older version has another one.
        document.as_object_mut().unwrap().remove("_id");
        let key = key(&document);
        let older = newest.get(&key).is_none_or(|other| version(other) < version(&document));
        if older {
            newest.insert(key, document);
        }
    }

    let loaded = synth(&server.environment(), 400, &[]).expect_success().json();
    let count = |report: &serde_json::Value, of: &str| report[of].as_u64().unwrap();
    assert_eq!(count(&loaded, "inserted"), newest.len() as u64);
    let sum = ["inserted", "changed", "refreshed", "unchanged"].map(|of| count(&loaded, of)).iter().sum::<u64>();
    assert_eq!(sum, count(&loaded, "documents"));
    let documents = server.find(PULL_REQUESTS, doc! {});
    let stored: BTreeMap<String, serde_json::Value> = documents
        .into_iter()
        .map(|mut document| {
            document.remove("_id");
            let document = relaxed(&document);
            (key(&document), document)
        })
        .collect();
    assert_eq!(stored, newest);

    let again = synth(&server.environment(), 400, &[]).expect_success().json();
    assert_eq!((count(&again, "inserted"), count(&again, "changed")), (0, 0));
}

/// A payload of the webhook, sent when a pull request was updated in that minute of the hour.
fn payload(number: i64, minute: i64) -> String {
    let at = |minute| date(minute).try_to_rfc3339_string().unwrap();
    let repository = serde_json::json!({ "full_name": HARBOUR });
    let pull_request = serde_json::json!({
        "number": number, "title": format!("as of {minute}"), "body": "by hand", "state": "open", "draft": false,
        "created_at": at(0), "updated_at": at(minute), "user": { "login": "ada", "type": "User" },
        "base": { "ref": "main", "repo": repository }, "head": { "ref": "fix", "repo": null },
    });
    let payload = serde_json::json!({
        "action": "synchronize", "number": number, "pull_request": pull_request, "repository": repository,
    });
    payload.to_string() + "\n"
}

#[test]
fn payloads_move_the_collection_forward_only_and_always_with_the_same_privacy() {
    let server = servers::Mongo::start();
    let file = server.folder().join("payloads.ndjson");
    let webhook = |payloads: &[String], more: &[&str]| {
        std::fs::write(&file, payloads.concat()).unwrap();
        let arguments = ["webhook", file.to_str().unwrap(), "--json", "--mongo"];
        run_with(&server.environment(), "prowl-fetch", &[&arguments[..], more].concat())
    };
    let counts = |outcome: Outcome| {
        let report = outcome.expect_success().json();
        ["inserted", "changed", "unchanged"].map(|of| report[of].as_u64().unwrap())
    };
    assert_eq!(counts(webhook(&[payload(1, 10), payload(2, 10)], &["--drop-bodies"])), [2, 0, 0]);
    assert_eq!(counts(webhook(&[payload(1, 9), payload(2, 12), payload(2, 11)], &["--drop-bodies"])), [0, 1, 2]);
    assert_eq!((title(&server, HARBOUR, 1), title(&server, HARBOUR, 2)), ("as of 10".into(), "as of 12".into()));
    assert_eq!(stored(&server, HARBOUR, 1).get("body"), Some(&Bson::Null));

    refused(&webhook(&[payload(1, 20)], &[]), &["filled with bodies dropped", "--drop-bodies", "--collection"]);
    assert_eq!(title(&server, HARBOUR, 1), "as of 10");
    assert_eq!(counts(webhook(&[payload(1, 20)], &["--collection", "whole"])), [1, 0, 0]);
    // Beside each there are its settings, and how often it was changed.
    assert_eq!((server.count("whole"), server.count("whole_fetch_state"), server.count("fetch_state")), (1, 2, 2));
}

//! From GitHub to a score: collected, exported, preprocessed, learned from, and asked about.

use std::collections::BTreeSet;

use prowl_e2e::servers::github::World;
use prowl_e2e::{Documents, Server, TestStore, run, run_with};
use serde_json::Value;

use crate::given::{Given, Stored, assert_same};

#[test]
fn a_collection_becomes_a_score() {
    let store = TestStore::empty();
    let documents = store.synth(600, 31);
    let world = World::of_documents(&documents.0);
    let names: Vec<String> = world.repositories().map(|repository| repository.full_name.clone()).collect();
    let given = Given::of(world);
    let list = store.root.join("repositories");
    std::fs::write(&list, names.join("\n")).unwrap();
    given.complete(&["--repos-file", list.to_str().unwrap()]);

    let arguments = ["export", "--store", &store.url, "--json"];
    let exported = given.checked(run_with(&given.environment, "prowl-fetch", &arguments)).expect_success();
    let snapshot = exported.json()["snapshot"].as_str().unwrap().to_owned();
    let exported = Documents::read(&store.root.join("exports").join(&snapshot));
    let mut found = Stored::new();
    for mut document in exported.0.clone() {
        for own in ["_id", "fetched_at"] {
            document.as_object_mut().unwrap().remove(own).unwrap();
        }
        let repository = document["base"]["repo"]["full_name"].as_str().unwrap().to_owned();
        found.insert((repository, document["number"].as_u64().unwrap()), document);
    }
    assert_same(&found, &given.github.documents());

    let features = store.preprocess(&snapshot, &[]);
    assert_eq!((features.counts["kept"], features.counts["rejected"]), (found.len() as u64, 0));
    let identities: BTreeSet<_> = features.rows.keys().cloned().collect();
    assert_eq!(identities, found.keys().cloned().collect());
    store.train();

    // As GitHub's REST gives it.
    let last = exported.0.iter().max_by_key(|document| document["created_at"]["$date"].as_str().unwrap()).unwrap();
    let path = store.root.join("pull_request.json");
    std::fs::write(&path, last.to_string()).unwrap();
    let server = Server::start(&store.url, "latest");
    let scored = run("prowl", &["score", path.to_str().unwrap(), "--server", &server.url(), "--json"]).expect_success();
    let answer: Value = serde_json::from_str(scored.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(answer["repository"], last["base"]["repo"]["full_name"], "{answer}");
    assert!(answer["percentile"].is_number() && answer["anomaly"].is_number(), "{answer}");
    assert_eq!(server.stop(), 0);
}

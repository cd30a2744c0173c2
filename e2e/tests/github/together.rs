//! Two collectors at once, and what a team may not want to be stored.

use std::time::Duration;

use bson::doc;
use prowl_e2e::servers::PULL_REQUESTS;

use crate::given::{Given, LOGIN_KEY, figure, small};

#[test]
fn two_collectors_share_the_work() {
    let given = Given::of(small(8, 1_600));
    given.github.latency(Duration::from_millis(150));
    let both = [(); 2].map(|()| given.start(&["--org", "acme", "--concurrency", "3", "--lease", "3s"]));
    let ended = both.map(|running| given.checked(running.wait()).expect_success());
    given.github.latency(Duration::ZERO);
    given.complete(&["--org", "acme"]);
    // Neither does again what the other has done.
    let fetched: u64 = ended.iter().map(|ended| figure(ended, "pull_requests.fetched")).sum();
    assert!((1_600..2_400).contains(&fetched), "{fetched} of 1600 were fetched");
    for ended in &ended {
        assert!(figure(ended, "pull_requests.fetched") > 0, "one of them did nothing");
    }
}

#[test]
fn a_lease_is_renewed_for_as_long_as_the_work_takes() {
    let given = Given::of(small(1, 1_200));
    given.github.latency(Duration::from_millis(300));
    let both = [(); 2].map(|()| given.start(&["--repo", "acme/repo-00", "--lease", "1s"]));
    let ended = both.map(|running| given.checked(running.wait()).expect_success());
    given.assert_complete();
    let fetched = ended.map(|ended| figure(&ended, "pull_requests.fetched"));
    assert!(fetched.contains(&1_200) && fetched.iter().min() < Some(&200), "{fetched:?} were fetched");
}

#[test]
fn the_work_of_a_collector_that_died_is_done_by_the_next() {
    let given = Given::of(small(4, 800));
    given.github.latency(Duration::from_millis(200));
    let arguments = ["--org", "acme", "--lease", "3s"];
    let mut running = given.start(&arguments);
    given.wait_for_requests(&mut running, 6);
    drop(running);
    given.github.latency(Duration::ZERO);
    let ended = given.succeed(&arguments);
    assert_eq!(figure(&ended, "repositories.busy"), 0);
    given.assert_complete();
}

#[test]
fn neither_bodies_nor_names_are_stored() {
    let mut given = Given::of(small(2, 120));
    let hide = ["--org", "acme", "--drop-bodies", "--hash-logins"];
    let told = given.refused(&hide);
    assert!(told.contains("login_hash_key"), "{told}");
    given.set("LOGIN_HASH_KEY", LOGIN_KEY);
    given.succeed(&hide);

    let (stored, whole) = (given.stored(), given.github.documents());
    assert_eq!(stored.len(), whole.len());
    let mut tokens = std::collections::BTreeMap::new();
    for (identity, document) in &stored {
        let text = document.to_string();
        assert!(!text.contains("user-") && !text.contains("dependabot"), "{text}");
        assert_eq!(document["body"], serde_json::Value::Null);
        let expected = &whole[identity];
        assert_eq!((&document["title"], &document["user"]["type"]), (&expected["title"], &expected["user"]["type"]));
        let (login, token) = (expected["user"]["login"].as_str(), document["user"]["login"].as_str());
        assert_eq!(*tokens.entry(login).or_insert(token), token, "one person has two tokens");
    }
    let distinct: std::collections::BTreeSet<_> = tokens.values().collect();
    assert!(distinct.len() == tokens.len() && tokens.len() > 10, "two people have one token");

    // What is stored one way is not mixed with what is stored the other way.
    let told = given.refused(&["--org", "acme"]);
    assert!(told.contains("filled with bodies dropped, logins hashed by"), "{told}");
    assert_eq!(given.mongo.find(PULL_REQUESTS, doc! { "body": { "$ne": null } }).len(), 0);
}

//! Stages that are run by a clock end at once, and publish nothing, when there is nothing new.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;

use bson::doc;
use prowl_e2e::{Outcome, TestStore, run_with, servers::Mongo};
use serde_json::{Value, json};

/// A collection, a store, and the three stages between them and a model.
struct House {
    server: Mongo,
    store: TestStore,
}

impl House {
    fn start() -> Self {
        Self { server: Mongo::start(), store: TestStore::empty() }
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Outcome {
        run_with(&self.server.environment(), program, arguments).expect_success()
    }

    fn fill(&self) {
        self.run("prowl-fetch", &["synth", "--count", "300", "--mongo"]);
    }

    fn import(&self, path: &Path) -> Value {
        self.run("prowl-fetch", &["import", path.to_str().unwrap(), "--json"]).json()
    }

    /// Runs a stage by the clock, and tells whether it published something.
    fn published(&self, program: &str, arguments: &[&str]) -> bool {
        let folders = || {
            let kinds = ["exports", "features", "models"].map(|kind| self.store.root.join(kind));
            kinds.iter().flat_map(fs::read_dir).map(Iterator::count).sum::<usize>()
        };
        let before = folders();
        let told = self.run(program, &[arguments, &["--store", &self.store.url, "--if-new"]].concat()).stderr;
        let is_more = folders() > before;
        assert_eq!(told.contains("nothing new"), !is_more, "{told}");
        is_more
    }

    fn exports(&self, more: &[&str]) -> bool {
        self.published("prowl-fetch", &[&["export"], more].concat())
    }

    fn preprocesses(&self, more: &[&str]) -> bool {
        self.published("prowl-preprocess", &[&["--export", "latest"], more].concat())
    }

    fn trains(&self, more: &[&str]) -> bool {
        self.published("prowl-trainer", &[&["train", "--epochs", "2"], more].concat())
    }

    fn all(&self) -> [bool; 3] {
        [self.exports(&[]), self.preprocesses(&[]), self.trains(&[])]
    }
}

#[test]
fn what_is_there_already_is_not_made_again() {
    let house = House::start();
    assert_eq!(house.all(), [false; 3], "before the first pull request");
    house.fill();
    assert_eq!(house.all(), [true; 3]);
    assert_eq!(house.all(), [false; 3]);

    // The same documents again are nothing new; one in a newer version is, though there are no more of them.
    house.fill();
    assert_eq!(house.all(), [false; 3]);
    let export = fs::read_dir(house.store.root.join("exports")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(house.import(&export)["unchanged"], 300);
    assert!(!house.exports(&[]));
    let part = flate2::read::GzDecoder::new(fs::File::open(export.join("part-00000.json.gz")).unwrap());
    let mut newer: Value = serde_json::from_str(&BufReader::new(part).lines().next().unwrap().unwrap()).unwrap();
    newer["updated_at"] = json!({ "$date": "2030-01-01T00:00:00Z" });
    let file = house.store.root.join("newer.json");
    fs::write(&file, newer.to_string()).unwrap();
    let changes = house.server.find_one("fetch_state", doc! { "_id": "changes" }).unwrap();
    let before = changes.get("count").unwrap().clone();
    let report = house.import(&file);
    assert_eq!((&report["inserted"], &report["changed"]), (&json!(0), &json!(1)));
    assert_eq!(house.all(), [true; 3]);
    assert_eq!(house.all(), [false; 3]);

    // Where the state was lost, the count may come by an old number again: the newest export has another one.
    let lost = doc! { "q": { "_id": "changes" }, "u": { "$set": { "count": before } } };
    house.server.command(doc! { "update": "fetch_state", "updates": [lost] });
    assert!(house.exports(&[]) && !house.exports(&[]));
}

#[test]
fn other_terms_are_something_new() {
    let house = House::start();
    house.fill();
    assert_eq!(house.all(), [true; 3]);
    for more in [&["--format", "canonical"][..], &["--compression", "zst"], &["--query", r#"{"number": {"$gt": 3}}"#]] {
        assert!(house.exports(more), "{more:?}");
        assert!(!house.exports(more), "{more:?}");
    }
    assert!(!house.exports(&[]), "of other terms there were some in the meantime");
    for more in [&["--label-maturity-days", "7"][..], &["--keep-history"], &["--max-line-bytes", "1MiB"]] {
        assert!(house.preprocesses(more), "{more:?}");
        assert!(!house.preprocesses(more), "{more:?}");
    }
    let list = house.store.root.join("list.csv");
    fs::write(&list, "repo,number,reverted_after_days\nsome/repo,2,1.5\n").unwrap();
    let reverts = ["--reverts", list.to_str().unwrap()];
    assert!(house.preprocesses(&reverts) && !house.preprocesses(&reverts));
    fs::write(&list, "repo,number,reverted_after_days\nsome/repo,3,1.5\n").unwrap();
    assert!(house.preprocesses(&reverts) && !house.preprocesses(&reverts));

    assert!(house.trains(&[]), "of the newest run");
    assert!(house.trains(&["--seed", "2"]) && !house.trains(&["--seed", "2"]));
    let feedback = house.store.root.join("feedback");
    fs::create_dir_all(&feedback).unwrap();
    let verdict = r#"{"repository":"some/other","number":7,"received_at":"2026-11-24T21:45:00Z","reverted":true}"#;
    fs::write(feedback.join("20261124T214500Z-00000.ndjson"), format!("{verdict}\n")).unwrap();
    assert!(house.trains(&[]) && !house.trains(&[]), "a reviewer has said something");
}

#[test]
fn of_files_it_is_not_known_whether_they_are_new() {
    let store = TestStore::empty();
    let path = store.root.join("documents.ndjson");
    fs::write(&path, r#"{"number":1,"base":{"repo":{"full_name":"o/r"}}}"#).unwrap();
    let told = store.refuse(path.to_str().unwrap(), &["--if-new"]);
    assert!(told.contains("--if-new is for exports of the store"), "{told}");
}

//! An export in another collection.

use std::fs;

use bson::{Document, doc};
use prowl_e2e::run_with;
use serde_json::Value;

use super::every_type;
use super::given::{Given, date, pull_request};

/// A second database of the same server.
const COPY: [&str; 2] = ["--database", "copy"];

fn given() -> Given {
    let mut documents = vec![every_type()];
    documents.extend((2..=1_500).map(|number| pull_request("tide/harbour", number)));
    Given::with(&documents)
}

#[test]
fn an_import_of_an_export_gives_equal_documents() {
    let given = given();
    let whole = given.export(&["--format", "canonical", "--part-size", "400"]);
    assert_eq!(given.import(&[&["latest"], &COPY[..]].concat()), [1_500, 1_500, 0, 0, 0]);
    let copied = given.export(&[&["--format", "canonical"], &COPY[..]].concat());
    assert_eq!(copied.documents(), whole.documents());

    // Again, by its name, and by the path of its folder: nothing changes.
    let name = whole.report["snapshot"].as_str().unwrap();
    assert_eq!(given.import(&[&[name], &COPY[..]].concat()), [1_500, 0, 0, 1_500, 0]);
    let folder = given.store.root.join("exports").join(name);
    let folder = folder.to_str().unwrap();
    assert_eq!(given.import(&[&[folder], &COPY[..]].concat()), [1_500, 0, 0, 1_500, 0]);
    assert_eq!(given.export(&[&["--format", "canonical"], &COPY[..]].concat()).documents(), whole.documents());

    // Relaxed, the values are the same; of numbers the type is not told.
    let relaxed = given.export(&["--compression", "zst"]);
    let other = ["--database", "other"];
    assert_eq!(given.import(&[&["latest"], &other[..]].concat()), [1_500, 1_500, 0, 0, 0]);
    assert_eq!(given.export(&other).documents(), relaxed.documents());
}

#[test]
fn what_is_hidden_in_an_export_is_hidden_ever_after() {
    let given = Given::start();
    let filled =
        run_with(&given.server.environment(), "prowl-fetch", &["synth", "--count", "50", "--drop-bodies", "--mongo"]);
    let _ = filled.expect_success();
    let whole = given.export(&[]);
    let mode = "bodies dropped, logins kept";
    assert_eq!(whole.manifest["details"]["privacy"], mode);
    given.import(&[&["latest"], &COPY[..]].concat());
    assert_eq!(given.export(&COPY).manifest["details"]["privacy"], mode);

    // A source keeps to it, and so does the path of the folder.
    let name = whole.report["snapshot"].as_str().unwrap();
    let folder = given.store.root.join("exports").join(name);
    let folder = folder.to_str().unwrap();
    given.import(&[&[folder], &COPY[..]].concat());
    let file = given.store.root.join("others.json");
    fs::write(&file, r#"{"number":1,"base":{"repo":{"full_name":"o/r"}}}"#).unwrap();
    let file = file.to_str().unwrap();
    for (what, words) in [
        (&[file, "--database", "copy"][..], ["filled with bodies dropped", "--collection"]),
        (&["latest", file, "--database", "third"], ["latest has bodies dropped", "two collections"]),
    ] {
        let refused = given.try_import(what);
        assert_eq!(refused.code, 1);
        assert!(words.iter().all(|word| refused.error().contains(word)), "{}", refused.error());
    }
    assert_eq!(given.export(&COPY).report["documents"], whole.report["documents"]);
}

#[test]
fn an_import_moves_the_collection_forward_only() {
    let given = Given::with(&[pull_request("tide/harbour", 1), pull_request("tide/harbour", 2)]);
    given.export(&[]);
    // Since then one was updated, and one is new.
    let newer = doc! { "$set": { "title": "Newer", "updated_at": date(99) } };
    let update = doc! { "update": "pull_requests", "updates": [{ "q": { "number": 1 }, "u": newer }] };
    given.server.command(update);
    assert_eq!(given.import(&["latest"]), [2, 0, 0, 2, 0]);
    let title = |number: i32| {
        let found = given.server.find_one("pull_requests", doc! { "number": number }).unwrap();
        found.get_str("title").unwrap().to_owned()
    };
    assert_eq!((title(1), title(2)), ("Newer".to_owned(), "Change 2".to_owned()));

    // Of files, the newest version wins, whichever comes first; a document without an _id gets ours.
    let line = |number: i32, title: &str, minute: i64| {
        let updated_at = 1_700_000_000_000 + minute * 60_000;
        format!(
            r#"{{"number":{number},"title":"{title}","updated_at":{{"$date":{{"$numberLong":"{updated_at}"}}}},"base":{{"repo":{{"full_name":"tide/harbour"}}}}}}"#
        )
    };
    let path = given.store.root.join("more.json");
    let lines = [line(1, "Old", 5), line(3, "Second", 20), line(3, "First", 10), line(2, "Changed", 50)];
    fs::write(&path, format!("[{}]\n", lines.join(",\n"))).unwrap();
    let [read, inserted, changed, unchanged, rejected] = given.import(&[path.to_str().unwrap()]);
    assert_eq!((read, inserted, changed + unchanged, rejected), (4, 1, 3, 0));
    let titles = [1, 2, 3].map(title);
    assert_eq!(titles, ["Newer", "Changed", "Second"]);
    let third = given.server.find_one("pull_requests", doc! { "number": 3 }).unwrap();
    assert_eq!(third.get_str("_id").unwrap(), "tide/harbour#3");
}

#[test]
fn what_is_no_document_is_told_with_its_place() {
    let given = Given::start();
    let good = |number: i32| format!(r#"{{"number":{number},"base":{{"repo":{{"full_name":"tide/harbour"}}}}}}"#);
    let mut lines: Vec<String> = (1..=300).map(good).collect();
    lines[6] = r#"{"number": 7, "planted"#.to_owned();
    lines[99] = r#"{"number": 100}"#.to_owned();
    let path = given.store.root.join("some.ndjson");
    let path = path.to_str().unwrap();
    fs::write(path, lines.join("\n")).unwrap();

    let done = given.try_import(&[path, "--json"]).expect_success();
    let report: Value = done.json();
    assert_eq!(
        (report["read"].clone(), report["rejected"].clone(), report["inserted"].clone()),
        (300.into(), 2.into(), 298.into())
    );
    for place in ["some.ndjson, line 7: ", "some.ndjson, line 100: it has no base.repo.full_name"] {
        assert!(done.stderr.contains(place), "{}", done.stderr);
    }
    assert!(!done.stderr.contains("planted"), "{}", done.stderr);

    let refused = given.try_import(&[path, "--max-reject-share", "0.5%"]);
    assert_eq!(refused.code, 1);
    assert!(refused.error().contains("2 of 300 documents were rejected"), "{}", refused.error());

    for (name, content, expected) in [
        ("cut.json", "[{}", "cannot read"),
        ("cut.json.gz", "\u{1f}", "1 of 1 documents were rejected"),
        ("empty.json", "", "no document found in 1 files"),
    ] {
        let path = given.store.root.join(name);
        fs::write(&path, content).unwrap();
        let refused = given.try_import(&[path.to_str().unwrap()]);
        assert!(refused.error().contains(expected), "{name}: {}", refused.error());
    }
    let missing = given.try_import(&["nowhere.json"]);
    assert!(
        missing.error().contains("cannot read nowhere.json: ") && missing.error().contains("No such file"),
        "{}",
        missing.error()
    );
}

#[test]
fn a_part_that_was_changed_is_found() {
    let given = Given::with(&(1..=100).map(|number| pull_request("tide/harbour", number)).collect::<Vec<Document>>());
    let exported = given.export(&["--compression", "none"]);
    let part = given.store.root.join("exports").join(exported.report["snapshot"].as_str().unwrap());
    let part = part.join("part-00000.json");
    let text = fs::read_to_string(&part).unwrap().replace("Change 50", "Change 05");
    fs::write(&part, text).unwrap();
    let refused = given.try_import(&[&["latest"], &COPY[..]].concat());
    assert_eq!(refused.code, 1);
    assert!(refused.error().contains("SHA-256") && refused.error().contains("part-00000.json"), "{}", refused.error());
}

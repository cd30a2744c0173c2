//! From the collection to an export and back: equal to what pymongo prints, in every form, whole whatever the `_id`s are,
//! and nothing at all when something goes wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

#[path = "export_mongo/failures.rs"]
mod failures;
#[path = "export_mongo/given.rs"]
mod given;
#[path = "export_mongo/import.rs"]
mod import;

use std::collections::BTreeSet;
use std::path::PathBuf;

use bson::{
    Binary, Bson, DateTime, Document, JavaScriptCodeWithScope, Regex, Timestamp, doc, oid::ObjectId,
    spec::BinarySubtype,
};
use given::{Exported, Given, date, pull_request};
use prowl_e2e::run_with;
use prowl_e2e::servers::Seaweedfs;
use serde_json::{Value, json};

fn binary(subtype: BinarySubtype, bytes: &[u8]) -> Bson {
    Bson::Binary(Binary { subtype, bytes: bytes.to_vec() })
}

fn decimal(text: &str) -> Bson {
    Bson::Decimal128(text.parse().unwrap())
}

/// A document of every type that the server keeps as it is.
fn every_type() -> Document {
    let regex = Regex { pattern: "^a\"/\\d".try_into().unwrap(), options: "im".try_into().unwrap() };
    let scoped = JavaScriptCodeWithScope { code: "f(x)".to_owned(), scope: doc! { "x": { "y": 1_i64 } } };
    let whole = doc! {
        "int32": [0, -1, i32::MAX, i32::MIN],
        "int64": [0_i64, -1_i64, 1_i64 << 40, i64::MAX, i64::MIN],
        "double": [
            0.0, -0.0, 1.0, -1.5, 0.1 + 0.2, 1e15, 1e16, 1e22, 1e300, 1e-4, 1e-5, 1e-7, 5e-324, f64::MAX, 123_456_789.125,
            f64::NAN, f64::INFINITY, f64::NEG_INFINITY,
        ],
        "decimal": [
            decimal("0"), decimal("-1.50"), decimal("1E+3"), decimal("1E-10"), decimal("NaN"), decimal("-Infinity"),
            decimal("9.999999999999999999999999999999999E+6144"),
        ],
        "date": [
            DateTime::from_millis(0), DateTime::from_millis(1), DateTime::from_millis(-1),
            DateTime::from_millis(951_825_599_500), DateTime::from_millis(253_402_300_799_999),
        ],
        "text": ["", "plain", "\"\\/\u{8}\u{c}\n\r\t\u{0}\u{1f}\u{7f}", "ä€🦀\u{2028}\u{feff}", "a".repeat(100_000)],
        "binary": [
            binary(BinarySubtype::Generic, &[]), binary(BinarySubtype::Generic, &[1]),
            binary(BinarySubtype::BinaryOld, &[1, 2]), binary(BinarySubtype::Uuid, &[7; 16]),
            binary(BinarySubtype::Md5, &[9; 16]), binary(BinarySubtype::UserDefined(0x80), &[255; 10_000]),
        ],
        "other": [
            true, false, Bson::Null, Bson::MinKey, Bson::MaxKey, Bson::RegularExpression(regex),
            Bson::JavaScriptCode("f()".to_owned()), Bson::JavaScriptCodeWithScope(scoped),
            Timestamp { time: u32::MAX, increment: 1 }, ObjectId::from_bytes([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255]),
        ],
        "nested": { "a": { "b": [[], [{}], [[[1]]]] }, "": { "ключ \"x\"": null } },
    };
    let mut document = pull_request("tide/harbour", 1);
    document.extend(whole);
    document
}

#[test]
fn every_type_is_written_as_pymongo_writes_it() {
    let mut documents = vec![every_type(), doc! { "_id": ObjectId::new() }, doc! { "_id": 5 }];
    documents.extend((2..50).map(|number| pull_request("tide/harbour", number)));
    let given = Given::with(&documents);
    for (format, mode) in [("relaxed", "RELAXED"), ("canonical", "CANONICAL")] {
        let exported = given.export(&["--format", format]);
        assert_eq!(exported.count("documents"), documents.len() as u64);
        assert_eq!(exported.manifest["details"]["format"], format);
        let (ours, theirs) = (exported.documents(), given.reference(mode));
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(&theirs) {
            for (name, value) in theirs.as_object().unwrap() {
                assert_eq!(ours[name], *value, "{format}: {name}");
            }
            assert_eq!(ours, theirs, "{format}");
        }
    }
}

/// One `_id` of nearly every kind, many of some.
fn mixed_ids(count: i32) -> Vec<Document> {
    let id = |number: i32| -> Bson {
        match number % 8 {
            0..=2 => format!("tide/harbour#{number}").into(),
            3 => number.into(),
            4 => (f64::from(number) + 0.5).into(),
            5 => (i64::from(number) << 33).into(),
            6 => DateTime::from_millis(i64::from(number)).into(),
            _ if number % 16 == 7 => doc! { "r": "tide/harbour", "n": number }.into(),
            _ => binary(BinarySubtype::Uuid, &u128::from(number as u32).to_be_bytes()),
        }
    };
    let mut ids: Vec<Bson> = (0..count).map(id).collect();
    ids.extend([Bson::Null, true.into(), false.into(), f64::NAN.into(), f64::NEG_INFINITY.into(), decimal("7.25")]);
    ids.extend((0..200).map(|number| ObjectId::from_bytes([number; 12]).into()));
    ids.into_iter().enumerate().map(|(number, id)| doc! { "_id": id, "number": number as i32 }).collect()
}

#[test]
fn ranges_lose_nothing_and_double_nothing() {
    let documents = mixed_ids(6_000);
    let given = Given::with(&documents);
    let exported = given.export(&["--parallel", "3", "--part-size", "500"]);
    let ranges = exported.manifest["details"]["ranges"].as_array().unwrap();
    assert!(ranges.len() > 5, "{ranges:?}");
    let of_ranges: Vec<u64> = ranges.iter().map(|range| range["documents"].as_u64().unwrap()).collect();
    assert_eq!(of_ranges.iter().sum::<u64>(), documents.len() as u64);
    // All kinds but that of the ranges themselves.
    assert!(*of_ranges.last().unwrap() > 2_000, "{of_ranges:?}");
    assert!(of_ranges.iter().filter(|documents| **documents > 0).count() > 4, "{of_ranges:?}");
    assert_eq!(exported.numbers(), (0..documents.len() as i64).collect::<Vec<_>>());
    assert!(exported.parts.values().all(|part| part.lines().count() <= 500));
    assert_eq!(exported.report["parts"], exported.parts.len());

    // In one piece it is the same.
    assert_eq!(given.export(&["--parallel", "1"]).documents(), exported.documents());
    assert_eq!(given.export(&[]).documents(), exported.documents());
}

#[test]
fn filters_hold_together() {
    let mut documents: Vec<Document> = (1..=10).map(|number| pull_request("tide/harbour", number)).collect();
    documents.extend((11..=20).map(|number| pull_request("tide/pier", number)));
    let mut set = |number: usize, fetched_at: Bson, updated_at: Bson| {
        documents[number - 1].insert("fetched_at", fetched_at);
        documents[number - 1].insert("updated_at", updated_at);
    };
    // Of what is fetched before minute 200, only these are to come.
    set(3, date(200).into(), date(0).into());
    set(4, "2023-11-15T02:00:00.500Z".into(), date(0).into());
    set(5, Bson::Null, date(201).into());
    set(6, Bson::Null, "2023-11-15T02:00:00Z".into());
    set(7, Bson::Null, Bson::Null);
    set(8, "2023-11-15T01:30:00Z".into(), date(500).into());
    set(15, date(300).into(), date(300).into());
    let given = Given::with(&documents);

    // Minute 200.
    let since = ["--since", "2023-11-15T01:33:20Z"];
    let exported = given.export(&since);
    assert_eq!(exported.numbers(), [3, 4, 5, 6, 7, 15]);
    assert_eq!(exported.manifest["details"]["since"], since[1]);
    assert_eq!(given.export(&["--repo", "tide/pier"]).numbers(), (11..=20).collect::<Vec<_>>());
    let query = ["--query", r#"{"number": {"$in": [1, 4, {"$numberLong": "15"}]}}"#];
    assert_eq!(given.export(&query).numbers(), [1, 4, 15]);
    let all = [&since[..], &query, &["--repo", "tide/pier"]].concat();
    let exported = given.export(&all);
    assert_eq!(exported.numbers(), [15]);
    // What the manifest tells can be asked again.
    let told = exported.manifest["details"]["filter"].as_str().unwrap().to_owned();
    assert_eq!(given.export(&["--query", &told]).numbers(), [15]);
    assert_eq!(exported.report["repositories"], 1);

    // Nothing new is no failure; nothing at all is.
    let before = given.left_behind();
    let nothing = given.try_export(&["--since", "2025-01-01", "--repo", "tide/pier", "--json"]).expect_success();
    assert!(nothing.stderr.contains("nothing new: nothing was published"), "{}", nothing.stderr);
    let report = nothing.json();
    assert_eq!((&report["snapshot"], &report["next"], &report["documents"]), (&Value::Null, &Value::Null, &json!(0)));
    let files = |paths: &[PathBuf]| paths.iter().filter(|path| path.is_file()).count();
    assert_eq!(files(&given.left_behind()), files(&before));
    let future = given.try_export(&["--since", "2030-01-01"]);
    assert!(future.code == 2 && future.stderr.contains("it lies in the future"), "{}", future.stderr);
    for (arguments, hint) in [
        (&["--repo", "tide/Harbour"][..], "no document that is asked for"),
        (&["--database", "elsewhere"][..], "elsewhere.pull_requests holds no document: nothing was published"),
    ] {
        let failed = given.try_export(arguments);
        assert_eq!(failed.code, 1);
        assert!(failed.error().contains(hint), "{}", failed.error());
    }
    let wrong = given.try_export(&["--query", "{number: 1}"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("a name in quotes is expected here"), "{}", wrong.stderr);
    let partly = given.export(&["--repo", "tide/pier", "tide/quay"]);
    assert!(partly.report["notes"].to_string().contains("no pull request of tide/quay"), "{}", partly.report);
}

#[test]
fn the_next_increment_goes_on_from_an_export() {
    let mut documents: Vec<Document> = (1..=5).map(|number| pull_request("tide/harbour", number)).collect();
    let given = Given::with(&documents);
    let whole = given.export(&[]);
    let next = whole.manifest["details"]["next_since"].as_str().unwrap().to_owned();
    assert!(whole.report["notes"].to_string().contains(&format!("--since {next}")));
    let now = DateTime::now();
    documents[0].insert("_id", "tide/harbour#6");
    documents[0].insert("number", 6);
    // It was most of a day on its way.
    documents[0].insert("fetched_at", DateTime::from_millis(now.timestamp_millis() - 23 * 3_600_000));
    given.server.insert("pull_requests", &documents[..1]);
    assert_eq!(given.export(&["--since", &next]).numbers(), [6]);
    let consistency = &whole.manifest["details"]["consistency"];
    assert!(consistency["kind"] == "snapshot" || consistency["reason"].is_string(), "{consistency}");
}

#[test]
fn every_form_holds_the_same_and_is_read_by_the_next_stage() {
    let documents: Vec<Document> = (1..=300).map(|number| pull_request("tide/harbour", number)).collect();
    let given = Given::with(&documents);
    let mut features = BTreeSet::new();
    let mut texts = BTreeSet::new();
    for compression in ["gz", "zst", "none"] {
        for format in ["relaxed", "canonical"] {
            let more = ["--compression", compression, "--format", format, "--part-size", "20kB"];
            let exported = given.export(&more);
            let end = if compression == "none" { String::new() } else { format!(".{compression}") };
            let names: Vec<String> =
                (0..exported.parts.len()).map(|part| format!("part-{part:05}.json{end}")).collect();
            assert_eq!(exported.parts.keys().cloned().collect::<Vec<_>>(), names);
            assert!(exported.parts.len() > 3 && exported.parts.values().all(|part| part.len() < 22_000));
            assert_eq!(exported.count("documents"), 300);
            assert_eq!(exported.count("bytes"), exported.parts.values().map(String::len).sum::<usize>() as u64);
            let stored: u64 = exported.manifest["files"].as_array().unwrap().iter().map(bytes).sum();
            assert_eq!(exported.report["stored_bytes"], stored);
            texts.insert((format, exported.lines().join("\n")));
            let run = given.store.preprocess(exported.report["snapshot"].as_str().unwrap(), &[]);
            features.insert(format!("{:?}", run.files));
        }
    }
    assert_eq!((texts.len(), features.len()), (2, 1));
}

fn bytes(file: &Value) -> u64 {
    file["bytes"].as_u64().unwrap()
}

#[test]
fn an_export_lies_on_s3_as_it_does_in_a_folder() {
    let documents: Vec<Document> = (1..=2_500).map(|number| pull_request("tide/harbour", number)).collect();
    let given = Given::with(&documents);
    let s3 = Seaweedfs::start();
    let environment = [s3.environment(), given.server.environment()].concat();
    let url = s3.url("exported");
    let arguments = ["export", "--store", &url, "--parallel", "2", "--compression", "zst", "--json"];
    let done = run_with(&environment, "prowl-fetch", &arguments).expect_success();
    assert!(!Seaweedfs::is_given_away_by(&done.stderr) && !Seaweedfs::is_given_away_by(&done.stdout));
    let there = Exported::read(&s3.store("exported"), done.json());
    assert_eq!(there.documents(), given.export(&[]).documents());
    assert_eq!(there.report["documents"], json!(2_500));

    // And back, verified on the way.
    let arguments = ["import", "latest", "--store", &url, "--database", "copy", "--json"];
    let done = run_with(&environment, "prowl-fetch", &arguments).expect_success();
    assert_eq!(done.json()["inserted"], 2_500);
    assert_eq!(s3.unfinished_uploads(), 0);
}

//! The generator through the program's own door.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    process::{Command, Stdio},
    sync::LazyLock,
    time::{Duration, Instant},
};

use common::{date, documents, export, fail, file, parts, program, publish, stderr, text, url};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// Keys in the order of the contract.
const KEYS: [&str; 29] = [
    "_id",
    "number",
    "id",
    "node_id",
    "title",
    "body",
    "state",
    "draft",
    "merged",
    "merged_at",
    "created_at",
    "updated_at",
    "closed_at",
    "user",
    "author_association",
    "labels",
    "assignees",
    "requested_reviewers",
    "milestone",
    "additions",
    "deletions",
    "changed_files",
    "commits",
    "comments",
    "review_comments",
    "base",
    "head",
    "merge_commit_sha",
    "files",
];

fn world(arguments: &[&str]) -> TempDir {
    let store = TempDir::new().unwrap();
    publish(store.path(), &[&["synth"], arguments].concat());
    store
}

/// One world that several tests look at.
struct Example {
    text: String,
    documents: Vec<Value>,
    counts: BTreeMap<String, u64>,
    planted: Vec<Value>,
}

static EXAMPLE: LazyLock<Example> = LazyLock::new(|| {
    let store = world(&["--count", "2000", "--seed", "3", "--repositories", "8"]);
    Example {
        text: parts(store.path()).concat(),
        documents: documents(store.path()),
        counts: export(store.path()).manifest().counts.clone(),
        planted: serde_json::from_slice(&file(store.path(), "planted.json")).unwrap(),
    }
});

fn identity(document: &Value) -> (String, u64) {
    (text(document, "/base/repo/full_name").to_owned(), document["number"].as_u64().unwrap())
}

/// The newest version of each pull request.
fn newest(documents: &[Value]) -> BTreeMap<(String, u64), &Value> {
    let mut newest = BTreeMap::new();
    for document in documents {
        newest.insert(identity(document), document);
    }
    newest
}

#[test]
fn the_same_seed_gives_the_same_bytes_for_good() {
    let (one, two) = (world(&["--count", "200", "--seed", "7"]), world(&["--count", "200", "--seed", "7"]));
    assert_eq!(export(one.path()).manifest().files, export(two.path()).manifest().files);
    let other = world(&["--count", "200", "--seed", "8"]);
    assert_ne!(parts(one.path()), parts(other.path()));

    // Not of the compressed bytes, which belong to the compressor.
    let digest = Sha256::digest(parts(one.path()).concat());
    assert_eq!(
        digest[..8],
        0x089d_eceb_94b0_7a84_u64.to_be_bytes(),
        "a seed gives other documents than before: whoever compares results over time has to know, so change this \
         value only with that in mind"
    );
}

#[test]
fn documents_are_those_of_the_contract() {
    let Example { text: text_of_parts, documents, counts, .. } = &*EXAMPLE;
    let mut last_update = String::new();
    for (document, line) in documents.iter().zip(text_of_parts.lines()) {
        let known = |key: &str| KEYS.contains(&key) || ["fetched_at", "reverted_at"].contains(&key);
        assert!(document.as_object().unwrap().keys().all(|key| known(key)), "{line}");
        let places: Vec<usize> = KEYS.iter().filter_map(|key| line.find(&format!("\"{key}\":"))).collect();
        assert!(places.len() >= 28, "{line}");
        // `id`, `title` and others appear again further in, but first here.
        assert!(line.starts_with("{\"_id\":\""), "{line}");
        assert!(line.find("\"base\":").unwrap() > line.find("\"review_comments\":").unwrap());

        let merged = document["merged"] == true;
        assert_eq!(merged, !document["merged_at"].is_null(), "{line}");
        assert_eq!(document["state"] == "open", document["closed_at"].is_null(), "{line}");
        assert!(!(merged && document["state"] == "open"), "{line}");
        assert!(date(document, "created_at") <= date(document, "updated_at"), "{line}");
        if merged {
            assert!(date(document, "created_at") <= date(document, "merged_at"), "{line}");
            assert_eq!(text(document, "/merge_commit_sha").len(), 40);
        }
        assert!(date(document, "updated_at") >= last_update.as_str(), "sorted as a collector would write them");
        date(document, "updated_at").clone_into(&mut last_update);

        if let Some(files) = document["files"].as_array() {
            let sum = |key: &str| files.iter().map(|file| file[key].as_u64().unwrap()).sum::<u64>();
            assert_eq!(document["additions"], sum("additions"), "{line}");
            assert_eq!(document["deletions"], sum("deletions"), "{line}");
            assert_eq!(document["changed_files"], files.len(), "{line}");
            let names: BTreeSet<&str> = files.iter().map(|file| text(file, "/filename")).collect();
            assert_eq!(names.len(), files.len(), "each file once: {line}");
        }
    }
    assert_eq!(counts["documents"], documents.len() as u64);
    assert_eq!(counts["bytes"], text_of_parts.len() as u64);
    assert_eq!(counts["pull_requests"], 2_000);
    assert_eq!(counts["older_versions"], documents.len() as u64 - 2_000);
    assert_eq!(newest(documents).len(), 2_000);
}

#[test]
fn the_world_has_the_shapes_of_real_repositories() {
    let Example { documents, .. } = &*EXAMPLE;
    let newest = newest(documents);
    let share = |of: &dyn Fn(&Value) -> bool| newest.values().filter(|d| of(d)).count() as f64 / newest.len() as f64;
    let within =
        |name: &str, value: f64, low: f64, high: f64| assert!((low..=high).contains(&value), "{name}: {value}");

    within("merged", share(&|d| d["merged"] == true), 0.7, 0.95);
    within("older versions", documents.len() as f64 / newest.len() as f64 - 1.0, 0.01, 0.03);
    within("without a body", share(&|d| d["body"].as_str().is_none_or(str::is_empty)), 0.05, 0.4);
    within("labelled", share(&|d| d["labels"].as_array().is_some_and(|l| !l.is_empty())), 0.2, 0.7);
    within("bots", share(&|d| d["user"]["type"] == "Bot"), 0.005, 0.25);
    within("without files", share(&|d| d.get("files").is_none()), 0.003, 0.03);
    within("unknown user", share(&|d| d["user"].is_null()), 0.0005, 0.02);
    let conventional = |d: &Value| {
        let title = text(d, "/title");
        title
            .split_once(": ")
            .is_some_and(|(kind, _)| kind.chars().all(|c| c.is_ascii_lowercase() || "()!".contains(c)))
    };
    within("conventional", share(&conventional), 0.1, 0.8);

    let mut additions: Vec<u64> = newest.values().map(|d| d["additions"].as_u64().unwrap()).collect();
    additions.sort_unstable();
    let quantile = |q: f64| additions[(additions.len() as f64 * q) as usize] as f64;
    within("median of additions", quantile(0.5), 10.0, 35.0);
    within("95% of additions", quantile(0.95), 250.0, 1_200.0);
    within("99.5% of additions", quantile(0.995), 1_500.0, 200_000.0);

    let mut by_repository: HashMap<&str, u32> = HashMap::new();
    for document in newest.values() {
        *by_repository.entry(text(document, "/base/repo/full_name")).or_default() += 1;
    }
    assert_eq!(by_repository.len(), 8);
    assert!(by_repository.values().max().unwrap() > &(3 * by_repository.values().min().unwrap()), "{by_repository:?}");
}

#[test]
fn reverts_point_at_an_earlier_merge_of_the_same_repository() {
    let newest = newest(&EXAMPLE.documents);
    let by_sha: HashMap<&str, &Value> =
        newest.values().filter_map(|d| d["merge_commit_sha"].as_str().map(|sha| (sha, *d))).collect();
    let (mut told, mut pushed) = (0, 0);
    for document in newest.values() {
        if let Some(at) = document.pointer("/reverted_at/$date").and_then(Value::as_str) {
            assert!(at > date(document, "merged_at"));
            pushed += 1;
        }
        let body = document["body"].as_str().unwrap_or_default();
        let target = if let Some(sha) = body.strip_prefix("This reverts commit ") {
            by_sha[&sha[..40]]
        } else if let Some(rest) = body.strip_prefix("Reverts ") {
            let (repository, rest) = rest.split_once('#').unwrap();
            let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
            newest[&(repository.to_owned(), number.parse().unwrap())]
        } else {
            continue;
        };
        told += 1;
        assert_eq!(identity(target).0, identity(document).0);
        assert!(date(target, "merged_at") < date(document, "created_at"));
        assert!(text(document, "/title").to_lowercase().starts_with("revert"));
        assert!(text(document, "/title").contains(text(target, "/title")));
        assert_eq!(target["additions"], document["deletions"]);
    }
    assert!(told > 20 && pushed > 0, "{told} by pull request, {pushed} by a push");
    assert_eq!(EXAMPLE.counts["reverted"], told + pushed);
}

#[test]
fn oddities_are_listed_and_come_late() {
    let Example { documents, planted, .. } = &*EXAMPLE;
    assert_eq!(planted.len(), 10);
    let kinds: BTreeSet<&str> = planted.iter().map(|planted| text(planted, "/kind")).collect();
    assert_eq!(kinds.len(), 10, "of ten kinds");
    let newest = newest(documents);
    let mut created: Vec<&str> = newest.values().map(|d| date(d, "created_at")).collect();
    created.sort_unstable();
    for planted in planted {
        let key = (text(planted, "/repository").to_owned(), planted["number"].as_u64().unwrap());
        let document = newest[&key];
        assert!(date(document, "created_at") > created[created.len() * 8 / 10], "in the last fifth by number");
        assert!(date(document, "created_at") > "2025-03-15", "and by time");
        assert!(!text(planted, "/why").is_empty());
        assert!(document["files"].as_array().unwrap().len() >= 3, "{planted}");
    }
    let newcomer = planted.iter().find(|planted| planted["kind"] == "docs-title-rewrites-crypto").unwrap();
    let key = (text(newcomer, "/repository").to_owned(), newcomer["number"].as_u64().unwrap());
    let login = text(newest[&key], "/user/login");
    assert_eq!(newest.values().filter(|d| d.pointer("/user/login").is_some_and(|l| l == login)).count(), 1);

    assert_eq!(file(world(&["--count", "200", "--oddities", "0"]).path(), "planted.json"), b"[]");
}

#[test]
fn parts_begin_anew_when_they_are_full() {
    let whole = world(&["--count", "200"]);
    assert_eq!(parts(whole.path()).len(), 1);
    let many = world(&["--count", "200", "--part-size", "50"]);
    let lines: Vec<usize> = parts(many.path()).iter().map(|part| part.lines().count()).collect();
    assert!(lines.len() >= 4 && lines[..lines.len() - 1].iter().all(|lines| *lines == 50), "{lines:?}");
    assert_eq!(parts(whole.path()).concat(), parts(many.path()).concat());
    let small = world(&["--count", "200", "--part-size", "100kB"]);
    let bytes: Vec<usize> = parts(small.path()).iter().map(String::len).collect();
    let full = &bytes[..bytes.len() - 1];
    assert!(!full.is_empty() && full.iter().all(|bytes| (100_000..200_000).contains(bytes)), "{bytes:?}");
}

#[test]
fn the_summary_is_for_people_and_on_request_for_programs() {
    let store = TempDir::new().unwrap();
    let output = publish(store.path(), &["synth", "--count", "200"]);
    assert!(output.stdout.is_empty());
    let folder = export(store.path());
    for part in [folder.name(), "3 repositories", " oddities\n", "next: prowl-preprocess --store file:///"] {
        assert!(stderr(&output).contains(part), "{part}: {}", stderr(&output));
    }
    let output = publish(store.path(), &["synth", "--count", "200", "--json"]);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_ne!(summary["snapshot"], folder.name(), "a second run is a second folder");
    let folder = export(store.path());
    assert_eq!(summary["snapshot"], folder.name());
    assert_eq!(summary["counts"]["pull_requests"], 200);
    let parts: Vec<_> = folder.files("part-").collect();
    assert_eq!(summary["parts"], parts.len());
    assert_eq!(summary["stored_bytes"], parts.iter().map(|part| part.bytes).sum::<u64>());
    assert_eq!(summary["documents"], folder.manifest().counts["documents"]);
    assert_eq!(summary["bytes"], folder.manifest().counts["bytes"]);
    let documents = documents(store.path());
    let created = || documents.iter().map(|document| date(document, "created_at"));
    assert_eq!((summary["from"].as_str(), summary["to"].as_str()), (created().min(), created().max()));
}

#[test]
fn wrong_use_is_told_apart_from_failure() {
    let store = TempDir::new().unwrap();
    let path = store.path();
    for (arguments, hint) in [
        (&["synth"][..], "--count"),
        (&["synth", "--count", "0"], "1..="),
        (&["synth", "--count", "100", "--part-size", "5 parsecs"], "64MiB"),
        (&["synth", "--count", "100", "--oddities", "50"], "room for 15"),
        (&["synth", "--count", "100", "--repositories", "9", "--authors", "3"], "at least one each"),
        (&["synth", "--count", "10", "--mongo"], "the documents go to one of them"),
        (&["synth", "--count", "10", "--compression", "lz4"], "gz, zst or none"),
        (&["gitlab"], "unrecognized subcommand"),
    ] {
        let message = fail(path, 2, arguments);
        assert!(message.contains(hint), "{arguments:?}: {message}");
    }
    let output = program().args(["synth", "--count", "10"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--store"), "{}", stderr(&output));
}

#[test]
fn a_store_that_cannot_be_used_is_one_clear_line() {
    let directory = TempDir::new().unwrap();
    let run = |code: i32, store: &str| {
        let output = program().args(["synth", "--count", "10", "--store", store]).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        let message = stderr(&output);
        assert_eq!(message.lines().count(), 1, "{message}");
        message
    };
    assert!(run(2, "data").contains("write file:///"));
    assert!(run(1, "s3://bucket/x").contains("set SPACES_ENDPOINT, SPACES_KEY, SPACES_SECRET"));
    std::fs::write(directory.path().join("file"), "").unwrap();
    let message = run(1, &format!("{}/file", url(directory.path())));
    assert!(message.contains("/file is a file: give a folder with --store"), "{message}");
    let message = run(1, &format!("{}/file/below", url(directory.path())));
    assert!(message.contains("cannot write below the store") && message.contains("choose a folder"), "{message}");

    for (variable, value) in [("PROWL_LOG", "a=b=c"), ("PROWL_LOG_FORMAT", "xml")] {
        let mut command = program();
        command.args(["synth", "--count", "10", "--store", &url(directory.path())]).env(variable, value);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let told = format!("{variable}={value:?} cannot be understood");
        assert!(stderr(&output).contains(&told), "{}", stderr(&output));
    }
}

#[test]
fn a_file_that_cannot_be_completed_leaves_nothing_and_says_why_once() {
    let store = TempDir::new().unwrap();
    // As on a full disk: the only part is written when the last document is there, and is larger than may be.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_prowl-fetch")])
        .args(["synth", "--count", "500", "--store", &url(store.path())])
        .output()
        .unwrap();
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("part-00000.json.gz") && message.lines().count() == 1, "{message}");
    assert_eq!(message.matches("File too large").count(), 1, "{message}");
    assert_eq!(std::fs::read_dir(store.path().join("exports")).unwrap().count(), 0);
}

#[test]
fn a_signal_ends_it_and_leaves_nothing() {
    let store = TempDir::new().unwrap();
    let mut child = program()
        .args(["synth", "--count", "50000000", "--repositories", "3", "--authors", "30", "--store", &url(store.path())])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let folder = store.path().join("exports");
    // As soon as something is written.
    while !folder.is_dir() && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(300));
    let killed = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let status = child.wait().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(stderr(&output).contains("stopped by SIGTERM: nothing was published"), "{}", stderr(&output));
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
}

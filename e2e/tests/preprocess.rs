//! The preprocessing job through its own door: nothing known too early, the same bytes every time, nothing lost.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::collections::BTreeMap;

use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use prowl_e2e::{Cluster, Documents, Run, TestStore, known_before, revert_of, run, run_unheard};
use serde_json::{Value, json};

/// Moments that split the documents into parts of the same number, as text and in milliseconds.
fn moments(documents: &Documents, parts: usize) -> Vec<String> {
    let mut times: Vec<_> =
        documents.0.iter().map(|document| document["created_at"]["$date"].as_str().unwrap().to_owned()).collect();
    times.sort();
    (1..parts).map(|part| times[part * times.len() / parts].clone()).collect()
}

fn assert_same_rows(expected: &Run, found: &Run, about: &str) {
    for (identity, row) in &found.rows {
        let whole = &expected.rows[identity];
        for (index, name) in expected.names.iter().enumerate() {
            let (a, b) = (whole.values[index], row.values[index]);
            assert_eq!(
                a.to_bits(),
                b.to_bits(),
                "{about}: {name} of {identity:?}: {a} with what came later, {b} without"
            );
        }
        assert_eq!(whole.tokens, row.tokens, "{about}: tokens of {identity:?}");
        assert_eq!(whole.kind_tokens, row.kind_tokens, "{about}: tokens of the kind of {identity:?}");
    }
}

#[test]
fn no_feature_knows_the_future() {
    let store = TestStore::empty();
    let mut documents = store.synth(900, 11);
    // One version of each, so that an edit is not mistaken for knowledge of the future.
    let mut newest: BTreeMap<(String, u64), Value> = BTreeMap::new();
    for document in documents.0 {
        let identity =
            (document["base"]["repo"]["full_name"].as_str().unwrap().to_owned(), document["number"].as_u64().unwrap());
        newest.insert(identity, document);
    }
    documents = Documents(newest.into_values().collect());
    // Reverts at a known time, beside those of the generator.
    let last = moments(&documents, 100).pop().unwrap();
    let merged: Vec<_> = documents.0.iter().filter(|document| !document["merged_at"].is_null()).cloned().collect();
    for (index, target) in merged.iter().step_by(merged.len() / 20).enumerate() {
        documents.0.push(revert_of(target, 1_000_000 + index as u64, &last));
    }

    let whole = store.preprocess_documents(&documents);
    for moment in moments(&documents, 6) {
        let cut = store.preprocess_documents(&known_before(&documents, &moment));
        assert!(!cut.rows.is_empty() && cut.rows.len() < whole.rows.len());
        assert_same_rows(&whole, &cut, &format!("cut at {moment}"));
    }
}

#[test]
fn the_same_input_gives_the_same_bytes_wherever_it_runs() {
    let store = TestStore::empty();
    let documents = store.synth(700, 5);
    let once = store.preprocess("latest", &[]);
    assert!(once.rows.len() > 600 && once.files.len() > 2, "{:?}", once.files);
    let again = store.preprocess("latest", &["--partitions", "3", "--cores", "1"]);
    assert_eq!(once.files, again.files, "another number of partitions and cores");

    let cluster = Cluster::start(2);
    let remote = store.preprocess("latest", &["--scheduler", &cluster.url(), "--partitions", "8"]);
    assert_eq!(once.files, remote.files, "a scheduler and two executors");
    assert_eq!(cluster.executors_with_shuffle_files(), 2, "both took tasks");
    assert_eq!(cluster.stop(), [0, 0, 0]);

    let mut reversed = documents.clone();
    reversed.0.reverse();
    let half = reversed.0.split_off(reversed.0.len() / 2);
    let folder = store.root.join("two");
    std::fs::create_dir(&folder).unwrap();
    reversed.write(&folder.join("b.json"));
    Documents(half).write(&folder.join("a.ndjson"));
    let shuffled = store.preprocess(folder.to_str().unwrap(), &["--cores", "1"]);
    assert_eq!(once.files, shuffled.files, "two plain files in another order");
    assert_eq!(once.counts, shuffled.counts, "more files than cores");
}

#[test]
fn every_line_is_accounted_for() {
    let store = TestStore::empty();
    let documents = store.synth(300, 3);
    let mut lines: Vec<String> = documents.0.iter().map(Value::to_string).collect();
    let read = lines.len() as u64 + 6;
    let mut newer = documents.0[0].clone();
    newer["updated_at"] = json!({ "$date": "2099-01-01T00:00:00Z" });
    newer["additions"] = json!(123_456);
    let identity = (newer["base"]["repo"]["full_name"].as_str().unwrap().to_owned(), newer["number"].as_u64().unwrap());
    lines.insert(0, newer.to_string());
    lines.push("{\"number\": 1,".into());
    lines.push(String::new());
    lines.push(json!({ "number": 7, "created_at": "2024-01-01T00:00:00Z" }).to_string());
    let mut wrong = documents.0[1].clone();
    wrong["additions"] = json!("many");
    lines.push(wrong.to_string());
    lines.push("null".into());
    lines.push(" ".repeat(300_000) + "{}");
    let path = store.root.join("export.json");
    std::fs::write(&path, lines.join("\n")).unwrap();

    let done = store.preprocess(path.to_str().unwrap(), &["--max-line-bytes", "200000", "--max-reject-share", "5%"]);
    assert_eq!(done.counts["read"], read);
    assert_eq!(done.counts["rejected"], 5);
    assert_eq!(done.counts["kept"] + done.counts["superseded"] + 5, read);
    assert_eq!(done.counts["kept"], done.rows.len() as u64);
    let additions = done.names.iter().position(|name| name == "additions").unwrap();
    assert!((done.rows[&identity].values[additions] - 123_456.0).abs() < 0.5, "the newest version wins");

    let rejects = prowl_e2e::reject_rows(&done);
    let told: Vec<_> = rejects.iter().map(|reject| (reject.field.as_str(), reject.line)).collect();
    let first = documents.0.len() as u64 + 2;
    assert_eq!(
        told,
        [("", first), ("base.repo.full_name", first + 2), ("additions", first + 3), ("", first + 4), ("", first + 5)],
        "{rejects:?}"
    );
}

#[test]
fn a_repository_is_the_same_however_it_is_spelled() {
    let store = TestStore::empty();
    let mut documents = store.synth(300, 5);
    let expected = store.preprocess_documents(&documents);
    // Every other line, so that also versions of one pull request are spelled differently.
    for document in documents.0.iter_mut().step_by(2) {
        let name = &mut document["base"]["repo"]["full_name"];
        *name = json!(name.as_str().unwrap().to_uppercase());
    }
    let found = store.preprocess_documents(&documents);
    assert_eq!(found.counts, expected.counts);
    let values = |run: &Run| -> BTreeMap<(String, u64), Vec<u32>> {
        run.rows.iter().map(|((name, number), row)| ((name.to_lowercase(), *number), row.bits())).collect()
    };
    assert_eq!(values(&found), values(&expected));
}

#[test]
fn a_repository_knows_nothing_of_its_neighbours() {
    let document = |repository: usize, number: u64, body: &str| {
        let at = |hour: u64| json!({ "$date": format!("2024-01-{number:02}T{hour:02}:00:00Z") });
        json!({
            "base": { "repo": { "full_name": format!("o/r{repository}") } }, "number": number, "created_at": at(0),
            "merged_at": at(12), "updated_at": at(12), "title": "Change it", "body": body, "user": { "login": "ada" },
            "files": [{ "filename": "a.rs", "additions": 1, "deletions": 0 }],
        })
    };
    // More repositories than buckets, so that many lie side by side. One half takes back what only the other half has.
    let odd = || (1..80).step_by(2).flat_map(|r| [document(r, 3, "It."), document(r, 7, "More.")]);
    let even = (0..80).step_by(2).map(|r| document(r, 5, "Reverts #3"));
    let store = TestStore::empty();
    let alone = store.preprocess_documents(&Documents(odd().collect()));
    let together = store.preprocess_documents(&Documents(odd().chain(even).collect()));
    assert_same_rows(&together, &alone, "alone");
}

#[test]
fn the_newest_version_counts_and_of_equal_ones_always_the_same() {
    let store = TestStore::empty();
    let first = store.synth(100, 9).0.swap_remove(0);
    let version = |additions: u64, updated: u64, fetched: u64| {
        let mut version = first.clone();
        version["additions"] = json!(additions);
        version["updated_at"] = json!({ "$date": format!("2050-01-{updated:02}T00:00:00Z") });
        version["fetched_at"] = json!({ "$date": format!("2050-02-{fetched:02}T00:00:00Z") });
        version
    };
    let kept = |versions: &[Value]| {
        let run = store.preprocess_documents(&Documents(versions.to_vec()));
        assert_eq!((run.counts["kept"], run.counts["superseded"]), (1, versions.len() as u64 - 1));
        run.rows.into_values().next().unwrap().values[0] as u64
    };
    assert_eq!(kept(&[version(1, 2, 1), version(2, 3, 1), version(3, 1, 9)]), 2, "the last updated");
    assert_eq!(kept(&[version(1, 2, 1), version(2, 2, 3), version(3, 2, 2)]), 2, "then the last fetched");
    let mut alike: Vec<_> = (1..=6).map(|additions| version(additions, 2, 2)).collect();
    let forwards = kept(&alike);
    alike.reverse();
    assert_eq!(kept(&alike), forwards);
}

#[test]
fn rows_of_one_moment_stand_by_number() {
    let opened = [(5, 3), (3, 3), (4, 3), (1, 9), (2, 3)];
    let documents = opened.map(|(number, hour)| {
        let created_at = format!("2024-01-01T0{hour}:00:00Z");
        json!({ "base": { "repo": { "full_name": "o/r" } }, "number": number, "created_at": created_at })
    });
    let run = TestStore::empty().preprocess_documents(&Documents(documents.to_vec()));
    assert_eq!(run.order, [2, 3, 4, 5, 1].map(|number| ("o/r".to_owned(), number)));
}

#[test]
fn a_document_of_a_wrong_clock_ripens_no_label() {
    let document = |number: u64, updated_at: &str| {
        json!({
            "base": { "repo": { "full_name": "o/r" } }, "number": number, "created_at": "2024-01-01T00:00:00Z",
            "merged_at": "2024-01-02T00:00:00Z", "updated_at": updated_at,
        })
    };
    let store = TestStore::empty();
    let label = |later: &str| {
        let documents = vec![document(1, "2024-01-02T00:00:00Z"), document(2, later)];
        store.preprocess_documents(&Documents(documents)).rows[&("o/r".to_owned(), 1)].reverted
    };
    assert_eq!(label("2024-01-31T23:59:59Z"), None);
    assert_eq!(label("2024-02-01T00:00:00Z"), Some(false), "30 days");
    assert_eq!(label("9999-01-01T00:00:00Z"), None, "nothing was seen at a time that is still to come");
}

#[test]
fn what_is_still_to_come_is_no_history_and_no_label() {
    let store = TestStore::empty();
    let known = store.synth(300, 8);
    let merged =
        known.0.iter().filter(|document| !document["merged_at"].is_null() && document["reverted_at"].is_null());
    let target = merged.min_by_key(|document| document["merged_at"]["$date"].as_str()).unwrap();
    let revert = revert_of(target, 1_000_000, target["merged_at"]["$date"].as_str().unwrap());
    let with = |later: &[&str], at: &Value| {
        let mut documents = known.clone();
        let mut revert = revert.clone();
        for field in later {
            revert[*field] = at.clone();
        }
        documents.0.push(revert);
        store.preprocess_documents(&documents)
    };
    let told = |run: &Run| {
        let profiles: Vec<_> = run.files.iter().filter(|(path, _)| path.starts_with("profiles/")).collect();
        let manifest: Value =
            serde_json::from_slice(&std::fs::read(run.folder.join("manifest.json")).unwrap()).unwrap();
        let rows = run.rows.iter().filter(|((_, number), _)| *number != 1_000_000);
        let rows: Vec<_> = rows.map(|(identity, row)| (identity, row.bits(), row.reverted)).collect();
        format!("{} {profiles:?} {rows:?}", manifest["details"]["as_of"])
    };
    let (never, still_to_come) = (Value::Null, json!({ "$date": "9999-01-01T00:00:00Z" }));

    let without = store.preprocess_documents(&known);
    let opened = with(&["created_at", "merged_at", "updated_at"], &still_to_come);
    assert_eq!(opened.counts["kept"], without.counts["kept"] + 1, "it is kept all the same");
    assert!(told(&opened) == told(&without), "opened");
    let open = with(&["merged_at"], &never);
    assert!(told(&with(&["merged_at"], &still_to_come)) == told(&open), "merged");
    assert!(told(&with(&[], &never)) != told(&open), "a merge that has happened takes the target back");
}

#[test]
fn a_list_of_reverts_counts_beside_the_documents() {
    let document = |number: u64, title: &str| {
        json!({"number": number, "title": title, "base": {"repo": {"full_name": "Some/Repo"}},
            "created_at": "1970-01-02T00:00:00Z", "merged_at": "1970-01-02T00:00:01Z", "updated_at": "1990-01-01T00:00:00Z"})
    };
    let mut told = document(3, "Told twice");
    told["reverted_at"] = json!("1970-01-05T00:00:00Z");
    let mut open = document(4, "Never merged");
    open["merged_at"] = Value::Null;
    let cut = "é".repeat(200);
    let documents = Documents(vec![document(1, "Kept"), document(2, "Taken back"), told, open, document(5, &cut)]);
    let store = TestStore::empty();
    let path = store.root.join("documents.ndjson");
    documents.write(&path);
    let list = store.root.join("list.csv");
    let arguments = |store: &TestStore| {
        let (export, list) = (path.to_str().unwrap().to_owned(), list.to_str().unwrap().to_owned());
        ["--store", &store.url, "--export", &export, "--reverts", &list, "--json"].map(str::to_owned)
    };
    // Both forms say the same of 2, and of 3 what is not as early as its document.
    let forms = [
        "repo,number,reverted_after_days\nsome/repo,2,1.5\nSOME/repo,3,90\nsome/repo,4,1\nsome/other,1,1\n",
        "number,reverted_at,repo\n2,1970-01-03T12:00:01Z,some/repo\n3,1970-04-02T00:00:01Z,some/repo\n4,1970-01-03T00:00:00Z,some/repo\n1,1970-01-03T00:00:00Z,some/other\n",
    ];
    let cluster = Cluster::start(1);
    let mut files = Vec::new();
    for (form, more) in
        [(forms[0], vec![]), (forms[1], vec![]), (forms[0], vec!["--scheduler".to_owned(), cluster.url()])]
    {
        std::fs::write(&list, form).unwrap();
        let all: Vec<String> = arguments(&store).into_iter().chain(more).collect();
        let done = run("prowl-preprocess", &all.iter().map(String::as_str).collect::<Vec<_>>()).expect_success().json();
        assert_eq!((&done["reverts"]["named"], &done["reverts"]["found"]), (&json!(4), &json!(2)));
        let made = prowl_e2e::read_run(&store.root, done["run"].as_str().unwrap());
        let of = |number: u64| &made.rows[&("Some/Repo".to_owned(), number)];
        let day = 86_400_000;
        assert_eq!((of(1).reverted, of(1).reverted_at), (Some(false), None));
        assert_eq!((of(2).reverted, of(2).reverted_at), (Some(true), Some(day + day * 3 / 2 + 1_000)));
        assert_eq!((of(3).reverted, of(3).reverted_at), (Some(true), Some(4 * day)));
        assert_eq!((of(4).reverted, of(4).reverted_at), (None, None));
        assert_eq!(of(2).title.as_deref(), Some("Taken back"));
        assert_eq!(of(5).title.as_deref(), Some("é".repeat(128).as_str()), "as many characters as 256 bytes hold");
        let manifest: Value =
            serde_json::from_slice(&std::fs::read(made.folder.join("manifest.json")).unwrap()).unwrap();
        let inputs: Vec<_> = manifest["inputs"].as_array().unwrap().iter().map(|input| &input["kind"]).collect();
        assert_eq!(inputs, ["file", "reverts"]);
        files.push(made.files);
    }
    assert_eq!(files[0], files[1]);
    assert_eq!(files[0], files[2], "the list crosses to a cluster");
    assert_eq!(cluster.stop(), [0, 0]);

    std::fs::write(&list, "repo,number,reverted_after_days\nsome/repo,two,1\n").unwrap();
    let empty = TestStore::empty();
    let said = empty.refuse(path.to_str().unwrap(), &["--reverts", list.to_str().unwrap()]);
    assert!(
        said.contains("list.csv") && said.contains("line 2, column `number`") && said.contains("\"two\""),
        "{said}"
    );
}

#[test]
fn too_many_rejects_fail_the_run() {
    let store = TestStore::empty();
    let good: Vec<_> = store.synth(100, 4).0.iter().map(Value::to_string).collect();
    let path = store.root.join("export.ndjson");
    let write = |good_ones: usize, bad: usize| {
        let lines = good[..good_ones].iter().map(String::as_str).chain(std::iter::repeat_n("{}", bad));
        std::fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
    };
    let export = path.to_str().unwrap();
    write(100, 30);
    assert!(store.refuse(export, &[]).contains("30 of 130 lines cannot be used, 23.08%, of which 1% may: "));
    write(10, 11);
    assert!(store.refuse(export, &[]).contains("11 of 21 lines"), "few, and yet most of them");
    write(100, 2);
    assert!(store.refuse(export, &[]).contains("2 of 102 lines"), "one in a hundred may be");
    assert_eq!(store.preprocess(export, &["--max-reject-share", "0.02"]).counts["rejected"], 2);
    write(99, 1);
    assert_eq!(store.preprocess(export, &[]).counts["rejected"], 1, "just one in a hundred");
}

#[test]
fn what_cannot_be_done_is_refused_and_leaves_nothing() {
    let store = TestStore::empty();
    assert!(store.refuse("latest", &[]).contains("prowl-fetch"), "no export yet");
    assert!(store.refuse("nowhere.json", &[]).contains("nowhere.json"));
    assert!(store.refuse("20261324T214500Z", &[]).contains("cannot find the export"), "no name of the store");

    let bad = store.root.join("bad.ndjson");
    std::fs::write(&bad, "no json\n{}\n").unwrap();
    let said = store.refuse(bad.to_str().unwrap(), &[]);
    assert!(said.contains("none of 2 lines can be used: ") && said.contains("base.repo.full_name"), "{said}");
    assert!(said.contains("bad.ndjson line 1") && said.contains("bad.ndjson line 2"), "{said}");

    let empty = store.root.join("empty.ndjson");
    std::fs::write(&empty, "\n\n").unwrap();
    let said = store.refuse(empty.to_str().unwrap(), &[]);
    assert!(said.contains("empty.ndjson holds no document"), "{said}");

    let array = store.root.join("array.json");
    std::fs::write(&array, "[\n{},\n{}\n").unwrap();
    let said = store.refuse(array.to_str().unwrap(), &[]);
    assert!(said.contains("array.json is damaged (its JSON array breaks in or after line 4, at or after"), "{said}");
    assert!(said.contains("it does not end): copy or export it again"), "{said}");

    let good = store.root.join("good.ndjson");
    Documents(store.synth(100, 1).0).write(&good);
    let url = format!("file://{}", good.display());
    let said = store.refuse(good.to_str().unwrap(), &[&url]);
    assert!(said.contains("good.ndjson twice, by itself or in a folder: leave one out"), "{said}");
    assert!(store.refuse("s3://bucket/a.json", &[]).contains("copy it, or mount it"), "no path");
    assert!(store.refuse("latest", &[&url]).contains("stands alone"), "an export and a file");

    let mixed = store.root.join("mixed");
    std::fs::create_dir_all(mixed.join("below")).unwrap();
    std::fs::copy(&good, mixed.join("GOOD.JSON")).unwrap();
    std::fs::write(mixed.join("part-00001"), "{}").unwrap();
    let told = run("prowl-preprocess", &["--store", &store.url, "--export", mixed.to_str().unwrap(), &url]).stderr;
    assert!(told.contains("passed over") && told.contains("\"names\":\"below, part-00001\""), "{told}");
    std::fs::remove_dir_all(store.root.join("features")).unwrap();
    let said = store.refuse(good.to_str().unwrap(), &["--scheduler", "df://127.0.0.1:9"]);
    assert!(said.contains("cannot reach the scheduler df://127.0.0.1:9"), "{said}");
    let said = store.refuse(good.to_str().unwrap(), &["--work-dir", &format!("{}/inside", good.display())]);
    assert!(said.contains("good.ndjson/inside") && said.contains("--work-dir"), "{said}");

    // A published export that was cut short on its way.
    let folder = std::fs::read_dir(store.root.join("exports")).unwrap().next().unwrap().unwrap().path();
    let whole = std::fs::read(folder.join("part-00000.json.gz")).unwrap();
    let cut = store.root.join("cut.ndjson.gz");
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let said = store.refuse(cut.to_str().unwrap(), &[]);
    assert!(said.contains("cut.ndjson.gz ends too early: copy or export it again"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");

    // Bytes that are damaged: of the header, of the text, of its checksum.
    for byte in [2, whole.len() / 2, whole.len() - 6] {
        let mut damaged = whole.clone();
        damaged[byte] ^= 0xff;
        std::fs::write(&cut, damaged).unwrap();
        let said = store.refuse(cut.to_str().unwrap(), &[]);
        assert!(said.contains("cut.ndjson.gz is damaged (") && said.contains("): copy or export it again"), "{said}");
    }

    // A folder of which a file is not there.
    let parts = store.root.join("parts");
    std::fs::create_dir(&parts).unwrap();
    std::fs::write(parts.join("a.json"), "{}").unwrap();
    std::os::unix::fs::symlink("gone.json", parts.join("b.json")).unwrap();
    let said = store.refuse(parts.to_str().unwrap(), &[]);
    assert!(said.contains("parts/b.json: restore it") && said.contains("No such file"), "{said}");

    // A published export that is another one than was published, and one whose bytes were changed.
    let part = folder.join("part-00000.json.gz");
    let mut again = GzEncoder::new(Vec::new(), Compression::none());
    std::io::copy(&mut MultiGzDecoder::new(&whole[..]), &mut again).unwrap();
    std::fs::write(&part, again.finish().unwrap()).unwrap();
    let said = store.refuse("latest", &[]);
    assert!(said.contains("part-00000.json.gz was changed after it was published"), "{said}");
    let mut bytes = std::fs::read(&part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&part, bytes).unwrap();
    assert!(store.refuse("latest", &[]).contains("part-00000.json.gz"));
}

#[test]
fn a_store_that_is_not_there_or_not_writable_is_named() {
    let wrong = run("prowl-preprocess", &["--store", "/just/a/path", "--export", "latest"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("file:///just/a/path"), "{}", wrong.stderr);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let good = folder.path().join("good.ndjson");
    std::fs::write(&good, "{}").unwrap();
    let store = format!("file://{}/store", file.display());
    let wrong = run("prowl-preprocess", &["--store", &store, "--export", good.to_str().unwrap()]);
    assert_eq!(wrong.code, 1);
    assert!(wrong.stderr.contains("store"), "{}", wrong.stderr);

    assert_eq!(run("prowl-preprocess", &["--export", "latest"]).code, 2, "no store is wrong use");
}

#[test]
fn wrong_use_is_told_from_failure() {
    let store = TestStore::empty();
    for (wrong, named) in [
        (&["--scheduler", "df://127.0.0.1:9", "--cores", "1"][..], "--cores"),
        (&["--scheduler", "df://127.0.0.1:9", "--memory-limit", "512"], "--memory-limit"),
        (&["--scheduler", "http://127.0.0.1:9"], "df://HOST:PORT"),
        (&["--cores", "2", "--memory-limit", "511"], "at least 512"),
        (&["--partitions", "0"], "--partitions"),
        (&["--max-reject-share", "1.5"], "--max-reject-share"),
        (&["--max-reject-share", "101%"], "from 0% to 100%"),
    ] {
        let said = run("prowl-preprocess", &[&["--store", &store.url, "--export", "latest"], wrong].concat());
        assert_eq!(said.code, 2, "{wrong:?}: {}", said.stderr);
        assert!(said.stderr.starts_with("error: ") && said.stderr.contains(named), "{}", said.stderr);
    }
    for program in ["prowl-scheduler", "prowl-executor"] {
        let said = run(program, &["--bind-host", "localhost"]);
        assert_eq!(said.code, 2, "{}", said.stderr);
        assert!(said.stderr.contains("127.0.0.1"), "{}", said.stderr);
    }
}

#[test]
fn the_least_memory_is_enough() {
    let store = TestStore::empty();
    store.synth(3000, 4);
    let done = store.preprocess("latest", &["--cores", "1", "--memory-limit", "384", "--partitions", "1"]);
    assert_eq!(done.counts["kept"], 3000);
}

#[test]
fn what_was_rejected_and_what_comes_next_is_told() {
    // The name of the folder below the store stands in the store's own path, too.
    let store = TestStore::below("features/store");
    let documents = store.synth(100, 2).0;
    let mut lines: Vec<_> = documents.iter().map(Value::to_string).collect();
    for field in ["number", "created_at", "updated_at", "merged_at", "additions", "deletions", "commits"] {
        let mut wrong = documents[0].clone();
        wrong[field] = json!({ "a": 1 });
        lines.push(wrong.to_string());
    }
    for quoted in ["many", "a \"few\""] {
        let mut wrong = documents[0].clone();
        wrong["additions"] = json!(quoted);
        lines.push(wrong.to_string());
    }
    let path = store.root.join("export.ndjson");
    std::fs::write(&path, lines.join("\n")).unwrap();

    let arguments = ["--store", &store.url, "--export", path.to_str().unwrap(), "--max-reject-share", "0.1"];
    let said = run("prowl-preprocess", &arguments).expect_success().stderr;
    assert!(said.contains(&format!("next: prowl-trainer train --store {} --features ", store.url)), "{said}");
    assert!(said.contains("and 3 more reasons"), "{said}");
    assert!(said.contains("  rejected 2 × field `additions`: "), "a kind, whatever it quotes: {said}");
    let published = said.lines().find_map(|line| line.strip_prefix("published ")).unwrap();
    assert!(said.contains(&format!("{published}rejects/")), "{said}");
}

#[test]
fn work_goes_on_when_nobody_reads_the_log() {
    let store = TestStore::empty();
    store.synth(60, 1);
    assert_eq!(run_unheard("prowl-preprocess", &["--store", &store.url, "--export", "latest"]), 0);
    let runs: Vec<_> = std::fs::read_dir(store.root.join("features")).unwrap().map(Result::unwrap).collect();
    assert!(runs.len() == 1 && runs[0].path().join("manifest.json").exists(), "{runs:?}");
}

//! What a features run says of its columns, how it is compared with the run before, and how both are looked at.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::collections::BTreeMap;

use prowl_e2e::{Documents, Run, TestStore, run};
use serde_json::{Value, json};

fn statistics(run: &Run) -> Value {
    serde_json::from_slice(&std::fs::read(run.folder.join("statistics.json")).unwrap()).unwrap()
}

fn details(run: &Run) -> Value {
    let manifest: Value = serde_json::from_slice(&std::fs::read(run.folder.join("manifest.json")).unwrap()).unwrap();
    manifest["details"].clone()
}

fn name(run: &Run) -> &str {
    run.folder.file_name().unwrap().to_str().unwrap()
}

fn columns(statistics: &Value) -> BTreeMap<String, Value> {
    let columns = statistics["columns"].as_array().unwrap();
    columns.iter().map(|column| (column["name"].as_str().unwrap().to_owned(), column.clone())).collect()
}

/// The documents with changes of fifty times the size.
fn larger(mut documents: Documents) -> Documents {
    for document in &mut documents.0 {
        let files = document["files"].as_array_mut();
        for holder in files.into_iter().flatten() {
            holder["additions"] = json!(50 * holder["additions"].as_u64().unwrap_or(1));
        }
        document["additions"] = json!(50 * document["additions"].as_u64().unwrap_or(1));
    }
    documents
}

#[test]
fn the_statistics_are_those_of_the_rows() {
    let store = TestStore::empty();
    let documents = store.synth(600, 21);
    let run = store.preprocess_documents(&documents);
    let statistics = statistics(&run);
    assert_eq!(statistics["rows"], run.rows.len());
    let columns = columns(&statistics);
    assert_eq!(columns.len(), run.names.len() + 4, "and two lists of tokens, category, reverted");
    for (index, name) in run.names.iter().enumerate() {
        let mut values: Vec<f32> =
            run.rows.values().map(|row| row.values[index]).filter(|value| !value.is_nan()).collect();
        values.sort_by(f32::total_cmp);
        let column = &columns[name];
        assert_eq!(column["count"], values.len(), "{name}");
        assert_eq!(column["missing"], run.rows.len() - values.len(), "{name}");
        let numbers = &column["numbers"];
        let Some((least, most)) = values.first().zip(values.last()) else {
            assert!(numbers["min"].is_null() && numbers["quantiles"].is_null(), "{name}: {numbers}");
            continue;
        };
        assert_eq!((numbers["min"].as_f64(), numbers["max"].as_f64()), (told(*least), told(*most)), "{name}");
        let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64;
        let off = (numbers["mean"].as_f64().unwrap() - mean).abs();
        assert!(off <= 1e-9 * mean.abs().max(1e-9), "{name}: {} for {mean}", numbers["mean"]);
        let median = f64::from(values[values.len().div_ceil(2) - 1]);
        let off = (numbers["quantiles"]["p50"].as_f64().unwrap() - median).abs();
        assert!(off <= median.abs() / 64.0, "{name}: {} for {median}", numbers["quantiles"]);
        values.dedup();
        assert_eq!(numbers["distinct"], values.len(), "{name}");
    }
    let tokens = run.rows.values().map(|row| row.tokens.len()).max();
    assert_eq!(columns["text_tokens"]["numbers"]["max"].as_f64(), tokens.map(|tokens| tokens as f64));
    let reverted = run.rows.values().filter(|row| row.reverted == Some(true)).count();
    assert!(reverted > 0);
    assert_eq!(columns["reverted"]["names"]["true"], reverted);
    assert!(columns["category"]["names"]["fix"].as_u64().unwrap() > 0);
}

/// As JSON reads the text of a float.
fn told(value: f32) -> Option<f64> {
    value.to_string().parse::<f64>().ok().map(|value| if value == 0.0 { 0.0 } else { value })
}

#[test]
fn a_run_is_compared_with_the_one_before() {
    let store = TestStore::empty();
    let documents = store.synth(500, 22);
    let path = store.root.join("documents.ndjson");
    let export = path.to_str().unwrap();
    let arguments = ["--store", &store.url, "--export", export];
    documents.write(&path);

    let said = run("prowl-preprocess", &[&arguments[..], &["--fail-on-drift", "0"]].concat()).expect_success().stderr;
    assert!(said.contains("no drift to tell"), "{said}");
    let first = std::fs::read_dir(store.root.join("features")).unwrap().next().unwrap().unwrap();
    let first = first.file_name().into_string().unwrap();
    let again = store.preprocess(export, &["--fail-on-drift", "0"]);
    let drift = &details(&again)["drift"];
    assert_eq!(drift["against"], first.as_str());
    assert!(drift["columns"].as_array().unwrap().iter().all(|column| column["psi"] == 0.0), "{drift}");

    larger(documents).write(&path);
    let before = store.feature_files();
    let failed = run("prowl-preprocess", &[&arguments[..], &["--fail-on-drift", "0.25"]].concat());
    assert_eq!(failed.code, 1, "{}", failed.stderr);
    for part in ["nothing was published", name(&again), "additions by ", "(median ", "--fail-on-drift"] {
        assert!(failed.stderr.contains(part), "{part}: {}", failed.stderr);
    }
    assert_eq!(failed.stderr.lines().count(), 1, "{}", failed.stderr);
    assert_eq!(store.feature_files(), before, "nothing was left behind");

    let said = run("prowl-preprocess", &arguments).expect_success().stderr;
    assert!(said.contains(&format!("drift from {}: ", name(&again))) && said.contains(" shifted median "), "{said}");

    let inspect = |more: &[&str]| run("prowl-preprocess", &[&["inspect", "--store", &store.url], more].concat());
    let shown = inspect(&[]).expect_success().stderr;
    assert!(shown.contains("drift from") && shown.contains("\nadditions  ") && shown.contains("read "), "{shown}");
    let url_lines = |line: &&str| !line.contains("file:///");
    assert!(shown.lines().filter(url_lines).all(|line| line.chars().count() <= 100), "{shown}");

    let json = inspect(&["--json"]).expect_success().json();
    assert_eq!(json["drift"]["columns"][0]["column"], json["manifest"]["details"]["drift"]["columns"][0]["column"]);
    assert_eq!(json["statistics"]["rows"], json["manifest"]["counts"]["kept"]);
    let back = inspect(&[&first, "--against", "latest", "--json"]).expect_success().json();
    assert!(back["drift"]["columns"][0]["psi"].as_f64().unwrap() > 0.25, "{}", back["drift"]);
    assert!(inspect(&[&first]).expect_success().stderr.contains("no drift to tell"));
}

#[test]
fn what_was_rejected_is_shown_again() {
    let store = TestStore::empty();
    let mut lines: Vec<_> = store.synth(150, 23).0.iter().map(Value::to_string).collect();
    lines.push("{".into());
    let path = store.root.join("export.ndjson");
    std::fs::write(&path, lines.join("\n")).unwrap();
    store.preprocess(path.to_str().unwrap(), &[]);
    let shown = run("prowl-preprocess", &["inspect", "--store", &store.url]).expect_success().stderr;
    let place = format!("export.ndjson line {}", lines.len());
    assert!(shown.contains("  rejected 1 × ") && shown.contains(&place), "{shown}");
}

#[test]
fn what_cannot_be_shown_or_compared_is_named() {
    let store = TestStore::empty();
    let inspect = |more: &[&str]| run("prowl-preprocess", &[&["inspect", "--store", &store.url], more].concat());
    let said = inspect(&[]);
    assert!(said.code == 1 && said.stderr.contains("no finished features run"), "{}", said.stderr);

    let documents = store.synth(60, 24);
    let done = store.preprocess_documents(&documents);
    let said = inspect(&["20200101T000000Z"]);
    assert!(said.code == 1 && said.stderr.contains(name(&done)), "{}", said.stderr);

    // Of a run that was changed afterwards nothing is believed, and a bound that cannot be held fails before any work.
    let file = done.folder.join("statistics.json");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, String::from_utf8(whole.clone()).unwrap().replace("\"rows\":", "\"rowz\":")).unwrap();
    assert!(inspect(&[]).stderr.contains("statistics.json was changed after it was published"));
    let arguments = ["--store", &store.url, "--export", "latest"];
    let said = run("prowl-preprocess", &[&arguments[..], &["--fail-on-drift", "1"]].concat());
    assert!(said.code == 1 && said.stderr.contains("--fail-on-drift"), "{}", said.stderr);
    let said = run("prowl-preprocess", &arguments).expect_success().stderr;
    assert!(said.contains("statistics.json was changed") && said.contains("published"), "{said}");

    for wrong in
        [&["inspect"][..], &["inspect", "--store", "/a/path"], &["--fail-on-drift", "-1"], &["--store", &store.url]]
    {
        let said = run("prowl-preprocess", wrong);
        assert_eq!(said.code, 2, "{wrong:?}: {}", said.stderr);
    }
    let said = run("prowl-preprocess", &[&arguments[..], &["--fail-on-drift", "NaN"]].concat());
    assert!(said.code == 2 && said.stderr.contains("--fail-on-drift"), "{}", said.stderr);
}

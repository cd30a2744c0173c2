//! What gets a go, and where its verdict is found again.

use std::fs;
use std::path::PathBuf;

use prowl_e2e::{Documents, Server, run};
use serde_json::Value;

use crate::given::{Gate, MODELS, assert_go, broken, check, told};

/// What is checked of each version.
const OF_ONE: [&str; 15] = [
    "expected model",
    "very first calls",
    "first calls",
    "first calls answered",
    "panel",
    "answered",
    "p99",
    "throughput",
    "judged",
    "asked alone",
    "load test",
    "memory",
    "answers at the knee",
    "last calls answered",
    "same model at the end",
];

/// What only two can be compared by.
const OF_BOTH: [&str; 8] = [
    "two servers",
    "CPU against active",
    "p50 against active",
    "p99 against active",
    "percentiles (PSI)",
    "percentiles (Kolmogorov–Smirnov)",
    "rank correlation",
    "bands changed",
];

fn names(verdict: &Value) -> Vec<&str> {
    verdict["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect()
}

#[test]
fn an_identical_version_goes_and_so_does_the_first_of_all() {
    let version = MODELS.new.as_str();
    let (preview, active) = (MODELS.serve(), MODELS.serve());
    let [http, active_http] = [&preview, &active].map(|server| format!("http://{}", server.http()));

    let gate = Gate::of(&preview.url(), version).with(&["--preview-http", &http, "--keep", "--json"]);
    let gate = gate.with(&["--active", &active.url(), "--active-http", &active_http]);
    let outcome = gate.run();
    let beside = gate.verdict().unwrap();
    assert_go(&outcome, &beside);
    assert_eq!(outcome.json(), beside);
    let names_beside = names(&beside);
    let place = |name: &str| names_beside.iter().position(|found| *found == name);
    assert!(place("very first calls") < place("panel"), "the first calls are the first: {beside:#}");
    for name in OF_ONE.iter().chain(&OF_BOTH) {
        assert!(names_beside.contains(name), "{name} was not checked: {beside:#}");
    }
    assert_eq!(check(&beside, "two servers")["observed"], "they count their calls apart");
    let cost = check(&beside, "CPU against active")["observed"].as_str().unwrap();
    assert!(cost.contains(" ms a call"), "{cost}");
    let panel = check(&beside, "panel");
    let (observed, limit) = (panel["observed"].as_str().unwrap(), panel["limit"].as_str().unwrap());
    let rows: u64 = observed.split(' ').next().unwrap().parse().unwrap();
    assert!(rows > 0 && observed == format!("{rows} of {rows} equal"), "{observed}");
    assert_eq!(limit, format!("all {rows}, to the bit"));
    for side in ["preview", "active"] {
        assert_eq!(beside[side]["version"], version, "{beside:#}");
        assert!(beside["race"][side]["answered"].as_u64().unwrap() > 100, "{beside:#}");
    }
    let [_, markdown, html] = gate.files();
    assert!(markdown.contains(version) && html.contains("<html") && html.contains(version), "{markdown}");
    assert!(gate.path("goose.html").exists());
    let lines = told(&outcome);
    assert_eq!(lines.lines().count(), 10, "{lines}");

    let gate = Gate::of(&preview.url(), version).with(&["--keep"]);
    let outcome = gate.run();
    let by_itself = gate.verdict().unwrap();
    assert_go(&outcome, &by_itself);
    assert_eq!(check(&by_itself, "no active version")["observed"], "the preview is judged alone");
    assert!(by_itself["active"].is_null() && by_itself["answers"].is_null(), "{by_itself:#}");
    assert!(names(&by_itself).iter().all(|name| !OF_BOTH.contains(name)), "{by_itself:#}");
    let lines = told(&outcome);
    assert!(lines.contains("No active version was named: preview was judged alone."), "{lines}");

    let trend = run("prowl-loadtest", &["trend", "--store", &MODELS.store.url, "--json"]).expect_success();
    let kept: Vec<Value> = trend.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let begins = |verdicts: &[&Value]| verdicts.iter().map(|verdict| verdict["began_at"].clone()).collect::<Vec<_>>();
    assert_eq!(begins(&kept.iter().collect::<Vec<_>>()), begins(&[&by_itself, &beside]), "the newest is first");
    let table = told(&trend);
    assert_eq!(table.lines().count(), 3, "{table}");
    for (line, verdict) in table.lines().skip(1).zip([&by_itself, &beside]) {
        assert!(line.contains(version) && line.ends_with(&broken(verdict).join(", ")), "{table}");
    }
    assert_eq!((preview.stop(), active.stop()), (0, 0));
}

/// The folder of the export in the store.
fn export() -> PathBuf {
    let mut exports = fs::read_dir(MODELS.store.root.join("exports")).unwrap();
    exports.next().unwrap().unwrap().path()
}

#[test]
fn of_two_models_each_has_what_it_says_itself() {
    let (preview, active) = (MODELS.serve(), Server::start(&MODELS.store.url, &MODELS.old));
    let gate = Gate::of(&preview.url(), &MODELS.new).with(&["--active", &active.url()]);
    let outcome = gate.run();
    // How far two models are from each other is no matter of this.
    let verdict = gate.verdict().unwrap_or_else(|| panic!("{}", outcome.stderr));
    assert_eq!(verdict["preview"]["version"], MODELS.new.as_str());
    assert_eq!(verdict["active"]["version"], MODELS.old.as_str());
    let moved = verdict["answers"]["moved"].as_array().unwrap();
    let percentile = |of: &Value| of["percentile"].as_f64();
    let farthest = moved.iter().find(|moved| percentile(&moved["preview"]).and(percentile(&moved["active"])).is_some());
    let farthest = farthest.unwrap_or_else(|| panic!("two models that say the same: {verdict:#}"));
    let is_it = |document: &&Value| {
        document["number"] == farthest["number"] && document["base"]["repo"]["full_name"] == farthest["repository"]
    };
    let documents = Documents::read(&export());
    let body = documents.0.iter().find(is_it).unwrap().to_string();
    for (server, side, other) in [(&preview, "preview", "active"), (&active, "active", "preview")] {
        let (status, answer) = server.post_with("/v1/score", "content-type: application/json\r\n", &body).unwrap();
        assert_eq!(status, 200, "{answer}");
        let said = percentile(&serde_json::from_str(&answer).unwrap()).unwrap();
        let [own, others] = [side, other].map(|side| percentile(&farthest[side]).unwrap());
        assert!((said - own).abs() < 1e-3 && (said - others).abs() > 1e-2, "{said} of {side}: {farthest:#}");
    }
}

#[test]
fn what_both_refuse_is_no_fault_of_the_new_one() {
    let (preview, active) = (MODELS.serve(), MODELS.serve());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prs.ndjson");
    // So few that each is sent in every step.
    let mut lines: Vec<String> = Documents::read(&export()).0.iter().take(260).map(Value::to_string).collect();
    // A document, and no pull request.
    lines.push(r#"{"title": "of nothing"}"#.to_owned());
    fs::write(&path, lines.join("\n")).unwrap();
    let gate = Gate::of(&preview.url(), &MODELS.new).with(&["--requests", &path.display().to_string()]);
    let gate = gate.with(&["--active", &active.url()]);
    let outcome = gate.run();
    let verdict = gate.verdict().unwrap();
    assert_go(&outcome, &verdict);
    let refused = check(&verdict, "refused by both")["observed"].as_str().unwrap();
    let count: u64 = refused.split(' ').next().unwrap().parse().unwrap();
    assert!((1..=5).contains(&count), "{refused}");

    // By itself it has nobody to be excused by.
    let alone = Gate::of(&preview.url(), &MODELS.new).with(&["--requests", &path.display().to_string()]);
    alone.refused(3);
    let verdict = alone.verdict().unwrap();
    for name in ["first calls answered", "answered"] {
        let why = check(&verdict, name)["why"].as_str().unwrap();
        assert!(why.contains("INVALID_ARGUMENT"), "{why}");
    }
}

#[test]
fn without_a_store_it_has_to_be_told_the_digest_and_to_leave_out_the_panel() {
    let preview = MODELS.serve();
    let mut parts = fs::read_dir(export()).unwrap().map(|file| file.unwrap().path().display().to_string());
    let part = parts.find(|path| path.contains("part-")).unwrap();
    let gate = || Gate::without_store(&preview.url(), &MODELS.new).with(&["--requests", &part]);

    let untold = gate();
    untold.refused(1);
    let verdict = untold.verdict().unwrap();
    assert_eq!(broken(&verdict), ["expected digest", "panel"]);

    // Some programs write digests in capitals.
    let digest = verdict["preview"]["digest"].as_str().unwrap().to_uppercase();
    let told = gate().with(&["--no-panel", "--expect-digest", &digest]);
    let outcome = told.run();
    let verdict = told.verdict().unwrap();
    assert_go(&outcome, &verdict);
    assert_eq!(check(&verdict, "panel")["observed"], "not played, as --no-panel says");
}

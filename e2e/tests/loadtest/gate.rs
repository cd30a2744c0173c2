//! What gets a go, and where its verdict is found again.

use prowl_e2e::run;
use serde_json::Value;

use crate::given::{Gate, MODELS, assert_go, broken, check, told};

/// What is checked of each version.
const OF_ONE: [&str; 10] = [
    "expected model",
    "panel",
    "first calls",
    "first calls answered",
    "answered",
    "p99",
    "throughput",
    "load test",
    "memory",
    "same model at the end",
];

/// What only two can be compared by.
const OF_BOTH: [&str; 6] = [
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
    let http = format!("http://{}", preview.http());

    let gate = Gate::of(&preview.url(), version).with(&["--preview-http", &http, "--keep", "--json"]);
    let gate = gate.with(&["--active", &active.url()]);
    let outcome = gate.run();
    let beside = gate.verdict().unwrap();
    assert_go(&outcome, &beside);
    assert_eq!(outcome.json(), beside);
    let names_beside = names(&beside);
    for name in OF_ONE.iter().chain(&OF_BOTH) {
        assert!(names_beside.contains(name), "{name} was not checked: {beside:#}");
    }
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
    assert!(lines.contains("There is no active version yet: preview was judged alone."), "{lines}");

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

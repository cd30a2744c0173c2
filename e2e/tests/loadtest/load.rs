//! Each scenario, open and closed, and what makes a load test fail.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use prowl_e2e::{Outcome, Running, Server, Variable, run_with};
use serde_json::Value;

use crate::given::{MODELS, told};

/// A load test of a moment.
pub(crate) fn load(environment: &[Variable], host: &str, more: &[&str]) -> Outcome {
    let arguments = ["--host", host, "--store", &MODELS.store.url, "--run-time", "2s", "--json"];
    run_with(environment, "prowl-loadtest", &[&arguments[..], more].concat())
}

/// What came of it, as a program reads it.
pub(crate) fn report(outcome: &Outcome) -> Value {
    let last = outcome.stdout.lines().last().unwrap_or_else(|| panic!("none in {}", outcome.stderr));
    serde_json::from_str(last).unwrap()
}

/// The kinds of calls that were made, of which none may have failed, and how many there were.
fn all_answered(outcome: &Outcome) -> (Vec<String>, u64) {
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let report = report(outcome);
    assert_eq!(report["version"], MODELS.new.as_str());
    let rows = report["rows"].as_array().unwrap();
    let calls = rows.iter().map(|row| {
        assert_eq!(row["failed"], 0, "{}", outcome.stderr);
        row["calls"].as_u64().unwrap()
    });
    let calls: u64 = calls.sum();
    assert!(calls > 0, "{}", outcome.stderr);
    let told = told(outcome);
    assert!(told.contains(&format!("asked the model {}", MODELS.new)) && told.contains(" 0 failed; p50 "), "{told}");
    (rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect(), calls)
}

fn scenario(server: &Server, name: &str) -> Vec<String> {
    let http = format!("http://{}", server.http());
    all_answered(&load(&[], &server.url(), &["--users", "2", "--scenario", name, "--http", &http])).0
}

/// The names of all scenarios, as the error of a wrong one lists them.
fn scenarios() -> Vec<String> {
    let outcome = run_with(&[], "prowl-loadtest", &["--scenario", "?"]);
    let listed = outcome.stderr.split_once("[possible values: ").and_then(|(_, rest)| rest.split_once(']'));
    let (names, _) = listed.unwrap_or_else(|| panic!("none in {}", outcome.stderr));
    names.split(", ").map(str::to_owned).collect()
}

#[test]
fn each_scenario_is_answered() {
    let (server, names) = (MODELS.serve(), scenarios());
    let known = ["score", "batch", "stream", "oip", "http", "abuse", "burst", "mixed", "soak"];
    assert!(known.iter().all(|known| names.iter().any(|name| name == known)), "{names:?}");
    for name in names {
        let kinds = scenario(&server, &name);
        match name.as_str() {
            "score" | "batch" | "stream" | "oip" | "abuse" => assert_eq!(kinds, [format!("GRPC {name}")]),
            "http" => assert_eq!(kinds, ["HTTP http"]),
            "burst" => assert_eq!(kinds, ["GRPC score"]),
            "mixed" | "soak" => assert!(kinds.len() > 1 && kinds.iter().any(|kind| kind == "GRPC score"), "{kinds:?}"),
            // Of any other it is enough that its calls are answered.
            _ => {}
        }
    }
}

#[test]
fn an_open_loop_makes_the_calls_that_are_due() {
    let server = MODELS.serve();
    let (kinds, calls) = all_answered(&load(&[], &server.url(), &["--rate", "100"]));
    assert_eq!(kinds, ["GRPC score"]);
    // Two hundred by the dice; goose may need a moment to begin and to end.
    assert!((100..=400).contains(&calls), "{calls}");
}

#[test]
fn whose_answers_came_is_told() {
    let server = MODELS.serve();
    let outcome = load(&[], &server.url(), &["--rate", "100", "--again"]);
    let calls = all_answered(&outcome).1;
    let report = report(&outcome);
    let by_digest = report["answers"].as_object().unwrap();
    assert_eq!(by_digest.keys().collect::<Vec<_>>(), [report["digest"].as_str().unwrap()]);
    // What was in flight at the end was answered, and counts in one of the two.
    let answers = by_digest.values().next().unwrap().as_u64().unwrap();
    assert!(answers >= calls && report["again"] == 0, "{answers} of {calls}");
    assert!(told(&outcome).contains(&format!("{answers} answers of ")), "{}", outcome.stderr);
}

#[test]
fn a_rule_that_does_not_hold_is_named() {
    let server = MODELS.serve();
    let rules = ["--threshold", "rps>=1000000", "--threshold", "error-rate<50%"];
    let outcome = load(&[], &server.url(), &[&["--users", "1"][..], &rules].concat());
    assert_eq!(outcome.code, 3, "{}", outcome.stderr);
    let words = told(&outcome);
    assert!(words.contains("FAILS rps>=1000000: ") && words.contains("holds error-rate<50%: "), "{words}");
    let report = report(&outcome);
    assert_eq!(report["holds"], false);
    let holds: Vec<bool> =
        report["rules"].as_array().unwrap().iter().map(|rule| rule["holds"].as_bool().unwrap()).collect();
    assert_eq!(holds, [false, true]);
}

#[test]
fn another_model_than_the_expected_one_fails() {
    let server = MODELS.serve();
    for loop_of in [["--users", "1"], ["--rate", "50"]] {
        for rules in [&["--threshold", "error-rate<1%"][..], &[]] {
            let expected = ["--expect-version", &MODELS.old];
            let outcome = load(&[], &server.url(), &[&loop_of[..], &expected, rules].concat());
            let report = report(&outcome);
            let row = &report["rows"][0];
            assert!(row["calls"].as_u64().unwrap() > 0 && row["failed"] == row["calls"], "{report:#}");
            // With a rule or without: it was said what has to answer.
            assert_eq!(outcome.code, 3, "{rules:?}: {}", outcome.stderr);
        }
    }
    let outcome = load(&[], &server.url(), &["--users", "1", "--expect-version", &MODELS.new]);
    all_answered(&outcome);
}

#[test]
fn a_line_that_is_no_rule_is_told_with_its_file_and_number() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("staging.rules");
    fs::write(&rules, "# of staging\nrps>=1\nfast # or so\n").unwrap();
    let rules = rules.display().to_string();
    // Before anybody is asked.
    let arguments = ["--host", "http://127.0.0.1:1", "--users", "1", "--thresholds", &rules];
    let outcome = run_with(&[], "prowl-loadtest", &arguments);
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
    assert!(outcome.error().contains(&format!("{rules}, line 3: \"fast\" is no rule")), "{}", outcome.stderr);
}

#[test]
fn the_report_of_goose_is_written() {
    let server = MODELS.serve();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    let file = path.display().to_string();
    all_answered(&load(&[], &server.url(), &["--users", "1", "--report-file", &file]));
    let html = fs::read_to_string(&path).unwrap();
    assert!(html.contains("<html") && html.contains("score") && html.contains(server.grpc()), "{}", html.len());
}

#[test]
fn a_load_test_that_is_stopped_says_so() {
    let server = MODELS.serve();
    let host = server.url();
    let arguments = ["--host", &host, "--store", &MODELS.store.url, "--users", "1", "--run-time", "5m"];
    let mut running = Running::start("prowl-loadtest", &arguments);
    running.wait_for_line("\"message\":\"drawn\"");
    // Until its users are at work.
    sleep(Duration::from_secs(2));
    let outcome = running.stop();
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    assert!(outcome.error().contains("stopped by SIGTERM"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("GRPC score: "), "what was done until then is told: {}", outcome.stderr);
}

//! The switch, rehearsed: no call is lost where green is good, and what is broken is caught.

use prowl_e2e::{Outcome, run};
use serde_json::Value;

use crate::given::{MODELS, WIDE, broken, check};

/// A short one from `blue` to `green`, and what came of it.
fn rehearse(blue: &str, green: &str, more: &[&str]) -> (Outcome, Value) {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("rehearsal").display().to_string();
    let arguments = [
        ["--store", &MODELS.store.url],
        ["--blue", blue],
        ["--green", green],
        ["--rate", "100"],
        ["--gate-rate", "100"],
        ["--gate-time", "3s"],
        ["--output", &output],
    ];
    let outcome = run(
        "prowl-loadtest",
        &[&["rehearse", "--json"][..], arguments.as_flattened(), WIDE.as_flattened(), more].concat(),
    );
    let told = outcome.json();
    (outcome, told)
}

#[test]
fn a_switch_forth_and_back_loses_no_call() {
    let (outcome, told) = rehearse(&MODELS.new, &MODELS.new, &["--switches", "2"]);
    assert_eq!((told["failed"].as_u64(), told["unknown_digests"].as_u64()), (Some(0), Some(0)), "{told:#}");
    assert!(told["calls"].as_u64().unwrap() > 500, "{told:#}");
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("rehearsal: holds"), "{}", outcome.stderr);
    let switches = told["switches"].as_array().unwrap();
    let sides: Vec<&str> = switches.iter().map(|switch| switch["to"].as_str().unwrap()).collect();
    assert_eq!(sides, ["green", "blue"]);
    assert!(switches.iter().all(|switch| switch["exit_code"] == 0 && switch["cut"] == 0), "{told:#}");
}

/// What the gate says of a fault: it has caught it, and nothing was switched.
fn caught(outcome: &Outcome, told: &Value) {
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stderr.contains(": caught"), "{}", outcome.stderr);
    assert_eq!(told["gate"]["decision"], "no_go", "{told:#}");
    assert!(told["switches"].as_array().unwrap().is_empty(), "{told:#}");
    assert_eq!(told["failed"], 0, "what serves is not touched by it: {told:#}");
}

#[test]
fn another_model_than_the_one_that_was_built_is_caught() {
    let (outcome, told) = rehearse(&MODELS.old, &MODELS.new, &["--break", "wrong-model"]);
    caught(&outcome, &told);
    assert_eq!(broken(&told["gate"]), ["expected model"]);
}

#[test]
fn figures_that_are_no_numbers_are_caught() {
    let (outcome, told) = rehearse(&MODELS.new, &MODELS.new, &["--break", "nan"]);
    caught(&outcome, &told);
    let answered = ["first calls answered", "answered"].map(|name| check(&told["gate"], name));
    assert!(answered.iter().any(|check| check["why"].as_str().unwrap().contains("not finite")), "{told:#}");
}

//! Gates that run at one time, and one that is ended before it knows.

use std::fs;

use crate::given::{Gate, MODELS, assert_go, broken, check};

#[test]
fn one_gate_at_a_time_has_a_folder() {
    let preview = MODELS.serve();
    let gate = Gate::of(&preview.url(), &MODELS.new);
    let first = gate.start_racing();
    let second = gate.run();
    assert_eq!(second.code, 1, "{}", second.stderr);
    let (error, folder) = (second.error(), gate.path("").display().to_string());
    let folder = folder.trim_end_matches('/');
    assert!(error.contains("another gate") && error.contains("--output") && error.contains(folder), "{error}");
    assert!(gate.verdict().is_none(), "the first has not come to its end");
    // That somebody else came is nothing to the first.
    let first = first.wait();
    assert_go(&first, &gate.verdict().unwrap());
}

#[test]
fn two_gates_of_one_preview_are_no_go_of_either() {
    let (preview, active) = (MODELS.serve(), MODELS.serve());
    let http = format!("http://{}", preview.http());
    let gate = || Gate::of(&preview.url(), &MODELS.new).with(&["--preview-http", &http, "--active", &active.url()]);
    let gates = [gate(), gate()];
    let running = gates.each_ref().map(Gate::start);
    for (gate, running) in gates.iter().zip(running) {
        let told = gate.check_refused(&running.wait(), 1);
        assert!(told.contains("calls that are not of this gate: is another gate at work on it?"), "{told}");
        assert_eq!(broken(&gate.verdict().unwrap()), ["asked alone"]);
    }
    // When they are over, one by itself gets its go.
    let gate = gate();
    let outcome = gate.run();
    let verdict = gate.verdict().unwrap();
    assert_go(&outcome, &verdict);
    assert_eq!(check(&verdict, "asked alone")["observed"], "it answered nobody else");
}

#[test]
fn one_that_is_stopped_leaves_no_verdict() {
    let preview = MODELS.serve();
    let gate = Gate::of(&preview.url(), &MODELS.new);
    // Of an earlier one: whoever reads it now would take it for the answer.
    fs::write(gate.path("verdict.json"), r#"{"decision": "go"}"#).unwrap();
    let stopped = gate.start_racing().stop();
    let told = gate.check_refused(&stopped, 1);
    assert!(told.contains("stopped by SIGTERM: there is no verdict, which is no go"), "{told}");
    assert!(gate.verdict().is_none());
}

//! Gates that run at one time, and one that is ended before it knows.

use std::fs;

use crate::given::{Gate, MODELS, assert_go};

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
fn gates_of_the_same_servers_do_not_see_each_other() {
    let (preview, active) = (MODELS.serve(), MODELS.serve());
    let gates = [(); 2].map(|()| Gate::of(&preview.url(), &MODELS.new).with(&["--active", &active.url()]));
    let running = gates.each_ref().map(Gate::start);
    for (gate, running) in gates.iter().zip(running) {
        let outcome = running.wait();
        assert_go(&outcome, &gate.verdict().unwrap());
    }
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

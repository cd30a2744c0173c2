//! A clock that is set while a gate works: what it measures, it measures by one that only counts on.

use std::path::{Path, PathBuf};
use std::process::Command;

use prowl_e2e::servers::of_the_system;
use serde_json::Value;
use tempfile::TempDir;

use crate::given::{Gate, MODELS, assert_go};

/// Two days, so that no midnight between makes the date the same again.
const FORWARD: &str = "172800";
const BACKWARD: &str = "-172800";

/// What a program has to be started with for its clock to jump, as a file.
fn shim(folder: &TempDir) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/loadtest/clock.c");
    let library = folder.path().join("clock.so");
    let mut compile = Command::new(of_the_system("cc"));
    compile.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(source);
    let told = compile.output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    library
}

/// The dates of a log, in its order.
fn dates(log: &str) -> Vec<String> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter_map(|line| Some(line["timestamp"].as_str()?.get(..10)?.to_owned())).collect()
}

fn a_gate_whose_clock_jumps(by: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (preview, active) = (MODELS.serve(), MODELS.serve());
    let gate = Gate::of(&preview.url(), &MODELS.new).with(&["--active", &active.url()]);
    let gate = gate.given("LD_PRELOAD", &shim(&folder).display().to_string()).given("CLOCK_JUMP", by);
    let outcome = gate.run();
    // The last line comes after the race, when the search for the knee begins.
    let dates = dates(&outcome.stderr);
    assert_ne!(dates.first().unwrap(), dates.last().unwrap(), "it has not jumped: {}", outcome.stderr);

    let verdict = gate.verdict().unwrap();
    assert_go(&outcome, &verdict);
    let seconds = verdict["seconds"].as_f64().unwrap();
    assert!((3.0..60.0).contains(&seconds), "{seconds}");
    for side in ["preview", "active"] {
        let of = &verdict["race"][side];
        let [p50, longest] = ["p50", "max"].map(|figure| of[figure].as_f64().unwrap());
        assert!(0.0 < p50 && p50 <= longest && longest < 10_000.0, "{of}");
        assert!((200..=400).contains(&of["calls"].as_u64().unwrap()), "{of}");
    }
    assert_eq!(verdict["race"]["timeline"].as_array().unwrap().len(), 3);
}

#[test]
fn a_clock_that_jumps_forward_changes_nothing() {
    a_gate_whose_clock_jumps(FORWARD);
}

#[test]
fn a_clock_that_jumps_back_changes_nothing() {
    a_gate_whose_clock_jumps(BACKWARD);
}

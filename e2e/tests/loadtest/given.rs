//! Two models, what serves them, and a gate that is short.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

pub(crate) use prowl_e2e::WIDE;
use prowl_e2e::{Outcome, Running, Server, TestStore, Variable, run};
use serde_json::Value;
use tempfile::TempDir;

/// Planted: nobody may ever say it.
pub(crate) const TOKEN: &str = "planted-token-of-the-gate";
/// The line of the log with which both sides begin to be asked.
pub(crate) const RACING: &str = "\"message\":\"racing\"";

/// The files of a verdict.
const NAMES: [&str; 3] = ["verdict.json", "verdict.md", "report.html"];
/// Two seconds of it look for the knee.
const SHORT: [[&str; 2]; 5] =
    [["--rate", "100"], ["--run-time", "3s"], ["--load-time", "1s"], ["--highest-rate", "120"], ["--step", "1s"]];

/// Two models of the same pull requests in one store.
pub(crate) struct Models {
    pub(crate) store: TestStore,
    pub(crate) old: String,
    pub(crate) new: String,
}

/// Trained once: it takes longer than most of these tests.
pub(crate) static MODELS: LazyLock<Models> = LazyLock::new(Models::train);

impl Models {
    fn train() -> Self {
        let (store, _) = TestStore::trained(600, 5);
        let arguments = ["train", "--store", &store.url, "--features", "latest", "--epochs", "3", "--seed", "2"];
        let _ = run("prowl-trainer", &arguments).expect_success();
        let models = fs::read_dir(store.root.join("models")).unwrap();
        let mut names: Vec<String> = models.map(|model| model.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        let [old, new] = <[String; 2]>::try_from(names).unwrap();
        Self { store, old, new }
    }

    /// A server of the new one.
    pub(crate) fn serve(&self) -> Server {
        Server::start(&self.store.url, &self.new)
    }
}

/// A gate with a folder of its own.
pub(crate) struct Gate {
    folder: TempDir,
    arguments: Vec<String>,
    environment: Vec<Variable>,
}

impl Gate {
    /// One of `preview` which has to serve `version`.
    pub(crate) fn of(preview: &str, version: &str) -> Self {
        Self::without_store(preview, version).with(&["--store", &MODELS.store.url])
    }

    /// One that has to be told all that the store would tell.
    pub(crate) fn without_store(preview: &str, version: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().display().to_string();
        Self { folder, arguments: Vec::new(), environment: Vec::new() }
            .with(&["gate", "--preview", preview, "--expect-version", version])
            .with(&["--output", &output])
            .with(SHORT.as_flattened())
            .with(WIDE.as_flattened())
    }

    /// The same with further arguments.
    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// The same with a variable.
    pub(crate) fn given(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    pub(crate) fn start(&self) -> Running {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        Running::start_with(&self.environment, "prowl-loadtest", &arguments)
    }

    /// Starts it, and waits until both sides are asked.
    pub(crate) fn start_racing(&self) -> Running {
        let mut running = self.start();
        running.wait_for_line(RACING);
        running
    }

    pub(crate) fn run(&self) -> Outcome {
        self.start().wait()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its files, in the order of their names above; empty where they are not there.
    pub(crate) fn files(&self) -> [String; 3] {
        NAMES.map(|name| fs::read_to_string(self.path(name)).unwrap_or_default())
    }

    pub(crate) fn verdict(&self) -> Option<Value> {
        let text = fs::read(self.path("verdict.json")).ok()?;
        Some(serde_json::from_slice(&text).unwrap())
    }

    /// Runs it to an end that is no go, and gives what a person is told.
    pub(crate) fn refused(&self, code: i32) -> String {
        self.check_refused(&self.run(), code)
    }

    /// The same of one that has ended.
    pub(crate) fn check_refused(&self, outcome: &Outcome, code: i32) -> String {
        assert_ne!(code, 0, "that would be a go");
        assert_eq!(outcome.code, code, "{}", outcome.stderr);
        for text in self.files().iter().chain([&outcome.stdout, &outcome.stderr]) {
            assert!(!text.contains(TOKEN), "the token shows: {text}");
        }
        if let Some(verdict) = self.verdict() {
            let decision = if code == 3 { "no_go" } else { "unknown" };
            assert_eq!(verdict["decision"], decision, "{verdict:#}");
        }
        told(outcome)
    }
}

/// What a person reads, without the log.
pub(crate) fn told(outcome: &Outcome) -> String {
    outcome.stderr.lines().filter(|line| !line.starts_with('{')).collect::<Vec<_>>().join("\n")
}

/// One check of a verdict.
pub(crate) fn check<'a>(verdict: &'a Value, name: &str) -> &'a Value {
    let found = verdict["checks"].as_array().unwrap().iter().find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("no check {name}: {verdict:#}"))
}

/// The checks of a verdict that do not hold, or could not be told.
pub(crate) fn broken(verdict: &Value) -> Vec<&str> {
    let checks = verdict["checks"].as_array().unwrap().iter();
    checks.filter(|check| check["holds"] != true).map(|check| check["name"].as_str().unwrap()).collect()
}

/// All holds.
pub(crate) fn assert_go(outcome: &Outcome, verdict: &Value) {
    assert_eq!((outcome.code, &broken(verdict)[..]), (0, &[][..]), "{}\n{verdict:#}", outcome.stderr);
    assert_eq!(verdict["decision"], "go");
}

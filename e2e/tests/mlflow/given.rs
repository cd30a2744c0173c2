//! What the tests of MLflow share: one server, one features run, and a look at what a training left behind.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use prowl_e2e::servers::Mlflow;
use prowl_e2e::{Outcome, Run, TestStore, Variable, run_with};
use serde_json::{Value, json};

/// A server, and a store with a features run of some hundred pull requests.
pub(crate) struct Given {
    pub(crate) mlflow: Arc<Mlflow>,
    pub(crate) store: TestStore,
    pub(crate) run: Run,
    pub(crate) snapshot: String,
}

impl Given {
    /// The one that all tests share; it goes with its last user.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Given>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let mlflow = Mlflow::shared();
            let store = TestStore::empty();
            store.synth(400, 7);
            let run = store.preprocess("latest", &[]);
            let exports = std::fs::read_dir(store.root.join("exports")).unwrap();
            let snapshot = exports.map(|entry| entry.unwrap().file_name().into_string().unwrap()).next().unwrap();
            let given = Arc::new(Self { mlflow, store, run, snapshot });
            *shared = Arc::downgrade(&given);
            given
        })
    }

    /// Trains with the server at `uri`.
    pub(crate) fn train(&self, uri: &str, arguments: &[&str]) -> Outcome {
        self.train_with(&[("MLFLOW_URI", uri.to_owned())], arguments)
    }

    /// Trains with these variables.
    pub(crate) fn train_with(&self, environment: &[Variable], arguments: &[&str]) -> Outcome {
        let first = ["train", "--store", &self.store.url, "--json"];
        run_with(environment, "prowl-trainer", &[&first[..], arguments].concat())
    }

    /// The folder of the model that was published.
    pub(crate) fn model(&self, trained: &Outcome) -> PathBuf {
        let folder = self.store.root.join("models").join(trained.json()["version"].as_str().unwrap());
        assert!(folder.join("manifest.json").exists(), "{} is not published", folder.display());
        folder
    }

    /// The run of this id.
    pub(crate) fn logged(&self, id: &str) -> Logged {
        Logged(self.mlflow.get(&format!("runs/get?run_id={id}"))["run"].clone())
    }

    /// All runs of an experiment, the newest first.
    pub(crate) fn runs(&self, experiment: &str) -> Vec<Logged> {
        let path = format!("experiments/get-by-name?experiment_name={}", quoted(experiment));
        let (status, found) = self.mlflow.try_get(&path);
        if status == 404 {
            return Vec::new();
        }
        let ids = [&found["experiment"]["experiment_id"]];
        let found = self.mlflow.post("runs/search", &json!({ "experiment_ids": ids, "max_results": 100 }));
        found["runs"].as_array().into_iter().flatten().cloned().map(Logged).collect()
    }

    /// The versions of a registered model by their numbers, each with its aliases.
    pub(crate) fn versions(&self, model: &str) -> Vec<Value> {
        let (status, found) = self.mlflow.try_get(&format!("registered-models/get?name={}", quoted(model)));
        if status == 404 {
            return Vec::new();
        }
        let filter = quoted(&format!("name = '{model}'"));
        let versions = self.mlflow.get(&format!("model-versions/search?filter={filter}"));
        let mut versions: Vec<Value> = versions["model_versions"].as_array().into_iter().flatten().cloned().collect();
        versions.sort_by_key(|version| number(&version["version"]));
        for version in &mut versions {
            let aliases = found["registered_model"]["aliases"].as_array().into_iter().flatten();
            let own = aliases.filter(|alias| alias["version"] == version["version"]);
            version["aliases"] = own.map(|alias| alias["alias"].clone()).collect();
        }
        versions
    }
}

/// A run, as MLflow tells of it.
#[derive(Debug)]
pub(crate) struct Logged(pub(crate) Value);

impl Logged {
    pub(crate) fn info(&self, key: &str) -> &str {
        self.0["info"][key].as_str().unwrap()
    }

    pub(crate) fn tag(&self, key: &str) -> Option<&str> {
        entry(&self.0["data"]["tags"], key)?.as_str()
    }

    pub(crate) fn param(&self, key: &str) -> Option<&str> {
        entry(&self.0["data"]["params"], key)?.as_str()
    }

    pub(crate) fn metric(&self, key: &str) -> Option<f64> {
        entry(&self.0["data"]["metrics"], key)?.as_f64()
    }
}

/// The value under `key` in a list of keys and values.
pub(crate) fn entry<'a>(list: &'a Value, key: &str) -> Option<&'a Value> {
    list.as_array()?.iter().find(|entry| entry["key"] == key).map(|entry| &entry["value"])
}

/// A number that MLflow writes as a text, or as a number.
pub(crate) fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

/// A text as a part of a query.
pub(crate) fn quoted(text: &str) -> String {
    let quote = |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).into() } else { format!("%{byte:02X}") };
    text.bytes().map(quote).collect()
}

/// The messages of a level in a log.
pub(crate) fn told(outcome: &Outcome, level: &str) -> Vec<String> {
    let lines = outcome.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of_level = lines.filter(|line| line["level"] == level);
    of_level.map(|line| line["fields"]["message"].as_str().or(line["message"].as_str()).unwrap().to_owned()).collect()
}

/// The only warning, of a training that succeeded.
pub(crate) fn warning(trained: &Outcome) -> String {
    assert_eq!(trained.code, 0, "{}", trained.stderr);
    let warnings = told(trained, "WARN");
    assert_eq!(warnings.len(), 1, "{}", trained.stderr);
    assert_eq!(trained.json()["mlflow"], Value::Null);
    warnings.into_iter().next().unwrap()
}

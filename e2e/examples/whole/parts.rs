//! The servers, and what the programs of each stage may know of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt;
use prowl_e2e::servers::github::{GitHub, TOKEN, World};
use prowl_e2e::servers::{Mlflow, Mongo, OpenBao, Seaweedfs};
use prowl_e2e::{Outcome, TestStore, Variable, run_with};
use prowl_platform::{Folder, Kind, MARKER, Store};
use serde_json::{Map, Value};
use tokio::runtime::Runtime;

use crate::page::Step;

/// What the load test and the reviewer bring to the service. Planted: nobody may ever say them.
const OF_THE_LOAD: &str = "planted-token-of-the-load-test";
const OF_THE_REVIEWER: &str = "planted-token-of-the-reviewer";

/// Pull requests that are at GitHub at first, and of all how many there will be; some of them come in two versions.
const FIRST: usize = 4_500;
const ALL: u32 = 5_000;

/// Where the store lies in the bucket.
const PREFIX: &str = "whole";

/// The servers. They end, with all that they hold, when this is dropped.
pub(crate) struct Parts {
    pub(crate) github: GitHub,
    pub(crate) mongo: Mongo,
    pub(crate) vault: OpenBao,
    pub(crate) mlflow: Arc<Mlflow>,
    s3: Seaweedfs,
    store: Store,
    environments: BTreeMap<&'static str, Vec<Variable>>,
    /// What GitHub does not have yet.
    later: Vec<Value>,
    runtime: Runtime,
}

impl Parts {
    /// Starts all of them, and gives each stage its secret.
    pub(crate) fn start(step: &mut Step) -> Self {
        let mut documents = TestStore::empty().synth(ALL, 31).0;
        // What changed last comes last, as a collector would see it.
        documents.sort_by_cached_key(|document| document["updated_at"]["$date"].as_str().unwrap().to_owned());
        let later = documents.split_off(FIRST);
        let github = GitHub::start(World::of_documents(&documents));
        let (mongo, s3, vault, mlflow) =
            (Mongo::start_with_tls(), Seaweedfs::start(), OpenBao::start(), Mlflow::shared());
        step.wrote("MongoDB's protocol with a password and TLS, S3, OpenBao, MLflow, GitHub's API");
        vault.put_policies();
        let mongo_uri = mongo.uri();
        let with = |mut secret: Map<String, Value>, name: &str, value: String| {
            secret.insert(name.to_owned(), value.into());
            secret
        };
        let api_tokens = format!("loadtest:{OF_THE_LOAD},reviewer:{OF_THE_REVIEWER}");
        let secrets = [
            ("fetch", with(with(Map::new(), "github_token", TOKEN.to_owned()), "mongo_uri", mongo_uri.clone())),
            ("export", with(s3.secret(), "mongo_uri", mongo_uri)),
            ("cluster", s3.secret()),
            ("trainer", with(s3.secret(), "mlflow_uri", format!("http://{}", mlflow.address()))),
            ("inference", with(s3.secret(), "api_tokens", api_tokens)),
            ("loadtest", with(s3.secret(), "prowl_token", OF_THE_LOAD.to_owned())),
        ];
        let url = s3.url(PREFIX);
        let environment = |(stage, secret): (&'static str, Map<String, Value>)| {
            let mut variables = vault.let_in(stage, &secret.into());
            variables.push(("PROWL_STORE", url.clone()));
            (stage, variables)
        };
        let environments = BTreeMap::from(secrets.map(environment));
        let count = environments.len();
        step.wrote(format!("a policy, a secret and a service account's token for each of {count} stages"));
        let (store, runtime) = (s3.store(PREFIX), Runtime::new().unwrap());
        Self { github, mongo, vault, mlflow, s3, store, environments, later, runtime }
    }

    /// The variables of the programs of a stage: where Vault, its secret and the token for it are, and the store.
    pub(crate) fn environment(&self, stage: &str) -> &[Variable] {
        &self.environments[stage]
    }

    /// Runs a program of a stage to its end.
    pub(crate) fn run(&self, stage: &str, program: &str, arguments: &[&str]) -> Outcome {
        run_with(self.environment(stage), program, arguments)
    }

    /// The same of one that has to succeed, and answers in JSON.
    pub(crate) fn report(&self, stage: &str, program: &str, arguments: &[&str]) -> Value {
        self.run(stage, program, &[arguments, &["--json"]].concat()).expect_success().json()
    }

    /// More pull requests, and newer versions of some, appear at GitHub.
    pub(crate) fn go_on(&mut self) {
        let later = std::mem::take(&mut self.later);
        self.github.world(|world| world.add_documents(&later));
    }

    /// A file with the names of the repositories that are at GitHub.
    pub(crate) fn repositories(&self) -> PathBuf {
        let names = self.github.world(|world| {
            let names = world.repositories().map(|repository| repository.full_name.clone());
            names.collect::<Vec<_>>().join("\n")
        });
        let path = self.vault.folder().join("repositories");
        std::fs::write(&path, names).unwrap();
        path
    }

    /// The pull requests that were opened last, the newest first.
    pub(crate) fn newest(&self, count: usize) -> Vec<Value> {
        let mut documents: Vec<Value> = self.github.documents().into_values().collect();
        let opened = |document: &Value| document["created_at"]["$date"].as_str().unwrap().to_owned();
        documents.sort_by_cached_key(|document| std::cmp::Reverse(opened(document)));
        documents.truncate(count);
        documents
    }

    /// A published folder of the store.
    pub(crate) fn folder(&self, kind: Kind, name: &str) -> Folder {
        self.runtime.block_on(self.store.folder(kind, name)).unwrap()
    }

    /// Folders of the store that are not whole, and how many are.
    pub(crate) fn unfinished(&self) -> (Vec<String>, usize) {
        let listed = self.store.object_store().list(None).try_collect::<Vec<_>>();
        let paths = self.runtime.block_on(listed).unwrap().into_iter().map(|object| object.location.to_string());
        // Which files lie in each folder, such as whole/models/20261124T214500Z.
        let mut folders: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for path in paths {
            let parts: Vec<&str> = path.splitn(4, '/').collect();
            if let [_, "exports" | "features" | "models", _, file] = parts[..] {
                folders.entry(parts[..3].join("/")).or_default().push(file.to_owned());
            }
        }
        let is_whole = |files: &[String]| {
            files.iter().any(|file| file == "manifest.json") && files.iter().all(|file| file != MARKER)
        };
        let (whole, unfinished): (Vec<_>, Vec<_>) = folders.into_iter().partition(|(_, files)| is_whole(files));
        (unfinished.into_iter().map(|(folder, _)| folder).collect(), whole.len())
    }

    /// How many uploads to the store were begun and not ended.
    pub(crate) fn unfinished_uploads(&self) -> usize {
        self.s3.unfinished_uploads()
    }

    /// The registered model that is the candidate to go live: its version there, and the digest that is written on it.
    pub(crate) fn candidate(&self) -> (String, String) {
        let found = self.mlflow.get("registered-models/alias?name=prowl&alias=candidate");
        let candidate = &found["model_version"];
        let tags = candidate["tags"].as_array().into_iter().flatten();
        let digest = tags.filter(|tag| tag["key"] == "prowl.model_digest").find_map(|tag| tag["value"].as_str());
        (text(&candidate["version"]), digest.unwrap_or("none").to_owned())
    }

    /// Whether a text gives away what anybody logs in with anywhere.
    pub(crate) fn are_given_away_by(&self, text: &str) -> bool {
        let servers = [Seaweedfs::is_given_away_by, Mongo::is_given_away_by, OpenBao::is_given_away_by];
        servers.iter().any(|is_given_away_by| is_given_away_by(text))
            || self.github.is_given_away_by(text)
            || [OF_THE_LOAD, OF_THE_REVIEWER].iter().any(|token| text.contains(token))
            || self.environments.keys().any(|stage| text.contains(&self.vault.token_of(stage)))
    }
}

/// What a reviewer's own client brings along.
pub(crate) fn reviewer() -> Vec<Variable> {
    vec![("PROWL_TOKEN", OF_THE_REVIEWER.to_owned())]
}

/// The lines of the head of a reviewer's request over HTTP.
pub(crate) fn head_of_reviewer() -> String {
    format!("authorization: Bearer {OF_THE_REVIEWER}\r\ncontent-type: application/json\r\n")
}

/// A text of a report.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// A path as an argument.
pub(crate) fn argument(path: &Path) -> &str {
    path.to_str().unwrap()
}

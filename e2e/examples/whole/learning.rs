//! From GitHub to a model in the registry: fetch, export, features, model; and the same again once there is more.

use prowl_e2e::servers::PULL_REQUESTS;
use prowl_e2e::{Cluster, digests};
use prowl_platform::Kind;
use serde_json::Value;

use crate::page::{Page, Step, short};
use crate::parts::{Parts, argument, text};

/// A model that was published.
pub(crate) struct Model {
    pub(crate) version: String,
    pub(crate) digest: String,
    /// The features run that it was learnt from.
    pub(crate) run: String,
    /// Newest rows that say what kind of change they are.
    pub(crate) declared: f64,
}

/// All that is at GitHub. The features are also made in one process, to compare them.
pub(crate) fn first(page: &mut Page, parts: &Parts, cluster: &Cluster) -> Model {
    page.step("fetch", |step| fetch(step, parts));
    let snapshot = page.step("export", |step| export(step, parts));
    let alone = page.step("features in one process", |step| features(step, parts, &snapshot, &[]));
    let run = page.step("features", |step| {
        let run = on(cluster, step, parts, &snapshot);
        let [alone, together] = [&alone, &run].map(|run| digests(&parts.folder(Kind::Features, run)));
        let found = format!("{} files, by SHA-256", together.len());
        step.check("the cluster makes the features that one process makes", alone == together, found);
        run
    });
    page.step("model", |step| train(step, parts, &run))
}

/// What has changed there since.
pub(crate) fn again(page: &mut Page, parts: &Parts, cluster: &Cluster) -> Model {
    page.step("fetch again", |step| {
        let (read, all) = fetch(step, parts);
        step.check("only what is new or near it was read", read < all, format!("{read} of {all} at GitHub"));
    });
    let snapshot = page.step("export again", |step| export(step, parts));
    let run = page.step("features again", |step| on(cluster, step, parts, &snapshot));
    page.step("model again", |step| train(step, parts, &run))
}

/// Brings the collection up to date. Gives how many pull requests were read, and how many there are.
fn fetch(step: &mut Step, parts: &Parts) -> (u64, u64) {
    let (before, all) = (parts.mongo.count(PULL_REQUESTS), parts.github.documents().len() as u64);
    let (url, repositories) = (parts.github.url(), parts.repositories());
    let visit = ["github", "--api-url", &url, "--repos-file", argument(&repositories)];
    let report = parts.report("fetch", "prowl-fetch", &visit);
    let [read, inserted, changed] =
        ["fetched", "inserted", "changed"].map(|count| number(&report["pull_requests"][count]));
    step.wrote(format!(
        "{inserted} new and {changed} changed pull requests in MongoDB, by {} requests",
        report["requests"]
    ));
    step.same("the collection holds as many as GitHub", parts.mongo.count(PULL_REQUESTS), all);
    step.same("what was not there was inserted", inserted, all - before);
    (read, all)
}

/// Publishes the collection, and gives the name of the export.
fn export(step: &mut Step, parts: &Parts) -> String {
    let report = parts.report("export", "prowl-fetch", &["export"]);
    let snapshot = text(&report["snapshot"]);
    let folder = parts.folder(Kind::Exports, &snapshot);
    let [documents, repositories] = ["documents", "repositories"].map(|count| number(&report[count]));
    let digest = short(folder.digest());
    step.wrote(format!(
        "exports/{snapshot}: {documents} pull requests of {repositories} repositories, digest {digest}"
    ));
    step.same("the export holds the collection", documents, parts.mongo.count(PULL_REQUESTS));
    snapshot
}

/// The features of an export, made on the cluster.
fn on(cluster: &Cluster, step: &mut Step, parts: &Parts, snapshot: &str) -> String {
    features(step, parts, snapshot, &["--scheduler", &cluster.url()])
}

/// Makes the features of an export, and gives the name of the run.
fn features(step: &mut Step, parts: &Parts, snapshot: &str, more: &[&str]) -> String {
    // Parts are named by tasks: with the same number of them, two runs can be compared file by file.
    let arguments = ["--export", snapshot, "--partitions", "8"];
    let report = parts.report("cluster", "prowl-preprocess", &[&arguments[..], more].concat());
    let run = text(&report["run"]);
    let [read, kept, superseded, rejected] =
        ["read", "kept", "superseded", "rejected"].map(|count| number(&report[count]));
    let folder = parts.folder(Kind::Features, &run);
    let digest = short(folder.digest());
    step.wrote(format!("features/{run}: {kept} rows of {} features, digest {digest}", report["features"]));
    let holds = read == kept + superseded + rejected;
    step.check("read = kept + superseded + rejected", holds, format!("{read} = {kept} + {superseded} + {rejected}"));
    step.same("each pull request is a row", kept, parts.mongo.count(PULL_REQUESTS));
    let (made_of, export) = (&folder.manifest().inputs, parts.folder(Kind::Exports, snapshot));
    let names_it = made_of.iter().any(|input| input.digest.as_deref() == Some(export.digest()));
    step.check("it names the export that it was made of, by digest", names_it, short(export.digest()));
    run
}

/// Trains on a run. The model has to be in the registry.
pub(crate) fn train(step: &mut Step, parts: &Parts, run: &str) -> Model {
    let report = parts.report("trainer", "prowl-trainer", &["train", "--features", run, "--require-mlflow"]);
    let (version, digest) = (text(&report["version"]), text(&report["digest"]));
    let training = &report["training"];
    let [rows, validation, test] = ["rows", "validation_rows", "test_rows"].map(|count| number(&training[count]));
    step.wrote(format!(
        "models/{version}: learnt from {rows} + {validation} rows, tried on {test}, digest {}",
        short(&digest)
    ));
    let run_digest = parts.folder(Kind::Features, run).digest().to_owned();
    let names_it = training["run_digest"] == run_digest.as_str();
    step.check("it names the run that it was learnt from, by digest", names_it, short(&run_digest));
    let (registered, candidate) = parts.candidate();
    step.wrote(format!("version {registered} in MLflow"));
    step.check("the candidate in MLflow has its digest", candidate == digest, short(&candidate));
    let declared = report["metrics"]["category_test_rows"].as_f64().unwrap_or_default();
    Model { version, digest, run: run.to_owned(), declared }
}

/// A count of a report.
pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

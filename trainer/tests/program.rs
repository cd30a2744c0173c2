//! `prowl-trainer train` through its own door, on features runs that the test publishes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float32Array, Int64Array, ListBuilder, RecordBatch, StringArray, TimestampMillisecondArray, UInt32Builder,
};
use arrow::datatypes::{DataType, Field};
use bytes::Bytes;
use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};
use parquet::file::{metadata::KeyValue, properties::WriterProperties};
use prowl_model::{Details, Model, Vector};
use prowl_platform::{Folder, Input, Kind, Secrets, Store, StoreUrl};
use rand::{Rng, RngExt, SeedableRng, rngs::ChaCha8Rng};
use serde::Deserialize;
use serde_json::{Value, json};

/// A store in a temporary directory.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn url(&self) -> String {
        format!("file://{}", self.directory.path().display())
    }

    fn store(&self) -> Store {
        Store::open(&StoreUrl::parse(&self.url()).unwrap(), &Secrets::fixed([].into())).unwrap()
    }

    fn train(&self, options: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_prowl-trainer"));
        command.args(["train", "--store", &self.url(), "--epochs", "12"]).args(options);
        command.env_remove("PROWL_LOG").env_remove("PROWL_STORE").output().unwrap()
    }

    /// The message of a training that has to fail, having left no model behind.
    fn refused(&self, options: &[&str]) -> String {
        let output = self.train(options);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains("error: "), "{message}");
        let left = std::fs::read_dir(self.directory.path().join("models")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "no half-written folder: {message}");
        message
    }

    async fn publish(&self, run: &Run) -> Folder {
        let mut draft = self.store().draft(Kind::Features).await.unwrap();
        for (name, bytes) in &run.files {
            draft.put(name, bytes.clone()).await.unwrap();
        }
        let input = Input { kind: "exports".into(), name: "20261124T000000Z".into(), digest: None };
        draft
            .publish(vec![input], BTreeMap::from([("kept".into(), run.rows as u64)]), run.details.clone())
            .await
            .unwrap()
    }

    async fn latest(&self) -> (Folder, Model) {
        let folder = self.store().folder(Kind::Models, "latest").await.unwrap();
        let model = Model::from_bytes(&folder.read("model.safetensors").await.unwrap()).unwrap();
        (folder, model)
    }

    fn file(&self, folder: &Folder, name: &str) -> PathBuf {
        self.directory.path().join(folder.kind().as_str()).join(folder.name()).join(name)
    }
}

/// The files of a features run.
struct Run {
    rows: usize,
    files: BTreeMap<String, Bytes>,
    /// What the manifest says under `details`.
    details: Value,
}

const FEATURES: [&str; 6] = ["additions", "deletions", "churn", "flag", "constant", "never"];

impl Run {
    /// `rows` pull requests in two parts, with profiles in two parts.
    fn new(rows: usize) -> Self {
        let half = rows / 2;
        Self {
            rows,
            files: BTreeMap::from([
                ("part-00000.parquet".into(), features("abcd", 0..half, DataType::Float32)),
                ("part-00001.parquet".into(), features("abcd", half..rows, DataType::Float32)),
                ("profiles/part-00000.parquet".into(), profiles(&["o/a", "o/b"], "repository", "abcd")),
                ("profiles/part-00001.parquet".into(), profiles(&["o/c"], "repository", "abcd")),
            ]),
            details: json!({ "features_digest": "abcd", "as_of": 1 }),
        }
    }

    fn with(mut self, name: &str, bytes: Bytes) -> Self {
        self.files.insert(name.into(), bytes);
        self
    }

    fn without(mut self, prefix: &str) -> Self {
        self.files.retain(|name, _| !name.starts_with(prefix));
        self
    }
}

fn catalog() -> Value {
    let feature = |name| json!({ "name": name, "group": "size", "unit": "lines", "source": name, "missing": "unknown", "about": "Lines." });
    FEATURES.map(feature).into_iter().collect()
}

fn parquet(batch: &RecordBatch, pairs: Vec<KeyValue>) -> Bytes {
    let properties =
        WriterProperties::builder().set_key_value_metadata(Some(pairs)).set_max_row_group_row_count(Some(40)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap().into()
}

/// A part of a run, as prowl-preprocess writes it, also with the columns that the trainer does not look at.
fn features(digest: &str, rows: std::ops::Range<usize>, number_type: DataType) -> Bytes {
    described(digest, &catalog().to_string(), rows, &number_type)
}

/// The same with a list of features in other words.
fn described(digest: &str, catalog: &str, rows: std::ops::Range<usize>, number_type: &DataType) -> Bytes {
    let count = rows.len();
    let mut random = ChaCha8Rng::seed_from_u64(rows.start as u64);
    let mut columns: Vec<(String, ArrayRef, bool)> = Vec::new();
    let mut add = |name: &str, array: ArrayRef, nullable| columns.push((name.to_owned(), array, nullable));
    let times: Vec<i64> = rows.clone().map(|row| 1_700_000_000_000 + row as i64 * 86_400_000).collect();
    let utc = |times: Vec<Option<i64>>| Arc::new(TimestampMillisecondArray::from(times).with_timezone("UTC"));
    add("repository", Arc::new(StringArray::from(vec!["o/r"; count])), false);
    add("number", Arc::new(Int64Array::from_iter_values(rows.clone().map(|row| row as i64 + 1))), false);
    add("created_at", utc(times.iter().copied().map(Some).collect()), false);
    add("merged_at", utc(vec![None; count]), true);
    let numbers: Vec<[Option<f32>; 6]> = rows
        .clone()
        .map(|row| {
            let (additions, deletions) =
                (random.random_range(0.0_f32..9.0).exp(), random.random_range(0.0_f32..7.0).exp());
            let flag = f32::from(u8::from(random.random::<f32>() < 0.1));
            let additions = if row % 11 == 0 { None } else { Some(additions) };
            [additions, Some(deletions), additions.map(|additions| additions + deletions), Some(flag), Some(3.0), None]
        })
        .collect();
    for (index, name) in FEATURES.iter().enumerate() {
        let array: Float32Array = numbers.iter().map(|row| row[index]).collect();
        add(name, arrow::compute::cast(&array, number_type).unwrap(), true);
    }
    let mut tokens = ListBuilder::new(UInt32Builder::new()).with_field(Field::new_list_field(DataType::UInt32, false));
    for row in rows.clone() {
        tokens.append_value((0..5).map(|_| Some((row % 2 * 100) as u32 + random.next_u32() % 30)));
    }
    let tokens: ArrayRef = Arc::new(tokens.finish());
    add("text_tokens", Arc::clone(&tokens), false);
    add("kind_tokens", tokens, false);
    add(
        "category",
        Arc::new(rows.map(|row| (row % 3 > 0).then_some(["fix", "docs"][row % 2])).collect::<StringArray>()),
        true,
    );
    add("reverted", Arc::new(arrow::array::BooleanArray::from(vec![None; count])), true);
    add("reverted_at", utc(vec![None; count]), true);
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let pairs = [("features_digest", digest.to_owned()), ("features", catalog.to_owned())];
    parquet(&batch, pairs.map(|(key, value)| KeyValue::new(key.to_owned(), value)).to_vec())
}

fn profiles(repositories: &[&str], column: &str, digest: &str) -> Bytes {
    let names: ArrayRef = Arc::new(StringArray::from(repositories.to_vec()));
    let batch = RecordBatch::try_from_iter([(column, names)]).unwrap();
    parquet(&batch, vec![KeyValue::new("features_digest".to_owned(), digest.to_owned())])
}

#[tokio::test]
async fn a_run_becomes_a_model() {
    let place = Place::new();
    let run = place.publish(&Run::new(240)).await;
    let output = place.train(&["--json"]);
    let (said, table) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{table}");

    for part in ["reading the features", "fit 1 of 2, epoch 1 of at most 12", "fit 2 of 2", "category head", "report"] {
        let line = format!("\"message\":\"{part}");
        assert!(table.lines().any(|told| told.starts_with('{') && told.contains(&line)), "{part}: {table}");
    }

    let (folder, model) = place.latest().await;
    let metadata = model.metadata();
    assert_eq!(metadata.version, folder.name());
    assert_eq!((metadata.training.run.as_str(), metadata.training.run_digest.as_str()), (run.name(), run.digest()));
    assert_eq!((metadata.training.rows, metadata.training.validation_rows, metadata.training.test_rows), (168, 36, 36));
    assert_eq!(metadata.training.trimmed_rows, 3);
    assert_eq!(metadata.training.known_to, Some(1_700_000_000_000 + 203 * 86_400_000));
    assert_eq!(metadata.features.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), FEATURES);
    assert_eq!(
        (metadata.features_digest.as_str(), metadata.categories.as_slice()),
        ("abcd", &["docs".to_owned(), "fix".into()][..])
    );
    let (values, tokens) = ([10.0, 5.0, 15.0, 0.0, 3.0, f32::NAN], [3, 104]);
    let vector = Vector { values: &values, tokens: &tokens, kind_tokens: &tokens, repository: None };
    let score = model.score(&vector).unwrap();
    assert!(score.anomaly > 0.0 && score.contributions.len() == 7);

    let manifest = folder.manifest();
    let bytes = folder.read("model.safetensors").await.unwrap();
    let onnx = folder.read("model.onnx").await.unwrap();
    assert_eq!(
        onnx,
        prowl_trainer::onnx::to_bytes(&Model::from_bytes(&bytes).unwrap()),
        "the same model, the same bytes"
    );
    let details = Details::deserialize(&manifest.details).unwrap();
    assert_eq!(
        (details.model_digest.as_str(), details.features_digest.as_str()),
        (&*prowl_model::digest(&bytes), "abcd")
    );
    assert_eq!((&details.metrics, &details.settings["epochs"]), (&metadata.metrics, &json!(12)));
    let fields: Vec<_> = manifest.details.as_object().unwrap().keys().collect();
    assert_eq!(
        fields,
        ["features_digest", "metrics", "model_digest", "settings"],
        "as every earlier version wrote them"
    );
    assert_eq!(
        manifest.inputs,
        [Input { kind: "features".into(), name: run.name().into(), digest: Some(run.digest().into()) }]
    );
    assert_eq!(manifest.counts.values().sum::<u64>(), 240);

    let panel: Value = serde_json::from_slice(&folder.read("panel.json").await.unwrap()).unwrap();
    let rows = panel["rows"].as_array().unwrap();
    assert!(panel["features_digest"] == "abcd" && (20..=64).contains(&rows.len()), "{}", rows.len());
    for row in rows {
        let features: Vec<Option<f32>> = serde_json::from_value(row["features"].clone()).unwrap();
        let values: Vec<f32> = features.into_iter().map(|value| value.unwrap_or(f32::NAN)).collect();
        let vector = Vector { values: &values, tokens: &[], kind_tokens: &[], repository: row["repository"].as_str() };
        let (score, said) = (model.score(&vector).unwrap(), row["score"].as_f64().unwrap() as f32);
        assert_eq!(said.to_bits(), score.anomaly.to_bits(), "{row}");
        assert_eq!(row["percentile"].as_f64().unwrap() as f32, score.percentile, "{row}");
    }

    let text = async |name: &str| String::from_utf8(folder.read(name).await.unwrap().to_vec()).unwrap();
    let (page, card) = (text("report.html").await, text("model_card.md").await);
    for text in [&page, &card] {
        assert!(text.contains(&details.model_digest) && text.contains(run.digest()), "{text}");
        assert!(
            !text.contains(&*place.directory.path().to_string_lossy()),
            "it does not tell where it was made: {text}"
        );
    }
    assert!(page.contains("no earlier model that reads the same features"), "{page}");
    assert!(place.train(&[]).status.success());
    let (second, _) = place.latest().await;
    let page = String::from_utf8(second.read("report.html").await.unwrap().to_vec()).unwrap();
    assert!(page.contains(&format!("Model {} was learnt from", folder.name())), "{page}");

    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["version"], &said["digest"]), (&json!(folder.name()), &manifest.details["model_digest"]));
    assert_eq!(said["metrics"], manifest.details["metrics"]);
    assert!(table.contains("reconstruction error") && table.contains("168 opened 2023-11-14 to"), "{table}");
    assert!(
        table.contains(&format!("report: {}report.html (the most unusual of the newest, and why)\n", folder.url())),
        "{table}"
    );
    assert!(table.contains("the newest 36 of 240, since 2024-06-04, only measured"), "{table}");
    assert!(
        table.contains(&format!("next: prowl-inference --store {} --model latest --insecure", place.url())),
        "{table}"
    );
}

#[tokio::test]
async fn of_too_many_rows_the_newest_count() {
    let place = Place::new();
    place.publish(&Run::new(240)).await;
    let output = place.train(&["--max-rows", "100"]);
    let table = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && table.contains("older, not learnt from"), "{table}");
    let training = place.latest().await.1.metadata().training.clone();
    assert_eq!((training.older_rows, training.rows, training.validation_rows, training.test_rows), (140, 70, 15, 15));
    assert_eq!(training.from, 1_700_000_000_000 + 140 * 86_400_000);
}

#[tokio::test]
async fn the_figures_of_a_backtest_are_those_of_the_model() {
    let place = Place::new();
    place.publish(&Run::new(240)).await;
    let output = place.train(&["--backtest"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && told.contains("not measured: risk, slice 1: "), "{told}");
    let metrics = place.latest().await.1.metadata().metrics.clone();
    let measured: Value = {
        let store = place.url();
        let output = Command::new(env!("CARGO_BIN_EXE_prowl-trainer"))
            .args(["backtest", "--json", "--store", &store])
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    };
    // The network is measured as it is trained, with fewer epochs here.
    let auc = measured["anomaly"][0]["mean"]["auc"]["value"].as_f64().unwrap();
    assert!(metrics["backtest_anomaly_auc"] != auc && metrics["backtest_anomaly_auc"] > 0.5, "{metrics:?} {auc}");
    assert_eq!(json!(metrics["backtest_category_accuracy"]), measured["category"][0]["accuracy"]["value"]);
    assert_eq!(json!(metrics["backtest_category_words_alone_accuracy"]), measured["category"][1]["accuracy"]["value"]);
    assert_eq!((metrics["backtest_anomaly_slices"], metrics["backtest_category_slices"]), (5.0, 5.0));
    assert!(metrics.contains_key("test_error") && !metrics.contains_key("backtest_risk_auc"), "{metrics:?}");
}

#[tokio::test]
async fn profiles_are_joined_unchanged() {
    let place = Place::new();
    place.publish(&Run::new(60)).await;
    assert!(place.train(&[]).status.success());
    let (folder, _) = place.latest().await;
    let joined = ParquetRecordBatchReaderBuilder::try_new(folder.read("profiles.parquet").await.unwrap()).unwrap();
    assert_eq!(joined.metadata().num_row_groups(), 2);
    let pairs = joined.metadata().file_metadata().key_value_metadata().unwrap();
    assert!(pairs.contains(&KeyValue::new("features_digest".to_owned(), "abcd".to_owned())), "{pairs:?}");
    let names = joined.build().unwrap().flat_map(|batch| {
        let batch = batch.unwrap();
        let names = batch.column(0).as_any().downcast_ref::<StringArray>().unwrap();
        names.iter().map(|name| name.unwrap().to_owned()).collect::<Vec<_>>()
    });
    assert_eq!(names.collect::<Vec<_>>(), ["o/a", "o/b", "o/c"]);
}

#[tokio::test]
async fn training_again_gives_the_same_tensors() {
    let place = Place::new();
    let run = place.publish(&Run::new(120)).await;
    assert!(place.train(&[]).status.success());
    let (_, first) = place.latest().await;
    assert!(place.train(&["--features", run.name()]).status.success());
    let (_, second) = place.latest().await;
    assert_ne!(first.metadata().version, second.metadata().version);
    let mut parts = second.parts().clone();
    parts.metadata.version.clone_from(&first.metadata().version);
    assert_eq!(Model::from_parts(parts).unwrap().to_bytes().unwrap(), first.to_bytes().unwrap());
}

#[tokio::test]
async fn a_run_that_cannot_be_used_is_refused() {
    let refused = async |run: Run| {
        let place = Place::new();
        place.publish(&run).await;
        place.refused(&[])
    };
    for few in [10, 49] {
        let message = refused(Run::new(few)).await;
        let expected = format!("too few pull requests to learn what is usual: {few}, and it takes 50; export more");
        assert!(message.contains(&expected) && message.contains("prowl-preprocess"), "{message}");
    }

    let message = refused(Run::new(80).with("part-00001.parquet", features("ffff", 0..40, DataType::Float32))).await;
    assert!(message.contains("part-00001.parquet holds features ffff, and part-00000.parquet says abcd"), "{message}");

    let message = refused(Run { details: json!({ "features_digest": "eeee", "as_of": 1 }), ..Run::new(80) }).await;
    assert!(message.contains("part-00000.parquet holds features abcd, and manifest.json says eeee"), "{message}");

    let message = refused(Run { details: json!({ "as_of": 1 }), ..Run::new(80) }).await;
    assert!(
        message.contains("manifest.json of the features run is not usable: its `details`: missing field"),
        "{message}"
    );

    let words = catalog().to_string().replace("Lines.", "Rows.");
    let message =
        refused(Run::new(80).with("part-00001.parquet", described("abcd", &words, 0..40, &DataType::Float32))).await;
    assert!(
        message.contains("part-00001.parquet") && message.contains("in other words than the files before"),
        "{message}"
    );

    let message = refused(Run::new(80).without("part-")).await;
    assert!(message.contains("part-*.parquet of the features run is not usable: there is none"), "{message}");

    let message = refused(Run::new(80).without("profiles/")).await;
    assert!(message.contains("profiles/part-*.parquet") && message.contains("there is none"), "{message}");

    let message = refused(Run::new(80).with("profiles/part-00001.parquet", profiles(&["o/d"], "name", "abcd"))).await;
    assert!(message.contains("profiles/part-00001.parquet") && message.contains("its columns differ"), "{message}");

    let foreign = profiles(&["o/d"], "repository", "ffff");
    let message = refused(Run::new(80).with("profiles/part-00001.parquet", foreign)).await;
    assert!(message.contains("profiles/part-00001.parquet") && message.contains("its metadata differs"), "{message}");

    let message = refused(Run::new(80).with("part-00001.parquet", Bytes::from_static(b"no parquet"))).await;
    assert!(message.contains("part-00001.parquet of the features run is not usable"), "{message}");

    let message = refused(Run::new(80).with("part-00000.parquet", features("abcd", 0..40, DataType::Float64))).await;
    assert!(message.contains("column \"additions\" holds Float64"), "{message}");

    let plain =
        parquet(&RecordBatch::try_from_iter([("x", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap(), vec![]);
    let message = refused(Run::new(80).with("part-00000.parquet", plain)).await;
    assert!(message.contains("its metadata has no `features_digest`"), "{message}");
}

#[tokio::test]
async fn a_changed_or_missing_file_is_refused() {
    for file in ["part-00001.parquet", "profiles/part-00001.parquet"] {
        let place = Place::new();
        let run = place.publish(&Run::new(80)).await;
        let path = place.file(&run, file);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let message = place.refused(&[]);
        assert!(message.contains(file) && message.contains("was changed after it was published"), "{message}");
        std::fs::remove_file(&path).unwrap();
        let message = place.refused(&[]);
        assert!(message.contains(file) && message.contains("is missing"), "{message}");
    }
}

#[test]
fn a_store_that_is_not_there_or_empty_is_refused() {
    let place = Place::new();
    let message = place.refused(&[]);
    assert!(message.contains("no finished features run") && message.contains("prowl-preprocess"), "{message}");
    let message = place.refused(&["--features", "20261124T214500Z"]);
    assert!(message.contains("20261124T214500Z"), "{message}");

    let gone = Place { directory: tempfile::tempdir().unwrap() };
    std::fs::remove_dir(gone.directory.path()).unwrap();
    assert!(gone.refused(&[]).contains("does not exist"));
}

#[test]
fn wrong_use_is_told_apart() {
    let place = Place::new();
    for (options, expected) in [
        (&["--code", "64"][..], "no bottleneck"),
        (&["--learning-rate", "0"], "not above 0"),
        (&["--learning-rate", "NaN"], "not above 0"),
        (&["--epochs", "0"], "invalid value '0'"),
        (&["--unheard", "of"], "unexpected argument"),
    ] {
        let output = if options[0] == "--epochs" {
            Command::new(env!("CARGO_BIN_EXE_prowl-trainer"))
                .args(["train", "--store", &place.url()])
                .args(options)
                .output()
                .unwrap()
        } else {
            place.train(options)
        };
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(expected), "{message}");
    }
    let output =
        Command::new(env!("CARGO_BIN_EXE_prowl-trainer")).args(["train", "--store", "store"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("write file://"));
}

/// SIGTERM in the middle ends the program soon, with nothing left behind.
#[cfg(unix)]
#[tokio::test]
async fn a_signal_leaves_no_model() {
    let place = Place::new();
    place.publish(&Run::new(240)).await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_prowl-trainer"))
        .args(["train", "--store", &place.url(), "--epochs", "100000", "--patience", "100000"])
        .env("PROWL_LOG", "debug")
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let log = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut lines = std::io::BufRead::lines(log).map(Result::unwrap);
    assert!(lines.any(|line| line.contains("epoch")), "it trains");
    let killed = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(killed.success());
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(rest.iter().any(|line| line.contains("training was stopped")), "{rest:?}");
    assert!(is_empty(&place.directory.path().join("models")), "the draft is gone");
}

/// So does one that comes while Vault keeps the program waiting, before there is any work.
#[cfg(unix)]
#[test]
fn a_signal_is_heard_before_the_work_begins() {
    let (place, vault) = (Place::new(), std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let child = Command::new(env!("CARGO_BIN_EXE_prowl-trainer"))
        .args(["train", "--store", &place.url()])
        .env("VAULT_ADDR", format!("http://{}", vault.local_addr().unwrap()))
        .envs([("VAULT_TOKEN", "t"), ("VAULT_SECRET_PATH", "secret/prowl/trainer")])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let _asked = vault.accept().unwrap();
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("training was stopped"), "{said}");
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).map_or(true, |mut entries| entries.next().is_none())
}

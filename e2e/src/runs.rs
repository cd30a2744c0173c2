//! What stages publish, read back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float32Type, Int64Type, TimestampMillisecondType, UInt32Type};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use prowl_platform::{Folder, Kind, Store};

/// One row of a features run.
#[derive(Clone, Debug)]
pub struct Row {
    /// When the pull request was opened, in milliseconds since 1970 UTC.
    pub created_at: i64,
    /// Features by position; NaN where the column is null.
    pub values: Vec<f32>,
    /// Hashed words.
    pub tokens: Vec<u32>,
    /// Hashes of what tells the kind of the change.
    pub kind_tokens: Vec<u32>,
    /// The title, as far as it is kept.
    pub title: Option<String>,
    /// The label.
    pub reverted: Option<bool>,
    /// When that became known, in milliseconds since 1970 UTC.
    pub reverted_at: Option<i64>,
    /// The history it was computed from, where the run keeps it.
    pub history: Option<serde_json::Value>,
}

impl Row {
    /// Features as bits, so that equality means equality.
    pub fn bits(&self) -> Vec<u32> {
        self.values.iter().map(|value| value.to_bits()).collect()
    }
}

/// A features run.
#[derive(Debug)]
pub struct Run {
    /// Names of the features.
    pub names: Vec<String>,
    /// Rows by identity.
    pub rows: BTreeMap<(String, u64), Row>,
    /// Identities in the order of the rows.
    pub order: Vec<(String, u64)>,
    /// Its counts: read, kept, superseded, rejected.
    pub counts: BTreeMap<String, u64>,
    /// SHA-256 of each of its files.
    pub files: BTreeMap<String, String>,
    /// Its folder.
    pub folder: PathBuf,
}

/// Reads a run of the store below `root`, as JSON output of `prowl-preprocess` names it.
pub fn read_run(root: &Path, name: &str) -> Run {
    let folder = root.join("features").join(name);
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    let entries = manifest["files"].as_array().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let mut run = Run {
        names: Vec::new(),
        rows: BTreeMap::new(),
        order: Vec::new(),
        counts: serde_json::from_value(manifest["counts"].clone()).unwrap(),
        files: entries.iter().map(|entry| (text(&entry["path"]), text(&entry["sha256"]))).collect(),
        folder,
    };
    let parts: Vec<_> = run.files.keys().filter(|path| path.starts_with("part-")).cloned().collect();
    for part in parts {
        for batch in batches(&run.folder.join(part)) {
            add_rows(&mut run, &batch);
        }
    }
    run
}

fn batches(path: &Path) -> Vec<RecordBatch> {
    let file = std::fs::File::open(path).unwrap();
    ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().map(Result::unwrap).collect()
}

fn add_rows(run: &mut Run, batch: &RecordBatch) {
    let column = |name: &str| batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"));
    let schema = batch.schema();
    let float = arrow::datatypes::DataType::Float32;
    let features: Vec<_> = schema.fields().iter().filter(|field| *field.data_type() == float).collect();
    run.names = features.iter().map(|field| field.name().clone()).collect();
    let repository = column("repository").as_string::<i32>();
    let number = column("number").as_primitive::<Int64Type>();
    let created_at = column("created_at").as_primitive::<TimestampMillisecondType>();
    let tokens = column("text_tokens").as_list::<i32>();
    let kind_tokens = column("kind_tokens").as_list::<i32>();
    let title = column("title").as_string::<i32>();
    let reverted = column("reverted").as_boolean();
    let reverted_at = column("reverted_at").as_primitive::<TimestampMillisecondType>();
    let history = batch.column_by_name("history").map(AsArray::as_string::<i32>);
    let columns: Vec<_> = run.names.iter().map(|name| column(name).as_primitive::<Float32Type>()).collect();
    for row in 0..batch.num_rows() {
        let value = Row {
            created_at: created_at.value(row),
            values: columns.iter().map(|c| if c.is_null(row) { f32::NAN } else { c.value(row) }).collect(),
            tokens: tokens.value(row).as_primitive::<UInt32Type>().values().to_vec(),
            kind_tokens: kind_tokens.value(row).as_primitive::<UInt32Type>().values().to_vec(),
            title: title.is_valid(row).then(|| title.value(row).to_owned()),
            reverted_at: reverted_at.is_valid(row).then(|| reverted_at.value(row)),
            reverted: reverted.is_valid(row).then(|| reverted.value(row)),
            history: history.map(|history| serde_json::from_str(history.value(row)).unwrap()),
        };
        let identity = (repository.value(row).to_owned(), number.value(row) as u64);
        run.order.push(identity.clone());
        assert!(run.rows.insert(identity.clone(), value).is_none(), "{identity:?} twice");
    }
}

/// Publishes `model` again with the profiles of another run, as a service that starts from these finds it.
pub async fn publish_model(store: &Store, model: &Folder, profiles: &Run) -> Folder {
    let mut draft = store.draft(Kind::Models).await.unwrap();
    draft.put("model.safetensors", model.read("model.safetensors").await.unwrap()).await.unwrap();
    let parts: Vec<_> = profiles.files.keys().filter(|path| path.starts_with("profiles/")).collect();
    let all: Vec<_> = parts.iter().flat_map(|part| batches(&profiles.folder.join(part))).collect();
    let mut writer = ArrowWriter::try_new(Vec::new(), all[0].schema(), None).unwrap();
    for batch in &all {
        writer.write(batch).unwrap();
    }
    draft.put("profiles.parquet", writer.into_inner().unwrap().into()).await.unwrap();
    let manifest = model.manifest();
    draft.publish(manifest.inputs.clone(), manifest.counts.clone(), manifest.details.clone()).await.unwrap()
}

/// A line that was rejected.
#[derive(Clone, Debug)]
pub struct RejectRow {
    /// Its number.
    pub line: u64,
    /// Offset of its first byte.
    pub offset: u64,
    /// The field that is wrong.
    pub field: String,
    /// What is wrong.
    pub reason: String,
    /// Its first characters.
    pub sample: String,
}

/// The rejects of a run, by line.
pub fn reject_rows(run: &Run) -> Vec<RejectRow> {
    let mut rows = Vec::new();
    for part in run.files.keys().filter(|path| path.starts_with("rejects/")) {
        for batch in batches(&run.folder.join(part)) {
            let count = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<arrow::datatypes::UInt64Type>();
            let text = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>();
            let (line, offset) = (count("line"), count("offset"));
            let (field, reason, sample) = (text("field"), text("reason"), text("sample"));
            rows.extend((0..batch.num_rows()).map(|row| RejectRow {
                line: line.value(row),
                offset: offset.value(row),
                field: field.value(row).to_owned(),
                reason: reason.value(row).to_owned(),
                sample: sample.value(row).to_owned(),
            }));
        }
    }
    rows
}

//! Reads a published features run into a [`Dataset`].

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Int64Type, TimeUnit, TimestampMillisecondType, UInt32Type};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use prowl_model::FeatureInfo;
use prowl_platform::Folder;
use serde::Deserialize;

use crate::dataset::{Builder, Dataset, Outcome, Row};
use crate::error::TrainError;
use crate::feedback::Feedback;

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 8192;

/// Reads the newest `most` rows of all `part-*.parquet` of a run, each file checked against the manifest. Holds one file and
/// the dataset in memory. What reviewers said takes the place of the labels of their pull requests.
///
/// # Errors
/// A file is damaged or has other columns than a features run has, the files disagree about the list of features, or
/// the store cannot be read.
pub(crate) async fn read(run: &Folder, most: usize, feedback: &mut Feedback) -> Result<Dataset, TrainError> {
    let mut other = "manifest.json".to_owned();
    let RunDetails { features_digest, label_maturity_days } = RunDetails::deserialize(&run.manifest().details)
        .map_err(|error| TrainError::File { file: other.clone(), problem: format!("its `details`: {error}") })?;
    let mut builder: Option<Builder> = None;
    let parts: Vec<String> = run.files("part-").map(|entry| entry.path.clone()).collect();
    let mut newest = newest(run, &parts, most).await?;
    for file in parts {
        let content = run.read(&file).await?;
        let part = Part::open(&file, content)?;
        if part.digest != features_digest {
            return Err(TrainError::MixedFeatures { file, found: part.digest, other, expected: features_digest });
        }
        let builder = builder.get_or_insert_with(|| Builder::new(part.features.clone(), part.digest.clone()));
        if builder.features() != part.features {
            return Err(
                part.unusable("it describes the features in other words than the files before it, under one digest")
            );
        }
        part.read_into(builder, i64::from(label_maturity_days) * 86_400_000, &mut newest, feedback)?;
        other = file;
    }
    let file = "part-*.parquet".to_owned();
    let mut dataset =
        builder.map(Builder::build).ok_or(TrainError::File { file, problem: "there is none".to_owned() })?;
    dataset.older_rows = newest.older;
    Ok(dataset)
}

/// The rows that are newest, as they are met: those after a moment, and the first few of that moment.
#[derive(Debug)]
struct Newest {
    after: i64,
    at: usize,
    older: u64,
}

impl Newest {
    const ALL: Self = Self { after: i64::MIN, at: usize::MAX, older: 0 };

    /// Whether a row is one of them.
    fn holds(&mut self, created_at: i64) -> bool {
        let holds = created_at > self.after || (created_at == self.after && self.at > 0);
        if created_at == self.after && holds {
            self.at -= 1;
        }
        self.older += u64::from(!holds);
        holds
    }
}

/// Looks at the times of all rows, unless the manifest says that there are few enough.
async fn newest(run: &Folder, parts: &[String], most: usize) -> Result<Newest, TrainError> {
    if run.manifest().counts.get("kept").is_some_and(|&kept| kept <= most as u64) {
        return Ok(Newest::ALL);
    }
    let mut times = BinaryHeap::new();
    for file in parts {
        for created_at in Part::open(file, run.read(file).await?)?.times()? {
            times.push(Reverse(created_at));
            if times.len() > most {
                times.pop();
            }
        }
    }
    let Some(&Reverse(after)) = times.peek() else { return Ok(Newest::ALL) };
    Ok(Newest { after, at: times.iter().filter(|time| time.0 == after).count(), older: 0 })
}

/// What the trainer needs of what the manifest of a run says under `details`.
#[derive(Deserialize)]
struct RunDetails {
    features_digest: String,
    /// How long a merged pull request has to have stood before it counts as not taken back.
    #[serde(default = "usual_maturity")]
    label_maturity_days: u32,
}

/// What `prowl-preprocess` takes unless told otherwise.
fn usual_maturity() -> u32 {
    30
}

/// One opened file of the run.
struct Part {
    file: String,
    digest: String,
    features: Vec<FeatureInfo>,
    reader: ParquetRecordBatchReaderBuilder<Bytes>,
}

impl Part {
    fn open(file: &str, content: Bytes) -> Result<Self, TrainError> {
        let unusable = |problem: String| TrainError::File { file: file.to_owned(), problem };
        let reader = ParquetRecordBatchReaderBuilder::try_new(content).map_err(|error| unusable(error.to_string()))?;
        let value = |key: &str| {
            let pairs = reader.metadata().file_metadata().key_value_metadata()?;
            pairs.iter().find(|pair| pair.key == key)?.value.clone()
        };
        let digest =
            value("features_digest").ok_or_else(|| unusable("its metadata has no `features_digest`".to_owned()))?;
        let list = value("features").ok_or_else(|| unusable("its metadata has no `features`".to_owned()))?;
        let features = serde_json::from_str(&list)
            .map_err(|error| unusable(format!("its metadata `features` is no list of features: {error}")))?;
        Ok(Self { file: file.to_owned(), digest, features, reader })
    }

    fn unusable(&self, problem: &str) -> TrainError {
        TrainError::File { file: self.file.clone(), problem: problem.to_owned() }
    }

    /// Adds the newest rows. Only the columns that the trainer learns from are decoded. `maturity` is in milliseconds.
    fn read_into(
        self,
        builder: &mut Builder,
        maturity: i64,
        newest: &mut Newest,
        feedback: &mut Feedback,
    ) -> Result<(), TrainError> {
        self.check_columns()?;
        let features = self.features.clone();
        let names = COLUMNS.map(|(name, _)| name).into_iter().chain([TITLE.0]);
        let names = names.chain(features.iter().map(|feature| feature.name.as_str()));
        self.each_batch(names, |batch| push(batch, &features, maturity, newest, feedback, builder))
    }

    /// When the pull requests were opened.
    fn times(self) -> Result<Vec<i64>, TrainError> {
        self.check_columns()?;
        let mut times = Vec::new();
        self.each_batch(["created_at"].into_iter(), |batch| {
            times.extend_from_slice(whole(batch, "created_at")?.as_primitive::<TimestampMillisecondType>().values());
            Ok(())
        })?;
        Ok(times)
    }

    /// Decodes these columns; `see` fails with the name of a column that has a null and must not.
    fn each_batch<'a>(
        self,
        names: impl Iterator<Item = &'a str>,
        mut see: impl FnMut(&RecordBatch) -> Result<(), String>,
    ) -> Result<(), TrainError> {
        let Self { file, reader, .. } = self;
        let unusable = |problem: String| TrainError::File { file: file.clone(), problem };
        let mask = ProjectionMask::columns(reader.parquet_schema(), names);
        let batches = reader.with_projection(mask).with_batch_size(BATCH_ROWS).build();
        for batch in batches.map_err(|error| unusable(error.to_string()))? {
            let batch = batch.map_err(|error| unusable(error.to_string()))?;
            see(&batch).map_err(|column| unusable(format!("column {column:?} has a null")))?;
        }
        Ok(())
    }

    fn check_columns(&self) -> Result<(), TrainError> {
        let features = self.features.iter().map(|feature| (feature.name.as_str(), Holds::Number));
        for (name, holds) in COLUMNS.into_iter().chain(features) {
            let found = self.reader.schema().field_with_name(name);
            let found = found.map_err(|_| self.unusable(&format!("it has no column {name:?}")))?.data_type();
            if !holds.fits(found) {
                return Err(self.unusable(&format!("its column {name:?} holds {found}, not {holds:?}")));
            }
        }
        match self.reader.schema().field_with_name(TITLE.0) {
            Ok(found) if !TITLE.1.fits(found.data_type()) => {
                Err(self.unusable(&format!("its column {:?} holds {}, not {:?}", TITLE.0, found.data_type(), TITLE.1)))
            }
            _ => Ok(()),
        }
    }
}

/// What a column has to hold.
#[derive(Clone, Copy, Debug)]
enum Holds {
    Text,
    Integer,
    Milliseconds,
    Number,
    Tokens,
    Flag,
}

impl Holds {
    fn fits(self, found: &DataType) -> bool {
        match self {
            Holds::Text => *found == DataType::Utf8,
            Holds::Integer => *found == DataType::Int64,
            Holds::Milliseconds => matches!(found, DataType::Timestamp(TimeUnit::Millisecond, _)),
            Holds::Number => *found == DataType::Float32,
            Holds::Flag => *found == DataType::Boolean,
            Holds::Tokens => matches!(found, DataType::List(item) if *item.data_type() == DataType::UInt32),
        }
    }
}

/// The columns beside the features.
const COLUMNS: [(&str, Holds); 9] = [
    ("repository", Holds::Text),
    ("number", Holds::Integer),
    ("created_at", Holds::Milliseconds),
    ("text_tokens", Holds::Tokens),
    ("kind_tokens", Holds::Tokens),
    ("category", Holds::Text),
    ("merged_at", Holds::Milliseconds),
    ("reverted", Holds::Flag),
    ("reverted_at", Holds::Milliseconds),
];

/// A column that a run may have: without it, groups of pull requests are named by their features alone.
const TITLE: (&str, Holds) = ("title", Holds::Text);

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, String> {
    batch.column_by_name(name).ok_or_else(|| name.to_owned())
}

/// A column without a null.
fn whole<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, String> {
    column(batch, name).and_then(|column| if column.null_count() == 0 { Ok(column) } else { Err(name.to_owned()) })
}

/// Adds the newest rows of a batch whose columns were checked; fails with the name of a column that has a null and must not.
fn push(
    batch: &RecordBatch,
    features: &[FeatureInfo],
    maturity: i64,
    newest: &mut Newest,
    feedback: &mut Feedback,
    builder: &mut Builder,
) -> Result<(), String> {
    let column = |name: &str| column(batch, name);
    let whole = |name: &str| whole(batch, name);
    let repository = whole("repository")?.as_string::<i32>();
    let number = whole("number")?.as_primitive::<Int64Type>();
    let created_at = whole("created_at")?.as_primitive::<TimestampMillisecondType>();
    let lists = |name: &str| {
        let lists = whole(name)?.as_list::<i32>();
        if lists.values().null_count() > 0 { Err(name.to_owned()) } else { Ok(lists) }
    };
    let (tokens, kind_tokens) = (lists("text_tokens")?, lists("kind_tokens")?);
    let category = column("category")?.as_string::<i32>();
    let titles = batch.column_by_name(TITLE.0).map(AsArray::as_string::<i32>);
    let merged_at = column("merged_at")?.as_primitive::<TimestampMillisecondType>();
    let reverted = column("reverted")?.as_boolean();
    let reverted_at = column("reverted_at")?.as_primitive::<TimestampMillisecondType>();
    let outcome = |row: usize| Outcome {
        reverted_at: reverted_at.is_valid(row).then(|| reverted_at.value(row)),
        // The run says of which ones it knows: one that was merged a moment before the export is not mature yet.
        mature_at: (reverted.is_valid(row) && merged_at.is_valid(row))
            .then(|| merged_at.value(row).saturating_add(maturity)),
    };
    let numbers = features.iter().map(|feature| column(&feature.name).map(AsArray::as_primitive::<Float32Type>));
    let numbers = numbers.collect::<Result<Vec<_>, _>>()?;

    let mut values = vec![0.0; features.len()];
    for row in 0..batch.num_rows() {
        if !newest.holds(created_at.value(row)) {
            continue;
        }
        for (value, column) in values.iter_mut().zip(&numbers) {
            *value = if column.is_null(row) { f32::NAN } else { column.value(row) };
        }
        let (name, number) = (repository.value(row), number.value(row));
        let declared = category.is_valid(row).then(|| category.value(row));
        let (category, outcome) = feedback.labels(name, number, (declared, outcome(row)));
        builder.push(&Row {
            repository: name,
            number,
            created_at: created_at.value(row),
            values: &values,
            tokens: numbers_of(tokens, row),
            kind_tokens: numbers_of(kind_tokens, row),
            title: titles.filter(|titles| titles.is_valid(row)).map(|titles| titles.value(row)),
            category,
            outcome,
        });
    }
    Ok(())
}

fn numbers_of(lists: &ListArray, row: usize) -> &[u32] {
    let (start, end) = (lists.value_offsets()[row] as usize, lists.value_offsets()[row + 1] as usize);
    &lists.values().as_primitive::<UInt32Type>().values()[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_rows_of_one_moment_the_first_count() {
        let mut newest = Newest { after: 5, at: 2, older: 0 };
        let held: Vec<i64> = [5, 9, 4, 5, 5, 6].into_iter().filter(|&time| newest.holds(time)).collect();
        assert_eq!((held, newest.older), (vec![5, 9, 5, 6], 2));
    }
}

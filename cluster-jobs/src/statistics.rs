//! Column statistics of a run: what its columns hold, and how far that is from the run before.
//!
//! Every batch of finished rows passes by here once, on the executor that writes it; a partition's [`Sketches`] travel in
//! its report and are merged by the client into [`RunStatistics`], the content of `statistics.json`. Nothing in it
//! depends on the order of rows or on how they were split. (What is known of authors and files is called profiles, and
//! is something else.)

mod distinct;
mod drift;
mod numbers;
mod previous;
mod table;

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Float32Type};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use serde::{Deserialize, Serialize};

pub(crate) use self::drift::Drift;
use self::numbers::{NumberSketch, Numbers};
pub(crate) use self::previous::{Previous, read};

/// Where they stand in the folder of a run.
pub(crate) const FILE: &str = "statistics.json";

/// What one partition has seen of each column.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sketches {
    rows: u64,
    /// In the order of the columns; empty before the first batch.
    columns: Vec<(String, Sketch)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Sketch {
    Numbers(Box<NumberSketch>),
    /// Rows by name, and rows without one.
    Names(BTreeMap<String, u64>, u64),
}

impl Sketch {
    /// For a feature, the tokens, of which the number counts, or what a pull request is: `None` for other columns.
    fn of(field: &Field) -> Option<Self> {
        match field.data_type() {
            DataType::Float32 | DataType::List(_) => Some(Self::Numbers(Box::default())),
            DataType::Boolean => Some(Self::Names(BTreeMap::new(), 0)),
            DataType::Utf8 if field.name() == "category" => Some(Self::Names(BTreeMap::new(), 0)),
            _ => None,
        }
    }

    fn add(&mut self, column: &ArrayRef) {
        match (self, column.data_type()) {
            (Self::Numbers(sketch), DataType::List(_)) => {
                column.as_list::<i32>().offsets().lengths().for_each(|length| sketch.add(length as f32));
            }
            (Self::Numbers(sketch), _) => sketch.add_column(column.as_primitive::<Float32Type>()),
            (Self::Names(names, missing), data_type) => {
                *missing += column.null_count() as u64;
                if *data_type == DataType::Boolean {
                    let values = column.as_boolean();
                    count(names, "true", values.true_count() as u64);
                    count(names, "false", values.false_count() as u64);
                } else {
                    column.as_string::<i32>().iter().flatten().for_each(|name| count(names, name, 1));
                }
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Numbers(mine), Self::Numbers(theirs)) => mine.merge(theirs),
            (Self::Names(mine, missing), Self::Names(theirs, theirs_missing)) => {
                *missing += theirs_missing;
                for (name, times) in theirs {
                    count(mine, name, *times);
                }
            }
            // One version of the program writes a column in one way.
            _ => {}
        }
    }
}

fn count(names: &mut BTreeMap<String, u64>, name: &str, times: u64) {
    if let Some(known) = names.get_mut(name) {
        *known += times;
    } else if times > 0 {
        names.insert(name.to_owned(), times);
    }
}

impl Sketches {
    /// Sees finished rows.
    ///
    /// # Errors
    /// They have other columns than those before.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let schema = batch.schema();
        if self.columns.is_empty() {
            let sketches = schema.fields().iter().filter_map(|field| Some((field.name().clone(), Sketch::of(field)?)));
            self.columns = sketches.collect();
        }
        self.rows += batch.num_rows() as u64;
        let mut found = schema.fields().iter().zip(batch.columns());
        for (name, sketch) in &mut self.columns {
            let column = found.find(|(field, _)| field.name() == name);
            let (_, column) = column.ok_or_else(|| DataFusionError::Internal(format!("a batch without {name}")))?;
            sketch.add(column);
        }
        Ok(())
    }

    /// Adds what another partition has seen.
    pub(crate) fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        if self.columns.is_empty() {
            self.columns = other.columns;
            return;
        }
        for ((_, mine), (_, theirs)) in self.columns.iter_mut().zip(&other.columns) {
            mine.merge(theirs);
        }
    }

    /// What there is to be told when every row was seen.
    pub(crate) fn finish(self) -> RunStatistics {
        let column = |(name, sketch)| match sketch {
            Sketch::Numbers(sketch) => {
                let (count, missing, numbers) = sketch.finish();
                ColumnStatistics { name, count, missing, values: Values::Numbers(numbers) }
            }
            Sketch::Names(names, missing) => {
                ColumnStatistics { name, count: names.values().sum(), missing, values: Values::Names(names) }
            }
        };
        RunStatistics { rows: self.rows, columns: self.columns.into_iter().map(column).collect() }
    }
}

/// The content of `statistics.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunStatistics {
    pub(crate) rows: u64,
    /// In the order of the columns of the run.
    pub(crate) columns: Vec<ColumnStatistics>,
}

/// What one column holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ColumnStatistics {
    pub(crate) name: String,
    /// Rows with a value.
    pub(crate) count: u64,
    /// Rows without: null, or no finite number.
    pub(crate) missing: u64,
    #[serde(flatten)]
    pub(crate) values: Values,
}

/// What the values of a column are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Values {
    /// Numbers; of a list of tokens how many they are.
    Numbers(Numbers),
    /// Rows by name.
    Names(BTreeMap<String, u64>),
}

impl ColumnStatistics {
    /// The share of rows without a value, from 0 to 1.
    pub(crate) fn missing_share(&self) -> f64 {
        self.missing as f64 / (self.count + self.missing).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Float32Array, Int64Array, ListArray, StringArray};
    use arrow::datatypes::{Schema, UInt32Type};

    use super::*;

    fn batch(values: &[Option<f32>], category: &[Option<&str>]) -> RecordBatch {
        let tokens = values.iter().map(|value| value.map(|_| vec![Some(1), Some(2)])).map(Option::unwrap_or_default);
        let tokens = ListArray::from_iter_primitive::<UInt32Type, _, _>(tokens.map(Some));
        let schema = Schema::new(vec![
            Field::new("number", DataType::Int64, false),
            Field::new("churn", DataType::Float32, true),
            Field::new("text_tokens", tokens.data_type().clone(), false),
            Field::new("category", DataType::Utf8, true),
            Field::new("reverted", DataType::Boolean, true),
        ]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![7; values.len()])),
            Arc::new(Float32Array::from(values.to_vec())),
            Arc::new(tokens),
            Arc::new(StringArray::from(category.to_vec())),
            Arc::new(BooleanArray::from(values.iter().map(|value| value.map(|value| value > 2.0)).collect::<Vec<_>>())),
        ];
        RecordBatch::try_new(Arc::new(schema), columns).unwrap()
    }

    #[test]
    fn each_column_is_described_by_what_it_holds() {
        let first = batch(&[Some(1.0), None, Some(3.0)], &[Some("fix"), Some("docs"), None]);
        let second = batch(&[Some(5.0)], &[Some("fix")]);
        let (mut one, mut other) = (Sketches::default(), Sketches::default());
        one.add(&first).unwrap();
        other.add(&second).unwrap();
        let mut merged = Sketches::default();
        for part in [other, Sketches::default(), one] {
            merged.merge(serde_json::from_str(&serde_json::to_string(&part).unwrap()).unwrap());
        }
        let found = merged.finish();
        assert_eq!(found.rows, 4);
        let told = serde_json::to_value(&found.columns).unwrap();
        assert_eq!(told.as_array().unwrap().len(), 4, "no number of a pull request: {told}");
        assert_eq!((&told[0]["name"], &told[0]["count"], &told[0]["missing"]), (&"churn".into(), &3.into(), &1.into()));
        assert_eq!(told[0]["numbers"]["mean"], 3.0);
        assert_eq!(told[1]["numbers"]["histogram"], serde_json::json!([[0.0, 1], [2.0, 3]]));
        assert_eq!(told[2]["names"], serde_json::json!({ "docs": 1, "fix": 2 }));
        assert_eq!(
            (&told[3]["names"], &told[3]["missing"]),
            (&serde_json::json!({ "false": 1, "true": 2 }), &1.into())
        );
        let read: RunStatistics = serde_json::from_value(serde_json::to_value(&found).unwrap()).unwrap();
        assert_eq!(read, found);
    }
}

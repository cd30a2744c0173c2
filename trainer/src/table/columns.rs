//! Reads the columns of a Parquet or CSV file: numbers, times, or something else. What is missing, no number, or infinite is
//! unknown.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Format, TableError};

/// All columns of a file.
pub(super) struct Columns {
    pub(super) columns: Vec<Column>,
    pub(super) rows: usize,
}

/// One column.
#[derive(Debug, Default)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Its numbers, NaN where unknown; empty where it holds something else.
    pub(super) values: Vec<f32>,
    /// Whether rows are ordered by it. Of other columns the order would take twice the memory of the values.
    is_time: bool,
    /// What has the order of its values; means nothing else.
    order: Vec<i64>,
}

/// What a column holds; what are no numbers is told as the rest of a sentence.
#[derive(Debug, Default)]
pub(super) enum Kind {
    #[default]
    Numbers,
    /// Dates or times: no numbers to learn from, but they order rows.
    Times(String),
    /// What tells nothing.
    Other(String),
}

impl Kind {
    pub(super) fn other(&self) -> Option<&str> {
        match self {
            Self::Numbers => None,
            Self::Times(told) | Self::Other(told) => Some(told),
        }
    }
}

impl Column {
    fn push(&mut self, value: Option<f64>) {
        let value = value.filter(|value| value.is_finite());
        let number = value.map_or(f32::NAN, |value| value as f32);
        self.values.push(if number.is_finite() { number } else { f32::NAN });
        self.place(value.map(ordered));
    }

    /// Unknown times come first.
    fn place(&mut self, order: Option<i64>) {
        if self.is_time {
            self.order.push(order.unwrap_or(i64::MIN));
        }
    }

    /// A value of CSV at this place of the file.
    fn push_text(&mut self, text: &str, row: usize, line: u64) {
        let told = |what: &str, among: &str| {
            format!("holds the {what} {:?} in row {row}, line {line}{among}", shortened(text))
        };
        match (&self.kind, number(text)) {
            (Kind::Other(_), _) => {}
            (Kind::Numbers, Ok(value)) => self.push(value),
            (Kind::Numbers, Err(())) => match time(text) {
                None => self.holds(Kind::Other(told("text", ""))),
                Some(_) if self.values.iter().any(|value| !value.is_nan()) => {
                    self.holds(Kind::Other(told("time", ", among numbers")));
                }
                // Until now none was known, and so each came first.
                Some(time) => {
                    self.values = Vec::new();
                    self.kind = Kind::Times(format!("holds times, such as {:?}", shortened(text)));
                    self.place(Some(time));
                }
            },
            // Times that order nothing need not be read.
            (Kind::Times(_), _) if !self.is_time => {}
            (Kind::Times(_), Ok(None)) => self.place(None),
            (Kind::Times(_), Ok(Some(_))) => self.holds(Kind::Other(told("number", ", among times"))),
            (Kind::Times(_), Err(())) => match time(text) {
                Some(time) => self.place(Some(time)),
                None => self.holds(Kind::Other(told("text", ", among times"))),
            },
        }
    }

    /// From now on; what was read is of no use.
    fn holds(&mut self, kind: Kind) {
        self.kind = kind;
        self.values = Vec::new();
        self.order = Vec::new();
    }

    /// In which order it puts the rows.
    pub(super) fn times(self, file: &Path) -> Result<Vec<i64>, TableError> {
        match self.kind {
            Kind::Other(other) => {
                let problem = format!(
                    "{other}, and so says no time: give numbers, a date or time of Parquet, or in CSV dates such as 2026-03-01 or \
                     2026-03-01T10:00:00Z"
                );
                Err(TableError::Column { file: file.to_owned(), column: self.name, problem })
            }
            Kind::Numbers | Kind::Times(_) => Ok(self.order),
        }
    }

    /// What it says became of each row.
    pub(super) fn labels(self, file: &Path) -> Result<Vec<Option<bool>>, TableError> {
        let name = self.name;
        let wrong = |problem| TableError::Column { file: file.to_owned(), column: name.clone(), problem };
        if let Some(other) = self.kind.other() {
            return Err(wrong(format!("{other}, and a label is 0 or 1")));
        }
        let label = |(row, value): (usize, f32)| match value {
            value if value.is_nan() => Ok(None),
            value if value == 0.0 || value == 1.0 => Ok(Some(value == 1.0)),
            value => Err(wrong(format!("holds {value} in row {}, and a label is 0 or 1", row + 1))),
        };
        self.values.into_iter().enumerate().map(label).collect()
    }
}

impl Columns {
    /// Reads them all, and in which order that of the name `time` puts the rows.
    pub(super) fn of(file: &Path, time: Option<&str>) -> Result<Self, TableError> {
        let unreadable = |problem: String| TableError::Unreadable { file: file.to_owned(), problem };
        let content = File::open(file).map_err(|error| unreadable(error.to_string()))?;
        let columns = match Format::of(file) {
            Some(Format::Csv) => Self::of_csv(content, time),
            _ => Self::of_parquet(content, time),
        };
        let columns = columns.map_err(unreadable)?;
        let mut names = HashSet::new();
        if let Some(twice) = columns.columns.iter().find(|column| !names.insert(column.name.as_str())) {
            let problem = "is there twice: give each a name of its own".to_owned();
            return Err(TableError::Column { file: file.to_owned(), column: twice.name.clone(), problem });
        }
        if columns.rows == 0 {
            return Err(TableError::NoRows { file: file.to_owned() });
        }
        Ok(columns)
    }

    fn of_csv(content: File, time: Option<&str>) -> Result<Self, String> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(content);
        let names = reader.headers().map_err(|error| error.to_string())?.clone();
        let mut columns: Vec<Column> = names.iter().map(|name| Column::new(name, time)).collect();
        let (mut record, mut rows) = (csv::StringRecord::new(), 0);
        while reader.read_record(&mut record).map_err(|error| error.to_string())? {
            rows += 1;
            let line = record.position().map_or(0, csv::Position::line);
            for (column, text) in columns.iter_mut().zip(&record) {
                column.push_text(text, rows, line);
            }
        }
        Ok(Self { columns, rows })
    }

    fn of_parquet(content: File, time: Option<&str>) -> Result<Self, String> {
        let reader = ParquetRecordBatchReaderBuilder::try_new(content).map_err(|error| error.to_string())?;
        let fields = reader.schema().fields().clone();
        let mut columns: Vec<Column> = fields.iter().map(|field| Column::new(field.name(), time)).collect();
        let mut rows = 0;
        for batch in reader.build().map_err(|error| error.to_string())? {
            let batch: RecordBatch = batch.map_err(|error| error.to_string())?;
            rows += batch.num_rows();
            for (column, array) in columns.iter_mut().zip(batch.columns()) {
                column.extend(array)?;
            }
        }
        Ok(Self { columns, rows })
    }
}

impl Column {
    fn new(name: &str, time: Option<&str>) -> Self {
        Self { name: name.to_owned(), is_time: time == Some(name), ..Self::default() }
    }

    fn extend(&mut self, array: &dyn Array) -> Result<(), String> {
        let kind = array.data_type();
        if kind.is_numeric() || matches!(kind, DataType::Boolean | DataType::Null) {
            let numbers = cast(array, &DataType::Float64).map_err(|error| error.to_string())?;
            for value in numbers.as_primitive::<Float64Type>() {
                self.push(value);
            }
        } else if kind.is_temporal() && !matches!(kind, DataType::Interval(_)) {
            self.kind = Kind::Times(format!("holds {kind}"));
            if self.is_time {
                let order = cast(array, &DataType::Int64).map_err(|error| error.to_string())?;
                order.as_primitive::<Int64Type>().iter().for_each(|time| self.place(time));
            }
        } else {
            self.holds(Kind::Other(format!("holds {kind}")));
        }
        Ok(())
    }
}

/// A whole number with the order of the finite ones, as `f64::total_cmp` has it.
fn ordered(value: f64) -> i64 {
    // Zero has one sign.
    let bits = (value + 0.0).to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

/// The number that a text says; none where it says that it is missing.
fn number(text: &str) -> Result<Option<f64>, ()> {
    match text.to_ascii_lowercase().as_str() {
        "" | "na" | "n/a" | "nan" | "null" | "none" => Ok(None),
        "true" => Ok(Some(1.0)),
        "false" => Ok(Some(0.0)),
        text => text.parse().map(Some).map_err(drop),
    }
}

/// Microseconds of a date or a time, of UTC where it does not say of what.
fn time(text: &str) -> Option<i64> {
    let at = text.parse::<Timestamp>();
    let at = at.or_else(|_| TimeZone::UTC.to_timestamp(text.parse::<DateTime>()?));
    at.ok().map(Timestamp::as_microsecond)
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_size_order_rows() {
        let times = [-1e300, -2.5, -0.0, 0.0, 1e-9, 1.7e18, 1.7e18 + 1e3, 6.4e17 * 1e3];
        let keys = times.map(ordered);
        assert!(keys.is_sorted() && keys[2] == keys[3] && keys[5] < keys[6] && keys[0] > i64::MIN, "{keys:?}");
    }
}

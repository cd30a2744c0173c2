//! From the columns of a file to a table: which of them are learnt from, and which say when a row came and what became of it.

use std::path::Path;

use super::TableError;
use super::columns::Columns;

/// The columns of numbers of a file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Table {
    /// Their names, in the order of the file.
    pub(super) names: Vec<String>,
    /// Row by row; NaN where unknown.
    pub(super) values: Vec<f32>,
    /// When each row came to be; empty where no column says so.
    pub(super) times: Vec<i64>,
    /// What became of each row, none where unknown; empty where no column says so.
    pub(super) labels: Vec<Option<bool>>,
    /// Columns that hold something else, each with what it is.
    pub(super) skipped: Vec<(String, String)>,
}

impl Table {
    /// Values of a row; shape (names).
    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.names.len()..][..self.names.len()]
    }

    /// Names of the columns by which these rows are not told apart. Where `unknown_tells`, that a value is unknown is told
    /// apart from any known one.
    pub(super) fn constant(&self, rows: &[usize], unknown_tells: bool) -> Vec<String> {
        let varies = |column: usize| {
            let values = rows.iter().map(|&row| self.row(row)[column]);
            let mut values = values.filter(|value| unknown_tells || !value.is_nan());
            // Zero has one sign, and an unknown value is like any other.
            let same = |a: f32, b: f32| a == b || (a.is_nan() && b.is_nan());
            values.next().is_some_and(|first| values.any(|value| !same(value, first)))
        };
        self.names.iter().enumerate().filter(|&(column, _)| !varies(column)).map(|(_, name)| name.clone()).collect()
    }

    /// Values of each row.
    pub(super) fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.names.len())
    }
}

/// Columns that tell something else than what a row is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Apart<'a> {
    /// When a row came to be.
    pub(super) time: Option<&'a str>,
    /// What became of it: 0 or 1.
    pub(super) label: Option<&'a str>,
}

/// Reads all columns of numbers but those apart, which have to be there.
pub(super) fn read(file: &Path, apart: Apart<'_>) -> Result<Table, TableError> {
    let Columns { columns, rows } = Columns::of(file, apart.time)?;
    for name in [apart.time, apart.label].into_iter().flatten() {
        if columns.iter().all(|column| column.name != name) {
            return Err(missing(file, name));
        }
    }
    let (mut table, mut kept) = (Table::default(), Vec::new());
    for column in columns {
        if apart.time == Some(column.name.as_str()) {
            table.times = column.times(file)?;
        } else if apart.label == Some(column.name.as_str()) {
            table.labels = column.labels(file)?;
        } else if let Some(other) = column.kind.other() {
            table.skipped.push((column.name, other.to_owned()));
        } else {
            table.names.push(column.name);
            kept.push(column.values);
        }
    }
    if kept.is_empty() {
        let told = |name: Option<&str>, what: &str| name.map(|name| (name.to_owned(), what.to_owned()));
        let apart = [told(apart.time, "says the time"), told(apart.label, "is the label")];
        let reasons = apart.into_iter().flatten().chain(table.skipped).map(|(name, other)| format!("{name:?} {other}"));
        let reasons = reasons.collect::<Vec<_>>().join(", ");
        return Err(TableError::NoNumbers { file: file.to_owned(), reasons });
    }
    table.values = row_by_row(&kept, rows);
    Ok(table)
}

/// Reads the columns of these names, which all have to be there and to hold numbers, and the label where it is there.
pub(super) fn read_columns(file: &Path, names: &[String], label: Option<&str>) -> Result<Table, TableError> {
    let Columns { mut columns, rows } = Columns::of(file, None)?;
    let mut kept = Vec::new();
    for name in names {
        let column = columns.iter_mut().find(|column| column.name == *name).ok_or_else(|| missing(file, name))?;
        if let Some(other) = column.kind.other() {
            let problem =
                format!("{other}, and is one of numbers in the table that was learnt from: give numbers here, too");
            return Err(TableError::Column { file: file.to_owned(), column: name.clone(), problem });
        }
        kept.push(std::mem::take(&mut column.values));
    }
    let label = columns.into_iter().find(|column| label == Some(column.name.as_str()));
    let labels = label.map(|column| column.labels(file)).transpose()?.unwrap_or_default();
    Ok(Table { names: names.to_vec(), values: row_by_row(&kept, rows), labels, ..Table::default() })
}

fn missing(file: &Path, column: &str) -> TableError {
    let problem = "is not there: give a table that has it, by this name".to_owned();
    TableError::Column { file: file.to_owned(), column: column.to_owned(), problem }
}

fn row_by_row(columns: &[Vec<f32>], rows: usize) -> Vec<f32> {
    (0..rows).flat_map(|row| columns.iter().map(move |column| column[row])).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::Arc;

    use arrow::array::{Array, RecordBatch};
    use parquet::arrow::ArrowWriter;

    use super::*;

    fn csv(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("table.csv");
        std::fs::write(&file, text).unwrap();
        (directory, file)
    }

    #[test]
    fn numbers_flags_and_the_unknown_are_read_and_text_is_left_out() {
        let (_directory, file) = csv("a, b,name,when\n1,true,x,3\nNA,FALSE,y,1\n-inf,,z,2\n1e99,nan,,\n");
        let table = read(&file, Apart { time: Some("when"), label: None }).unwrap();
        assert_eq!(table.names, ["a", "b"]);
        let text: Vec<String> = table.values.iter().map(f32::to_string).collect();
        assert_eq!(text, ["1", "1", "NaN", "0", "NaN", "NaN", "NaN", "NaN"]);
        let mut order: Vec<usize> = (0..4).collect();
        order.sort_by_key(|&row| table.times[row]);
        assert_eq!((order, table.times[3]), (vec![3, 1, 2, 0], i64::MIN));
        assert_eq!(table.skipped, [("name".to_owned(), "holds the text \"x\" in row 1, line 2".to_owned())]);
    }

    #[test]
    fn dates_and_times_order_rows() {
        let order = |text: &str| {
            let (_directory, file) = csv(text);
            let table = read(&file, Apart { time: Some("t"), label: None })?;
            let mut order: Vec<usize> = (0..table.times.len()).collect();
            order.sort_by_key(|&row| table.times[row]);
            Ok::<_, TableError>(order)
        };
        let dates =
            "a,t\n1,2026-03-02\n2,\n3,2026-03-01T23:30:00Z\n4,2026-03-01 10:00:00\n5,2026-03-02T00:30:00+02:00\n";
        assert_eq!(order(dates).unwrap(), [1, 3, 4, 2, 0], "unknown, 10:00, 22:30, 23:30, midnight");
        assert_eq!(order("a,t\n1,nan\n2,2026-03-01\n3,1969-12-31\n").unwrap(), [0, 2, 1]);
        for (mixed, expected) in [
            (
                "a,t\n1,5\n2,2026-03-01\n",
                "the time \"2026-03-01\" in row 2, line 3, among numbers, and so says no time",
            ),
            (
                "a,t\n1,2026-03-01\n2,5\n3,2026-03-01\n",
                "holds the number \"5\" in row 2, line 3, among times, and so says",
            ),
            (
                "a,t\n1,2026-03-01\n2,soon\n",
                "holds the text \"soon\" in row 2, line 3, among times, and so says no time",
            ),
            ("a,t\n1,2026-02-30\n", "holds the text \"2026-02-30\" in row 1, line 2, and so says no time"),
            ("t,a\n5,\"x\ny\"\nsoon,1\n", "holds the text \"soon\" in row 2, line 4"),
        ] {
            let message = order(mixed).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
        let (_directory, file) = csv("a,t\n1,2026-03-01\n2,2026-03-02\n");
        let skipped = read(&file, Apart::default()).unwrap().skipped;
        assert_eq!(skipped, [("t".to_owned(), "holds times, such as \"2026-03-01\"".to_owned())]);
    }

    #[test]
    fn rows_of_one_time_stay_in_the_order_of_the_file_after_those_of_none() {
        let (_directory, file) = csv("a,t\n1,2026-03-01\n2,\n3,2026-03-01T00:00:00Z\n4,na\n5,2026-02-28\n");
        let times = read(&file, Apart { time: Some("t"), label: None }).unwrap().times;
        let mut order: Vec<usize> = (0..5).collect();
        order.sort_by_key(|&row| times[row]);
        assert_eq!(order, [1, 3, 4, 0, 2]);
    }

    #[test]
    fn times_of_parquet_order_rows_whatever_they_are() {
        use arrow::array::{
            ArrayRef, Date32Array, Date64Array, Float64Array, Time32SecondArray, Time64MicrosecondArray,
            TimestampMillisecondArray, TimestampNanosecondArray,
        };
        let times: [ArrayRef; 6] = [
            Arc::new(Date32Array::from(vec![Some(20_000), None, Some(-1)])),
            Arc::new(Date64Array::from(vec![Some(86_400_000_000), None, Some(-86_400_000)])),
            Arc::new(TimestampMillisecondArray::from(vec![Some(5), None, Some(-5)]).with_timezone("+02:00")),
            Arc::new(TimestampNanosecondArray::from(vec![Some(5), None, Some(-5)])),
            Arc::new(Time32SecondArray::from(vec![Some(5), None, Some(1)])),
            Arc::new(Time64MicrosecondArray::from(vec![Some(5), None, Some(1)])),
        ];
        for time in times {
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join("table.parquet");
            let kind = time.data_type().clone();
            let values: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0]));
            let batch = RecordBatch::try_from_iter([("a", values), ("t", time)]).unwrap();
            let mut writer = ArrowWriter::try_new(File::create(&file).unwrap(), batch.schema(), None).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
            let times = read(&file, Apart { time: Some("t"), label: None }).unwrap().times;
            assert!(times.len() == 3 && times[1] < times[2] && times[2] < times[0], "{kind}: {times:?}");
            let skipped = read(&file, Apart::default()).unwrap().skipped;
            assert!(skipped.len() == 1 && skipped[0].0 == "t", "{kind}: {skipped:?}");
        }
    }

    #[test]
    fn columns_that_tell_no_rows_apart_are_named() {
        let (_directory, file) = csv("a,b,c,d\n1,5,,2\n2,5,,\n1,5,,2\n9,6,1,3\n");
        let table = read(&file, Apart::default()).unwrap();
        assert_eq!(table.constant(&[0, 1, 2], false), ["b", "c", "d"]);
        assert_eq!(table.constant(&[0, 1, 2], true), ["b", "c"], "trees ask whether a value is known");
        assert!(table.constant(&[0, 1, 2, 3], true).is_empty());
        assert_eq!(table.constant(&[0, 1, 2, 3], false), ["c"], "one known value");
    }

    #[test]
    fn columns_are_found_by_name() {
        let (_directory, file) = csv("b,extra,a\n2,x,1\n4,y,3\n");
        let names = ["a".to_owned(), "b".to_owned()];
        assert_eq!(read_columns(&file, &names, None).unwrap().values, [1.0, 2.0, 3.0, 4.0]);
        let problem = |name: &str| read_columns(&file, &[name.to_owned()], None).unwrap_err().to_string();
        assert!(problem("c").contains("\"c\"") && problem("c").contains("is not there"), "{}", problem("c"));
        assert!(problem("extra").contains("holds the text \"x\""), "{}", problem("extra"));
    }

    #[test]
    fn what_is_no_table_is_named() {
        let problem = |text: &str, time| {
            let (_directory, file) = csv(text);
            read(&file, Apart { time, label: None }).unwrap_err().to_string()
        };
        assert!(problem("", None).contains("has no rows"));
        assert!(problem("a,b\n", None).contains("has no rows"));
        assert!(problem("a\nx\n", None).contains("no column of numbers: \"a\" holds the text \"x\""));
        assert!(problem("a,a\n1,2\n", None).contains("\"a\"") && problem("a,a\n1,2\n", None).contains("twice"));
        assert!(problem("a,b\n1\n", None).contains("cannot be read"), "{}", problem("a,b\n1\n", None));
        assert!(problem("a\n1\n", Some("t")).contains("\"t\""));
        assert!(problem("a,t\n1,x\n", Some("t")).contains("says no time"));
        assert!(
            read(Path::new("missing.csv"), Apart::default())
                .unwrap_err()
                .to_string()
                .contains("missing.csv cannot be read")
        );
    }

    #[test]
    fn a_label_is_one_of_two_or_unknown_and_no_feature() {
        let labelled = |text: &str| {
            let (_directory, file) = csv(text);
            read(&file, Apart { time: None, label: Some("bug") })
        };
        let table = labelled("a,bug\n1,0\n2,TRUE\n3,\n4,1.0\n5,false\n6,nan\n").unwrap();
        assert_eq!(table.labels, [Some(false), Some(true), None, Some(true), Some(false), None]);
        assert_eq!((table.names, table.values.len()), (vec!["a".to_owned()], 6));
        for (text, expected) in [
            ("a,bug\n1,0\n2,2\n", "the column \"bug\" of"),
            ("a,bug\n1,0\n2,2\n", "holds 2 in row 2, and a label is 0 or 1"),
            ("a,bug\n1,0\n2,0.5\n", "holds 0.5 in row 2"),
            ("a,bug\n1,0\n2,yes\n", "holds the text \"yes\" in row 2, line 3, and a label is 0 or 1"),
            ("a,b\n1,0\n", "\"bug\""),
            ("bug\n1\n", "no column of numbers: \"bug\" is the label"),
        ] {
            let message = labelled(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{expected}: {message}");
        }
        // Of rows to be scored it may be missing, and is read where it is not.
        let (_directory, file) = csv("bug,a\n1,2\n,3\n");
        let names = ["a".to_owned()];
        assert_eq!(read_columns(&file, &names, Some("bug")).unwrap().labels, [Some(true), None]);
        assert!(read_columns(&file, &names, Some("other")).unwrap().labels.is_empty());
    }
}

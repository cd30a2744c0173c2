//! Writes scores as a table of one column.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use parquet::arrow::ArrowWriter;

use super::{Format, TableError};

/// Writes the column `score`, one row a score. A file that is there already is replaced, once the new one is whole.
pub(super) fn write(file: &Path, scores: &[f32]) -> Result<(), TableError> {
    let unwritable = |problem: String| TableError::Unwritable { file: file.to_owned(), problem };
    let mut partial = PathBuf::from(file).into_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = match Format::of(file) {
        Some(Format::Csv) => csv(&partial, scores),
        _ => parquet(&partial, scores),
    };
    let moved = written.and_then(|()| std::fs::rename(&partial, file).map_err(|error| error.to_string()));
    moved.map_err(|problem| {
        // What was begun is of no use; that it is gone is not worth a second error.
        let _ = std::fs::remove_file(&partial);
        unwritable(problem)
    })
}

fn csv(file: &Path, scores: &[f32]) -> Result<(), String> {
    let write = || {
        let mut output = BufWriter::new(File::create(file)?);
        writeln!(output, "score")?;
        for score in scores {
            writeln!(output, "{score}")?;
        }
        output.flush()
    };
    write().map_err(|error: std::io::Error| error.to_string())
}

fn parquet(file: &Path, scores: &[f32]) -> Result<(), String> {
    let output = File::create(file).map_err(|error| error.to_string())?;
    let column: ArrayRef = Arc::new(Float64Array::from_iter_values(scores.iter().map(|&score| f64::from(score))));
    let batch = RecordBatch::try_from_iter([("score", column)]).map_err(|error| error.to_string())?;
    let write = || {
        let mut writer = ArrowWriter::try_new(output, batch.schema(), None)?;
        writer.write(&batch)?;
        writer.close()
    };
    write().map(drop).map_err(|error: parquet::errors::ParquetError| error.to_string())
}

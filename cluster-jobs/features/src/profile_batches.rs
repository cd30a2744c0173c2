//! Profiles as Arrow batches: one row a known author, file, directory or pair, so that Parquet can hold them.

use std::collections::HashMap;
use std::iter::{once, repeat_n};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, ListArray, RecordBatch, StringArray, StringBuilder, UInt8Array, UInt32Array,
    UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, UInt8Type, UInt32Type, UInt64Type};
use arrow::error::ArrowError;

use crate::history::AuthorHistory;
use crate::ledger::{AuthorState, DirectoryState, FileState, Histogram, Ledger, RepositoryState};
use crate::profiles::Profiles;
use crate::tally::{Recent, Total};

/// What a row is about.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum About {
    Repository = 0,
    Author = 1,
    File = 2,
    Directory = 3,
    AuthorFile = 4,
    AuthorDirectory = 5,
    /// The time of the newest event of any kind.
    AsOf = 6,
    /// A directory or a part of the repository above one.
    Area = 7,
    /// A word of titles.
    Word = 8,
}

/// Why a batch is no batch of profiles.
#[derive(Debug, thiserror::Error)]
pub enum ProfileBatchError {
    /// The columns are others; the first that differs.
    #[error("the columns of profiles are not those that this version reads, from `{0}` on")]
    Columns(String),
    /// A row is about something unknown.
    #[error("profiles hold a row of unknown kind {0}")]
    About(u8),
}

/// The columns of profiles. `last_at` is in milliseconds since 1970 UTC; counts that do not apply to a row are 0. `window` is
/// the newest window of 365 days since 1970 in which something was merged or taken back; the four columns after it count what
/// happened in it and in the one before.
pub fn profile_schema() -> SchemaRef {
    let counts = |name: &str| Field::new(name, DataType::UInt32, false);
    let histogram =
        |name: &str| Field::new(name, DataType::List(Arc::new(Field::new_list_field(DataType::UInt32, false))), false);
    Arc::new(Schema::new(vec![
        Field::new("repository", DataType::Utf8, false),
        Field::new("about", DataType::UInt8, false),
        Field::new("key", DataType::UInt64, false),
        counts("opened"),
        counts("merged"),
        counts("reverted"),
        counts("authors"),
        counts("fixes"),
        Field::new("last_at", DataType::Int64, true),
        histogram("churn"),
        histogram("changed_files"),
        counts("window"),
        counts("merged_in_window"),
        counts("merged_before"),
        counts("reverted_in_window"),
        counts("reverted_before"),
    ]))
}

struct Columns {
    about: Vec<u8>,
    key: Vec<u64>,
    opened: Vec<u32>,
    merged: Vec<u32>,
    reverted: Vec<u32>,
    authors: Vec<u32>,
    fixes: Vec<u32>,
    last_at: Vec<Option<i64>>,
    recent: Vec<Recent>,
}

#[derive(Default)]
struct Line {
    opened: u32,
    merged: u32,
    reverted: u32,
    authors: u32,
    fixes: u32,
    last_at: Option<i64>,
    recent: Recent,
}

impl Columns {
    fn with_capacity(rows: usize) -> Self {
        Self {
            about: Vec::with_capacity(rows),
            key: Vec::with_capacity(rows),
            opened: Vec::with_capacity(rows),
            merged: Vec::with_capacity(rows),
            reverted: Vec::with_capacity(rows),
            authors: Vec::with_capacity(rows),
            fixes: Vec::with_capacity(rows),
            last_at: Vec::with_capacity(rows),
            recent: Vec::with_capacity(rows),
        }
    }

    fn push(&mut self, about: About, key: u64, line: &Line) {
        self.about.push(about as u8);
        self.key.push(key);
        self.opened.push(line.opened);
        self.merged.push(line.merged);
        self.reverted.push(line.reverted);
        self.authors.push(line.authors);
        self.fixes.push(line.fixes);
        self.last_at.push(line.last_at);
        self.recent.push(line.recent);
    }

    fn recent(&self, of: impl Fn(&Recent) -> u32) -> ArrayRef {
        Arc::new(UInt32Array::from_iter_values(self.recent.iter().map(of)))
    }
}

/// One repository's ledger as a batch, in an order that depends on nothing but its content.
///
/// # Errors
/// None that a caller can cause: Arrow's own, if a column could not be built.
pub fn repository_batch(repository: &str, ledger: &Ledger) -> Result<RecordBatch, ArrowError> {
    let Ledger { authors, files, directories, areas, words, author_files, author_directories, .. } = ledger;
    let places = files.len() + directories.len() + areas.len();
    // And the first and the last, of the repository.
    let rows = authors.len() + places + words.len() + author_files.len() + author_directories.len() + 2;
    let mut columns = Columns::with_capacity(rows);
    let state = &ledger.repository;
    columns.push(
        About::Repository,
        0,
        &Line {
            opened: state.opened,
            merged: state.merged,
            reverted: state.reverted,
            recent: state.recent,
            ..Line::default()
        },
    );
    for (key, author) in sorted(authors) {
        let AuthorState { history, recent } = *author;
        let AuthorHistory { opened, merged, reverted, last_opened_at: last_at } = history;
        columns.push(About::Author, key, &Line { opened, merged, reverted, last_at, recent, ..Line::default() });
    }
    for (key, file) in sorted(files) {
        let FileState { merged, authors, fixes, reverted, last_merged_at: last_at, recent } = *file;
        columns.push(About::File, key, &Line { opened: 0, merged, reverted, authors, fixes, last_at, recent });
    }
    for (key, directory) in sorted(directories) {
        let DirectoryState { merged, reverted } = *directory;
        columns.push(About::Directory, key, &Line { merged, reverted, ..Line::default() });
    }
    for (key, recent) in sorted(areas) {
        columns.push(About::Area, key, &Line { recent: *recent, ..Line::default() });
    }
    for (key, word) in sorted(words) {
        let Total { merged, reverted } = *word;
        columns.push(About::Word, key, &Line { merged, reverted, ..Line::default() });
    }
    for (key, merged) in sorted(author_files) {
        columns.push(About::AuthorFile, key, &Line { merged: *merged, ..Line::default() });
    }
    for (key, merged) in sorted(author_directories) {
        columns.push(About::AuthorDirectory, key, &Line { merged: *merged, ..Line::default() });
    }
    columns.push(About::AsOf, 0, &Line { last_at: ledger.as_of, ..Line::default() });

    let mut names = StringBuilder::with_capacity(rows, rows * repository.len());
    for _ in 0..rows {
        names.append_value(repository);
    }
    let recent = [
        columns.recent(|recent| recent.window.into()),
        columns.recent(|recent| recent.merged[0]),
        columns.recent(|recent| recent.merged[1]),
        columns.recent(|recent| recent.reverted[0].into()),
        columns.recent(|recent| recent.reverted[1].into()),
    ];
    let mut arrays: Vec<ArrayRef> = vec![
        Arc::new(names.finish()),
        Arc::new(UInt8Array::from(columns.about)),
        Arc::new(UInt64Array::from(columns.key)),
        Arc::new(UInt32Array::from(columns.opened)),
        Arc::new(UInt32Array::from(columns.merged)),
        Arc::new(UInt32Array::from(columns.reverted)),
        Arc::new(UInt32Array::from(columns.authors)),
        Arc::new(UInt32Array::from(columns.fixes)),
        Arc::new(Int64Array::from(columns.last_at)),
        Arc::new(of_first(&state.churn, rows)?),
        Arc::new(of_first(&state.changed_files, rows)?),
    ];
    arrays.extend(recent);
    RecordBatch::try_new(profile_schema(), arrays)
}

fn sorted<K: Copy + Into<u64>, V, S>(map: &HashMap<K, V, S>) -> Vec<(u64, &V)> {
    let mut entries: Vec<_> = map.iter().map(|(key, value)| ((*key).into(), value)).collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    entries
}

/// A column that holds a histogram in the first of `rows`, and nothing in the others.
fn of_first(histogram: &Histogram, rows: usize) -> Result<ListArray, ArrowError> {
    let values = UInt32Array::from(histogram.0.clone());
    let offsets = OffsetBuffer::from_lengths(once(values.len()).chain(repeat_n(0, rows - 1)));
    ListArray::try_new(Arc::new(Field::new_list_field(DataType::UInt32, false)), offsets, Arc::new(values), None)
}

/// Adds the rows of `batch` to `profiles`. The rows of one repository may be spread over any number of batches.
///
/// # Errors
/// The columns are not those of [`profile_schema`], or a row is of a kind that this version does not know.
pub fn push_batch(profiles: &mut Profiles, batch: &RecordBatch) -> Result<(), ProfileBatchError> {
    let (found, read) = (batch.schema(), profile_schema());
    let (found, read) = (found.fields(), read.fields());
    if let Some(at) = (0..found.len().max(read.len())).find(|&at| found.get(at) != read.get(at)) {
        let first = read.get(at).or(found.get(at)).map(|field| field.name().clone());
        return Err(ProfileBatchError::Columns(first.unwrap_or_default()));
    }
    let names: &StringArray = batch.column(0).as_string();
    let about = batch.column(1).as_primitive::<UInt8Type>();
    let key = batch.column(2).as_primitive::<UInt64Type>();
    let count = |column: usize| batch.column(column).as_primitive::<UInt32Type>();
    let (opened, merged, reverted, authors, fixes) = (count(3), count(4), count(5), count(6), count(7));
    let (window, merged_now, merged_before) = (count(11), count(12), count(13));
    let (reverted_now, reverted_before) = (count(14), count(15));
    let recent_of = |row: usize| Recent {
        window: narrow(window.value(row)),
        merged: [merged_now.value(row), merged_before.value(row)],
        reverted: [narrow(reverted_now.value(row)), narrow(reverted_before.value(row))],
    };
    let last = batch.column(8).as_primitive::<Int64Type>();
    let histogram = |column: usize, row: usize| {
        Histogram(batch.column(column).as_list::<i32>().value(row).as_primitive::<UInt32Type>().values().to_vec())
    };

    // The rows of a repository stand together: its ledger is looked up once for all of them.
    let mut current: Option<(&str, &mut Ledger)> = None;
    for row in 0..batch.num_rows() {
        let name = names.value(row);
        let ledger = match current {
            Some((of, ledger)) if of == name => ledger,
            _ => profiles.repositories.entry(crate::repository_key(name)).or_default(),
        };
        let last_at = last.is_valid(row).then(|| last.value(row));
        let key = key.value(row);
        match about.value(row) {
            kind if kind == About::Repository as u8 => {
                ledger.repository = RepositoryState {
                    opened: opened.value(row),
                    merged: merged.value(row),
                    reverted: reverted.value(row),
                    recent: recent_of(row),
                    churn: histogram(9, row),
                    changed_files: histogram(10, row),
                };
            }
            kind if kind == About::AsOf as u8 => ledger.as_of = last_at,
            kind if kind == About::Author as u8 => {
                let history = AuthorHistory {
                    opened: opened.value(row),
                    merged: merged.value(row),
                    reverted: reverted.value(row),
                    last_opened_at: last_at,
                };
                ledger.authors.insert(key, AuthorState { history, recent: recent_of(row) });
            }
            kind if kind == About::File as u8 => {
                let file = FileState {
                    merged: merged.value(row),
                    authors: authors.value(row),
                    fixes: fixes.value(row),
                    reverted: reverted.value(row),
                    last_merged_at: last_at,
                    recent: recent_of(row),
                };
                ledger.files.insert(key, file);
            }
            kind if kind == About::Directory as u8 => {
                let directory = DirectoryState { merged: merged.value(row), reverted: reverted.value(row) };
                ledger.directories.insert(key, directory);
            }
            kind if kind == About::Area as u8 => {
                ledger.areas.insert(key, recent_of(row));
            }
            kind if kind == About::Word as u8 => {
                ledger.words.insert(key, Total { merged: merged.value(row), reverted: reverted.value(row) });
            }
            kind if kind == About::AuthorFile as u8 => {
                ledger.author_files.insert(key.into(), merged.value(row));
            }
            kind if kind == About::AuthorDirectory as u8 => {
                ledger.author_directories.insert(key.into(), merged.value(row));
            }
            kind => return Err(ProfileBatchError::About(kind)),
        }
        current = Some((name, ledger));
    }
    Ok(())
}

/// What was written is narrow; what was damaged is cut off.
fn narrow(count: u32) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

//! Cursors that read ranges, and beside each a thread that turns what it brings into text and compresses it.
//!
//! A batch of the server is handed over as it came. Nobody knows how large the next one is before it is here, since one
//! document may take 16 MB: so each waits for room for the largest, and gives back what it did not need.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bson::{Document, Timestamp, doc, spec::ElementType};
use futures::TryStreamExt;
use indicatif::{HumanCount, ProgressBar};
use mongodb::{
    error::{Error as DriverError, Result as Answer},
    options::RunCursorCommandOptions,
    raw_batch_cursor::{RawBatch, RawBatchCursor},
};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::{JoinSet, spawn_blocking},
};

use super::{Filter, Format, Plan, snapshot};
use crate::{
    Error,
    document::Date,
    extjson::{Damaged, Elements, string},
    mongo::Mongo,
    outlet::Coverage,
    progress,
    publish::{PartWriter, Parts, Totals, joined},
};

/// Documents that a cursor asks for at a time: so many that the way there and back takes little of the time, and so few
/// that several cursors go on beside each other.
const BATCH: u32 = 1_000;
/// KiB of them, of pull requests as they usually are.
const USUAL_BATCH: usize = 2 << 10;
/// The most KiB that a server sends at a time.
const LARGEST_BATCH: usize = 17 << 10;
/// The longest wait for an answer: a filter may find nothing in millions of documents.
const ANSWER: Duration = Duration::from_mins(10);

/// What all readers share.
pub(super) struct Work {
    mongo: Mongo,
    ranges: Vec<Document>,
    next: AtomicUsize,
    snapshot: Option<Timestamp>,
    /// A permit for each KiB that may be on its way.
    room: Arc<Semaphore>,
    format: Format,
    parts: Arc<Parts>,
    progress: ProgressBar,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) totals: Totals,
    pub(super) coverage: Coverage,
    /// Documents of each range.
    pub(super) ranges: Vec<u64>,
    /// Documents with text that was no UTF-8.
    pub(super) not_utf8: u64,
}

/// A batch of a range, on its way.
struct Fetched {
    range: usize,
    batch: RawBatch,
    _room: OwnedSemaphorePermit,
}

impl Work {
    pub(super) fn new(
        mongo: &Mongo,
        filter: &Filter,
        plan: &Plan,
        snapshot: Option<Timestamp>,
        format: Format,
        parts: Arc<Parts>,
        readers: usize,
    ) -> Self {
        // At least two may ask at the same time, while everybody has a batch in work and one that waits.
        let room = LARGEST_BATCH * (readers / 2).max(2) + readers * 2 * USUAL_BATCH;
        let progress =
            if filter.is_empty() { progress::bar(plan.documents, "exporting") } else { progress::spinner("exporting") };
        Self {
            mongo: mongo.clone(),
            ranges: plan.ranges.iter().map(|range| filter.within(range)).collect(),
            next: AtomicUsize::new(0),
            snapshot,
            room: Arc::new(Semaphore::new(room)),
            format,
            parts,
            progress,
        }
    }

    /// Reads one range after another, as long as there are any.
    async fn read(&self, batches: &mpsc::Sender<Fetched>) -> Result<(), Error> {
        loop {
            let range = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(filter) = self.ranges.get(range) else { return Ok(()) };
            let mut place = next_place(batches).await?;
            let mut room = self.room().await;
            let mut cursor = self.answer(self.open(filter)).await?;
            while let Some(batch) = self.answer(cursor.try_next()).await? {
                let needed = batch.as_raw_document().as_bytes().len().div_ceil(1 << 10);
                drop(room.split(room.num_permits().saturating_sub(needed)));
                place.send(Fetched { range, batch, _room: room });
                // In this order: who waits for its own thread keeps no room from others.
                place = next_place(batches).await?;
                room = self.room().await;
            }
        }
    }

    async fn open(&self, filter: &Document) -> Answer<RawBatchCursor> {
        let collection = self.mongo.pull_requests();
        let Some(time) = self.snapshot else {
            return collection.find(filter.clone()).batch_size(BATCH).batch().await;
        };
        let namespace = collection.namespace();
        let find = find_at(time, &namespace.coll, filter);
        let mut options = RunCursorCommandOptions::default();
        options.selection_criteria = collection.selection_criteria().cloned();
        options.batch_size = Some(BATCH);
        let database = collection.client().database(&namespace.db);
        database.run_cursor_command(find).with_options(options).batch().await
    }

    /// What the server answers.
    async fn answer<T>(&self, asked: impl Future<Output = Answer<T>>) -> Result<T, Error> {
        let answer = tokio::time::timeout(ANSWER, asked).await;
        answer.unwrap_or_else(|_| Err(DriverError::from(io::Error::from(io::ErrorKind::TimedOut)))).map_err(|error| {
            if self.snapshot.is_some() && snapshot::is_gone(&error) {
                Error::SnapshotGone
            } else {
                self.mongo.error("read", error)
            }
        })
    }

    /// Waits until the largest batch may come.
    async fn room(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.room).acquire_many_owned(LARGEST_BATCH as u32).await.expect("nobody closes it")
    }

    /// Writes what the cursor brings.
    fn write(&self, mut batches: mpsc::Receiver<Fetched>, runtime: Handle) -> Result<Read, Error> {
        let mut writer = PartWriter::new(&self.parts, runtime);
        let mut read = Read { ranges: vec![0; self.ranges.len()], ..Read::default() };
        while let Some(fetched) = writer.wait(batches.recv())? {
            let documents = fetched.batch.doc_slices().map_err(|error| self.mongo.error("read", error))?;
            let before = read.ranges[fetched.range];
            for element in Elements::of(documents.as_bytes()).map_err(Error::NoDocument)? {
                let element = element.map_err(Error::NoDocument)?;
                if element.kind != ElementType::EmbeddedDocument {
                    return Err(Error::NoDocument(Damaged::NO_DOCUMENT));
                }
                // That it is damaged, if it is, is told by who writes it.
                if let Ok(Some((repository, created))) = subject(element.value) {
                    read.coverage.add(repository, created);
                }
                read.not_utf8 += u64::from(!writer.document(element.value, self.format)?);
                read.ranges[fetched.range] += 1;
            }
            self.progress.inc(read.ranges[fetched.range] - before);
            if self.progress.length().is_none() {
                self.progress.set_message(format!("exporting: {}", HumanCount(self.progress.position())));
            }
        }
        read.totals = writer.finish()?;
        Ok(read)
    }
}

/// The command that finds what was there at a moment.
fn find_at(time: Timestamp, collection: &str, filter: &Document) -> Document {
    doc! {
        "find": collection,
        "filter": filter,
        "batchSize": i64::from(BATCH),
        "readConcern": { "level": "snapshot", "atClusterTime": time },
    }
}

/// Waits until the thread can take one more batch. Without the thread there is no reason to go on.
async fn next_place(batches: &mpsc::Sender<Fetched>) -> Result<mpsc::Permit<'_, Fetched>, Error> {
    batches.reserve().await.map_err(|_| Error::Cancelled)
}

/// Repository and creation of a pull request; nothing of a document that is none.
fn subject(document: &[u8]) -> Result<Option<(&str, Option<Date>)>, Damaged> {
    let (mut repository, mut created) = (None, None);
    for element in Elements::of(document)? {
        let element = element?;
        match (element.name, element.kind) {
            (b"base", ElementType::EmbeddedDocument) => repository = full_name(element.value)?,
            (b"created_at", ElementType::DateTime) => {
                let milliseconds = element.value.first_chunk().copied().map(i64::from_le_bytes);
                created = milliseconds.map(|milliseconds| Date(milliseconds.div_euclid(1_000)));
            }
            (b"created_at", ElementType::String) => {
                let text = std::str::from_utf8(string(element.value)?).ok();
                let moment = text.and_then(|text| text.parse::<jiff::Timestamp>().ok());
                created = moment.map(|moment| Date(moment.as_second()));
            }
            _ => continue,
        }
        if repository.is_some() && created.is_some() {
            break;
        }
    }
    Ok(repository.map(|repository| (repository, created)))
}

/// `repo.full_name`
fn full_name(base: &[u8]) -> Result<Option<&str>, Damaged> {
    for element in Elements::of(base)? {
        let element = element?;
        if element.name != b"repo" || element.kind != ElementType::EmbeddedDocument {
            continue;
        }
        for inner in Elements::of(element.value)? {
            let inner = inner?;
            if inner.name == b"full_name" && inner.kind == ElementType::String {
                return Ok(std::str::from_utf8(string(inner.value)?).ok());
            }
        }
    }
    Ok(None)
}

/// Reads all ranges by so many readers. When one of them fails, the others end.
pub(super) async fn all(work: Arc<Work>, readers: usize) -> Result<Read, Error> {
    let mut tasks = JoinSet::new();
    for _ in 0..readers.min(work.ranges.len()) {
        tasks.spawn(read_and_write(Arc::clone(&work)));
    }
    let mut sum = Ok(Read { ranges: vec![0; work.ranges.len()], ..Read::default() });
    let mut tell = tokio::time::interval(progress::LOGGED_EVERY);
    tell.reset();
    loop {
        let ended = tokio::select! {
            ended = tasks.join_next() => ended,
            _ = tell.tick() => {
                if work.progress.is_hidden() {
                    tracing::info!(documents = work.progress.position(), "exporting");
                }
                continue;
            }
        };
        let Some(ended) = ended else { break };
        match joined(ended) {
            Ok(read) => sum = sum.map(|sum| sum.and(read)),
            Err(error) => {
                work.parts.stop();
                // Those that were told to end are not why.
                let is_known = matches!(&sum, Err(first) if !matches!(first, Error::Cancelled));
                if !is_known {
                    sum = Err(error);
                }
            }
        }
    }
    work.progress.finish_and_clear();
    sum
}

/// One reader: a cursor, and the thread for what it brings.
async fn read_and_write(work: Arc<Work>) -> Result<Read, Error> {
    let (batches, waiting) = mpsc::channel(1);
    let (shared, runtime) = (Arc::clone(&work), Handle::current());
    let writer = spawn_blocking(move || shared.write(waiting, runtime));
    let read = work.parts.unless_stopped(Box::pin(work.read(&batches))).await.flatten();
    drop(batches);
    match (read, joined(writer.await)) {
        (Ok(()), written) => written,
        // Nobody took the batches: the thread knows why.
        (Err(Error::Cancelled), Err(error)) | (Err(error), _) => Err(error),
    }
}

impl Read {
    fn and(mut self, other: Self) -> Self {
        self.totals += other.totals;
        self.coverage.merge(other.coverage);
        self.ranges.iter_mut().zip(other.ranges).for_each(|(sum, more)| *sum += more);
        self.not_utf8 += other.not_utf8;
        self
    }
}

#[cfg(test)]
mod tests {
    use bson::{Bson, DateTime};

    use super::*;

    fn subject_of(document: &Document) -> Option<(String, Option<Date>)> {
        let bytes = bson::serialize_to_vec(document).unwrap();
        subject(&bytes).unwrap().map(|(repository, created)| (repository.to_owned(), created))
    }

    #[test]
    fn a_snapshot_is_read_at_its_moment() {
        let time = Timestamp { time: 7, increment: 3 };
        let find = find_at(time, "pull_requests", &doc! { "number": 1 });
        let concern = find.get_document("readConcern").unwrap();
        assert_eq!(concern, &doc! { "level": "snapshot", "atClusterTime": time });
        assert_eq!(find.get_str("find").unwrap(), "pull_requests");
        assert_eq!(find.get_document("filter").unwrap(), &doc! { "number": 1 });
    }

    #[test]
    fn the_subject_of_a_document_is_found_where_it_has_one() {
        let of = |created: Bson| doc! { "created_at": created, "base": { "sha": "1", "repo": { "full_name": "o/r" } } };
        let found = |created| Some(("o/r".to_owned(), created));
        assert_eq!(subject_of(&of(DateTime::from_millis(1_500).into())), found(Some(Date(1))));
        assert_eq!(subject_of(&of("1970-01-01T00:00:02Z".into())), found(Some(Date(2))));
        assert_eq!(subject_of(&of("yesterday".into())), found(None));
        assert_eq!(subject_of(&of(Bson::Null)), found(None));
        assert_eq!(subject_of(&doc! { "base": { "repo": null }, "created_at": "x" }), None);
        assert_eq!(subject_of(&doc! { "base": "o/r" }), None);
    }
}

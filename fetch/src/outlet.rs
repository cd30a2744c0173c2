//! Where a source puts its documents, and how they get from its thread to the one that stores them.

use std::collections::{BTreeMap, HashSet};

use prowl_platform::Input;
use tokio::{
    sync::mpsc,
    task::{JoinHandle, spawn_blocking},
};

use crate::{
    Error,
    document::{Date, Document},
    privacy::Privacy,
};

/// Bytes of documents that travel together.
const BATCH: usize = 256 << 10;
/// Batches that wait for the storing thread before the source has to.
const BATCHES_WAITING: usize = 8;

/// What a source tells of itself when it is through.
#[derive(Debug)]
pub(crate) struct Origin {
    /// For the manifest: what the export was made from.
    pub input: Input,
    /// For the manifest: anything else worth knowing about the source.
    pub details: serde_json::Value,
    /// For the manifest, beside the counts of the writer.
    pub counts: BTreeMap<String, u64>,
    /// A file to lie beside the parts.
    pub side_file: Option<(&'static str, Vec<u8>)>,
    /// Sentences for the person who waits.
    pub notes: Vec<String>,
}

/// What documents are made into, in the source's own thread, so that the other has only to store them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Extended JSON, one a line.
    Json,
    /// BSON, one after the other.
    Bson,
}

/// Where a source puts its documents.
pub(crate) struct Outlet {
    form: Form,
    privacy: Privacy,
    batch: Batch,
    channel: mpsc::Sender<Batch>,
    coverage: Coverage,
}

/// What a number of documents is about.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    /// Their repositories.
    pub repositories: HashSet<String>,
    /// Oldest and newest creation.
    pub span: Option<(Date, Date)>,
}

/// Documents that travel together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    /// Where each document ends.
    ends: Vec<usize>,
}

/// A source at work: what it tells of itself when it is through, and what its documents are about.
pub(crate) type Running = JoinHandle<Result<(Origin, Coverage), Error>>;

/// Runs a source in a thread of its own, and gives where its batches come out. When the receiver is dropped, the source is
/// told to stop at its next.
pub(crate) fn run(
    form: Form,
    privacy: Privacy,
    source: impl FnOnce(&mut Outlet) -> Result<Origin, Error> + Send + 'static,
) -> (Running, mpsc::Receiver<Batch>) {
    let (channel, batches) = mpsc::channel(BATCHES_WAITING);
    let mut outlet = Outlet { form, privacy, batch: Batch::default(), channel, coverage: Coverage::default() };
    let running = spawn_blocking(move || {
        let origin = source(&mut outlet)?;
        Ok::<_, Error>((origin, outlet.finish()?))
    });
    (running, batches)
}

impl Outlet {
    /// Hands a document on, without what is not to be stored of it, and waits while too many are on their way.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when nobody takes documents any more and the source should stop; [`Error::NoBson`] when BSON
    /// cannot hold the document.
    pub(crate) fn put(&mut self, document: Document) -> Result<(), Error> {
        let document = &self.privacy.apply(document);
        self.coverage.add(&document.base.repo.full_name, Some(document.created_at));

        let bytes = &mut self.batch.bytes;
        match self.form {
            Form::Json => {
                serde_json::to_writer(&mut *bytes, document)
                    .expect("every key is a string, and memory takes every write");
                bytes.push(b'\n');
            }
            Form::Bson => bson::serialize_to_buffer(document, bytes)
                .map_err(|error| Error::NoBson { document: document.key.clone(), reason: error.to_string() })?,
        }
        self.batch.ends.push(bytes.len());
        if bytes.len() < BATCH { Ok(()) } else { self.flush() }
    }

    /// For a source that works for long without a document: whether it should go on.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when nobody takes documents any more.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.channel.is_closed() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Hands on what is left, after the last document, and tells what all of them are about.
    fn finish(mut self) -> Result<Coverage, Error> {
        self.flush()?;
        Ok(self.coverage)
    }

    fn flush(&mut self) -> Result<(), Error> {
        let room =
            Batch { bytes: Vec::with_capacity(BATCH + BATCH / 4), ends: Vec::with_capacity(self.batch.ends.len()) };
        self.channel.blocking_send(std::mem::replace(&mut self.batch, room)).map_err(|_| Error::Cancelled)
    }
}

impl Coverage {
    /// Adds a document of this repository.
    pub(crate) fn add(&mut self, repository: &str, created: Option<Date>) {
        if !self.repositories.contains(repository) {
            self.repositories.insert(repository.to_owned());
        }
        if let Some(created) = created {
            self.widen(created, created);
        }
    }

    /// Adds those of another.
    pub(crate) fn merge(&mut self, other: Self) {
        self.repositories.extend(other.repositories);
        if let Some((from, to)) = other.span {
            self.widen(from, to);
        }
    }

    fn widen(&mut self, from: Date, to: Date) {
        let (oldest, newest) = self.span.unwrap_or((from, to));
        self.span = Some((oldest.min(from), newest.max(to)));
    }
}

impl Batch {
    /// Its documents: with [`Form::Json`] a line each, with its newline, with [`Form::Bson`] a BSON document each.
    pub(crate) fn documents(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, end)| &self.bytes[begin..*end])
    }
}

//! The parts of a draft: each is written by one thread, document by document, compressed there, and sent to the store
//! piece by piece, so that no document is held whole in any form but its own.

use std::{
    io::{self, BufWriter, Write},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use prowl_platform::{Draft, DraftWriter};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{Compression, PartSize, compression::Compressor};
use crate::{
    Error,
    extjson::{self, Format, Unwritable},
};

/// Text that is gathered before it is compressed: little enough to stay in the cache.
const TEXT: usize = 32 << 10;
/// Compressed bytes that are gathered before they go to the store.
const PIECE: usize = 1 << 20;

/// What those share who write the parts of one draft.
pub(crate) struct Parts {
    draft: Mutex<Draft>,
    begun: AtomicU64,
    size: PartSize,
    compression: Compression,
    stopped: CancellationToken,
}

/// How much was written.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    pub(crate) parts: u64,
    pub(crate) documents: u64,
    /// Of JSON.
    pub(crate) bytes: u64,
    /// In the store.
    pub(crate) stored_bytes: u64,
}

impl Parts {
    pub(crate) fn new(draft: Draft, size: PartSize, compression: Compression) -> Self {
        Self {
            draft: Mutex::new(draft),
            begun: AtomicU64::new(0),
            size,
            compression,
            stopped: CancellationToken::new(),
        }
    }

    /// Tells everybody to end.
    pub(crate) fn stop(&self) {
        self.stopped.cancel();
    }

    /// What comes of this, unless everybody is told to end.
    ///
    /// # Errors
    /// [`Error::Cancelled`]
    pub(crate) async fn unless_stopped<T>(&self, future: impl Future<Output = T>) -> Result<T, Error> {
        self.stopped.run_until_cancelled(future).await.ok_or(Error::Cancelled)
    }

    /// The draft, when nobody writes any more.
    pub(crate) fn into_draft(self) -> Draft {
        self.draft.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, runtime: &Handle) -> Result<Part, Error> {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let name = format!("part-{number:05}.{}", self.compression.extension());
        let file = self.draft.lock().unwrap_or_else(PoisonError::into_inner).writer(&name)?;
        let compressor = Compressor::new(self.compression).map_err(Error::Compression)?;
        let sink = Sink { compressor, file, runtime: runtime.clone(), stopped: self.stopped.clone() };
        Ok(Part { text: BufWriter::with_capacity(TEXT, sink), documents: 0 })
    }
}

/// Writes one part after another. Only for a thread that may wait.
pub(crate) struct PartWriter<'a> {
    parts: &'a Parts,
    runtime: Handle,
    part: Option<Part>,
    totals: Totals,
}

struct Part {
    text: BufWriter<Sink>,
    documents: u64,
}

/// Compresses text, and sends what comes of it.
struct Sink {
    compressor: Compressor,
    file: DraftWriter,
    runtime: Handle,
    stopped: CancellationToken,
}

impl<'a> PartWriter<'a> {
    pub(crate) fn new(parts: &'a Parts, runtime: Handle) -> Self {
        Self { parts, runtime, part: None, totals: Totals::default() }
    }

    /// Waits for what comes of this, unless everybody is told to end.
    ///
    /// # Errors
    /// [`Error::Cancelled`]
    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> Result<T, Error> {
        self.runtime.block_on(self.parts.unless_stopped(future))
    }

    /// Appends a line, which ends with a newline.
    pub(crate) fn line(&mut self, line: &[u8]) -> Result<(), Error> {
        self.part()?.text.write_all(line).map_err(cause)?;
        self.written()
    }

    /// Appends a document of BSON as a line, and tells whether all of its text was UTF-8.
    pub(crate) fn document(&mut self, bson: &[u8], format: Format) -> Result<bool, Error> {
        let text = &mut self.part()?.text;
        let written = extjson::write(bson, format, text);
        let is_utf8 = written.map_err(|error| match error {
            Unwritable::Damaged(damaged) => Error::NoDocument(damaged),
            Unwritable::Io(error) => cause(error),
        })?;
        text.write_all(b"\n").map_err(cause)?;
        self.written()?;
        Ok(is_utf8)
    }

    fn part(&mut self) -> Result<&mut Part, Error> {
        let part = match self.part.take() {
            Some(part) => part,
            None => {
                self.totals.parts += 1;
                self.parts.begin(&self.runtime)?
            }
        };
        Ok(self.part.insert(part))
    }

    /// After a document: ends the part if it is full.
    fn written(&mut self) -> Result<(), Error> {
        let Some(part) = &mut self.part else { return Ok(()) };
        part.documents += 1;
        let bytes = part.text.get_ref().compressor.taken() + part.text.buffer().len() as u64;
        let is_full = match self.parts.size {
            PartSize::Documents(limit) => part.documents >= limit,
            PartSize::Bytes(limit) => bytes >= limit,
        };
        if is_full { self.end() } else { Ok(()) }
    }

    fn end(&mut self) -> Result<(), Error> {
        let Some(Part { text, documents }) = self.part.take() else { return Ok(()) };
        let Sink { compressor, mut file, .. } = text.into_inner().map_err(|error| cause(error.into_error()))?;
        self.totals.documents += documents;
        self.totals.bytes += compressor.taken();
        let rest = compressor.finish().map_err(Error::Compression)?;
        let stored = self.wait(async {
            file.write(rest.into()).await?;
            file.finish().await
        })??;
        self.totals.stored_bytes += stored.bytes;
        Ok(())
    }

    /// Ends the last part.
    pub(crate) fn finish(mut self) -> Result<Totals, Error> {
        self.end()?;
        Ok(self.totals)
    }
}

impl Write for Sink {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let taken = self.compressor.write(text)?;
        let made = self.compressor.made();
        if made.len() >= PIECE {
            let piece = std::mem::replace(made, Vec::with_capacity(PIECE + 2 * TEXT));
            let sent = self.stopped.run_until_cancelled(self.file.write(piece.into()));
            let sent = self.runtime.block_on(sent).ok_or(Error::Cancelled);
            sent.and_then(|sent| sent.map_err(Error::from)).map_err(io::Error::other)?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why a text was not taken: an error of the store, or of the compressor.
fn cause(error: io::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(Error::Compression)
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.parts += other.parts;
        self.documents += other.documents;
        self.bytes += other.bytes;
        self.stored_bytes += other.stored_bytes;
    }
}

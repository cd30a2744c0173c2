//! From documents to a published export: rotating gzip parts, then the manifest.

use std::{
    collections::{BTreeMap, HashSet},
    io::Write,
};

use flate2::{Compression, write::GzEncoder};
use prowl_platform::{Draft, DraftWriter, Input, Kind, Store, shutdown};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::{
    Error,
    document::{Date, Document},
};

/// Bytes of JSON that travel together from a source to the writer.
const BATCH: usize = 256 << 10;
/// Batches that wait for the writer before the source has to.
const BATCHES_WAITING: usize = 8;
/// Compressed bytes that are gathered before they go to the store.
const PIECE: usize = 1 << 20;
/// The default level takes twice the time for a sixth less.
const COMPRESSION: Compression = Compression::new(2);

/// When a part is full and the next begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartSize {
    /// After that many documents.
    Documents(u64),
    /// Once it holds that many bytes of JSON, before compression.
    Bytes(u64),
}

/// What a source tells of itself when it is through.
#[derive(Debug)]
pub struct Origin {
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

/// What was published.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Name of the folder below `exports/`.
    pub snapshot: String,
    /// Where it lies.
    pub url: String,
    /// Versions of pull requests written.
    pub documents: u64,
    /// Distinct repositories among them.
    pub repositories: u64,
    /// Number of part files.
    pub parts: u64,
    /// Bytes of JSON.
    pub bytes: u64,
    /// Bytes in the store, compressed.
    pub stored_bytes: u64,
    /// Creation of the oldest pull request.
    pub from: Option<String>,
    /// Creation of the newest.
    pub to: Option<String>,
    /// What the source counted.
    pub counts: BTreeMap<String, u64>,
    /// What the source has to say.
    pub notes: Vec<String>,
    /// The command that goes on from here.
    pub next: String,
}

/// Where a source puts its documents. They become text here, in the source's thread, so that the writer's has only
/// to compress.
pub struct Outlet {
    batch: Batch,
    channel: mpsc::Sender<Batch>,
    repositories: HashSet<String>,
    /// Oldest and newest creation.
    span: Option<(Date, Date)>,
}

/// Documents as JSON, one a line.
#[derive(Default)]
struct Batch {
    text: Vec<u8>,
    /// Where each line ends.
    ends: Vec<usize>,
}

impl Outlet {
    fn new(channel: mpsc::Sender<Batch>) -> Self {
        Self { batch: Batch::default(), channel, repositories: HashSet::new(), span: None }
    }

    /// Hands a document to the writer, and waits while the writer has too many.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when the writer is gone and the source should stop.
    pub fn put(&mut self, document: &Document) -> Result<(), Error> {
        let repository = &document.base.repo.full_name;
        if !self.repositories.contains(repository) {
            self.repositories.insert(repository.clone());
        }
        let created = document.created_at;
        let (from, to) = self.span.unwrap_or((created, created));
        self.span = Some((from.min(created), to.max(created)));

        let text = &mut self.batch.text;
        serde_json::to_writer(&mut *text, document).expect("every key is a string, and memory takes every write");
        text.push(b'\n');
        self.batch.ends.push(text.len());
        if text.len() < BATCH { Ok(()) } else { self.flush() }
    }

    /// For a source that works for long without a document: whether it should go on.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when the writer is gone.
    pub fn check(&self) -> Result<(), Error> {
        if self.channel.is_closed() { Err(Error::Cancelled) } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Error> {
        let room =
            Batch { text: Vec::with_capacity(BATCH + BATCH / 4), ends: Vec::with_capacity(self.batch.ends.len()) };
        self.channel.blocking_send(std::mem::replace(&mut self.batch, room)).map_err(|_| Error::Cancelled)
    }
}

/// Runs a source in a thread of its own and publishes what it makes. When the source fails or a signal comes, what
/// was written is removed and nothing is published.
///
/// # Errors
/// Those of the source and of the store.
pub async fn publish(
    store: &Store,
    part_size: PartSize,
    source: impl FnOnce(&mut Outlet) -> Result<Origin, Error> + Send + 'static,
) -> Result<Report, Error> {
    let stop = shutdown::signal();
    let mut writer = ExportWriter::create(store, part_size).await?;
    let (channel, mut batches) = mpsc::channel(BATCHES_WAITING);
    let source = tokio::task::spawn_blocking(move || {
        let mut outlet = Outlet::new(channel);
        let origin = source(&mut outlet)?;
        outlet.flush()?;
        Ok((origin, outlet.repositories.len() as u64, outlet.span))
    });

    let written = tokio::select! {
        written = write_all(&mut writer, &mut batches) => written,
        signal = stop => Err(Error::Stopped(signal)),
    };
    // Without a receiver the source notices at its next batch that nobody listens.
    drop(batches);
    let made = source.await.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()));
    let mut made = written.and(made);
    if let Ok((origin, ..)) = &mut made
        && let Err(error) = writer.complete(origin.side_file.take()).await
    {
        made = Err(error);
    }
    match made {
        Ok((origin, repositories, span)) => writer.publish(store, origin, repositories, span).await,
        Err(error) => {
            writer.discard().await;
            Err(error)
        }
    }
}

async fn write_all(writer: &mut ExportWriter, batches: &mut mpsc::Receiver<Batch>) -> Result<(), Error> {
    while let Some(batch) = batches.recv().await {
        let mut begin = 0;
        for end in batch.ends {
            writer.write(&batch.text[begin..end]).await?;
            begin = end;
        }
    }
    Ok(())
}

/// Writes lines into gzip parts of a draft. The parts hold no time, so the same documents give the same bytes.
struct ExportWriter {
    draft: Draft,
    part_size: PartSize,
    part: Option<Part>,
    parts: u64,
    documents: u64,
    bytes: u64,
    stored_bytes: u64,
}

struct Part {
    gzip: GzEncoder<Vec<u8>>,
    file: DraftWriter,
    documents: u64,
    bytes: u64,
}

impl ExportWriter {
    async fn create(store: &Store, part_size: PartSize) -> Result<Self, Error> {
        Ok(Self {
            draft: store.draft(Kind::Exports).await?,
            part_size,
            part: None,
            parts: 0,
            documents: 0,
            bytes: 0,
            stored_bytes: 0,
        })
    }

    async fn write(&mut self, line: &[u8]) -> Result<(), Error> {
        let part = if let Some(part) = &mut self.part {
            part
        } else {
            let file = self.draft.writer(&format!("part-{:05}.json.gz", self.parts))?;
            self.parts += 1;
            self.part.insert(Part::new(file))
        };
        part.write(line).await?;
        self.documents += 1;
        let full = match self.part_size {
            PartSize::Documents(limit) => part.documents >= limit,
            PartSize::Bytes(limit) => part.bytes >= limit,
        };
        if full { self.close_part().await } else { Ok(()) }
    }

    async fn close_part(&mut self) -> Result<(), Error> {
        if let Some(part) = self.part.take() {
            self.bytes += part.bytes;
            self.stored_bytes += part.finish().await?;
        }
        Ok(())
    }

    /// Writes all that the manifest is to list.
    async fn complete(&mut self, side_file: Option<(&'static str, Vec<u8>)>) -> Result<(), Error> {
        self.close_part().await?;
        if let Some((name, content)) = side_file {
            self.draft.put(name, content.into()).await?;
        }
        Ok(())
    }

    async fn publish(
        self,
        store: &Store,
        origin: Origin,
        repositories: u64,
        span: Option<(Date, Date)>,
    ) -> Result<Report, Error> {
        let mut counts = origin.counts;
        counts.insert("documents".to_owned(), self.documents);
        counts.insert("bytes".to_owned(), self.bytes);
        let folder = self.draft.publish(vec![origin.input], counts.clone(), origin.details).await?;
        Ok(Report {
            snapshot: folder.name().to_owned(),
            url: folder.url().to_string(),
            documents: self.documents,
            repositories,
            parts: self.parts,
            bytes: self.bytes,
            stored_bytes: self.stored_bytes,
            from: span.and_then(|(from, _)| from.text()),
            to: span.and_then(|(_, to)| to.text()),
            counts,
            notes: origin.notes,
            next: format!("prowl-preprocess --store {} --export latest", store.url()),
        })
    }

    /// Removes the draft and the part that is being written into it.
    async fn discard(self) {
        drop(self.part);
        self.draft.discard().await;
    }
}

impl Part {
    fn new(file: DraftWriter) -> Self {
        let gzip = GzEncoder::new(Vec::with_capacity(2 * PIECE), COMPRESSION);
        Self { gzip, file, documents: 0, bytes: 0 }
    }

    async fn write(&mut self, line: &[u8]) -> Result<(), Error> {
        self.gzip.write_all(line).expect("memory takes every write");
        self.documents += 1;
        self.bytes += line.len() as u64;
        if self.gzip.get_ref().len() >= PIECE {
            let piece = std::mem::replace(self.gzip.get_mut(), Vec::with_capacity(2 * PIECE));
            self.file.write(piece.into()).await?;
        }
        Ok(())
    }

    /// Size of the file in the store.
    async fn finish(mut self) -> Result<u64, Error> {
        let rest = self.gzip.finish().expect("memory takes every write");
        self.file.write(rest.into()).await?;
        Ok(self.file.finish().await?.bytes)
    }
}

impl Report {
    /// The summary for a person.
    pub fn text(&self) -> String {
        use indicatif::{HumanBytes, HumanCount};
        let day = |time: &Option<String>| time.as_deref().map_or("-", |time| &time[..10]).to_owned();
        let plural = |count: u64, one: &str, many: &str| {
            format!("{} {}", HumanCount(count), if count == 1 { one } else { many })
        };
        let mut lines = vec![
            format!("published export {}", self.snapshot),
            format!(
                "  {} of {}, opened {} to {}",
                plural(self.documents, "document", "documents"),
                plural(self.repositories, "repository", "repositories"),
                day(&self.from),
                day(&self.to)
            ),
            format!(
                "  {} of JSON, {} compressed in {}",
                HumanBytes(self.bytes),
                HumanBytes(self.stored_bytes),
                plural(self.parts, "part", "parts")
            ),
        ];
        lines.extend(self.notes.iter().map(|note| format!("  {note}")));
        lines.push(format!("  {}", self.url));
        lines.push(format!("next: {}", self.next));
        lines.join("\n")
    }
}

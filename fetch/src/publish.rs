//! From documents to a published export: parts of extended JSON, then the manifest.

mod compression;
mod parts;

use std::{collections::BTreeMap, sync::Arc};

use prowl_platform::{Kind, Store, shutdown};
use serde::Serialize;
use tokio::{runtime::Handle, task::spawn_blocking};

pub(crate) use self::compression::Compression;
pub(crate) use self::parts::{PartWriter, Parts, Totals};
use crate::{
    Error,
    outlet::{self, Coverage, Form, Origin, Outlet},
    privacy::Privacy,
    progress::plural,
};

/// What of a manifest's details tells what is left out and hidden of its documents, [`Privacy::mode`].
pub(crate) const PRIVACY: &str = "privacy";

/// When a part is full and the next begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartSize {
    /// After that many documents.
    Documents(u64),
    /// Once it holds that many bytes of JSON, before compression.
    Bytes(u64),
}

/// What was published.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Name of the folder below `exports/`, unless there was nothing to publish.
    pub snapshot: Option<String>,
    /// Where it lies.
    pub url: Option<String>,
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
    /// The command that goes on from here, where one export is enough for it.
    pub next: Option<String>,
}

/// All that the manifest of an export and its summary tell.
pub(crate) struct Made {
    pub(crate) origin: Origin,
    /// Whether it is all that there is, so that the next stage may begin with it.
    pub(crate) is_whole: bool,
    pub(crate) totals: Totals,
    pub(crate) coverage: Coverage,
}

/// Runs a source in a thread of its own and publishes what it makes. When the source fails or a signal comes, what
/// was written is removed and nothing is published.
///
/// # Errors
/// Those of the source and of the store.
pub(crate) async fn publish(
    store: &Store,
    part_size: PartSize,
    compression: Compression,
    privacy: Privacy,
    source: impl FnOnce(&mut Outlet) -> Result<Origin, Error> + Send + 'static,
) -> Result<Report, Error> {
    let stop = shutdown::signal();
    let mode = privacy.mode();
    let parts = Arc::new(Parts::new(store.draft(Kind::Exports).await?, part_size, compression));
    let (source, mut batches) = outlet::run(Form::Json, privacy, source);
    let (shared, runtime) = (Arc::clone(&parts), Handle::current());
    let writer = spawn_blocking(move || {
        let mut writer = PartWriter::new(&shared, runtime);
        // When this fails, the batches end, and the source notices at its next that nobody listens.
        while let Some(batch) = writer.wait(batches.recv())? {
            batch.documents().try_for_each(|line| writer.line(line))?;
        }
        writer.finish()
    });

    let stopped = unless_signalled(&parts, stop, async {
        let made = joined(source.await);
        let written = joined(writer.await);
        // Where nobody took the documents, the reason for that is the one to tell.
        let totals = written?;
        let (mut origin, coverage) = made?;
        origin.details[PRIVACY] = mode.into();
        Ok(Made { origin, is_whole: true, totals, coverage })
    });
    let made = stopped.await;
    complete(store, parts, made).await
}

/// What comes of the work. A signal ends it first: everybody is told, and waited for.
pub(crate) async fn unless_signalled<T>(
    parts: &Parts,
    stop: impl Future<Output = &'static str>,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => done,
        signal = stop => {
            parts.stop();
            // Whatever comes of it now is not what was wanted.
            let _ = work.await;
            Err(Error::Stopped(signal))
        }
    }
}

/// The result of a thread, whose panic goes on here.
pub(crate) fn joined<T>(ended: Result<T, tokio::task::JoinError>) -> T {
    ended.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))
}

/// Publishes what was made, or removes what was written of it. Nobody writes any more.
pub(crate) async fn complete(store: &Store, parts: Arc<Parts>, made: Result<Made, Error>) -> Result<Report, Error> {
    let mut draft = Arc::into_inner(parts).expect("every writer has ended").into_draft();
    let stored = match made {
        Ok(mut made) => match made.origin.side_file.take() {
            Some((name, content)) => draft.put(name, content.into()).await.map_err(Error::from).map(|()| made),
            None => Ok(made),
        },
        Err(error) => Err(error),
    };
    let Made { origin, is_whole, totals, coverage } = match stored {
        Ok(made) => made,
        Err(error) => {
            draft.discard().await;
            return Err(error);
        }
    };
    let mut counts = origin.counts;
    counts.insert("documents".to_owned(), totals.documents);
    counts.insert("bytes".to_owned(), totals.bytes);
    let folder = if totals.documents > 0 {
        Some(draft.publish(vec![origin.input], counts.clone(), origin.details).await?)
    } else {
        draft.discard().await;
        None
    };
    let next = || format!("prowl-preprocess --store {} --export latest", store.url());
    Ok(Report {
        snapshot: folder.as_ref().map(|folder| folder.name().to_owned()),
        url: folder.as_ref().map(|folder| folder.url().to_string()),
        documents: totals.documents,
        repositories: coverage.repositories.len() as u64,
        parts: totals.parts,
        bytes: totals.bytes,
        stored_bytes: totals.stored_bytes,
        from: coverage.span.and_then(|(from, _)| from.text()),
        to: coverage.span.and_then(|(_, to)| to.text()),
        counts,
        notes: origin.notes,
        next: folder.filter(|_| is_whole).map(|_| next()),
    })
}

impl Report {
    /// Nothing was done, and why.
    pub(crate) fn nothing_new(why: String) -> Self {
        Self { notes: vec![why], ..Self::default() }
    }

    /// The summary for a person.
    pub(crate) fn text(&self) -> String {
        use indicatif::HumanBytes;
        let day = |time: &Option<String>| time.as_deref().map_or("-", |time| &time[..10]).to_owned();
        let Some(snapshot) = &self.snapshot else {
            let notes = self.notes.iter().map(|note| format!("  {note}"));
            return std::iter::once("nothing new: nothing was published".to_owned())
                .chain(notes)
                .collect::<Vec<_>>()
                .join("\n");
        };
        let mut lines = vec![
            format!("published export {snapshot}"),
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
        lines.extend(self.url.iter().map(|url| format!("  {url}")));
        lines.extend(self.next.iter().map(|next| format!("next: {next}")));
        lines.join("\n")
    }
}

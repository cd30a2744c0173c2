//! Exports into the collection: published ones of the store, or files as `mongoexport` writes them. So a second
//! environment begins where the first is, and a team with what it has collected already.
//!
//! A thread reads, unpacks and turns text into BSON; the collection moves forward only, so that an export that is
//! imported twice, or after newer versions have come, changes nothing. A document that is none is told with its file and
//! line and left out; too many of them fail the run.

mod documents;
mod source;
mod tally;

use bson::{RawDocumentBuf, rawdoc};
use futures::stream;
use indicatif::{HumanCount, ProgressBar};
use prowl_platform::{Store, documents::hinted, shutdown};
use serde::Serialize;
use tokio::{runtime::Handle, sync::mpsc, task::spawn_blocking};

use self::{documents::Documents, source::Source, tally::Tally};
use crate::{
    Error, extjson,
    mongo::{Identity, Mongo, Written, store_all},
    progress::{self, plural},
    publish::joined,
};

/// What goes to the server together.
const DOCUMENTS: usize = 1_000;
const BYTES: usize = 4 << 20;
/// Batches that wait for the server, and those that it works at.
const WAITING: usize = 1;
const AT_ONCE: usize = 2;

/// The largest document that MongoDB stores.
const LARGEST: usize = 16 << 20;
/// The longest text of one, several times as long: a longer one is passed over without being held.
const LONGEST: usize = 64 << 20;

/// What to import.
#[derive(Debug, Clone)]
pub struct Config {
    /// `latest` or another name of an export of the store, files, folders of files, and `-` for standard input.
    pub sources: Vec<String>,
    /// The largest share of documents that may be none.
    pub max_reject_share: f64,
}

/// What was imported.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Names of the database and the collection.
    pub collection: String,
    /// Where the database is.
    pub hosts: String,
    /// Files that were read.
    pub files: u64,
    /// Documents in them: those below, and the rejected.
    pub read: u64,
    /// Those that are no pull requests, or no documents at all.
    pub rejected: u64,
    /// What became of the pull requests of the others.
    #[serde(flatten)]
    pub written: Written,
    /// The first of the rejected: file, line and reason.
    pub rejects: Vec<String>,
}

/// Stores what the sources hold. What was stored before a failure or a signal stays, since it is right; importing it
/// again changes nothing of it.
///
/// # Errors
/// Those of the database and of the store; a source is missing or damaged; [`Error::TooManyRejects`].
pub(crate) async fn import(config: &Config, mongo: &Mongo, store: Option<&Store>) -> Result<Report, Error> {
    let stop = shutdown::signal();
    let (sources, settings) = source::find(&config.sources, store).await?;
    let (batches, waiting) = mpsc::channel(WAITING);
    let runtime = Handle::current();
    let progress = progress::spinner("importing");
    let shown = progress.clone();
    let reader = spawn_blocking(move || read(sources, &runtime, &batches, &shown));
    // Once the receiver goes, the thread notices at its next batch that nobody listens.
    let waiting = stream::unfold(waiting, |mut waiting| async move { Some((waiting.recv().await?, waiting)) });
    let stored = store_all(mongo, &settings, waiting, AT_ONCE, stop, |documents| {
        progress.set_position(documents);
        progress.set_message(format!("importing: {}", HumanCount(documents)));
    });
    let stored = stored.await;
    let tally = joined(reader.await);
    progress.finish_and_clear();
    let (_, written) = stored?;
    let tally = tally?;
    tally.judge(config.max_reject_share)?;
    Ok(Report {
        collection: mongo.namespace(),
        hosts: mongo.hosts().to_owned(),
        files: tally.files,
        read: tally.read,
        rejected: tally.rejects.count(),
        written,
        rejects: tally.rejects.told().to_vec(),
    })
}

/// Hands on the documents of all sources, and tells what became of them.
fn read(
    sources: Vec<Source>,
    runtime: &Handle,
    batches: &mpsc::Sender<Vec<RawDocumentBuf>>,
    progress: &ProgressBar,
) -> Result<Tally, Error> {
    let mut tally = Tally::default();
    let (mut batch, mut bytes, mut text) = (Vec::new(), 0, Vec::new());
    let send =
        |batch: &mut Vec<RawDocumentBuf>| batches.blocking_send(std::mem::take(batch)).map_err(|_| Error::Cancelled);
    let is_stopped = || batches.is_closed();
    for source in sources {
        let file = source.to_string();
        let failed = |source| Error::File { file: file.clone(), source: hinted(source) };
        let mut documents =
            Documents::of(source.open(runtime, &is_stopped).map_err(failed)?, LONGEST).map_err(failed)?;
        tally.files += 1;
        while let Some(found) = documents.next(&mut text).map_err(failed)? {
            tally.read += 1;
            let document =
                if found.is_whole { document(&text) } else { Err(format!("it is longer than {LONGEST} bytes")) };
            match document {
                Ok(document) => {
                    bytes += document.as_bytes().len();
                    batch.push(document);
                }
                Err(reason) => {
                    if let Some(told) = tally.rejects.add(&file, found.line, &reason) {
                        progress.suspend(|| tracing::warn!("rejected a document: {told}"));
                    }
                }
            }
            if batch.len() >= DOCUMENTS || bytes >= BYTES {
                send(&mut batch)?;
                bytes = 0;
            }
        }
    }
    if !batch.is_empty() {
        send(&mut batch)?;
    }
    Ok(tally)
}

/// The pull request that this is the text of.
fn document(text: &[u8]) -> Result<RawDocumentBuf, String> {
    let document = extjson::read(text).map_err(|error| error.to_string())?;
    if document.as_bytes().len() > LARGEST {
        return Err(format!("it has {} bytes, and MongoDB stores {LARGEST}", document.as_bytes().len()));
    }
    let Some(Identity { repository, number }) = Identity::of(&document) else {
        return Err("it has no base.repo.full_name or no number, and so is no pull request".to_owned());
    };
    if document.get("_id").is_ok_and(|id| id.is_some()) {
        return Ok(document);
    }
    // As collectors name it.
    let mut named = rawdoc! { "_id": format!("{repository}#{number}") };
    for element in &document {
        let (name, value) = element.map_err(|error| error.to_string())?;
        named.append(name, value);
    }
    Ok(named)
}

impl Report {
    /// The summary for a person.
    pub(crate) fn text(&self) -> String {
        let mut lines = vec![
            format!("imported into {} at {}", self.collection, self.hosts),
            format!(
                "  {} of {}: {}, {} rejected",
                plural(self.read, "document", "documents"),
                plural(self.files, "file", "files"),
                self.written,
                HumanCount(self.rejected),
            ),
        ];
        lines.extend(self.rejects.iter().map(|reject| format!("  rejected: {reject}")));
        if self.rejected > self.rejects.len() as u64 {
            lines.push("  and more".to_owned());
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pull_request_is_a_document() {
        let good = br#"{"_id":"o/r#1","number":1,"base":{"repo":{"full_name":"o/r"}}}"#;
        assert_eq!(
            document(good).unwrap(),
            rawdoc! { "_id": "o/r#1", "number": 1, "base": { "repo": { "full_name": "o/r" } } }
        );
        let nameless = br#"{"number":1,"base":{"repo":{"full_name":"o/r"}}}"#;
        assert_eq!(document(nameless).unwrap(), document(good).unwrap());
        for (wrong, reason) in [
            (&b"{"[..], "a name in quotes is expected here (byte 2)"),
            (b"[]", "this is no document"),
            (br#"{"number":1}"#, "no base.repo.full_name"),
            (br#"{"base":{"repo":{"full_name":"o/r"}}}"#, "no number"),
            (br#"{"_id":{"$oid":"planted"}}"#, "$oid has no value that it may have"),
        ] {
            let told = document(wrong).unwrap_err();
            assert!(told.contains(reason) && !told.contains("planted"), "{told}");
        }
        let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(LARGEST));
        assert!(document(large.as_bytes()).unwrap_err().contains("MongoDB stores 16777216"));
    }
}

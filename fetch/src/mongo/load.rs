//! From a source to the collection.

use std::{collections::BTreeMap, future::ready, time::Duration};

use bson::RawDocumentBuf;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt, stream};
use prowl_platform::shutdown;
use serde::Serialize;
use tokio::{sync::mpsc, time::sleep};

use super::{Mongo, Settings, Written};
use crate::{
    Error,
    outlet::{self, Batch, Form, Origin, Outlet},
    privacy::Privacy,
    progress::plural,
    publish::joined,
};

/// Batches on their way at the same time: the way there and back is no time lost.
const AT_ONCE: usize = 4;
/// What goes together at least, as far as it is there.
const DOCUMENTS: usize = 250;
const BYTES: usize = 4 << 20;

/// How long one who was told to end waits for what is being written.
pub(crate) const FAREWELL: Duration = Duration::from_secs(10);

/// What was loaded.
#[derive(Debug, Serialize)]
pub struct LoadReport {
    /// Names of the database and the collection.
    pub collection: String,
    /// Where the database is.
    pub hosts: String,
    /// Versions of pull requests that the source gave.
    pub documents: u64,
    /// Distinct repositories among them.
    pub repositories: u64,
    /// What became of their pull requests.
    #[serde(flatten)]
    pub written: Written,
    /// What the source counted.
    pub counts: BTreeMap<String, u64>,
    /// What the source has to say.
    pub notes: Vec<String>,
    /// The command that goes on from here.
    pub next: String,
}

/// Runs a source in a thread of its own and stores what it makes, forward only. What was stored before a failure or a
/// signal stays, since it is right; loading it again changes nothing of it. `in_order` is for a source whose versions are
/// told apart by nothing but the order in which they come.
///
/// # Errors
/// Those of the source and of the database; [`Error::StoppedLoading`].
pub(crate) async fn load(
    mongo: &Mongo,
    privacy: Privacy,
    in_order: bool,
    source: impl FnOnce(&mut Outlet) -> Result<Origin, Error> + Send + 'static,
) -> Result<LoadReport, Error> {
    let stop = shutdown::signal();
    let settings = Settings::from(&privacy);
    let (source, mut batches) = outlet::run(Form::Bson, privacy, source);
    let documents = stream::unfold(&mut batches, |batches| async move {
        let documents = gather(batches).await?;
        Some((documents, batches))
    });
    let at_once = if in_order { 1 } else { AT_ONCE };
    let stored = store_all(mongo, &settings, documents, at_once, stop, |_| ()).await;
    // Without a receiver the source notices at its next batch that nobody listens.
    drop(batches);
    let made = joined(source.await);
    let (documents, written) = stored?;
    let (Origin { mut counts, notes, .. }, coverage) = made?;
    counts.insert("documents".to_owned(), documents);
    Ok(LoadReport {
        collection: mongo.namespace(),
        hosts: mongo.hosts().to_owned(),
        documents,
        repositories: coverage.repositories.len() as u64,
        written,
        counts,
        notes,
        next: format!("prowl-fetch export{}", mongo.flags()),
    })
}

/// Makes the collection ready and stores batch after batch, some at once; `told` hears how many documents that are so
/// far. Gives how many there were and what became of them.
///
/// `stop` ends the batches. Those on their way are waited for: what they change counts only afterwards, see
/// [`super::changes`].
///
/// # Errors
/// Those of the database; [`Error::StoppedLoading`].
pub(crate) async fn store_all(
    mongo: &Mongo,
    settings: &Settings,
    batches: impl Stream<Item = Vec<RawDocumentBuf>>,
    at_once: usize,
    stop: impl Future<Output = &'static str>,
    told: impl Fn(u64),
) -> Result<(u64, Written), Error> {
    let stop = stop.shared();
    let prepared = async {
        mongo.prepare(false).await?;
        mongo.settings(settings).await
    };
    tokio::select! {
        prepared = prepared => prepared?,
        signal = stop.clone() => return Err(Error::StoppedLoading(signal)),
    }
    let written = batches.take_until(stop.clone()).map(|documents| async move {
        let written = mongo.upsert(&documents).await?;
        Ok::<_, Error>((documents.len() as u64, written))
    });
    let sum = |(before, mut sum): (u64, Written), (count, more): (u64, Written)| {
        sum += more;
        told(before + count);
        ready(Ok::<_, Error>((before + count, sum)))
    };
    let stored = written.buffer_unordered(at_once).try_fold((0, Written::default()), sum);
    let overdue = async {
        let signal = stop.clone().await;
        sleep(FAREWELL).await;
        signal
    };
    let stored = tokio::select! {
        stored = stored => stored?,
        signal = overdue => return Err(Error::StoppedLoading(signal)),
    };
    match stop.peek() {
        Some(&signal) => Err(Error::StoppedLoading(signal)),
        None => Ok(stored),
    }
}

/// The documents that wait, or the first that come.
async fn gather(batches: &mut mpsc::Receiver<Batch>) -> Option<Vec<RawDocumentBuf>> {
    let mut batch = batches.recv().await?;
    let (mut documents, mut size) = (Vec::new(), 0);
    loop {
        for bytes in batch.documents() {
            size += bytes.len();
            documents.push(RawDocumentBuf::from_bytes(bytes.to_vec()).expect("the outlet wrote BSON documents"));
        }
        if documents.len() >= DOCUMENTS || size >= BYTES {
            return Some(documents);
        }
        match batches.try_recv() {
            Ok(next) => batch = next,
            Err(_) => return Some(documents),
        }
    }
}

impl LoadReport {
    /// The summary for a person.
    pub(crate) fn text(&self) -> String {
        let mut lines = vec![
            format!("stored in {} at {}", self.collection, self.hosts),
            format!(
                "  {} of {}: {}",
                plural(self.documents, "document", "documents"),
                plural(self.repositories, "repository", "repositories"),
                self.written,
            ),
        ];
        lines.extend(self.notes.iter().map(|note| format!("  {note}")));
        lines.push(format!("next: {}", self.next));
        lines.join("\n")
    }
}

//! Several `git` side by side, each on a slice of the commits; their documents come in the order of the commits.
//!
//! Comparing files is nearly all of the work, and one `git` does it on one core. What is read ahead is bounded by the
//! number of batches that wait, so a reader that is far ahead stands still until its turn comes.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
};

use super::{
    changes::{Context, Documents},
    command::Git,
    main_line::Merge,
};
use crate::{Error, document::Document};

/// Most readers at once: each `git` keeps up to 96 MiB of what it has unpacked.
const MOST_READERS: usize = 32;
/// Commits of a slice: enough that the start of a `git` does not count, few enough that all readers end together.
const SLICE: std::ops::RangeInclusive<usize> = 32..=1024;
/// Slices begun for each reader, so that none waits for the one whose turn it is.
const AHEAD: usize = 3;
/// Documents and files of a batch, whichever comes first, and batches of a slice that wait: 4 MiB of them as documents
/// usually are.
const BATCH: (usize, usize) = (64, 1024);
const BATCHES_WAITING: usize = 16;

/// A slice, and where its documents go.
struct Job<'a> {
    merges: &'a [(u64, Merge)],
    batches: SyncSender<Result<Batch, Error>>,
}

#[derive(Default)]
struct Batch {
    documents: Vec<Document>,
    files: usize,
    authors_by_name: u64,
}

/// Puts one document for each of the merges, in their order. Returns of how many the author is known by name only.
pub(super) fn read(
    git: &Git,
    context: &Context<'_>,
    merges: &[(u64, Merge)],
    mut put: impl FnMut(Document) -> Result<(), Error>,
) -> Result<u64, Error> {
    let readers = thread::available_parallelism().map_or(1, usize::from).min(MOST_READERS);
    let size = (merges.len() / (8 * readers)).clamp(*SLICE.start(), *SLICE.end());
    let (jobs, queue) = mpsc::channel();
    let queue = Mutex::new(queue);
    thread::scope(|scope| {
        // Moved in, so that a return ends the queue and with it the readers, for which the scope waits.
        let jobs = jobs;
        for _ in 0..readers {
            scope.spawn(|| work(git, context, &queue));
        }
        let mut slices = merges.chunks(size);
        let mut begun = VecDeque::new();
        let mut authors_by_name = 0;
        loop {
            while begun.len() < AHEAD * readers
                && let Some(merges) = slices.next()
            {
                let (batches, documents) = mpsc::sync_channel(BATCHES_WAITING);
                jobs.send(Job { merges, batches }).map_err(|_| Error::Cancelled)?;
                begun.push_back(documents);
            }
            let Some(slice) = begun.pop_front() else { return Ok(authors_by_name) };
            for batch in slice {
                let batch = batch?;
                authors_by_name += batch.authors_by_name;
                batch.documents.into_iter().try_for_each(&mut put)?;
            }
        }
    })
}

/// Reads one slice after the other until there is none, or nobody takes its documents any more.
fn work(git: &Git, context: &Context<'_>, queue: &Mutex<Receiver<Job<'_>>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { merges, batches }) = job else { return };
        let read = read_slice(git, context, merges, &batches);
        if let Err(error) = read
            && batches.send(Err(error)).is_err()
        {
            return;
        }
    }
}

fn read_slice(
    git: &Git,
    context: &Context<'_>,
    merges: &[(u64, Merge)],
    batches: &SyncSender<Result<Batch, Error>>,
) -> Result<(), Error> {
    let mut documents = Documents::start(git, merges, context)?;
    let mut batch = Batch::default();
    let hand_over = |batch: &mut Batch, authors_by_name: &mut u64| {
        batch.authors_by_name = std::mem::take(authors_by_name);
        batches.send(Ok(std::mem::take(batch))).map_err(|_| Error::Cancelled)
    };
    while let Some(document) = documents.next()? {
        batch.files += document.files.as_ref().map_or(0, Vec::len);
        batch.documents.push(document);
        if batch.documents.len() >= BATCH.0 || batch.files >= BATCH.1 {
            hand_over(&mut batch, &mut documents.authors_by_name)?;
        }
    }
    hand_over(&mut batch, &mut documents.authors_by_name)
}

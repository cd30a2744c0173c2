//! Pull requests to send: a sample of an export by the dice of a seed, so that a run can be had again, and so many of them
//! that no cache flatters.
//!
//! Memory is bounded by the size of the sample, whatever the export holds: each line that is read has the same chance to be in
//! it (algorithm R: Vitter 1985, Random Sampling with a Reservoir). Of the parts of an export only some are read, in an order by
//! the dice: at least eight, and as many as it takes to see eight times the sample. Each part has the same chance to be among
//! them, and so has each line, but for parts of different lengths; what lines of a part have in common, as a month or a
//! repository, is then in the sample more or less often than in the export. Files that were named are all read.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, BufRead, Read},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::TryStreamExt;
use prowl_platform::{
    Folder, Kind, Store,
    documents::{hinted, unpack},
};
use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha8Rng, seq::SliceRandom as _};
use tokio::{runtime::Handle, task::spawn_blocking};
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::Error;

/// The longest document that is taken: a server refuses longer ones, so that they would measure the refusal.
const LONGEST: usize = 1 << 20;
/// Parts of an export that are read at least, and how many times the sample has to be seen in them.
const PARTS: usize = 8;
const SEEN: usize = 8;
/// How often it is told how far it is.
const TELL: Duration = Duration::from_secs(5);

/// Where pull requests come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `latest` or the name of an export of the store.
    Export(String),
    /// Files of one document a line, plain, gzip or zstd.
    Files(Vec<PathBuf>),
}

/// The sample.
#[derive(Debug)]
pub struct Deck {
    documents: Vec<Bytes>,
}

/// Documents without end: all of the deck in an order of its own, then all in another.
#[derive(Debug)]
pub(crate) struct Draws {
    deck: Arc<Deck>,
    order: Vec<u32>,
    place: usize,
    dice: ChaCha8Rng,
}

impl Deck {
    /// Draws at most `size` documents.
    ///
    /// # Errors
    /// What is to be read is not there or is damaged, or holds no document.
    pub(crate) async fn draw(origin: &Origin, store: Option<&Store>, size: usize, seed: u64) -> Result<Self, Error> {
        let (name, inputs) = inputs(origin, store).await?;
        // Of files that somebody has named none is left out.
        let least = if matches!(origin, Origin::Files(_)) { inputs.len() } else { PARTS };
        let runtime = Handle::current();
        let read = spawn_blocking(move || sample(inputs, least, &runtime, size, seed)).await;
        let documents = read.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))?;
        match documents {
            (documents, _) if !documents.is_empty() => Ok(Self { documents }),
            (_, Some(Unread { file, line, reason, .. })) => Err(Error::NoDocument { file, line, reason }),
            _ => Err(Error::NoRequests { origin: name }),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.documents.len()
    }

    /// The others than those at these places; nothing where there are none.
    #[must_use]
    pub(crate) fn without(&self, places: &BTreeSet<usize>) -> Option<Self> {
        let others = self.documents.iter().enumerate().filter(|(place, _)| !places.contains(place));
        let documents: Vec<Bytes> = others.map(|(_, document)| document.clone()).collect();
        (!documents.is_empty()).then_some(Self { documents })
    }

    /// One of them.
    pub(crate) fn document(&self, place: usize) -> &Bytes {
        &self.documents[place]
    }
}

impl Draws {
    /// Draws of a seed.
    pub(crate) fn of(deck: &Arc<Deck>, seed: u64) -> Self {
        let order = (0..deck.len() as u32).collect();
        let mut draws = Self { deck: Arc::clone(deck), order, place: 0, dice: ChaCha8Rng::seed_from_u64(seed) };
        draws.shuffle();
        draws
    }

    /// The next one, and its place in the deck.
    pub(crate) fn draw(&mut self) -> (usize, Bytes) {
        if self.place == self.order.len() {
            self.shuffle();
        }
        let place = self.order[self.place] as usize;
        self.place += 1;
        (place, self.deck.documents[place].clone())
    }

    /// So many of the next.
    pub(crate) fn take(&mut self, count: usize) -> Vec<Bytes> {
        (0..count).map(|_| self.draw().1).collect()
    }

    fn shuffle(&mut self) {
        self.order.shuffle(&mut self.dice);
        self.place = 0;
    }
}

/// A file to read.
enum Input {
    Part(Arc<Folder>, String),
    File(PathBuf),
}

impl Input {
    fn name(&self) -> String {
        match self {
            Self::Part(folder, part) => format!("{}{part}", folder.url()),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// Its text. Only for a thread that may wait.
    fn open(&self, runtime: &Handle) -> io::Result<Box<dyn BufRead>> {
        match self {
            Self::File(path) => unpack(fs::File::open(path)?),
            Self::Part(folder, part) => {
                let (_, pieces) = runtime.block_on(folder.stream(part)).map_err(io::Error::other)?;
                let pieces = StreamReader::new(Box::pin(pieces.map_err(io::Error::other)));
                unpack(SyncIoBridge::new_with_handle(pieces, runtime.clone()))
            }
        }
    }
}

async fn inputs(origin: &Origin, store: Option<&Store>) -> Result<(String, Vec<Input>), Error> {
    match origin {
        Origin::Files(paths) => {
            let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
            Ok((names.join(", "), paths.iter().cloned().map(Input::File).collect()))
        }
        Origin::Export(name) => {
            let store = store.ok_or_else(|| Error::RequestsNeedStore { name: name.clone() })?;
            let folder = Arc::new(store.folder(Kind::Exports, name).await.map_err(Error::Export)?);
            let parts: Vec<String> = folder.files("part-").map(|entry| entry.path.clone()).collect();
            let parts = parts.into_iter().map(|part| Input::Part(Arc::clone(&folder), part));
            Ok((folder.url().to_string(), parts.collect()))
        }
    }
}

/// Lines that were to be in the sample, and are no documents.
struct Unread {
    times: u64,
    /// Where the first of them is.
    file: String,
    line: u64,
    reason: String,
}

/// Any document: whether it is a pull request, the server says.
type AnyDocument = serde_json::Map<String, serde_json::Value>;

/// Draws from the inputs: from all of them, or from `least` or more where those hold enough. Gives what could not be read,
/// too, which is passed over.
fn sample(
    mut inputs: Vec<Input>,
    least: usize,
    runtime: &Handle,
    size: usize,
    seed: u64,
) -> Result<(Vec<Bytes>, Option<Unread>), Error> {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    if least < inputs.len() {
        inputs.shuffle(&mut dice);
    }
    let (mut taken, mut seen) = (Vec::with_capacity(size.min(1 << 16)), 0_usize);
    let (of, mut told, mut unread) = (inputs.len(), Instant::now(), None::<Unread>);
    for (read, input) in inputs.iter().enumerate() {
        if read >= least && seen >= SEEN * size {
            break;
        }
        let failed = |source| Error::Requests { file: input.name(), source: hinted(source) };
        let mut text = input.open(runtime).map_err(failed)?;
        let (mut line, mut number) = (Vec::new(), 0);
        while next_line(&mut text, &mut line).map_err(failed)? {
            number += 1;
            if line.is_empty() {
                continue;
            }
            seen += 1;
            let place = if taken.len() < size { taken.len() } else { dice.random_range(0..seen) };
            // Most lines of a long export are neither parsed nor copied.
            if place < size {
                match serde_json::from_slice::<AnyDocument>(&line) {
                    Ok(_) if place == taken.len() => taken.push(Bytes::copy_from_slice(&line)),
                    Ok(_) => taken[place] = Bytes::copy_from_slice(&line),
                    Err(error) => {
                        let first = || Unread { times: 0, file: input.name(), line: number, reason: error.to_string() };
                        unread.get_or_insert_with(first).times += 1;
                    }
                }
            }
            if seen.is_multiple_of(1 << 10) && told.elapsed() >= TELL {
                told = Instant::now();
                tracing::info!(file = input.name(), read, of, lines = seen, "drawing pull requests");
            }
        }
    }
    if let Some(Unread { times, file, line, reason }) = &unread
        && !taken.is_empty()
    {
        tracing::warn!(
            times,
            file,
            line,
            reason,
            "passed over lines that are no documents, of which this is the first"
        );
    }
    Ok((taken, unread))
}

/// Reads a line without its end; one that is too long counts as empty. False at the end.
fn next_line(text: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    if text.by_ref().take(LONGEST as u64 + 1).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.len() > LONGEST && !line.ends_with(b"\n") {
        line.clear();
        text.skip_until(b'\n')?;
    }
    line.truncate(line.trim_ascii_end().len());
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(texts: &[&str]) -> (tempfile::TempDir, Origin) {
        let folder = tempfile::tempdir().unwrap();
        let paths = texts.iter().enumerate().map(|(place, text)| {
            let path = folder.path().join(place.to_string());
            fs::write(&path, text).unwrap();
            path
        });
        let origin = Origin::Files(paths.collect());
        (folder, origin)
    }

    fn document(number: usize) -> String {
        format!("{{\"n\":{number}}}")
    }

    async fn drawn(origin: &Origin, size: usize, seed: u64) -> Vec<String> {
        let deck = Deck::draw(origin, None, size, seed).await.unwrap();
        deck.documents.iter().map(|document| String::from_utf8(document.to_vec()).unwrap()).collect()
    }

    #[tokio::test]
    async fn a_small_export_is_taken_whole_and_a_large_one_by_the_seed() {
        let (_folder, small) = files(&["{\"a\":1}\n\n{\"b\":2}\r\n", "{\"c\":3}"]);
        assert_eq!(drawn(&small, 10, 1).await, ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"]);
        let lines: Vec<String> = (0..1_000).map(document).collect();
        let (_folder, large) = files(&[&lines.join("\n")]);
        let sample = drawn(&large, 50, 1).await;
        assert_eq!((sample.len(), sample.iter().collect::<BTreeSet<_>>().len()), (50, 50));
        assert_eq!(sample, drawn(&large, 50, 1).await);
        assert_ne!(sample, drawn(&large, 50, 2).await);
        // From all over it.
        assert!(
            sample.iter().any(|line| line.starts_with("{\"n\":9") && line.len() == document(900).len()),
            "{sample:?}"
        );
    }

    #[tokio::test]
    async fn what_is_too_long_is_passed_over_and_nothing_is_an_error() {
        let long = format!("{}\n{{}}\n", "x".repeat(LONGEST + 5));
        let (_folder, origin) = files(&[&long]);
        assert_eq!(drawn(&origin, 10, 1).await, ["{}"]);
        let (_folder, empty) = files(&["\n"]);
        let error = Deck::draw(&empty, None, 10, 1).await.unwrap_err().to_string();
        assert!(error.contains("no pull request"), "{error}");
        let (_folder, readme) = files(&["\n# Title\n"]);
        let error = Deck::draw(&readme, None, 10, 1).await.unwrap_err().to_string();
        assert!(error.contains("/0: line 2 is no document"), "{error}");
        let (_folder, some) = files(&["# Title\n{}\n[]\n{\"a\":1}"]);
        assert_eq!(drawn(&some, 10, 1).await, ["{}", "{\"a\":1}"]);
        let missing = Origin::Files(vec!["/nowhere".into()]);
        assert!(Deck::draw(&missing, None, 10, 1).await.unwrap_err().to_string().contains("/nowhere"));
    }

    #[tokio::test]
    async fn what_is_left_out_is_not_drawn() {
        let lines: Vec<String> = (0..4).map(document).collect();
        let (_folder, origin) = files(&[&lines.join("\n")]);
        let deck = Deck::draw(&origin, None, 10, 1).await.unwrap();
        let without = |places: &[usize]| deck.without(&places.iter().copied().collect());
        let others = without(&[0, 2, 9]).unwrap();
        assert_eq!(others.documents, [1, 3].map(|number| Bytes::from(document(number))));
        let drawn: BTreeSet<Bytes> = Draws::of(&Arc::new(others), 1).take(4).into_iter().collect();
        assert_eq!(drawn.len(), 2);
        assert_eq!(without(&[]).unwrap().documents, deck.documents);
        assert!(without(&[0, 1, 2, 3]).is_none());
    }

    #[tokio::test]
    async fn each_round_holds_all_of_them_in_another_order() {
        let lines: Vec<String> = (0..100).map(document).collect();
        let (_folder, origin) = files(&[&lines.join("\n")]);
        let deck = Arc::new(Deck::draw(&origin, None, 100, 1).await.unwrap());
        let mut draws = Draws::of(&deck, 7);
        let mut round = || (0..100).map(|_| draws.draw().0).collect::<Vec<_>>();
        let (first, second) = (round(), round());
        assert_ne!(first, second);
        for round in [&first, &second] {
            assert_eq!(round.iter().collect::<BTreeSet<_>>().len(), 100);
        }
        let mut again = Draws::of(&deck, 7);
        assert_eq!((0..100).map(|_| again.draw().0).collect::<Vec<_>>(), first);
    }

    #[tokio::test]
    async fn of_many_parts_some_are_read_by_the_seed() {
        let part =
            |number: usize| (0..10).map(|line| format!("{{\"n\":\"{number}-{line}\"}}\n")).collect::<Vec<_>>().concat();
        let texts: Vec<String> = (0..30).map(part).collect();
        let (_folder, Origin::Files(paths)) = files(&texts.iter().map(String::as_str).collect::<Vec<_>>()) else {
            panic!("they are files")
        };
        let inputs = || paths.iter().cloned().map(Input::File).collect::<Vec<_>>();
        let runtime = Handle::current();
        let read = |least, size, seed| {
            let sample = sample(inputs(), least, &runtime, size, seed).unwrap().0;
            let lines = sample.iter().map(|line| String::from_utf8(line.to_vec()).unwrap()).collect::<BTreeSet<_>>();
            let parts = lines.iter().map(|line| line.split('-').next().unwrap().to_owned()).collect::<BTreeSet<_>>();
            (lines, parts.len())
        };
        let (lines, parts) = read(PARTS, 10, 1);
        assert!(lines.len() == 10 && (2..=8).contains(&parts), "{lines:?}");
        assert_eq!(read(PARTS, 10, 1).0, lines);
        assert_ne!(read(PARTS, 10, 2).0, lines);
        // As many as hold the lines that are wanted; all of them, where all are wanted.
        assert_eq!((read(PARTS, 200, 1).0.len(), read(PARTS, 300, 1).1), (200, 30));
        let (_, parts) = read(30, 100, 1);
        assert!(parts > 20, "{parts}");
    }

    #[tokio::test]
    async fn a_file_that_ends_in_the_middle_is_told() {
        let (folder, _) = files(&[]);
        let path = folder.path().join("cut.zst");
        let packed = zstd::encode_all(&b"{}\n{}\n"[..], 1).unwrap();
        fs::write(&path, &packed[..packed.len() - 1]).unwrap();
        let error = Deck::draw(&Origin::Files(vec![path]), None, 10, 1).await.unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("copy it again"), "{source}");
    }
}

//! Bytes as they are stored: fetched from the store, hashed on the way, and decompressed.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use blake3::hazmat::HasherExt;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResultPayload, ObjectStore};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::form::Form;

/// Bytes that are fetched at once of what a last line needs beyond its range.
const BEYOND: u64 = 1 << 20;

/// Compressed bytes that are read at once.
const BLOCK: usize = 256 << 10;

/// What a file is fetched from, by a thread that may wait.
pub(super) struct Fetch {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) path: Path,
    pub(super) runtime: Handle,
    /// Its size when the run began.
    pub(super) bytes: u64,
    /// Whether the digest of the whole is known, by which a change is found.
    pub(super) has_digest: bool,
}

type Input = Box<dyn Read + Send>;

impl Fetch {
    /// The whole file.
    pub(super) fn whole(&self) -> io::Result<Input> {
        self.get(GetOptions::default())
    }

    /// The bytes from one before `range` on, which tells whether a line begins there, up to wherever the last line may
    /// end.
    pub(super) fn lines_of(self, range: &Range<u64>) -> io::Result<Input> {
        let first = range.start.saturating_sub(1)..range.end;
        let input = self.get_range(first)?;
        Ok(Box::new(Onwards { input, next: range.end, end: self.bytes, fetch: self }))
    }

    fn get_range(&self, range: Range<u64>) -> io::Result<Input> {
        self.get(GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() })
    }

    fn get(&self, options: GetOptions) -> io::Result<Input> {
        let result = self.runtime.block_on(self.store.get_opts(&self.path, options))?;
        // Its parts would be of several files.
        if result.meta.size != self.bytes && !self.has_digest {
            let (before, now) = (self.bytes, result.meta.size);
            return Err(io::Error::other(format!("it had {before} bytes when the run began, and has {now} now")));
        }
        let range = result.range.clone();
        match result.payload {
            // A file of this machine is read without a detour over other threads.
            GetResultPayload::File(mut file, _) => {
                file.seek(SeekFrom::Start(range.start))?;
                Ok(Box::new(file.take(range.end - range.start)))
            }
            GetResultPayload::Stream(bytes) => {
                let bytes = StreamReader::new(bytes.map_err(io::Error::from));
                Ok(Box::new(SyncIoBridge::new_with_handle(bytes, self.runtime.clone())))
            }
        }
    }
}

/// A range, and what follows it for as long as somebody reads.
struct Onwards {
    fetch: Fetch,
    input: Input,
    next: u64,
    end: u64,
}

impl Read for Onwards {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.input.read(buffer)?;
            if read > 0 || buffer.is_empty() || self.next >= self.end {
                return Ok(read);
            }
            let end = self.end.min(self.next + BEYOND);
            self.input = self.fetch.get_range(self.next..end)?;
            self.next = end;
        }
    }
}

/// The digest in the making of a file, or of a range of one.
enum Hash {
    /// Of a file that was published: its manifest tells what it has to be.
    Sha256(Sha256),
    /// Of any other: faster, and the digest of a file follows from those of its ranges ([`crate::sources`]).
    Blake3(Box<blake3::Hasher>),
    /// Of a range: the chaining value.
    Subtree(Box<blake3::Hasher>),
}

impl Hash {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Blake3(hash) | Self::Subtree(hash) => drop(hash.update(bytes)),
        }
    }

    fn finish(self) -> [u8; 32] {
        match self {
            Self::Sha256(hash) => hash.finalize().into(),
            Self::Blake3(hash) => hash.finalize().into(),
            Self::Subtree(hash) => hash.finalize_non_root(),
        }
    }
}

/// Hashes a range of what is read through it.
pub(super) struct Hashed<R> {
    input: R,
    hash: Hash,
    /// Bytes before the range.
    skip: u64,
    /// Bytes of it.
    left: u64,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        let skipped = self.skip.min(read as u64);
        self.skip -= skipped;
        let hashed = self.left.min(read as u64 - skipped);
        self.left -= hashed;
        self.hash.update(&buffer[skipped as usize..(skipped + hashed) as usize]);
        Ok(read)
    }
}

/// A file's text: plain, gzip or Zstandard.
pub(super) enum Text<R: Read> {
    Plain(Begun<R>),
    Range(Hashed<R>),
    Gzip(Box<flate2::bufread::MultiGzDecoder<BufReader<Begun<R>>>>),
    Zstd(zstd::stream::read::Decoder<'static, BufReader<Begun<R>>>),
}

/// What is read again of the beginning, and the rest.
type Begun<R> = io::Chain<io::Cursor<Vec<u8>>, Hashed<R>>;

impl<R: Read> Text<R> {
    /// The text of a whole file, which was published or not.
    pub(super) fn of(input: R, is_published: bool) -> io::Result<Self> {
        let hash = if is_published { Hash::Sha256(Sha256::new()) } else { Hash::Blake3(Box::default()) };
        let mut stored = Hashed { input, hash, skip: 0, left: u64::MAX };
        let mut start = Vec::new();
        (&mut stored).take(4).read_to_end(&mut start)?;
        let form = Form::of(&start);
        let begun = io::Cursor::new(start).chain(stored);
        let buffered = |begun| BufReader::with_capacity(BLOCK, begun);
        Ok(match form {
            Form::Gzip => Self::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(buffered(begun)))),
            Form::Zstd => Self::Zstd(zstd::stream::read::Decoder::with_buffer(buffered(begun))?),
            Form::Array | Form::Lines | Form::Foreign(_) => Self::Plain(begun),
        })
    }

    /// The text of a range of a plain file; `input` begins one byte before it, if there is one.
    pub(super) fn of_range(input: R, range: &Range<u64>) -> Self {
        let mut hash = Box::new(blake3::Hasher::new());
        hash.set_input_offset(range.start);
        Self::Range(Hashed {
            input,
            hash: Hash::Subtree(hash),
            skip: range.start.min(1),
            left: range.end - range.start,
        })
    }

    /// The digest of the whole file, also of what a decoder left unread at its end, or the chaining value of the range.
    pub(super) fn finish(self) -> io::Result<[u8; 32]> {
        let begun = match self {
            Self::Range(stored) if stored.left > 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Self::Range(stored) => return Ok(stored.hash.finish()),
            Self::Plain(begun) => begun,
            Self::Gzip(decoder) => decoder.into_inner().into_inner(),
            Self::Zstd(decoder) => decoder.finish().into_inner(),
        };
        let (_, mut stored) = begun.into_inner();
        io::copy(&mut BufReader::with_capacity(BLOCK, &mut stored), &mut io::sink())?;
        Ok(stored.hash.finish())
    }
}

impl<R: Read> Read for Text<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(input) => input.read(buffer),
            Self::Range(input) => input.read(buffer),
            Self::Gzip(input) => input.read(buffer),
            Self::Zstd(input) => input.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn a_range_is_read_on_from_a_store_that_streams() {
        let text: Vec<u8> = (0..3 * BEYOND + 77).map(|at| (at % 251) as u8).collect();
        let (store, path, bytes) = (Arc::new(InMemory::new()), Path::from("export.json"), text.len() as u64);
        store.put(&path, text.clone().into()).await.unwrap();
        let read_on = async |range: Range<u64>, bytes| {
            let (store, path, runtime) = (Arc::clone(&store) as _, path.clone(), Handle::current());
            let fetch = Fetch { store, path, runtime, bytes, has_digest: false };
            let read = move || {
                let mut read = Vec::new();
                fetch.lines_of(&range)?.read_to_end(&mut read)?;
                io::Result::Ok(read)
            };
            tokio::task::spawn_blocking(read).await.unwrap()
        };
        for (range, from) in [(0..10, 0), (10..BEYOND, 9), (2 * BEYOND..bytes, 2 * BEYOND - 1)] {
            let read = read_on(range.clone(), bytes).await.unwrap();
            assert!(read == text[from as usize..], "{range:?}: {} bytes", read.len());
        }
        let said = read_on(0..10, bytes - 1).await.unwrap_err().to_string();
        assert!(said.contains("when the run began"), "{said}");
    }
}

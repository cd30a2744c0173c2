//! Lines of files, unpacked and cut in a thread of its own: whoever understands them meanwhile has only that to do, and
//! can stop although a pipe that is read from has nothing to say.

use std::{
    io::{self, BufRead, Read},
    ops::Range,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use memchr::memchr;
use prowl_platform::documents::{MARK, hinted, unpack};
use ring::digest::{Context, SHA256};

use super::input::Source;
use crate::Error;

/// A longer line is passed over without being held. GitHub sends payloads of up to 25 MB.
pub(super) const LONGEST_LINE: usize = 32 << 20;

/// Bytes of lines that travel together, or one line more.
const BATCH: usize = 1 << 20;

/// Batches that wait before the reader does.
const WAITING: usize = 2;

/// How often one who waits for lines looks whether anybody still wants them.
const LOOK: Duration = Duration::from_millis(100);

/// A thread that reads.
pub(super) struct Reader {
    batches: Receiver<Batch>,
    thread: JoinHandle<Result<String, Error>>,
}

/// Lines of one file.
pub(super) struct Batch {
    /// The file's name, for people.
    pub(super) file: Arc<str>,
    bytes: Vec<u8>,
    /// Those that are not blank.
    lines: Vec<Place>,
}

/// The number of a line, and where its text is; that of one that is too long is not held.
type Place = (u64, Option<Range<usize>>);

impl Batch {
    /// Numbers and texts, without blanks around them; no text of a line that is too long.
    pub(super) fn lines(&self) -> impl Iterator<Item = (u64, Option<&[u8]>)> {
        self.lines.iter().map(|(number, range)| (*number, range.clone().map(|range| &self.bytes[range])))
    }
}

impl Reader {
    pub(super) fn start(sources: Vec<Source>) -> Self {
        let (sender, batches) = sync_channel(WAITING);
        Self { batches, thread: std::thread::spawn(move || read(&sources, &sender)) }
    }

    /// The next lines; `None` at the end, which may have come by an error. While there are none, `check` is asked whether
    /// to go on.
    pub(super) fn next(&self, check: impl Fn() -> Result<(), Error>) -> Result<Option<Batch>, Error> {
        loop {
            match self.batches.recv_timeout(LOOK) {
                Ok(batch) => return Ok(Some(batch)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => check()?,
            }
        }
    }

    /// The digest of all that was read, once there is no next batch.
    ///
    /// # Errors
    /// A file could not be read to its end.
    pub(super) fn end(self) -> Result<String, Error> {
        drop(self.batches);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn read(sources: &[Source], batches: &SyncSender<Batch>) -> Result<String, Error> {
    let mut digest = Context::new(&SHA256);
    for source in sources {
        let file: Arc<str> = source.to_string().into();
        let failed = |source| Error::File { file: file.to_string(), source: hinted(source) };
        let packed = Digesting { inner: source.open().map_err(failed)?, digest: &mut digest };
        let mut lines = Lines { input: unpack(packed).map_err(failed)?, limit: LONGEST_LINE, number: 0 };
        loop {
            let (bytes, lines) = lines.next(BATCH).map_err(failed)?;
            if lines.is_empty() {
                break;
            }
            if batches.send(Batch { file: Arc::clone(&file), bytes, lines }).is_err() {
                // Nobody wants to know any more, not even the digest.
                return Ok(String::new());
            }
        }
    }
    Ok(format!("sha256:{}", hex::encode(digest.finish())))
}

/// What is read passes by a digest.
struct Digesting<'a, R> {
    inner: R,
    digest: &'a mut Context,
}

impl<R: Read> Read for Digesting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.digest.update(&buffer[..read]);
        Ok(read)
    }
}

struct Lines<R> {
    input: R,
    limit: usize,
    /// Of the last line.
    number: u64,
}

/// What became of a line.
#[derive(PartialEq)]
enum Line {
    /// There is none: the input has ended.
    None,
    Whole,
    TooLong,
}

impl<R: BufRead> Lines<R> {
    /// The next lines that are not blank, of so many bytes or one line more; none at the end.
    fn next(&mut self, bytes: usize) -> io::Result<(Vec<u8>, Vec<Place>)> {
        let (mut text, mut lines) = (Vec::with_capacity(bytes), Vec::new());
        while text.len() < bytes {
            let start = text.len();
            let found = self.line(&mut text)?;
            if found == Line::None {
                break;
            }
            self.number += 1;
            if found == Line::TooLong {
                lines.push((self.number, None));
                continue;
            }
            let line = &text[start..];
            let line = if self.number == 1 { line.strip_prefix(MARK).unwrap_or(line) } else { line };
            let trimmed = line.trim_ascii();
            if trimmed.is_empty() {
                text.truncate(start);
                continue;
            }
            let end = text.len() - (line.trim_ascii_start().len() - trimmed.len());
            lines.push((self.number, Some(end - trimmed.len()..end)));
        }
        Ok((text, lines))
    }

    /// Adds the next line to `text`, without its line feed, unless it is too long.
    fn line(&mut self, text: &mut Vec<u8>) -> io::Result<Line> {
        let start = text.len();
        let mut found = Line::None;
        loop {
            let ahead = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                ahead => ahead?,
            };
            if ahead.is_empty() {
                return Ok(found);
            }
            let feed = memchr(b'\n', ahead);
            let piece = &ahead[..feed.unwrap_or(ahead.len())];
            if text.len() - start + piece.len() > self.limit {
                found = Line::TooLong;
                text.truncate(start);
            } else if found != Line::TooLong {
                found = Line::Whole;
                text.extend_from_slice(piece);
            }
            let read = piece.len() + usize::from(feed.is_some());
            self.input.consume(read);
            if feed.is_some() {
                return Ok(found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// Number and text of each line, in batches of so many bytes, from an input that gives `at_once`.
    fn lines(text: &str, limit: usize, bytes: usize, at_once: usize) -> Vec<(u64, Option<String>)> {
        let mut lines = Lines { input: BufReader::with_capacity(at_once, text.as_bytes()), limit, number: 0 };
        let mut seen = Vec::new();
        loop {
            let (text, lines) = lines.next(bytes).unwrap();
            if lines.is_empty() {
                return seen;
            }
            let text_of = |range: Range<usize>| String::from_utf8(text[range].to_vec()).unwrap();
            seen.extend(lines.into_iter().map(|(number, range)| (number, range.map(text_of))));
        }
    }

    #[test]
    fn lines_have_numbers_and_a_limit() {
        let text = "\u{feff}one\r\n\n \t\n two \nlonger than ten\nexactly 10\nlast";
        let expected = [(1, Some("one")), (4, Some("two")), (5, None), (6, Some("exactly 10")), (7, Some("last"))];
        let expected = expected.map(|(number, text)| (number, text.map(str::to_owned)));
        for at_once in [1, 3, 7, 100] {
            for bytes in [1, 5, 1_000] {
                assert_eq!(lines(text, 10, bytes, at_once), expected, "{bytes} bytes, {at_once} at once");
            }
        }
        assert_eq!(lines("", 10, 10, 10), []);
        assert_eq!(lines("\n\n", 10, 10, 10), []);
    }

    #[test]
    fn what_is_too_long_is_not_held() {
        let mut endless = Lines { input: BufReader::new(io::repeat(b'x').take(10 << 20)), limit: 1_000, number: 0 };
        let mut text = Vec::new();
        assert!(endless.line(&mut text).unwrap() == Line::TooLong);
        assert!(text.is_empty() && text.capacity() < 100_000, "{}", text.capacity());
    }

    #[test]
    fn one_who_waits_is_asked_whether_to_go_on() {
        let (sender, batches) = sync_channel(WAITING);
        let reader = Reader { batches, thread: std::thread::spawn(|| Ok(String::new())) };
        assert!(matches!(reader.next(|| Err(Error::Cancelled)), Err(Error::Cancelled)));
        drop(sender);
        assert!(reader.next(|| Err(Error::Cancelled)).unwrap().is_none());
    }
}

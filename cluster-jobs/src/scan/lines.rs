//! Lines of a text of any size, or those of them that begin in a range of it.

use std::io::{self, Read};
use std::ops::Range;

use memchr::memchr;

use super::documents::{Document, SAMPLE_BYTES};
use super::window::Window;

/// Finds lines one by one.
pub(super) struct Lines<R> {
    window: Window<R>,
    limit: usize,
    range: Range<u64>,
    begun: bool,
    newlines: u64,
    sample: Vec<u8>,
}

impl<R: Read> Lines<R> {
    /// The lines that begin in `range`. The window begins one byte before it, or at the beginning of the text: only that
    /// byte tells whether a line begins where the range does.
    pub(super) fn new(window: Window<R>, range: Range<u64>, limit: usize) -> Self {
        Self { window, limit, begun: range.start == 0, range, newlines: 0, sample: Vec::new() }
    }

    /// Line feeds that the range holds, once there is no next line.
    pub(super) fn newlines(&self) -> u64 {
        self.newlines
    }

    /// The next line, without its line feed.
    pub(super) fn next(&mut self) -> io::Result<Option<Document<'_>>> {
        if !self.begun {
            self.begun = true;
            self.skip()?;
        }
        let offset = self.window.offset();
        if offset >= self.range.end {
            return Ok(None);
        }
        let line = self.newlines + 1;
        let mut searched = 0;
        let (length, feed) = loop {
            let ahead = self.window.ahead();
            if let Some(at) = memchr(b'\n', &ahead[searched..]) {
                break (searched + at, 1);
            }
            searched = ahead.len();
            if searched > self.limit {
                self.sample.clear();
                self.sample.extend_from_slice(&ahead[..searched.min(SAMPLE_BYTES).min(self.limit)]);
                self.window.take_all();
                self.skip()?;
                return Ok(Some(Document { line, offset, cut: true, bytes: &self.sample }));
            }
            if !self.window.more()? {
                break (searched, 0);
            }
        };
        if length + feed == 0 {
            return Ok(None);
        }
        if feed > 0 && offset + (length as u64) < self.range.end {
            self.newlines += 1;
        }
        let bytes = &self.window.take(length + feed)[..length.min(self.limit)];
        Ok(Some(Document { line, offset, cut: length > self.limit, bytes }))
    }

    /// Goes behind the next line feed, or to the end of the range.
    fn skip(&mut self) -> io::Result<()> {
        while self.window.offset() < self.range.end {
            if let Some(at) = memchr(b'\n', self.window.ahead()) {
                if self.range.contains(&(self.window.offset() + at as u64)) {
                    self.newlines += 1;
                }
                self.window.take(at + 1);
                break;
            }
            self.window.take_all();
            if !self.window.more()? {
                break;
            }
        }
        Ok(())
    }

    /// What is left of the input.
    pub(super) fn into_inner(self) -> R {
        self.window.into_inner()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::fuzz::Slowly;

    type Seen = (u64, u64, bool, String);

    /// The lines of a range, and its line feeds.
    fn lines(text: &[u8], range: Range<u64>, limit: usize, at_once: usize) -> (Vec<Seen>, u64) {
        let from = range.start.saturating_sub(1);
        let window = Window::new(Slowly(&text[from as usize..], at_once), from, limit);
        let mut lines = Lines::new(window, range, limit);
        let mut seen = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            seen.push((line.line, line.offset, line.cut, String::from_utf8(line.bytes.to_vec()).unwrap()));
        }
        (seen, lines.newlines())
    }

    #[test]
    fn lines_have_numbers_and_places_and_a_limit() {
        for at_once in [1, 3, 100] {
            let (seen, newlines) = lines(b"one\n\nlonger than six\r\nlast", 0..u64::MAX, 6, at_once);
            let expected = [(1, 0, false, "one"), (2, 4, false, ""), (3, 5, true, "longer"), (4, 22, false, "last")];
            assert_eq!(seen, expected.map(|(line, offset, cut, text)| (line, offset, cut, text.to_owned())));
            assert_eq!(newlines, 3);
        }
    }

    #[test]
    fn every_cut_gives_the_same_lines() {
        for text in ["a\n\nbcd\r\nefghijkl\n\n\nm", "\n\na\n", "abcdefgh", "", "a\nb\n"] {
            let text = text.as_bytes();
            let length = text.len() as u64;
            for limit in [1, 3, 100] {
                let (whole, newlines) = lines(text, 0..u64::MAX, limit, 100);
                for size in 1..=length.max(1) {
                    let mut joined = Vec::new();
                    let mut before = 0;
                    for start in (0..length).step_by(size as usize) {
                        let (seen, feeds) = lines(text, start..length.min(start + size), limit, 2);
                        joined.extend(
                            seen.into_iter().map(|(line, offset, cut, text)| (line + before, offset, cut, text)),
                        );
                        before += feeds;
                    }
                    assert_eq!(joined, whole, "{text:?} in ranges of {size} with limit {limit}");
                    assert_eq!(before, newlines, "{text:?} in ranges of {size}");
                }
            }
        }
    }
}

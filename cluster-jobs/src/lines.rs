//! Lines of a file of any size, each held only if it is not longer than a set limit.

use std::io::{self, BufRead};

/// Where a line lies in the uncompressed text, and whether it was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its number, from 1.
    pub(crate) number: u64,
    /// Offset of its first byte.
    pub(crate) offset: u64,
    /// Its length in bytes, without the line feed.
    pub(crate) length: u64,
}

/// Reads lines one by one into one buffer.
pub(crate) struct Lines<R> {
    input: R,
    limit: usize,
    number: u64,
    offset: u64,
}

impl<R: BufRead> Lines<R> {
    /// Lines of `input`; of one longer than `limit` bytes only the first `limit` are kept.
    pub(crate) fn new(input: R, limit: usize) -> Self {
        Self { input, limit, number: 0, offset: 0 }
    }

    /// Reads the next line into `text`, without its line feed. The caller tells a line that was cut by its length.
    pub(crate) fn next(&mut self, text: &mut Vec<u8>) -> io::Result<Option<Line>> {
        text.clear();
        let start = self.offset;
        let mut ended = false;
        while !ended {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                break;
            }
            let (piece, used) = match available.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    ended = true;
                    (&available[..end], end + 1)
                }
                None => (available, available.len()),
            };
            let room = self.limit.saturating_sub(text.len()).min(piece.len());
            text.extend_from_slice(&piece[..room]);
            self.input.consume(used);
            self.offset += used as u64;
        }
        if self.offset == start {
            return Ok(None);
        }
        self.number += 1;
        let length = self.offset - start - u64::from(ended);
        Ok(Some(Line { number: self.number, offset: start, length }))
    }

    /// What is left of the input.
    pub(crate) fn into_inner(self) -> R {
        self.input
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_numbers_and_places_and_a_limit() {
        let mut lines = Lines::new(io::BufReader::with_capacity(3, &b"one\n\nlonger than six\r\nlast"[..]), 6);
        let mut text = Vec::new();
        let mut seen = Vec::new();
        while let Some(line) = lines.next(&mut text).unwrap() {
            seen.push((line.number, line.offset, line.length, String::from_utf8(text.clone()).unwrap()));
        }
        assert_eq!(
            seen,
            [
                (1, 0, 3, "one".to_owned()),
                (2, 4, 0, String::new()),
                (3, 5, 16, "longer".to_owned()),
                (4, 22, 4, "last".to_owned())
            ]
        );
    }
}

//! A window on a stream of bytes: read in big blocks, and what is looked for lies in it as one slice, uncopied.

use std::io::{self, Read};

/// Bytes that are read at once. They stay in the processor's cache while they are hashed, searched and parsed.
const BLOCK: usize = 512 << 10;

/// The window. It grows up to a limit when what is in it is not taken.
pub(super) struct Window<R> {
    input: R,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    offset: u64,
    most: usize,
}

impl<R: Read> Window<R> {
    /// A window on `input`, of which the first byte has this offset, for things of up to `limit` bytes.
    pub(super) fn new(input: R, offset: u64, limit: usize) -> Self {
        Self { input, bytes: Vec::new(), start: 0, end: 0, offset, most: BLOCK.saturating_add(limit) }
    }

    /// What was read and not yet taken.
    pub(super) fn ahead(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Offset of the first byte that was not yet taken.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Takes up to `amount` of the bytes ahead.
    pub(super) fn take(&mut self, amount: usize) -> &[u8] {
        let start = self.start;
        self.start = self.end.min(start + amount);
        self.offset += (self.start - start) as u64;
        &self.bytes[start..self.start]
    }

    /// Takes all bytes ahead.
    pub(super) fn take_all(&mut self) {
        self.take(self.end - self.start);
    }

    /// Reads more; says whether there was more. No more than the limit may be ahead.
    pub(super) fn more(&mut self) -> io::Result<bool> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        let size = self.bytes.len();
        if size - self.end <= size / 4 {
            self.make_room((2 * size).clamp(BLOCK, self.most));
        }
        loop {
            match self.input.read(&mut self.bytes[self.end..]) {
                Ok(read) => {
                    self.end += read;
                    return Ok(read > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Moves what is ahead to the front, of a buffer of this size if it fills most of the one that there is.
    fn make_room(&mut self, size: usize) {
        let ahead = self.start..self.end;
        if size > self.bytes.len() && 2 * ahead.len() >= self.bytes.len() {
            let mut bytes = vec![0; size];
            bytes[..ahead.len()].copy_from_slice(&self.bytes[ahead.clone()]);
            self.bytes = bytes;
        } else {
            self.bytes.copy_within(ahead.clone(), 0);
        }
        (self.start, self.end) = (0, ahead.len());
    }

    /// The next byte, which stays ahead.
    pub(super) fn peek(&mut self) -> io::Result<Option<u8>> {
        if self.ahead().is_empty() && !self.more()? {
            return Ok(None);
        }
        Ok(self.ahead().first().copied())
    }

    /// What is left of the input.
    pub(super) fn into_inner(self) -> R {
        self.input
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_no_more_than_it_has_to() {
        let limit = 3 * BLOCK;
        let mut window = Window::new(io::repeat(b'x'), 7, limit);
        while window.ahead().len() <= limit {
            assert!(window.more().unwrap());
        }
        assert!(window.bytes.len() <= limit + BLOCK);
        assert_eq!(window.take(5), b"xxxxx");
        window.take_all();
        let taken = window.offset();
        assert!(taken > limit as u64);
        assert!(window.more().unwrap());
        assert!(window.bytes.len() <= limit + BLOCK && window.start == 0);
    }
}

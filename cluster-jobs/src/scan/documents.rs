//! The documents of a text: its lines, or the elements of the one array that it is.

use std::io::{self, Read};
use std::ops::Range;

use prowl_platform::documents::MARK;

use super::elements::Elements;
use super::form::{Form, START};
use super::lines::Lines;
use super::window::Window;

/// Bytes of a document over the limit that are kept, and more than a reject shows.
pub(super) const SAMPLE_BYTES: usize = 1024;

/// A document, unread.
pub(super) struct Document<'a> {
    /// Number of the line in which it begins, from 1, counted from where reading began.
    pub(super) line: u64,
    /// Offset of its first byte in the uncompressed text.
    pub(super) offset: u64,
    /// Whether it is over the limit, and these are only its first bytes.
    pub(super) cut: bool,
    pub(super) bytes: &'a [u8],
}

/// Finds documents one by one.
pub(super) enum Documents<R> {
    Lines(Lines<R>),
    Elements(Elements<R>),
}

impl<R: Read> Documents<R> {
    /// The documents of a whole text, none longer than `limit` bytes.
    pub(super) fn of(input: R, limit: usize) -> io::Result<Self> {
        let mut window = Window::new(input, 0, limit);
        while window.ahead().len() < START && window.more()? {}
        match Form::of(&window.ahead()[..window.ahead().len().min(START)]) {
            Form::Array => {
                if window.ahead().starts_with(MARK) {
                    window.take(MARK.len());
                }
                Ok(Self::Elements(Elements::new(window, limit)))
            }
            Form::Foreign(what) => Err(io::Error::other(format!("it is {what}, and no JSON"))),
            _ => Ok(Self::Lines(Lines::new(window, 0..u64::MAX, limit))),
        }
    }

    /// The lines that begin in `range`; `input` begins one byte before it, if there is one.
    pub(super) fn of_range(input: R, range: Range<u64>, limit: usize) -> Self {
        let window = Window::new(input, range.start.saturating_sub(1), limit);
        Self::Lines(Lines::new(window, range, limit))
    }

    /// The next document.
    pub(super) fn next(&mut self) -> io::Result<Option<Document<'_>>> {
        match self {
            Self::Lines(lines) => lines.next(),
            Self::Elements(elements) => elements.next(),
        }
    }

    /// Line feeds that the range holds, once there is no next document. Where the whole is read, nobody asks.
    pub(super) fn newlines(&self) -> u64 {
        match self {
            Self::Lines(lines) => lines.newlines(),
            Self::Elements(_) => 0,
        }
    }

    /// What is left of the input.
    pub(super) fn into_inner(self) -> R {
        match self {
            Self::Lines(lines) => lines.into_inner(),
            Self::Elements(elements) => elements.into_inner(),
        }
    }
}

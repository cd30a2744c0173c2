//! Elements of one JSON array of any size (`mongoexport --jsonArray`), one after the other.
//!
//! Only the array's own structure is looked at here. An element that is no usable document is rejected like a line, but an
//! array that breaks in the middle fails: where its next document begins can then only be guessed.

use std::io::{self, Read};

use memchr::memchr3;

use super::documents::{Document, SAMPLE_BYTES};
use super::window::Window;

/// Finds elements one by one.
pub(super) struct Elements<R> {
    window: Window<R>,
    limit: usize,
    place: Place,
    /// Line feeds before the window.
    newlines: u64,
    sample: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Place {
    Before,
    Between,
    Behind,
}

impl<R: Read> Elements<R> {
    /// The elements of the array that begins at the window.
    pub(super) fn new(window: Window<R>, limit: usize) -> Self {
        Self { window, limit, place: Place::Before, newlines: 0, sample: Vec::new() }
    }

    /// The next element.
    pub(super) fn next(&mut self) -> io::Result<Option<Document<'_>>> {
        if !self.reach_element()? {
            return Ok(None);
        }
        let (line, offset) = (self.newlines + 1, self.window.offset());
        let mut scanner = Scanner::default();
        let (mut searched, mut cut) = (0, false);
        let length = loop {
            let ahead = self.window.ahead();
            match scanner.scan(&ahead[searched..]) {
                Scanned::End(at) => break searched + at,
                Scanned::Broken => return Err(self.broken(searched, "a line ends inside a text")),
                Scanned::Open => searched = ahead.len(),
            }
            if searched > self.limit {
                if !cut {
                    cut = true;
                    self.sample.clear();
                    self.sample.extend_from_slice(&ahead[..searched.min(SAMPLE_BYTES).min(self.limit)]);
                }
                self.window.take_all();
                searched = 0;
            }
            if !self.window.more()? {
                // Its end may be missing, or a bracket in its middle: where it begins is what can be looked at.
                let place = format!("line {line}, byte {offset}");
                return Err(self.broken(searched, &format!("the document that begins in {place} does not end")));
            }
        };
        self.newlines += scanner.newlines;
        let bytes = self.window.take(length);
        if cut {
            return Ok(Some(Document { line, offset, cut, bytes: &self.sample }));
        }
        Ok(Some(Document { line, offset, cut: length > self.limit, bytes: &bytes[..length.min(self.limit)] }))
    }

    /// Goes to the beginning of the next element; `false` behind the last.
    fn reach_element(&mut self) -> io::Result<bool> {
        let mut after_comma = false;
        loop {
            let next = self.next_sign()?;
            match (self.place, next) {
                (Place::Behind, None) => return Ok(false),
                (Place::Behind, Some(_)) => return Err(self.broken(0, "something stands behind its end")),
                (_, None) => return Err(self.broken(0, "it does not end")),
                (Place::Before, Some(b'[')) => {
                    self.window.take(1);
                    self.place = Place::Between;
                    if self.next_sign()? != Some(b']') {
                        return self.starts_element();
                    }
                }
                (Place::Between, Some(b']')) if !after_comma => {
                    self.window.take(1);
                    self.place = Place::Behind;
                }
                (Place::Between, Some(b',')) if !after_comma => {
                    self.window.take(1);
                    after_comma = true;
                }
                (Place::Between, Some(_)) if after_comma => return self.starts_element(),
                _ => return Err(self.broken(0, "there is no comma between two documents")),
            }
        }
    }

    fn starts_element(&mut self) -> io::Result<bool> {
        match self.next_sign()? {
            None => Err(self.broken(0, "it does not end")),
            Some(b',' | b']' | b'}') => Err(self.broken(0, "a document is missing")),
            Some(_) => Ok(true),
        }
    }

    /// The next byte that is no white space.
    fn next_sign(&mut self) -> io::Result<Option<u8>> {
        loop {
            match self.window.peek()? {
                Some(b'\n') => self.newlines += 1,
                Some(b' ' | b'\t' | b'\r') => {}
                sign => return Ok(sign),
            }
            self.window.take(1);
        }
    }

    fn broken(&self, ahead: usize, what: &str) -> io::Error {
        let (line, offset) = (self.newlines + 1, self.window.offset() + ahead as u64);
        let place = format!("its JSON array breaks in or after line {line}, at or after byte {offset}: {what}");
        io::Error::new(io::ErrorKind::InvalidData, place)
    }

    /// What is left of the input.
    pub(super) fn into_inner(self) -> R {
        self.window.into_inner()
    }
}

/// Looks for the end of one element, piece by piece.
#[derive(Default)]
struct Scanner {
    depth: u64,
    in_text: bool,
    escaped: bool,
    bare: bool,
    newlines: u64,
}

enum Scanned {
    /// It ends before this position.
    End(usize),
    /// It goes on.
    Open,
    /// It can have no end.
    Broken,
}

impl Scanner {
    fn scan(&mut self, bytes: &[u8]) -> Scanned {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if self.escaped {
                self.escaped = false;
            } else if self.in_text {
                match memchr3(b'"', b'\\', b'\n', &bytes[at..]) {
                    None => return Scanned::Open,
                    Some(length) => at += length,
                }
                match bytes[at] {
                    b'\\' => self.escaped = true,
                    b'"' => {
                        self.in_text = false;
                        if self.depth == 0 {
                            return Scanned::End(at + 1);
                        }
                    }
                    _ => return Scanned::Broken,
                }
            } else {
                match byte {
                    b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n' if self.bare => return Scanned::End(at),
                    b'"' if !self.bare => self.in_text = true,
                    b'{' | b'[' if !self.bare => self.depth += 1,
                    b'}' | b']' => {
                        self.depth -= 1;
                        if self.depth == 0 {
                            return Scanned::End(at + 1);
                        }
                    }
                    b'\n' => self.newlines += 1,
                    // A number or a word.
                    _ if self.depth == 0 => self.bare = true,
                    _ => {}
                }
            }
            at += 1;
        }
        Scanned::Open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(text: &str, limit: usize) -> io::Result<Vec<(u64, u64, bool, String)>> {
        let mut elements = Elements::new(Window::new(text.as_bytes(), 0, limit), limit);
        let mut seen = Vec::new();
        while let Some(element) = elements.next()? {
            seen.push((element.line, element.offset, element.cut, String::from_utf8(element.bytes.to_vec()).unwrap()));
        }
        Ok(seen)
    }

    #[test]
    fn elements_have_numbers_and_places_and_a_limit() {
        let text = "\n[ {\"a\": \"]}\\\"\", \"b\": [\n1]},\n 12 ,null\n, \"x,]\", [], {\"c\": {}} ]\n";
        let seen = elements(text, 24).unwrap();
        let expected = [
            (2, 3, "{\"a\": \"]}\\\"\", \"b\": [\n1]}"),
            (4, 30, "12"),
            (4, 34, "null"),
            (5, 41, "\"x,]\""),
            (5, 48, "[]"),
            (5, 52, "{\"c\": {}}"),
        ];
        assert_eq!(seen, expected.map(|(line, offset, text)| (line, offset, false, text.to_owned())));
        let cut = elements(text, 23).unwrap();
        assert_eq!(cut[0], (2, 3, true, seen[0].3[..23].to_owned()));
        assert_eq!(cut[1..], seen[1..]);
        assert!(elements(" [ \n ] ", 9).unwrap().is_empty());
    }

    #[test]
    fn a_long_element_is_passed_over_in_pieces() {
        let text = format!("[{{\"a\": \"{}\"}},\n{{}}]", "\\\"".repeat(2_000_000));
        let seen = elements(&text, 2000).unwrap();
        assert_eq!(seen.len(), 2);
        assert!(seen[0].2 && seen[0].3.len() == SAMPLE_BYTES);
        assert_eq!(seen[1], (2, text.len() as u64 - 3, false, "{}".to_owned()));
    }

    #[test]
    fn an_array_that_breaks_is_told() {
        for (text, what) in [
            ("[{}", "does not end"),
            ("[", "does not end"),
            ("[{},", "does not end"),
            ("[{\"a\": 1, ", "does not end"),
            ("[{\"a\": \"x\n\"}]", "inside a text"),
            ("[{} {}]", "no comma"),
            ("[{},]", "missing"),
            ("[,{}]", "missing"),
            ("[{},,{}]", "missing"),
            ("[{}]]", "behind"),
            ("[{}]\n{}", "behind"),
            ("[}", "missing"),
        ] {
            let error = elements(text, 100).unwrap_err().to_string();
            assert!(error.contains(what), "{text}: {error}");
        }
    }
}

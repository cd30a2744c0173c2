//! Where one JSON document ends and the next begins, also where one of them is broken.

use std::{fmt, mem};

use serde::{Deserialize, de::IgnoredAny};

/// Longest document, in bytes. Servers take less; this only keeps a wrong file from filling the memory.
pub(crate) const LONGEST: usize = 32 << 20;

/// A document as it is found: where it is, and its text; or where it is broken, and how.
pub(crate) type Found = (Place, Result<Vec<u8>, String>);

/// A place in the input, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Lines end with a line feed.
    pub(crate) line: usize,
    /// In bytes.
    pub(crate) column: usize,
}

impl Default for Place {
    fn default() -> Self {
        Self { line: 1, column: 1 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.line)?;
        if self.column > 1 { write!(f, ":{}", self.column) } else { Ok(()) }
    }
}

/// Finds where a document ends, in lines of JSON, in JSON over many lines, and in lists of documents; also where one
/// is broken, so that the next can be used.
#[derive(Default)]
pub(crate) struct Splitter {
    at: Place,
    /// Lists of documents that are open around this one: GitHub gives a page as a list, `gh --slurp` a list of pages.
    lists: usize,
    /// Where the document starts.
    start: Place,
    /// Its bytes so far, no more than the longest document has.
    text: Vec<u8>,
    /// How many it has; 0 between documents.
    length: usize,
    /// Its open brackets.
    open: Vec<u8>,
    in_string: bool,
    escaped: bool,
    /// Its last byte that is no space.
    last: u8,
}

impl Splitter {
    /// Takes the next byte; gives the document that ends before it or with it.
    pub(crate) fn take(&mut self, byte: u8) -> Option<Found> {
        let ends_before = self.length > 0 && self.begins_another(byte);
        let mut ended = ends_before.then(|| self.finish());
        if self.length > 0 {
            self.push(byte);
        } else {
            match byte {
                b'[' => self.lists += 1,
                b']' => self.lists = self.lists.saturating_sub(1),
                // The last three are the byte order mark, with which some editors and shells begin a file.
                b',' | b' ' | b'\t' | b'\r' | b'\n' | 0xef | 0xbb | 0xbf => {}
                _ => {
                    self.start = self.at;
                    self.push(byte);
                }
            }
        }
        if self.length > 0 && self.is_object() && self.open.is_empty() {
            ended = Some(self.finish());
        }
        self.at = match byte {
            b'\n' => Place { line: self.at.line + 1, column: 1 },
            _ => Place { column: self.at.column + 1, ..self.at },
        };
        ended
    }

    /// The document that the end of the input ends.
    pub(crate) fn end(&mut self) -> Option<Found> {
        (self.length > 0).then(|| self.finish())
    }

    /// Where the next byte is.
    pub(crate) fn at(&self) -> Place {
        self.at
    }

    /// Whether a list of documents has not ended.
    pub(crate) fn in_list(&self) -> bool {
        self.lists > 0
    }

    /// Whether the document must be over, since this byte cannot belong to it: a line begins as documents do where no
    /// value may stand. What is no object lasts until then.
    fn begins_another(&self, byte: u8) -> bool {
        if self.lists > 0 && !self.is_object() && matches!(byte, b',' | b']') {
            return true;
        }
        let value = matches!((self.open.last(), self.last), (Some(b'{'), b':') | (Some(b'['), b'[' | b','));
        self.at.column == 1 && (byte == b'{' && !value || byte == b'[' && !self.is_object())
    }

    fn is_object(&self) -> bool {
        self.text.first() == Some(&b'{')
    }

    fn push(&mut self, byte: u8) {
        if self.length < LONGEST {
            self.text.push(byte);
        }
        self.length += 1;
        if !self.is_object() {
            return;
        }
        match byte {
            // A string ends on its line, or it is broken.
            b'\n' => (self.in_string, self.escaped) = (false, false),
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = self.in_string,
            b'"' => self.in_string = !self.in_string,
            b'{' | b'[' if !self.in_string && self.open.len() < LONGEST => self.open.push(byte),
            b'}' | b']' if !self.in_string => drop(self.open.pop()),
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            self.last = byte;
        }
    }

    /// The document up to here.
    fn finish(&mut self) -> Found {
        let length = mem::take(&mut self.length);
        let mut text = mem::take(&mut self.text);
        self.open.clear();
        (self.in_string, self.escaped) = (false, false);
        if length > LONGEST {
            return (self.start, Err(format!("longer than {} MB, this is no pull request", LONGEST >> 20)));
        }
        text.truncate(text.trim_ascii_end().len());
        let Err(error) = serde_json::from_slice::<IgnoredAny>(&text) else {
            return (self.start, github_error(&text).map_or(Ok(text), Err));
        };
        let place = match error.line() {
            1 => Place { column: self.start.column + error.column().max(1) - 1, ..self.start },
            line => Place { line: self.start.line + line - 1, column: error.column() },
        };
        let what = if error.is_eof() { "cut off" } else { "not JSON" };
        let (line, column) = (error.line(), error.column());
        let message = error.to_string();
        let message = message.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&message);
        (place, Err(format!("{what}: {message}")))
    }
}

/// What GitHub answers in place of a pull request that it cannot give.
fn github_error(document: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        message: String,
        #[serde(rename = "documentation_url")]
        _documentation_url: IgnoredAny,
    }
    let Refusal { message, .. } = serde_json::from_slice(document).ok()?;
    Some(format!("this is GitHub's error and no pull request: {message}"))
}

//! The documents of a text: its lines, or the elements of the one array that it is (`mongoexport --jsonArray`).

use std::io::{self, BufRead, Read};

use prowl_platform::documents::MARK;

/// Finds the text of one document after the other.
pub(super) struct Documents<R> {
    input: R,
    limit: usize,
    /// The number of the line that is being read, from 1.
    line: u64,
    form: Form,
}

#[derive(PartialEq)]
enum Form {
    Lines,
    /// Whether an element was found already.
    Array {
        begun: bool,
    },
}

/// Where a document is, and how it is there.
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    /// The line in which it begins.
    pub(super) line: u64,
    /// Whether it is within the limit.
    pub(super) is_whole: bool,
}

impl<R: BufRead> Documents<R> {
    /// The documents of a whole text, none longer than `limit` bytes.
    pub(super) fn of(input: R, limit: usize) -> io::Result<Self> {
        let mut documents = Self { input, limit, line: 1, form: Form::Lines };
        for expected in MARK {
            // It is there whole, or what is there is no JSON.
            if documents.peek()? == Some(*expected) {
                documents.input.consume(1);
            }
        }
        if documents.peek_behind_blanks()? == Some(b'[') {
            documents.input.consume(1);
            documents.form = Form::Array { begun: false };
        }
        Ok(documents)
    }

    /// Puts the next document into `text`; one over the limit is passed over.
    pub(super) fn next(&mut self, text: &mut Vec<u8>) -> io::Result<Option<Found>> {
        text.clear();
        match self.form {
            Form::Lines => self.next_line(text),
            Form::Array { begun } => self.next_element(text, begun),
        }
    }

    fn next_line(&mut self, text: &mut Vec<u8>) -> io::Result<Option<Found>> {
        if self.peek_behind_blanks()?.is_none() {
            return Ok(None);
        }
        let line = self.line;
        let mut limited = self.input.by_ref().take(self.limit as u64 + 1);
        limited.read_until(b'\n', text)?;
        let is_whole = text.len() <= self.limit || text.ends_with(b"\n");
        if !is_whole {
            text.clear();
            while self.peek()?.is_some_and(|byte| byte != b'\n') {
                let ahead = self.input.fill_buf()?;
                let piece = memchr::memchr(b'\n', ahead).unwrap_or(ahead.len());
                self.input.consume(piece);
            }
        } else if text.ends_with(b"\n") {
            self.line += 1;
        }
        Ok(Some(Found { line, is_whole }))
    }

    fn next_element(&mut self, text: &mut Vec<u8>, begun: bool) -> io::Result<Option<Found>> {
        let mut sign = self.peek_behind_blanks()?;
        if sign == Some(b']') {
            self.input.consume(1);
            // What `cat` puts behind it is read as lines, and rejected.
            self.form = Form::Lines;
            return self.next_line(text);
        }
        if begun {
            if sign != Some(b',') {
                return Err(self.damaged("a comma or the end of the array is expected"));
            }
            self.input.consume(1);
            sign = self.peek_behind_blanks()?;
        }
        self.form = Form::Array { begun: true };
        let line = self.line;
        if sign.is_none() {
            return Err(self.damaged("the array does not end"));
        }
        let is_whole = self.element(text)?;
        Ok(Some(Found { line, is_whole }))
    }

    /// Reads up to the comma or bracket behind an element, and tells whether it is within the limit.
    fn element(&mut self, text: &mut Vec<u8>) -> io::Result<bool> {
        let (mut depth, mut in_string, mut is_escaped, mut length) = (0_usize, false, false, 0);
        while let Some(byte) = self.peek()? {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' if in_string => is_escaped = true,
                b'"' => in_string = !in_string,
                _ if in_string => {}
                b'{' | b'[' => depth += 1,
                b',' | b']' | b'}' if depth == 0 => break,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.input.consume(1);
            self.line += u64::from(byte == b'\n');
            length += 1;
            if length <= self.limit {
                text.push(byte);
            }
            if depth == 0 && matches!(byte, b'}' | b']') && !in_string {
                break;
            }
        }
        if length > self.limit {
            text.clear();
        }
        Ok(length <= self.limit)
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        loop {
            match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                ahead => return Ok(ahead?.first().copied()),
            }
        }
    }

    fn peek_behind_blanks(&mut self) -> io::Result<Option<u8>> {
        loop {
            let byte = self.peek()?;
            if !byte.is_some_and(|byte| byte.is_ascii_whitespace()) {
                return Ok(byte);
            }
            self.line += u64::from(byte == Some(b'\n'));
            self.input.consume(1);
        }
    }

    fn damaged(&self, what: &str) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, format!("{what} in line {}", self.line))
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// Line and text of each document, from an input that gives `at_once` bytes; no text of one that is too long.
    fn all(text: &str, limit: usize, at_once: usize) -> Result<Vec<(u64, Option<String>)>, String> {
        let input = BufReader::with_capacity(at_once, text.as_bytes());
        let mut documents = Documents::of(input, limit).map_err(|error| error.to_string())?;
        let (mut seen, mut text) = (Vec::new(), Vec::new());
        while let Some(found) = documents.next(&mut text).map_err(|error| error.to_string())? {
            let text = std::str::from_utf8(&text).unwrap().trim().to_owned();
            seen.push((found.line, found.is_whole.then_some(text)));
        }
        Ok(seen)
    }

    fn is(text: &str, expected: &[(u64, Option<&str>)]) {
        let expected: Vec<_> = expected.iter().map(|(line, text)| (*line, text.map(str::to_owned))).collect();
        for at_once in [1, 2, 7, 1_000] {
            assert_eq!(all(text, 12, at_once).as_ref(), Ok(&expected), "{text:?}, {at_once} at once");
        }
    }

    #[test]
    fn lines() {
        is("", &[]);
        is("\n \r\n", &[]);
        is("{}", &[(1, Some("{}"))]);
        is("\u{feff}{}\r\n\n{\"a\":1}\n  {}\n", &[(1, Some("{}")), (3, Some("{\"a\":1}")), (4, Some("{}"))]);
        is("{}\nlonger than 12\n{}", &[(1, Some("{}")), (2, None), (3, Some("{}"))]);
        is("exactly 12 !\nexactly 12 !", &[(1, Some("exactly 12 !")), (2, Some("exactly 12 !"))]);
    }

    #[test]
    fn elements() {
        is("[]", &[]);
        is(" [ ] \n", &[]);
        is("\u{feff}[{},\n{\"a\":\n[1]},{}\n]\n", &[(1, Some("{}")), (2, Some("{\"a\":\n[1]}")), (3, Some("{}"))]);
        is(r#"[{"a":"]\""},"},{"]"#, &[(1, Some(r#"{"a":"]\""}"#)), (1, Some(r#""},{""#))]);
        is("[{\"longer\":\"than\"},{}]", &[(1, None), (1, Some("{}"))]);
        is("[1,{}]", &[(1, Some("1")), (1, Some("{}"))]);
        is("[{}]\n{}", &[(1, Some("{}")), (2, Some("{}"))]);
    }

    #[test]
    fn an_array_that_is_cut_or_damaged_is_an_error() {
        for (text, expected) in [
            ("[", "the array does not end in line 1"),
            ("[{}", "a comma or the end of the array is expected in line 1"),
            ("[{},\n", "the array does not end in line 2"),
            ("[{}\n{}]", "a comma or the end of the array is expected in line 2"),
        ] {
            assert_eq!(all(text, 12, 1_000), Err(expected.to_owned()), "{text}");
        }
    }
}

//! Pull requests from a file: one JSON document, or many one after another, read as they are needed.

use std::{
    cell::Cell,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    rc::Rc,
};

use anyhow::{Context, anyhow};
use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Longest document. Servers take less; this only keeps a wrong file from filling the memory.
const LONGEST: usize = 256 << 20;

/// How many documents are read ahead.
const AHEAD: usize = 16;

/// One document of the input.
#[derive(Debug)]
pub(crate) struct Document {
    /// Its place in the input, from 1.
    pub(crate) place: usize,
    /// Its text.
    pub(crate) text: Bytes,
}

/// The documents of an input, in order; an input that cannot be read further ends with an error.
pub(crate) type Documents = ReceiverStream<anyhow::Result<Document>>;

/// Opens `file`, or stdin for `-`, and reads it in a thread of its own.
pub(crate) fn open(file: &str) -> anyhow::Result<Documents> {
    let (name, raw): (_, Box<dyn Read + Send>) = if file == "-" {
        ("stdin".to_owned(), Box::new(io::stdin()))
    } else {
        let opened = File::open(file).with_context(|| format!("cannot open {file}"))?;
        (file.to_owned(), Box::new(opened))
    };
    let (sender, receiver) = mpsc::channel(AHEAD);
    std::thread::spawn(move || {
        // Ends early when nobody waits for documents any more.
        read(&name, raw, |document| sender.blocking_send(document).is_ok());
    });
    Ok(ReceiverStream::new(receiver))
}

/// Hands each document on until `each` says stop.
fn read(name: &str, raw: impl Read, mut each: impl FnMut(anyhow::Result<Document>) -> bool) {
    let mut raw = BufReader::with_capacity(1 << 16, raw);
    let gzip = matches!(raw.fill_buf(), Ok([0x1f, 0x8b, ..]));
    let plain: Box<dyn Read> = if gzip { Box::new(MultiGzDecoder::new(raw)) } else { Box::new(raw) };
    let budget = Rc::new(Cell::new(LONGEST));
    let bounded = Bounded { input: BufReader::with_capacity(1 << 16, plain), budget: Rc::clone(&budget) };
    let mut place = 0;
    for value in serde_json::Deserializer::from_reader(bounded).into_iter::<Box<RawValue>>() {
        place += 1;
        budget.set(LONGEST);
        let failed = value.is_err();
        let document = value
            .map(|text| Document { place, text: Bytes::from(String::from(Box::<str>::from(text))) })
            .map_err(|error| anyhow!("{name}, document {place}: not JSON: {error}"));
        if !each(document) || failed {
            return;
        }
    }
    if place == 0 {
        each(Err(anyhow!("{name} is empty: give a pull request as JSON, as GitHub's API answers it")));
    }
}

/// A reader that fails once a document takes more than its budget.
struct Bounded<R> {
    input: R,
    budget: Rc<Cell<usize>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        let Some(left) = self.budget.get().checked_sub(read) else {
            return Err(io::Error::other(format!("longer than {} MB, this is no pull request", LONGEST >> 20)));
        };
        self.budget.set(left);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn all(input: &[u8]) -> Vec<Result<String, String>> {
        let mut documents = Vec::new();
        read("input", input, |document| {
            documents.push(match document {
                Ok(document) => Ok(String::from_utf8(document.text.to_vec()).unwrap()),
                Err(error) => Err(error.to_string()),
            });
            true
        });
        documents
    }

    #[test]
    fn one_document_over_many_lines() {
        assert_eq!(all(b"{\n  \"a\": 1\n}\n"), [Ok("{\n  \"a\": 1\n}".to_owned())]);
    }

    #[test]
    fn many_documents_plain_and_zipped() {
        let text = b"{\"a\":1}\n\n{\"a\":2}\n{\"a\":3}";
        let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        zipped.write_all(text).unwrap();
        assert_eq!(all(text).len(), 3);
        assert_eq!(all(text), all(&zipped.finish().unwrap()));
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place() {
        let documents = all(b"{\"a\":1}\n{\"a\":}\n{\"a\":3}");
        assert_eq!(documents.len(), 2);
        let error = documents[1].as_ref().unwrap_err();
        assert!(error.contains("document 2") && error.contains("line 2"), "{error}");
        assert!(all(b" \n")[0].as_ref().unwrap_err().contains("empty"));
        let broken = [0x1f, 0x8b, 1, 2, 3];
        assert!(all(&broken)[0].is_err());
    }
}

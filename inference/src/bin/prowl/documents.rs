//! Pull requests from files: one JSON document or many, one after another or in a list, read as they are needed.

use std::{
    fs::File,
    io::{self, BufRead, Read},
    sync::Arc,
};

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use prowl_platform::documents::{hinted, unpack};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_stream::wrappers::ReceiverStream;

use crate::splitter::{Found, LONGEST, Splitter};

/// Most bytes of all documents that are read and not answered yet.
const ROOM: usize = 2 * LONGEST;

/// How many documents are read ahead.
const AHEAD: usize = 16;

/// One document of the input.
#[derive(Debug)]
pub(crate) struct Document {
    /// Where it is, as `FILE:LINE`, or where in it the error is.
    pub(crate) place: String,
    /// Its text, or why it is no pull request.
    pub(crate) text: Result<Bytes, String>,
    /// The room that its text takes.
    _room: OwnedSemaphorePermit,
}

/// The documents of an input, in order; an input that cannot be read further ends with an error.
pub(crate) type Documents = ReceiverStream<anyhow::Result<Document>>;

/// What is read, with its name.
type Input = (String, Box<dyn Read + Send>);

/// Opens the files, of which `-` is stdin, and reads them one after another in a thread of its own.
pub(crate) fn open(files: &[String]) -> anyhow::Result<Documents> {
    let inputs = files.iter().map(|file| input(file)).collect::<anyhow::Result<_>>()?;
    Ok(documents(inputs, ROOM))
}

fn input(file: &str) -> anyhow::Result<Input> {
    if file == "-" {
        return Ok(("stdin".to_owned(), Box::new(io::stdin())));
    }
    let opened = File::open(file).with_context(|| format!("cannot open {file}"))?;
    if opened.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        bail!("{file} is a folder: give a file of pull requests as JSON, plain, gzip or zstd, or - for stdin");
    }
    Ok((file.to_owned(), Box::new(opened)))
}

fn documents(inputs: Vec<Input>, room: usize) -> Documents {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let (runtime, room) = (Handle::current(), Arc::new(Semaphore::new(room)));
    std::thread::spawn(move || {
        inputs.into_iter().all(|(name, raw)| {
            let send = |found: anyhow::Result<Found>| {
                runtime.block_on(async {
                    let document = async {
                        let (place, text) = found?;
                        let length = text.as_ref().map_or(0, Vec::len) as u32;
                        let room = Arc::clone(&room).acquire_many_owned(length).await?;
                        Ok(Document { place: format!("{name}:{place}"), text: text.map(Bytes::from), _room: room })
                    };
                    sender.send(document.await).await.is_ok()
                })
            };
            read(&name, raw, send)
        })
    });
    ReceiverStream::new(receiver)
}

/// Hands each document on until `each` says stop, since nobody waits for documents any more; whether it never did.
fn read(name: &str, raw: impl Read, mut each: impl FnMut(anyhow::Result<Found>) -> bool) -> bool {
    let mut splitter = Splitter::default();
    let mut none = true;
    let ended = bytes_of(raw, |byte| {
        let Some(document) = splitter.take(byte) else { return true };
        none = false;
        each(Ok(document))
    });
    match ended {
        Ok(false) => return false,
        Ok(true) => {}
        Err(error) => return each(Err(anyhow!("cannot read {name} beyond line {}: {error}", splitter.at().line))),
    }
    if let Some(document) = splitter.end() {
        none = false;
        if !each(Ok(document)) {
            return false;
        }
    }
    if splitter.in_list() {
        return each(Err(anyhow!("{name}:{}: cut off: the list of documents does not end", splitter.at())));
    }
    !none || each(Err(anyhow!("{name} holds no pull request: give one as JSON, as GitHub's API answers it")))
}

/// Hands on each byte, unpacked, until `each` says stop; whether it never did.
fn bytes_of(raw: impl Read, mut each: impl FnMut(u8) -> bool) -> io::Result<bool> {
    let mut plain = unpack(raw)?;
    loop {
        let bytes = match plain.fill_buf() {
            Ok([]) => return Ok(true),
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(hinted(error)),
        };
        if !bytes.iter().all(|byte| each(*byte)) {
            return Ok(false);
        }
        let read = bytes.len();
        plain.consume(read);
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, time::Duration};

    use futures::StreamExt;

    use super::*;

    fn plain(text: String) -> Input {
        ("input".to_owned(), Box::new(io::Cursor::new(text)))
    }

    /// Each document with its place, or where it is broken and how; what ends the input early comes last.
    fn all(input: &[u8]) -> Vec<String> {
        let mut documents = Vec::new();
        read("input", input, |document| {
            documents.push(match document {
                Ok((place, Ok(text))) => format!("{place} {}", String::from_utf8(text).unwrap()),
                Ok((place, Err(wrong))) => format!("{place}: {wrong}"),
                Err(error) => error.to_string(),
            });
            true
        });
        documents
    }

    #[test]
    fn one_document_over_many_lines() {
        assert_eq!(all(b"\xef\xbb\xbf\n{\n  \"a\": 1\n}\n"), ["2 {\n  \"a\": 1\n}"]);
        // Without indentation, as Python's `indent=0` has it.
        let text = "{\n\"files\": [\n{\n\"a\": \"}\\\"{\"\n},\n{\n}\n]\n}";
        assert_eq!(all(text.as_bytes()), [format!("1 {text}")]);
    }

    #[test]
    fn many_documents_however_packed() {
        let text = b"{\"a\":1}\n\n{\"a\":2}\r\n {\"a\":3}{\"a\":4}";
        let documents = ["1 {\"a\":1}", "3 {\"a\":2}", "4:2 {\"a\":3}", "4:9 {\"a\":4}"];
        assert_eq!(all(text), documents);
        // Two members, as `cat a.gz b.gz` makes them.
        let gzip = |text: &[u8]| {
            let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            zipped.write_all(text).unwrap();
            zipped.finish().unwrap()
        };
        assert_eq!(all(&[gzip(&text[..12]), gzip(&text[12..])].concat()), documents);
        assert_eq!(all(&zstd::stream::encode_all(&text[..], 1).unwrap()), documents);
    }

    #[test]
    fn lists_of_documents_and_lists_of_pages() {
        let documents = ["1:2 {\"a\":[1]}", "1:12 {}"];
        assert_eq!(all(b"[{\"a\":[1]},{}]"), documents);
        assert_eq!(all(b"[{\"a\":[1]}[{}]]"), documents);
        assert_eq!(all(b"[[{}],\n[\n  {\n}\n]]"), ["1:3 {}", "3:3 {\n}"]);
        let documents = ["1:2 {}", "2:6: not JSON: expected `:`", "3 null", "3:7 {}", "4 {}"];
        assert_eq!(all(b"[{},\n{\"a\" 1},\nnull, {}]\n{}"), documents);
    }

    #[test]
    fn a_broken_document_costs_no_other() {
        for (broken, told) in [
            ("{\"a\":}", "2:6: not JSON: expected value"),
            ("{\"a\":1]", "2:7: not JSON: expected `,` or `}`"),
            ("{\"a\":{\"b\":[1", "2:12: cut off: EOF while parsing a list"),
            ("{\"a\":1,", "2:7: cut off: EOF while parsing an object"),
            ("{\"a\":\"[{\\", "2:9: cut off: EOF while parsing a string"),
            ("nonsense: {}", "2:2: not JSON: expected ident"),
            ("<p>\n  { no }\n</p>", "2: not JSON: expected value"),
        ] {
            let documents = all(format!("{{\"a\":1}}\n{broken}\n{{\"a\":1}}\n").as_bytes());
            let after = 2 + broken.lines().count();
            assert_eq!(documents, ["1 {\"a\":1}".to_owned(), told.to_owned(), format!("{after} {{\"a\":1}}")]);
        }
        // Where the next line could be the value that is missing, it is taken for that, and the one after it is found.
        let documents = all(b"{\"a\":\n{\"a\":1}\n{\"a\":1}\n");
        assert_eq!(documents, ["2:7: cut off: EOF while parsing an object", "3 {\"a\":1}"]);
    }

    #[test]
    fn what_ends_an_input_early_is_told() {
        let ended = |input: &[u8]| all(input).pop().unwrap();
        assert!(ended(b" \n").contains("input holds no pull request"));
        assert!(ended(b"[]").contains("input holds no pull request"));
        assert_eq!(ended(b"[{},"), "input:1:5: cut off: the list of documents does not end");
        let text = "{\"a\":1}\n".repeat(1_000);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        gzip.write_all(text.as_bytes()).unwrap();
        for packed in [gzip.finish().unwrap(), zstd::stream::encode_all(text.as_bytes(), 1).unwrap()] {
            let told = ended(&packed[..packed.len() - 5]);
            assert!(
                told.starts_with("cannot read input beyond line ") && told.contains("ends in the middle"),
                "{told}"
            );
        }
    }

    #[tokio::test]
    async fn documents_wait_for_room() {
        let mut documents = documents(vec![plain("{\"a\":1}\n".repeat(5))], 20);
        let (first, second) = (documents.next().await.unwrap().unwrap(), documents.next().await);
        let wait = Duration::from_millis(200);
        assert!(tokio::time::timeout(wait, documents.next()).await.is_err(), "there is room for two");
        drop(first);
        assert_eq!(documents.next().await.unwrap().unwrap().place, "input:3");
        drop(second);
        assert_eq!(documents.count().await, 2);
    }

    #[tokio::test]
    async fn inputs_come_one_after_another() {
        let inputs = ["{}\n{}", "\n[{}]"].map(|text| plain(text.to_owned()));
        let places = documents(inputs.into(), ROOM).map(|document| document.unwrap().place);
        assert_eq!(places.collect::<Vec<_>>().await, ["input:1", "input:2", "input:2:2"]);
    }
}

//! Whatever the bytes of an export are, reading them ends in rows that add up or in an error, never in a panic, and a file
//! that is cut into ranges says what it says when it is read as a whole.
//!
//! By default a fixed number of damaged files is tried; `PROWL_FUZZ_SECONDS` (`make fuzz`) goes on for so long with others.

use std::io::{self, Read, Write};
use std::ops::Range;

use self::corpus::{Corpus, Dice, seeds};
use super::ranges::Part;
use super::read::read;
use super::{ExportFile, Form, START};
use crate::rows::{Reject, Row, RowReader};
use crate::sources::Sources;

#[path = "../../../fuzz/corpus.rs"]
mod corpus;

/// Files that are tried where no time is given.
const ROUNDS: u64 = 300;

fn damage(text: &mut Vec<u8>, dice: &mut Dice) {
    let at = dice.below(text.len() + 1);
    match dice.below(9) {
        0 if at < text.len() => text[at] ^= 1 << dice.below(8),
        1 if at < text.len() => text[at] = b"\"\\{}[],:0-e\n\r\x00\xFF"[dice.below(15)],
        2 => text.truncate(at),
        3 | 4 => {
            let piece = text[dice.piece(text.len())].to_vec();
            text.splice(at..at, piece);
        }
        5 => drop(text.drain(dice.piece(text.len()))),
        6 => {
            let nested = vec![b"[{"[dice.below(2)]; dice.below(2000)];
            text.splice(at..at, nested);
        }
        7 => {
            let number = format!("-{}e{}", "9".repeat(dice.below(400)), dice.below(100_000));
            text.splice(at..at, number.into_bytes());
        }
        _ => {
            text.splice(at..at, [0xF0, 0x9F, 0xED, 0xA0, 0x80].into_iter().take(dice.below(6)));
        }
    }
    text.truncate(64 << 10);
}

/// Hands out a few bytes at a time.
pub(super) struct Slowly<'a>(pub(super) &'a [u8], pub(super) usize);

impl Read for Slowly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let amount = self.1.min(buffer.len());
        self.0.read(&mut buffer[..amount])
    }
}

/// What came of the parts of a file.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    read: u64,
    documents: Vec<u64>,
    rejects: Vec<Reject>,
    digests: Vec<(String, String)>,
}

fn outcome(bytes: &[u8], ranges: &[Option<Range<u64>>], at_once: usize, limit: usize) -> Result<Outcome, String> {
    let file = ExportFile { url: "file:///x".into(), bytes: bytes.len() as u64, sha256: None, divisible: true };
    let (mut outcome, mut sources, mut rejects) = (Outcome::default(), Sources::default(), Vec::new());
    for range in ranges {
        let from = range.as_ref().map_or(0, |range| range.start.saturating_sub(1));
        let part = Part { file: file.clone(), range: range.clone() };
        let mut batches = Vec::new();
        read(&part, Slowly(&bytes[from as usize..], at_once), limit, |batch| {
            batches.push(batch);
            Ok(())
        })
        .map_err(|error| said(&error))?;
        for batch in batches {
            let rows = RowReader::new(&batch);
            for row in 0..rows.len() {
                match rows.row(row).map_err(|error| error.to_string())? {
                    Row::Document => {
                        outcome.documents.push(rows.facts(row).map_err(|error| error.to_string())?.lifecycle.number);
                    }
                    Row::Reject(reject) => rejects.push(reject),
                    Row::Tally(tally) => {
                        outcome.read += tally.read;
                        sources.add(tally.source);
                    }
                }
            }
        }
    }
    outcome.rejects = rejects.into_iter().map(|reject| sources.number(reject)).collect();
    outcome.digests = sources.digests();
    assert_eq!(outcome.read as usize, outcome.documents.len() + outcome.rejects.len());
    Ok(outcome)
}

/// What is wrong. Where, is told as near as the blocks allow that were read.
fn said(error: &datafusion::error::DataFusionError) -> String {
    error.to_string().split(" in or after line ").next().unwrap_or_default().to_owned()
}

fn round(corpus: &Corpus, dice: &mut Dice) {
    let mut documents: Vec<Vec<u8>> =
        (0..dice.below(8)).map(|_| corpus.inputs[dice.below(corpus.inputs.len())].clone()).collect();
    for document in &mut documents {
        for _ in 0..dice.below(3) {
            damage(document, dice);
        }
    }
    let is_array = dice.below(3) == 0;
    let mut text = if is_array {
        [&b"["[..], &documents.join(&b",\n"[..])[..], b"]\n"].concat()
    } else {
        documents.join([&b"\n"[..], b"\r\n", b"\n\n"][dice.below(3)])
    };
    if dice.below(4) == 0 {
        damage(&mut text, dice);
    }
    tried(corpus, &text, dice);
}

/// Reads a text as a whole, packed, and in ranges.
fn tried(corpus: &Corpus, text: &[u8], dice: &mut Dice) {
    let trying = corpus.trying(text);
    let at_once = 1 + dice.below(3000);
    let limit = [50, 700, 1 << 20][dice.below(3)];
    let whole = outcome(text, &[None], at_once, limit);
    let form = Form::of(&text[..text.len().min(START)]);
    // One that was kept may be packed already.
    if matches!(form, Form::Gzip | Form::Zstd) {
        return;
    }

    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text).unwrap();
    let mut packed = packed.finish().unwrap();
    let unpacked = outcome(&packed, &[None], at_once, limit);
    let of_file = |bytes| vec![("file:///x".to_owned(), blake3::hash(bytes).to_string())];
    match (&unpacked, &whole) {
        (Ok(unpacked), Ok(whole)) => {
            assert_eq!((&unpacked.digests, &whole.digests), (&of_file(&packed), &of_file(text)));
            assert_eq!(
                (unpacked.read, &unpacked.documents, &unpacked.rejects),
                (whole.read, &whole.documents, &whole.rejects)
            );
        }
        (unpacked, whole) => assert_eq!(unpacked, whole, "compressed"),
    }

    let length = text.len() as u64;
    // As a range of a real file, each but the last is a subtree of the file's hash.
    let size = 1024 << dice.below(4);
    let ranges: Vec<_> =
        (0..length).step_by(size as usize).map(|start| Some(start..length.min(start + size))).collect();
    let in_ranges = outcome(text, &ranges, at_once, limit).unwrap();
    // A file of one range is read as a whole.
    if form == Form::Lines && ranges.len() > 1 {
        assert_eq!(in_ranges, whole.unwrap(), "in ranges of {size}: {}", String::from_utf8_lossy(text));
    }

    drop(trying);
    damage(&mut packed, dice);
    let _trying = corpus.trying(&packed);
    let _ = outcome(&packed, &[None], at_once, limit);
}

#[test]
fn any_bytes_end_in_rows_that_add_up() {
    let corpus = Corpus::of("exports");
    for input in &corpus.inputs {
        (1..=9).for_each(|seed| tried(&corpus, input, &mut Dice::new(seed)));
    }
    let mut rounds = 0_u64;
    for seed in seeds(ROUNDS) {
        rounds += 1;
        round(&corpus, &mut Dice::new(seed));
    }
    println!("{rounds} damaged files");
}

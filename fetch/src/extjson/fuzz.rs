//! Whatever the bytes are, reading and writing them ends in a document or in an error, never in a panic, and what was
//! read once is written and read again as the same.
//!
//! By default a fixed number of damaged documents is tried; `PROWL_FUZZ_SECONDS` (`make fuzz`) goes on for so long with
//! others.

use std::ops::Range;

use bson::{Document, RawDocument, RawDocumentBuf};
use serde_json::Value;

use self::corpus::{Corpus, seeds};
use super::{Format, read, write};
use crate::synth::dice::Dice;

#[path = "../../../fuzz/corpus.rs"]
mod corpus;

/// Documents that are tried where no time is given.
const ROUNDS: u64 = 3_000;

fn piece(length: usize, dice: &mut Dice) -> Range<usize> {
    let (a, b) = (dice.below(length + 1), dice.below(length + 1));
    a.min(b)..a.max(b)
}

fn damage(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let at = dice.below(bytes.len() + 1);
    match dice.below(9) {
        0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
        1 if at < bytes.len() => bytes[at] = b"\"\\{}[],:0-e\n$\x00\xFF"[dice.below(15)],
        2 => bytes.truncate(at),
        3 => {
            let piece = bytes[piece(bytes.len(), dice)].to_vec();
            bytes.splice(at..at, piece);
        }
        4 => drop(bytes.drain(piece(bytes.len(), dice))),
        5 => {
            let nested: Vec<u8> = if dice.below(2) == 0 { b"[".repeat(400) } else { b"{\"a\":".repeat(400) };
            let length = dice.below(nested.len());
            bytes.splice(at..at, nested.into_iter().take(length));
        }
        6 => {
            let number = format!("-{}e{}", "9".repeat(dice.below(400)), dice.below(100_000));
            bytes.splice(at..at, number.into_bytes());
        }
        7 => {
            // A length of BSON, or one that lies.
            let length = [i32::MIN, -1, 0, 4, 5, 6, dice.below(1 << 12) as i32, i32::MAX][dice.below(8)];
            let end = bytes.len().min(at + 4);
            bytes.splice(at..end, length.to_le_bytes());
        }
        _ => {
            bytes.splice(at..at, [0xF0, 0x9F, 0xED, 0xA0, 0x80].into_iter().take(dice.below(6)));
        }
    }
    bytes.truncate(64 << 10);
}

/// What is written of a document, if it can be.
fn written(bson: &[u8], format: Format) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    write(bson, format, &mut text).ok()?;
    let parsed: Result<Value, _> = serde_json::from_slice(&text);
    assert!(is_json(&parsed), "{parsed:?} of {}", String::from_utf8_lossy(&text));
    Some(text)
}

/// `serde_json` does not nest as deeply.
fn is_json(parsed: &serde_json::Result<Value>) -> bool {
    let is_limit = |error: &serde_json::Error| {
        let error = error.to_string();
        error.contains("recursion limit") || error.contains("number out of range")
    };
    parsed.as_ref().err().is_none_or(is_limit)
}

/// What was read once is the same ever after.
fn is_stable(text: &[u8]) {
    let Ok(document) = read(text) else { return };
    let again = written(document.as_bytes(), Format::Canonical).expect("what was read is BSON");
    assert_eq!(read(&again).as_ref(), Ok(&document), "{}", String::from_utf8_lossy(text));
    written(document.as_bytes(), Format::Relaxed).expect("what was read is BSON");
}

/// What is read as text is JSON.
fn as_text(text: &[u8]) {
    is_stable(text);
    let parsed: serde_json::Result<Value> = serde_json::from_slice(text);
    let ours = read(text);
    if ours.is_ok() {
        assert!(is_json(&parsed), "{parsed:?} of {}", String::from_utf8_lossy(text));
    }
    let is_plain = !text.contains(&b'$') && !text.windows(6).any(|escape| escape == br"\u0000");
    if is_plain && parsed.is_ok_and(|value| value.is_object()) {
        assert!(ours.is_ok(), "{ours:?} of {}", String::from_utf8_lossy(text));
    }
}

/// What is BSON is written.
fn as_bson(bson: &[u8]) {
    let canonical = written(bson, Format::Canonical);
    assert_eq!(written(bson, Format::Relaxed).is_some(), canonical.is_some());
    let known = RawDocument::from_bytes(bson).ok().is_some_and(|raw| Document::try_from(raw).is_ok());
    assert!(canonical.is_some() || !known, "{bson:?}");
    if let Some(text) = canonical {
        is_stable(&text);
    }
}

fn tried(corpus: &Corpus, bytes: &[u8]) {
    let _trying = corpus.trying(bytes);
    as_text(bytes);
    as_bson(bytes);
}

fn round(corpus: &Corpus, dice: &mut Dice) {
    let mut text = corpus.inputs[dice.below(corpus.inputs.len())].clone();
    // One that was kept may be BSON, or no document.
    let mut bson = read(&text).map_or_else(|_| text.clone(), RawDocumentBuf::into_bytes);
    for _ in 0..=dice.below(3) {
        damage(&mut text, dice);
    }
    tried(corpus, &text);
    for _ in 0..=dice.below(3) {
        damage(&mut bson, dice);
        // The length alone should not give it away.
        let length = (bson.len() as i32).to_le_bytes();
        if dice.below(2) == 0
            && let Some(prefix) = bson.first_chunk_mut()
        {
            *prefix = length;
        }
    }
    tried(corpus, &bson);
}

#[test]
fn any_bytes_end_in_a_document_or_an_error() {
    let corpus = Corpus::of("extjson");
    assert!(corpus.inputs.iter().any(|input| read(input).is_ok()), "nothing to damage: this test could not fail");
    corpus.inputs.iter().for_each(|input| tried(&corpus, input));
    let mut rounds = 0_u64;
    for seed in seeds(ROUNDS) {
        rounds += 1;
        round(&corpus, &mut Dice::new(seed));
    }
    println!("{rounds} damaged documents");
}

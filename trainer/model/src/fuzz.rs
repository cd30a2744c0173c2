//! Whatever the bytes of a model file are, reading them ends in a model that scores or in an error, never in a panic.
//!
//! By default a fixed number of damaged files is tried; `PROWL_FUZZ_SECONDS` (`make fuzz`) goes on for so long with others.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use safetensors::{SafeTensors, tensor::TensorView};

use self::corpus::{Corpus, Dice, seeds};
use crate::fixture::{self, vector};
use crate::tensors::METADATA;
use crate::{Model, Vector};

#[path = "../../../fuzz/corpus.rs"]
mod corpus;

/// Files that are tried where no time is given.
const ROUNDS: u64 = 200;

/// The longest time that one file may take, in a build for tests on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// Changes bytes anywhere, as often in the header as in the much longer tensors.
fn damage(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let header = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length)) as usize;
    let until = if dice.below(2) == 0 { bytes.len() } else { header.saturating_add(8).min(bytes.len()) };
    let at = dice.below(until);
    match dice.below(7) {
        0 => bytes.truncate(at),
        1 => bytes.insert(at, dice.next() as u8),
        2 if at < bytes.len() => drop(bytes.remove(at)),
        3 => bytes[..8.min(at)].fill(dice.next() as u8),
        4 => {
            let word: &[u8] = dice.one(&[
                b"0",
                b"-1",
                b"1e999",
                b"18446744073709551615",
                b"null",
                b"[",
                b"]",
                b"{",
                b"\"",
                b"\"F64\"",
                b"\"I32\"",
                b"NaN",
                b"[0,0]",
                b"\\u0000",
                b"\xFF",
            ]);
            let end = (at + word.len()).min(bytes.len());
            bytes.splice(at..end, word.iter().copied());
        }
        _ if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
        _ => {}
    }
}

/// Writes a file that is sound as such, with other numbers, shapes or words in it.
fn rewrite(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let (_, header) = SafeTensors::read_metadata(bytes).unwrap();
    let tensors = SafeTensors::deserialize(bytes).unwrap();
    let mut text = header.metadata().as_ref().unwrap()[METADATA].clone();
    if dice.below(3) == 0 {
        let digits: Vec<usize> =
            text.bytes().enumerate().filter(|(_, b)| b.is_ascii_digit()).map(|(at, _)| at).collect();
        let at = digits[dice.below(digits.len())];
        let number: &str = dice.one(&["0", "9", "4294967296", "18446744073709551615", "1e308", "-1", "0.5"]);
        text.replace_range(at..=at, number);
    }
    let mut parts: Vec<_> = tensors
        .iter()
        .map(|(name, view)| (name.to_owned(), view.dtype(), view.shape().to_vec(), view.data().to_vec()))
        .collect();
    for _ in 0..dice.below(3) {
        let place = dice.below(parts.len());
        let (_, _, shape, data) = &mut parts[place];
        match dice.below(5) {
            0 => shape.reverse(),
            1 if !shape.is_empty() => {
                // A row less, or a row more.
                let row = data.len() / shape[0].max(1);
                shape[0] = if dice.below(2) == 0 { shape[0].saturating_sub(1) } else { shape[0] + 1 };
                data.resize(row * shape[0], 0);
            }
            _ if data.len() >= 4 => {
                let numbers = [
                    0.0,
                    -0.0,
                    1e30,
                    -1e30,
                    f32::MAX,
                    f32::MIN,
                    f32::MIN_POSITIVE,
                    1e-45,
                    0.5,
                    -1.0,
                    65_536.0,
                    f32::NAN,
                ];
                for _ in 0..=dice.below(4) {
                    let (at, number) = (dice.below(data.len() / 4), numbers[dice.below(numbers.len())]);
                    data[4 * at..4 * at + 4].copy_from_slice(&number.to_le_bytes());
                }
            }
            _ => {}
        }
    }
    let views = parts.iter().filter_map(|(name, dtype, shape, data)| {
        Some((name.as_str(), TensorView::new(*dtype, shape.clone(), data).ok()?))
    });
    safetensors::serialize(views, Some(HashMap::from([(METADATA.to_owned(), text)]))).unwrap()
}

/// Tries a damaged file, and tells whether it was read.
fn round(corpus: &Corpus, whole: &[u8], dice: &mut Dice) -> bool {
    let mut bytes = match dice.below(8) {
        0 => corpus.inputs[dice.below(corpus.inputs.len())].clone(),
        1..5 => rewrite(whole, dice),
        _ => whole.to_vec(),
    };
    for _ in 0..dice.below(4) {
        damage(&mut bytes, dice);
    }
    tried(corpus, &bytes)
}

fn tried(corpus: &Corpus, bytes: &[u8]) -> bool {
    let _trying = corpus.trying(bytes);
    let began = Instant::now();
    let model = Model::from_bytes(bytes);
    if let Ok(model) = &model {
        for values in [[4.5, 300.0, f32::NAN, 1.0], [f32::MAX, f32::MIN, f32::INFINITY, -0.0], [f32::NAN; 4]] {
            let tokens = [3, 9, u32::MAX];
            let _ = model.score(&Vector { repository: Some("o/known"), ..vector(&values, &tokens) });
        }
    }
    assert!(began.elapsed() < PATIENCE, "it takes {:?}", began.elapsed());
    model.is_ok()
}

#[test]
fn any_bytes_are_a_model_that_scores_or_an_error() {
    let (corpus, whole) = (Corpus::of("models"), fixture::model().to_bytes().unwrap());
    for input in &corpus.inputs {
        tried(&corpus, input);
    }
    let (mut rounds, mut read) = (0, 0_u64);
    for seed in seeds(ROUNDS) {
        rounds += 1;
        read += u64::from(round(&corpus, &whole, &mut Dice::new(seed)));
    }
    assert!(0 < read && read < rounds, "{read} of {rounds} were read: this test could not fail");
    println!("{rounds} damaged models, of which {read} were read");
}

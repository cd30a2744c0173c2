//! What fuzzing begins from (inputs, seeds, dice), for the parts that are fuzzed: each includes this file.
//!
//! A part has a folder here with small inputs, one a file. An input that fails is put there, and stays.
#![allow(dead_code, reason = "each part uses some of it")]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

/// The inputs of a part.
pub(super) struct Corpus {
    folder: PathBuf,
    /// In the order of their names, so that the same dice do the same.
    pub(super) inputs: Vec<Vec<u8>>,
}

impl Corpus {
    pub(super) fn of(part: &str) -> Self {
        let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let folder = above.map(|folder| folder.join("fuzz").join(part)).find(|folder| folder.is_dir());
        let folder = folder.unwrap_or_else(|| panic!("there is no folder fuzz/{part}"));
        let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        Self { inputs: files.iter().map(|file| fs::read(file).unwrap()).collect(), folder }
    }

    /// To be held while an input is tried: where that panics, the input is kept.
    pub(super) fn trying<'a>(&'a self, input: &'a [u8]) -> Trying<'a> {
        Trying { folder: &self.folder, input }
    }
}

pub(super) struct Trying<'a> {
    folder: &'a Path,
    input: &'a [u8],
}

impl Drop for Trying<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let mut hasher = DefaultHasher::new();
            self.input.hash(&mut hasher);
            let file = self.folder.join(format!("found-{:016x}", hasher.finish()));
            // A panic on top of the first one would end all tests.
            match fs::write(&file, self.input) {
                Ok(()) => eprintln!("the input is kept as {}", file.display()),
                Err(error) => eprintln!("the input could not be kept as {}: {error}", file.display()),
            }
        }
    }
}

/// A seed for each round: `rounds` of them, always the same, or where `PROWL_FUZZ_SECONDS` is set others for so long.
pub(super) fn seeds(rounds: u64) -> impl Iterator<Item = u64> {
    let seconds: Option<u64> = env::var("PROWL_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let first = seconds.map_or(0, |seconds| u64::from(process::id()) | (seconds << 40));
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let goes_on = move |round: &u64| end.map_or(*round <= rounds, |end| Instant::now() < end);
    (1..).take_while(goes_on).map(move |round| first + round)
}

/// Throws that a seed decides (xorshift64*).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() >> 33) as usize % end.max(1)
    }

    pub(super) fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    pub(super) fn piece(&mut self, length: usize) -> Range<usize> {
        let (a, b) = (self.below(length + 1), self.below(length + 1));
        a.min(b)..a.max(b)
    }
}

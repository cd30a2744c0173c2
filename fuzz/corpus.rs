//! What fuzzing begins from, for the parts that are fuzzed: each includes this file.
//!
//! A part has a folder here with small inputs, one a file. An input that fails is put there, and stays.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{fs, thread};

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

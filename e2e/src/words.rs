//! What programs say: where it is kept, and how it is read again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// From now on what the programs log, and what they answer, is kept in files of this folder, and shown nowhere. Those of the servers
/// are not: some of them tell their own secrets.
pub fn keep_words_in(folder: &Path) {
    FOLDER.get_or_init(|| folder.to_owned());
}

/// Where the words of a program that starts now are kept, if anywhere: the path of a file that has no extension yet.
pub(crate) fn place(program: &str) -> Option<PathBuf> {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let folder = FOLDER.get()?;
    let number = STARTED.fetch_add(1, Ordering::Relaxed) + 1;
    Some(folder.join(format!("{number:02}-{program}")))
}

/// Every file below a folder, as text.
pub fn texts_below(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            texts.extend(texts_below(&entry.path()));
        } else {
            // One that was there a moment ago may be gone.
            texts.extend(fs::read(entry.path()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    texts
}

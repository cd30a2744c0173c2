//! The folder of a verdict, which one gate at a time has.
//!
//! What lay there of an earlier gate is taken away before anything is measured: whoever reads `verdict.json` after a
//! gate that came to no end must not find an old go. It gets its name last, and at once: where it is, the others are.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::files;
use crate::Error;
use crate::verdict::Verdict;

/// Says that a gate has the folder; it stays there, since one that is taken away could be held by two.
const LOCK: &str = ".lock";

/// A folder for a verdict, held until it is dropped.
#[derive(Debug)]
pub struct Place {
    folder: PathBuf,
    /// The system lets go of it when the program ends, however that happens.
    _lock: File,
}

impl Place {
    /// Makes the folder where there is none, and takes away an earlier verdict.
    ///
    /// # Errors
    /// It cannot be written to, or another gate has it.
    pub fn lock(folder: &Path) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
        let path = folder.join(LOCK);
        let lock = File::options().create(true).write(true).truncate(false).open(&path);
        let lock = lock.map_err(|source| failed(&path, source))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => failed(
                folder,
                io::Error::other("another gate writes there: wait for its end, or name another folder by --output"),
            ),
            TryLockError::Error(source) => failed(&path, source),
        })?;
        for name in super::NAMES.into_iter().chain([super::GOOSE]) {
            let path = folder.join(name);
            if let Err(source) = fs::remove_file(&path)
                && source.kind() != io::ErrorKind::NotFound
            {
                return Err(failed(&path, source));
            }
        }
        Ok(Self { folder: folder.to_owned(), _lock: lock })
    }

    /// Writes the files of a verdict, none of which has its name yet: with [`Self::publish`] they can be read.
    ///
    /// # Errors
    /// The disk is full, or the like.
    pub fn write(&self, verdict: &Verdict) -> Result<(), Error> {
        let [verdict, reports @ ..] = files(verdict).map_err(|error| failed(&self.folder, error.into()))?;
        for (name, bytes) in reports.iter().chain([&verdict]) {
            let draft = self.draft(name);
            fs::write(&draft, bytes).map_err(|source| failed(&draft, source))?;
        }
        Ok(())
    }

    /// Lets the files be read that were written before, `verdict.json` last.
    ///
    /// # Errors
    /// They are not there any more, or the like.
    pub fn publish(&self) -> Result<(), Error> {
        super::NAMES.iter().rev().try_for_each(|name| self.rename(name))
    }

    fn draft(&self, name: &str) -> PathBuf {
        self.folder.join(format!(".{name}"))
    }

    fn rename(&self, name: &str) -> Result<(), Error> {
        let path = self.folder.join(name);
        fs::rename(self.draft(name), &path).map_err(|source| failed(&path, source))
    }
}

/// What was not published is of a gate that came to no end.
impl Drop for Place {
    fn drop(&mut self) {
        for name in super::NAMES {
            let _ = fs::remove_file(self.draft(name));
        }
    }
}

fn failed(path: &Path, source: io::Error) -> Error {
    Error::File { what: "write", path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn a_verdict_has_its_files_and_an_earlier_one_none() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("a/b");
        let place = Place::lock(&folder).unwrap();
        place.write(&Verdict::example()).unwrap();
        let reads = || super::super::NAMES.map(|name| folder.join(name).exists());
        assert_eq!(reads(), [false; 3], "nobody may read it yet");
        drop(place);
        let place = Place::lock(&folder).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "the lock alone is left of what was not published");
        place.write(&Verdict::example()).unwrap();
        place.publish().unwrap();
        let names = || {
            let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name()).collect();
            names.sort_unstable();
            names
        };
        assert_eq!(names(), [".lock", "report.html", "verdict.json", "verdict.md"]);
        let json = fs::read(folder.join("verdict.json")).unwrap();
        assert_eq!(serde_json::from_slice::<Verdict>(&json).unwrap().expected, Verdict::example().expected);
        drop(place);
        let _next = Place::lock(&folder).unwrap();
        assert_eq!(names(), [".lock"]);
    }

    #[test]
    fn one_gate_at_a_time_has_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::lock(folder.path()).unwrap();
        place.write(&Verdict::example()).unwrap();
        place.publish().unwrap();
        let refused = Place::lock(folder.path()).unwrap_err();
        assert!(refused.source().unwrap().to_string().contains("another gate writes there"), "{refused:?}");
        assert!(folder.path().join("verdict.json").exists());
        drop(place);
        Place::lock(folder.path()).unwrap();
    }

    #[test]
    fn what_cannot_be_written_to_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "x").unwrap();
        let error = Place::lock(&file.join("below")).unwrap_err().to_string();
        assert!(error.starts_with("cannot write ") && error.contains("file/below: let this user"), "{error}");
    }
}

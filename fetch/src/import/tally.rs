//! What became of the documents that were read, and whether too many came to nothing.

use crate::Error;

/// Rejected documents that are told one by one.
const TOLD: usize = 10;

/// Counts, and the first that was rejected.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) files: u64,
    /// All documents, with those that were rejected.
    pub(super) read: u64,
    pub(super) rejected: u64,
    /// The first of them: file, line and reason.
    pub(super) told: Vec<String>,
}

impl Tally {
    pub(super) fn reject(&mut self, file: &str, line: u64, reason: &str) {
        self.rejected += 1;
        if self.told.len() < TOLD {
            tracing::warn!(file, line, reason, "rejected a document");
            self.told.push(format!("{file}, line {line}: {reason}"));
        }
    }

    /// # Errors
    /// [`Error::TooManyRejects`], [`Error::NothingToImport`].
    pub(super) fn judge(&self, max_reject_share: f64) -> Result<(), Error> {
        if self.read == 0 {
            return Err(Error::NothingToImport { files: self.files });
        }
        match self.told.first() {
            Some(first) if self.rejected as f64 > max_reject_share * self.read as f64 => Err(Error::TooManyRejects {
                rejected: self.rejected,
                read: self.read,
                most: 100.0 * max_reject_share,
                first: first.clone(),
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_told_and_too_many_are_an_error() {
        let mut tally = Tally { files: 1, read: 1_000, ..Tally::default() };
        tally.judge(0.0).unwrap();
        for line in 1..=11 {
            tally.reject("a.json", line, "cut off");
        }
        assert_eq!((tally.told.len(), tally.told[9].as_str()), (10, "a.json, line 10: cut off"));
        tally.judge(0.011).unwrap();
        let told = tally.judge(0.01).unwrap_err().to_string();
        assert!(told.contains("11 of 1000 documents") && told.contains("a.json, line 1: cut off"), "{told}");
        assert!(Tally { files: 2, ..Tally::default() }.judge(1.0).unwrap_err().to_string().contains("2 files"));
    }
}

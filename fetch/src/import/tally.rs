//! What became of the documents that were read, and whether too many came to nothing.

use crate::{Error, rejects::Rejects};

/// Counts, and what was rejected.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) files: u64,
    /// All documents, with those that were rejected.
    pub(super) read: u64,
    pub(super) rejects: Rejects,
}

impl Tally {
    /// # Errors
    /// [`Error::TooManyRejects`], [`Error::NothingToImport`].
    pub(super) fn judge(&self, max_reject_share: f64) -> Result<(), Error> {
        if self.read == 0 {
            return Err(Error::NothingToImport { files: self.files });
        }
        match self.rejects.too_many(max_reject_share, self.read) {
            Some(first) => Err(Error::TooManyRejects {
                rejected: self.rejects.count(),
                read: self.read,
                // To four places: 100 times 0.07 is 7.000000000000001.
                most: (1e6 * max_reject_share).round() / 1e4,
                first: first.to_owned(),
            }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_are_an_error_and_so_is_nothing() {
        let mut tally = Tally { files: 1, read: 1_000, ..Tally::default() };
        tally.judge(0.0).unwrap();
        for line in 1..=11 {
            tally.rejects.add("a.json", line, "cut off");
        }
        tally.judge(0.011).unwrap();
        let told = tally.judge(0.01).unwrap_err().to_string();
        assert!(told.contains("11 of 1000 documents") && told.contains("a.json, line 1: cut off"), "{told}");
        let told = tally.judge(0.007).unwrap_err().to_string();
        assert!(told.contains("of which 0.7% may be"), "{told}");
        assert!(Tally { files: 2, ..Tally::default() }.judge(1.0).unwrap_err().to_string().contains("2 files"));
    }
}

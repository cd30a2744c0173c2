//! Where the tallies of all parts of the export meet: the digest of each file, and which line of it is which.
//!
//! A task that reads a range of a file does not know how many lines come before it. It counts the line feeds of its range,
//! and here, where those of all ranges are known, the numbers of its lines become numbers in the file.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::rows::{Reject, Source};

/// The files that were read.
#[derive(Default)]
pub(crate) struct Sources(BTreeMap<String, Vec<Part>>);

struct Part {
    start: u64,
    /// Lines of the file before it.
    before: u64,
    newlines: u64,
    sha256: [u8; 32],
}

impl Sources {
    /// Adds a part. The parts of a file come in the order of their places.
    pub(crate) fn add(&mut self, source: Source) {
        let parts = self.0.entry(source.file).or_default();
        let before = parts.last().map_or(0, |last| last.before + last.newlines);
        parts.push(Part { start: source.start, before, newlines: source.newlines, sha256: source.sha256 });
    }

    /// Numbers the line of a reject in its file.
    pub(crate) fn number(&self, mut reject: Reject) -> Reject {
        let parts = self.0.get(&reject.file).map_or(&[][..], Vec::as_slice);
        let index = parts.partition_point(|part| part.start <= reject.offset);
        reject.line += index.checked_sub(1).map_or(0, |index| parts[index].before);
        reject
    }

    /// Each file with the SHA-256 of its bytes, or, where it was read in ranges, of the digests of these.
    pub(crate) fn digests(self) -> Vec<(String, String)> {
        let digest = |parts: &[Part]| match parts {
            [whole] => hex::encode(whole.sha256),
            ranges => {
                let mut hash = Sha256::new();
                for part in ranges {
                    hash.update(part.sha256);
                }
                hex::encode(hash.finalize())
            }
        };
        self.0.into_iter().map(|(file, parts)| (file, digest(&parts))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_by_what_comes_before_their_range() {
        let mut sources = Sources::default();
        for (file, start, newlines) in [("a", 0, 3), ("b", 0, 9), ("a", 100, 0), ("a", 200, 5), ("a", 300, 1)] {
            sources.add(Source { file: file.into(), start, newlines, sha256: [start as u8; 32] });
        }
        let number = |file: &str, offset: u64, line: u64| {
            let reject = Reject {
                file: file.into(),
                line,
                offset,
                field: String::new(),
                reason: String::new(),
                sample: String::new(),
            };
            sources.number(reject).line
        };
        assert_eq!(number("a", 0, 1), 1);
        assert_eq!(number("a", 99, 3), 3);
        assert_eq!(number("a", 199, 1), 4);
        assert_eq!(number("a", 200, 2), 5);
        assert_eq!(number("a", 999, 1), 9);
        assert_eq!(number("b", 999, 7), 7);
        let digests = sources.digests();
        assert_eq!(digests[1], ("b".to_owned(), hex::encode([0_u8; 32])));
        let of_ranges = Sha256::digest([[0_u8; 32], [100; 32], [200; 32], [44; 32]].concat());
        assert_eq!(digests[0], ("a".to_owned(), hex::encode(of_ranges)));
    }
}

//! Where the tallies of all parts of the export meet: the digest of each file, and which line of it is which.
//!
//! A task that reads a range of a file does not know how many lines come before it. It counts the line feeds of its range,
//! and here, where those of all ranges are known, the numbers of its lines become numbers in the file.

use std::collections::BTreeMap;

use blake3::hazmat::{ChainingValue, Mode, merge_subtrees_non_root, merge_subtrees_root};

use crate::rows::{Reject, Source};

/// The files that were read.
#[derive(Default)]
pub(crate) struct Sources(BTreeMap<String, Vec<Part>>);

struct Part {
    start: u64,
    /// Lines of the file before it.
    before: u64,
    newlines: u64,
    digest: [u8; 32],
}

impl Sources {
    /// Adds a part. The parts of a file come in the order of their places.
    pub(crate) fn add(&mut self, source: Source) {
        let parts = self.0.entry(source.file).or_default();
        let before = parts.last().map_or(0, |last| last.before + last.newlines);
        parts.push(Part { start: source.start, before, newlines: source.newlines, digest: source.digest });
    }

    /// Numbers the line of a reject in its file.
    pub(crate) fn number(&self, mut reject: Reject) -> Reject {
        let parts = self.0.get(&reject.file).map_or(&[][..], Vec::as_slice);
        let index = parts.partition_point(|part| part.start <= reject.offset);
        reject.line += index.checked_sub(1).map_or(0, |index| parts[index].before);
        reject
    }

    /// Each file with its digest.
    pub(crate) fn digests(self) -> Vec<(String, String)> {
        let digest = |parts: Vec<Part>| {
            let digests: Vec<_> = parts.into_iter().map(|part| part.digest).collect();
            match digests[..] {
                [whole] => hex::encode(whole),
                _ => of_ranges(&digests).to_hex().to_string(),
            }
        };
        self.0.into_iter().map(|(file, parts)| (file, digest(parts))).collect()
    }
}

/// The BLAKE3 digest of a file from the chaining values of its ranges, at least two. They are subtrees of its tree, since each
/// but the last is as long as the same power of two.
fn of_ranges(ranges: &[ChainingValue]) -> blake3::Hash {
    let (left, right) = ranges.split_at(left_of(ranges.len()));
    merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash)
}

fn subtree(ranges: &[ChainingValue]) -> ChainingValue {
    if let [one] = ranges {
        return *one;
    }
    let (left, right) = ranges.split_at(left_of(ranges.len()));
    merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
}

/// How many of so many ranges, at least two, are left of the root: the largest power of two that leaves some on its right.
fn left_of(ranges: usize) -> usize {
    1 << (ranges - 1).ilog2()
}

#[cfg(test)]
mod tests {
    use blake3::hazmat::HasherExt;

    use super::*;

    #[test]
    fn lines_are_numbered_by_what_comes_before_their_range() {
        let mut sources = Sources::default();
        for (file, start, newlines) in [("a", 0, 3), ("b", 0, 9), ("a", 100, 0), ("a", 200, 5), ("a", 300, 1)] {
            sources.add(Source { file: file.into(), start, newlines, digest: [start as u8; 32] });
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
        assert_eq!(digests[0].0, "a");
    }

    #[test]
    fn a_file_has_the_same_digest_however_it_is_read() {
        const RANGE: usize = 4096;
        let bytes: Vec<u8> = (0..9 * RANGE as u32 + 77).map(|at| ((at * at) >> 7) as u8).collect();
        for length in [RANGE + 1, 2 * RANGE, 3 * RANGE, 5 * RANGE - 1, 7 * RANGE + 1, 8 * RANGE, bytes.len()] {
            let file = &bytes[..length];
            let mut sources = Sources::default();
            for (index, range) in file.chunks(RANGE).enumerate() {
                let start = (index * RANGE) as u64;
                let digest = blake3::Hasher::new().set_input_offset(start).update(range).finalize_non_root();
                sources.add(Source { file: "a".into(), start, newlines: 0, digest });
            }
            assert_eq!(sources.digests(), [("a".to_owned(), blake3::hash(file).to_string())], "{length} bytes");
        }
    }
}

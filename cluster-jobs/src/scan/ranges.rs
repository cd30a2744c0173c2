//! Which part of which file is read where.
//!
//! A big file of lines is cut into ranges of one fixed size, whatever the number of partitions: the digest of the file is
//! made of those of its ranges, which have to be subtrees of its hash.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::ExportFile;

/// Bytes of a range. Small enough that partitions end at about the same time, and that a store answers for it at once.
const RANGE_BYTES: u64 = 16 << 20;

const _: () = assert!(RANGE_BYTES.is_power_of_two() && RANGE_BYTES >= 1024, "a range is a subtree of the file's hash");

/// What is read in one go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) file: ExportFile,
    /// The lines that begin in this range of bytes; `None` for the whole file.
    pub(crate) range: Option<Range<u64>>,
}

impl Part {
    fn bytes(&self) -> u64 {
        self.range.as_ref().map_or(self.file.bytes, |range| range.end - range.start)
    }
}

/// The parts of all files, dealt out to at most `partitions` groups of about as many bytes each.
pub(super) fn groups(files: &[ExportFile], partitions: usize) -> Vec<Vec<Part>> {
    let mut parts: Vec<(usize, Part)> = files.iter().flat_map(parts).enumerate().collect();
    let mut groups = vec![Vec::new(); partitions.min(parts.len())];
    // The biggest first, each to the group that has the least.
    parts.sort_by_key(|(_, part)| Reverse(part.bytes()));
    let mut load: BinaryHeap<_> = (0..groups.len()).map(|group| Reverse((0, group))).collect();
    for part in parts {
        let Some(Reverse((bytes, group))) = load.pop() else { break };
        load.push(Reverse((bytes + part.1.bytes(), group)));
        groups[group].push(part);
    }
    for group in &mut groups {
        group.sort_by_key(|(place, _)| *place);
    }
    groups.into_iter().map(|group| group.into_iter().map(|(_, part)| part).collect()).collect()
}

fn parts(file: &ExportFile) -> Vec<Part> {
    if !file.divisible || file.bytes <= RANGE_BYTES {
        return vec![Part { file: file.clone(), range: None }];
    }
    let starts = (0..file.bytes).step_by(RANGE_BYTES as usize);
    starts.map(|start| Part { file: file.clone(), range: Some(start..file.bytes.min(start + RANGE_BYTES)) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, bytes: u64, divisible: bool) -> ExportFile {
        ExportFile { url: format!("file:///{name}"), bytes, sha256: None, divisible }
    }

    #[test]
    fn every_byte_is_read_once_and_the_work_is_even() {
        let files = [
            file("big", 10 * RANGE_BYTES + 7, true),
            file("packed", 3 * RANGE_BYTES, false),
            file("just", RANGE_BYTES, true),
            file("empty", 0, true),
        ];
        for partitions in [1, 2, 3, 5, 100] {
            let groups = groups(&files, partitions);
            assert_eq!(groups.len(), partitions.min(14));
            assert!(groups.iter().all(|group| !group.is_empty()));
            let mut parts: Vec<_> = groups.iter().flatten().map(|part| (&part.file.url, part.range.clone())).collect();
            parts.sort_by_key(|(url, range)| (*url, range.as_ref().map(|range| range.start)));
            let (ranges, whole): (Vec<_>, Vec<_>) = parts.into_iter().partition(|(_, range)| range.is_some());
            assert_eq!(
                whole.iter().map(|(url, _)| url.as_str()).collect::<Vec<_>>(),
                ["file:///empty", "file:///just", "file:///packed"]
            );
            let mut next = 0;
            for (_, range) in ranges {
                let range = range.unwrap();
                assert!(
                    range.start == next && range.start % RANGE_BYTES == 0 && range.end - range.start <= RANGE_BYTES
                );
                next = range.end;
            }
            assert_eq!(next, files[0].bytes);
            if partitions <= 3 {
                let load = groups.iter().map(|group| group.iter().map(Part::bytes).sum::<u64>());
                assert!(load.clone().max().unwrap() - load.min().unwrap() <= RANGE_BYTES, "{partitions}");
            }
        }
    }
}

//! What a file or a text is, told by how it begins and not by its name, which may be anything.

use prowl_platform::documents::MARK;

/// Bytes of a file or text that tell what is in it.
pub(crate) const START: usize = 4096;

/// What the first bytes of a file or text say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Gzip,
    Zstd,
    /// One JSON array.
    Array,
    /// A document a line.
    Lines,
    /// Something else, that people give by mistake.
    Foreign(&'static str),
}

/// What files begin with that are no export, and what these are.
const FOREIGN: [(&[u8], &str); 6] = [
    (b"PAR1", "a Parquet file"),
    (b"ORC", "an ORC file"),
    (b"ARROW1", "an Arrow file"),
    (b"BZh", "packed by bzip2"),
    (b"\xfd7zXZ\0", "packed by xz"),
    (b"PK\x03\x04", "a ZIP archive"),
];

/// What stands not at the beginning but at a place that many bytes behind it: the first field of a document, before which
/// comes its length, and the mark behind the name of an archive's first file.
const BEHIND: [(usize, &[u8], &str); 2] =
    [(4, b"\x07_id\0", "BSON, as mongodump writes it"), (257, b"ustar", "a tar archive")];

impl Form {
    /// Tells by the first [`START`] bytes.
    pub(crate) fn of(start: &[u8]) -> Self {
        let text = start.strip_prefix(MARK).unwrap_or(start);
        if start.starts_with(&[0x1f, 0x8b]) {
            Self::Gzip
        } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            Self::Zstd
        } else if let Some((_, what)) = FOREIGN.iter().find(|(begin, _)| start.starts_with(begin)) {
            Self::Foreign(what)
        } else if let Some((.., what)) = BEHIND.iter().find(|(at, mark, _)| {
            // Before arrays: what begins with a length or a name may begin with a bracket.
            start.get(*at..).is_some_and(|rest| rest.starts_with(mark))
        }) {
            Self::Foreign(what)
        } else if text.trim_ascii_start().starts_with(b"[") {
            Self::Array
        } else {
            Self::Lines
        }
    }

    /// Whether these first bytes of a text do not tell yet, since they hold nothing but white space.
    pub(crate) fn is_unclear(start: &[u8]) -> bool {
        MARK.starts_with(start) || start.strip_prefix(MARK).unwrap_or(start).trim_ascii_start().is_empty()
    }
}

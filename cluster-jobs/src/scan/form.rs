//! What a file or a text is, told by how it begins and not by its name, which may be anything.

/// Some editors begin a file with a byte order mark, which is no JSON.
pub(super) const MARK: &[u8] = b"\xEF\xBB\xBF";

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

/// Where in a document of BSON, as `mongodump` writes them, its first field stands, and what it is.
const BSON: (usize, &[u8]) = (4, b"\x07_id\0");

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
        } else if start.get(BSON.0..).is_some_and(|rest| rest.starts_with(BSON.1)) {
            // Before arrays: its first byte is a length, and may be a bracket.
            Self::Foreign("BSON, as mongodump writes it")
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

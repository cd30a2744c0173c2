//! MongoDB extended JSON v2, from raw BSON and back, a document at a time and without a tree of values in between
//! (<https://github.com/mongodb/specifications/blob/master/source/extended-json/extended-json.md>).
//!
//! [`write`] prints what `mongoexport` prints, compact and in UTF-8, equal to what pymongo's `bson.json_util` means;
//! types that pymongo no longer tells apart (symbol, undefined, `DBPointer`) keep their own form. `read` takes the
//! relaxed, the canonical and the legacy forms. Any bytes end in a document or in an error.

pub(crate) mod date;
#[cfg(test)]
mod fuzz;
mod read;
mod text;
mod walk;
mod wrapper;
mod write;

use std::str::FromStr;

pub(crate) use self::{
    read::read,
    walk::{Elements, string},
};
pub use self::{
    walk::Damaged,
    write::{Unwritable, write},
};

/// How numbers and dates are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As JSON numbers, and as text where a date lies in the years 1970 to 9999: easy to read for people and programs,
    /// but 5 may have been an `int`, a `long` or, of another writer, a `double`.
    Relaxed,
    /// With their type: what is read back is what was there.
    Canonical,
}

impl Format {
    /// Its name, as in the specification.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Relaxed => "relaxed",
            Self::Canonical => "canonical",
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "relaxed" => Ok(Self::Relaxed),
            "canonical" => Ok(Self::Canonical),
            _ => Err("write relaxed or canonical".to_owned()),
        }
    }
}
